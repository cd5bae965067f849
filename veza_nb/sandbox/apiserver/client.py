"""A client inside the process, for controllers, the kubelet and tests.

Every call is an ordinary request with a user, checked and recorded like any other.
"""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

from veza_nb.sandbox.apimachinery import kinds
from veza_nb.sandbox.apimachinery.kinds import Resource
from veza_nb.sandbox.apimachinery.status import ApiError
from veza_nb.sandbox.apiserver.access import MASTERS, User, system_user
from veza_nb.sandbox.apiserver.api import Api
from veza_nb.sandbox.apiserver.messages import Request, Response
from veza_nb.sandbox.apiserver.patches import PatchType
from veza_nb.sandbox.apiserver.watching import Subscription, WatchEvent

__all__ = ["Client", "PatchType", "Subscription", "WatchEvent"]

Json = dict[str, Any]


class Client:
    """Talks to the API as one user.

    Objects that come back are shared with the store: copy before you change one.

    Args:
        api: The API.
        user: Name; "system:" users may do everything, others what roles allow.
        agent: Names the manager of the fields that this client changes.
        groups: Groups of a user that is not a system user.
    """

    def __init__(
        self, api: Api, user: str, agent: str = "", *, groups: tuple[str, ...] | None = None
    ) -> None:
        self._api = api
        if groups is None:
            groups = (MASTERS,) if user == "admin" else ()
        self._user = (
            system_user(user)
            if user.startswith("system:") or MASTERS in groups
            else User(user, (*groups, "system:authenticated"))
        )
        self._headers = {"user-agent": agent or user.rpartition(":")[2]}

    def get(
        self, resource: str, namespace: str | None, name: str, *, subresource: str = ""
    ) -> Json:
        """Return one object, or something below it, such as its "scale".

        Raises:
            ApiError: 404, 403.
        """
        return self._ask("GET", resource, namespace, name, subresource)

    def list(
        self,
        resource: str,
        namespace: str | None = None,
        *,
        label_selector: str = "",
        field_selector: str = "",
    ) -> list[Json]:
        """Return the objects that match, without kind and apiVersion, as the wire has them."""
        query = _query(labelSelector=label_selector, fieldSelector=field_selector)
        found: list[Json] = self._ask("GET", resource, namespace, query=query)["items"]
        return found

    def create(
        self,
        resource: str,
        namespace: str | None,
        body: Json,
        *,
        name: str = "",
        subresource: str = "",
    ) -> Json:
        """Create an object, or something below the object of that name, such as a "binding"."""
        path = (name, subresource) if subresource else ()
        return self._ask("POST", resource, namespace, *path, document=body)

    def update(
        self, resource: str, namespace: str | None, name: str, body: Json, *, subresource: str = ""
    ) -> Json:
        """Replace an object; a resourceVersion in it that is not the newest is refused with 409."""
        return self._ask("PUT", resource, namespace, name, subresource, document=body)

    def patch(
        self,
        resource: str,
        namespace: str | None,
        name: str,
        patch: object,
        *,
        kind: PatchType = PatchType.MERGE,
        subresource: str = "",
    ) -> Json:
        """Change an object."""
        headers = {"content-type": kind.value}
        return self._ask(
            "PATCH", resource, namespace, name, subresource, document=patch, headers=headers
        )

    def apply(self, resource: str, namespace: str | None, name: str, body: Json) -> Json:
        """Apply an object server-side, as the manager that this client is; conflicts are forced."""
        query = {"fieldManager": self._headers["user-agent"], "force": "true"}
        headers = {"content-type": PatchType.APPLY.value}
        return self._ask(
            "PATCH", resource, namespace, name, document=body, headers=headers, query=query
        )

    def delete(
        self,
        resource: str,
        namespace: str | None,
        name: str,
        *,
        uid: str | None = None,
        propagation: str | None = None,
        grace: int | None = None,
    ) -> Json:
        """Delete an object; `uid` is a precondition, `grace` seconds, `propagation` a policy."""
        options: Json = {"kind": "DeleteOptions", "apiVersion": "v1"}
        if uid is not None:
            options["preconditions"] = {"uid": uid}
        if propagation is not None:
            options["propagationPolicy"] = propagation
        if grace is not None:
            options["gracePeriodSeconds"] = grace
        return self._ask("DELETE", resource, namespace, name, document=options)

    def watch(
        self,
        resource: str,
        namespace: str | None = None,
        *,
        label_selector: str = "",
        field_selector: str = "",
    ) -> Subscription:
        """Return a watch that tells the present objects first and never ends by itself."""
        query = _query(watch="true", labelSelector=label_selector, fieldSelector=field_selector)
        response = self._send("GET", resource, namespace, query=query)
        assert response.watch is not None
        return response.watch

    def _ask(
        self, method: str, resource: str, namespace: str | None, *path: str, **parts: Any
    ) -> Json:
        document = self._send(method, resource, namespace, *path, **parts).document
        assert isinstance(document, dict)
        return document

    def _send(
        self,
        method: str,
        resource: str,
        namespace: str | None,
        *path: str,
        query: Mapping[str, str] | None = None,
        headers: Mapping[str, str] | None = None,
        document: object = None,
    ) -> Response:
        response = self._api.handle(
            Request(
                method,
                _path(kinds.by_plural(resource), namespace, path),
                query or {},
                self._headers | dict(headers or {}),
                document=document,
                user=self._user,
            )
        )
        if response.status >= 400:
            raise _error(response)
        return response


def _query(**given: str) -> dict[str, str]:
    return {name: value for name, value in given.items() if value}


def _path(resource: Resource, namespace: str | None, rest: tuple[str, ...]) -> str:
    parts = [resource.path]
    if resource.namespaced and namespace:
        parts += ["namespaces", namespace]
    return "/".join([*parts, resource.plural, *(part for part in rest if part)])


def _error(response: Response) -> ApiError:
    said = response.document
    if not isinstance(said, dict):
        return ApiError(response.status, "", str(response.text))
    return ApiError(
        response.status,
        said.get("reason", ""),
        said["message"],
        said.get("details"),
        said.get("metadata") or {},
    )
