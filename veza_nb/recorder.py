"""Keeps what is seen of an incident as a series beside its record, point by point.

It serves the pictures and nothing else, so it never stops a run: what cannot be written is
missing from the picture.
"""

import os
from collections.abc import Sequence
from contextlib import suppress
from pathlib import Path

from veza_nb.clock import Clock
from veza_nb.rollout import PodCount, RolloutState
from veza_nb.samples import Probe
from veza_nb.series import (
    MOST_BYTES,
    MOST_LINES,
    Point,
    pods_point,
    probe_points,
    read_points,
    write_points,
)

SERIES = "series.jsonl"
BEAT = 5.0
"""Seconds after which pods that have not changed are written down again: somebody looked."""


class Recorder:
    """The series of one incident; a later process goes on with it."""

    def __init__(self, folder: Path, clock: Clock) -> None:
        self._path = folder / SERIES
        self._clock = clock
        self._room = MOST_LINES - _lines(self._path)
        self._counts: tuple[PodCount, ...] | None = None
        self._looked = float("-inf")
        self._asked: set[object] = set()

    @property
    def due(self) -> bool:
        """Whether the pods have not been looked at for a while."""
        return self._clock.monotonic() - self._looked >= BEAT

    def missed(self) -> None:
        """Pods could not be looked at: do not try again at once."""
        self._looked = self._clock.monotonic()

    def rollout(self, state: RolloutState, *, always: bool = False) -> None:
        """Pods were looked at; kept where they changed, now and then, and where `always`."""
        if always or self.due or state.by_template != self._counts:
            self._counts, self._looked = state.by_template, self._clock.monotonic()
            self.write([pods_point(state, self._clock.now())])

    def probes(self, probes: Sequence[Probe]) -> None:
        """Endpoints were asked; requests that are known already are left out."""
        new = [p for p in probe_points(probes) if (p.name, p.at) not in self._asked]
        self._asked |= {(point.name, point.at) for point in new}
        self.write(new)

    def write(self, points: Sequence[Point]) -> None:
        """Append these points, as long as there is room."""
        points = points[: max(self._room, 0)]
        self._room -= len(points)
        with suppress(OSError):
            if points:
                _append(self._path, write_points(points))


def read_series(folder: Path) -> tuple[Point, ...]:
    """What was kept; empty where nothing was."""
    try:
        with (folder / SERIES).open("rb") as file:
            return read_points(file.read(MOST_BYTES).decode("utf-8", "replace"))
    except OSError:
        return ()


def _append(path: Path, text: str) -> None:
    descriptor = os.open(path, os.O_WRONLY | os.O_CREAT | os.O_APPEND | os.O_CLOEXEC, 0o600)
    with os.fdopen(descriptor, "a", encoding="utf-8") as file:
        file.write(text)


def _lines(path: Path) -> int:
    try:
        return path.read_bytes().count(b"\n")
    except OSError:
        return 0
