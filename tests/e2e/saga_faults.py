"""The saga's faults: what breaks at which step of a way back of service and database.

`python -m tests.e2e.saga_faults` writes docs/saga-faults.md; the tests run every row of it.
"""

from collections.abc import Callable, Iterator, Mapping, Sequence
from concurrent.futures import ThreadPoolExecutor
from contextlib import AbstractContextManager, contextmanager, nullcontext, suppress
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

import yaml

from tests.e2e.way_back import NEW, OLD, REPLICAS, SERVICE, WayBack, image
from tests.sandbox.test_kubelet_migrate import run as migrate_by_hand
from veza_nb.clock import Deadline, SystemClock
from veza_nb.database import DatabaseIncident
from veza_nb.errors import VezaError
from veza_nb.permissions import (
    HELPFUL,
    MIGRATING,
    NEEDED,
    TIDYING,
    Permission,
    role,
    role_binding,
)
from veza_nb.records import Folder
from veza_nb.redact import Redactor
from veza_nb.sandbox.programs import migrate
from veza_nb.sandbox.steering.control import ControlError
from veza_nb.vocabulary import Step

PAGE = Path(__file__).parents[2] / "docs" / "saga-faults.md"
INCIDENT, BOT = "faulty", "veza-training-bot"
RIGHTS = tuple(dict.fromkeys((*NEEDED, *MIGRATING, *TIDYING, *HELPFUL)))
_GROUPS = {"jobs": "batch", "deployments": "apps", "pods": ""}
BACKUP = "snapshot of this morning"
CELLS = (
    Step.OPEN, Step.DETECT, Step.HISTORY, Step.PLAN, Step.APPROVE, Step.DRAIN, Step.MIGRATE,
    Step.UNDO, Step.RESTORE, Step.VERIFY, Step.CLOSE,
)  # fmt: skip
BEFORE, AFTER, HALF_DONE = "6|f", "4|f", "|t"
SHORT = 3
"""Seconds that a Job gets, or pods to end, where a row is about just that."""
Breaking = Callable[[WayBack], AbstractContextManager[None]]
Mending = Callable[[WayBack], None]


@dataclass(frozen=True, slots=True)
class Fault:
    """One thing that goes wrong, and what must come of it.

    Attributes:
        says: what it is; the row's name in the table.
        step: during which it is so.
        breaking: makes it so for as long as the step runs.
        code: exit code of the run; 0: it copes and goes on.
        schema: version and dirty flag afterwards; `HALF_DONE` is any that is dirty.
        replicas: that are asked for afterwards.
        live: tag of the release afterwards.
        words: are all said to the operator.
        migration: the catalogue's, until somebody mends that.
        rollout_seconds: the catalogue's.
        mending: what a person does before the run goes on; None where nothing is needed.
    """

    says: str
    step: Step
    breaking: Breaking
    code: int = 0
    schema: str = BEFORE
    replicas: int = REPLICAS
    live: str = NEW
    words: tuple[str, ...] = ()
    migration: Mapping[str, Any] = field(default_factory=dict)
    rollout_seconds: int = 60
    mending: Mending | None = None


class Run:
    """The cells of the notebook, one after the other."""

    def __init__(self, made: WayBack) -> None:
        self._made = made
        self._incident: DatabaseIncident | None = None
        self._plan: Any = None
        self.said = ""

    def until(self, step: Step) -> int:
        """Run the cells before that one; the exit code of a run that ends there, or 0."""
        return self._run(CELLS[: CELLS.index(step)])

    def rest(self, after: Step) -> int:
        """Run the cells after that one."""
        return self._run(CELLS[CELLS.index(after) + 1 :])

    def whole(self) -> int:
        """Run all cells."""
        return self._run(CELLS)

    def step(self, step: Step) -> int:
        """Run one cell."""
        try:
            self._cell(step)
        except VezaError as error:
            self.said = str(error)
            record = folder(self._made).read_record()
            return (record and record.exit_code) or error.exit_code
        return 0

    def _run(self, steps: tuple[Step, ...]) -> int:
        return next(filter(None, map(self.step, steps)), 0)

    def _cell(self, step: Step) -> None:
        if step is Step.OPEN:
            self._incident = self._made.open(incident_id=INCIDENT, timeout=4.0, context=BOT)
            return
        one = self._incident
        assert one is not None
        if step is Step.PLAN:
            self._plan = one.plan(migrate_down=2, backup=BACKUP, to_revision=1)
        elif step is Step.APPROVE:
            one.approve(self._plan, confirm=SERVICE)
        elif step in (Step.DRAIN, Step.MIGRATE, Step.UNDO, Step.RESTORE):
            getattr(one, step)(self._plan)
        else:
            getattr(one, step)()


