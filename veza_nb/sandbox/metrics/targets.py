"""Which pods a Prometheus should scrape, and where: HTTP service discovery.

Pods have no sockets of their own. Their pages have paths on one loopback port, and the discovery
names path and labels of each, so that pods come and go at once.
"""

from __future__ import annotations

from collections.abc import Iterator

from veza_nb.sandbox.apimachinery.status import Json
from veza_nb.sandbox.controllers.base import Informers
from veza_nb.sandbox.controllers.informer import Key, controller_of, key_of
from veza_nb.sandbox.nodes.releases import tag_of

_WISH = "prometheus.io/scrape"
_FINISHED = ("Succeeded", "Failed")


def path_of(namespace: str, pod: str) -> str:
    """Where a pod's page is."""
    return f"/pods/{namespace}/{pod}/metrics"


def targets(informers: Informers, address: str) -> list[Json]:
    """Every pod behind a Service, ready or not, and every other one whose annotation asks for it.

    Args:
        informers: where pods and Endpoints are seen.
        address: host and port of the pages.
    """
    found = {}
    for key, service in _behind_services(informers):
        pod = informers.pods.get(*key)
        if pod is not None and key not in found:
            found[key] = _target(pod, service, informers, address)
    for pod in informers.pods.list():
        if key_of(pod) not in found and _asks(pod):
            found[key_of(pod)] = _target(pod, "", informers, address)
    return list(found.values())


def _behind_services(informers: Informers) -> Iterator[tuple[Key, str]]:
    for endpoints in informers.endpoints.list():
        service = endpoints["metadata"]["name"]
        for subset in endpoints.get("subsets") or ():
            for part in ("addresses", "notReadyAddresses"):
                for address in subset.get(part) or ():
                    target = address.get("targetRef") or {}
                    if target.get("kind") == "Pod":
                        yield (target["namespace"], target["name"]), service


def _asks(pod: Json) -> bool:
    wish = pod["metadata"].get("annotations", {}).get(_WISH)
    status = pod.get("status", {})
    return wish == "true" and bool(status.get("podIP")) and status.get("phase") not in _FINISHED


def _target(pod: Json, service: str, informers: Informers, address: str) -> Json:
    namespace, name = key_of(pod)
    labels = {
        "__metrics_path__": path_of(namespace, name),
        "instance": _instance(pod),
        "namespace": namespace,
        "pod": name,
        "service": service,
        "deployment": _deployment(pod, informers),
        "version": tag_of(pod["spec"]["containers"][0]["image"]),
        "node": pod["spec"].get("nodeName", ""),
    }
    return {"targets": [address], "labels": {key: labels[key] for key in labels if labels[key]}}


def _instance(pod: Json) -> str:
    """Address and port inside the cluster, as a Prometheus there would know the pod by."""
    ports = pod["spec"]["containers"][0].get("ports") or [{}]
    address = pod.get("status", {}).get("podIP", "")
    return f"{address}:{ports[0].get('containerPort', 80)}" if address else ""


def _deployment(pod: Json, informers: Informers) -> str:
    """The Deployment above the pod's ReplicaSet, or ""."""
    owner = controller_of(pod)
    if owner is None or owner["kind"] != "ReplicaSet":
        return ""
    replica_set = informers.replica_sets.get(pod["metadata"]["namespace"], owner["name"])
    above = controller_of(replica_set) if replica_set is not None else None
    return str(above["name"]) if above is not None else ""
