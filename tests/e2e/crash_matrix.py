"""The crash matrix: who is killed, when, and what must be true once the run was resumed.

`python -m tests.e2e.crash_matrix` writes docs/crash-matrix.md; the tests run every cell of it.
"""

import signal
import sys
from collections.abc import Callable, Mapping
from dataclasses import dataclass
from pathlib import Path

from tests.e2e.conftest import SERVICE, Application, Finished, run_command
from tests.e2e.moments import MOMENTS, Moment
from veza_nb.attempts import Effect, read_attempts
from veza_nb.cluster.leases import read_lease
from veza_nb.journal import read_journal
from veza_nb.locks import lease_name
from veza_nb.records import Folder
from veza_nb.redact import Redactor

PAGE = Path(__file__).parents[2] / "docs" / "crash-matrix.md"
NOTEBOOK = Path(__file__).parents[2] / "notebooks" / "10-rollback.ipynb"
INCIDENT = "cut-off"
PLUG = (
    "veza-nb sandbox up --scenario crash-loop",
    "export KUBECONFIG=~/.local/state/veza-nb/sandbox/kubeconfig",
    "export VEZA_CATALOG=~/.local/state/veza-nb/sandbox/veza.yaml",
    "veza-nb rollback veza-backend-api --incident plug --confirm veza-backend-api &",
    "until grep -qs intent records/plug/journal.jsonl; do sleep 0.01; done; kill -9 $!",
    "veza-nb rollback --resume plug",
    "veza-nb sandbox audit --verb patch --resource deployments --agent 'veza-nb*'",
    "veza-nb sandbox down",
)
"""A drill: the plug is pulled in the middle of a run, which is then resumed."""
KILLED = -signal.SIGKILL
HEADLESS = ("record.json", "journal.jsonl", "postmortem.md", "rollback.ipynb", "rollback.html")
BARE = ("record.json", "journal.jsonl", "postmortem.md")


@dataclass(frozen=True, slots=True)
class Victim:
    """A process that is killed.

    Attributes:
        name: the column's name.
        says: what that is.
        what: is to be done at the moment, as `breaking/sitecustomize.py` knows it.
        run: begins the run that is cut off.
        resume: goes on with it.
        ends: exit code of the run that is cut off, once the undo's intent is written or not.
        files: that a complete record has.
    """

    name: str
    says: str
    what: str
    run: Callable[[Application, Mapping[str, str]], Finished]
    resume: Callable[[Application, bool], Finished]
    ends: Callable[[Moment], int]
    files: tuple[str, ...] = HEADLESS


def _run_command_line(application: Application, environment: Mapping[str, str]) -> Finished:
    given = ("--incident", INCIDENT, "--confirm", SERVICE)
    return application.veza_nb("rollback", *given, **environment)


def _resume_command_line(application: Application, approved: bool) -> Finished:
    """With nothing but the incident's id, and an approval where none was written."""
    confirm = () if approved else ("--confirm", SERVICE)
    records = ("--records", str(application.records))
    return run_command(
        *(str(Path(sys.executable).with_name("veza-nb")), "rollback", "--resume", INCIDENT),
        *(*records, *confirm),
    )


def _papermill(application: Application, confirm: str, **environment: str) -> Finished:
    given = {
        "service": SERVICE,
        "incident_id": INCIDENT,
        "confirm": confirm,
        "kubeconfig": str(application.kubeconfig),
        "context": application.context,
        "catalog": str(application.catalog),
        "records": str(application.records),
    }
    parameters = (text for name, value in given.items() for text in ("-p", name, value))
    output = application.catalog.with_name("out.ipynb")
    command = (sys.executable, "-m", "papermill", str(NOTEBOOK), str(output))
    return run_command(*command, *parameters, **environment)


