"""Pause what would take an undo back, and end the pause.

A pause is made after the approval, under the lock, before the undo. It is sent once, journaled
before and after, and where its answer is lost the object is asked what is true. If no undo comes of
it, what was there is put back; after an undo it stays until a person resumes it: only a person
knows that Git no longer holds the bad release.
"""

from collections.abc import Callable, Iterator
from contextlib import contextmanager
from typing import Any

from veza_nb.attempts import Effect, read_attempts
from veza_nb.clock import Deadline
from veza_nb.cluster import Cluster
from veza_nb.cluster.reconcilers import patch_object, read_object
from veza_nb.errors import NotFoundError, RefusedError, ServerError, UnreachableError, VezaError
from veza_nb.gitops import Pause, is_paused_by, read_reconciler, resume_command, resume_patch
from veza_nb.journal import Journal
from veza_nb.pauses import PAUSE, RESUME, Paused, intent_of, open_pauses
from veza_nb.plans import Plan
from veza_nb.vocabulary import JournalEvent, Step

LOOK_SECONDS = 10.0
"""How long an object is asked what became of a patch whose answer was lost."""
LOOK_PAUSE = 0.5


@contextmanager
def paused(
    cluster: Cluster,
    plan: Plan,
    journal: Journal,
    *,
    may_resume: Callable[[], bool] = lambda: True,
) -> Iterator[None]:
    """Pause what the plan says, unless this incident has; put it back if no undo comes of it.

    Args:
        cluster: where.
        plan: approved; the lock is held.
        journal: of the incident.
        may_resume: asked after a failure: False where resuming would do harm by now.

    Raises:
        RefusedError: it cannot be paused: nothing else was begun.
    """
    try:
        held = {one.handle for one in open_pauses(journal.lines) if one.sure}
        for one in (one for one in plan.pauses if one.handle not in held):
            _pause(cluster, one, plan.incident, journal)
        yield
    except BaseException as error:
        if may_resume():
            _put_back(cluster, plan.incident, journal, error)
        raise


def resume(cluster: Cluster, one: Paused, incident: str, journal: Journal) -> str:
    """End a pause; returns what became of it, one sentence.

    Args:
        cluster: where.
        one: what an incident has paused.
        incident: its id.
        journal: of that incident.

    Raises:
        VezaError: it could not be ended, or cannot be read.
    """
    intent = journal.append(Step.GITOPS, JournalEvent.INTENT, _resuming(one)).seq
    try:
        return _resume(cluster, one, incident, journal, intent)
    except VezaError as error:
        _settle(journal, intent, RESUME, "unknown", error=error.what)
        raise


def git_has_what_runs(cluster: Cluster, one: Paused, workload: str) -> bool | None:
    """Whether its tool says that Git has what runs; None where it does not say.

    Raises:
        VezaError: it cannot be read.
    """
    about = (cluster.namespace, workload)
    try:
        found = read_object(cluster, one.handle)
    except NotFoundError:
        return None
    return read_reconciler(one.tool, one.handle, found, about=about).in_step


def _pause(cluster: Cluster, one: Pause, incident: str, journal: Journal) -> None:
    intent = journal.append(Step.GITOPS, JournalEvent.INTENT, intent_of(one, PAUSE)).seq
    try:
        patch_object(cluster, one.handle, one.patch)
    except (UnreachableError, ServerError) as error:
        if not _took_effect(cluster, one, incident):
            _settle(journal, intent, PAUSE, "unknown", error=error.what)
            raise _refused(one, error, "It may still be paused by this.") from error
    except VezaError as error:
        _settle(journal, intent, PAUSE, "none", error=error.what)
        raise _refused(one, error, "") from error
    _settle(journal, intent, PAUSE, "done")


def _took_effect(cluster: Cluster, one: Pause, incident: str) -> bool:
    """Look whether a patch without a good answer did what it should; never send it again."""
    deadline = Deadline.after(cluster.clock, LOOK_SECONDS)
    while not deadline.passed:
        try:
            if is_paused_by(read_object(cluster, one.handle), incident):
                return True
        except (UnreachableError, ServerError):
            pass
        except VezaError:
            return False
        cluster.clock.sleep(LOOK_PAUSE)
    return False


def _refused(one: Pause, error: VezaError, state: str) -> RefusedError:
    refused = RefusedError(
        f"{one.tool}'s {one.handle} could not be paused, so nothing was undone: {error.what}",
        next_step="Plan again; or pause it by hand first: " + one.command,
    )
    if state:
        refused.state = f"The workload was not changed. {state} See `{one.resume}`."
    return refused


def _put_back(cluster: Cluster, incident: str, journal: Journal, error: BaseException) -> None:
    """What was paused for an undo that was not made."""
    attempts = read_attempts(journal.lines)
    if any(attempt.effect is not Effect.NONE for attempt in attempts):
        return  # it took effect, or may have: now the pause is needed
    for one in open_pauses(journal.lines):
        try:
            resume(cluster, one, incident, journal)
        except VezaError as failed:
            if isinstance(error, VezaError):
                error.state = (
                    f"Nothing was undone. {one} is still paused: {failed.what} "
                    f"End that with `{resume_command(incident)}`."
                )


def _resume(cluster: Cluster, one: Paused, incident: str, journal: Journal, intent: int) -> str:
    try:
        found: dict[str, Any] = read_object(cluster, one.handle)
    except NotFoundError:
        _settle(journal, intent, RESUME, "done", note="gone")
        return f"{one} is not there any more."
    if not is_paused_by(found, incident):
        _settle(journal, intent, RESUME, "done", note="not paused by this incident")
        return f"{one} is not paused by this incident (any more): nothing to do."
    patch_object(cluster, one.handle, resume_patch(found, one.handle, one.before))
    _settle(journal, intent, RESUME, "done")
    return f"{one} is resumed."


def _resuming(one: Paused) -> dict[str, object]:
    handle = one.handle
    pause = Pause(one.tool, handle, one.before, (), "", "", "")
    return intent_of(pause, RESUME)


def _settle(journal: Journal, intent: int, action: str, effect: str, **more: object) -> None:
    """Write down what became of an intent."""
    event = JournalEvent.DONE if effect == "done" else JournalEvent.FAILED
    data = {"intent": intent, "action": action, "effect": effect, **more}
    journal.append(Step.GITOPS, event, data)
