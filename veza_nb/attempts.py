"""What became of the undos of one incident, folded from its journal.

The one place that says whether an incident changed the cluster. Each intent is one attempt;
the result line that names it settles it. An intent without a result is unknown: the process
may have died between the two, on either side of the patch.
"""

from collections.abc import Iterable
from dataclasses import dataclass, replace
from enum import StrEnum

from veza_nb.choices import RECOMMENDED, Choice
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
class Kept:
    """Where a template is kept.

    Attributes:
        replicaset: name of its ReplicaSet (or ControllerRevision); "" where there is none.
        template_hash: the hash label of it.
    """

    replicaset: str = ""
    template_hash: str = ""


@dataclass(frozen=True, slots=True)
class Attempt:
    """One undo that was sent, or was about to be.

    Attributes:
        intent: sequence number of its intent line.
        at: when that was written.
        plan: the plan's id.
        uid: of the workload.
        generation: of the workload as planned.
        digest: of the target's template.
        effect: what is known of it.
        asked: what the operator had named, as it was typed.
        left: digest of the template that was live before.
        left_in: where that is kept.
        kept_in: where the target's template is kept.
    """

    intent: int
    at: str
    plan: str
    uid: str
    generation: int
    digest: str
    effect: Effect
    asked: str = ""
    left: str = ""
    left_in: Kept = Kept()
    kept_in: Kept = Kept()

    def aims_at(self, plan: Plan) -> bool:
        """Whether that plan has the same workload and the same target."""
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
    attempts = tuple(found.values())
    done = {(one.uid, one.generation) for one in attempts if one.effect is Effect.DONE}
    return tuple(_outdone(one) if (one.uid, one.generation) in done else one for one in attempts)


def _outdone(attempt: Attempt) -> Attempt:
    """Of several patches that test for one generation, one takes effect and no other can."""
    unknown = attempt.effect is Effect.UNKNOWN
    return replace(attempt, effect=Effect.NONE) if unknown else attempt


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


def steps(attempts: Iterable[Attempt]) -> int:
    """How many revisions this incident has gone back to, surely or perhaps."""
    return len({one.digest for one in attempts if one.effect is not Effect.NONE})


def tried(attempts: Iterable[Attempt]) -> frozenset[str]:
    """Digests of all templates that this incident went to or came from: never targets again."""
    bound = [attempt for attempt in attempts if attempt.effect is not Effect.NONE]
    return frozenset(digest for one in bound for digest in (one.digest, one.left) if digest)


def going_on(choice: Choice, attempts: Iterable[Attempt]) -> tuple[Choice, Attempt | None]:
    """What a run goes on with: what this incident sent, unless something else is named now.

    A number named before is gone once the undo took effect, and an image may be the one of
    another revision by then: the same words still mean what was sent.

    Returns:
        The choice that is left to make, and the attempt that stands instead of one.
    """
    earlier = newest(attempts)
    if earlier is None or (choice.named and choice.said != earlier.asked):
        return choice, None
    return RECOMMENDED, earlier


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
        asked=str(data.get("asked", "")),
        left=str(data.get("left_digest", "")),
        left_in=Kept(str(data.get("from_replicaset", "")), str(data.get("from_hash", ""))),
        kept_in=Kept(str(data.get("to_replicaset", "")), str(data.get("to_hash", ""))),
    )
