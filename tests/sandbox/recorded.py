"""The recorded requests of a real control plane, and the states that they were asked in."""

from __future__ import annotations

import copy
import json
import re
from collections.abc import Callable, Iterator
from typing import Any

from tests.sandbox.conftest import RECORDINGS, ApiServer, recording
from veza_nb.sandbox.apimachinery import kinds
from veza_nb.sandbox.apiserver.client import Client

Json = dict[str, Any]

_UID = re.compile(r"[0-9a-f]{8}(-[0-9a-f]{4}){3}-[0-9a-f]{12}")
_TIME = re.compile(r"\d{4}-\d\d-\d\dT\d\d:\d\d:\d\d(\.\d+)?Z")
_VERSION = re.compile(r'(resourceVersion\\+":\\+")\d+')

# Recordings that are not asked one by one, and why.
DIFFERENT = {
    "22-table-deployments.json": "compared in its story",
    "22-table-events.json": "rows are compared where their objects were recorded, too",
    "22-table-pods.json": "compared in its story",
    "22-table-replicasets.json": "compared in its story",
    "39-etcd-stopped-get.json": "an outage is a fault to be injected",
    "39-etcd-stopped-patch.json": "an outage is a fault to be injected",
}


def names() -> list[str]:
    """Return the names of the recordings under http/ that are to be the same."""
    return [
        path.name
        for path in sorted((RECORDINGS / "http").glob("*.json"))
        if path.name not in DIFFERENT
    ]


def normalised(value: Any, name: str = "") -> Any:
    """Return a body without what differs from run to run: uids, times, versions."""
    if isinstance(value, dict):
        return {key: normalised(each, key) for key, each in value.items()}
    if isinstance(value, list):
        return [normalised(each) for each in value]
    if name == "resourceVersion":
        return "VERSION"
    if name == "description":
        # Columns are described in other words here.
        return "DESCRIPTION"
    if isinstance(value, str):
        return _VERSION.sub(r"\1N", _TIME.sub("TIME", _UID.sub("UID", value)))
    return value


def body_of(name: str) -> Json:
    """Return a recorded answer's body."""
    found: Json = recording(f"http/{name}")["response"]["body"]
    return found


def put(server: ApiServer, document: Json) -> None:
    """Put a recorded object into the store just as it is, under its own version."""
    document = copy.deepcopy(document)
    group = document["apiVersion"].rpartition("/")[0]
    resource = next(
        each for each in kinds.RESOURCES if (each.group, each.kind) == (group, document["kind"])
    )

    def store(client: Client) -> None:
        state = server.api.core.store
        state.version = max(state.version, int(document["metadata"]["resourceVersion"]) - 1)
        state.put(resource.key, document)

    server.as_admin(store)


def items(path: str) -> Iterator[Json]:
    """Yield the objects of a recorded list, complete with kind and version."""
    listing = recording(path)
    kind = listing["kind"].removesuffix("List")
    for item in listing["items"]:
        yield {"kind": kind, "apiVersion": listing["apiVersion"], **item}


def at_version(server: ApiServer, version: int) -> None:
    """Let the cluster have reached a version, and forget all history before."""

    def move(client: Client) -> None:
        store = server.api.core.store
        store.version = version
        store.compact(version - 1)

    server.as_admin(move)


def _backend(name: str = "20-200-warn-unknown-field.json", **changes: Any) -> Callable[..., None]:
    def seed(server: ApiServer) -> None:
        document = copy.deepcopy(body_of(name))
        for path, value in changes.items():
            *parents, last = path.split("__")
            target = document
            for part in parents:
                target = target[part]
            target[last] = value
        put(server, document)

    return seed


def _before_deadline(server: ApiServer) -> None:
    document = copy.deepcopy(body_of("07-patch-progressDeadlineSeconds.json"))
    metadata = document["metadata"]
    metadata["generation"] -= 1
    document["spec"]["progressDeadlineSeconds"] = 600
    managers = [each for each in metadata["managedFields"] if each["manager"] != "python-urllib3"]
    applied = next(each for each in managers if each["manager"] == "kubectl-client-side-apply")
    applied["fieldsV1"]["f:spec"]["f:progressDeadlineSeconds"] = {}
    metadata["managedFields"] = managers
    put(server, document)


def _pages(server: ApiServer) -> None:
    pods = body_of("22-list-limit.json")["items"]
    head = {"kind": "Pod", "apiVersion": "v1"}
    for pod in pods:
        put(server, {**head, **pod})
    for number in range(8):
        later = {**pods[0]["metadata"], "name": f"veza-z-{number}"}
        put(server, {**head, **pods[0], "metadata": later})
    at_version(server, 2210)


