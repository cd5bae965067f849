"""Undo and follow: the one change to the cluster, and the rollout that comes of it.

One JSON patch carries its own preconditions. It is journaled before and after, sent once,
and where its answer is lost the cluster is asked what is true.
"""

from collections.abc import Callable, Generator
from contextlib import closing, suppress
from dataclasses import dataclass
from enum import StrEnum

from veza_nb.attempts import Attempt, Effect, read_attempts, unsettled
from veza_nb.catalog import Verify
from veza_nb.clock import Deadline
from veza_nb.cluster import Cluster, selector_of, watch_workload
from veza_nb.cluster.refused import Refused
from veza_nb.errors import (
    ConflictError,
    InvalidError,
    ServerError,
    UnreachableError,
    VezaError,
)
from veza_nb.journal import Journal
from veza_nb.objects import Deployment
from veza_nb.patience import not_begun, patiently
from veza_nb.plans import Plan, in_effect
from veza_nb.podtemplates import template_digest
from veza_nb.rollout import RolloutState, read_rollout, settled
from veza_nb.vocabulary import JournalEvent, RolloutPhase, Step

LOOK_SECONDS = 10.0
"""How long the cluster is asked what became of a patch whose answer was lost."""
LOOK_PAUSE = 0.5
STUCK_SECONDS = 8.0
"""A rollout that is stuck for that long without a break will not come unstuck by itself."""


class UndoKind(StrEnum):
    """What became of an undo."""

    DONE = "done"
    NOOP = "no-op"
    FOUND_DONE = "found done"


@dataclass(frozen=True, slots=True)
class UndoResult:
    """An undo that took effect, or did not need to.

    Attributes:
        kind: patched now, nothing to do, or found done after a lost answer or a crash.
        generation: the workload's generation afterwards.
    """

    kind: UndoKind
    generation: int


def send(cluster: Cluster, plan: Plan, journal: Journal) -> UndoResult:
    """Send the undo, once, if it is still needed and still what was planned.

    Raises:
        ConflictError: the workload changed since the plan; nothing was changed.
        VezaError: the patch was refused, or it cannot be told what became of it.
    """
    live = cluster.deployment(plan.workload)
    if in_effect(live, plan):
        return _found(live, plan, journal)
    refuse_changed(live, plan)
    intent = journal.append(Step.UNDO, JournalEvent.INTENT, _intent(plan)).seq
    try:
        after = cluster.patch_workload(plan.workload, plan.patch)
    except InvalidError as error:
        _settle(journal, plan, intent, Effect.NONE, error=error.what)
        live = cluster.deployment(plan.workload)
        if in_effect(live, plan) and _own(plan, journal) is not None:
            # The patch of an earlier run, lost on the way, came in between.
            return _found(live, plan, journal)
        refuse_changed(live, plan, cause=error)
        raise
    except (UnreachableError, ServerError) as error:
        return _look(cluster, plan, journal, intent, error)
    except VezaError as error:
        _settle(journal, plan, intent, Effect.NONE, error=error.what)
        raise
    return _done(journal, plan, intent, UndoKind.DONE, after.metadata.generation)


def _intent(plan: Plan) -> dict[str, object]:
    """What a later run needs to recognise both templates: digests and names, not numbers."""
    return {
        "plan": plan.id,
        "digest": template_digest(plan.template),
        "left_digest": template_digest(plan.from_template),
        "from_replicaset": plan.from_replicaset,
        "from_hash": plan.from_hash,
        "to_replicaset": plan.to_replicaset,
        "to_hash": plan.template_hash,
        "uid": plan.uid,
        "generation": plan.generation,
        "asked": plan.asked,
        "command": plan.command,
    }


def _settle(journal: Journal, plan: Plan, intent: int, effect: Effect, **more: object) -> None:
    """Write down what became of an intent."""
    event = JournalEvent.DONE if effect is Effect.DONE else JournalEvent.FAILED
    data = {"plan": plan.id, "intent": intent, "effect": effect, **more}
    journal.append(Step.UNDO, event, data)


def _done(journal: Journal, plan: Plan, intent: int, kind: UndoKind, generation: int) -> UndoResult:
    _settle(journal, plan, intent, Effect.DONE, kind=kind, generation=generation)
    return UndoResult(kind, generation)


def _own(plan: Plan, journal: Journal) -> Attempt | None:
    """An attempt of this incident at the same target of which nobody knows what became."""
    open_ = unsettled(read_attempts(journal.lines))
    return open_ if open_ is not None and open_.aims_at(plan) else None


