"""The processes in pods: what each takes of its node, as its release, its age and its load say."""

from __future__ import annotations

import math
from collections.abc import Callable, Iterator
from dataclasses import dataclass
from datetime import datetime

from veza_nb.sandbox.apimachinery import quantity
from veza_nb.sandbox.apimachinery.status import Json
from veza_nb.sandbox.clock import Clock, parse_timestamp
from veza_nb.sandbox.metrics import rhythm
from veza_nb.sandbox.metrics.profiles import Profile, profile
from veza_nb.sandbox.metrics.traffic import Load, Mood, Traffic
from veza_nb.sandbox.nodes.behaviors import Behavior

_WARM_SECONDS = 600.0
_BREATH_SECONDS = 37.0
_FULL = 0.85
_NEARLY_ALL = 0.98
"""Of its limit: what a process that does not leak never exceeds."""


@dataclass(frozen=True, slots=True)
class Process:
    """A container that runs, and what it takes.

    Attributes:
        name: of the container.
        image: as the pod's spec has it.
        behavior: of its release.
        started: when.
        age: seconds since then.
        loads: what Services send to it; only the first container of a pod has any.
        cpu_seconds: core-seconds taken since its start.
        cores: taken right now.
        memory: bytes held.
    """

    name: str
    image: str
    behavior: Behavior
    started: datetime
    age: float
    loads: tuple[Load, ...]
    cpu_seconds: float
    cores: float
    memory: int


class Processes:
    """What runs in pods.

    Args:
        clock: the cluster's time.
        traffic: what pods are asked for.
        behavior: of an image.
    """

    def __init__(self, clock: Clock, traffic: Traffic, behavior: Callable[[str], Behavior]) -> None:
        self._clock = clock
        self._traffic = traffic
        self._behavior = behavior

    def of(self, pod: Json) -> Iterator[Process]:
        """The running processes of a pod, in the order of its containers."""
        statuses = {
            status["name"]: status for status in pod.get("status", {}).get("containerStatuses", ())
        }
        for number, spec in enumerate(pod["spec"]["containers"]):
            running = statuses.get(spec["name"], {}).get("state", {}).get("running")
            if running:
                started = parse_timestamp(running["startedAt"])
                yield self._process(pod, spec, started, serves=number == 0)

    def _process(self, pod: Json, spec: Json, started: datetime, *, serves: bool) -> Process:
        behavior, uid = self._behavior(spec["image"]), pod["metadata"]["uid"]
        age = max(0.0, (self._clock.now() - started).total_seconds() * self._clock.rate)
        loads = self._traffic.loads(pod, mood(behavior, age)) if serves else []
        own = profile(loads[0].service if loads else "")
        limits = spec.get("resources", {}).get("limits", {})
        most = _amount(limits, "cpu")
        cost = own.cpu * behavior.cpu_factor
        idle = own.idle * (0.9 + 0.2 * rhythm.chance(f"{uid}/cpu"))
        return Process(
            spec["name"],
            spec["image"],
            behavior,
            started,
            age,
            tuple(loads),
            min(idle * age + cost * sum(load.total for load in loads), most * age),
            min(idle + cost * sum(load.rate for load in loads), most),
            memory(own, behavior, age, _amount(limits, "memory"), uid),
        )


def mood(behavior: Behavior, age: float) -> Mood:
    """How a release takes requests at an age in seconds."""
    if behavior.hangs(age):
        return Mood(answers=False)
    return Mood(1.0 if behavior.is_broken(age) else behavior.error_rate, behavior.latency_seconds)


def memory(serves: Profile, behavior: Behavior, age: float, limit: float, seed: str) -> int:
    """Bytes that a process holds; one that is to die of its memory is at its limit by then.

    Args:
        serves: what it does.
        behavior: of its release.
        age: seconds since its start.
        limit: of its container, bytes; infinity where there is none.
        seed: tells processes of one kind apart.
    """
    if behavior.exit_reason == "OOMKilled" and behavior.runs_seconds:
        top = limit if limit < math.inf else 4 * serves.memory
        start = min(serves.memory, top / 3)
        return int(start + (top - start) * min(1.0, age / behavior.runs_seconds))
    own = 0.94 + 0.12 * rhythm.chance(f"{seed}/memory")
    warm = 1 + 0.1 * (1 - math.exp(-age / _WARM_SECONDS))
    breath = 1 + 0.01 * math.sin(math.tau * age / _BREATH_SECONDS)
    most = _FULL if behavior.memory_factor <= 1 else _NEARLY_ALL
    return int(min(serves.memory * behavior.memory_factor * own * warm * breath, most * limit))


def _amount(limits: Json, resource: str) -> float:
    return float(quantity.parse(limits[resource])) if resource in limits else math.inf