def folder(made: WayBack) -> Folder:
    """The incident's."""
    return Folder(made.records / INCIDENT, Redactor())


def run_row(made: WayBack, fault: Fault) -> list[str]:
    """One run with that fault, then the run that goes on; all that is not as it must be."""
    _rewrite(made, dict(fault.migration), fault.rollout_seconds)
    let_in(made)
    run = Run(made)
    if code := run.until(fault.step):
        return [f"ended with {code} before there was a fault: {run.said}"]
    with fault.breaking(made):
        code = run.step(fault.step)
    if code != fault.code:
        return [f"ended with {code}: {run.said}"]
    problems = _state(made, fault, run.said) if code else []
    _rewrite(made, {}, 60)
    if fault.mending is not None:
        fault.mending(made)
    going_on = run if code == 0 else Run(made)
    code = run.rest(fault.step) if code == 0 else going_on.whole()
    return [*problems, *_finished(made, code, going_on.said)]


def _state(made: WayBack, fault: Fault, said: str) -> list[str]:
    """What is wrong right after the run that ended."""
    record = made.record(INCIDENT)
    left = " ".join(record["left_to_do"])
    wrong = {
        f"the schema is at {made.schema}": not made.schema.endswith(fault.schema),
        f"{made.replicas} replicas": made.replicas != fault.replicas,
        f"live is {made.tag}": made.tag != fault.live,
        f"rows: {made.rows}": made.rows != ["1"],
        f"the record says {record['exit_code']}": record["exit_code"] != fault.code,
        f"said: {said}": not all(words in said for words in fault.words),
        f"at 0 without the command: {said}": made.replicas == 0 and _BACK not in said,
        f"at 0, left to do: {left}": made.replicas == 0 and _BACK not in left,
        f"left to do, and it is back: {left}": made.replicas != 0 and "service is at 0" in left,
    }
    return [what for what, so in wrong.items() if so]


def _finished(made: WayBack, code: int, said: str) -> list[str]:
    """What is wrong after the run that went on."""
    record = made.record(INCIDENT)
    downs = [d for d in made.changes() if d.name.startswith("veza-nb-down") and d.verb == "create"]
    wrong = {
        f"went on with {code}: {said}": code != 0,
        f"the schema is at {made.schema} in the end": made.schema != AFTER,
        f"{made.replicas} replicas in the end": made.replicas != REPLICAS,
        f"live is {made.tag} in the end": made.tag != OLD,
        f"rows in the end: {made.rows}": made.rows != ["1"],
        f"the record ends with {record['outcome']}": record["outcome"] != "recovered",
        f"left to do in the end: {record['left_to_do']}": _BACK in " ".join(record["left_to_do"]),
        f"no way down at all: {downs}": not downs,
    }
    return [*(what for what, so in wrong.items() if so), *folder(made).verify()]


_BACK = f"--replicas={REPLICAS}"


def _rewrite(made: WayBack, migration: dict[str, Any], rollout_seconds: int) -> None:
    """What the catalogue says from now on."""
    book = yaml.safe_load(made.catalog.read_text())
    book["services"][SERVICE]["migration"] = migration
    book["verify"]["rollout_seconds"] = rollout_seconds
    made.catalog.write_text(yaml.safe_dump(book))


# -- what breaks -----------------------------------------------------------------------------


def answers(kind: str, **rule: object) -> Breaking:
    """The API server answers so, to what goes on in this namespace."""

    @contextmanager
    def breaking(made: WayBack) -> Iterator[None]:
        name = made.training.faults.add(kind, namespace=made.namespace, **rule)
        try:
            yield
        finally:
            with suppress(ControlError):  # it ended by itself
                made.training.faults.remove(name)

    return breaking


@contextmanager
def a_pod_of_its_own(made: WayBack) -> Iterator[None]:
    """A pod with the service's labels that no scaling takes away: somebody debugs with it."""
    spec = {"containers": [{"name": "app", "image": image(OLD)}]}
    body: Any = {"metadata": {"name": "debug", "labels": {"app": SERVICE}}, "spec": spec}
    made.core.create_namespaced_pod(made.namespace, body, _preload_content=False)
    try:
        yield
    finally:
        made.core.delete_namespaced_pod("debug", made.namespace, _preload_content=False)


def denied(verb: str, resource: str, subresource: str = "") -> Breaking:
    """Somebody takes that right away, after it was asked for."""

    @contextmanager
    def breaking(made: WayBack) -> Iterator[None]:
        taken = Permission(verb, _GROUPS[resource], resource, subresource)
        _allow(made, [one for one in RIGHTS if one != taken])
        try:
            yield
        finally:
            _allow(made, RIGHTS)

    return breaking


def _allow(made: WayBack, permissions: Sequence[Permission]) -> None:
    given = role("rollback", made.namespace, permissions)
    made.training.call(
        lambda admin: admin.patch("roles", made.namespace, "rollback", {"rules": given["rules"]})
    )


