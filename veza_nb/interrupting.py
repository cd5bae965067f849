"""A run that a person stops: what is going on in the cluster, and how to go on from there."""

from contextlib import suppress
from queue import Empty, SimpleQueue
from threading import Thread

from veza_nb.attempts import Attempt, newest
from veza_nb.errors import InterruptedRunError, RecordError, VezaError
from veza_nb.evidence import kubectl
from veza_nb.objects import Workload
from veza_nb.opening import Opened
from veza_nb.podtemplates import template_digest
from veza_nb.render.watching import numbers_of
from veza_nb.rollout import read_rollout
from veza_nb.vocabulary import JournalEvent, RolloutPhase, Step, WorkloadKind

LOOK_SECONDS = 3.0
"""Whoever presses Ctrl-C wants to be out: so long one look at the cluster may take."""


def interrupted(opened: Opened, step: Step) -> InterruptedRunError:
    """The error that ends the run: the cluster's state, and the ways from here.

    The interruption is journaled before anybody is asked anything.
    """
    logbook = opened.logbook
    with suppress(RecordError):  # a full disk is no reason to say nothing
        logbook.journal.append(step, JournalEvent.NOTE, {"interrupted": True})
    attempt = newest(logbook.attempts)
    said = [logbook.state]
    if attempt is not None:
        said += _now(attempt, _look(opened))
    ways = [f"To go on: run this cell again, or continue incident {logbook.record.incident_id}."]
    ways += _ways(opened, attempt) if attempt is not None else []
    ways.append("It never repeats a change.")
    return InterruptedRunError(
        f"Stopped during {step}.", state=" ".join(said), next_step=" ".join(ways)
    )


def _look(opened: Opened) -> Workload | None:
    """One look at the workload; None where there is no answer in time, or no more patience."""
    answers: SimpleQueue[Workload | None] = SimpleQueue()

    def ask() -> None:
        try:
            service = opened.service
            answers.put(opened.cluster.workload(service.workload, service.selector))
        except VezaError:
            answers.put(None)

    Thread(target=ask, daemon=True).start()
    try:
        return answers.get(timeout=LOOK_SECONDS)
    except (Empty, KeyboardInterrupt):
        return None


def _now(attempt: Attempt, seen: Workload | None) -> list[str]:
    """What the cluster is doing at this moment."""
    if seen is None:
        return ["What it is doing now could not be seen."]
    live = seen.deployment
    if template_digest(live.spec.template) != attempt.digest:
        return ["At this moment another template is live than the undo's."]
    state = read_rollout(seen)
    going = state.phase not in (RolloutPhase.COMPLETE, RolloutPhase.PAUSED)
    goes_on = " It goes on by itself." if going else ""
    return [f"The rollout is {state.phase}: {numbers_of(state)}.{goes_on}"]


def _ways(opened: Opened, attempt: Attempt) -> list[str]:
    """How to stop the rollout where it is, and how to take the undo back."""
    record, ref = opened.logbook.record, f"{opened.service.kind.word}/{opened.service.workload}"
    plan = record.plan or {}
    ways = []
    if opened.service.kind is WorkloadKind.DEPLOYMENT:
        pause = kubectl(opened.cluster.namespace, "rollout", "pause", ref)
        ways.append(f"To hold the rollout where it is: `{pause}`.")
    if plan.get("id") == attempt.plan and plan.get("from_revision"):
        number = plan["from_revision"]
        back = f"veza-nb rollback {opened.service_name} --to-revision {number}"
        ways.append(f"To undo the undo: `{back}`, a new incident.")
    return ways
