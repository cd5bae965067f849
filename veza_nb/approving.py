"""Taking the approval of one plan: from the parameter, or typed into a box."""

from collections.abc import Callable
from typing import NoReturn

from veza_nb import display, render
from veza_nb.approvals import Approval, how_to_approve, read_confirmation
from veza_nb.errors import ApprovalPendingError, RefusedError, VezaError
from veza_nb.logbook import identity_of
from veza_nb.opening import Opened
from veza_nb.plans import Plan, Refusal
from veza_nb.vocabulary import JournalEvent, Step

NEXT_CELL = "run the next cell"


def take_approval(opened: Opened, plan: Plan, confirm: str, *, then: str = NEXT_CELL) -> None:
    """Take the yes to this plan, unless it is there already or none is needed.

    Args:
        opened: the incident.
        plan: what is to be approved.
        confirm: what was passed; empty, with a person there, asks.
        then: what a person does once it is approved.

    Raises:
        ApprovalPendingError: the person is being asked.
        RefusedError: a guard blocks the plan, or it is not approved.
    """
    if plan.noop:
        display.show(render.message("Nothing to approve: the target is already live."))
        return
    refuse_blocked(plan)
    if opened.logbook.approves(plan):
        display.show(render.message("This plan is already approved."))
        return
    if not confirm and display.person_present():
        _ask(opened, plan, then)
    display.show(render.message(_take(opened, plan, confirm)))


def refuse_blocked(plan: Plan) -> None:
    """Stop where a guard blocks the plan."""
    if plan.blockers:
        what = "; ".join(guard.summary.rstrip(".") for guard in plan.blockers)
        raise RefusedError(f"This plan is blocked: {what}.", next_step=plan.blockers[0].remedy)


def refuse_unapproved(opened: Opened, plan: Plan) -> None:
    """Stop where nobody said yes to exactly this plan."""
    if not opened.logbook.approves(plan):
        raise RefusedError("This plan is not approved.", next_step=how_to_approve(plan))


def _take(opened: Opened, plan: Plan, confirm: str) -> str:
    read = read_confirmation(
        confirm,
        plan,
        operator=opened.operator,
        now=opened.cluster.clock.now(),
        two_people=opened.catalog.approval.two_people,
    )
    if isinstance(read, Refusal):
        raise RefusedError(read.what, next_step=read.next_step)
    _write(opened, plan, read)
    return f"Approved by {read.approver} ({read.method})."


def _write(opened: Opened, plan: Plan, approval: Approval) -> None:
    said = {"plan": plan.id, "approver": approval.approver, "method": approval.method}
    data = {**said, **identity_of(plan)}
    opened.logbook.journal.append(Step.APPROVE, JournalEvent.APPROVAL, data)
    opened.logbook.update(approval=approval, approved_at=approval.at)


def _ask(opened: Opened, plan: Plan, then: str) -> None:
    ask_for_approval(
        plan.service,
        lambda typed: f"{_take(opened, plan, typed)} To send it, {then}.",
        next_step=f"Type the service's name above, press Approve, then {then}.",
    )


def ask_for_approval(wanted: str, take: Callable[[str], str], *, next_step: str) -> NoReturn:
    """Show the box to type into, and stop here: it goes on once it is approved.

    Args:
        wanted: what has to be typed.
        take: takes what was typed; returns what to answer.
        next_step: for whoever reads why it stopped.

    Raises:
        ApprovalPendingError: always.
    """
    from veza_nb.widgets.approval import show_approval  # noqa: PLC0415 - only with a person

    def submit(typed: str) -> str:
        try:
            return take(typed)
        except VezaError as error:
            return str(error)

    show_approval(wanted, submit)
    raise ApprovalPendingError("Waiting for your approval.", next_step=next_step)
