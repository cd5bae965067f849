"""What pods and their containers say of themselves."""

from __future__ import annotations

from collections.abc import Iterator

from veza_nb.sandbox.apimachinery import quantity
from veza_nb.sandbox.apimachinery.status import Json
from veza_nb.sandbox.controllers.informer import controller_of
from veza_nb.sandbox.metrics.exposition import Sample
from veza_nb.sandbox.metrics.reading import (
    Reader,
    Row,
    identity,
    moment,
    one_condition,
    owner,
    value_at,
)

_PHASES = ("Pending", "Running", "Succeeded", "Failed", "Unknown")
_UNITS = {"cpu": "core", "memory": "byte"}


def _info(pod: Json) -> Iterator[Sample]:
    by = controller_of(pod) or {}
    status = pod.get("status", {})
    labels = {
        "node": pod["spec"].get("nodeName", ""),
        "pod_ip": status.get("podIP", ""),
        "host_ip": status.get("hostIP", ""),
        "created_by_kind": by.get("kind", ""),
        "created_by_name": by.get("name", ""),
        "uid": pod["metadata"]["uid"],
    }
    yield Sample(1, {**identity("pod", pod), **labels})


def _phase(pod: Json) -> Iterator[Sample]:
    present = pod.get("status", {}).get("phase", "Unknown")
    for phase in _PHASES:
        yield Sample(phase == present, {**identity("pod", pod), "phase": phase})


def _containers(pod: Json) -> Iterator[tuple[dict[str, str], Json]]:
    """The status of each container, with the labels that name it."""
    for status in pod.get("status", {}).get("containerStatuses") or ():
        yield {**identity("pod", pod), "container": status["name"]}, status


def _of_container(path: str) -> Reader:
    """Read a number, or a switch, from the status of each container."""

    def read(pod: Json) -> Iterator[Sample]:
        for labels, status in _containers(pod):
            value = value_at(status, path)
            yield Sample(float(value) if isinstance(value, int) else value is not None, labels)

    return read


def _reason(path: str) -> Reader:
    """Read why a container is in a state; nothing for those that are not."""

    def read(pod: Json) -> Iterator[Sample]:
        for labels, status in _containers(pod):
            found = value_at(status, path)
            if isinstance(found, dict):
                yield Sample(1, {**labels, "reason": found.get("reason", "")})

    return read


def _image(pod: Json) -> Iterator[Sample]:
    for labels, status in _containers(pod):
        named = {"image": status["image"], "image_id": status.get("imageID", "")}
        yield Sample(1, {**labels, **named})


def _resources(which: str) -> Reader:
    def read(pod: Json) -> Iterator[Sample]:
        for spec in pod["spec"]["containers"]:
            for name, amount in spec.get("resources", {}).get(which, {}).items():
                labels = {"container": spec["name"], "node": pod["spec"].get("nodeName", "")}
                labels |= {"resource": name, "unit": _UNITS.get(name, "integer")}
                yield Sample(float(quantity.parse(amount)), {**identity("pod", pod), **labels})

    return read


_STATE = "kube_pod_container_status"
PODS = (
    Row("kube_pod_info", "Where a pod is.", _info),
    Row("kube_pod_owner", "Who controls a pod.", owner("pod")),
    Row("kube_pod_created", "When it was created.", moment("pod", "metadata.creationTimestamp")),
    Row("kube_pod_start_time", "When its node took it.", moment("pod", "status.startTime")),
    Row(
        "kube_pod_deletion_timestamp",
        "When it is to be gone.",
        moment("pod", "metadata.deletionTimestamp"),
    ),
    Row("kube_pod_status_phase", "Its phase: the one with 1.", _phase),
    Row("kube_pod_status_ready", "Whether it is ready.", one_condition("pod", "Ready")),
    Row(
        "kube_pod_status_scheduled",
        "Whether it has a node.",
        one_condition("pod", "PodScheduled"),
    ),
    Row("kube_pod_container_info", "The image of a container.", _image),
    Row(
        f"{_STATE}_restarts_total",
        "How often a container was restarted.",
        _of_container("restartCount"),
        "counter",
    ),
    Row(f"{_STATE}_ready", "Whether a container is ready.", _of_container("ready")),
    Row(f"{_STATE}_running", "Whether a container runs.", _of_container("state.running")),
    Row(f"{_STATE}_waiting", "Whether a container waits.", _of_container("state.waiting")),
    Row(f"{_STATE}_waiting_reason", "Why a container waits.", _reason("state.waiting")),
    Row(
        f"{_STATE}_terminated",
        "Whether a container has ended.",
        _of_container("state.terminated"),
    ),
    Row(f"{_STATE}_terminated_reason", "Why a container ended.", _reason("state.terminated")),
    Row(
        f"{_STATE}_last_terminated_reason",
        "Why the run before ended.",
        _reason("lastState.terminated"),
    ),
    Row("kube_pod_container_resource_requests", "What a container asks.", _resources("requests")),
    Row("kube_pod_container_resource_limits", "What it may take.", _resources("limits")),
)
