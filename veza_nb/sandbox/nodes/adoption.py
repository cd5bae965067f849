"""What a kubelet that has just begun reads from the status of a pod that runs already.

The API is the only memory: what a status does not tell, such as how often in a row a pull has
failed, begins anew, as after the restart of a real kubelet. Pure.
"""

from __future__ import annotations

from datetime import datetime

from veza_nb.sandbox.apimachinery.status import Json
from veza_nb.sandbox.clock import parse_timestamp
from veza_nb.sandbox.nodes.backoff import back_off_seconds
from veza_nb.sandbox.nodes.containers import Container

_CRASH_LOOP = "CrashLoopBackOff"


def has_begun(item: Json) -> bool:
    """Whether a kubelet has worked on this pod before."""
    status = item.get("status", {})
    return bool(status.get("startTime") and status.get("containerStatuses"))


def entries(item: Json) -> dict[str, Json]:
    """The statuses of a pod's containers, by name."""
    status = item["status"]
    every = [*status.get("initContainerStatuses", ()), *status["containerStatuses"]]
    return {entry["name"]: entry for entry in every}


def take_over(container: Container, entry: Json) -> None:
    """Bring a container to the state that its status tells."""
    container.state, container.last_state = entry["state"], entry.get("lastState") or {}
    container.ready = bool(entry.get("ready"))
    container.started = bool(entry.get("started"))
    container.runs = entry.get("restartCount", 0) + 1 if entry.get("containerID") else 0
    container.failures = container.restarts
    if is_backing_off(container):
        container.failures += 1


def is_backing_off(container: Container) -> bool:
    """Whether it waits to be started again after a crash."""
    return bool(container.state.get("waiting", {}).get("reason") == _CRASH_LOOP)


def age(container: Container, now: datetime, rate: float) -> float:
    """For how many cluster seconds a running container has been running; `rate` is the clock's."""
    since = parse_timestamp(container.state["running"]["startedAt"])
    return max((now - since).total_seconds() * rate, 0.0)


def back_off_left(container: Container, now: datetime, rate: float) -> float:
    """How many cluster seconds are left until a crashed container starts again."""
    ended = container.last_state.get("terminated")
    if ended is None:
        return 0.0
    passed = (now - parse_timestamp(ended["finishedAt"])).total_seconds() * rate
    return max(back_off_seconds(container.restarts) - max(passed, 0.0), 0.0)
