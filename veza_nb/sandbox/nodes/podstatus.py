"""What a kubelet reports about a pod: container states, conditions, phase, back-off.

Pure but for the small records it keeps per container: no API, no timers, the time is an argument.
"""

from __future__ import annotations

import hashlib
from collections.abc import Iterable, Sequence
from dataclasses import dataclass, field
from datetime import datetime

from veza_nb.sandbox.apimachinery.status import Json
from veza_nb.sandbox.clock import timestamp
from veza_nb.sandbox.nodes.releases import Behavior, image_id

_NOMINAL_FIRST, _NOMINAL_LAST = 10, 300
_REAL_FIRST, _REAL_LAST = 1.0, 15.0
_SECONDS_PER_MINUTE = 60


def nominal_back_off(failures: int) -> str:
    """The back-off a kubelet names after so many failures in a row (1, 2, …), as Go prints it."""
    seconds = min(_NOMINAL_FIRST * 2 ** max(failures - 1, 0), _NOMINAL_LAST)
    minutes, rest = divmod(seconds, _SECONDS_PER_MINUTE)
    return f"{minutes}m{rest}s" if minutes else f"{rest}s"


def back_off_seconds(failures: int) -> float:
    """How long this cluster really waits: the same doubling, compressed for training."""
    doubled: float = _REAL_FIRST * 2 ** max(failures - 1, 0)
    return min(doubled, _REAL_LAST)


def pull_error(image: str) -> str:
    """What a container runtime says of an image that its registry does not have."""
    return (
        f'rpc error: code = NotFound desc = failed to pull and unpack image "{image}": '
        f'failed to resolve reference "{image}": {image}: not found'
    )


@dataclass(slots=True)
class Container:
    """One container of a pod, as far as its status goes."""

    name: str
    image: str
    behavior: Behavior
    state: Json = field(default_factory=lambda: {"waiting": {"reason": "ContainerCreating"}})
    last_state: Json = field(default_factory=dict)
    ready: bool = False
    runs: int = 0
    failures: int = 0

    @property
    def restarts(self) -> int:
        """`restartCount`: runs after the first."""
        return max(self.runs - 1, 0)

    @property
    def running(self) -> bool:
        """Whether it runs now."""
        return "running" in self.state

    @property
    def terminated(self) -> Json | None:
        """How its latest run ended, if it has ended and nothing came after."""
        ended: Json | None = self.state.get("terminated")
        return ended

    def wait(self, reason: str, message: str = "") -> None:
        """Wait for something; how the latest run ended moves to the last state."""
        self._remember_end()
        self.state = {"waiting": {"reason": reason, **({"message": message} if message else {})}}
        self.ready = False

    def run(self, now: datetime) -> None:
        """Begin a run."""
        self._remember_end()
        self.runs += 1
        self.state = {"running": {"startedAt": timestamp(now)}}

    def end(self, pod_uid: str, now: datetime) -> None:
        """End the run as the behaviour says."""
        self.state = {
            "terminated": {
                "exitCode": self.behavior.exit_code,
                "reason": self.behavior.exit_reason if self.behavior.exit_code else "Completed",
                "startedAt": self.state["running"]["startedAt"],
                "finishedAt": timestamp(now),
                "containerID": self.container_id(pod_uid),
            }
        }
        self.ready = False

    def container_id(self, pod_uid: str) -> str:
        """The runtime's name for the latest run; the same for the same run."""
        seed = f"{pod_uid}/{self.name}/{self.runs}"
        return f"containerd://{hashlib.sha256(seed.encode()).hexdigest()}"

    def status(self, pod_uid: str) -> Json:
        """The entry in `containerStatuses`."""
        result: Json = {
            "name": self.name,
            "state": self.state,
            "lastState": self.last_state,
            "ready": self.ready,
            "restartCount": self.restarts,
            "image": self.image,
            "imageID": image_id(self.image) if self.runs else "",
        }
        if self.runs:
            result["containerID"] = self.container_id(pod_uid)
        result["started"] = self.running
        return result

    def _remember_end(self) -> None:
        if self.terminated is not None:
            self.last_state = self.state


def phase(containers: Sequence[Container], restart_policy: str) -> str:
    """The pod's phase."""
    if any(not container.runs for container in containers):
        return "Pending"
    ends = [container.terminated for container in containers]
    final = [end for end in ends if end is not None and _is_final(end, restart_policy)]
    if len(final) < len(containers):
        return "Running"
    return "Failed" if any(end["exitCode"] for end in final) else "Succeeded"


def _is_final(end: Json, restart_policy: str) -> bool:
    return restart_policy == "Never" or (restart_policy == "OnFailure" and not end["exitCode"])


def may_restart(container: Container, restart_policy: str) -> bool:
    """Whether an ended container is started again."""
    return container.terminated is not None and not _is_final(container.terminated, restart_policy)


def conditions(
    containers: Sequence[Container], before: Iterable[Json], started: bool, now: datetime
) -> list[Json]:
    """The pod's conditions; a time moves only where a status changes.

    Args:
        containers: all of the pod's.
        before: the conditions up to now; those of others (the scheduler's) stay.
        started: whether the pod has its network, so that containers can start.
        now: aware UTC.
    """
    unready = [container.name for container in containers if not container.ready]
    why: Json = {}
    if unready:
        message = f"containers with unready status: [{' '.join(unready)}]"
        why = {"reason": "ContainersNotReady", "message": message}
    wanted: list[tuple[str, bool, Json]] = [
        ("PodReadyToStartContainers", started, {}),
        ("Initialized", True, {}),
        ("Ready", not unready, why),
        ("ContainersReady", not unready, why),
    ]
    known = {condition["type"]: condition for condition in before}
    ours = [_condition(kind, value, why, known.get(kind), now) for kind, value, why in wanted]
    names = {condition["type"] for condition in ours}
    return ours + [condition for kind, condition in known.items() if kind not in names]


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
