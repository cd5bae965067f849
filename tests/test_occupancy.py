"""One process at a time works on an incident, and nothing stays locked."""

import subprocess
import sys
import textwrap
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path

import pytest

from veza_nb.clock import ManualClock, SystemClock
from veza_nb.errors import IncidentInUseError, RecordFolderError
from veza_nb.occupancy import WRITER, occupy, vacate

OTHER = """
    import sys
    from pathlib import Path
    from veza_nb.clock import SystemClock
    from veza_nb.occupancy import WRITER, occupy

    occupy(Path(sys.argv[1]), WRITER, actor="kim", clock=SystemClock())
    print("taken", flush=True)
    sys.stdin.read()
"""


@contextmanager
def other_process(folder: Path) -> Iterator["subprocess.Popen[str]"]:
    """Somebody else has it."""
    with subprocess.Popen(
        [sys.executable, "-c", textwrap.dedent(OTHER), str(folder)],
        stdin=subprocess.PIPE,
        stdout=subprocess.PIPE,
        text=True,
    ) as running:
        assert running.stdout is not None
        assert running.stdout.readline() == "taken\n"
        try:
            yield running
        finally:
            running.kill()


@pytest.fixture
def folder(tmp_path: Path) -> Iterator[Path]:
    yield tmp_path
    vacate(tmp_path, WRITER)


def take(folder: Path) -> bool:
    return occupy(folder, WRITER, actor="ada", clock=ManualClock())


def test_other_process_is_refused_and_told_by_whom(folder: Path) -> None:
    with other_process(folder) as other, pytest.raises(IncidentInUseError) as caught:
        take(folder)

    assert f"kim (process {other.pid} on" in caught.value.what
    assert caught.value.data["pid"] == other.pid


def test_killed_process_leaves_nothing_locked(folder: Path) -> None:
    with other_process(folder) as other:
        other.kill()
        other.wait()

        assert take(folder)


def test_it_is_waited_for_a_while(folder: Path) -> None:
    with other_process(folder) as other:
        assert other.stdin is not None
        other.stdin.close()

        assert occupy(folder, WRITER, actor="ada", clock=SystemClock())


def test_same_process_may_come_again(folder: Path) -> None:
    assert [take(folder), take(folder)] == [True, False]


def test_given_back_it_is_free_and_its_file_is_gone(folder: Path) -> None:
    take(folder)
    vacate(folder, WRITER)

    assert list(folder.iterdir()) == []
    with other_process(folder):
        pass


def test_folder_that_was_replaced_is_taken_anew(folder: Path) -> None:
    take(folder)
    (folder / WRITER).unlink()

    assert take(folder)


def test_folder_that_is_gone_is_named(folder: Path) -> None:
    with pytest.raises(RecordFolderError, match="cannot be used"):
        take(folder / "gone")
