"""The fault matrix: what is broken during which step, and what must come of it.

`python -m tests.e2e.fault_matrix` writes docs/fault-matrix.md; the tests run every cell of it.
"""

from collections.abc import Callable, Iterator, Mapping
from contextlib import contextmanager, suppress
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

from tests.e2e.conftest import SERVICE, Application
from veza_nb import Incident
from veza_nb.attempts import Effect, read_attempts
from veza_nb.errors import VezaError
from veza_nb.journal import read_journal
from veza_nb.records import Folder
from veza_nb.redact import Redactor
from veza_nb.sandbox.faults.rules import STATES
from veza_nb.sandbox.steering.control import ControlError
from veza_nb.vocabulary import Step

PAGE = Path(__file__).parents[2] / "docs" / "fault-matrix.md"
INCIDENT = "faulty"
OK = 200
PATIENCE = 4.0
"""Seconds for one request: what the run is given as --timeout."""
CELLS = (
    Step.OPEN, Step.DETECT, Step.HISTORY, Step.PLAN, Step.APPROVE, Step.UNDO, Step.VERIFY,
    Step.CLOSE,
)  # fmt: skip
STEPS = tuple(step for step in CELLS if step is not Step.APPROVE)
"""The steps that ask the cluster anything."""


@dataclass(frozen=True, slots=True)
class Broken:
    """One way in which the API server is broken for as long as a step runs.

    Attributes:
        says: what it is; the row's name in the table.
        kind: of the fault, as `veza-nb sandbox fault add` knows it.
        rule: its options.
        codes: exit code of a run that ends with each step; a step that is not named goes on.
    """

    says: str
    kind: str
    rule: Mapping[str, object] = field(default_factory=dict)
    codes: Mapping[Step, int] = field(default_factory=dict)

    @property
    def everywhere(self) -> bool:
        """Whether it is a state of the whole server."""
        return self.kind in STATES

    def code(self, step: Step) -> int:
        """Exit code of a run that ends with this step; 0: it goes on."""
        return self.codes.get(step, 0)


_READING = {Step.OPEN: 1, Step.DETECT: 1, Step.HISTORY: 1, Step.PLAN: 1}
_NO_ANSWERS = {**_READING, Step.UNDO: 1, Step.VERIFY: 5}
_NO_REVIEWS = {Step.OPEN: 1, Step.PLAN: 1}
"""Who may do what is asked with a POST, and a dry run is a PATCH."""
_NO_WRITES = {**_NO_REVIEWS, Step.UNDO: 1}
_UNDO = {"verbs": "patch", "resources": "deployments"}
"""The undo, and its dry run when it is planned."""
ALL = (
    Broken("every answer is 500", "error", {"code": 500}, _NO_ANSWERS),
    Broken("every answer is 502", "error", {"code": 502}, _NO_ANSWERS),
    Broken("every answer is 503", "error", {"code": 503}, _NO_ANSWERS),
    Broken("every answer is 504", "error", {"code": 504}, _NO_ANSWERS),
    Broken(
        "every answer is 429 with Retry-After", "error", {"code": 429, "retry_after": 1},
        _NO_ANSWERS,
    ),
    Broken("the first answer is 503", "error", {"code": 503, "count": 1}),
    Broken("writes get 500", "error", {"code": 500, "verbs": "write"}, _NO_WRITES),
    Broken("answers are 0.3 s late", "latency", {"seconds": 0.3}),
    Broken("no answer", "hang", {}, _NO_ANSWERS),
    Broken("connections are reset", "reset", {}, _NO_ANSWERS),
    Broken("answers are lost", "lose-answer", {}, _NO_ANSWERS),
    Broken("answers of writes are lost", "lose-answer", {"verbs": "write"}, _NO_REVIEWS),
    Broken("the undo gets 500", "error", {"code": 500, **_UNDO}, {Step.PLAN: 1, Step.UNDO: 5}),
    Broken("the undo gets 429", "error", {"code": 429, **_UNDO}, {Step.PLAN: 1, Step.UNDO: 1}),
    Broken("the undo gets no answer", "hang", _UNDO, {Step.PLAN: 1, Step.UNDO: 5}),
    Broken("the undo's connection is reset", "reset", _UNDO, {Step.PLAN: 1, Step.UNDO: 5}),
    Broken("the undo's answer is lost", "lose-answer", _UNDO, {Step.PLAN: 1}),
    Broken("the storage hangs", "storage-hang", {"seconds": 0.3}, _NO_ANSWERS),
    Broken("watches break off", "drop-watch"),
    Broken("watches expire (410)", "expire-watch"),
    Broken("caches are 5 s old", "stale", {"seconds": 5}),
    Broken("the server's clock is an hour fast", "clock-skew", {"seconds": 3600}),
    Broken("the server's clock is an hour slow", "clock-skew", {"seconds": -3600}),
    Broken("the server is away", "outage", {"lasting": 60}, _NO_ANSWERS),
    Broken("the server is away for 0.1 s", "outage", {"lasting": 0.1}),
)  # fmt: skip


