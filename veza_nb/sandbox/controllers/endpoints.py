"""Endpoints and EndpointSlices: which pods stand behind a Service, and which of them are ready."""

from __future__ import annotations

from collections.abc import Iterable, Sequence

from veza_nb.sandbox.apimachinery.selectors import from_object
from veza_nb.sandbox.apimachinery.status import Json
from veza_nb.sandbox.apiserver.client import Client
from veza_nb.sandbox.clock import Clock
from veza_nb.sandbox.controllers.base import SERVICE_LABEL, Controller, Informers
from veza_nb.sandbox.controllers.conditions import is_true
from veza_nb.sandbox.controllers.informer import Key, key_of
from veza_nb.sandbox.controllers.podstates import is_finished
from veza_nb.sandbox.controllers.revisions import owner_reference

_MANAGED_BY = "endpointslice.kubernetes.io/managed-by"
_HEADLESS = "service.kubernetes.io/headless"
_SLICE_CONTROLLER = "endpointslice-controller.k8s.io"
_GATHER_SECONDS, _GATHER_SECONDS_PER_POD = 0.008, 300e-6
# The more pods behind a Service, the dearer its lists, and the more changes go into one.
_MAX_ADDRESSES = 1000
_MAX_PER_SLICE = 100


def backends(service: Json, pods: Iterable[Json]) -> list[Json]:
    """The pods a Service selects that have an address and are not finished, by name."""
    selector = service["spec"].get("selector")
    if not selector:
        return []
    matching = from_object({"matchLabels": selector})
    found = [
        pod
        for pod in pods
        if pod.get("status", {}).get("podIP")
        and not is_finished(pod)
        and matching.matches(pod["metadata"].get("labels"))
    ]
    return sorted(found, key=key_of)


def ports(service: Json, pod: Json) -> list[Json]:
    """The Service's ports with the numbers they have in this pod; unknown names are left out."""
    found = []
    for port in service["spec"].get("ports", []):
        number = _target(port, pod)
        if number is not None:
            named = {"name": port["name"]} if port.get("name") else {}
            found.append({**named, "port": number, "protocol": port.get("protocol", "TCP")})
    return found


def _target(port: Json, pod: Json) -> int | None:
    target = port.get("targetPort", port["port"])
    if isinstance(target, int):
        return target
    for container in pod["spec"]["containers"]:
        for offered in container.get("ports", []):
            if offered.get("name") == target:
                number: int = offered["containerPort"]
                return number
    return None


def _target_ref(pod: Json) -> Json:
    namespace, name = key_of(pod)
    return {"kind": "Pod", "namespace": namespace, "name": name, "uid": pod["metadata"]["uid"]}


def subsets(service: Json, pods: Sequence[Json]) -> list[Json]:
    """`subsets` of the Service's Endpoints."""
    alive = [pod for pod in pods if "deletionTimestamp" not in pod["metadata"]]
    if not alive:
        return []
    ready: list[Json] = []
    waiting: list[Json] = []
    anyway = bool(service["spec"].get("publishNotReadyAddresses"))
    for pod in alive[:_MAX_ADDRESSES]:
        address = {
            "ip": pod["status"]["podIP"],
            **_host_name(service, pod),
            "nodeName": pod["spec"]["nodeName"],
            "targetRef": _target_ref(pod),
        }
        (ready if anyway or is_true(pod["status"], "Ready") else waiting).append(address)
    lists = {"addresses": ready, "notReadyAddresses": waiting, "ports": ports(service, alive[0])}
    return [{name: value for name, value in lists.items() if value}]


def serving_pods(endpoints: Json | None) -> list[str]:
    """Names of the ready pods in an Endpoints object, in its order; none when there is none."""
    return [
        address["targetRef"]["name"]
        for subset in (endpoints or {}).get("subsets", [])
        for address in subset.get("addresses", [])
    ]


def is_headless(service: Json) -> bool:
    """Whether a Service has no address of its own, so that clients see its pods'."""
    return bool(service["spec"].get("clusterIP") == "None")


def _host_name(service: Json, pod: Json) -> Json:
    """The name that a pod has below its Service, as the pods of a StatefulSet have."""
    spec, metadata = pod["spec"], service["metadata"]
    if spec.get("hostname") and spec.get("subdomain") == metadata["name"]:
        return {"hostname": spec["hostname"]}
    return {}


def _labels(service: Json) -> dict[str, str]:
    """The labels that a Service hands on to its endpoints."""
    labels = dict(service["metadata"].get("labels", {}))
    return {**labels, _HEADLESS: ""} if is_headless(service) else labels


def slices(service: Json, pods: Sequence[Json]) -> list[list[Json]]:
    """`endpoints` of a Service's EndpointSlices, one list a slice; at least one slice."""
    endpoints = [_endpoint(service, pod) for pod in pods]
    starts = range(0, max(len(endpoints), 1), _MAX_PER_SLICE)
    return [endpoints[start : start + _MAX_PER_SLICE] for start in starts]


