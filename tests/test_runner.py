"""A headless run is always finished: outcome, page and sums, whatever ended it."""

import asyncio
import json
import os
import resource
import signal
import socket
import subprocess
import sys
import time
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import Any

import pytest
import yaml

from veza_nb.clock import SystemClock
from veza_nb.errors import RecordFolderError
from veza_nb.kernel.early import EarlyKernel, early_kernel
from veza_nb.kernel.manager import AdoptingManager
from veza_nb.records import Record, open_folder
from veza_nb.runner import Finished, run
from veza_nb.vocabulary import JournalEvent, Outcome, Step

SERVICE = "veza-backend-api"
VEZA_NB = str(Path(sys.executable).with_name("veza-nb"))
NEVER_ENDING = "print('begun', flush=True)\nimport time\nwhile True:\n    time.sleep(0.01)"

OnOutput = Callable[[str, str | None], None]


def silent(_text: str, _display_id: str | None) -> None:
    """Nobody listens."""


def notebook(folder: Path, *sources: str) -> Path:
    """A notebook with these cells."""
    cells: list[dict[str, Any]] = [
        {"cell_type": "code", "id": f"cell-{number}", "metadata": {}, "source": source,
         "execution_count": None, "outputs": []}
        for number, source in enumerate(sources)
    ]  # fmt: skip
    kernel = {"name": "python3", "display_name": "Python 3", "language": "python"}
    metadata = {"kernelspec": kernel, "language_info": {"name": "python"}}
    path = folder / "scratch.ipynb"
    content = {"cells": cells, "metadata": metadata, "nbformat": 4, "nbformat_minor": 5}
    path.write_text(json.dumps(content))
    return path


def execute(
    tmp_path: Path,
    *sources: str,
    on_output: OnOutput = silent,
    before: Callable[[EarlyKernel], object] = lambda _: None,
) -> Finished:
    """Run these cells in the incident "x"."""
    with early_kernel() as kernel:
        before(kernel)
        return run(
            notebook(tmp_path, *sources),
            {},
            root=tmp_path / "records",
            incident_id="x",
            service=SERVICE,
            kernel=kernel,
            on_output=on_output,
        )


def begin_incident(tmp_path: Path, *events: tuple[Step, JournalEvent, dict[str, Any]]) -> Record:
    """The incident "x" with a recovered run behind it and these lines in its journal."""
    folder = open_folder(tmp_path / "records", "x")
    journal = folder.open_journal(actor="kim", clock=SystemClock())
    for event in events:
        journal.append(*event)
    journal.close()
    return folder.write_record(
        Record(
            incident_id="x",
            service=SERVICE,
            namespace="veza",
            outcome=Outcome.RECOVERED,
            exit_code=0,
            changed=True,
        )
    )


INTENT = (Step.UNDO, JournalEvent.INTENT, {"plan": "p-1"})
DONE = (Step.UNDO, JournalEvent.DONE, {"kind": "done", "intent": 1, "effect": "done"})


def assert_sealed(finished: Finished) -> None:
    """Record on disk as reported, and sums that hold over page and notebook."""
    written = json.loads((finished.folder / "record.json").read_text())
    assert written["outcome"] == finished.record.outcome
    assert written["exit_code"] == finished.record.outcome.exit_code
    assert finished.problems == ()
    sums = (finished.folder / "SHA256SUMS").read_text()
    assert {"record.json", "rollback.html", "rollback.ipynb"} <= set(sums.split())
    subprocess.run(
        ["sha256sum", "--check", "--quiet", "SHA256SUMS"], cwd=finished.folder, check=True
    )


class TestErrors:
    def test_unexpected_exception_in_a_cell_is_named_and_the_record_sealed(
        self, tmp_path: Path
    ) -> None:
        finished = execute(tmp_path, "x = 1", "raise ValueError('no such luck')", "y = 2")

        assert finished.record.outcome is Outcome.ERROR
        assert "ValueError: no such luck" in finished.record.errors[-1]["what"]
        assert finished.record.changed is False
        assert_sealed(finished)

    def test_error_of_ours_before_the_record_is_open_keeps_its_outcome_and_sentences(
        self, tmp_path: Path
    ) -> None:
        finished = execute(
            tmp_path,
            "from veza_nb.errors import KubeconfigError\n"
            "raise KubeconfigError('No context x.', next_step='It has: y.')",
        )

        last = finished.record.errors[-1]
        assert finished.record.outcome is Outcome.USAGE
        assert (last["error"], last["what"]) == ("KubeconfigError", "No context x.")
        assert last["state"] == "Nothing was changed in the cluster."
        assert last["next_step"] == "It has: y."
        assert_sealed(finished)

    def test_notebook_that_is_none_is_an_error_with_a_record(self, tmp_path: Path) -> None:
        with early_kernel() as kernel:
            finished = run(
                tmp_path / "missing.ipynb", {}, root=tmp_path, incident_id="x", service=SERVICE,
                kernel=kernel, on_output=silent,
            )  # fmt: skip

        assert finished.record.outcome is Outcome.ERROR
        assert "missing.ipynb" in finished.record.errors[-1]["what"]
        assert any(problem.startswith("rollback.html: ") for problem in finished.problems)

    def test_terminal_that_is_gone_does_not_end_the_run(self, tmp_path: Path) -> None:
        def gone(_text: str, _display_id: str | None) -> None:
            raise BrokenPipeError

        marker = tmp_path / "reached"
        execute(tmp_path, "print(1)", f"print(2)\n{touch(marker)}", on_output=gone)

        assert marker.exists()

    def test_folder_that_cannot_be_used_starts_nothing(self, tmp_path: Path) -> None:
        (tmp_path / "records").write_text("a file")
        marker = tmp_path / "reached"

        with pytest.raises(RecordFolderError):
            execute(tmp_path, touch(marker))

        assert not marker.exists()


