"""The machine-readable account of an incident, and what is derived from its journal.

The account is whole at every moment of a run: all that is not known yet is null, and its
outcome is "open" until the run is closed.
"""

from datetime import datetime
from typing import Any, Self

import msgspec

from veza_nb.journal import Line
from veza_nb.plain import to_plain
from veza_nb.vocabulary import JournalEvent, Outcome, WorkloadKind

SCHEMA_VERSION = "1.0"

Json = dict[str, Any]
"""A step's result as `to_plain` writes it."""


class Cluster(msgspec.Struct, kw_only=True, frozen=True):
    """Which cluster it was: kubeconfig context, server URL, Kubernetes version."""

    context: str = ""
    server: str = ""
    version: str = ""


class Durations(msgspec.Struct, kw_only=True, frozen=True):
    """Seconds between the moments of a run; null where one of the two is not known."""

    detect: float | None = None
    approve: float | None = None
    mutate: float | None = None
    recover: float | None = None
    total: float | None = None


class Action(msgspec.Struct, kw_only=True, frozen=True):
    """One step that was done, as the journal tells it.

    Attributes:
        step: the cell.
        status: "done", "failed", or "unknown" where the journal ends before the result.
        started_at: when its intent was written.
        ended_at: when its result was written.
        seconds: between the two.
        actor: who ran it.
        command: the kubectl command that does the same, if the step names one.
        data: what the result line says.
    """

    step: str
    status: str
    started_at: str
    ended_at: str | None = None
    seconds: float | None = None
    actor: str = ""
    command: str = ""
    data: Json = msgspec.field(default_factory=dict)


class Record(msgspec.Struct, kw_only=True, frozen=True):
    """The machine-readable account; every field is described in the shipped JSON Schema."""

    incident_id: str
    service: str
    schema_version: str = SCHEMA_VERSION
    title: str = ""
    outcome: Outcome = Outcome.OPEN
    exit_code: int | None = None
    changed: bool | None = None
    namespace: str = ""
    kind: str = WorkloadKind.DEPLOYMENT
    workload: str = ""
    cluster: Cluster = Cluster()
    operator: str = ""
    host: str = ""
    reason: str = ""
    started_at: datetime | None = None
    detected_at: datetime | None = None
    approved_at: datetime | None = None
    mutated_at: datetime | None = None
    recovered_at: datetime | None = None
    closed_at: datetime | None = None
    durations: Durations = Durations()
    parameters: Json = msgspec.field(default_factory=dict)
    preflight: tuple[Json, ...] = ()
    diagnosis: Json | None = None
    history: Json | None = None
    plan: Json | None = None
    refusal: Json | None = None
    baseline: Json | None = None
    approval: Json | None = None
    undo: Json | None = None
    verification: Json | None = None
    steps: tuple[Json, ...] = ()
    actions: tuple[Action, ...] = ()
    left_to_do: tuple[str, ...] = ()
    parts: tuple[Json, ...] = ()
    errors: tuple[Json, ...] = ()
    redactions: dict[str, int] = msgspec.field(default_factory=dict)
    versions: dict[str, str] = msgspec.field(default_factory=dict)
    environment: dict[str, str] = msgspec.field(default_factory=dict)

    def but(self, **changes: object) -> Self:
        """Return a copy with these fields changed; results of steps become JSON."""
        typed = _TYPED & changes.keys()
        plain = {name: value for name, value in changes.items() if name in typed}
        plain |= {n: to_plain(v) for n, v in changes.items() if n not in typed}
        return msgspec.structs.replace(self, **plain)


_TYPED = frozenset(
    {"outcome", "cluster", "durations", "actions", "left_to_do", "preflight", "errors", "steps"}
    | {name for name in Record.__struct_fields__ if name.endswith("_at")}
)


def durations_of(record: Record) -> Durations:
    """Seconds from the start to each moment of the run; recovery counts from detection."""

    def between(first: datetime | None, last: datetime | None) -> float | None:
        return (last - first).total_seconds() if first and last else None

    return Durations(
        detect=between(record.started_at, record.detected_at),
        approve=between(record.started_at, record.approved_at),
        mutate=between(record.started_at, record.mutated_at),
        recover=between(record.detected_at, record.recovered_at),
        total=between(record.started_at, record.closed_at),
    )


def actions_from(lines: tuple[Line, ...]) -> tuple[Action, ...]:
    """What was done, in order: each intent with the result that followed it in its step."""
    actions: list[Action] = []
    for index, line in enumerate(lines):
        if line.event == JournalEvent.INTENT:
            actions.append(_action(line, lines[index + 1 :]))
    return tuple(actions)


def _action(intent: Line, later: tuple[Line, ...]) -> Action:
    results = {JournalEvent.DONE, JournalEvent.FAILED, JournalEvent.INTENT}
    result = next((n for n in later if n.step == intent.step and n.event in results), None)
    known = result is not None and result.event != JournalEvent.INTENT
    command = intent.data.get("command", "")
    action = Action(
        step=intent.step,
        status=result.event if known and result else "unknown",
        started_at=intent.at,
        actor=intent.actor,
        command=command if isinstance(command, str) else "",
        data=intent.data,
    )
    if result is None or not known:
        return action
    spent = datetime.fromisoformat(result.at) - datetime.fromisoformat(intent.at)
    return msgspec.structs.replace(
        action, ended_at=result.at, seconds=spent.total_seconds(), data=result.data
    )
