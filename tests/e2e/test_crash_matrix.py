"""Every cell of the crash matrix, with the real processes."""

from collections.abc import Iterator
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path

import pytest

from tests.e2e.conftest import Application, deployed
from tests.e2e.crash_matrix import PAGE, VICTIMS, Victim, page, run_cell
from tests.e2e.moments import MOMENTS, Moment
from veza_nb.sandbox.lifecycle import TrainingCluster
from veza_nb.vocabulary import RolloutPhase

pytestmark = [pytest.mark.powers, pytest.mark.usefixtures("powers")]
AT_ONCE = 4
SPEED = 10.0


@pytest.fixture
def hurried(tmp_path: Path) -> Iterator[TrainingCluster]:
    """A training cluster whose pods crash and come up in a tenth of the time."""
    with TrainingCluster.start(directory=tmp_path / "cluster", speed=SPEED) as cluster:
        yield cluster


def broken(application: Application) -> Application:
    application.release(application.images.bad)
    application.wait_for(RolloutPhase.STUCK)
    return application


@pytest.mark.timeout(900)
@pytest.mark.parametrize("victim", VICTIMS, ids=lambda one: str(one.name))
def test_killed_at_any_boundary_and_resumed_it_recovers_with_one_undo(
    victim: Victim, hurried: TrainingCluster, tmp_path: Path
) -> None:
    def cell(moment: Moment) -> list[str]:
        folder = tmp_path / str(MOMENTS.index(moment))
        folder.mkdir()
        with deployed(hurried, folder) as application:
            return [
                f"{moment.says}: {one}" for one in run_cell(broken(application), victim, moment)
            ]

    with ThreadPoolExecutor(AT_ONCE) as workers:
        problems = [problem for cell in workers.map(cell, MOMENTS) for problem in cell]

    assert not problems, "\n".join(problems)


def test_page_is_current() -> None:
    assert PAGE.read_text(encoding="utf-8") == page(), "python -m tests.e2e.crash_matrix"
