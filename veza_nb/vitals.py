"""What a ReplicaSet still shows of its life: who brought it, how large it was, how well it did.

Kubernetes keeps little of a revision that was left. Each fact here is one that its objects
still bear witness to, and unknown where they do not: nothing is filled in.
"""

from collections.abc import Sequence
from dataclasses import dataclass
from datetime import datetime, timedelta

from veza_nb.objects import Pod, ReplicaSet, Workload
from veza_nb.replicasets import pods_of, progressing, served
from veza_nb.troubles import container_statuses
from veza_nb.vocabulary import Annotation
from veza_nb.words import utc
from veza_nb.writers import template_writers

CONTROLLER = "kube-controller-manager"
_BEFORE, _AFTER = timedelta(seconds=2), timedelta(seconds=1)
_LONGEST = 10
_COMPLETE = "NewReplicaSetAvailable"
_LATE = "ProgressDeadlineExceeded"

Interval = tuple[datetime, datetime | None]
"""From, to; without an end it is the live one."""


@dataclass(frozen=True, slots=True)
class Vitals:
    """Facts about a revision's life, as far as they are left.

    Attributes:
        changed_by: field managers that wrote the template when it came, such as "kubectl-set" or
            "helm"; empty where later writes have hidden them.
        size: replicas the Deployment asked for when this revision was last scaled; None where
            that is not written down.
        fully_available: as many pods as asked for were available, now or when its rollout
            ended; False where its rollout is known not to have come so far; None: not known.
        fully_available_at: when that was said; None where only the present shows it.
        restarts: of all containers of the pods it has now; None where it has none.
        last_restart: when a container of them last ended.
        left_by: when it was scaled to nothing, at the latest; None while it has pods.
    """

    changed_by: tuple[str, ...] = ()
    size: int | None = None
    fully_available: bool | None = None
    fully_available_at: datetime | None = None
    restarts: int | None = None
    last_restart: datetime | None = None
    left_by: datetime | None = None


NOTHING_KNOWN = Vitals()


@dataclass(frozen=True, slots=True)
class Lives:
    """What all revisions of one Deployment are read against.

    Attributes:
        workload: the Deployment and the pods.
        owned: its ReplicaSets.
        live: the one of its template; None before there is one.
        since: since when that is the live one; None where it is not known.
    """

    workload: Workload
    owned: Sequence[ReplicaSet]
    live: ReplicaSet | None
    since: datetime | None


def read_vitals(replicaset: ReplicaSet, lives: Lives) -> Vitals:
    """What is left to see of this ReplicaSet's life."""
    size = _size(replicaset)
    full, at = _fully_available(replicaset, lives, size)
    pods = pods_of(replicaset, lives.workload.pods)
    return Vitals(
        changed_by=_brought_by(replicaset, lives),
        size=size,
        fully_available=full,
        fully_available_at=at,
        restarts=_restarts(pods),
        last_restart=_last_end(pods),
        left_by=_left_by(replicaset),
    )


def intervals(replicaset: ReplicaSet, lives: Lives) -> tuple[Interval, ...]:
    """When this template was the live one, oldest first, also before it was reused."""
    past: tuple[Interval, ...] = served(replicaset, lives.owned)
    if replicaset is not lives.live or lives.since is None:
        return past
    return (*past, (utc(lives.since), None))


def said(vitals: Vitals) -> tuple[str, ...]:
    """The evidence of health in words; nothing where nothing is known."""
    if vitals.fully_available is None:
        return ()
    if not vitals.fully_available:
        return ("never reached full availability",)
    at = vitals.fully_available_at
    return (f"reached full availability{f' ({utc(at):%m-%d %H:%M} UTC)' if at else ''}",)


def _brought_by(replicaset: ReplicaSet, lives: Lives) -> tuple[str, ...]:
    """Whoever wrote this template when it came; the controller follows at once."""
    if Annotation.REVISION_HISTORY in replicaset.metadata.annotations:
        return _brought_back_by(replicaset, lives)
    created = replicaset.metadata.creation_timestamp
    if created is None:
        return ()
    start, written = utc(created), template_writers(lives.workload.deployment.metadata)
    near = (one.manager for at, one in written if start - _BEFORE <= at <= start + _AFTER)
    return tuple(dict.fromkeys(near))


def _brought_back_by(replicaset: ReplicaSet, lives: Lives) -> tuple[str, ...]:
    """For a reused one: the last to write after all others had come, before it was live."""
    if replicaset is not lives.live or lives.since is None:
        return ()
    others = [rs.metadata.creation_timestamp for rs in lives.owned if rs is not replicaset]
    newest = max((utc(at) for at in others if at), default=None)
    between = [
        one.manager
        for at, one in template_writers(lives.workload.deployment.metadata)
        if at <= utc(lives.since) and (newest is None or at > newest)
    ]
    return tuple(between[-1:])


def _size(replicaset: ReplicaSet) -> int | None:
    text = replicaset.metadata.annotations.get(Annotation.DESIRED_REPLICAS, "").strip()
    return int(text) if text.isascii() and text.isdigit() and len(text) < _LONGEST else None


def _fully_available(
    replicaset: ReplicaSet, lives: Lives, size: int | None
) -> tuple[bool | None, datetime | None]:
    """Whether it ever had all its pods available, and when that was said."""
    wanted = lives.workload.deployment.spec.replicas if replicaset is lives.live else size
    said = progressing(lives.workload)
    about = said is not None and f'"{replicaset.metadata.name}"' in said.message
    if about and said is not None and said.reason == _COMPLETE:
        return True, said.last_update_time
    if wanted and replicaset.status.available_replicas >= wanted:
        return True, None
    if about and said is not None and said.reason == _LATE:
        return False, said.last_update_time
    return None, None


def _restarts(pods: Sequence[Pod]) -> int | None:
    counts = [status.restart_count for pod in pods for status in container_statuses(pod)]
    return sum(counts) if counts else None


def _last_end(pods: Sequence[Pod]) -> datetime | None:
    """When one of their containers last ended, by its current or its previous state."""
    ends = [
        state.terminated.finished_at
        for pod in pods
        for status in container_statuses(pod)
        for state in (status.state, status.last_state)
        if state.terminated is not None and status.restart_count
    ]
    return max((utc(at) for at in ends if at is not None), default=None)


def _left_by(replicaset: ReplicaSet) -> datetime | None:
    """The controller's last word to one without pods was to scale it to nothing."""
    if replicaset.status.replicas or replicaset.spec.replicas:
        return None
    written = [
        utc(field.time)
        for field in replicaset.metadata.managed_fields
        if field.time and field.manager == CONTROLLER and not field.subresource
    ]
    return max(written, default=None)
