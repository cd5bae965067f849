"""What containers print: kept per run of a container, read by `/log`, followed while it grows."""

from __future__ import annotations

import asyncio
import collections
from collections.abc import AsyncIterator, Iterator
from dataclasses import dataclass, field
from datetime import datetime

# Lines kept per run, and runs kept per container: the running one and the one before.
LINES = 2_000
RUNS = 2


@dataclass(frozen=True, slots=True)
class Line:
    """One line: when it was printed, and its text without the line break."""

    at: datetime
    text: str

    def render(self, *, timestamps: bool) -> bytes:
        """Return the line as a reader gets it."""
        stamp = f"{self.at:%Y-%m-%dT%H:%M:%S.%f}000Z " if timestamps else ""
        return f"{stamp}{self.text}\n".encode()


@dataclass(slots=True)
class _Run:
    lines: collections.deque[Line] = field(default_factory=lambda: collections.deque(maxlen=LINES))
    printed: int = 0
    ended: bool = False
    waiters: list[asyncio.Future[None]] = field(default_factory=list)

    def wake(self) -> None:
        for waiter in self.waiters:
            if not waiter.done():
                waiter.set_result(None)
        self.waiters.clear()


@dataclass(frozen=True, slots=True)
class LogQuery:
    """What a reader wants.

    Attributes:
        tail: Only the last so many lines.
        limit: At most so many bytes.
        since: Only lines printed at or after this time.
        timestamps: Put the time before each line.
    """

    tail: int | None = None
    limit: int | None = None
    since: datetime | None = None
    timestamps: bool = False


class LogStore:
    """The logs of every container of the cluster."""

    def __init__(self) -> None:
        self._runs: dict[tuple[str, str], dict[int, _Run]] = {}

    def append(self, pod_uid: str, container: str, run: int, line: str, at: datetime) -> None:
        """Add a line to a run of a container; `run` is its restart count."""
        entry = self._run(pod_uid, container, run)
        entry.lines.append(Line(at, line))
        entry.printed += 1
        entry.wake()

    def end(self, pod_uid: str, container: str, run: int) -> None:
        """Say that a run is over: its followers end."""
        entry = self._run(pod_uid, container, run)
        entry.ended = True
        entry.wake()

    def drop(self, pod_uid: str) -> None:
        """Forget a pod; its followers end."""
        for key in [key for key in self._runs if key[0] == pod_uid]:
            for entry in self._runs.pop(key).values():
                entry.ended = True
                entry.wake()

    def has(self, pod_uid: str, container: str, run: int) -> bool:
        """Return whether anything is known about a run."""
        return run in self._runs.get((pod_uid, container), {})

    def read(self, pod_uid: str, container: str, run: int, query: LogQuery) -> bytes:
        """Return what is there now."""
        entry = self._runs.get((pod_uid, container), {}).get(run, _Run())
        return b"".join(_limited(_rendered(entry, query), query.limit))

    async def follow(
        self, pod_uid: str, container: str, run: int, query: LogQuery
    ) -> AsyncIterator[bytes]:
        """Yield what is there, then what comes, until the run is over."""
        entry = self._run(pod_uid, container, run)
        seen, left = entry.printed, query.limit
        chunk = list(_rendered(entry, query))
        while True:
            for piece in _limited(chunk, left):
                yield piece
                left = None if left is None else left - len(piece)
            if left == 0 or (entry.ended and seen == entry.printed):
                return
            if seen == entry.printed:
                waiter = asyncio.get_running_loop().create_future()
                entry.waiters.append(waiter)
                await waiter
            fresh = min(entry.printed - seen, len(entry.lines))
            seen = entry.printed
            chunk = [line.render(timestamps=query.timestamps) for line in _last(entry, fresh)]

    def _run(self, pod_uid: str, container: str, run: int) -> _Run:
        runs = self._runs.setdefault((pod_uid, container), {})
        if run not in runs:
            runs[run] = _Run()
            for old in sorted(runs)[:-RUNS]:
                runs.pop(old).wake()
        return runs[run]


def _last(entry: _Run, count: int) -> list[Line]:
    return list(entry.lines)[len(entry.lines) - count :]


def _rendered(entry: _Run, query: LogQuery) -> Iterator[bytes]:
    lines = [line for line in entry.lines if query.since is None or line.at >= query.since]
    if query.tail is not None:
        lines = lines[max(0, len(lines) - query.tail) :]
    return (line.render(timestamps=query.timestamps) for line in lines)


def _limited(pieces: Iterator[bytes] | list[bytes], limit: int | None) -> Iterator[bytes]:
    left = limit
    for piece in pieces:
        if left is None:
            yield piece
            continue
        if left <= 0:
            return
        yield piece[:left]
        left -= len(piece)
