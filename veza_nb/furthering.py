"""Rolling back further: where the revision that was gone back to is bad too, to the next good one.

Never in circles: a template that this incident went to or came from is no target again. Each
step is a plan of its own, shown, approved, journaled and verified like the first.
"""

from dataclasses import dataclass, replace

from veza_nb import display, render
from veza_nb.approving import take_approval
from veza_nb.attempts import newest, steps, tried
from veza_nb.checklist import Verification
from veza_nb.detect import Detection, detect
from veza_nb.errors import ApprovalPendingError, RefusedError, UsageError
from veza_nb.findings import Diagnosis
from veza_nb.opening import Opened
from veza_nb.planning import Reasons, order_of
from veza_nb.plans import Plan, Refusal, in_effect
from veza_nb.podtemplates import same_template
from veza_nb.prepare import prepare
from veza_nb.vocabulary import Decision, JournalEvent, Severity, Step, Verdict
from veza_nb.words import count, listing

THIS_CELL = "run this cell again"
_KEPT = (
    *("id", "from_revision", "from_replicaset", "from_hash"),
    *("to_revision", "to_replicaset", "template_hash", "images_after"),
)
"""What is kept of a plan whose revision failed."""


@dataclass(frozen=True, slots=True)
class Next:
    """What comes of looking for one step further.

    Attributes:
        plan: the next plan; None where there is none, or none is wanted.
        approved: whether it is to be sent.
        way_on: what a person does where it waits for an approval.
    """

    plan: Plan | None = None
    approved: bool = False
    way_on: str = ""


def look_further(
    opened: Opened,
    plan: Plan,
    verification: Verification,
    reasons: Reasons,
    *,
    max_steps: int,
    confirm: str,
) -> Next:
    """Find the next plan, if the incident may go further, show it and take its approval.

    Args:
        opened: the incident.
        plan: what was verified.
        verification: of it.
        reasons: why rules are broken.
        max_steps: undos that the incident may do; 0 takes the catalogue's.
        confirm: as it was passed.

    Raises:
        ApprovalPendingError: a person is being asked.
        UsageError: `max_steps` is no such number.
    """
    most = _allowed_steps(opened, max_steps)
    if why := _why_not(opened, verification, most) or _why_not_live(opened, plan):
        display.show(render.message(why))
        return Next()
    made = _next_plan(opened, plan, verification, reasons)
    if isinstance(made, Plan) and not same_template(made.from_template, plan.template):
        display.show(render.message(_overtaken(plan)))  # somebody was at work during that look
        return Next()
    _show_next(opened, made, steps(opened.logbook.attempts) + 1, most)
    if isinstance(made, Refusal) or made.blockers:
        return Next()
    if not _approved(opened, made, confirm):
        return Next(made, way_on=_how_to_go_on(made, most))
    _leave_behind(opened, plan, verification, made)
    return Next(made, approved=True)


def _allowed_steps(opened: Opened, max_steps: int) -> int:
    """How many undos the incident may do: what was given, or what the catalogue says.

    Raises:
        UsageError: it is no number of steps.
    """
    if max_steps < 0:
        raise UsageError(
            f"max_steps is {max_steps}.", next_step="Give 1 or more, or 0 for the catalogue's."
        )
    return max_steps or opened.settings.max_steps


def _why_not(opened: Opened, verification: Verification, most: int) -> str:
    """Why this incident goes no further; "" where it may."""
    if verification.verdict is Verdict.PASS:
        return "No need to go further: the service is back."
    if verification.verdict is Verdict.INCONCLUSIVE:
        return "Not gone further: it cannot be told whether the service is back."
    if verification.remedies:
        # Another revision would be kept from its pods just so.
        return f"Not gone further: that waits for a person. {verification.remedies[0]}"
    done = steps(opened.logbook.attempts)
    if not done:
        return "Not gone further: this incident has undone nothing."
    if done >= most:
        return (
            f"Not gone further: {count(done, 'undo')} done, and max_steps is {most}. "
            "With a larger one the next good revision is taken (--max-steps)."
        )
    return ""


def _why_not_live(opened: Opened, plan: Plan) -> str:
    """Why what was verified says nothing of what runs now; "" where it is what runs."""
    if plan.migrate_down:
        return "Not gone further: the database goes back with the service, one plan at a time."
    live = in_effect(opened.cluster.deployment(plan.workload), plan)
    return "" if live else _overtaken(plan)


