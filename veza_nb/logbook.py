"""The account of one incident while it runs: journal and record kept in step.

Whatever ends the run, what was known until then is on disk. Whether the cluster was changed
is read off the journal, never off a variable: it survives the process.
"""

import platform
import socket
from collections.abc import Iterable, Sequence
from contextlib import suppress
from datetime import datetime
from importlib import metadata
from pathlib import Path
from typing import Self

from veza_nb import __version__
from veza_nb.attempts import Attempt, Effect, changed, read_attempts
from veza_nb.clock import Clock
from veza_nb.errors import NOTHING_CHANGED, RecordError, UsageError, VezaError
from veza_nb.journal import Journal, Line, read_journal
from veza_nb.occupancy import WRITER, occupy, vacate
from veza_nb.plans import Plan
from veza_nb.podtemplates import template_digest
from veza_nb.recorder import Recorder
from veza_nb.records import Folder, Record, actions_from, open_folder
from veza_nb.sagas import read_saga, saga_effect, saga_left, saga_words
from veza_nb.vocabulary import JournalEvent, Outcome, Step

EFFECT_UNKNOWN = "It is not known whether the undo took effect."
CHANGED = "The undo was sent and took effect; nothing else of the service was changed."


class Logbook:
    """Journal and record of one incident.

    Attributes:
        folder: where both are.
        journal: what was done.
        record: what is known so far, as last written.
        resumed: the incident had begun before.
        recorder: keeps what is seen, for the pictures.
    """

    def __init__(self, folder: Folder, journal: Journal, record: Record, *, resumed: bool) -> None:
        self.folder = folder
        self.journal = journal
        self.record = record
        self.resumed = resumed
        self.recorder = Recorder(folder.path, journal.clock)

    @classmethod
    def open(cls, root: Path, first: Record, *, clock: Clock) -> Self:
        """Begin the incident `first.incident_id`, or continue it.

        Args:
            root: the records folder.
            first: what is known at the start; an older record's own facts win over it.
            clock: stamps the journal.

        Raises:
            RecordFolderError: the folder cannot be used.
            IncidentInUseError: another process works on this incident.
        """
        folder = open_folder(root, first.incident_id)
        mine = occupy(folder.path, WRITER, actor=first.operator, clock=clock)
        journal = folder.open_journal(actor=first.operator, clock=clock)
        # Without a journal nothing has begun: a record there is only a headless run's placeholder.
        found = folder.read_record()
        present = found if journal.lines else None
        if present is not None:
            try:
                _refuse_another(present, first)
            except VezaError:
                journal.close()
                if mine:
                    vacate(folder.path, WRITER)
                raise
        asked = {**(found.parameters if found else {}), **first.parameters}
        known = (present or first).but(parameters=asked)
        logbook = cls(folder, journal, known, resumed=present is not None)
        logbook.update(
            **logbook._written_ahead(),
            outcome=Outcome.OPEN,
            host=socket.gethostname(),
            versions=_versions(),
            environment={"platform": platform.platform(), "notebook_api": "1"},
        )
        return logbook

    def hold(self) -> None:
        """Make sure that no other process works on this incident.

        Raises:
            IncidentInUseError: another one does.
        """
        clock = self.journal.clock
        occupy(self.folder.path, WRITER, actor=self.record.operator, clock=clock)

    def let_go(self) -> None:
        """Let another process go on with this incident."""
        vacate(self.folder.path, WRITER)

    def asked(self, **parameters: object) -> None:
        """Keep what was asked for: whoever resumes need not remember it."""
        self.update(parameters={**self.record.parameters, **parameters})

    def update(self, **changes: object) -> None:
        """Put these facts into the record and write it."""
        changes.setdefault("actions", actions_from(self.journal.lines))
        changes.setdefault("changed", self.changed)
        if read_saga(self.journal.lines).begun:  # whatever ends this run, the record says it
            changes.setdefault("left_to_do", self.left)
        self.record = self.folder.write_record(self.record.but(**changes))

    def begin(self, step: Step, **data: object) -> None:
        """A step that only reads begins: one note."""
        self.journal.append(step, JournalEvent.NOTE, {"begin": True, **data})

    def done(self, step: Step, data: dict[str, object], **facts: object) -> Line:
        """A step ended well: a journal line, then its facts in the record."""
        line = self.journal.append(step, JournalEvent.DONE, data)
        self.update(outcome=Outcome.OPEN, exit_code=None, **facts)
        return line

    def failed(self, step: Step, error: VezaError) -> None:
        """A step ended in an error; the record's outcome says so until a later step ends well.

        Where that cannot be written down, the error itself is what a person must see.
        """
        if self.changed is not False and error.outcome is not Outcome.INTERRUPTED:
            error.state = self.state
        with suppress(RecordError):
            self._write_failure(step, error)

    def _write_failure(self, step: Step, error: VezaError) -> None:
        data = {"error": type(error).__name__, "what": error.what, "state": error.state}
        self.journal.append(step, JournalEvent.FAILED, data)
        outcome = self._outcome_of(error)
        entry = {**data, "step": step, "next_step": error.next_step, "at": self.last_at}
        self.update(
            outcome=outcome,
            exit_code=int(outcome.exit_code),
            errors=(*self.record.errors, entry),
        )

    @property
    def last_at(self) -> str:
        """When the newest line was written."""
        return self.journal.lines[-1].at if self.journal.lines else ""

    @property
    def attempts(self) -> tuple[Attempt, ...]:
        """The undos of this incident, with what became of them."""
        return read_attempts(self.journal.lines)

    @property
    def begun(self) -> bool:
        """Whether anything was sent, or was about to be."""
        return any(line.event == JournalEvent.INTENT for line in self.journal.lines)

    @property
    def changed(self) -> bool | None:
        """Whether this incident changed the cluster; None where that is not known."""
        return _effect(self.journal.lines)

    @property
    def state(self) -> str:
        """What this incident did to the cluster, one sentence."""
        saga = read_saga(self.journal.lines)
        undone = changed(self.attempts)
        return saga_words(saga, undone=undone) if saga.begun else state_of(self.changed)

    @property
    def left(self) -> tuple[str, ...]:
        """What people have to do about a service that this incident has scaled to 0."""
        saga = read_saga(self.journal.lines)
        return saga_left(saga, self.record.incident_id, undone=changed(self.attempts))

    @property
    def mutated_at(self) -> datetime | None:
        """When the first undo that took effect was sent."""
        took = (one.at for one in self.attempts if one.effect is Effect.DONE)
        return next(map(datetime.fromisoformat, took), None)

    def _written_ahead(self) -> dict[str, object]:
        """What the journal knows and the record does not: a crash came between the two."""
        found: dict[str, object] = {}
        line = self.journal.last(Step.APPROVE, JournalEvent.APPROVAL)
        if line is not None and self.record.approval is None:
            said = {name: line.data.get(name) for name in ("plan", "approver", "method")}
            found |= {"approval": {**said, "at": line.at}}
            found |= {"approved_at": datetime.fromisoformat(line.at)}
        if self.record.mutated_at is None:
            found |= {"mutated_at": self.mutated_at}
        return found

    def approves(self, plan: Plan) -> bool:
        """Whether exactly this change was approved: same workload, generation and target."""
        line = self.journal.last(Step.APPROVE, JournalEvent.APPROVAL)
        if line is None or line.data.get("migrate_down", 0) != plan.migrate_down:
            return False  # nor is an undo alone what was approved together with the database
        return identity_of(plan).items() <= line.data.items()

    def close(self, outcome: Outcome, at: datetime, **facts: object) -> None:
        """Write down how it ended."""
        self.update(outcome=outcome, exit_code=int(outcome.exit_code), closed_at=at, **facts)

    def _outcome_of(self, error: VezaError) -> Outcome:
        acted = self.changed is not False
        said = error.outcome
        vague = said in {Outcome.ERROR, Outcome.REFUSED, Outcome.USAGE}
        return Outcome.INCONCLUSIVE if acted and vague else said


