"""What keeps pods from serving, read off their own status."""

from collections.abc import Collection, Iterator, Sequence
from dataclasses import dataclass
from datetime import datetime

from veza_nb.objects import ContainerStateTerminated, ContainerStatus, Event, Pod
from veza_nb.replicasets import condition
from veza_nb.words import one_line, utc

_STARTING = ("", "ContainerCreating", "PodInitializing")
_ENDED_PHASES = ("Succeeded", "Failed")
_HOPELESS = frozenset(
    {
        "CrashLoopBackOff",
        "ImagePullBackOff",
        "ErrImagePull",
        "ErrImageNeverPull",
        "InvalidImageName",
        "ImageInspectError",
        "CreateContainerConfigError",
        "CreateContainerError",
        "RunContainerError",
        "FailedCreate",
    }
)
_CRASHES_BEFORE_HOPELESS = 2
IMAGE_REASONS = frozenset(
    {"ImagePullBackOff", "ErrImagePull", "ErrImageNeverPull", "InvalidImageName"}
)
NODE_REASONS = frozenset(
    {
        "Evicted",
        "FailedCreatePodSandBox",
        "NodeAffinity",
        "NodeLost",
        "NodeShutdown",
        "OutOfcpu",
        "OutOfmemory",
        "OutOfpods",
        "Preempting",
        "UnexpectedAdmissionError",
    }
)
"""The node could not keep the pod, or not start it: not the program's fault as such."""
PLACEMENT_REASONS = NODE_REASONS | {"Unschedulable", "SchedulingGated", "FailedCreate"}
"""The cluster has no room or does not allow the pod: not the program's fault as such."""
READINESS_REASONS = frozenset({"Unhealthy", "ContainersNotReady"})
VOLUME_REASONS = frozenset({"FailedMount", "FailedAttachVolume"})
CONFIG_REASONS = VOLUME_REASONS | {
    "CreateContainerConfigError",
    "CreateContainerError",
    "RunContainerError",
}
"""The container cannot even be made or started."""
_LASTING = ("not found", "non-existent")
_HOLD_UP_START = VOLUME_REASONS | {"FailedCreatePodSandBox"}
INIT = "Init:"
"""How kubectl marks what an init container suffers."""


@dataclass(frozen=True, slots=True)
class Trouble:
    """What keeps one pod from serving.

    Attributes:
        pod: its name, or the ReplicaSet's where no pod could be made.
        container: "" where the whole pod suffers.
        reason: Kubernetes' word: "CrashLoopBackOff", "ImagePullBackOff", "Unschedulable", …
        detail: what Kubernetes says about it, one line.
        restarts: of that container so far.
        new: True for a pod of the live template, False for one of an older revision.
        init: an init container suffers it.
    """

    pod: str
    container: str
    reason: str
    detail: str
    restarts: int
    new: bool
    init: bool = False

    @property
    def word(self) -> str:
        """The reason as `kubectl get pods` shows it: `Init:CrashLoopBackOff`."""
        return f"{INIT}{self.reason}" if self.init else self.reason

    @property
    def hopeless(self) -> bool:
        """True where waiting alone will not cure it: a crash loop, an image that is not there.

        A first crash may be a program that waits for its database; a second is a loop.
        """
        if self.reason in _HOPELESS:
            return True
        if self.reason in VOLUME_REASONS:
            return any(word in self.detail for word in _LASTING)
        waits = self.reason in PLACEMENT_REASONS or self.reason in READINESS_REASONS
        return not waits and self.restarts >= _CRASHES_BEFORE_HOPELESS


def is_terminating(pod: Pod) -> bool:
    """True where the pod is being deleted."""
    return pod.metadata.deletion_timestamp is not None


def has_ended(pod: Pod) -> bool:
    """True where all its containers have ended for good: such a pod serves nobody."""
    return pod.status.phase in _ENDED_PHASES


def is_ready(pod: Pod) -> bool:
    """True where the pod takes traffic."""
    seen = condition(pod.status.conditions, "Ready")
    return seen is not None and seen.status == "True" and not has_ended(pod)


def container_statuses(pod: Pod) -> tuple[ContainerStatus, ...]:
    """Statuses of its containers, init containers first, as they start."""
    return (*pod.status.init_container_statuses, *pod.status.container_statuses)