def _overtaken(plan: Plan) -> str:
    return (
        f"Not gone further: what runs now is not revision {plan.to_revision}, which was verified. "
        "Somebody changed it again, or the undo never took effect: run 'verify' again and look "
        "who is working on it."
    )


def _next_plan(
    opened: Opened, plan: Plan, verification: Verification, reasons: Reasons
) -> Plan | Refusal:
    """The plan to go one step further, checked by the server; nothing is changed.

    Args:
        opened: the incident.
        plan: what was verified, and failed.
        verification: how it failed.
        reasons: why rules are broken.
    """
    attempts, newest_one = opened.logbook.attempts, newest(opened.logbook.attempts)
    seen = detect(
        opened.cluster,
        opened.service,
        settings=opened.settings,
        monitoring=opened.catalog.monitoring,
        hints=opened.catalog.hints,
    )
    made = prepare(
        opened.cluster,
        opened.service,
        _diagnosis(seen, plan, verification),
        # A lock is broken for one moment: whoever has it by now took it from this incident.
        order_of(opened, replace(reasons, force_lock="")),
        lock=opened.lock,
        tried=tried(attempts),
    )
    if isinstance(made, Refusal):
        return made
    # The same words still mean this incident: whoever resumes it goes on from here.
    return replace(made, asked=newest_one.asked if newest_one else "")


def _diagnosis(seen: Detection, plan: Plan, verification: Verification) -> Diagnosis:
    """What detection says, and what verification knows besides: this template does not do.

    Where detection finds a cause that no rollback cures, its word counts.
    """
    found = seen.diagnosis
    critical = any(one.severity is Severity.CRITICAL for one in found.findings)
    if found.decision is Decision.DO_NOT and critical:
        return found
    failed = listing((one.title for one in verification.checks if one.verdict is Verdict.FAIL), 5)
    why = f"Revision {plan.to_revision} was verified and failed: {failed}."
    return replace(found, decision=Decision.ROLL_BACK, argument=(*found.argument, why))


def _show_next(opened: Opened, made: Plan | Refusal, number: int, most: int) -> None:
    """Show the next plan, or why there is none, and write it down."""
    said: dict[str, object] = {"step": number, "of": most}
    if isinstance(made, Refusal):
        opened.logbook.journal.append(Step.FURTHER, JournalEvent.NOTE, {**said, "why": made.what})
        display.show(render.message("There is nothing further to go back to."))
        display.show(render.refusal(made))
        return
    said |= {"plan": made.id, "to": made.to_revision}
    opened.logbook.journal.append(Step.FURTHER, JournalEvent.NOTE, said)
    display.show(render.message(f"Going back further: step {number} of at most {most}."))
    display.show(render.plan(made))
    if made.blockers:
        display.show(render.message("Not gone further: this plan is blocked."))


def _approved(opened: Opened, made: Plan, confirm: str) -> bool:
    """Whether this step is approved; a person is asked, where one is there.

    Raises:
        ApprovalPendingError: the person is being asked.
    """
    try:
        take_approval(opened, made, confirm, then=THIS_CELL)
    except ApprovalPendingError:
        raise
    except RefusedError as error:
        # The last cell ends the run: what is known of it must be written down there.
        note = {"plan": made.id, "not approved": error.what}
        opened.logbook.journal.append(Step.FURTHER, JournalEvent.NOTE, note)
        display.show(render.message(f"Not gone further. {error.what} {error.next_step}"))
        return False
    return True


def _leave_behind(opened: Opened, plan: Plan, verification: Verification, made: Plan) -> None:
    """Write down the step that failed, and what takes its place as this incident's plan."""
    failed = [one.title for one in verification.checks if one.verdict is Verdict.FAIL]
    record, plans = opened.logbook.record, {one.plan for one in opened.logbook.attempts}
    sent = record.plan or {}
    step = {name: sent.get(name) for name in _KEPT}
    step |= {"verdict": str(verification.verdict), "failed": failed}
    # A run that was cut off here has written it down already, and has not sent what came next.
    known = sent.get("id") not in plans
    opened.logbook.done(
        Step.FURTHER,
        {"left": plan.to_revision, "plan": made.id, "to": made.to_revision},
        steps=record.steps if known else (*record.steps, step),
        plan=made,
        verification=None,
    )


def _how_to_go_on(made: Plan, most: int) -> str:
    """What a person does where the next step waits for an approval."""
    return (
        f"The next plan is {made.id}, to revision {made.to_revision}. Approve it: "
        f"--incident {made.incident} --max-steps {most} --confirm {made.id}:NAME."
    )
