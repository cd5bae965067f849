"""The history of a Deployment, read off its ReplicaSets, and which revision to go back to."""

from collections.abc import Collection, Mapping, Sequence
from dataclasses import dataclass, replace
from datetime import datetime, timedelta
from enum import StrEnum

from veza_nb.objects import PodTemplate, ReplicaSet, Workload
from veza_nb.podtemplates import (
    images,
    only_restarted,
    same_template,
    template_digest,
    without_hash,
)
from veza_nb.replicasets import (
    earlier_numbers,
    left_at,
    left_for_older,
    live_replicaset,
    live_since,
    owned_replicasets,
    revision_number,
    template_hash,
    time_in_service,
)
from veza_nb.reputation import Mark, read_mark
from veza_nb.vitals import NOTHING_KNOWN, Lives, Vitals, intervals, read_vitals
from veza_nb.vocabulary import Annotation
from veza_nb.words import count, span, utc

PROVEN_AFTER = timedelta(minutes=15)
"""In service at least that long before it was replaced: evidence that a revision works."""
_READABLE = 5

__all__ = [
    "History",
    "Revision",
    "Standing",
    "find_revision",
    "read_history",
    "same_template",
    "template_digest",
]


class Standing(StrEnum):
    """What is known about a revision's health."""

    CURRENT = "current"
    GOOD = "good"
    UNKNOWN = "unknown"
    BAD = "bad"


@dataclass(frozen=True, slots=True)
class Revision:
    """One ReplicaSet of the Deployment.

    Attributes:
        number: as `kubectl rollout history` shows it today; 0 where the annotation is missing.
        replicaset: name of the ReplicaSet.
        template_hash: its `pod-template-hash` label.
        template: the raw pod template without that label.
        images: container name to image.
        change_cause: what the annotation says, or "".
        created: when this template first appeared.
        in_service: how long it was the live one (the current one: until now); None where that
            cannot be known.
        earlier_numbers: numbers it had before it was reused, oldest first.
        replicas: pods it has now.
        ready: those that are ready.
        available: those that are available.
        standing: what is known about its health.
        reasons: the evidence for that, in words.
        abandoned: somebody went back from it to an older template already.
        served: when it was the live one, `(from, to)`, as far as both are known; the live
            one has no `to`.
        left_at: when it was last replaced; None where that is not known.
        restart_only: the live template is this one after `kubectl rollout restart`, or the
            other way round: no cure for a bad image.
        vitals: who brought it, how large it was, how well it did, as far as that is left.
    """

    number: int
    replicaset: str
    template_hash: str
    template: PodTemplate
    images: Mapping[str, str]
    change_cause: str
    created: datetime | None
    in_service: timedelta | None
    earlier_numbers: tuple[int, ...]
    replicas: int
    ready: int
    available: int
    standing: Standing
    reasons: tuple[str, ...]
    abandoned: bool = False
    restart_only: bool = False
    served: tuple[tuple[datetime, datetime | None], ...] = ()
    left_at: datetime | None = None
    vitals: Vitals = NOTHING_KNOWN


@dataclass(frozen=True, slots=True)
class History:
    """All revisions that still exist.

    Attributes:
        revisions: newest first.
        current: the one whose template is the Deployment's; None before its ReplicaSet exists.
        recommended: the one to go back to, or None.
        reasons: why this one, or why none.
        revision_history_limit: old revisions that Kubernetes keeps.
    """

    revisions: tuple[Revision, ...]
    current: Revision | None
    recommended: Revision | None
    reasons: tuple[str, ...]
    revision_history_limit: int


def read_history(workload: Workload, *, now: datetime) -> History:
    """The history of a Deployment and the revision it had best go back to."""
    owned = owned_replicasets(workload)
    live = live_replicaset(workload)
    since = live_since(workload)
    live_for = max(utc(now) - utc(since), timedelta()) if since else None
    lives = Lives(workload, owned, live, since)
    revisions = tuple(
        replace(
            _live(rs, live_for) if rs is live else _earlier(rs, owned, workload),
            served=intervals(rs, lives),
            vitals=read_vitals(rs, lives),
        )
        for rs in owned
    )
    current = next((r for r in revisions if r.standing is Standing.CURRENT), None)
    candidates = tuple(r for r in revisions if r.standing is not Standing.CURRENT)
    recommended, reasons = _recommend(candidates)
    return History(
        revisions=revisions,
        current=current,
        recommended=recommended,
        reasons=reasons,
        revision_history_limit=workload.deployment.spec.revision_history_limit,
    )


def left_behind(history: History, tried: Collection[str], why: str) -> History:
    """The same history, where these templates are never recommended again.

    Args:
        history: as read.
        tried: digests of their templates.
        why: said of each.
    """
    revisions = tuple(
        replace(one, standing=Standing.BAD, reasons=(why, *one.reasons))
        if one.standing is not Standing.CURRENT and template_digest(one.template) in tried
        else one
        for one in history.revisions
    )
    candidates = tuple(one for one in revisions if one.standing is not Standing.CURRENT)
    recommended, reasons = _recommend(candidates)
    return replace(history, revisions=revisions, recommended=recommended, reasons=reasons)


def find_revision(history: History, number: int) -> Revision | None:
    """The revision that has this number today, or None."""
    return next((r for r in history.revisions if r.number == number and number > 0), None)