def let_in(made: WayBack) -> None:
    """The operator may do what `veza-nb rbac` would print for this catalogue, and nothing else."""
    given = role("rollback", made.namespace, RIGHTS)
    bound = role_binding("rollback", made.namespace, ("User", "rollback-bot"))
    made.training.call(lambda admin: admin.create("roles", made.namespace, given))
    made.training.call(lambda admin: admin.create("rolebindings", made.namespace, bound))


@contextmanager
def changed_meanwhile(made: WayBack) -> Iterator[None]:
    """Somebody works on the Deployment, too."""
    _change(made)
    yield


@contextmanager
def changed_during_the_job(made: WayBack) -> Iterator[None]:
    """The same, while a Job reads the schema: that one waits for as long."""
    session = migrate.Database(made.url)
    session.run("BEGIN; LOCK TABLE schema_migrations IN ACCESS EXCLUSIVE MODE;")

    def change() -> None:
        deadline = Deadline.after(SystemClock(), 30)
        while not deadline.passed and not made.changes():
            SystemClock().sleep(0.1)
        _change(made)
        session.close()

    with ThreadPoolExecutor(1) as beside:
        beside.submit(change)
        yield


def _change(made: WayBack) -> None:
    body = {"spec": {"progressDeadlineSeconds": 599}}
    made.apps.patch_namespaced_deployment(SERVICE, made.namespace, body, _preload_content=False)


def nothing(_: WayBack) -> AbstractContextManager[None]:
    """The catalogue alone is wrong."""
    return nullcontext()


def held(sql: str) -> Breaking:
    """Somebody else's session in the database holds on to something."""

    @contextmanager
    def breaking(made: WayBack) -> Iterator[None]:
        session = migrate.Database(made.url)
        try:
            session.run(sql)
            yield
        finally:
            session.close()

    return breaking


def in_the_way(column: str, table: str = "tracks") -> Breaking:
    """Something that the migration does not know needs what it drops."""

    @contextmanager
    def breaking(made: WayBack) -> Iterator[None]:
        made.postgres.ask(f"CREATE VIEW report AS SELECT {column} FROM {table}", made.url)
        try:
            yield
        finally:
            made.postgres.ask("DROP VIEW report", made.url)

    return breaking


def mended(version: int) -> Mending:
    """A person says that the schema is at that version, and brings it to where it was."""

    def mending(made: WayBack) -> None:
        others = "FROM pg_stat_activity WHERE datname = current_database() "
        others += "AND pid <> pg_backend_pid()"
        deadline = Deadline.after(SystemClock(), 30)
        while made.postgres.ask(f"SELECT 1 {others}", made.url):
            assert not deadline.passed, "the migration's session does not end"
            SystemClock().sleep(0.1)
        code, said = migrate_by_hand(made.url, "force", str(version))
        assert code == 0, said
        code, said = migrate_by_hand(made.url, "goto", "6")
        assert code == 0, said

    return mending


