"""Headless runs: the same notebook through papermill, and a record whatever happens.

The only room that imports papermill. The kernel boots while papermill is being imported: in an
incident every second counts.
"""

import contextlib
import logging
from collections.abc import Callable, Iterator, Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from veza_nb import errors
from veza_nb.clock import SystemClock
from veza_nb.errors import IncidentInUseError, InterruptedRunError, RecordError, VezaError
from veza_nb.fastimport import quicken
from veza_nb.kernel.early import EarlyKernel
from veza_nb.kernel.interrupts import Interrupts
from veza_nb.occupancy import RUNNER, WRITER, occupy, vacate
from veza_nb.records import Folder, Record, open_folder
from veza_nb.vocabulary import Outcome

NOTEBOOK = "rollback.ipynb"
PAGE = "rollback.html"
START_SECONDS = 60
"""Deadline for a kernel to be ready."""

OnOutput = Callable[[str, str | None], None]
"""Takes the plain text of an output as it comes, and its display id where it may be replaced."""

_GO_ON = "Continue the incident: it never repeats a change."


@dataclass(frozen=True, slots=True)
class Finished:
    """How a headless run ended.

    Attributes:
        record: as written.
        folder: the incident's folder.
        problems: what could not be written (notebook, page, sums), one sentence each.
    """

    record: Record
    folder: Path
    problems: tuple[str, ...]


@dataclass(slots=True)
class _End:
    """How the execution ended, for the record of a run that could not say it itself.

    Attributes:
        failed: execution ended in an error.
        name: the error's type, "" where there is none.
        what: happened, one sentence.
        next_step: one sentence.
        outcome: that goes with it.
        unsaved: why the executed notebook is not in the folder, "" where it is.
    """

    failed: bool = False
    name: str = ""
    what: str = "The run ended before its last cell."
    next_step: str = ""
    outcome: Outcome = Outcome.ERROR
    unsaved: str = ""


def run(
    notebook: Path,
    parameters: Mapping[str, Any],
    *,
    root: Path,
    incident_id: str,
    service: str,
    kernel: EarlyKernel,
    on_output: OnOutput,
) -> Finished:
    """Execute a notebook and finish the incident's record.

    Args:
        notebook: which.
        parameters: known to the notebook, of the right types.
        root: the records folder, absolute.
        incident_id: names the folder below it.
        service: for the record of a run that never got to write one itself.
        kernel: already booting.
        on_output: is given the outputs as they come.

    Raises:
        RecordFolderError: nothing can be written there; the notebook was not started.
        RecordError: the same, of an incident that is there already.
        IncidentInUseError: another process works on it; the notebook was not started.
    """
    folder = open_folder(root, incident_id)
    with _alone(folder, str(parameters.get("operator", ""))), Interrupts(kernel) as interrupts:
        _begin(folder, Record(incident_id=incident_id, service=service, changed=False), parameters)
        end = _execute(
            notebook, parameters, folder, kernel, on_output=on_output, stopped=interrupts.seen
        )
        return _finish(folder, end)


@contextlib.contextmanager
def _alone(folder: Folder, operator: str) -> Iterator[None]:
    """Nobody else runs this incident, and no notebook has it open."""
    clock = SystemClock()
    occupy(folder.path, RUNNER, actor=operator, clock=clock)
    try:
        if occupy(folder.path, WRITER, actor=operator, clock=clock):
            vacate(folder.path, WRITER)  # it is for the kernel
        with _quiet():
            yield
    finally:
        vacate(folder.path, RUNNER)


def _begin(folder: Folder, first: Record, parameters: Mapping[str, Any]) -> None:
    """A record whose outcome is open: an earlier run's must not pass for this one's."""
    record = folder.read_record() or first
    asked = {**record.parameters, **parameters}
    folder.write_record(record.but(outcome=Outcome.OPEN, exit_code=None, parameters=asked))


def _execute(
    notebook: Path,
    parameters: Mapping[str, Any],
    folder: Folder,
    kernel: EarlyKernel,
    **options: Any,
) -> _End:
    """Run it; whatever goes wrong is a result here: the record is still to be finished."""
    end = _End()
    try:
        _through_papermill(notebook, parameters, folder, kernel, end, **options)
    except Exception as error:  # vendors' errors of every kind end here
        end.failed = True
        _explain(end, error, kernel)
    if options["stopped"]():
        stopped = InterruptedRunError("Stopped by Ctrl-C or SIGTERM.", next_step=_GO_ON)
        _explain(end, stopped, kernel)
    return end