class TestIncidentThatHasRunBefore:
    def test_failure_before_anything_began_is_never_the_earlier_success(
        self, tmp_path: Path
    ) -> None:
        begin_incident(tmp_path, INTENT, DONE)

        finished = execute(
            tmp_path, "from veza_nb.errors import KubeconfigError\nraise KubeconfigError('no')"
        )

        assert finished.record.outcome is Outcome.USAGE
        assert (finished.record.namespace, finished.record.changed) == ("veza", True)
        assert "took effect" in finished.record.errors[-1]["state"]
        assert_sealed(finished)

    def test_run_that_opens_nothing_leaves_no_success_behind(self, tmp_path: Path) -> None:
        begin_incident(tmp_path, INTENT, DONE)

        finished = execute(tmp_path, "x = 1")

        assert finished.record.outcome is Outcome.INCONCLUSIVE

    def test_error_after_the_record_said_recovered_is_no_success(self, tmp_path: Path) -> None:
        path = tmp_path / "records" / "x" / "record.json"
        finished = execute(
            tmp_path,
            f"import json, pathlib\npath = pathlib.Path({str(path)!r})\n"
            "record = json.loads(path.read_text()) | {'outcome': 'recovered', 'exit_code': 0}\n"
            "path.write_text(json.dumps(record))",
            "1 / 0",
        )

        assert finished.record.outcome is Outcome.ERROR
        assert "ZeroDivisionError" in finished.record.errors[-1]["what"]
        assert_sealed(finished)

    def test_intent_without_result_is_inconclusive_when_the_kernel_dies(
        self, tmp_path: Path
    ) -> None:
        begin_incident(tmp_path, INTENT)

        finished = execute(tmp_path, "import os, signal\nos.kill(os.getpid(), signal.SIGKILL)")

        assert finished.record.outcome is Outcome.INCONCLUSIVE
        assert finished.record.changed is None
        assert "not known" in finished.record.errors[-1]["state"]


class TestDyingKernels:
    def test_kernel_killed_while_it_boots(self, tmp_path: Path) -> None:
        finished = execute(tmp_path, "x = 1", before=lambda kernel: kernel.process.kill())

        assert finished.record.outcome is Outcome.ERROR
        assert finished.record.changed is False
        assert "kernel ended (killed by SIGKILL)" in finished.record.errors[-1]["what"]
        assert_sealed(finished)

    def test_kernel_that_cannot_boot_is_quoted(self, tmp_path: Path) -> None:
        broken = tmp_path / "broken" / "ipykernel"
        broken.mkdir(parents=True)
        (broken / "__init__.py").write_text("raise ImportError('half installed')")
        done = subprocess.run(
            [VEZA_NB, "rollback", SERVICE, "--records", str(tmp_path / "records")],
            env={**os.environ, "PYTHONPATH": str(broken.parent)},
            capture_output=True, text=True, timeout=60, check=False,
        )  # fmt: skip

        assert done.returncode == 1
        assert "ImportError: half installed" in done.stderr
        assert "Traceback" not in done.stderr

    def test_kernel_killed_while_it_runs_a_cell(self, tmp_path: Path) -> None:
        finished = execute(tmp_path, "import os, signal\nos.kill(os.getpid(), signal.SIGKILL)")

        assert finished.record.outcome is Outcome.ERROR
        assert "kernel ended (killed by SIGKILL)" in finished.record.errors[-1]["what"]
        assert_sealed(finished)


