"""The account of one incident while it runs: journal and record kept in step.

Whatever ends the run, what was known until then is on disk. Whether the cluster was changed
is read off the journal, never off a variable: it survives the process.
"""

import platform
import socket
from datetime import datetime
from importlib import metadata
from pathlib import Path
from typing import Self

from veza_nb import __version__
from veza_nb.attempts import Attempt, changed, read_attempts
from veza_nb.clock import Clock
from veza_nb.errors import NOTHING_CHANGED, UsageError, VezaError
from veza_nb.journal import Journal, Line
from veza_nb.plans import Plan
from veza_nb.podtemplates import template_digest
from veza_nb.records import Folder, Record, actions_from, open_folder
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
    """

    def __init__(self, folder: Folder, journal: Journal, record: Record, *, resumed: bool) -> None:
        self.folder = folder
        self.journal = journal
        self.record = record
        self.resumed = resumed

    @classmethod
    def open(cls, root: Path, first: Record, *, clock: Clock) -> Self:
        """Begin the incident `first.incident_id`, or continue it.

        Args:
            root: the records folder.
            first: what is known at the start; an older record's own facts win over it.
            clock: stamps the journal.

        Raises:
            RecordFolderError: the folder cannot be used.
        """
        folder = open_folder(root, first.incident_id)
        journal = folder.open_journal(actor=first.operator, clock=clock)
        # Without a journal nothing has begun: a record there is only a headless run's placeholder.
        present = folder.read_record() if journal.lines else None
        if present is not None:
            try:
                _refuse_another(present, first)
            except VezaError:
                journal.close()
                raise
        logbook = cls(folder, journal, present or first, resumed=present is not None)
        logbook.update(
            outcome=Outcome.OPEN,
            host=socket.gethostname(),
            versions=_versions(),
            environment={"platform": platform.platform(), "notebook_api": "1"},
        )
        return logbook

    def update(self, **changes: object) -> None:
        """Put these facts into the record and write it."""
        changes.setdefault("actions", actions_from(self.journal.lines))
        changes.setdefault("changed", self.changed)
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
        """A step ended in an error; the record's outcome says so until a later step ends well."""
        if self.changed is not False and error.outcome is not Outcome.INTERRUPTED:
            error.state = self.state
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
    def changed(self) -> bool | None:
        """Whether this incident changed the cluster; None where that is not known."""
        return changed(self.attempts)

    @property
    def state(self) -> str:
        """What this incident did to the cluster, one sentence."""
        return state_of(self.changed)

    def approves(self, plan: Plan) -> bool:
        """Whether exactly this change was approved: same Deployment, generation and target."""
        line = self.journal.last(Step.APPROVE, JournalEvent.APPROVAL)
        return line is not None and identity_of(plan).items() <= line.data.items()

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


def identity_of(plan: Plan) -> dict[str, object]:
    """What an approval is bound to: another diff has another generation."""
    digest = template_digest(plan.template)
    return {"uid": plan.uid, "generation": plan.generation, "digest": digest}


def _refuse_another(present: Record, first: Record) -> None:
    """An incident's id belongs to one workload of one cluster."""
    for what, before, now in (
        ("service", present.service, first.service),
        ("namespace", present.namespace, first.namespace),
        ("Deployment", present.workload, first.workload),
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