def _through_papermill(
    notebook: Path,
    parameters: Mapping[str, Any],
    folder: Folder,
    kernel: EarlyKernel,
    end: _End,
    **options: Any,
) -> None:
    from jupyter_core.utils import run_sync  # noqa: PLC0415 - lazy with the next

    from veza_nb.kernel.manager import AdoptingManager  # noqa: PLC0415 - lazy, 0.1 s

    manager = AdoptingManager()
    manager.adopt(kernel)
    run_sync(manager.start_kernel)()
    quicken()
    from papermill import execute_notebook  # noqa: PLC0415 - lazy, while the kernel boots

    from veza_nb.engine import ENGINE, SCHEME, register  # noqa: PLC0415 - needs papermill

    handler = register(folder)
    try:
        execute_notebook(
            str(notebook),
            SCHEME + NOTEBOOK,
            parameters=dict(parameters),
            engine_name=ENGINE,
            kernel_name="python3",
            progress_bar=False,
            start_timeout=START_SECONDS,
            km=manager,
            **options,
        )
    finally:
        end.unsaved = handler.problem
        run_sync(manager.cleanup_resources)()


@contextlib.contextmanager
def _quiet() -> Iterator[None]:
    """Nobody reads the vendors' logs here: what they complain of ends in the record."""
    handler = logging.NullHandler()
    logging.getLogger().addHandler(handler)
    try:
        yield
    finally:
        logging.getLogger().removeHandler(handler)


def _explain(end: _End, error: Exception, kernel: EarlyKernel) -> None:
    """Put the error into the terms of this kit."""
    # Of a failed cell papermill tells name, text, and the lines that the notebook shows.
    end.name = str(getattr(error, "ename", type(error).__name__))
    text = str(getattr(error, "evalue", error))
    ours = getattr(errors, end.name, None)
    if isinstance(error, VezaError):
        end.what, end.next_step, end.outcome = error.what, error.next_step, error.outcome
    elif isinstance(ours, type) and issubclass(ours, VezaError):
        shown: tuple[str, ...] = (*getattr(error, "traceback", ()), text, "", "")
        end.what, end.outcome = shown[0].removeprefix(f"{end.name}: "), ours.outcome
        end.next_step = shown[2]
    elif end.name == "DeadKernelError":
        end.what, end.next_step = kernel.obituary() or text, _GO_ON
    else:
        end.what, end.next_step = f"{end.name}: {text}", f"See {PAGE} in the record. {_GO_ON}"


def _finish(folder: Folder, end: _End) -> Finished:
    """Page and sums; and an outcome where the notebook could not write one any more."""
    record = folder.read_record()
    if record is None:
        raise _gone(folder, end)
    if end.name == IncidentInUseError.__name__:
        # Somebody was faster; the record is theirs now.
        return Finished(_cut_off(record, end, folder), folder.path, ())
    problems = [end.unsaved]
    if record.outcome is Outcome.OPEN or (end.failed and record.outcome is Outcome.RECOVERED):
        record = _cut_off(record, end, folder)
        problems.append(_attempt("record.json", lambda: folder.write_record(record)))
    problems += [
        _attempt(PAGE, lambda: _write_page(folder)),
        _attempt("SHA256SUMS", folder.seal),
    ]
    return Finished(record, folder.path, tuple(text for text in problems if text))


def _gone(folder: Folder, end: _End) -> RecordError:
    """Nothing is left that says what this run did; its last words are the best there is."""
    from veza_nb.logbook import state_of  # noqa: PLC0415 - rarely needed

    return RecordError(
        f"{folder.path}: the record is gone. {end.what}",
        state=state_of(None),
        next_step="Begin a new incident: it asks the cluster what is true.",
    )


def _cut_off(record: Record, end: _End, folder: Folder) -> Record:
    """What becomes of a record whose run ended without saying how: the journal says what it did."""
    from veza_nb.logbook import effect_of, state_of  # noqa: PLC0415 - rarely needed

    effect = effect_of(folder, record)
    acted = effect is not False and end.outcome is Outcome.ERROR
    outcome = Outcome.INCONCLUSIVE if acted else end.outcome
    entry = {
        "step": "run",
        "error": end.name,
        "what": end.what,
        "state": state_of(effect),
        "next_step": end.next_step,
    }
    return record.but(
        outcome=outcome,
        exit_code=int(outcome.exit_code),
        changed=effect,
        errors=(*record.errors, entry),
    )


def _write_page(folder: Folder) -> None:
    from veza_nb.export import notebook_to_html  # noqa: PLC0415 - lazy, 0.5 s

    source = folder.path / NOTEBOOK
    folder.write_text(PAGE, notebook_to_html(source))


def _attempt(name: str, step: Callable[[], object]) -> str:
    """What a failed attempt says: the rollback itself must not suffer from it."""
    try:
        step()
    except Exception as error:  # of whatever kind, the next file is still to be written
        return f"{name}: {error}"
    return ""