def state_of(effect: bool | None) -> str:
    """What is said of a cluster that an incident changed, did not change, or perhaps did."""
    return {True: CHANGED, False: NOTHING_CHANGED, None: EFFECT_UNKNOWN}[effect]


def effect_of(folder: Folder, record: Record) -> bool | None:
    """Whether an incident changed the cluster, read off the disk; None where that is not known.

    Of an incident over several services each has a journal of its own, beside this one.
    """
    own = [folder.path.parent / str(part["incident_id"]) for part in record.parts]
    journals = [read_journal(path / folder.journal_path.name) for path in own or [folder.path]]
    return _any(_effect(journal.lines) for journal in journals)


def _effect(lines: Sequence[Line]) -> bool | None:
    """Whether the undos and the deeds of a journal changed anything."""
    return _any((changed(read_attempts(lines)), saga_effect(read_saga(lines))))


def _any(effects: Iterable[bool | None]) -> bool | None:
    found = set(effects)
    return True if True in found else None if None in found else False


def identity_of(plan: Plan) -> dict[str, object]:
    """What an approval is bound to: another diff has another generation."""
    digest = template_digest(plan.template)
    bound: dict[str, object] = {
        "uid": plan.uid,
        "generation": plan.generation,
        "digest": digest,
    }
    # Who approved a plan that pauses nothing has not approved of pausing something.
    paused = ", ".join(str(one.handle) for one in plan.pauses)
    more: dict[str, object] = {"pauses": paused} if paused else {}
    # Nor has one who approved an undo alone approved of taking the database back.
    more |= {"migrate_down": plan.migrate_down} if plan.migrate_down else {}
    # Nor one to whom no freeze and no lock was shown of breaking them.
    return {**bound, **more, **{f"breaks {name}": True for name in plan.broken}}


def _refuse_another(present: Record, first: Record) -> None:
    """An incident's id belongs to one workload of one cluster."""
    for what, before, now in (
        ("service", present.service, first.service),
        ("namespace", present.namespace, first.namespace),
        ("kind", present.kind, first.kind),
        (present.kind, present.workload, first.workload),
        ("cluster", present.cluster.server, first.cluster.server),
    ):
        if before and now and before != now:
            raise UsageError(
                f"The incident {present.incident_id} is about {what} {before!r}, not {now!r}.",
                next_step="Begin a new incident: leave the incident's id empty.",
            )


def _versions() -> dict[str, str]:
    names = ("kubernetes", "papermill", "jupyterlab", "ipywidgets")
    found = {name: metadata.version(name) for name in names}
    return {"veza-nb": __version__, "python": platform.python_version(), **found}
