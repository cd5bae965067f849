"""Does what a scenario says that people, tools and accidents do to the cluster."""

from __future__ import annotations

import re
from collections.abc import Callable, Mapping
from typing import Any

from veza_nb.sandbox.apimachinery.kinds import RESOURCES, Resource
from veza_nb.sandbox.apimachinery.status import ApiError, Json
from veza_nb.sandbox.apiserver.access import MASTERS
from veza_nb.sandbox.apiserver.client import Client, PatchType
from veza_nb.sandbox.clock import micro_timestamp, timestamp
from veza_nb.sandbox.nodes.releases import ReleasesError
from veza_nb.sandbox.plane import ControlPlane
from veza_nb.sandbox.scenarios import Deed, ScenarioError, parse_age
from veza_nb.sandbox.seeding.application import NAMESPACE

_NOW = re.compile(r"\$\{now(?:([+-])([0-9dhms]+))?\}")
_TYPES = {
    "strategic": PatchType.STRATEGIC,
    "merge": PatchType.MERGE,
    "json": PatchType.JSON,
}


def act(plane: ControlPlane, deed: Deed) -> None:
    """Do it, now.

    Raises:
        ScenarioError: the cluster refuses it, or there is no such kind, image or behaviour.
    """
    try:
        _VERBS[deed.verb](plane, _client(plane, deed), _filled(plane, deed.what))
    except (ApiError, ReleasesError, KeyError) as error:
        raise ScenarioError(f"deeds: {deed.verb} {_told(deed.what)}: {error}") from error


def _client(plane: ControlPlane, deed: Deed) -> Client:
    """Whoever does it may do everything."""
    return Client(plane.api, deed.user, deed.agent, groups=(MASTERS, "system:authenticated"))


def _told(what: Json) -> str:
    named = what.get("metadata", what)
    return " ".join(str(one) for one in (what.get("kind", ""), named.get("name", "")) if one)


def _filled(plane: ControlPlane, value: Any) -> Any:
    """The same, with the times that it names."""
    if isinstance(value, dict):
        return {key: _filled(plane, each) for key, each in value.items()}
    if isinstance(value, list):
        return [_filled(plane, each) for each in value]
    return _NOW.sub(lambda found: _moment(plane, found), value) if isinstance(value, str) else value


def _moment(plane: ControlPlane, found: re.Match[str]) -> str:
    now, way, length = plane.clock.now(), found[1], found[2]
    moved = parse_age(length) if length else now - now
    return micro_timestamp(now - moved if way == "-" else now + moved)


def _create(_: ControlPlane, client: Client, what: Json) -> None:
    resource = _resource(what)
    client.create(resource.plural, _namespace(resource, what["metadata"]), what)


def _apply(_: ControlPlane, client: Client, what: Json) -> None:
    resource, metadata = _resource(what), what["metadata"]
    client.apply(resource.plural, _namespace(resource, metadata), metadata["name"], what)


def _patch(_: ControlPlane, client: Client, what: Json) -> None:
    resource = _resource(what)
    client.patch(
        resource.plural,
        _namespace(resource, what),
        what["name"],
        what["with"],
        kind=_TYPES[what.get("type", "strategic")],
        subresource=what.get("subresource", ""),
    )


def _delete(_: ControlPlane, client: Client, what: Json) -> None:
    """By name; by label the first so many in the order of names, all where no number is said."""
    resource = _resource(what)
    namespace, names = _namespace(resource, what), [what.get("name")]
    if "labels" in what:
        found = client.list(resource.plural, namespace, label_selector=what["labels"])
        names = sorted(item["metadata"]["name"] for item in found)[: what.get("count")]
    for name in names:
        client.delete(resource.plural, namespace, str(name))


def _push(plane: ControlPlane, _: Client, what: Json) -> None:
    kubelet = plane.kubelet
    kubelet.releases = kubelet.releases.pushed(what["image"], what.get("behavior", ""))


def _turn(plane: ControlPlane, _: Client, what: Json) -> None:
    kubelet = plane.kubelet
    kubelet.releases = kubelet.releases.turned(what["service"], what["behavior"] or "")


def _node(plane: ControlPlane, client: Client, what: Json) -> None:
    """Set conditions; what a node that is not Ready runs does not count as ready any more."""
    now, name, wanted = timestamp(plane.clock.now()), what["name"], what["conditions"]
    conditions = [
        {
            "type": kind,
            "status": str(status),
            "lastHeartbeatTime": now,
            "lastTransitionTime": now,
            "reason": what.get("reason", "NodeStatusUnknown"),
            "message": what.get("message", "Kubelet stopped posting node status."),
        }
        for kind, status in wanted.items()
    ]
    body = {"status": {"conditions": conditions}}
    client.patch("nodes", None, name, body, kind=PatchType.STRATEGIC, subresource="status")
    if str(wanted.get("Ready", True)) != "True":
        _unready(plane, name, now)


def _unready(plane: ControlPlane, node: str, now: str) -> None:
    """What the node controller does to the pods of a node that is silent."""
    manager = plane.client("system:node-controller", "kube-controller-manager")
    for pod in manager.list("pods", field_selector=f"spec.nodeName={node}"):
        silent = {"type": "Ready", "status": "False", "lastTransitionTime": now}
        body = {"status": {"conditions": [silent]}}
        about = pod["metadata"]
        manager.patch(
            "pods",
            about["namespace"],
            about["name"],
            body,
            kind=PatchType.STRATEGIC,
            subresource="status",
        )


_VERBS: Mapping[str, Callable[[ControlPlane, Client, Json], None]] = {
    "create": _create,
    "apply": _apply,
    "patch": _patch,
    "delete": _delete,
    "push": _push,
    "turn": _turn,
    "node": _node,
}


def _resource(what: Json) -> Resource:
    """The resource of an object's kind; the first of that name where no version is said.

    Raises:
        KeyError: no such kind is served.
    """
    kind, version = what["kind"], what.get("apiVersion")
    for one in RESOURCES:
        if one.kind == kind and version in (None, one.api_version):
            return one
    raise KeyError(f"no kind {kind} is served here")


def _namespace(resource: Resource, named: Json) -> str | None:
    return named.get("namespace", NAMESPACE) if resource.namespaced else None
