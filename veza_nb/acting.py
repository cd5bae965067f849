"""Acting on an approved plan: the lock, the undo, and the rollout as it is seen."""

from collections.abc import Callable
from contextlib import suppress

from veza_nb import display, render
from veza_nb.approving import refuse_blocked, refuse_unapproved
from veza_nb.errors import RefusedError
from veza_nb.opening import Opened
from veza_nb.pausing import paused
from veza_nb.plans import Plan
from veza_nb.rollout import RolloutState
from veza_nb.undo import UndoResult, follow, send
from veza_nb.vocabulary import JournalEvent, Outcome, Step


def act(opened: Opened, plan: Plan, *, force_lock: str) -> None:
    """Send the undo if it is still needed, and follow the rollout.

    Args:
        opened: the incident.
        plan: approved.
        force_lock: why the lock is to be taken from whoever holds it; "" respects it.

    Raises:
        RefusedError: not approved, blocked, locked by somebody else, or changed since.
    """
    result = send_undo(opened, plan, force_lock=force_lock)
    follow_rollout(opened, plan, result)


def send_undo(
    opened: Opened,
    plan: Plan,
    *,
    force_lock: str,
    may_resume: Callable[[], bool] = lambda: True,
) -> UndoResult:
    """Send the undo if it is still needed; the arguments are `act`'s and `paused`'s.

    Raises:
        RefusedError: as `act` does.
    """
    logbook = opened.logbook
    if not plan.noop:
        refuse_blocked(plan)
        refuse_unapproved(opened, plan)
        take_lock(opened, force_lock)
    elif not opened.first:
        _take_back_lock(opened)
    with paused(opened.cluster, plan, logbook.journal, may_resume=may_resume):
        result = send(opened.cluster, plan, logbook.journal)
    mutated_at = logbook.record.mutated_at or logbook.mutated_at
    logbook.update(outcome=Outcome.OPEN, exit_code=None, mutated_at=mutated_at)
    return result


def follow_rollout(opened: Opened, plan: Plan, result: UndoResult) -> None:
    """Follow the rollout that comes of it, and write down where it ended."""
    state = _follow(opened, plan, result)
    opened.logbook.update(undo={"result": result, "rollout": state})


def take_lock(opened: Opened, force: str) -> None:
    """Take the lock, from somebody else only where `force` says why; that is written down.

    Raises:
        RefusedError: somebody else holds it.
    """
    taken = opened.lock.acquire(force=force)
    if taken:
        note = {"lock taken": taken, "reason": force}
        opened.logbook.journal.append(Step.UNDO, JournalEvent.NOTE, note)


def _take_back_lock(opened: Opened) -> None:
    """The run that sent the undo may have died with the lock; it is held to the end, or free."""
    with suppress(RefusedError):  # whoever works on it by now may: nothing is changed from here
        take_lock(opened, "")


def _follow(opened: Opened, plan: Plan, result: UndoResult) -> RolloutState:
    view, clock = display.LiveView(), opened.cluster.clock
    begin = clock.monotonic()

    def show(state: RolloutState) -> None:
        view.show(render.progress(state, clock.monotonic() - begin, result.kind))
        opened.logbook.recorder.rollout(state)

    return follow(opened.cluster, plan, settings=opened.settings, show=show)
