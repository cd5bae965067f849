"""An incident's time line with the numbers of a real Prometheus from before, during and after."""

from collections.abc import Iterator
from contextlib import contextmanager
from datetime import UTC, datetime, timedelta
from pathlib import Path

import pytest

from tests.builders import failed_release
from tests.monitoring_stack import free_port, prometheus
from veza_nb.accounts import Record
from veza_nb.catalog import Measure, Monitoring, Service
from veza_nb.clock import ManualClock
from veza_nb.logbook import Logbook
from veza_nb.retelling import BEFORE, FARTHEST, released_at, retell
from veza_nb.rollout import read_rollout
from veza_nb.timeline import Timeline

THEN = datetime.now(UTC).replace(microsecond=0) - timedelta(hours=3)
RATED = Service(metrics={"error rate": Measure(query="rate", limit=0.02)})


@pytest.fixture(scope="module")
def monitoring(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Monitoring]:
    """`rate` is 0.01 until THEN, then 0.4."""
    minutes = [THEN + timedelta(minutes=one) for one in range(-60, 61)]
    samples = [(at, 0.01 if at < THEN else 0.4) for at in minutes]
    folder = tmp_path_factory.mktemp("monitoring")
    with prometheus(folder, {"rate": samples}) as numbers:
        yield Monitoring(prometheus=numbers, timeout_seconds=5)


@contextmanager
def incident(folder: Path, released: datetime | None) -> Iterator[Logbook]:
    """One that was watched for a minute, two minutes after THEN."""
    clock = ManualClock(THEN + timedelta(minutes=2))
    served = [[released.isoformat(), None]] if released else []
    first = Record(
        incident_id="told", service="api", operator="kim", history={"current": {"served": served}}
    )
    logbook = Logbook.open(folder, first, clock=clock)
    for _ in range(7):
        logbook.recorder.rollout(read_rollout(failed_release()))
        clock.sleep(10)
    yield logbook
    logbook.let_go()
    logbook.journal.close()


def told(logbook: Logbook, monitoring: Monitoring) -> Timeline:
    found = retell(logbook, RATED, monitoring)
    assert found is not None
    return found


def test_numbers_reach_back_to_before_the_release(monitoring: Monitoring, tmp_path: Path) -> None:
    with incident(tmp_path, THEN) as logbook:
        seen = told(logbook, monitoring)

    [panel] = seen.panels
    values = dict(panel.curves[0].values)
    assert panel.limit == 0.02
    assert values[THEN - BEFORE] == 0.01
    assert values[max(values)] == 0.4
    assert [mark.name for mark in seen.marks] == ["release"]


def test_a_release_of_long_ago_is_left_out(monitoring: Monitoring, tmp_path: Path) -> None:
    with incident(tmp_path, THEN - 2 * FARTHEST) as logbook:
        seen = told(logbook, monitoring)

    assert seen.begin == THEN + timedelta(minutes=2) - BEFORE
    assert seen.marks == ()


def test_numbers_are_asked_for_again_without_being_told_twice(
    monitoring: Monitoring, tmp_path: Path
) -> None:
    with incident(tmp_path, THEN) as logbook:
        assert told(logbook, monitoring).panels == told(logbook, monitoring).panels


def test_without_an_answer_there_is_the_rest_of_the_picture(tmp_path: Path) -> None:
    nowhere = Monitoring(prometheus=f"http://127.0.0.1:{free_port()}", timeout_seconds=1)
    with incident(tmp_path, THEN) as logbook:
        seen = told(logbook, nowhere)

    assert seen.panels == ()
    assert len(seen.bands) == 2


@pytest.mark.parametrize(
    "odd",
    [{}, {"current": None}, {"current": {"served": [[]]}}, {"current": {"served": [["x", None]]}}],
)
def test_a_history_without_a_time_names_no_release(odd: dict | None) -> None:
    assert released_at(Record(incident_id="i", service="s", history={"current": odd})) is None
