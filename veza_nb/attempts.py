"""What became of the undos of one incident, folded from its journal.

The one place that says whether an incident changed the cluster. Each intent is one attempt;
the result line that names it settles it. An intent without a result is unknown: the process
may have died between the two, on either side of the patch.
"""

from collections.abc import Iterable
from dataclasses import dataclass, replace
from enum import StrEnum

from veza_nb.journal import Line
from veza_nb.plans import Plan
from veza_nb.podtemplates import template_digest
from veza_nb.vocabulary import JournalEvent, Step


class Effect(StrEnum):
    """What an attempt did to the cluster."""

    NONE = "none"
    DONE = "done"
    UNKNOWN = "unknown"


@dataclass(frozen=True, slots=True)
class Attempt:
    """One undo that was sent, or was about to be.

    Attributes:
        intent: sequence number of its intent line.
        at: when that was written.
        plan: the plan's id.
        uid: of the Deployment.
        generation: of the Deployment as planned.
        digest: of the target's template.
        effect: what is known of it.
    """

    intent: int
    at: str
    plan: str
    uid: str
    generation: int
    digest: str
    effect: Effect

    def aims_at(self, plan: Plan) -> bool:
        """Whether that plan has the same Deployment and the same target."""
        return (self.uid, self.digest) == (plan.uid, template_digest(plan.template))


def read_attempts(lines: Iterable[Line]) -> tuple[Attempt, ...]:
    """The attempts of a journal, oldest first."""
    found: dict[int, Attempt] = {}
    for line in lines:
        if line.step != Step.UNDO:
            continue
        if line.event == JournalEvent.INTENT:
            found[line.seq] = _attempt(line)
            continue
        settled = found.get(line.data.get("intent", 0))
        if settled is not None and "effect" in line.data:
            found[settled.intent] = replace(settled, effect=Effect(line.data["effect"]))
    return tuple(found.values())


def changed(attempts: Iterable[Attempt]) -> bool | None:
    """Whether any of them changed the cluster; None where that is not known."""
    effects = {attempt.effect for attempt in attempts}
    if Effect.DONE in effects:
        return True
    return None if Effect.UNKNOWN in effects else False


def unsettled(attempts: Iterable[Attempt]) -> Attempt | None:
    """The newest attempt of which nobody knows what became of it."""
    open_ = [attempt for attempt in attempts if attempt.effect is Effect.UNKNOWN]
    return open_[-1] if open_ else None


def newest(attempts: Iterable[Attempt]) -> Attempt | None:
    """The newest attempt that took effect, or may have: what a resumed run has to answer for."""
    bound = [attempt for attempt in attempts if attempt.effect is not Effect.NONE]
    return bound[-1] if bound else None


def _attempt(line: Line) -> Attempt:
    data = line.data
    return Attempt(
        intent=line.seq,
        at=line.at,
        plan=str(data.get("plan", "")),
        uid=str(data.get("uid", "")),
        generation=int(data.get("generation", 0)),
        digest=str(data.get("digest", "")),
        effect=Effect.UNKNOWN,
    )
