"""Which ReplicaSets are a Deployment's, which one is live, and when each number was in service."""

from collections.abc import Sequence
from datetime import datetime, timedelta

from veza_nb.objects import Condition, ObjectMeta, Pod, ReplicaSet, Workload
from veza_nb.podtemplates import same_template
from veza_nb.vocabulary import (
    CONTROLLER_HASH,
    CONTROLLER_REVISION_HASH,
    POD_TEMPLATE_HASH,
    Annotation,
)
from veza_nb.words import utc


def is_controlled_by(child: ObjectMeta, uid: str) -> bool:
    """True where the object with that uid controls this one."""
    return any(owner.controller and owner.uid == uid for owner in child.owner_references)


def owned_replicasets(workload: Workload) -> tuple[ReplicaSet, ...]:
    """ReplicaSets the Deployment controls, newest revision first."""
    uid = workload.deployment.metadata.uid
    owned = [rs for rs in workload.replicasets if is_controlled_by(rs.metadata, uid)]
    return tuple(sorted(owned, key=_age, reverse=True))


def live_replicaset(workload: Workload) -> ReplicaSet | None:
    """The ReplicaSet of the Deployment's own template; None before the controller made it."""
    template = workload.deployment.spec.template
    same = [rs for rs in owned_replicasets(workload) if same_template(rs.spec.template, template)]
    # Where a hash collision made two, Kubernetes goes on with the one made first.
    return min(same, key=lambda rs: _created(rs.metadata), default=None)


def revision_number(metadata: ObjectMeta) -> int:
    """The number in the revision annotation; 0 where there is none or it is not a number."""
    return _number(metadata.annotations.get(Annotation.REVISION, ""))


def earlier_numbers(replicaset: ReplicaSet) -> tuple[int, ...]:
    """Numbers this ReplicaSet had before it was reused, oldest first."""
    text = replicaset.metadata.annotations.get(Annotation.REVISION_HISTORY, "")
    return tuple(number for number in map(_number, text.split(",")) if number)


def template_hash(replicaset: ReplicaSet) -> str:
    """Its hash label (`pod-template-hash`; ControllerRevisions have their own), or ""."""
    labels = replicaset.metadata.labels
    keys = (POD_TEMPLATE_HASH, CONTROLLER_REVISION_HASH, CONTROLLER_HASH)
    return next((labels[key] for key in keys if key in labels), "")


def pods_of(replicaset: ReplicaSet, pods: Sequence[Pod]) -> tuple[Pod, ...]:
    """The pods made from it."""
    return tuple(pod for pod in pods if _made_from(pod.metadata, replicaset.metadata))


def progressing(workload: Workload) -> Condition | None:
    """The Deployment's Progressing condition."""
    return condition(workload.deployment.status.conditions, "Progressing")


def condition(conditions: Sequence[Condition], kind: str) -> Condition | None:
    """The condition of that type, or None."""
    return next((each for each in conditions if each.type == kind), None)


def live_since(workload: Workload) -> datetime | None:
    """Since when, at the latest, the live template has been the live one.

    Exact for a template that was never used before. A reused one kept its first creation
    time; then the Progressing condition bounds it, as long as it speaks of this ReplicaSet.
    A ControllerRevision tells by itself when it came back.
    """
    live = live_replicaset(workload)
    if live is None:
        return None
    if live.returned_at is not None:
        return live.returned_at
    if not earlier_numbers(live):
        return live.metadata.creation_timestamp
    seen = progressing(workload)
    if seen is None or f'"{live.metadata.name}"' not in seen.message:
        return None
    return seen.last_update_time


def left_for_older(replicaset: ReplicaSet, owned: Sequence[ReplicaSet]) -> ReplicaSet | None:
    """The older template that took over from this one: somebody went back from it.

    None where a newer template followed, or where what followed is not known.
    """
    follower = _holder(revision_number(replicaset.metadata) + 1, owned)
    if follower is None or follower is replicaset:
        return None
    return follower if _created(follower.metadata) < _created(replicaset.metadata) else None


def time_in_service(replicaset: ReplicaSet, owned: Sequence[ReplicaSet]) -> timedelta | None:
    """How long a replaced template was the live one when it was first rolled out.

    Only first starts are recorded (as creation times of ReplicaSets), so nothing is known of
    later times in service. None where the start of its successor is not known either.
    Of a ControllerRevision that came back it is the other way round: only the last is known.
    """
    starts = _starts(owned)
    first = _numbers(replicaset)[0]
    start, end = starts.get(first), starts.get(first + 1)
    if not first or start is None or end is None:
        return None
    length = utc(end) - utc(start)
    return length if length >= timedelta() else None


def served(
    replicaset: ReplicaSet, owned: Sequence[ReplicaSet]
) -> tuple[tuple[datetime, datetime], ...]:
    """The times in which a replaced template was the live one, as far as both ends are known.

    A number's start is known where a template was new with it, its end where the next one was.
    """
    starts = _starts(owned)
    known = ((starts.get(n), starts.get(n + 1)) for n in _numbers(replicaset) if n)
    both = ((utc(begin), utc(end)) for begin, end in known if begin and end)
    return tuple((begin, end) for begin, end in both if begin <= end)


def left_at(replicaset: ReplicaSet, owned: Sequence[ReplicaSet]) -> datetime | None:
    """When it was last replaced: the start of the template with the next number.

    None where that template was a reused one: only first starts are recorded.
    """
    number = revision_number(replicaset.metadata)
    end = _starts(owned).get(number + 1)
    return utc(end) if number and end is not None else None


def _starts(owned: Sequence[ReplicaSet]) -> dict[int, datetime | None]:
    """Numbers of which it is known when they began."""
    return {_numbers(rs)[0]: rs.returned_at or rs.metadata.creation_timestamp for rs in owned}


def _made_from(pod: ObjectMeta, revision: ObjectMeta) -> bool:
    """A ReplicaSet controls its pods; a ControllerRevision is a label on its owner's pods."""
    if is_controlled_by(pod, revision.uid):
        return True
    label = pod.labels.get(CONTROLLER_REVISION_HASH, "")
    owner = next((one.uid for one in revision.owner_references if one.controller), "")
    known = (revision.name, revision.labels.get(CONTROLLER_REVISION_HASH, ""))
    return bool(label and owner) and label in known and is_controlled_by(pod, owner)


def _numbers(replicaset: ReplicaSet) -> tuple[int, ...]:
    return (*earlier_numbers(replicaset), revision_number(replicaset.metadata))


def _holder(number: int, owned: Sequence[ReplicaSet]) -> ReplicaSet | None:
    return next((rs for rs in owned if number in _numbers(rs)), None)


def _age(replicaset: ReplicaSet) -> tuple[int, datetime]:
    return revision_number(replicaset.metadata), _created(replicaset.metadata)


def _created(metadata: ObjectMeta) -> datetime:
    return utc(metadata.creation_timestamp or datetime.min)


def _number(text: str) -> int:
    digits = text.strip()
    # Longer than any number Kubernetes writes (int64), and int() refuses endless ones.
    return int(digits) if digits.isascii() and digits.isdigit() and len(digits) < 20 else 0
