"""Reading the logs that may explain what is wrong: a bounded number, each of bounded length."""

from collections.abc import Iterator
from dataclasses import dataclass
from datetime import datetime
from functools import partial

from veza_nb.cluster import Cluster
from veza_nb.cluster.client import concurrently
from veza_nb.errors import ForbiddenError, UnreachableError, VezaError
from veza_nb.loglines import PodLog
from veza_nb.objects import ContainerStatus, Pod, Workload
from veza_nb.replicasets import live_replicaset, pods_of
from veza_nb.troubles import has_ended, is_ready, is_terminating

NEW_PODS, OLD_PODS = 5, 2
"""Pods of the live template and of older ones whose logs are read: what five say the rest say."""
CONTAINERS = 3
TAIL_LINES, LIMIT_BYTES = 100, 65536


@dataclass(frozen=True, slots=True)
class _Place:
    """A log that is to be read."""

    pod: str
    container: str
    new: bool
    previous: bool


def read_logs(
    cluster: Cluster, workload: Workload, *, since: datetime | None = None
) -> tuple[PodLog, ...]:
    """The ends of the logs of some pods: those in trouble first, older ones to compare with.

    What cannot be read (no right, not started yet, gone meanwhile) is left out.

    Args:
        cluster: where.
        workload: whose pods.
        since: only what was printed from then on, by the runs that go on.

    Raises:
        UnreachableError: the server does not answer at all.
    """
    return look_into_logs(cluster, workload, since=since)[0]


def look_into_logs(
    cluster: Cluster, workload: Workload, *, since: datetime | None = None
) -> tuple[tuple[PodLog, ...], str]:
    """The same, and why nothing could be read: "logs (not allowed)"; "" where that is not so."""
    places = tuple(one for one in _places(workload) if not (since and one.previous))
    texts = concurrently(*(partial(_read, cluster, place, since) for place in places))
    logs = tuple(
        PodLog(one.pod, one.container, one.new, one.previous, text)
        for one, text in zip(places, texts, strict=True)
        if isinstance(text, str)
    )
    denied = any(isinstance(text, ForbiddenError) for text in texts)
    return logs, "logs (not allowed)" if denied and not logs else ""


def _read(cluster: Cluster, place: _Place, since: datetime | None) -> str | VezaError:
    try:
        return cluster.pod_log(
            place.pod,
            place.container,
            previous=place.previous,
            since=since,
            tail_lines=TAIL_LINES,
            limit_bytes=LIMIT_BYTES,
        )
    except UnreachableError:
        raise
    except VezaError as error:
        return error


def _places(workload: Workload) -> Iterator[_Place]:
    live = live_replicaset(workload)
    new = pods_of(live, workload.pods) if live else ()
    here = [pod for pod in new if not is_terminating(pod)]
    ailing_first = sorted(here, key=is_ready)
    names = {pod.metadata.name for pod in new}
    old = [pod for pod in workload.pods if pod.metadata.name not in names and _serves(pod)]
    for pod in ailing_first[:NEW_PODS]:
        yield from _of(pod, new=True)
    for pod in old[:OLD_PODS]:
        yield from _of(pod, new=False)


def _serves(pod: Pod) -> bool:
    return is_ready(pod) and not is_terminating(pod) and not has_ended(pod)


def _of(pod: Pod, *, new: bool) -> Iterator[_Place]:
    failed = [status for status in pod.status.init_container_statuses if not _done(status)]
    for status in (*failed, *pod.status.container_statuses)[:CONTAINERS]:
        ran = status.state.running is not None or status.state.terminated is not None
        if ran:
            yield _Place(pod.metadata.name, status.name, new, previous=False)
        if status.restart_count:
            yield _Place(pod.metadata.name, status.name, new, previous=True)


def _done(status: ContainerStatus) -> bool:
    """True for an init container that did its work: its log explains nothing."""
    ended = status.state.terminated
    return ended is not None and ended.exit_code == 0
