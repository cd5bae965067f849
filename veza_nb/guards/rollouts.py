"""Guard about somebody else who is rolling something out at this moment.

The bad rollout that is to be undone often still runs, or is stuck: that is no reason to wait. What
differs is a template that detection has not seen, or one that does well so far and that nobody
blames.
"""

from collections.abc import Iterator

from veza_nb.guards.case import Case, Guard
from veza_nb.rollout import RolloutState, read_rollout
from veza_nb.vocabulary import Decision, Level, RolloutPhase
from veza_nb.words import clock_time, count
from veza_nb.writers import template_writer, written_by_incident


def begun_elsewhere(case: Case) -> Iterator[Guard]:
    """A rollout that is not this incident's."""
    if case.noop or written_by_incident(case.deployment.metadata, case.order.incident):
        return
    state, who = read_rollout(case.workload), _who(case)
    seen = case.diagnosis.template_hash
    if seen and state.template_hash and seen != state.template_hash:
        yield Guard(
            "rollout-since-detection",
            Level.BLOCK,
            "Another template was rolled out after detection looked"
            f"{who and f', {who}'}: what was found is not about what runs now.",
            "Talk to whoever it was, and look again: run detect, then plan.",
        )
    elif state.phase is not RolloutPhase.PROGRESSING:
        return
    elif case.diagnosis.decision is not Decision.ROLL_BACK:
        yield Guard(
            "rollout-in-progress",
            Level.WARN,
            f"A rollout of {_name(state)} is in progress{who and f', {who}'}, and nothing speaks "
            f"against it so far: {_counts(state)}.",
            "Somebody may be mending this already: talk to them, or wait and look again, with `"
            + case.kubectl("rollout", "status", case.deployment.ref)
            + "`.",
        )
    elif who:
        yield Guard(
            "rollout-in-progress",
            Level.INFO,
            f"This ends the rollout of {_name(state)}, {who}: {_counts(state)}.",
            "",
        )


def _who(case: Case) -> str:
    """Who wrote the template and when, "" where nobody tells."""
    writer = template_writer(case.deployment.metadata)
    if writer is None or writer.time is None:
        return ""
    return f"written by {writer.manager} at {clock_time(writer.time)}"


def _name(state: RolloutState) -> str:
    return f"revision {state.revision}" if state.revision else "the newest template"


def _counts(state: RolloutState) -> str:
    return f"{state.available} of {count(state.desired, 'pod')} available"
