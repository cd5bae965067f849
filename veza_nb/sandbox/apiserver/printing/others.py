"""The cells of everything else: nodes, services, settings, access."""

from __future__ import annotations

from datetime import datetime
from typing import Any

from veza_nb.sandbox.apiserver.printing.text import (
    NONE,
    UNKNOWN,
    UNSET,
    age,
    name_of,
    or_none,
    status_of,
)

Json = dict[str, Any]


def created(document: Json, _now: datetime) -> list[Any]:
    """Cells of kinds that show when they were made."""
    return [name_of(document), document["metadata"].get("creationTimestamp")]


def custom(document: Json, now: datetime) -> list[Any]:
    """Cells of kinds of which the server knows no more than that they are there."""
    return [name_of(document), age(document, now)]


def node(document: Json, now: datetime) -> list[Any]:
    """Cells of a Node."""
    state, info = status_of(document), status_of(document).get("nodeInfo") or {}
    ready = [each for each in state.get("conditions") or () if each["type"] == "Ready"]
    shown = ["Ready" if ready[0]["status"] == "True" else "NotReady"] if ready else ["Unknown"]
    if document["spec"].get("unschedulable"):
        shown.append("SchedulingDisabled")
    prefix = "node-role.kubernetes.io/"
    labels = document["metadata"].get("labels") or {}
    roles = sorted(key.removeprefix(prefix) for key in labels if key.startswith(prefix))
    addresses = {each["type"]: each["address"] for each in state.get("addresses") or ()}
    return [
        name_of(document),
        ",".join(shown),
        or_none(roles),
        age(document, now),
        info.get("kubeletVersion", ""),
        addresses.get("InternalIP", NONE),
        addresses.get("ExternalIP", NONE),
        info.get("osImage") or UNKNOWN,
        info.get("kernelVersion") or UNKNOWN,
        info.get("containerRuntimeVersion") or UNKNOWN,
    ]


def service(document: Json, now: datetime) -> list[Any]:
    """Cells of a Service."""
    spec = document["spec"]
    address = spec.get("clusterIP") or NONE
    ports = or_none(
        f"{port['port']}:{port['nodePort']}/{port['protocol']}"
        if port.get("nodePort")
        else f"{port['port']}/{port['protocol']}"
        for port in spec.get("ports") or ()
    )
    chosen = spec.get("selector") or {}
    return [
        name_of(document),
        spec.get("type", ""),
        address,
        _external(document),
        ports,
        age(document, now),
        or_none(f"{key}={value}" for key, value in sorted(chosen.items())),
    ]


def _external(document: Json) -> str:
    spec = document["spec"]
    if spec.get("type") == "ExternalName":
        return str(spec.get("externalName", ""))
    addresses = list(spec.get("externalIPs") or ())
    if spec.get("type") == "LoadBalancer":
        ingress = (status_of(document).get("loadBalancer") or {}).get("ingress") or ()
        addresses = [each.get("ip") or each.get("hostname") or "" for each in ingress] + addresses
        return ",".join(addresses) or "<pending>"
    return or_none(addresses)


_SHOWN_ENDPOINTS = 3


def endpoints(document: Json, now: datetime) -> list[Any]:
    """Cells of Endpoints."""
    found = []
    for subset in document.get("subsets") or ():
        ports = subset.get("ports") or ()
        for address in subset.get("addresses") or ():
            found += [f"{address['ip']}:{port['port']}" for port in ports] or [address["ip"]]
    return [name_of(document), _first_few(found, NONE), age(document, now)]


def _first_few(found: list[str], nothing: str) -> str:
    if not found:
        return nothing
    shown = ",".join(found[:_SHOWN_ENDPOINTS])
    rest = len(found) - _SHOWN_ENDPOINTS
    return f"{shown} + {rest} more..." if rest > 0 else shown


def endpoint_slice(document: Json, now: datetime) -> list[Any]:
    """Cells of an EndpointSlice."""
    ports = [str(port.get("port", "*")) for port in document.get("ports") or ()]
    addresses = [
        address
        for each in document.get("endpoints") or ()
        for address in each.get("addresses") or ()
    ]
    return [
        name_of(document),
        document.get("addressType", ""),
        _first_few(ports, UNSET),
        _first_few(addresses, UNSET),
        age(document, now),
    ]


def config_map(document: Json, now: datetime) -> list[Any]:
    """Cells of a ConfigMap."""
    size = len(document.get("data") or ()) + len(document.get("binaryData") or ())
    return [name_of(document), size, age(document, now)]


def secret(document: Json, now: datetime) -> list[Any]:
    """Cells of a Secret."""
    kind, size = document.get("type", ""), len(document.get("data") or ())
    return [name_of(document), kind, size, age(document, now)]


def service_account(document: Json, now: datetime) -> list[Any]:
    """Cells of a ServiceAccount."""
    return [name_of(document), len(document.get("secrets") or ()), age(document, now)]


def namespace(document: Json, now: datetime) -> list[Any]:
    """Cells of a Namespace."""
    return [name_of(document), status_of(document).get("phase", ""), age(document, now)]


def lease(document: Json, now: datetime) -> list[Any]:
    """Cells of a Lease."""
    return [name_of(document), document["spec"].get("holderIdentity", ""), age(document, now)]


def binding(document: Json, now: datetime) -> list[Any]:
    """Cells of a RoleBinding or a ClusterRoleBinding."""
    role = document["roleRef"]
    by_kind: dict[str, list[str]] = {"User": [], "Group": [], "ServiceAccount": []}
    for each in document.get("subjects") or ():
        name = each["name"]
        if each["kind"] == "ServiceAccount":
            name = f"{each.get('namespace', '')}/{name}"
        by_kind.setdefault(each["kind"], []).append(name)
    subjects = [", ".join(by_kind[kind]) for kind in ("User", "Group", "ServiceAccount")]
    return [name_of(document), f"{role['kind']}/{role['name']}", age(document, now), *subjects]


def quota(document: Json, now: datetime) -> list[Any]:
    """Cells of a ResourceQuota."""
    state = status_of(document)
    used = state.get("used") or {}
    requests: list[str] = []
    limits: list[str] = []
    for name, hard in sorted((state.get("hard") or {}).items()):
        shown = f"{name}: {used.get(name, '0')}/{hard}"
        (limits if name.startswith("limits") else requests).append(shown)
    return [name_of(document), ", ".join(requests), ", ".join(limits), age(document, now)]


def priority_class(document: Json, now: datetime) -> list[Any]:
    """Cells of a PriorityClass."""
    return [
        name_of(document),
        document.get("value", 0),
        bool(document.get("globalDefault")),
        age(document, now),
        document.get("preemptionPolicy", ""),
    ]


def claim(document: Json, now: datetime) -> list[Any]:
    """Cells of a PersistentVolumeClaim."""
    spec, state = document["spec"], status_of(document)
    short = {"ReadWriteOnce": "RWO", "ReadOnlyMany": "ROX", "ReadWriteMany": "RWX"}
    modes = ",".join(short.get(mode, mode) for mode in state.get("accessModes") or ())
    return [
        name_of(document),
        state.get("phase", ""),
        spec.get("volumeName", ""),
        (state.get("capacity") or {}).get("storage", ""),
        modes,
        spec.get("storageClassName", ""),
        spec.get("volumeAttributesClassName") or UNSET,
        age(document, now),
        spec.get("volumeMode") or UNSET,
    ]