class Run:
    """The cells of the notebook, one after the other."""

    def __init__(self, application: Application) -> None:
        self._application = application
        self._incident: Incident | None = None
        self._plan: Any = None

    def step(self, step: Step) -> int:
        """Run one cell; the exit code with which a headless run would end after it, or 0."""
        try:
            self._cells[step]()
        except VezaError as error:
            return self._code(error)
        return 0

    def rest(self, after: Step) -> int:
        """Run the cells after that one."""
        return self._run(CELLS[CELLS.index(after) + 1 :])

    def whole(self) -> int:
        """Run all cells."""
        return self._run(CELLS)

    def _run(self, steps: tuple[Step, ...]) -> int:
        return next(filter(None, map(self.step, steps)), 0)

    @property
    def _cells(self) -> Mapping[Step, Callable[[], object]]:
        if self._incident is None:
            return {Step.OPEN: self._open}
        one = self._incident
        return {
            Step.OPEN: self._open,
            Step.DETECT: one.detect,
            Step.HISTORY: one.history,
            Step.PLAN: self._make_plan,
            Step.APPROVE: lambda: one.approve(self._plan, confirm=SERVICE),
            Step.UNDO: lambda: one.undo(self._plan),
            Step.VERIFY: one.verify,
            Step.CLOSE: one.close,
        }

    def _open(self) -> None:
        opening = self._application.opening(incident_id=INCIDENT, timeout=PATIENCE)
        self._incident = Incident.open(SERVICE, **opening)

    def _make_plan(self) -> None:
        assert self._incident is not None
        self._plan = self._incident.plan()

    def _code(self, error: VezaError) -> int:
        """What the record says; it knows more than the error."""
        record = folder(self._application).read_record()
        return (record and record.exit_code) or error.exit_code


def folder(application: Application) -> Folder:
    """The incident's."""
    return Folder(application.records / INCIDENT, Redactor())


@contextmanager
def in_force(application: Application, broken: Broken, *, alone: bool) -> Iterator[None]:
    """The fault, for this application's requests or, where it is alone, for all."""
    assert application.training is not None
    faults = application.training.faults
    where = {} if alone else {"namespace": application.namespace}
    name = faults.add(broken.kind, **broken.rule, **where)
    try:
        yield
    finally:
        with suppress(ControlError):  # it ended by itself
            faults.remove(name)


def run_cell(application: Application, broken: Broken, step: Step, *, alone: bool) -> list[str]:
    """One run with that fault in that step, resumed where it ended; all that is not as it must."""
    run = Run(application)
    for earlier in CELLS[: CELLS.index(step)]:
        if code := run.step(earlier):
            return [f"{earlier} ended with {code} before there was a fault"]
    with in_force(application, broken, alone=alone):
        code = run.step(step)
    resumed = run.rest(step) if code == 0 else Run(application).whole()
    record = folder(application).read_record()
    effects = [one.effect for one in read_attempts(read_journal(_journal(application)).lines)]
    took = [one for one in application.undos() if one.code == OK]
    wrong = {
        f"ended with {code}": code != broken.code(step),
        f"went on with {resumed}": resumed != 0,
        f"undos: {application.undos()}": len(took) != 1,
        f"live is {application.image}": application.image != application.images.good,
        f"attempts: {effects}": effects.count(Effect.DONE) != 1 or Effect.UNKNOWN in effects,
        f"the record says {record and record.outcome}": not record or record.outcome != "recovered",
    }
    return [*(what for what, so in wrong.items() if so), *folder(application).verify()]


def _journal(application: Application) -> Path:
    return folder(application).journal_path


def page() -> str:
    """The whole page."""
    head = _row("broken meanwhile", *STEPS)
    rule = "|---" * (len(STEPS) + 1) + "|"
    rows = [_row(one.says, *(_cell(one, step) for step in STEPS)) for one in ALL]
    return "\n".join((_INTRODUCTION, head, rule, *rows, ""))


def _row(*cells: str) -> str:
    return f"| {' | '.join(cells)} |"


def _cell(broken: Broken, step: Step) -> str:
    code = broken.code(step)
    return f"{code}" if code else "✓"


_INTRODUCTION = """\
# The fault matrix

The API server is broken in one way for as long as one step runs, and well again after it. ✓ means
that the step copes; a number is the exit code of a run that ends there, which then goes on with
`veza-nb rollback --resume INCIDENT`. The tests run every cell, each with a Deployment of its own,
and find afterwards in all of them: exactly one undo took effect, the good release is live, the
service recovered, and record and journal hold. No cell takes a minute.

The faults are those of the [training cluster](faults-and-access.md). Written by
`python -m tests.e2e.fault_matrix`.
"""

if __name__ == "__main__":
    PAGE.write_text(page(), encoding="utf-8")
