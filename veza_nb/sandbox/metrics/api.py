"""`metrics.k8s.io`: what `kubectl top` and autoscalers read.

Usage is looked at in rounds, as a metrics server does: what is younger than its first round is not
there yet.
"""

from __future__ import annotations

import math
from collections.abc import Iterable, Iterator
from datetime import UTC, datetime, timedelta
from typing import Any

from veza_nb.sandbox.apimachinery import selectors, status
from veza_nb.sandbox.apimachinery.kinds import Resource
from veza_nb.sandbox.apimachinery.quantity import parse
from veza_nb.sandbox.apimachinery.status import Json
from veza_nb.sandbox.apiserver.calls import Call
from veza_nb.sandbox.apiserver.messages import Response
from veza_nb.sandbox.apiserver.negotiation import negotiate
from veza_nb.sandbox.clock import Clock, timestamp
from veza_nb.sandbox.controllers.base import Informers
from veza_nb.sandbox.controllers.informer import Informer, key_of
from veza_nb.sandbox.metrics import rhythm
from veza_nb.sandbox.metrics.processes import Processes

GROUP, VERSION = "metrics.k8s.io", "v1beta1"
ROUND_SECONDS = 15.0
"""Between two looks at everything, in cluster seconds."""
FIRST_SECONDS = 10.0
"""How long a container must have been running to be seen by a round."""
_SYSTEM_CORES, _SYSTEM_BYTES = 0.21, 1_450_000_000
_READ = ("get", "list")


class MetricsApi:
    """Answers `metrics.k8s.io/v1beta1`.

    Args:
        clock: the cluster's time.
        informers: where pods and nodes are seen.
        processes: what runs in pods.
    """

    group, version = GROUP, VERSION
    resources: tuple[Resource, ...] = (
        Resource(GROUP, VERSION, "nodes", "NodeMetrics", "", namespaced=False, verbs=_READ),
        Resource(GROUP, VERSION, "pods", "PodMetrics", "", verbs=_READ),
    )

    def __init__(self, clock: Clock, informers: Informers, processes: Processes) -> None:
        self._clock = clock
        self._informers = informers
        self._processes = processes

    def answer(self, call: Call) -> Response:
        """Answer a get or a list, as objects or as a Table.

        Raises:
            ApiError: 404 for what is not measured, 400 for broken selectors.
        """
        form = negotiate(call.request.headers.get("accept", ""))
        about_pods = call.resource.plural == "pods"
        informer = self._informers.pods if about_pods else self._informers.nodes
        measure = self._pod if about_pods else self._node
        if call.target.verb == "get":
            chosen: Iterable[Json] = _one(informer, call)
        else:
            chosen = _chosen(informer, call)
        measured = [found for item in chosen if (found := measure(item)) is not None]
        if form.transform == "Table":
            return Response(document=_table(measured, form.version))
        if call.target.verb == "list":
            items = [{name: each[name] for name in each if name not in _TYPE} for each in measured]
            kind = {"kind": f"{call.resource.kind}List", "apiVersion": call.resource.api_version}
            return Response(document={**kind, "metadata": {}, "items": items})
        if not measured:
            raise _not_measured(call)
        return Response(document=measured[0])

    def cores(self, pod: Json) -> float | None:
        """The CPU cores that a pod takes, as is answered here; None while it is not measured."""
        found = self._pod(pod)
        if found is None:
            return None
        return float(sum(parse(each["usage"]["cpu"]) for each in found["containers"]))

    def _pod(self, pod: Json) -> Json | None:
        """What a pod takes; None unless a round has seen each of its containers."""
        at, since = self._round()
        containers = []
        for process in self._processes.of(pod):
            if process.age < since + FIRST_SECONDS:
                return None
            drift = _drift(f"{pod['metadata']['uid']}/{process.name}", at)
            usage = _usage(process.cores * drift, process.memory)
            containers.append({"name": process.name, "usage": usage})
        if len(containers) < len(pod["spec"]["containers"]):
            return None
        return {**self._head("PodMetrics", pod, at), "containers": containers}

    def _node(self, node: Json) -> Json:
        """What all pods of a node take, and the system below them."""
        name, (at, _) = node["metadata"]["name"], self._round()
        cores = _SYSTEM_CORES * _drift(name, at)
        memory = int(_SYSTEM_BYTES * (0.95 + 0.1 * rhythm.chance(name)))
        for pod in self._informers.pods.list():
            if pod["spec"].get("nodeName") == name:
                for process in self._processes.of(pod):
                    cores += process.cores
                    memory += process.memory
        return {**self._head("NodeMetrics", node, at), "usage": _usage(cores, memory)}

    def _head(self, kind: str, item: Json, at: datetime) -> Json:
        namespace, name = key_of(item)
        metadata: Json = {"name": name}
        if namespace:
            metadata["namespace"] = namespace
        metadata["creationTimestamp"] = timestamp(self._clock.now())
        if item["metadata"].get("labels"):
            metadata["labels"] = item["metadata"]["labels"]
        head: Json = {"kind": kind, "apiVersion": f"{GROUP}/{VERSION}", "metadata": metadata}
        window = ROUND_SECONDS - 0.5 + rhythm.chance(f"{name}/window")
        return head | {"timestamp": timestamp(at), "window": f"{window:.3f}s"}

    def _round(self) -> tuple[datetime, float]:
        """The date of the last round, and cluster seconds since."""
        now = self._clock.monotonic()
        since = now - math.floor(now / ROUND_SECONDS) * ROUND_SECONDS
        return self._clock.now() - timedelta(seconds=since / self._clock.rate), since


