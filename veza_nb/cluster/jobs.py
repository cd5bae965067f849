"""batch/v1 Jobs: made once, waited for, and what they printed."""

from collections.abc import Callable, Mapping
from dataclasses import dataclass
from typing import Any

import msgspec

from veza_nb.clock import Deadline
from veza_nb.cluster.client import FIELD_MANAGER, Cluster, decode
from veza_nb.errors import ConflictError, NotFoundError, ServerError, UnreachableError, VezaError
from veza_nb.objects import Condition, ObjectMeta, Pod
from veza_nb.patience import patiently

GROUP_VERSION = "batch/v1"
PAUSE = 0.5
GRACE = 30.0
"""Seconds after a Job's own deadline in which its controller has to say so."""
LINES, BYTES = 2000, 1_000_000


class JobStatus(msgspec.Struct, frozen=True, rename="camel"):
    """Job status."""

    succeeded: int = 0
    failed: int = 0
    conditions: tuple[Condition, ...] = ()


class Job(msgspec.Struct, frozen=True):
    """batch/v1 Job, as far as it is read."""

    metadata: ObjectMeta
    status: JobStatus = JobStatus()

    def is_(self, kind: str) -> bool:
        """Whether that condition is true."""
        return any(one.type == kind and one.status == "True" for one in self.status.conditions)

    @property
    def why(self) -> str:
        """Why it failed, in its controller's words."""
        failed = [one for one in self.status.conditions if one.type == "Failed"]
        return " ".join(filter(None, (failed[0].reason, failed[0].message))) if failed else ""


@dataclass(frozen=True, slots=True)
class JobEnd:
    """How a Job ended.

    Attributes:
        succeeded: True or False; None where it did not end in time or cannot be seen.
        why: why not, in words; "" where it succeeded.
        log: what it printed, the newest lines.
        unseen: why what it printed cannot be read; "" where it can.
    """

    succeeded: bool | None
    why: str
    log: str
    unseen: str = ""


@dataclass(frozen=True, slots=True)
class _Seen:
    """A Job's pod: what it printed, why that cannot be read, and what it waits for."""

    log: str = ""
    unseen: str = ""
    waiting: str = ""


def read_job(cluster: Cluster, name: str) -> Job | None:
    """The Job of that name, or None."""
    try:
        return decode(cluster.transport.read(cluster.path(GROUP_VERSION, "jobs", name)), Job)
    except NotFoundError:
        return None


def create_job(cluster: Cluster, manifest: Mapping[str, Any]) -> Job:
    """Create it; where it is there already, made by an earlier try, that one counts.

    Raises:
        VezaError: it was refused, or it cannot be told what became of it.
    """
    name = str(manifest["metadata"]["name"])
    try:
        answer = cluster.transport.send(
            "POST",
            cluster.path(GROUP_VERSION, "jobs"),
            query={"fieldManager": FIELD_MANAGER},
            body=manifest,
        )
        return decode(answer, Job)
    except ConflictError:
        present = read_job(cluster, name)
        if present is None:
            raise
        return present


def delete_job(cluster: Cluster, name: str) -> None:
    """Delete it with its pod; one that is gone is none to delete."""
    try:
        cluster.transport.send(
            "DELETE",
            cluster.path(GROUP_VERSION, "jobs", name),
            query={"propagationPolicy": "Background"},
            body={},
        )
    except NotFoundError:
        return


def wait_for_job(
    cluster: Cluster, name: str, *, seconds: float, show: Callable[[str], None]
) -> JobEnd:
    """Wait until a Job has ended.

    Args:
        cluster: where.
        name: of the Job.
        seconds: its own deadline; it gets `GRACE` beyond that.
        show: is given what it has printed so far, whenever that is more.
    """
    deadline, shown, waiting = Deadline.after(cluster.clock, seconds + GRACE), "", ""
    while True:
        job = _look(cluster, name)
        ended = job is not None and (job.is_("Complete") or job.is_("Failed"))
        seen = _whole(cluster, name) if ended else _seen(cluster, name)
        waiting = seen.waiting or waiting
        if seen.log and seen.log != shown:
            show(seen.log)
            shown = seen.log
        if job is not None and ended:
            done = job.is_("Complete")
            why = "" if done else ". ".join(filter(None, (job.why, waiting)))
            return JobEnd(done, why, seen.log or shown, "" if shown else seen.unseen)
        if deadline.passed:
            late = f"it did not end within {seconds + GRACE:.0f} s"
            return JobEnd(None, ". ".join(filter(None, (late, waiting))), shown, seen.unseen)
        cluster.clock.sleep(PAUSE)


def _look(cluster: Cluster, name: str) -> Job | None:
    """The Job, or None while the server does not answer: it works on meanwhile."""
    try:
        job = read_job(cluster, name)
    except (UnreachableError, ServerError):
        return None
    if job is None:
        raise VezaError(
            f"The Job {name} is gone; what became of it is not known.",
            next_step="Find out who deleted it, then run again with the same incident: it looks "
            "at the schema first.",
        )
    return job


def _whole(cluster: Cluster, name: str) -> _Seen:
    """What it printed to its end; a server that is away for a moment is waited for."""
    try:
        return patiently(cluster.clock, lambda: _read_pod(cluster, name))
    except VezaError as error:
        return _Seen(unseen=error.what)


def _seen(cluster: Cluster, name: str) -> _Seen:
    """What can be seen so far; nothing where it may not be read."""
    try:
        return _read_pod(cluster, name)
    except VezaError as error:
        return _Seen(unseen=error.what)


def _read_pod(cluster: Cluster, name: str) -> _Seen:
    pods, _ = cluster.listed("v1", "pods", Pod, f"job-name={name}")
    if not pods:
        return _Seen(unseen="Its pod is gone.")
    newest = max(pods, key=lambda pod: str(pod.metadata.creation_timestamp))
    waiting = _waiting(newest)
    if waiting or not newest.status.container_statuses:
        return _Seen(waiting=waiting)
    log = cluster.pod_log(newest.metadata.name, "migrate", tail_lines=LINES, limit_bytes=BYTES)
    return _Seen("\n".join(line.partition(" ")[2] for line in log.splitlines()))


def _waiting(pod: Pod) -> str:
    """What keeps its container from starting: an image that is not there, a missing Secret."""
    for one in pod.status.container_statuses:
        state = one.state.waiting
        if state is not None and state.reason and state.reason != "ContainerCreating":
            return f"Its pod waits: {' '.join(filter(None, (state.reason, state.message)))}"
    return ""
