"""What was appended stays, and damage is found."""

import hashlib
import os
import random
import subprocess
import sys
import threading
from collections.abc import Iterator
from itertools import pairwise
from pathlib import Path

import msgspec
import pytest

from veza_nb.clock import ManualClock
from veza_nb.errors import RecordError
from veza_nb.journal import FIRST_PREV, Journal, Line, read_journal
from veza_nb.redact import MASK, Redactor
from veza_nb.vocabulary import JournalEvent, Step

WRITER = """
import sys
from pathlib import Path
from veza_nb.clock import SystemClock
from veza_nb.journal import Journal
from veza_nb.vocabulary import JournalEvent, Step
path, actor, count = Path(sys.argv[1]), sys.argv[2], int(sys.argv[3])
journal = Journal.open(path, actor=actor, clock=SystemClock())
for number in range(count):
    line = journal.append(Step.UNDO, JournalEvent.NOTE, {"number": number, "pad": "x" * 300})
    print(number, flush=True)
"""


def writer(path: Path, actor: str, count: int) -> subprocess.Popen[str]:
    """A process that appends and prints each number once its append has returned."""
    command = [sys.executable, "-c", WRITER, str(path), actor, str(count)]
    return subprocess.Popen(command, stdout=subprocess.PIPE, text=True)


def open_journal(path: Path, actor: str = "ada") -> Journal:
    return Journal.open(path, actor=actor, clock=ManualClock())


@pytest.fixture
def path(tmp_path: Path) -> Path:
    return tmp_path / "journal.jsonl"


@pytest.fixture
def journal(path: Path) -> Iterator[Journal]:
    journal = open_journal(path)
    yield journal
    journal.close()


@pytest.fixture
def sample(path: Path) -> bytes:
    """The bytes of a journal with five lines."""
    journal = open_journal(path)
    for number in range(5):
        journal.append(Step.PLAN, JournalEvent.NOTE, {"number": number, "text": "ü\n"})
    journal.close()
    return path.read_bytes()


# --- what is written -------------------------------------------------------------------------


def test_a_line_says_who_did_what_when(journal: Journal, path: Path) -> None:
    line = journal.append(Step.UNDO, JournalEvent.INTENT, {"revision": 3})

    expected = Line(
        seq=1,
        at="2026-01-01T00:00:00.000000Z",
        step="undo",
        event="intent",
        actor="ada",
        data={"revision": 3},
        prev=FIRST_PREV,
    )
    assert expected == line
    assert expected == msgspec.json.decode(path.read_bytes(), type=Line)


def test_each_line_carries_the_hash_of_the_line_before(sample: bytes) -> None:
    lines = sample.splitlines()

    for before, after in pairwise(lines):
        assert hashlib.sha256(before).hexdigest() == msgspec.json.decode(after, type=Line).prev


def test_data_is_redacted_and_counted(path: Path) -> None:
    journal = Journal.open(
        path, actor="ada", clock=ManualClock(), redactor=Redactor(["known-value"])
    )

    line = journal.append(Step.OPEN, JournalEvent.NOTE, {"token": "abc123", "x": "a known-value"})

    assert {"token": MASK, "x": f"a {MASK}"} == dict(line.data)
    assert b"abc123" not in path.read_bytes()
    assert journal.redactor.counts.total() == 2
    journal.close()


def test_a_journal_is_for_its_owner_only(journal: Journal, path: Path) -> None:
    assert path.stat().st_mode & 0o777 == 0o600


def test_last_finds_the_newest_line_of_a_step(journal: Journal) -> None:
    first = journal.append(Step.UNDO, JournalEvent.INTENT)
    second = journal.append(Step.UNDO, JournalEvent.DONE)
    journal.append(Step.VERIFY, JournalEvent.NOTE)

    assert second == journal.last(Step.UNDO)
    assert first == journal.last(Step.UNDO, JournalEvent.INTENT)
    assert journal.last(Step.CLOSE) is None
    assert journal.last(Step.UNDO, JournalEvent.FAILED) is None


def test_an_append_to_a_closed_journal_is_refused(path: Path) -> None:
    journal = open_journal(path)
    journal.close()
    journal.close()

    with pytest.raises(RecordError, match="closed"):
        journal.append(Step.OPEN, JournalEvent.NOTE)


# --- going on --------------------------------------------------------------------------------


def test_a_journal_goes_on_where_it_ended(sample: bytes, path: Path) -> None:
    journal = open_journal(path, "bob")

    line = journal.append(Step.CLOSE, JournalEvent.DONE)

    assert line.seq == 6
    assert not journal.torn
    assert sample == path.read_bytes()[: len(sample)]
    assert journal.lines == read_journal(path).lines
    journal.close()


def test_a_missing_journal_is_an_empty_one(path: Path) -> None:
    journal = read_journal(path)

    assert not journal.lines
    assert not journal.torn
    assert journal.broken_at is None


def test_cut_at_every_byte_a_journal_still_loads_and_goes_on(sample: bytes, path: Path) -> None:
    for size in range(len(sample) + 1):
        path.write_bytes(sample[:size])
        whole = sample[:size].count(b"\n")
        torn = not sample[:size].endswith(b"\n") and size > 0

        found = read_journal(path)

        assert whole == len(found.lines)
        assert torn == found.torn
        assert found.broken_at is None
        goes_on_after_a_cut(path, sample[:size], whole, torn=torn)