_TYPE = ("kind", "apiVersion")


def _one(informer: Informer, call: Call) -> Iterator[Json]:
    found = informer.get(call.target.namespace, call.target.name)
    if found is None:
        raise _not_measured(call)
    yield found


def _chosen(informer: Informer, call: Call) -> list[Json]:
    labels = selectors.label_selector(call.query.get("labelSelector", ""))
    fields = selectors.field_selector(call.query.get("fieldSelector", ""))
    space = call.target.namespace
    inside = informer.select("namespace", space) if space else informer.list()
    found = [
        item
        for item in inside
        if labels.matches(item["metadata"].get("labels")) and selectors.fields_match(item, fields)
    ]
    return sorted(found, key=key_of)


def _not_measured(call: Call) -> status.ApiError:
    target = call.target
    name = f"{target.namespace}/{target.name}" if target.namespace else target.name
    return status.not_found(call.resource.kind.lower(), GROUP, name)


def _usage(cores: float, memory: int) -> Json:
    return {"cpu": f"{math.ceil(cores * 1e9)}n", "memory": f"{memory // 1024}Ki"}


def _drift(seed: str, at: datetime) -> float:
    """Near 1: no two rounds measure quite the same."""
    moment = int(at.astimezone(UTC).timestamp() // ROUND_SECONDS)
    return 0.97 + 0.06 * rhythm.chance(f"{seed}/{moment}")


def _table(measured: list[Json], version: str) -> Json:
    columns = ("Name", "cpu", "memory", "window")
    return {
        "kind": "Table",
        "apiVersion": f"meta.k8s.io/{version}",
        "metadata": {},
        "columnDefinitions": [
            {"name": name, "type": "string", "format": "", "description": "", "priority": 0}
            | ({"format": "name"} if name == "Name" else {})
            for name in columns
        ],
        "rows": [{"cells": _cells(each), "object": _partial(each, version)} for each in measured],
    }


def _partial(measured: Json, version: str) -> Json:
    head = {"kind": "PartialObjectMetadata", "apiVersion": f"meta.k8s.io/{version}"}
    return {**head, "metadata": measured["metadata"]}


def _cells(measured: Json) -> list[Any]:
    usages = [each["usage"] for each in measured.get("containers", [measured])]
    cores = sum(int(usage["cpu"].removesuffix("n")) for usage in usages)
    memory = sum(int(usage["memory"].removesuffix("Ki")) for usage in usages)
    return [measured["metadata"]["name"], f"{cores}n", f"{memory}Ki", measured["window"]]