def _partial(server: ApiServer) -> None:
    whole = body_of("22-status-subresource.json")
    for item in body_of("22-partial-metadata.json")["items"]:
        put(server, {**whole, "metadata": item["metadata"]})


def _nodes(server: ApiServer) -> None:
    for node in items("objects/00-nodes.json"):
        put(server, node)


def _leases(server: ApiServer) -> None:
    for name in ("22-leases.kube-system.json", "22-leases.kube-node-lease.json"):
        for lease in items(f"objects/{name}"):
            put(server, lease)


def _quota(server: ApiServer) -> None:
    def fill(client: Client) -> None:
        client.create("namespaces", None, {"metadata": {"name": "veza-quota"}})
        quota = {"metadata": {"name": "q"}, "spec": {"hard": {"pods": "1"}}}
        client.create("resourcequotas", "veza-quota", quota)
        pod = {"metadata": {"name": "q"}, "spec": {"containers": [{"name": "q", "image": "a:b"}]}}
        client.create("pods", "veza-quota", pod)

    server.as_admin(fill)


def _budget(server: ApiServer) -> None:
    put(server, body_of("23-pdb.json"))
    pods = body_of("22-list-limit.json")["items"]
    for number, pod in enumerate([pods[0], pods[1], pods[1]]):
        metadata = {**pod["metadata"], "labels": {"app": "veza-backend-api"}}
        if number == 2:
            metadata["name"] = "another"
        put(server, {"kind": "Pod", "apiVersion": "v1", **pod, "metadata": metadata})


def _foreground(server: ApiServer) -> None:
    document = copy.deepcopy(body_of("26-delete-foreground.json"))
    metadata = document["metadata"]
    for mark in ("deletionTimestamp", "deletionGracePeriodSeconds", "finalizers"):
        del metadata[mark]
    metadata["generation"] -= 1
    put(server, document)


def _puts(name: str) -> Callable[[ApiServer], None]:
    return lambda server: put(server, body_of(name))


def _nothing(server: ApiServer) -> None:
    """Leave the server as it is."""


_LATE = _backend("22-status-subresource.json")
_SEEDS: dict[str, Callable[[ApiServer], None]] = {
    "07-patch-progressDeadlineSeconds.json": _before_deadline,
    "20-409-uid-precondition.json": _puts("02-create-answer-201.json"),
    "22-dry-run-patch.json": _LATE,
    "22-lease-create.json": _nothing,
    "22-lease-renew-conflict.json": _puts("22-lease-renew.json"),
    "22-list-limit.json": _pages,
    "22-managed-fields-after-undo.json": _LATE,
    "22-partial-metadata.json": _partial,
    "22-scale-get.json": _LATE,
    "22-scale-patch.json": _LATE,
    "22-scale-put-conflict.json": _LATE,
    "22-scale-put.json": _backend(
        "22-status-subresource.json", spec__replicas=4, status__replicas=4
    ),
    "22-status-subresource.json": _LATE,
    "22-table-deployment-one.json": _LATE,
    "22-table-leases.json": _leases,
    "22-table-no-objects.json": _nothing,
    "22-table-nodes.json": _nodes,
    "23-403-namespace-terminating.json": lambda server: put(
        server, recording("objects/23-namespace-terminating.json")
    ),
    "23-403-quota.json": _quota,
    "23-429-eviction.json": _budget,
    "24-410-continue.json": lambda server: at_version(server, 2405),
    "24-410-list-exact.json": lambda server: at_version(server, 2405),
    "24-504-future-rv.json": lambda server: at_version(server, 2405),
    "26-delete-background.json": _puts("17-create-no-history.json"),
    "26-delete-foreground.json": _foreground,
}


def seed(server: ApiServer, name: str) -> None:
    """Bring a server into the state that a recorded request was asked in."""
    if name in _SEEDS:
        _SEEDS[name](server)
    elif name.startswith("22-lease"):
        put(server, body_of("22-lease-create.json"))
    elif name.startswith(("20-", "22-")) and name != "20-200-namespace-list.json":
        _backend()(server)


def send(server: ApiServer, request: Json) -> Any:
    """Send a recorded request; return the answer."""
    body = request["body"]
    content = body if isinstance(body, str | None) else json.dumps(body)
    with server.http(request["as"]) as client:
        return client.request(
            request["method"], request["path"], headers=request["headers"], content=content
        )
