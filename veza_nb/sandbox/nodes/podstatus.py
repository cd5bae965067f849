"""What a kubelet reports about a pod as a whole: its phase and its conditions. Pure."""

from __future__ import annotations

from collections.abc import Iterable, Sequence
from datetime import datetime

from veza_nb.sandbox.apimachinery.status import Json
from veza_nb.sandbox.clock import timestamp
from veza_nb.sandbox.nodes.containers import Container, Role

FINISHED = ("Succeeded", "Failed")


def phase(
    inits: Sequence[Container], containers: Sequence[Container], *, is_stopped: bool = False
) -> str:
    """The pod's phase.

    Args:
        inits: its init containers in their order.
        containers: all others of the pod's.
        is_stopped: whether all have been ended for good, whatever their restart policy says.
    """
    for init in inits:
        if not init.is_initialized and not (init.role is Role.SIDECAR and init.runs):
            lost = init.role is Role.INIT and init.is_over
            return "Failed" if lost else "Pending"
    if any(not container.runs for container in containers):
        return "Pending"
    if not is_stopped and not all(container.is_over for container in containers):
        return "Running"
    return "Failed" if any(container.has_failed for container in containers) else "Succeeded"


def conditions(
    inits: Sequence[Container],
    containers: Sequence[Container],
    phase: str,
    before: Iterable[Json],
    *,
    started: bool,
    now: datetime,
) -> list[Json]:
    """The pod's conditions; a time moves only where a status changes.

    Args:
        inits: its init containers.
        containers: all others of the pod's.
        phase: of the pod.
        before: the conditions up to now; those of others (the scheduler's) stay.
        started: whether the pod has its network, so that containers can start.
        now: aware UTC.
    """
    done = {"Succeeded": {"reason": "PodCompleted"}, "Failed": {"reason": "PodFailed"}}.get(phase)
    waiting = [init.name for init in inits if not init.is_initialized]
    waiting = [] if phase == "Succeeded" else waiting
    serving = [*(init for init in inits if init.role is Role.SIDECAR), *containers]
    unready = [container.name for container in serving if not container.ready]
    why = done or _names("ContainersNotReady", "unready", unready)
    incomplete = _names("ContainersNotInitialized", "incomplete", waiting)
    completed = (done or {}) if phase == "Succeeded" else {}
    is_ready = not unready and done is None
    wanted: list[tuple[str, bool, Json]] = [
        ("PodReadyToStartContainers", started and done is None, {}),
        ("Initialized", not waiting, incomplete if waiting else completed),
        ("Ready", is_ready, {} if is_ready else why),
        ("ContainersReady", is_ready, {} if is_ready else why),
    ]
    known = {condition["type"]: condition for condition in before}
    ours = [_condition(kind, value, why, known.get(kind), now) for kind, value, why in wanted]
    names = {condition["type"] for condition in ours}
    return ours + [condition for kind, condition in known.items() if kind not in names]


def _names(reason: str, what: str, names: Sequence[str]) -> Json:
    return {"reason": reason, "message": f"containers with {what} status: [{' '.join(names)}]"}


def _condition(kind: str, value: bool, why: Json, before: Json | None, now: datetime) -> Json:
    same = before is not None and before["status"] == str(value)
    since = before["lastTransitionTime"] if same and before is not None else timestamp(now)
    return {
        "type": kind,
        "status": str(value),
        "lastProbeTime": None,
        "lastTransitionTime": since,
        **why,
    }
