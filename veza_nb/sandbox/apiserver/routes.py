"""From a method and a path to what is asked for."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass

from veza_nb.sandbox.apimachinery import kinds, status
from veza_nb.sandbox.apimachinery.kinds import Resource
from veza_nb.sandbox.apimachinery.selectors import field_selector
from veza_nb.sandbox.apiserver.access import Attributes

_COLLECTION_VERBS = {"GET": "list", "HEAD": "list", "POST": "create", "DELETE": "deletecollection"}
_OBJECT_VERBS = {"GET": "get", "HEAD": "get", "PUT": "update", "PATCH": "patch", "DELETE": "delete"}
_SUBRESOURCE_VERBS = {**_OBJECT_VERBS, "POST": "create"}
_ON_NAMESPACES = ("status", "finalize")
TRUE = ("true", "1")


@dataclass(frozen=True, slots=True)
class Target:
    """What a request is about.

    Attributes:
        verb: Kubernetes' verb; for other paths the method in lower case.
        group, version, plural: As the path says, served or not; empty for other paths.
        resource: The served resource, or None.
        subresource, namespace, name: Empty where there is none.
        path: The path of a request that is not about a resource.
    """

    verb: str
    group: str = ""
    version: str = ""
    plural: str = ""
    resource: Resource | None = None
    subresource: str = ""
    namespace: str = ""
    name: str = ""
    path: str = ""

    @property
    def attributes(self) -> Attributes:
        """Return what the roles must allow."""
        return Attributes(
            self.verb,
            self.group,
            self.plural,
            self.subresource,
            self.namespace,
            self.name,
            self.path,
        )


def route(method: str, path: str, query: Mapping[str, str]) -> Target:
    """Return what a method and a path ask for; never refuses, that is for later."""
    parts = path.strip("/").split("/")
    if parts[0] == "api" and len(parts) > 2:
        return _resource(method, "", parts[1], parts[2:], query)
    if parts[0] == "apis" and len(parts) > 3:
        return _resource(method, parts[1], parts[2], parts[3:], query)
    return Target(method.lower(), path=path)


def _resource(
    method: str, group: str, version: str, rest: list[str], query: Mapping[str, str]
) -> Target:
    namespace = ""
    if rest[0] == "namespaces" and len(rest) > 2 and rest[2] not in _ON_NAMESPACES:
        namespace, rest = rest[1], rest[2:]
    plural, name, subresource = rest[0], *_padded(rest[1:])
    if subresource.startswith("proxy/"):
        # What follows is a path inside a pod, which roles have no say about.
        subresource = "proxy"
    verb = _verb(method, name, subresource, query)
    if plural == "namespaces" and name:
        namespace = name
    if verb in ("list", "watch") and not name:
        name = _selected_name(query)
    return Target(
        verb,
        group,
        version,
        plural,
        kinds.lookup(group, version, plural),
        subresource,
        namespace,
        name,
    )


def _padded(rest: list[str]) -> tuple[str, str]:
    return (rest[0] if rest else ""), "/".join(rest[1:])


def _verb(method: str, name: str, subresource: str, query: Mapping[str, str]) -> str:
    if subresource:
        return _SUBRESOURCE_VERBS.get(method, method.lower())
    if name:
        return _OBJECT_VERBS.get(method, "create" if method == "POST" else method.lower())
    verb = _COLLECTION_VERBS.get(method, method.lower())
    if verb == "list" and query.get("watch", "").lower() in TRUE:
        return "watch"
    return verb


def _selected_name(query: Mapping[str, str]) -> str:
    """Return the name that a field selector pins, because roles may allow single names."""
    if "metadata.name" not in query.get("fieldSelector", ""):
        return ""
    try:
        found = field_selector(query["fieldSelector"])
    except status.ApiError:
        return ""
    return next((each.value for each in found if each.field == "metadata.name" and each.equal), "")


def check_served(target: Target, *, named: bool) -> Resource:
    """Return the resource, or refuse what is not served.

    Args:
        target: What the path says.
        named: Whether the path itself names an object.

    Raises:
        ApiError: 404 for unknown resources and subresources, 405 for verbs that do not fit.
    """
    resource = target.resource
    if resource is None:
        if any(group == target.group for group, _ in kinds.group_versions()):
            raise status.no_such_resource()
        raise status.no_such_page()
    if target.subresource:
        if target.subresource not in resource.subresources:
            raise status.no_such_resource()
        return resource
    if target.namespace and not resource.namespaced and resource.plural != "namespaces":
        raise status.no_such_resource()
    if (named and target.verb == "create") or target.verb not in resource.verbs:
        raise status.method_not_allowed()
    if resource.namespaced and not target.namespace and (named or target.verb == "create"):
        raise status.method_not_allowed() if not named else status.no_such_resource()
    return resource
