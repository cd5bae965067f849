"""Whose doing is it: the release's, or something's that a rollback does not cure?

The argument is written out: a person must be able to follow it at 3 a.m., and to disagree.
"""

from collections.abc import Sequence

from veza_nb.evidence import Finding
from veza_nb.revisions import History, Standing
from veza_nb.rollout import RolloutState
from veza_nb.troubles import CONFIG_REASONS, IMAGE_REASONS, INIT, PLACEMENT_REASONS
from veza_nb.vocabulary import Decision, Severity

Answer = tuple[Decision, tuple[str, ...]]

BESIDE = frozenset(
    {
        "DependencyDown",
        "DependencyAiling",
        "NeighboursSuffer",
        "NodeNotReady",
        "NodePressure",
        "ContentChanged",
        "ContentMissing",
    }
)
"""Findings about what stands beside the service; never the release's doing."""
_OWN_TO_TEMPLATE = IMAGE_REASONS | CONFIG_REASONS | PLACEMENT_REASONS
"""What these say lies in the template itself: no database and no node explains it."""
_NO_SECOND_CAUSE = frozenset({"ProbeSlow", "MetricBad"})
_MIXED = "Some of it only the new template's pods suffer, some of it others suffer too."


def weigh(findings: Sequence[Finding], rollout: RolloutState, history: History) -> Answer | None:
    """Whose doing is it? None where nothing critical is the service's own, and nothing explains it.

    Args:
        findings: all of them.
        rollout: where the rollout stands.
        history: what there is to go back to.
    """
    if rollout.desired == 0:
        return Decision.DO_NOT, ("Nothing runs because it was scaled to 0, not by the release.",)
    beside = [f for f in findings if _stays(f)]
    critical = [f for f in findings if f.severity is Severity.CRITICAL and f not in beside]
    if not critical:
        return _settled(beside)
    decision, why = _own(critical, rollout, history)
    if decision is Decision.DO_NOT and any(f.from_release is True for f in findings):
        # Not hopeless yet, and yet the release's own: the next look may tell.
        decision, why = Decision.UNCLEAR, (_MIXED,)
    if not beside or decision is Decision.DO_NOT or any(map(_certain, critical)):
        # Where the template itself is wrong, going back cures that much.
        return decision, (*why, *_besides(beside))
    return _in_doubt(beside, decision)


def _stays(finding: Finding) -> bool:
    """Whether something beside the service is wrong that an undo leaves as it is."""
    told = finding.severity is not Severity.INFO and finding.from_release is not True
    return told and finding.reason in BESIDE


def _certain(finding: Finding) -> bool:
    """Whether the template itself is wrong, so that nothing beside it explains that away."""
    reason = finding.reason.removeprefix(INIT)
    return finding.from_release is True and reason in _OWN_TO_TEMPLATE


def _in_doubt(beside: Sequence[Finding], decision: Decision) -> Answer:
    """Something beside the service explains all that it suffers, or at least may."""
    settled = _settled(beside)
    if settled is not None:
        return settled
    doubt = (
        "The release may be the cause, and so may that: an undo cures only the release."
        if decision is Decision.ROLL_BACK
        else "That may be the cause, and an undo does not cure it."
    )
    return Decision.UNCLEAR, (*_summaries(beside), doubt)


def _settled(beside: Sequence[Finding]) -> Answer | None:
    """Something beside the service is enough to cause it."""
    enough = [one for one in beside if one.from_release is False]
    if not enough:
        return None
    cause = "That is enough to cause it, and no rollback cures it: mend it, then look again."
    return Decision.DO_NOT, (*_summaries(enough), cause)


def _besides(beside: Sequence[Finding]) -> tuple[str, ...]:
    """What is wrong besides, and stays so."""
    return tuple(f"An undo does not cure this: {said}" for said in _summaries(beside))


def _summaries(findings: Sequence[Finding]) -> tuple[str, ...]:
    return tuple(finding.summary for finding in findings)


def _own(critical: Sequence[Finding], rollout: RolloutState, history: History) -> Answer:
    """What the service's own findings say."""
    blames = {finding.from_release for finding in critical}
    if True in blames:
        # Old pods that answer slowly while the release fails are no second cause: they carry
        # the load that its pods should share; nor is a number that was bad before. Old pods
        # that answer wrongly may well be.
        second = (one for one in critical if one.reason not in _NO_SECOND_CAUSE)
        blames = {one.from_release for one in second} | {True}
    if blames >= {True, False}:
        return Decision.UNCLEAR, (_MIXED,)
    if True in blames:
        return _towards(rollout, history)
    if False in blames:
        alike = (
            "It was so before, or older revisions suffer alike or would: not this release's doing."
        )
        return Decision.DO_NOT, (alike,)
    unknown = (
        "Nothing here tells the release's doing from other causes: find out when it began. "
        "If that was with the rollout, name the revision to go back to."
    )
    return Decision.UNCLEAR, (unknown,)


def _towards(rollout: RolloutState, history: History) -> Answer:
    """The release is to blame; is there something better to go back to?"""
    compared = f"; the {rollout.old_ready} of older revisions serve" if rollout.old_ready else ""
    blame = f"Only pods of the new template suffer{compared}: the release is to blame."
    target = history.recommended
    if target is not None:
        return Decision.ROLL_BACK, (blame, *history.reasons[:1])
    worth = [
        revision
        for revision in history.revisions
        if revision.standing in (Standing.GOOD, Standing.UNKNOWN) and not revision.abandoned
    ]
    if worth:
        name = "No revision is proven to work: look at the history and name one."
        return Decision.ROLL_BACK, (blame, name)
    nothing = "There is no revision worth going back to: repair forward."
    return Decision.UNCLEAR, (blame, nothing)