VICTIMS = (
    Victim(
        "kernel",
        "the notebook's kernel, below `veza-nb rollback`, which lives on and says how it ended",
        "kill",
        _run_command_line,
        _resume_command_line,
        lambda moment: 5 if moment.intended else 1,
    ),
    Victim(
        "papermill",
        "`papermill notebooks/10-rollback.ipynb …`; its kernel lives on for up to a second",
        "kill parent",
        lambda application, environment: _papermill(application, SERVICE, **environment),
        lambda application, approved: _papermill(application, "" if approved else SERVICE),
        lambda _: KILLED,
        BARE,
    ),
    Victim(
        "CLI",
        "`veza-nb rollback`; its kernel lives on for up to a second",
        "kill parent",
        _run_command_line,
        _resume_command_line,
        lambda _: KILLED,
    ),
)


def run_cell(application: Application, victim: Victim, moment: Moment) -> list[str]:
    """Cut a run off, resume it, and return all that is not as it must be."""
    cut = victim.run(application, moment.breaking(victim.what))
    if cut.code != victim.ends(moment):
        return [f"the run was not cut off as meant: {cut.code} {cut.stderr} {cut.stdout[-2000:]}"]
    resumed = victim.resume(application, moment.approved)
    wrong = {
        f"resumed with {resumed.code}: {resumed.stderr} {resumed.stdout[-2000:]}": resumed.code,
        f"undos: {application.undos()}": [one.code for one in application.undos()] != [200],
        f"live is {application.image}": application.image != application.images.good,
        "the lock was not given back": _locked(application),
    }
    return [*(what for what, so in wrong.items() if so), *_incomplete(application, victim)]


def _locked(application: Application) -> bool:
    lease = read_lease(application.cluster(), lease_name(SERVICE))
    return lease is not None and bool(lease.spec.holder_identity)


def _incomplete(application: Application, victim: Victim) -> list[str]:
    """What the record lacks."""
    folder = Folder(application.records / INCIDENT, Redactor())
    record, lines = folder.read_record(), read_journal(folder.journal_path).lines
    effects = [one.effect for one in read_attempts(lines)]
    if record is None:
        return ["there is no record"]
    wrong = {
        f"the record says {record.outcome}": record.outcome != "recovered",
        f"the record says changed: {record.changed}": record.changed is not True,
        "the record has no end": record.closed_at is None,
        f"attempts: {effects}": effects.count(Effect.DONE) != 1 or Effect.UNKNOWN in effects,
        "nobody approved": record.approval is None,
        **{f"{name} is missing": not (folder.path / name).is_file() for name in victim.files},
    }
    return [*(what for what, so in wrong.items() if so), *folder.verify()]


def page() -> str:
    """The whole page."""
    head = "| killed when | " + " | ".join(victim.name for victim in VICTIMS) + " |"
    rule = "|---" * (len(VICTIMS) + 1) + "|"
    rows = [f"| {moment.says} |" + " ✓ |" * len(VICTIMS) for moment in MOMENTS]
    drill = ("```console", *(f"$ {command}" for command in PLUG), "```", "")
    killed = [f"- **{victim.name}**: {victim.says}." for victim in VICTIMS]
    return "\n".join((_INTRODUCTION, *killed, "", head, rule, *rows, "", _DRILL, *drill))


_INTRODUCTION = """\
# The crash matrix

`kill -9` at every boundary of the journal, then resume. ✓ means that the tests do exactly this,
with the real processes, and find afterwards: one undo in the server's audit log and no other, the
good release live, the service recovered, the lock given back, and a complete record whose sums and
journal hold.

What is cut off goes on with `veza-nb rollback --resume INCIDENT`, or by running the same papermill
command again. Where the approval was written by then, nobody is asked again.

Written by `python -m tests.e2e.crash_matrix`. Killed is
"""

_DRILL = """\
## Pull the plug yourself

Kill it at whatever moment you like; here it is once the undo's intent is on the disk. The audit log
shows one patch that is no dry run: the undo.
"""

if __name__ == "__main__":
    PAGE.write_text(page(), encoding="utf-8")
