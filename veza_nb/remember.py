"""Remember: what this incident found out about pod templates, written on their ReplicaSets.

The next operator must not go back to what this one left. The service is back by then, so
nothing here may fail the run: what cannot be written is left for a person to do.
"""

from collections.abc import Sequence
from dataclasses import dataclass
from datetime import datetime
from functools import partial

from veza_nb.accounts import Record
from veza_nb.attempts import Effect, read_attempts
from veza_nb.cluster import Cluster
from veza_nb.errors import VezaError
from veza_nb.evidence import kubectl
from veza_nb.journal import Journal, Line
from veza_nb.reputation import BAD, GOOD, write_mark
from veza_nb.vocabulary import Annotation, JournalEvent, Step, Verdict
from veza_nb.words import count


@dataclass(frozen=True, slots=True)
class Remark:
    """A mark to be left.

    Attributes:
        replicaset: where.
        value: of the annotation.
    """

    replicaset: str
    value: str


def remarks(record: Record, lines: Sequence[Line], live: str, at: datetime) -> tuple[Remark, ...]:
    """Bad for what was left and for what failed on the way, good for what it recovered on.

    Read off what was sent and verified, never off the newest plan: one may be looked at and not
    sent. What was left and came back, by whoever's hand, gets no mark: it works by now.

    Args:
        record: of an incident whose undo took effect and cured.
        lines: of its journal.
        live: digest of the template that runs and was verified.
        at: now.
    """
    took = [one for one in read_attempts(lines) if one.effect is Effect.DONE]
    if not took:
        return ()
    failed = _failed(lines)
    bad = {
        one.kept_in: "gone back to, and it failed verification"
        for one in took
        if one.digest in failed and one.digest != live
    }
    if took[0].left != live:
        bad = {took[0].left_in: _why(record), **bad}
    good = took[-1].digest == live != took[0].left
    taken = {took[-1].kept_in: "the service recovered on it"} if good else {}
    if {one.replicaset for one in taken} & {one.replicaset for one in bad}:
        return ()
    mark = partial(write_mark, incident=record.incident_id, operator=record.operator, at=at)
    return tuple(
        Remark(one.replicaset, mark(word, one.template_hash, reason=reason))
        for word, kept in ((BAD, bad), (GOOD, taken))
        for one, reason in kept.items()
        if one.replicaset and one.template_hash
    )


def _failed(lines: Sequence[Line]) -> frozenset[str]:
    """Digests of the templates whose newest verification failed."""
    verdicts = {
        str(line.data.get("digest", "")): line.data.get("verdict")
        for line in lines
        if (line.step, line.event) == (Step.VERIFY, JournalEvent.DONE)
    }
    return frozenset(one for one, verdict in verdicts.items() if verdict == Verdict.FAIL)


def _why(record: Record) -> str:
    """In the operator's words, or what was found first; and how often its pods restarted.

    Restarts go with the pods: only this mark tells of them later.
    """
    findings = (record.diagnosis or {}).get("findings") or [{}]
    why = record.reason or str(findings[0].get("reason", ""))
    current = (record.history or {}).get("current") or {}
    restarts = (current.get("vitals") or {}).get("restarts")
    seen = count(restarts, "restart") if isinstance(restarts, int) and restarts else ""
    return ", ".join(part for part in (why, seen) if part)


def remember(cluster: Cluster, journal: Journal, marks: tuple[Remark, ...]) -> tuple[str, ...]:
    """Leave the marks; return what a person has to do where that was not possible."""
    return tuple(todo for mark in marks if (todo := _leave(cluster, journal, mark)))


def _leave(cluster: Cluster, journal: Journal, mark: Remark) -> str:
    note = f"{Annotation.VERDICT}={mark.value}"
    kept = cluster.kind.revision_kind.lower()
    by_hand = kubectl(
        cluster.namespace, "annotate", "--overwrite", f"{kept}/{mark.replicaset}", note
    )
    said = {"replicaset": mark.replicaset, "mark": mark.value, "command": by_hand}
    journal.append(Step.CLOSE, JournalEvent.INTENT, said)
    try:
        cluster.annotate_revision(mark.replicaset, {Annotation.VERDICT: mark.value})
    except VezaError as error:
        journal.append(Step.CLOSE, JournalEvent.FAILED, {**said, "error": error.what})
        return f"Mark the revision for the next operator: `{by_hand}`."
    journal.append(Step.CLOSE, JournalEvent.DONE, said)
    return ""