def _endpoint(service: Json, pod: Json) -> Json:
    terminating = "deletionTimestamp" in pod["metadata"]
    anyway = bool(service["spec"].get("publishNotReadyAddresses"))
    serving = anyway or is_true(pod["status"], "Ready")
    return {
        "addresses": [pod["status"]["podIP"]],
        "conditions": {
            "ready": serving and not terminating,
            "serving": serving,
            "terminating": terminating,
        },
        **_host_name(service, pod),
        "targetRef": _target_ref(pod),
        "nodeName": pod["spec"]["nodeName"],
    }


class EndpointsController(Controller):
    """Keeps one Endpoints object and the EndpointSlices of every Service with a selector."""

    def __init__(self, client: Client, clock: Clock, informers: Informers) -> None:
        super().__init__(clock)
        self._client = client
        self._informers = informers
        self._endpoints = informers.endpoints
        self._slices = informers.endpoint_slices
        self._sizes: dict[Key, int] = {}
        informers.services.on_change(self._service_changed)
        informers.pods.on_change(self._pod_changed)

    def sync(self, key: Key) -> None:
        """Bring the Endpoints and EndpointSlices of one Service up to date."""
        service = self._informers.services.get(*key)
        if service is None:
            self._remove(key)
            self._sizes.pop(key, None)
        elif service["spec"].get("selector"):
            pods = backends(service, self._informers.pods.select("namespace", key[0]))
            self._sizes[key] = len(pods)
            self._write_endpoints(service, pods)
            self._write_slices(service, pods)

    def _remove(self, key: Key) -> None:
        if self._endpoints.get(*key) is not None:
            self._client.delete("endpoints", *key)

    def _write_endpoints(self, service: Json, pods: Sequence[Json]) -> None:
        namespace, name = key_of(service)
        current = self._endpoints.get(namespace, name)
        wanted = subsets(service, pods)
        labels = _labels(service)
        known = current or {"metadata": {}}
        unchanged = known["metadata"].get("labels", {}), known.get("subsets", [])
        if current is not None and unchanged == (labels, wanted):
            return
        body: Json = {"apiVersion": "v1", "kind": "Endpoints", "metadata": {"name": name}}
        if labels:
            body["metadata"]["labels"] = labels
        if wanted:
            body["subsets"] = wanted
        if current is None:
            written = self._client.create("endpoints", namespace, body)
        else:
            written = self._client.update("endpoints", namespace, name, body)
        self._endpoints.observe(written)

    def _write_slices(self, service: Json, pods: Sequence[Json]) -> None:
        namespace, name = key_of(service)
        present = sorted(self._slices.select("service", f"{namespace}/{name}"), key=_first_pod)
        wanted = slices(service, pods)
        offered = [{"name": "", **port} for port in (ports(service, pods[0]) if pods else [])]
        for number, endpoints in enumerate(wanted):
            content: Json = {"endpoints": endpoints, "ports": offered}
            if number >= len(present):
                body = {**_slice(service), **content}
                self._slices.observe(self._client.create("endpointslices", namespace, body))
            elif any(present[number].get(part) != value for part, value in content.items()):
                body = {**present[number], **content}
                slice_name = body["metadata"]["name"]
                written = self._client.update("endpointslices", namespace, slice_name, body)
                self._slices.observe(written)
        for surplus in present[len(wanted) :]:
            self._client.delete("endpointslices", *key_of(surplus))

    def _service_changed(self, old: Json | None, new: Json | None) -> None:
        item = new or old
        if item is not None:
            self.queue.add(key_of(item))

    def _pod_changed(self, old: Json | None, new: Json | None) -> None:
        if old is not None and new is not None and _same_backend(old, new):
            return
        pod = new or old
        if pod is None:
            return
        for service in self._informers.services.select("namespace", pod["metadata"]["namespace"]):
            selector = service["spec"].get("selector")
            states = [state for state in (old, new) if state is not None]
            if selector and any(
                selector.items() <= state["metadata"].get("labels", {}).items() for state in states
            ):
                key = key_of(service)
                size = self._sizes.get(key, 0)
                self.queue.add_after(key, _GATHER_SECONDS + size * _GATHER_SECONDS_PER_POD)


def _same_backend(old: Json, new: Json) -> bool:
    """Whether a change of a pod cannot matter to any Service."""

    def relevant(pod: Json) -> tuple[object, ...]:
        status, metadata = pod.get("status", {}), pod["metadata"]
        return (
            metadata.get("labels"),
            "deletionTimestamp" in metadata,
            status.get("podIP"),
            status.get("phase"),
            is_true(status, "Ready"),
        )

    return relevant(old) == relevant(new)


def _first_pod(item: Json) -> tuple[bool, str]:
    """Sorts slices by what is in them, empty ones last, so that each keeps its pods."""
    endpoints = item.get("endpoints") or ()
    return not endpoints, endpoints[0]["targetRef"]["name"] if endpoints else ""


def _slice(service: Json) -> Json:
    namespace, name = key_of(service)
    return {
        "apiVersion": "discovery.k8s.io/v1",
        "kind": "EndpointSlice",
        "metadata": {
            "generateName": f"{name}-",
            "namespace": namespace,
            "labels": {
                **_labels(service),
                _MANAGED_BY: _SLICE_CONTROLLER,
                SERVICE_LABEL: name,
            },
            "ownerReferences": [owner_reference(service, "v1", "Service")],
        },
        "addressType": "IPv4",
    }