def _live(replicaset: ReplicaSet, live_for: timedelta | None) -> Revision:
    """The revision whose template is the Deployment's."""
    since = "live, since when is not known"
    if live_for is not None:
        # A reused template may have come back before the earliest sign of it that is left.
        least = "at least " if earlier_numbers(replicaset) else ""
        since = f"live for {least}{span(live_for)}"
    return _revision(
        replicaset,
        Standing.CURRENT,
        live_for,
        (since, *_said(read_mark(replicaset))),
    )


def _earlier(replicaset: ReplicaSet, owned: Sequence[ReplicaSet], workload: Workload) -> Revision:
    """A revision to go back to, with what speaks for and against it."""
    length = time_in_service(replicaset, owned)
    follower = left_for_older(replicaset, owned)
    restart = only_restarted(replicaset.spec.template, workload.deployment.spec.template)
    mark = read_mark(replicaset)
    proven, evidence = _evidence(replicaset, length)
    against = list(_said(mark))
    if follower is not None:
        number = revision_number(follower.metadata)
        against.append(f"somebody went back from it to an older template (now revision {number})")
    if restart:
        against.append("differs from the live template only by a restart: same images, no cure")
    # An earlier incident's good word counts, unless its pods say otherwise today.
    proven = proven or (mark is not None and not mark.bad and not replicaset.status.replicas)
    standing = Standing.GOOD if proven and follower is None else Standing.UNKNOWN
    return _revision(
        replicaset,
        Standing.BAD if mark is not None and mark.bad else standing,
        length,
        (*against, evidence),
        abandoned=follower is not None,
        restart_only=restart,
        left_at=left_at(replicaset, owned),
    )


def _revision(
    replicaset: ReplicaSet,
    standing: Standing,
    in_service: timedelta | None,
    reasons: tuple[str, ...],
    *,
    abandoned: bool = False,
    restart_only: bool = False,
    left_at: datetime | None = None,
) -> Revision:
    metadata, status = replicaset.metadata, replicaset.status
    return Revision(
        number=revision_number(metadata),
        replicaset=metadata.name,
        template_hash=template_hash(replicaset),
        template=without_hash(replicaset.spec.template),
        images=images(replicaset.spec.template),
        change_cause=metadata.annotations.get(Annotation.CHANGE_CAUSE, ""),
        created=metadata.creation_timestamp,
        in_service=in_service,
        earlier_numbers=earlier_numbers(replicaset),
        replicas=status.replicas,
        ready=status.ready_replicas,
        available=status.available_replicas,
        standing=standing,
        reasons=reasons,
        abandoned=abandoned,
        restart_only=restart_only,
        left_at=left_at,
    )


def _said(mark: Mark | None) -> tuple[str, ...]:
    """What an earlier incident found out about it, if anything."""
    return (f"marked {mark.text!r} after an earlier incident",) if mark is not None else ()


def _evidence(replicaset: ReplicaSet, served: timedelta | None) -> tuple[bool, str]:
    """Is it proven to work, and by what."""
    status = replicaset.status
    if status.available_replicas > 0 and status.available_replicas >= status.replicas:
        return True, f"{count(status.available_replicas, 'pod')} of it still available now"
    if status.replicas > 0:
        some = f"only {status.available_replicas} of its {count(status.replicas, 'pod')} available"
        return False, some
    if served is None:
        return False, "no pods left, and how long it was in service is not known"
    if served < PROVEN_AFTER:
        return False, f"replaced after {span(served)}: too short to prove that it works"
    return True, f"was in service for {span(served)} before it was replaced"


def _recommend(candidates: Sequence[Revision]) -> tuple[Revision | None, tuple[str, ...]]:
    """The newest revision that is proven to work, the one that serves right now first."""
    if not candidates:
        return None, ("There is no earlier revision to go back to.",)
    # Without a number nobody can name it, neither here nor to kubectl.
    fit = [r for r in candidates if r.number and r.standing is not Standing.BAD]
    fit = [r for r in fit if not r.abandoned]
    cures = [r for r in fit if not r.restart_only]
    proven = [r for r in cures if r.standing is Standing.GOOD]
    proven += [r for r in fit if r.restart_only and _serves(r)]
    best = next((r for r in proven if _serves(r)), next(iter(proven), None))
    if best is not None:
        return best, (_because(best), *_passed_over(candidates, best))
    if len(cures) == 1:
        thin = "It is the only one that nothing speaks against, but the evidence for it is thin."
        return cures[0], (_because(cures[0]), thin, *_passed_over(candidates, cures[0]))
    none = "No revision is proven to work; name one with to_revision if you know that it does."
    return None, (none, *_listed(candidates))


def _serves(revision: Revision) -> bool:
    return revision.standing is Standing.GOOD and revision.available > 0


def _because(revision: Revision) -> str:
    name = f"Revision {revision.number}" if revision.number else f"Unnumbered {revision.replicaset}"
    return f"{name}: {'; '.join(revision.reasons)}."


def _passed_over(candidates: Sequence[Revision], best: Revision) -> tuple[str, ...]:
    """Why the newer ones were not taken."""
    newer = candidates[: candidates.index(best)]
    return tuple(f"Passed over: {line}" for line in _listed(newer))


def _listed(revisions: Sequence[Revision]) -> tuple[str, ...]:
    """One line each, as many as a person reads."""
    lines = tuple(_because(r) for r in revisions[:_READABLE])
    more = len(revisions) - len(lines)
    return (*lines, f"{count(more, 'older revision')} more, no better.") if more else lines
