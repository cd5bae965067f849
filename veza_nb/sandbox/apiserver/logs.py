"""What containers print: kept per run of a container, read by `/log`, followed while it grows."""

from __future__ import annotations

import asyncio
import collections
from collections.abc import AsyncIterator, Iterable, Iterator, Mapping
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
class RunRecord:
    """What a run of a container has printed, for keeping it elsewhere."""

    pod_uid: str
    container: str
    run: int
    ended: bool
    lines: tuple[Line, ...]


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
        # By pod, container and number of the run.
        self._pods: dict[str, dict[str, dict[int, _Run]]] = {}

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
        for runs in self._pods.pop(pod_uid, {}).values():
            for entry in runs.values():
                entry.ended = True
                entry.wake()

    def dump(self) -> list[RunRecord]:
        """Return every run that is kept."""
        return [
            RunRecord(uid, container, number, entry.ended, tuple(entry.lines))
            for uid, containers in self._pods.items()
            for container, runs in containers.items()
            for number, entry in runs.items()
        ]

    def load(self, records: Iterable[RunRecord]) -> None:
        """Take in runs that were kept elsewhere."""
        for record in records:
            entry = self._run(record.pod_uid, record.container, record.run)
            entry.lines.extend(record.lines)
            entry.printed += len(record.lines)
            entry.ended = record.ended

    def has(self, pod_uid: str, container: str, run: int) -> bool:
        """Return whether anything is known about a run."""
        return run in self._known(pod_uid, container)

    def read(self, pod_uid: str, container: str, run: int, query: LogQuery) -> bytes:
        """Return what is there now."""
        entry = self._known(pod_uid, container).get(run, _Run())
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

    def _known(self, pod_uid: str, container: str) -> Mapping[int, _Run]:
        return self._pods.get(pod_uid, {}).get(container, {})

    def _run(self, pod_uid: str, container: str, run: int) -> _Run:
        runs = self._pods.setdefault(pod_uid, {}).setdefault(container, {})
        if run not in runs:
            runs[run] = _Run()
            for old in sorted(runs)[:-RUNS]:
                gone = runs.pop(old)
                gone.ended = True
                gone.wake()
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
