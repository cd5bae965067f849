"""Acting on several approved plans: all locks first, then each in its turn, or all put back."""

from collections.abc import Callable
from threading import Event

from veza_nb.attempts import Attempt, Effect
from veza_nb.errors import RefusedError
from veza_nb.groupopening import OpenedGroup
from veza_nb.groupplans import GroupPlan
from veza_nb.parts import Board, Part, all_do
from veza_nb.podtemplates import template_digest
from veza_nb.revisions import Revision, read_history
from veza_nb.scheduling import Fate, Turn, carry_out
from veza_nb.vocabulary import JournalEvent, OnFailure, RolloutPhase, Step
from veza_nb.words import listing

STEP = "undo"
PUT_BACK = "put back"


def hold_all(opened: OpenedGroup, plan: GroupPlan, stop: Event) -> None:
    """Take the lock of every service that is to be changed, or none.

    Raises:
        RefusedError: somebody holds one of them; all others were given back.
    """
    parts = [opened.parts[name] for name, one in plan.plans.items() if not one.noop]
    if all_do(parts, "lock", lambda part: part.incident.hold(), stop=stop):
        return
    for part in parts:
        part.incident.opened.lock.release()
    refused = [f"{part.name}: {part.error.what}" for part in parts if part.error]
    raise RefusedError(
        f"Not every lock was to be had. {' '.join(refused)}",
        next_step="Talk to whoever holds it, or leave that service out. Nothing was begun.",
    )


def take_turns(opened: OpenedGroup, plan: GroupPlan, stop: Event, board: Board) -> dict[str, Turn]:
    """Undo each service in its turn; a failure does to the others what the pace says.

    A service is done when its rollout is complete; whether it is well again is verified for all
    of them together afterwards, so that nobody waits for somebody else's soak.
    """
    steps = {name: _undo(opened, plan, part, stop, board) for name, part in opened.parts.items()}
    turns = carry_out(steps, plan.after, plan.pace, stop, board.tick)
    for name, turn in turns.items():
        _note(opened, {"service": name, "turn": turn.fate, "why": turn.why})
    return turns


def _undo(
    opened: OpenedGroup, plan: GroupPlan, part: Part, stop: Event, board: Board
) -> Callable[[], bool]:
    def run() -> bool:
        _note(opened, {"service": part.name, "turn": "begun"})
        went = part.do(
            STEP, lambda one: one.incident.undo(plan.plans[one.name]), stop=stop, seen=board.changed
        )
        part.settled = went and part.incident.phase is RolloutPhase.COMPLETE
        return part.settled

    return run


def put_back_changed(
    opened: OpenedGroup, approver: str, turns: dict[str, Turn], stop: Event, break_glass: str
) -> tuple[str, ...]:
    """Put those that were changed back to what they ran before, the last one first.

    Args:
        opened: the group.
        approver: who approved of the rule.
        turns: how it went.
        stop: ends it.
        break_glass: why something is changed during a change freeze, as for the way there.

    Returns:
        The services of which that did not go well: they need a person.
    """
    failed = any(turn.fate is Fate.FAILED for turn in turns.values())
    if opened.pace.on_failure is not OnFailure.PUT_BACK or not failed:
        return ()
    parts = [part for part in reversed(opened.parts.values()) if part.changed is not False]
    for part in parts:
        _note(opened, {"service": part.name, "turn": PUT_BACK})
        part.tried_back = True
        went = part.do(PUT_BACK, lambda one: _put_back(one, approver, break_glass), stop=stop)
        part.put_back = went and part.incident.phase is RolloutPhase.COMPLETE
    return tuple(part.name for part in parts if not part.put_back)


def _put_back(part: Part, approver: str, break_glass: str) -> None:
    """Plan, approve and send the way back: an undo like any other, with all its guards.

    Always to what ran before this incident's first undo, whichever run sent it: tried again, it
    never goes forward to what was left.
    """
    incident = part.incident
    if part.changed is None:
        raise RefusedError(
            f"It is not known whether the undo of {part.name} took effect.",
            next_step="Look at what it runs; continue this incident, which looks first.",
        )
    bound = [one for one in incident.logbook.attempts if one.effect is not Effect.NONE]
    workload = incident.cluster.workload(incident.service.workload, incident.service.selector)
    history = read_history(workload, now=incident.cluster.now())
    before = (one.number for one in history.revisions if _is_before(one, bound[0]))
    number = next(before, 0)
    if not number:
        raise RefusedError(
            f"What {part.name} ran before is not in its history any more.",
            next_step="It stays where it was rolled back to.",
        )
    plan = incident.plan(to_revision=number, break_glass=break_glass)
    if not plan.noop and template_digest(plan.from_template) != bound[-1].digest:
        raise RefusedError(
            f"{part.name} was changed again by somebody else since its undo.",
            next_step="It stays as they left it: talk to them.",
        )
    incident.approve(plan, confirm=f"{plan.id}:{approver}")
    incident.undo(plan)


def _is_before(revision: Revision, first: Attempt) -> bool:
    """Whether the first undo left that one."""
    if template_digest(revision.template) == first.left:
        return True
    return bool(revision.template_hash) and revision.template_hash == first.left_in.template_hash


def not_begun(turns: dict[str, Turn]) -> str:
    """Who was not begun and why, as a sentence; "" where everyone was."""
    left = [f"{name} ({turn.why})" for name, turn in turns.items() if turn.fate is Fate.NOT_BEGUN]
    return f"Not begun: {listing(left, limit=20)}." if left else ""


def _note(opened: OpenedGroup, data: dict[str, object]) -> None:
    opened.logbook.journal.append(Step.UNDO, JournalEvent.NOTE, data)
