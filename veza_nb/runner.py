"""Headless runs: the same notebook through papermill, and a record whatever happens.

The only room that imports papermill. The kernel boots while papermill is being imported: in an
incident every second counts.
"""

import contextlib
import signal
from collections.abc import Callable, Iterator, Mapping
from dataclasses import dataclass
from pathlib import Path
from types import FrameType
from typing import Any

from veza_nb.errors import RecordError, VezaError
from veza_nb.fastimport import quicken
from veza_nb.kernel.early import EarlyKernel
from veza_nb.records import Folder, Record, open_folder
from veza_nb.vocabulary import Outcome

NOTEBOOK = "rollback.ipynb"
PAGE = "rollback.html"
START_SECONDS = 60
"""Deadline for a kernel to be ready."""

OnOutput = Callable[[str, str | None], None]
"""Takes the plain text of an output as it comes, and its display id where it may be replaced."""


@dataclass(frozen=True, slots=True)
class Finished:
    """How a headless run ended.

    Attributes:
        record: as written.
        folder: the incident's folder.
        problems: what could not be written (page, sums), one sentence each.
    """

    record: Record
    folder: Path
    problems: tuple[str, ...]


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
    """
    folder = open_folder(root, incident_id)
    if folder.read_record() is None:
        folder.write_record(Record(incident_id=incident_id, service=service))
    with _interrupts_reach(kernel):
        error = _execute(notebook, parameters, folder, kernel, on_output)
    return _finish(folder, error)


@contextlib.contextmanager
def _interrupts_reach(kernel: EarlyKernel) -> Iterator[None]:
    """Ctrl-C and SIGTERM interrupt the cell, which then ends in a known state.

    The second one ends this process at once.
    """
    seen = 0

    def pass_on(number: int, _: FrameType | None) -> None:
        nonlocal seen
        seen += 1
        if seen > 1:
            signal.signal(number, signal.SIG_DFL)
            signal.raise_signal(number)
        else:
            kernel.process.send_signal(signal.SIGINT)

    before = {number: signal.signal(number, pass_on) for number in (signal.SIGINT, signal.SIGTERM)}
    try:
        yield
    finally:
        for number, handler in before.items():
            signal.signal(number, handler)


def _execute(
    notebook: Path,
    parameters: Mapping[str, Any],
    folder: Folder,
    kernel: EarlyKernel,
    on_output: OnOutput,
) -> Exception | None:
    """Run it; the error of a failed cell is a result here, not an end."""
    from jupyter_core.utils import run_sync  # noqa: PLC0415 - lazy with the next

    from veza_nb.kernel.manager import AdoptingManager  # noqa: PLC0415 - lazy, 0.1 s

    manager = AdoptingManager()
    manager.adopt(kernel)
    run_sync(manager.start_kernel)()
    quicken()
    from papermill import execute_notebook  # noqa: PLC0415 - lazy, while the kernel boots
    from papermill.exceptions import PapermillException  # noqa: PLC0415 - lazy with the above

    from veza_nb.engine import ENGINE, register  # noqa: PLC0415 - needs papermill

    output = register(folder)
    try:
        execute_notebook(
            str(notebook),
            output + NOTEBOOK,
            parameters=dict(parameters),
            engine_name=ENGINE,
            kernel_name="python3",
            progress_bar=False,
            start_timeout=START_SECONDS,
            km=manager,
            on_output=on_output,
        )
    except (PapermillException, RuntimeError, OSError, VezaError) as error:
        return error
    return None


def _finish(folder: Folder, error: Exception | None) -> Finished:
    """Page and sums; and an outcome where the notebook could not write one any more."""
    record = folder.read_record()
    if record is None:
        raise RecordError(f"{folder.path}: the record is gone.")
    if record.outcome is Outcome.OPEN:
        record = folder.write_record(record.but(**_cut_off(record, error)))
    problems = [text for text in (_attempt(_write_page, folder), _attempt(_seal, folder)) if text]
    return Finished(record=record, folder=folder.path, problems=tuple(problems))


def _cut_off(record: Record, error: Exception | None) -> dict[str, Any]:
    """What becomes of a record whose run ended without saying how."""
    if error is None:
        outcome = Outcome.INTERRUPTED
    else:
        outcome = Outcome.INCONCLUSIVE if record.changed is not False else Outcome.ERROR
    name = getattr(error, "ename", type(error).__name__)
    what = getattr(error, "evalue", str(error)) if error else "The run ended before its last cell."
    entry = {"step": "run", "error": name, "what": what, "state": "", "next_step": ""}
    return {
        "outcome": outcome,
        "exit_code": int(outcome.exit_code),
        "errors": (*record.errors, entry),
    }


def _write_page(folder: Folder) -> None:
    from veza_nb.export import notebook_to_html  # noqa: PLC0415 - lazy, 0.5 s

    source = folder.path / NOTEBOOK
    if source.exists():
        folder.write_text(PAGE, notebook_to_html(source))


def _seal(folder: Folder) -> None:
    folder.seal()


def _attempt(step: Callable[[Folder], None], folder: Folder) -> str:
    """What a failed attempt says: the rollback itself must not suffer from it."""
    try:
        step(folder)
    except (VezaError, OSError, ValueError) as error:
        return f"{step.__name__.strip('_')}: {error}"
    return ""
