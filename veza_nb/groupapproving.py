"""Taking one approval for the plans of several services."""

from veza_nb import display, render
from veza_nb.approving import ask_for_approval, refuse_blocked
from veza_nb.errors import RefusedError
from veza_nb.groupopening import OpenedGroup
from veza_nb.groupplans import GroupPlan, how_to_approve, read_group_confirmation
from veza_nb.plans import Refusal
from veza_nb.vocabulary import JournalEvent, OnFailure, Step


def take_group_approval(opened: OpenedGroup, plan: GroupPlan, confirm: str) -> None:
    """Take the yes to all plans, unless it is there already or none is needed.

    Each service's own journal gets it too, for its own plan: so each can be resumed alone.

    Raises:
        ApprovalPendingError: the person is being asked.
        RefusedError: a guard blocks a plan, or it is not approved.
    """
    if _nothing_to_approve(opened, plan):
        display.show(render.message("Nothing to approve: all targets are already live."))
        return
    _refuse_blocked(plan)
    if _approved(opened, plan):
        display.show(render.message("These plans are already approved."))
        return
    if not confirm and display.person_present():
        _ask(opened, plan)
    display.show(render.message(_take(opened, plan, confirm)))


def refuse_unapproved_group(opened: OpenedGroup, plan: GroupPlan) -> None:
    """Stop where a guard blocks one of the plans, or nobody said yes to all of them."""
    _refuse_blocked(plan)
    if not _approved(opened, plan):
        raise RefusedError("These plans are not approved.", next_step=how_to_approve(plan))


def _refuse_blocked(plan: GroupPlan) -> None:
    for name in plan.blocked:
        try:
            refuse_blocked(plan.plans[name])
        except RefusedError as error:
            raise RefusedError(f"{name}: {error.what}", next_step=error.next_step) from error


def _nothing_to_approve(opened: OpenedGroup, plan: GroupPlan) -> bool:
    """Whether nothing is sent, whatever happens: not even to put back what was sent before."""
    sent = any(part.changed is not False for part in opened.parts.values())
    return plan.noop and not (sent and plan.pace.on_failure is OnFailure.PUT_BACK)


def _approved(opened: OpenedGroup, plan: GroupPlan) -> bool:
    """Whether somebody said yes to each plan, and to this rule for what a failure does."""
    if _nothing_to_approve(opened, plan):
        return True
    line = opened.logbook.journal.last(Step.APPROVE, JournalEvent.APPROVAL)
    rule = line.data.get("rule") if line else None
    return rule == plan.pace.words and all(
        one.noop or opened.parts[name].incident.logbook.approves(one)
        for name, one in plan.plans.items()
    )


def _take(opened: OpenedGroup, plan: GroupPlan, confirm: str) -> str:
    read = read_group_confirmation(
        confirm, plan, operator=opened.operator, two_people=opened.catalog.approval.two_people
    )
    if isinstance(read, Refusal):
        raise RefusedError(read.what, next_step=read.next_step)
    data = {"plan": plan.id, "approver": read.approver, "method": read.method}
    said = {**data, "rule": plan.pace.words}
    opened.logbook.journal.append(Step.APPROVE, JournalEvent.APPROVAL, said)
    for name, one in plan.plans.items():
        part = opened.parts[name]
        pages = part.pages["approve"] = {}
        with display.taken_by(pages.__setitem__):
            part.incident.approve(one, confirm=f"{one.id}:{read.approver}")
    opened.write(approval=data, approved_at=opened.logbook.journal.clock.now())
    return f"Approved by {read.approver} ({read.method}): {', '.join(plan.plans)}."


def _ask(opened: OpenedGroup, plan: GroupPlan) -> None:
    ask_for_approval(
        plan.name,
        lambda typed: f"{_take(opened, plan, typed)} Run the next cell to send them.",
        next_step=f"Type {plan.name!r} above, press Approve, then run the next cell.",
    )