def _found(live: Deployment, plan: Plan, journal: Journal) -> UndoResult:
    """The target is live already: by our own lost patch, or by somebody else's doing."""
    own, generation = _own(plan, journal), live.metadata.generation
    if own is not None:
        return _done(journal, plan, own.intent, UndoKind.FOUND_DONE, generation)
    data = {"plan": plan.id, "kind": UndoKind.NOOP, "generation": generation}
    journal.append(Step.UNDO, JournalEvent.NOTE, data)
    return UndoResult(UndoKind.NOOP, generation)


def refuse_changed(live: Deployment, plan: Plan, cause: Exception | None = None) -> None:
    """Stop where the workload is not what was planned on.

    Raises:
        ConflictError: it was changed, or made again; says by whom.
    """
    meta = live.metadata
    if meta.uid == plan.uid and meta.generation == plan.generation:
        return
    written = [
        (one.time, one.manager) for one in meta.managed_fields if one.time and not one.subresource
    ]
    who = f" Last written by {max(written)[1]}." if written else ""
    what = "was deleted and made again" if meta.uid != plan.uid else "was changed"
    raise ConflictError(
        f"The {live.kind} {plan.workload} {what} after the plan was made "
        f"(generation {plan.generation} then, {meta.generation} now).{who}",
        next_step="Find out who is working on it, then detect and plan again.",
        data={"planned": plan.generation, "found": meta.generation},
    ) from cause


def _look(
    cluster: Cluster, plan: Plan, journal: Journal, intent: int, error: VezaError
) -> UndoResult:
    """Find out whether a patch without a good answer took effect; never send it again.

    Not in effect so far does not mean never: a server may work on a request for a minute. So
    the end of looking is "unknown", except where the server said that it did not begin.
    """
    note = {"plan": plan.id, "answer lost": error.what}
    journal.append(Step.UNDO, JournalEvent.NOTE, note)
    deadline = Deadline.after(cluster.clock, LOOK_SECONDS)
    while not deadline.passed and not not_begun(error):
        with suppress(UnreachableError, ServerError):
            live = cluster.deployment(plan.workload)
            if in_effect(live, plan):
                kind, generation = UndoKind.FOUND_DONE, live.metadata.generation
                return _done(journal, plan, intent, kind, generation)
        cluster.clock.sleep(LOOK_PAUSE)
    if not_begun(error):
        _settle(journal, plan, intent, Effect.NONE, error=error.what)
        raise error
    _settle(journal, plan, intent, Effect.UNKNOWN, error=error.what)
    raise VezaError(
        f"The undo got no good answer: {error.what}",
        state="It is not in effect so far; it may still take effect.",
        next_step="Run again with the same incident: it looks first and never repeats.",
    ) from error


def follow(
    cluster: Cluster, plan: Plan, *, settings: Verify, show: Callable[[RolloutState], None]
) -> RolloutState:
    """Watch the rollout until it is settled, hopelessly stuck, or out of time.

    Args:
        cluster: where.
        plan: what was sent.
        settings: `rollout_seconds` is the deadline.
        show: is given every state as it comes.

    Returns:
        The last state seen.
    """
    stuck_since: float | None = None
    state: RolloutState | None = None
    with closing(_states(cluster, plan, settings)) as states:
        for state in states:
            show(state)
            if settled(state):
                return state
            now = cluster.clock.monotonic()
            if state.phase is not RolloutPhase.STUCK or _freed_by_hand(state):
                stuck_since = None
            elif stuck_since is None:
                stuck_since = now
            elif now - stuck_since >= STUCK_SECONDS:
                return state
    return state or read_rollout(patiently(cluster.clock, lambda: cluster.workload(plan.workload)))


def _states(cluster: Cluster, plan: Plan, settings: Verify) -> Generator[RolloutState, None, None]:
    live = patiently(cluster.clock, lambda: cluster.deployment(plan.workload))
    selector = selector_of(live.spec.selector)
    deadline = Deadline.after(cluster.clock, settings.rollout_seconds)
    refused = Refused(cluster, plan.workload)
    with closing(watch_workload(cluster, plan.workload, selector, deadline=deadline)) as seen:
        for workload in seen:
            yield read_rollout(refused.told(workload))


def _freed_by_hand(state: RolloutState) -> bool:
    """Whether a person can get it going while somebody looks: then it is waited for."""
    hopeless = any(trouble.new and trouble.hopeless for trouble in state.troubles)
    return bool(state.left_alone) and not hopeless