class TestInterrupts:
    @pytest.mark.parametrize("number", [signal.SIGINT, signal.SIGTERM])
    def test_interrupted_while_the_kernel_boots(
        self, tmp_path: Path, silent_server: Path, number: signal.Signals
    ) -> None:
        records = tmp_path / "records"
        arguments = (VEZA_NB, "rollback", SERVICE, "--kubeconfig", silent_server, "--records")
        with subprocess.Popen(
            (*arguments, records), stdout=subprocess.PIPE, stderr=subprocess.PIPE, text=True
        ) as running:
            # The record is begun as soon as the run listens for signals.
            wait_until(lambda: any(records.glob("*/record.json")))
            running.send_signal(number)
            _, stderr = running.communicate(timeout=60)

        (path,) = records.glob("*/record.json")
        assert running.returncode == 130
        assert "Stopped" in stderr
        assert "Traceback" not in stderr
        assert json.loads(path.read_text())["outcome"] == "interrupted"

    def test_interrupted_in_a_cell_ends_that_cell(self, tmp_path: Path) -> None:
        marker = tmp_path / "reached"

        def stop(text: str, _: str | None) -> None:
            if "begun" in text:
                signal.raise_signal(signal.SIGINT)

        finished = execute(tmp_path, NEVER_ENDING, touch(marker), on_output=stop)

        assert finished.record.outcome is Outcome.INTERRUPTED
        assert not marker.exists()
        assert_sealed(finished)

    def test_interrupted_at_the_end_of_a_cell_begins_no_other(self, tmp_path: Path) -> None:
        marker = tmp_path / "reached"

        finished = execute(
            tmp_path, f"import os\nos.kill({os.getpid()}, {signal.SIGINT:d})", touch(marker)
        )

        assert finished.record.outcome is Outcome.INTERRUPTED
        assert not marker.exists()

    def test_interrupted_once_all_is_said_stays_as_it_was_said(self, tmp_path: Path) -> None:
        path = tmp_path / "records" / "x" / "record.json"

        def stop(text: str, _: str | None) -> None:
            if "the end" in text:
                signal.raise_signal(signal.SIGINT)

        # The cell is past its last line when the interrupt comes, or shields itself from it.
        finished = execute(
            tmp_path,
            f"import json, pathlib, signal\npath = pathlib.Path({str(path)!r})\n"
            "record = json.loads(path.read_text()) | {'outcome': 'recovered'}\n"
            "path.write_text(json.dumps(record))\n"
            "signal.signal(signal.SIGINT, signal.SIG_IGN)\n"
            "print('the end')",
            on_output=stop,
        )

        assert finished.record.outcome is Outcome.RECOVERED

    def test_interrupts_between_cells_cost_no_answer(self) -> None:
        async def ask(kernel: EarlyKernel) -> int:
            manager = AdoptingManager()
            manager.adopt(kernel)
            await manager.start_kernel()
            client = manager.client()
            client.start_channels()
            await client.wait_for_ready(60)
            for _ in range(30):
                client.kernel_info()
                kernel.process.send_signal(signal.SIGINT)
                await client.shell_channel.get_msg(timeout=20)
            client.stop_channels()
            await manager.cleanup_resources()
            return 30

        with early_kernel() as kernel:
            answers = asyncio.run(ask(kernel))

        assert answers == 30


class TestFilesThatCannotBeWritten:
    def test_what_could_not_be_saved_is_named_and_the_run_goes_on(
        self, tmp_path: Path, small_files: int
    ) -> None:
        marker = tmp_path / "reached"

        finished = execute(tmp_path, f"print('x' * {small_files})", touch(marker))

        assert marker.exists()
        (problem,) = finished.problems
        assert problem.startswith("rollback.ipynb: ")
        assert "File too large" in problem

    def test_run_that_recovered_stays_recovered_where_its_page_cannot_be_written(
        self, tmp_path: Path
    ) -> None:
        folder = tmp_path / "records" / "x"

        finished = execute(
            tmp_path,
            "import json, os, pathlib\n"
            f"folder = pathlib.Path({str(folder)!r})\n"
            "record = json.loads((folder / 'record.json').read_text()) | {'outcome': 'recovered'}\n"
            "(folder / 'record.json').write_text(json.dumps(record))\n"
            "os.mkdir(folder / 'rollback.html')",
        )

        assert finished.record.outcome is Outcome.RECOVERED
        assert [problem.partition(":")[0] for problem in finished.problems] == ["rollback.html"]


@pytest.fixture
def small_files() -> Iterator[int]:
    """No file that this process writes may be longer than so many bytes."""
    limit, (soft, hard) = 2_000_000, resource.getrlimit(resource.RLIMIT_FSIZE)
    resource.setrlimit(resource.RLIMIT_FSIZE, (limit, hard))
    yield limit
    resource.setrlimit(resource.RLIMIT_FSIZE, (soft, hard))


@pytest.fixture
def silent_server(tmp_path: Path) -> Iterator[Path]:
    """The kubeconfig of a server that takes connections and never answers."""
    with socket.create_server(("127.0.0.1", 0)) as server:
        path = tmp_path / "kubeconfig"
        address = f"https://127.0.0.1:{server.getsockname()[1]}"
        path.write_text(
            yaml.safe_dump(
                {
                    "clusters": [{"name": "c", "cluster": {"server": address}}],
                    "users": [{"name": "u", "user": {"token": "abc"}}],
                    "contexts": [{"name": "x", "context": {"cluster": "c", "user": "u"}}],
                    "current-context": "x",
                }
            )
        )
        yield path


def wait_until(condition: Callable[[], bool]) -> None:
    deadline = time.monotonic() + 30
    while not condition():
        assert time.monotonic() < deadline
        time.sleep(0.005)


def touch(marker: Path) -> str:
    """The source of a cell that leaves a mark."""
    return f"open({str(marker)!r}, 'w').close()"
