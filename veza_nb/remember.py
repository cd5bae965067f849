"""Remember: what this incident found out about two pod templates, written on their ReplicaSets.

The next operator must not go back to what this one left. The service is back by then, so
nothing here may fail the run: what cannot be written is left for a person to do.
"""

from dataclasses import dataclass
from datetime import datetime
from functools import partial

from veza_nb.accounts import Record
from veza_nb.cluster import Cluster
from veza_nb.errors import VezaError
from veza_nb.evidence import kubectl
from veza_nb.journal import Journal
from veza_nb.reputation import BAD, GOOD, write_mark
from veza_nb.vocabulary import Annotation, JournalEvent, Step


@dataclass(frozen=True, slots=True)
class Remark:
    """A mark to be left.

    Attributes:
        replicaset: where.
        value: of the annotation.
    """

    replicaset: str
    value: str


def remarks(record: Record, at: datetime) -> tuple[Remark, ...]:
    """Bad for what was left, good for what the service recovered on.

    Args:
        record: of an incident whose undo took effect and cured.
        at: now.
    """
    plan = record.plan or {}
    left, taken = plan.get("from_replicaset", ""), plan.get("to_replicaset", "")
    cases = (
        (left, BAD, plan.get("from_hash", ""), _why(record)),
        (taken, GOOD, plan.get("template_hash", ""), "the service recovered on it"),
    )
    mark = partial(write_mark, incident=record.incident_id, operator=record.operator, at=at)
    return tuple(
        Remark(name, mark(word, pod_template_hash, reason=reason))
        for name, word, pod_template_hash, reason in cases
        if name and pod_template_hash and left != taken
    )


def _why(record: Record) -> str:
    """In the operator's words, or what was found first."""
    findings = (record.diagnosis or {}).get("findings") or [{}]
    return record.reason or str(findings[0].get("reason", ""))


def remember(cluster: Cluster, journal: Journal, marks: tuple[Remark, ...]) -> tuple[str, ...]:
    """Leave the marks; return what a person has to do where that was not possible."""
    return tuple(todo for mark in marks if (todo := _leave(cluster, journal, mark)))


def _leave(cluster: Cluster, journal: Journal, mark: Remark) -> str:
    note = f"{Annotation.VERDICT}={mark.value}"
    by_hand = kubectl(
        cluster.namespace, "annotate", "--overwrite", f"replicaset/{mark.replicaset}", note
    )
    said = {"replicaset": mark.replicaset, "mark": mark.value, "command": by_hand}
    journal.append(Step.CLOSE, JournalEvent.INTENT, said)
    try:
        cluster.annotate_replicaset(mark.replicaset, {Annotation.VERDICT: mark.value})
    except VezaError as error:
        journal.append(Step.CLOSE, JournalEvent.FAILED, {**said, "error": error.what})
        return f"Mark the revision for the next operator: `{by_hand}`."
    journal.append(Step.CLOSE, JournalEvent.DONE, said)
    return ""
