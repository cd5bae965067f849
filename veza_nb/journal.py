"""What was done, in order, on disk before anybody relies on it.

One JSON object a line. Each line carries the SHA-256 of the raw line before it (without its
line end), so that a changed byte is found; the last line has no successor to vouch for it and
is covered by the sealed folder's SHA256SUMS. `append` returns only once the line is fsynced.

Several processes may append to one journal: a lock is held from reading the tail to the
fsync, so the chain holds. Readers need no lock.
"""

import errno
import fcntl
import hashlib
import os
import threading
from collections.abc import Iterator, Mapping
from contextlib import contextmanager
from dataclasses import dataclass
from pathlib import Path
from typing import Any, Self

import msgspec

from veza_nb.clock import Clock, timestamp
from veza_nb.errors import RecordError
from veza_nb.plain import to_plain
from veza_nb.redact import Redactor
from veza_nb.typed import decode_json
from veza_nb.vocabulary import JournalEvent, Step

FIRST_PREV = "0" * 64


class Line(msgspec.Struct, frozen=True):
    """One line.

    Attributes:
        seq: 1 for the first line, then one more each.
        at: RFC 3339, UTC, microseconds.
        step: the cell it belongs to, a `Step`.
        event: a `JournalEvent`.
        actor: who ran it.
        data: JSON, redacted.
        prev: SHA-256 (hex) of the raw line before; 64 zeros in the first line.
    """

    seq: int
    at: str
    step: str
    event: str
    actor: str
    data: dict[str, Any]
    prev: str


@dataclass(frozen=True, slots=True)
class JournalFile:
    """What a journal's file holds.

    Attributes:
        lines: the lines up to the first damage.
        torn: the last line has no end: a write was cut off.
        broken_at: number (from 1) of the first line that was changed or cannot be read.
    """

    lines: tuple[Line, ...]
    torn: bool
    broken_at: int | None


def read_journal(path: Path) -> JournalFile:
    """Read a journal and check its chain. A missing file is an empty journal.

    Raises:
        RecordError: the file cannot be read.
    """
    try:
        raw = path.read_bytes()
    except FileNotFoundError:
        raw = b""
    except OSError as error:
        raise _failure(path, "read", error) from error
    return _parse(raw)


def _parse(raw: bytes) -> JournalFile:
    *whole, tail = raw.split(b"\n")
    lines: list[Line] = []
    broken_at = None
    for number, text in enumerate(whole, start=1):
        line = _decode(text)
        if line is None or line.seq != number:
            broken_at = number
            break
        expected = _hash(whole[number - 2]) if number > 1 else FIRST_PREV
        if line.prev != expected:
            broken_at = _guilty(whole, number)
            lines = lines[: broken_at - 1]
            break
        lines.append(line)
    return JournalFile(tuple(lines), bool(tail), broken_at)


def _guilty(whole: list[bytes], number: int) -> int:
    """Which of two lines that do not fit was changed: the one its successor disowns as well."""
    if number == 1:
        return 1
    after = _decode(whole[number]) if number < len(whole) else None
    vouched = after is None or after.prev == _hash(whole[number - 1])
    return number - 1 if vouched else number


def _decode(text: bytes) -> Line | None:
    try:
        return decode_json(text, Line)
    except (msgspec.DecodeError, UnicodeDecodeError):
        return None


def _hash(raw_line: bytes) -> str:
    return hashlib.sha256(raw_line).hexdigest()


