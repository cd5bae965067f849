"""How an incident's run ended, and what that means for whoever reads it."""

from collections.abc import Sequence

from veza_nb.byhand import CAUSES
from veza_nb.errors import InconclusiveError, NotRecoveredError, RefusedError, VezaError
from veza_nb.plans import Plan
from veza_nb.vocabulary import Level, Outcome, Verdict

REVERT = "Revert the commit or manifest of the bad release: the next apply would bring it back."

_BY_VERDICT = {
    Verdict.PASS: Outcome.RECOVERED,
    Verdict.FAIL: Outcome.NOT_RECOVERED,
    Verdict.INCONCLUSIVE: Outcome.INCONCLUSIVE,
}


def outcome_of(verdict: Verdict | None, *, changed: bool | None, still_live: bool) -> Outcome:
    """The outcome of a run that came to its end.

    Args:
        verdict: of the verification; None where there was none after the last change.
        changed: whether the run changed the cluster; None where that is not known.
        still_live: whether what was verified is what runs now.
    """
    if verdict is None:
        return Outcome.REFUSED if changed is False else Outcome.INCONCLUSIVE
    if changed is False and verdict is not Verdict.PASS:
        return Outcome.REFUSED
    if verdict is Verdict.PASS and not still_live:
        return Outcome.INCONCLUSIVE
    return _BY_VERDICT[verdict]


def left_to_do(
    plan: Plan | None, *, changed: bool | None, remedies: Sequence[str] = ()
) -> tuple[str, ...]:
    """What people still have to do after a rollback.

    Args:
        plan: what was planned; what it warned of is still true, but for pods.
        changed: whether the run changed the cluster.
        remedies: what the verification found that only a person can do.
    """
    if not changed or plan is None:
        return tuple(remedies)
    warnings = (
        guard
        for guard in plan.guards
        # What is paused by now the journal says.
        if guard.level is Level.WARN and not guard.name.startswith("pauses-")
    )
    others = (one for one in warnings if one.name not in CAUSES)
    return (*remedies, REVERT, *(f"{one.summary} {one.remedy}".strip() for one in others))


def complaint(
    outcome: Outcome, service: str, state: str, remedies: Sequence[str] = ()
) -> VezaError | None:
    """What the last cell raises, so that whoever runs the notebook sees that it is not over."""
    if outcome is Outcome.NOT_RECOVERED:
        further = "See the failed checks above; `veza-nb plan` shows where else to go."
        again = "Then run again with the same incident: no change is repeated."
        return NotRecoveredError(
            f"{service} has not recovered.",
            state=state,
            next_step=" ".join([*remedies, again]) if remedies else further,
        )
    if outcome is Outcome.REFUSED:
        return RefusedError(
            f"Nothing was rolled back, and {service} is not known to be well.",
            state=state,
            next_step="If the target was live already, it is not the cure: name another revision.",
        )
    if outcome is Outcome.INCONCLUSIVE:
        return InconclusiveError(
            f"It cannot be told whether {service} has recovered.",
            state=state,
            next_step="Check by hand what the checklist marks inconclusive.",
        )
    return None
