"""One container of a pod, as far as its status goes. No API, no timers; times are arguments."""

from __future__ import annotations

import hashlib
from dataclasses import dataclass, field
from datetime import datetime
from enum import Enum

from veza_nb.sandbox.apimachinery.status import Json
from veza_nb.sandbox.clock import timestamp
from veza_nb.sandbox.nodes.behaviors import Behavior
from veza_nb.sandbox.nodes.releases import image_id

CREATING = "ContainerCreating"
INITIALIZING = "PodInitializing"
_NEVER = "1970-01-01T00:00:00Z"


class Role(Enum):
    """What a container is there for."""

    MAIN = "main"
    INIT = "init"
    SIDECAR = "sidecar"


@dataclass(frozen=True, slots=True)
class Exit:
    """How a run ended."""

    code: int = 0
    reason: str = ""
    message: str = ""

    def named(self) -> str:
        """The reason, made up from the code where none was given."""
        return self.reason or ("Error" if self.code else "Completed")


KILLED = Exit(137, "Error")
"""By SIGKILL."""
LOST = Exit(
    137,
    "ContainerStatusUnknown",
    "The container could not be located when the pod was terminated",
)
"""Gone together with the kubelet that ran it."""


@dataclass(slots=True)
class Container:
    """One container's state, and what is remembered of its runs."""

    name: str
    image: str
    behavior: Behavior
    role: Role = Role.MAIN
    restart_policy: str = "Always"
    pushes: int = 0
    state: Json = field(default_factory=lambda: {"waiting": {"reason": CREATING}})
    last_state: Json = field(default_factory=dict)
    ready: bool = False
    started: bool = False
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

    @property
    def has_failed(self) -> bool:
        """Whether its latest run that has ended ended badly."""
        ended = self.terminated or self.last_state.get("terminated") or {}
        return bool(ended.get("exitCode"))

    @property
    def is_over(self) -> bool:
        """Whether it has ended and will not be started again."""
        ended = self.terminated
        if ended is None:
            return False
        never = self.restart_policy == "Never"
        return never or (self.restart_policy == "OnFailure" and not ended["exitCode"])

    @property
    def is_initialized(self) -> bool:
        """For one of the init containers: whether the next may begin."""
        if self.role is Role.SIDECAR:
            return self.started
        return self.terminated is not None and not self.terminated["exitCode"]

    def wait(self, reason: str, message: str = "") -> None:
        """Wait for something; how the latest run ended moves to the last state."""
        self._remember_end()
        self.state = {"waiting": {"reason": reason, **({"message": message} if message else {})}}
        self.ready = self.started = False

    def run(self, now: datetime) -> None:
        """Begin a run."""
        self._remember_end()
        self.runs += 1
        self.state = {"running": {"startedAt": timestamp(now)}}

    def end(self, pod_uid: str, ended: Exit, now: datetime) -> None:
        """End the run, or the attempt to begin one."""
        running = self.state.get("running")
        if running is None:
            self.runs += 1
        finished = timestamp(now)
        self.state = {
            "terminated": {
                "exitCode": ended.code,
                "reason": ended.named(),
                **({"message": ended.message} if ended.message else {}),
                "startedAt": running["startedAt"] if running is not None else _NEVER,
                "finishedAt": finished,
                "containerID": self.container_id(pod_uid),
            }
        }
        self.started = False
        self.ready = self.role is Role.INIT and not ended.code

    def container_id(self, pod_uid: str) -> str:
        """The runtime's name for the latest run; the same for the same run."""
        seed = f"{pod_uid}/{self.name}/{self.runs}"
        return f"containerd://{hashlib.sha256(seed.encode()).hexdigest()}"

    def status(self, pod_uid: str) -> Json:
        """The entry in `containerStatuses` or `initContainerStatuses`."""
        result: Json = {
            "name": self.name,
            "state": self.state,
            "lastState": self.last_state,
            "ready": self.ready,
            "restartCount": self.restarts,
            "image": self.image,
            "imageID": image_id(self.image, self.pushes) if self.runs else "",
        }
        if self.runs:
            result["containerID"] = self.container_id(pod_uid)
        result["started"] = self.running and self.started
        return result

    def _remember_end(self) -> None:
        if self.terminated is not None:
            self.last_state = self.state