def goes_on_after_a_cut(path: Path, raw: bytes, whole: int, *, torn: bool) -> None:
    journal = open_journal(path)
    journal.append(Step.CLOSE, JournalEvent.DONE)
    journal.close()
    after = read_journal(path)

    assert torn == journal.torn
    assert whole + 1 + torn == len(after.lines)
    assert not after.torn
    assert after.broken_at is None
    if torn:
        tail = raw[raw.rfind(b"\n") + 1 :]
        note = after.lines[whole]
        assert note.event == "note"
        assert {
            "torn_line": tail.decode(errors="backslashreplace"),
            "bytes": len(tail),
        } == note.data


@pytest.mark.parametrize("at_line", [1, 2, 3, 4])
def test_a_changed_byte_is_found_with_its_line(sample: bytes, path: Path, at_line: int) -> None:
    starts = [0, *(i + 1 for i, byte in enumerate(sample) if byte == 0x0A)]
    for position in range(starts[at_line - 1], starts[at_line] - 1):
        changed = bytearray(sample)
        changed[position] ^= 0x01
        path.write_bytes(changed)

        found = read_journal(path)

        assert at_line == found.broken_at
        assert at_line - 1 == len(found.lines)


def test_a_missing_line_is_found(sample: bytes, path: Path) -> None:
    lines = sample.splitlines(keepends=True)
    path.write_bytes(b"".join(lines[:2] + lines[3:]))

    assert read_journal(path).broken_at == 3


def test_a_changed_journal_is_not_continued(sample: bytes, path: Path) -> None:
    changed = sample.replace(b'"number":2', b'"number":7')
    path.write_bytes(changed)

    with pytest.raises(RecordError, match="line 3"):
        open_journal(path)

    assert changed == path.read_bytes()


def test_a_journal_cut_short_under_its_writer_is_found(journal: Journal, path: Path) -> None:
    journal.append(Step.OPEN, JournalEvent.NOTE)
    os.truncate(path, 0)

    with pytest.raises(RecordError, match="changed"):
        journal.append(Step.OPEN, JournalEvent.NOTE)


# --- two writers, crashes, no room -----------------------------------------------------------


def test_two_processes_keep_one_chain(path: Path) -> None:
    writers = [writer(path, name, 200) for name in ("one", "two")]
    for process in writers:
        process.communicate()

    found = read_journal(path)

    assert not any(process.returncode for process in writers)
    assert found.broken_at is None
    assert not found.torn
    for name in ("one", "two"):
        numbers = [line.data["number"] for line in found.lines if line.actor == name]
        assert list(range(200)) == numbers


def test_two_threads_on_one_journal_keep_one_chain(journal: Journal, path: Path) -> None:
    def append() -> None:
        for _ in range(50):
            journal.append(Step.UNDO, JournalEvent.NOTE)

    threads = [threading.Thread(target=append) for _ in range(2)]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join()

    found = read_journal(path)
    assert len(found.lines) == 100
    assert found.broken_at is None


def test_a_kill_loses_no_line_whose_append_had_returned(path: Path) -> None:
    returned = 0
    for round_number in range(10):
        process = writer(path, "victim", 100_000)
        assert process.stdout is not None
        # Killed somewhere inside one of the next appends, at another place every round.
        for _ in range(random.Random(round_number).randrange(1, 40)):
            process.stdout.readline()
        process.kill()
        tail, _ = process.communicate()
        printed = tail.splitlines(keepends=True)
        whole = [line for line in printed if line.endswith("\n")]
        found = read_journal(path)
        numbers = [line.data["number"] for line in found.lines if "number" in line.data]

        assert found.broken_at is None
        if whole:
            assert int(whole[-1]) <= numbers[-1]
        assert len(numbers) > returned
        returned = len(numbers)
    with_rest = open_journal(path)
    with_rest.append(Step.CLOSE, JournalEvent.DONE)
    with_rest.close()
    assert read_journal(path).broken_at is None


FULL_DISK = """
import resource, sys
from pathlib import Path
from veza_nb.clock import SystemClock
from veza_nb.errors import RecordError
from veza_nb.journal import Journal
from veza_nb.vocabulary import JournalEvent, Step
resource.setrlimit(resource.RLIMIT_FSIZE, (4096, 4096))
journal = Journal.open(Path(sys.argv[1]), actor="ada", clock=SystemClock())
for number in range(100):
    try:
        journal.append(Step.UNDO, JournalEvent.NOTE, {"number": number, "pad": "x" * 300})
    except RecordError as error:
        print(number, error)
        break
"""


def test_where_there_is_no_room_the_earlier_lines_stay(path: Path) -> None:
    process = subprocess.run(
        [sys.executable, "-c", FULL_DISK, str(path)], capture_output=True, text=True, check=True
    )
    failed_at = int(process.stdout.split()[0])

    found = read_journal(path)

    assert "cannot write the journal" in process.stdout
    assert list(range(failed_at)) == [line.data["number"] for line in found.lines]
    assert not found.torn
    assert found.broken_at is None


def test_a_journal_that_cannot_be_opened_says_so(tmp_path: Path) -> None:
    with pytest.raises(RecordError, match="cannot open the journal") as raised:
        open_journal(tmp_path / "missing" / "journal.jsonl")

    assert raised.value.exit_code == 1
    with pytest.raises(RecordError, match="cannot read the journal"):
        read_journal(tmp_path)
