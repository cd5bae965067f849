"""The plans of several services as one: what is approved together, and how it all ended."""

from collections.abc import Iterable, Mapping
from dataclasses import dataclass
from hashlib import sha256

from veza_nb.pacing import Pace
from veza_nb.plans import Plan, Refusal
from veza_nb.vocabulary import Outcome


@dataclass(frozen=True, slots=True)
class GroupPlan:
    """What will be done to several services.

    Attributes:
        id: "g-" and 12 hex digits; the same plans under the same rule have the same id.
        name: the group's, or its services' names with commas between them.
        plans: service to its plan, in the order in which they go.
        after: service to those that must be back before it.
        pace: how many at a time, and what a failure means.
    """

    id: str
    name: str
    plans: Mapping[str, Plan]
    after: Mapping[str, frozenset[str]]
    pace: Pace

    @property
    def noop(self) -> bool:
        """All targets are live already."""
        return all(plan.noop for plan in self.plans.values())

    @property
    def blocked(self) -> tuple[str, ...]:
        """The services whose plans a guard blocks."""
        return tuple(name for name, plan in self.plans.items() if plan.blockers and not plan.noop)


def make_group_plan(
    name: str, plans: Mapping[str, Plan], after: Mapping[str, frozenset[str]], pace: Pace
) -> GroupPlan:
    """One plan of several."""
    said = [*(plan.id for plan in plans.values()), pace.words]
    digest = sha256("\n".join(said).encode()).hexdigest()[:12]
    return GroupPlan(f"g-{digest}", name, plans, after, pace)


@dataclass(frozen=True, slots=True)
class GroupApproval:
    """A yes to a group's plan.

    Attributes:
        approver: who said it.
        method: "group name" or "plan id".
    """

    approver: str
    method: str


def read_group_confirmation(
    confirm: str, plan: GroupPlan, *, operator: str, two_people: bool
) -> GroupApproval | Refusal:
    """Read a confirmation as it was typed or passed.

    Args:
        confirm: the group's name, all services' names with commas between them, or
            "<plan id>:<approver>".
        plan: what is to be approved.
        operator: who runs this; approves where the name was given.
        two_people: the approver must be somebody else.
    """
    typed = confirm.strip()
    first, _, approver = (part.strip() for part in typed.partition(":"))
    if _names(typed) == set(plan.plans) or typed == plan.name:
        found = GroupApproval(operator, "group name")
    elif first == plan.id and approver:
        found = GroupApproval(approver, "plan id")
    else:
        return Refusal(what=_wrong(typed, plan), next_step=how_to_approve(plan), guards=())
    if two_people and found.approver.casefold() == operator.strip().casefold():
        return Refusal(
            what=f"Two people are required here, and {operator} is the operator already.",
            next_step=f"Let somebody else approve: confirm = {f'{plan.id}:<their name>'!r}.",
            guards=(),
        )
    return found


def how_to_approve(plan: GroupPlan) -> str:
    """The two ways to say yes, as an instruction."""
    return f"Approve with confirm = {plan.name!r}, or {f'{plan.id}:<your name>'!r}."


def _names(typed: str) -> set[str]:
    return {part.strip() for part in typed.split(",") if part.strip()}


def _wrong(typed: str, plan: GroupPlan) -> str:
    if not typed:
        return "This plan of several services is not approved."
    if typed.startswith(("g-", "p-")) and not typed.startswith(plan.id):
        return f"The confirmation is for another plan: {typed!r}, not {plan.id}."
    if typed.startswith(plan.id):
        return f"The confirmation names the plan {plan.id}, but nobody who approves it."
    return f"The confirmation {typed!r} does not name exactly these services: {plan.name}."


def outcome_of_all(outcomes: Iterable[Outcome], *, changed: bool | None) -> Outcome:
    """How a run over several services ended.

    Args:
        outcomes: of each service.
        changed: whether any of them was changed; None where that is not known.
    """
    ends = set(outcomes)
    if ends <= {Outcome.RECOVERED}:
        return Outcome.RECOVERED
    if Outcome.INTERRUPTED in ends:
        return Outcome.INTERRUPTED
    if changed is False:
        return Outcome.REFUSED
    if Outcome.RECOVERED in ends:
        return Outcome.PARTIAL
    return Outcome.NOT_RECOVERED if Outcome.NOT_RECOVERED in ends else Outcome.INCONCLUSIVE