def pod_troubles(
    pod: Pod, events: Sequence[Event], *, new: bool, overdue: bool = False
) -> tuple[Trouble, ...]:
    """What keeps this pod from serving; nothing for one that serves, ends or only starts.

    Args:
        pod: the pod.
        events: events of the workload.
        new: is it of the live template?
        overdue: the progress deadline has passed, so a pod that only starts is late too.
    """
    if is_terminating(pod) or is_ready(pod):
        return ()
    whole = _whole_pod(pod)
    if whole is not None:
        return (Trouble(pod.metadata.name, "", *whole, restarts=0, new=new),)
    found = tuple(
        Trouble(
            pod.metadata.name,
            status.name,
            *trouble,
            status.restart_count,
            new,
            init=_is_init(pod, status),
        )
        for status in container_statuses(pod)
        if (trouble := _container(pod, status)) is not None
    )
    if found:
        return found
    unready = _unready(pod, events, overdue=overdue)
    restarts = sum(status.restart_count for status in container_statuses(pod))
    return (Trouble(pod.metadata.name, "", *unready, restarts, new),) if unready else ()


def _whole_pod(pod: Pod) -> tuple[str, str] | None:
    """Reason and detail where the pod as a whole got nowhere: evicted, or no node takes it."""
    if has_ended(pod):
        ended = pod.status.phase == "Failed"
        return (pod.status.reason or "Failed", one_line(pod.status.message)) if ended else None
    scheduled = condition(pod.status.conditions, "PodScheduled")
    if scheduled is not None and scheduled.status == "False":
        return scheduled.reason or "Unschedulable", one_line(scheduled.message)
    return None


def _container(pod: Pod, status: ContainerStatus) -> tuple[str, str] | None:
    """Reason and detail where this container is the one that fails."""
    state, last = status.state, status.last_state.terminated
    if state.waiting is not None and state.waiting.reason not in _STARTING:
        killed = last is not None and last.reason == "OOMKilled"
        reason = "OOMKilled" if killed else state.waiting.reason
        # The kubelet goes on with the pod's name and uid, which the reader has already.
        message = state.waiting.message.split(" restarting failed container")[0]
        return reason, _details(message, last)
    if state.terminated is not None and (state.terminated.exit_code or not _is_init(pod, status)):
        return state.terminated.reason or "Error", _details("", state.terminated)
    if last is not None and not status.ready and not _ready_since_start(pod, status):
        return (last.reason or "Error", _details("", last)) if last.exit_code else None
    return None


def _is_init(pod: Pod, status: ContainerStatus) -> bool:
    return status in pod.status.init_container_statuses


def _ready_since_start(pod: Pod, status: ContainerStatus) -> bool:
    """True where it went unready only after its last start: then its crash is an old story."""
    ready = condition(pod.status.conditions, "Ready")
    running = status.state.running
    if ready is None or running is None:
        return False
    changed, started = ready.last_transition_time, running.started_at
    return changed is not None and started is not None and utc(changed) > utc(started)


def _details(message: str, ended: ContainerStateTerminated | None) -> str:
    parts = [one_line(message)] if message else []
    if ended is not None:
        how = f"signal {ended.signal}" if ended.signal else f"exit code {ended.exit_code}"
        why = f" ({ended.reason})" if ended.reason else ""
        parts.append(f"last ended with {how}{why}")
        parts += [one_line(ended.message)] if ended.message else []
    return "; ".join(parts)


def _unready(pod: Pod, events: Sequence[Event], *, overdue: bool) -> tuple[str, str] | None:
    """Reason and detail where all containers run and the pod still takes no traffic."""
    held = _newest(pod, events, _HOLD_UP_START) if _starts(pod) else None
    if held is not None:
        return held.reason, one_line(held.message)
    said = _newest(pod, events, {"Unhealthy"})
    if said is not None:
        return said.reason, one_line(said.message)
    ready = condition(pod.status.conditions, "Ready")
    was_ready = any(_ready_since_start(pod, status) for status in pod.status.container_statuses)
    if ready is not None and (overdue or was_ready):
        lost = "was ready before; " if was_ready else ""
        return ready.reason or "ContainersNotReady", lost + one_line(ready.message)
    return None


def _starts(pod: Pod) -> bool:
    """True where none of its containers, init containers included, has run yet."""
    return not any(
        status.state.running or status.state.terminated or status.last_state.terminated
        for status in container_statuses(pod)
    )


def _newest(pod: Pod, events: Sequence[Event], reasons: Collection[str]) -> Event | None:
    """The newest of these events about the pod; one without a time counts as older."""
    said = [event for event in events_of(pod, events) if event.reason in reasons]
    return max(said, key=lambda event: utc(event.last_seen or datetime.min), default=None)


def events_of(pod: Pod, events: Sequence[Event]) -> Iterator[Event]:
    """Events about this pod: by uid where the event has one, else by name."""
    for event in events:
        about = event.involved_object
        if about.kind not in ("", "Pod"):
            continue
        if about.uid == pod.metadata.uid if about.uid else about.name == pod.metadata.name:
            yield event
