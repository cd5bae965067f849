"""Twelve services rolled back together, against one of them rolled back alone."""

import contextlib
import io
import tempfile
import time
from pathlib import Path

from tests.bench.bars import Bar
from tests.e2e.several import Services, several
from veza_nb.group import GroupIncident
from veza_nb.parts import Part
from veza_nb.sandbox.lifecycle import TrainingCluster

NAMES = tuple(f"service-{number:02}" for number in range(1, 13))


def several_bar() -> Bar:
    """Wall time of the cell `undo`: all twelve at once, and the slowest of three alone."""
    with tempfile.TemporaryDirectory() as folder:
        place = Path(folder)
        with (
            TrainingCluster.start(directory=place / "cluster") as cluster,
            several(cluster, place, dict.fromkeys(NAMES, ()), ready_after=1) as services,
        ):
            alone = max(_seconds(services, name) for name in NAMES[:3])
            together = _seconds(services, *NAMES)
    return Bar(
        "undo of twelve services",
        together / alone,
        "x",
        1.2,
        f"one of them alone: {alone:.2f} s (all twelve: {together:.2f} s)",
    )


def _seconds(services: Services, *names: str) -> float:
    """How long the undo to the other revision takes, from the locks to the last rollout."""
    with contextlib.redirect_stdout(io.StringIO()):
        incident = services.open(", ".join(names))
        incident.detect()
        plan = incident.plan(to_revisions=", ".join(_other(part) for part in _parts(incident)))
        incident.approve(plan, confirm=",".join(names))
        begun = time.perf_counter()
        incident.undo(plan)
        seconds = time.perf_counter() - begun
    for part in _parts(incident):
        assert part.settled, part.name
        part.incident.opened.lock.release()
    return seconds


def _parts(incident: GroupIncident) -> tuple[Part, ...]:
    return tuple(incident.opened.parts.values())


def _other(part: Part) -> str:
    revisions = part.incident.seen.history.revisions
    return f"{part.name}={next(one.number for one in revisions if one.standing != 'current')}"