_JOBS = {"verbs": "create", "resources": "jobs"}
_PATCH = {"verbs": "patch", "resources": "deployments"}
_NOT_BACK = ("stays at 0",)
_IS_BACK = ("everything is as before",)
_HELD = f"DO $$ BEGIN PERFORM pg_advisory_lock({migrate._LOCK}); END $$;"
ALL = (
    # Before the first change: refused, and nothing is changed.
    Fault("the Job that reads the schema is forbidden", Step.DRAIN,
          denied("create", "jobs"), code=3),
    Fault("creating it gets 500", Step.DRAIN, answers("error", code=500, **_JOBS), code=1),
    Fault("its answer is lost", Step.DRAIN, answers("lose-answer", **_JOBS)),
    Fault("its log may not be read", Step.DRAIN, denied("get", "pods", "log"), code=3,
          words=("version cannot be read", "right to read logs")),
    Fault("its image is missing", Step.DRAIN, nothing, code=3, words=("ImagePullBackOff",),
          migration={"image": image("missing"), "timeout_seconds": 20}),
    # Scaling to 0.
    Fault("the Deployment is changed meanwhile", Step.DRAIN, changed_meanwhile, code=3,
          words=("was changed after the plan",)),
    Fault("it is changed while the Job reads", Step.DRAIN, changed_during_the_job, code=3,
          words=("was changed after the plan",)),
    Fault("the scaling to 0 is forbidden", Step.DRAIN, denied("patch", "deployments"), code=3),
    Fault("the scaling to 0 gets 500", Step.DRAIN, answers("error", code=500, **_PATCH), code=5,
          words=("may be at 0",)),
    Fault("its answer is lost", Step.DRAIN, answers("lose-answer", **_PATCH)),
    Fault("a pod does not end", Step.DRAIN, a_pod_of_its_own, code=4, rollout_seconds=SHORT,
          words=("did not end: debug", *_IS_BACK)),
    # The way down.
    Fault("the Job that migrates is forbidden", Step.MIGRATE,
          denied("create", "jobs"), code=4, words=("was not begun", *_IS_BACK)),
    Fault("creating it gets 500", Step.MIGRATE, answers("error", code=500, **_JOBS), code=5,
          replicas=0, words=("Do not just scale it up",)),
    Fault("its answer is lost", Step.MIGRATE, answers("lose-answer", **_JOBS)),
    Fault("its image has no way down", Step.MIGRATE, nothing, code=4,
          migration={"image": image(OLD)}, words=("no migration found", *_IS_BACK)),
    Fault("another session holds the migrations' lock", Step.MIGRATE, held(_HELD), code=4,
          migration={"timeout_seconds": SHORT}, words=("DeadlineExceeded", *_IS_BACK)),
    Fault("it hangs past its time limit", Step.MIGRATE,
          held("BEGIN; LOCK TABLE tracks IN ACCESS EXCLUSIVE MODE;"), code=4, replicas=0,
          schema=HALF_DONE, migration={"timeout_seconds": SHORT}, mending=mended(6),
          words=("DeadlineExceeded", "half done", *_NOT_BACK)),
    Fault("the first migration fails", Step.MIGRATE, in_the_way("isrc"), code=4, replicas=0,
          schema=HALF_DONE, mending=mended(6), words=("half done", *_NOT_BACK)),
    Fault("it fails half-way", Step.MIGRATE, in_the_way("loudness"), code=4, replicas=0,
          schema=HALF_DONE, mending=mended(5), words=("half done", *_NOT_BACK)),
    Fault("where it led cannot be read", Step.MIGRATE, denied("get", "pods", "log"),
          code=4, replicas=0, schema=AFTER, words=("the undo waits", *_NOT_BACK)),
    # The undo.
    Fault("the Deployment is changed meanwhile", Step.UNDO, changed_meanwhile, code=4,
          words=("undo was refused", *_IS_BACK)),
    Fault("the undo gets 429", Step.UNDO, answers("error", code=429, **_PATCH), code=5,
          replicas=0, schema=AFTER, words=("Do not just scale it up",)),
    Fault("the undo is forbidden", Step.UNDO, denied("patch", "deployments"), code=4, replicas=0,
          words=("undo was refused", "could not be brought back")),
    Fault("the undo gets 500", Step.UNDO, answers("error", code=500, **_PATCH), code=5,
          replicas=0, schema=AFTER, words=("Do not just scale it up",)),
    Fault("its answer is lost", Step.UNDO, answers("lose-answer", **_PATCH)),
    # The replicas.
    Fault("scaling back is forbidden", Step.RESTORE, denied("patch", "deployments"),
          code=4, replicas=0, schema=AFTER, live=OLD, words=("could not be brought back",)),
    Fault("scaling back gets 500 once", Step.RESTORE,
          answers("error", code=500, count=1, **_PATCH)),
    Fault("scaling back gets 500", Step.RESTORE, answers("error", code=500, **_PATCH), code=4,
          replicas=0, schema=AFTER, live=OLD, words=("could not be brought back",)),
    Fault("its answer is lost", Step.RESTORE, answers("lose-answer", **_PATCH)),
)  # fmt: skip


def page() -> str:
    """The whole page."""
    head = "| during | what goes wrong | exit code | schema | replicas | live |"
    return "\n".join((_INTRODUCTION, head, "|---" * 6 + "|", *map(_row, ALL), ""))


def _row(fault: Fault) -> str:
    if not fault.code:
        return f"| {fault.step} | {fault.says} | ✓ | | | |"
    schema = "half done" if fault.schema == HALF_DONE else fault.schema.partition("|")[0]
    cells = (fault.step, fault.says, fault.code, schema, fault.replicas, fault.live)
    return f"| {' | '.join(map(str, cells))} |"


_INTRODUCTION = f"""\
# The saga's faults

`{SERVICE}` goes back from {NEW} (schema 6) to {OLD} (schema 4) together with its database, and at
one step something breaks. ✓ means that the run copes and goes on to the end. A number is the exit
code of a run that ends there; behind it is what is so then. Where the replicas stay at 0, both the
error and `left_to_do` in the record have the command that brings them back.

The tests run every row on a real PostgreSQL, mend what is broken, and run again with the same
incident: in the end the schema is at 4 and clean, every row of users' data is there, the older
release is live with all its replicas, and the record holds.

Written by `python -m tests.e2e.saga_faults`.
"""

if __name__ == "__main__":
    PAGE.write_text(page(), encoding="utf-8")
