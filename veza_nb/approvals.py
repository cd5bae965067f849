"""Approval: what counts as a yes, and what does not.

There is no default yes, and none by timeout. A headless run never approves itself: `confirm`
must equal the service's name, or carry the plan's id with the approver's name.
"""

from dataclasses import dataclass
from datetime import datetime

from veza_nb.plans import Plan, Refusal


@dataclass(frozen=True, slots=True)
class Approval:
    """A yes to one plan.

    Attributes:
        plan: the plan's id.
        approver: who said yes.
        method: "service name" or "plan id".
        at: when.
    """

    plan: str
    approver: str
    method: str
    at: datetime


def read_confirmation(
    confirm: str, plan: Plan, *, operator: str, now: datetime, two_people: bool = False
) -> Approval | Refusal:
    """Read a confirmation as it was typed or passed.

    Args:
        confirm: the service's name, or "<plan id>:<approver>".
        plan: what is to be approved.
        operator: who runs this; approves where the service's name was given.
        now: stamped on the approval.
        two_people: the approver must be somebody else than the operator.
    """
    typed = confirm.strip()
    named, _, approver = typed.partition(":")
    if typed == plan.service:
        found = Approval(plan.id, operator, "service name", now)
    elif named == plan.id and approver.strip():
        found = Approval(plan.id, approver.strip(), "plan id", now)
    else:
        return Refusal(what=_wrong(typed, plan), next_step=how_to_approve(plan), guards=())
    if two_people and _same_person(found.approver, operator):
        return _needs_another(plan, operator)
    return found


def _same_person(one: str, other: str) -> bool:
    return one.strip().casefold() == other.strip().casefold()


def _needs_another(plan: Plan, operator: str) -> Refusal:
    return Refusal(
        what=f"Two people are required here, and {operator} is the operator already.",
        next_step=f"Let somebody else approve: confirm = {f'{plan.id}:<their name>'!r}.",
        guards=(),
    )


def how_to_approve(plan: Plan) -> str:
    """The two ways to say yes to this plan, as an instruction."""
    return f"Approve with confirm = {plan.service!r}, or {f'{plan.id}:<your name>'!r}."


def _wrong(typed: str, plan: Plan) -> str:
    if not typed:
        return "This plan is not approved."
    if typed.partition(":")[0] == plan.id:
        return f"The confirmation names the plan {plan.id}, but nobody who approves it."
    if typed.startswith("p-"):
        return f"The confirmation is for another plan: {typed!r}, not {plan.id}."
    return f"The confirmation {typed!r} is not the name of the service, {plan.service!r}."
