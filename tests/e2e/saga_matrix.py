"""The saga matrix: a way back of service and database, killed at every boundary and resumed.

`python -m tests.e2e.saga_matrix` writes docs/saga-matrix.md; the tests run every cell of it.
"""

from pathlib import Path

from tests.e2e.conftest import run_command
from tests.e2e.moments import Moment
from tests.e2e.way_back import NEW, OLD, REPLICAS, SERVICE, WayBack
from veza_nb.records import Folder
from veza_nb.redact import Redactor

PAGE = Path(__file__).parents[2] / "docs" / "saga-matrix.md"
INCIDENT = "cut-off"
MOMENTS = (
    Moment("approved", "approve", "approval"),
    Moment("the Job that reads the schema is intended", "drain", "intent"),
    Moment("the Job is made, nothing known of it", "drain", "intent", before_next=True),
    Moment("the schema is read", "drain", "done"),
    Moment("the scaling to 0 is intended, nothing sent", "drain", "intent", number=2),
    Moment("scaled to 0, the result not written", "drain", "intent", number=2, before_next=True),
    Moment("scaled to 0", "drain", "done", number=2),
    Moment("the pods are gone", "approve", "approval", number=2),
    Moment("the way down is intended, no Job made", "migrate", "intent"),
    Moment("the way down is done, the result not written", "migrate", "intent", before_next=True),
    Moment("the way down is done", "migrate", "done"),
    Moment("the schema is read again", "migrate", "done", number=2),
    Moment("the database is back", "migrate", "done", number=3),
    Moment("the undo is intended, nothing sent", "undo", "intent"),
    Moment("the undo is sent, the result not written", "undo", "intent", before_next=True),
    Moment("undone, still at 0", "undo", "done"),
    Moment("the scaling back is intended, nothing sent", "restore", "intent"),
    Moment("scaled back, the result not written", "restore", "intent", before_next=True),
    Moment("scaled back", "restore", "done"),
    Moment("verified", "verify", "done"),
)
ARGUMENTS = ("--migrate-down", "2", "--backup", "snapshot", "--to-revision", "1")


def run_cell(made: WayBack, moment: Moment) -> list[str]:
    """Cut a run off, resume it, and return all that is not as it must be."""
    command = made.command("rollback", SERVICE, *ARGUMENTS, "--incident", INCIDENT)
    environment = {**moment.breaking("kill parent"), "VEZA_RECORDS": str(made.records)}
    cut = run_command(*command, "--confirm", SERVICE, **environment)
    if cut.code != -9:
        return [f"the run was not cut off as meant: {cut.code} {cut.stderr} {cut.stdout[-2000:]}"]
    resumed = made.veza_nb("rollback", "--resume", INCIDENT, "--confirm", SERVICE)
    downs = [one for one in made.changes() if one.name.startswith("veza-nb-down")]
    undos = [one for one in made.changes() if one.resource == "deployments"]
    wrong = {
        f"resumed with {resumed.code}: {resumed.stderr} {resumed.stdout[-2000:]}": resumed.code,
        f"the schema is at {made.schema}": made.schema != "4|f",
        f"a row was lost: {made.rows}": made.rows != ["1"],
        f"live is {made.tag}": made.tag != OLD,
        f"{made.replicas} replicas": made.replicas != REPLICAS,
        f"ways down: {downs}": len(downs) != 1,
        f"patches of the Deployment: {undos}": len(undos) != 3,
    }
    folder = Folder(made.records / INCIDENT, Redactor())
    return [*(what for what, so in wrong.items() if so), *folder.verify()]


def page() -> str:
    """The whole page."""
    rows = [f"| {moment.says} | ✓ |" for moment in MOMENTS]
    return "\n".join((_INTRODUCTION, "| killed when | PostgreSQL |", "|---|---|", *rows, ""))


_INTRODUCTION = f"""\
# The saga matrix

`veza-nb rollback {SERVICE} --migrate-down 2 …`, from {NEW} (schema 6) to {OLD} (schema 4),
killed with `kill -9` at every boundary of its journal, then resumed. ✓ means that the tests do
exactly this, with the real processes on a real PostgreSQL, and find afterwards: the schema at 4 and
clean, every row there, the older release live with all its replicas, one migration down and no
second, one scaling to 0, one undo, one scaling back, and a complete record whose sums and journal
hold.

Written by `python -m tests.e2e.saga_matrix`.
"""

if __name__ == "__main__":
    PAGE.write_text(page(), encoding="utf-8")