class Journal:
    """An open journal.

    Attributes:
        path: its file.
        torn: a line cut off by a crash was found when it was opened.
        redactor: through which all data passes.
        clock: stamps the lines.
    """

    def __init__(
        self, path: Path, descriptor: int, *, actor: str, clock: Clock, redactor: Redactor
    ) -> None:
        """Take an open descriptor; use `open`."""
        self.path = path
        self.torn = False
        self.redactor = redactor
        self._actor = actor
        self.clock = clock
        self._descriptor = descriptor
        self._mutex = threading.Lock()
        self._lines: list[Line] = []
        self._read = 0
        self._last_hash = FIRST_PREV

    @classmethod
    def open(
        cls, path: Path, *, actor: str, clock: Clock, redactor: Redactor | None = None
    ) -> Self:
        """Create the journal, or continue it.

        Raises:
            RecordError: it cannot be opened, or a line in it was changed.
        """
        flags = os.O_RDWR | os.O_CREAT | os.O_APPEND | os.O_CLOEXEC
        try:
            descriptor = os.open(path, flags, 0o600)
            sync_folder(path.parent)
        except OSError as error:
            raise _failure(path, "open", error) from error
        journal = cls(path, descriptor, actor=actor, clock=clock, redactor=redactor or Redactor())
        try:
            with journal._locked():
                journal._catch_up()
        except BaseException:
            journal.close()
            raise
        return journal

    @property
    def lines(self) -> tuple[Line, ...]:
        """The lines known here: all there were at the last `open` or `append`."""
        return tuple(self._lines)

    def last(self, step: Step, event: JournalEvent | None = None) -> Line | None:
        """The newest line of a step, of one event if given."""
        for line in reversed(self._lines):
            if line.step == step and (event is None or line.event == event):
                return line
        return None

    def append(
        self, step: Step, event: JournalEvent, data: Mapping[str, object] | None = None
    ) -> Line:
        """Write one line; when this returns it is on disk.

        Raises:
            RecordError: it could not be written; what was there before is still there.
        """
        plain = self.redactor.data(to_plain(data or {}))
        with self._locked():
            self._catch_up()
            return self._write(step, event, plain)

    def close(self) -> None:
        """Let go of the file."""
        if self._descriptor >= 0:
            os.close(self._descriptor)
            self._descriptor = -1

    @contextmanager
    def _locked(self) -> Iterator[None]:
        # flock holds between processes, the mutex between threads that share the descriptor.
        with self._mutex:
            if self._descriptor < 0:
                raise RecordError(f"{self.path}: the journal is closed.")
            try:
                fcntl.flock(self._descriptor, fcntl.LOCK_EX)
                yield
            except OSError as error:
                raise _failure(self.path, "write", error) from error
            finally:
                fcntl.flock(self._descriptor, fcntl.LOCK_UN)

    def _catch_up(self) -> None:
        """Take in what others appended, and clear away a line that a crash cut off."""
        raw = self._rest()
        end = raw.rfind(b"\n") + 1
        for text in raw[:end].split(b"\n")[:-1]:
            line = _decode(text)
            if line is None or line.seq != len(self._lines) + 1 or line.prev != self._last_hash:
                raise self._damaged()
            self._take(line, text)
        if tail := raw[end:]:
            self.torn = True
            self._cut()
            kept = self.redactor.text(tail.decode("utf-8", "backslashreplace"))
            step = Step(self._lines[-1].step) if self._lines else Step.OPEN
            self._write(step, JournalEvent.NOTE, {"torn_line": kept, "bytes": len(tail)})

    def _rest(self) -> bytes:
        found = os.fstat(self._descriptor)
        if not found.st_nlink:
            raise FileNotFoundError(errno.ENOENT, "it was deleted meanwhile")
        if found.st_size < self._read:
            raise self._damaged()
        parts = bytearray()
        while block := os.pread(self._descriptor, 1 << 20, self._read + len(parts)):
            parts += block
        return bytes(parts)

    def _write(self, step: Step, event: JournalEvent, data: dict[str, Any]) -> Line:
        line = Line(
            seq=len(self._lines) + 1,
            at=timestamp(self.clock.now()),
            step=str(step),
            event=str(event),
            actor=self._actor,
            data=data,
            prev=self._last_hash,
        )
        text = msgspec.json.encode(line)
        try:
            whole = os.write(self._descriptor, text + b"\n") == len(text) + 1
            os.fsync(self._descriptor)
        except OSError:
            self._cut()
            raise
        if not whole:
            self._cut()
            raise OSError(errno.ENOSPC, os.strerror(errno.ENOSPC))
        self._take(line, text)
        return line

    def _cut(self) -> None:
        """Clear half a line away; left alone, the next writer would have to."""
        os.ftruncate(self._descriptor, self._read)

    def _take(self, line: Line, text: bytes) -> None:
        self._lines.append(line)
        self._last_hash = _hash(text)
        self._read += len(text) + 1

    def _damaged(self) -> RecordError:
        found = read_journal(self.path).broken_at
        where = f"line {found}" if found else "its end"
        return RecordError(
            f"{self.path}: the journal was changed at {where}.",
            state="What the journal says about the cluster cannot be trusted.",
            next_step="Keep the folder as evidence and begin again under a new incident id.",
        )


def sync_folder(folder: Path) -> None:
    """Make a new name in this folder survive a crash."""
    descriptor = os.open(folder, os.O_RDONLY | os.O_DIRECTORY)
    try:
        os.fsync(descriptor)
    finally:
        os.close(descriptor)


def _failure(path: Path, verb: str, error: OSError) -> RecordError:
    mend = "Make room or fix the folder's permissions, then run the cell again."
    if error.errno == errno.ENOENT:
        mend = "Bring the folder back, or begin a new incident: it asks the cluster what is true."
    return RecordError(
        f"{path}: cannot {verb} the journal: {error.strerror or error}.",
        state="The last step written to the journal is the last one that counts.",
        next_step=mend,
    )
