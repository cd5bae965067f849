"""Groups that another program serves through this server, as real clusters do it with metrics.

Such a group is there from the moment somebody registers it: in discovery, behind the same
authorization, and in the audit log. Without it the server has never heard of the group.
"""

from __future__ import annotations

from typing import Any, Protocol

from veza_nb.sandbox.apimachinery import status
from veza_nb.sandbox.apimachinery.kinds import Resource
from veza_nb.sandbox.apiserver.access import User
from veza_nb.sandbox.apiserver.calls import Call
from veza_nb.sandbox.apiserver.messages import Request, Response
from veza_nb.sandbox.apiserver.routes import Target

Json = dict[str, Any]


class AggregatedApi(Protocol):
    """One group and version that is served from elsewhere.

    Attributes:
        group: such as "metrics.k8s.io".
        version: such as "v1beta1".
        resources: what it serves.
    """

    group: str
    version: str
    resources: tuple[Resource, ...]

    def answer(self, call: Call) -> Response:
        """Answer a request about one of the resources, with one of its verbs.

        Raises:
            ApiError: what is wrong with it.
        """
        ...


class Aggregation:
    """The registered groups."""

    def __init__(self) -> None:
        self._apis: dict[str, AggregatedApi] = {}

    def register(self, api: AggregatedApi) -> None:
        """Serve a group from now on."""
        self._apis[api.group] = api

    def serves(self, group: str) -> bool:
        """Whether a group is registered."""
        return group in self._apis

    def answer(self, target: Target, user: User, request: Request) -> Response:
        """Answer a request about a resource of a registered group.

        Raises:
            ApiError: 404 for what the group does not have, 405 for verbs that do not fit.
        """
        api = self._apis[target.group]
        if target.version != api.version:
            raise status.no_such_page()
        found = [each for each in api.resources if each.plural == target.plural]
        if not found or target.subresource or (target.namespace and not found[0].namespaced):
            raise status.no_such_resource()
        if target.verb not in found[0].verbs:
            raise status.method_not_allowed()
        return api.answer(Call(found[0], target, user, request))

    def group_document(self, request: Request) -> Response | None:
        """Answer the discovery of a registered group; None when the path is about something else.

        Raises:
            ApiError: 405 for a method other than GET.
        """
        parts = request.path.strip("/").split("/")
        api = self._apis.get(parts[1]) if len(parts) > 1 and parts[0] == "apis" else None
        if api is None or parts[2:] not in ([], [api.version]):
            return None
        if request.method not in ("GET", "HEAD"):
            raise status.method_not_allowed()
        if len(parts) == 2:
            return Response(document={"kind": "APIGroup", "apiVersion": "v1", **_group(api)})
        listed = {"kind": "APIResourceList", "apiVersion": "v1"}
        listed["groupVersion"] = f"{api.group}/{api.version}"
        return Response(document={**listed, "resources": [_named(one) for one in api.resources]})

    def extend(self, document: Json) -> Json:
        """Return a list of groups, or of paths, with the registered ones in it."""
        if "paths" in document:
            added = [path for api in self._apis.values() for path in _paths(api)]
            return {**document, "paths": sorted([*document["paths"], *added])}
        match document.get("kind"):
            case "APIGroupList":
                groups = [_group(api) for api in self._apis.values()]
                return {**document, "groups": [*document["groups"], *groups]}
            case "APIGroupDiscoveryList":
                items = [_aggregated(api) for api in self._apis.values()]
                return {**document, "items": [*document["items"], *items]}
        return document


def _paths(api: AggregatedApi) -> list[str]:
    return [f"/apis/{api.group}", f"/apis/{api.group}/{api.version}"]


def _group(api: AggregatedApi) -> Json:
    served = {"groupVersion": f"{api.group}/{api.version}", "version": api.version}
    return {"name": api.group, "versions": [served], "preferredVersion": served}


def _named(resource: Resource) -> Json:
    return {
        "name": resource.plural,
        "singularName": "",
        "namespaced": resource.namespaced,
        "kind": resource.kind,
        "verbs": list(resource.verbs),
    }


def _aggregated(api: AggregatedApi) -> Json:
    resources = [
        {
            "resource": resource.plural,
            "responseKind": {"group": api.group, "version": api.version, "kind": resource.kind},
            "scope": "Namespaced" if resource.namespaced else "Cluster",
            "singularResource": "",
            "verbs": list(resource.verbs),
        }
        for resource in api.resources
    ]
    version = {"version": api.version, "resources": resources, "freshness": "Current"}
    metadata = {"name": api.group, "creationTimestamp": None}
    return {"metadata": metadata, "versions": [version]}
