"""What nodes measure of their containers, under the names that kubelets give it."""

from __future__ import annotations

from collections.abc import Callable, Iterable, Iterator

from veza_nb.sandbox.apimachinery.status import Json
from veza_nb.sandbox.controllers.informer import key_of
from veza_nb.sandbox.metrics.exposition import Family, Sample
from veza_nb.sandbox.metrics.processes import Process, Processes

_ROWS: tuple[tuple[str, str, str, Callable[[Process], float]], ...] = (
    (
        "container_cpu_usage_seconds_total",
        "counter",
        "Core-seconds taken.",
        lambda process: process.cpu_seconds,
    ),
    (
        "container_memory_working_set_bytes",
        "gauge",
        "Memory held.",
        lambda process: process.memory,
    ),
    (
        "container_start_time_seconds",
        "gauge",
        "When it began, in seconds since 1970.",
        lambda process: process.started.timestamp(),
    ),
)


def families(pods: Iterable[Json], processes: Processes) -> Iterator[Family]:
    """The families of all running containers; samples are measured while they are rendered."""
    present = tuple(pods)
    for name, kind, help_, measure in _ROWS:
        yield Family(name, kind, help_, _samples(present, processes, measure))


def _samples(
    pods: Iterable[Json], processes: Processes, measure: Callable[[Process], float]
) -> Iterator[Sample]:
    for pod in pods:
        namespace, name = key_of(pod)
        for process in processes.of(pod):
            labels = {
                "namespace": namespace,
                "pod": name,
                "container": process.name,
                "node": pod["spec"]["nodeName"],
                "image": process.image,
            }
            yield Sample(measure(process), labels)
