"""Every cell of the fault matrix, against the real client over HTTPS."""

from collections.abc import Iterator
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path

import pytest

from tests.e2e.conftest import Application, deployed
from tests.e2e.fault_matrix import ALL, PAGE, STEPS, Broken, page, run_cell
from veza_nb.clock import SystemClock
from veza_nb.sandbox.lifecycle import TrainingCluster
from veza_nb.vocabulary import RolloutPhase, Step

pytestmark = [pytest.mark.powers, pytest.mark.usefixtures("powers")]
Cell = tuple[Broken, Step]

CELLS: list[Cell] = [(broken, step) for broken in ALL for step in STEPS]
ALONE = [cell for cell in CELLS if cell[0].everywhere or cell[1] is Step.OPEN]
"""Faults of the whole server, and a step whose requests belong to no namespace."""
TOGETHER = [cell for cell in CELLS if cell not in ALONE]
LONGEST = 60.0
"""Seconds for a whole cell: all deadlines of one are far below that."""


@pytest.fixture
def hurried(tmp_path: Path) -> Iterator[TrainingCluster]:
    """A training cluster whose pods crash and come up in a tenth of the time."""
    with TrainingCluster.start(directory=tmp_path / "cluster", speed=10.0) as cluster:
        yield cluster


@pytest.mark.timeout(900)
@pytest.mark.parametrize(
    ("cells", "at_once"), [(TOGETHER, 4), (ALONE, 1)], ids=["side by side", "one by one"]
)
def test_every_fault_in_every_step_ends_well_with_one_undo(
    cells: list[Cell], at_once: int, hurried: TrainingCluster, tmp_path: Path
) -> None:
    def run(cell: Cell) -> list[str]:
        broken, step = cell
        folder = tmp_path / str(CELLS.index(cell))
        folder.mkdir()
        with deployed(hurried, folder) as application:
            _break(application)
            begun = SystemClock().monotonic()
            problems = run_cell(application, broken, step, alone=at_once == 1)
            lasted = SystemClock().monotonic() - begun
        if lasted > LONGEST:
            problems = [*problems, f"it hung for {lasted:.0f} s"]
        return [f"{broken.says} during {step}: {problem}" for problem in problems]

    with ThreadPoolExecutor(at_once) as workers:
        running = [workers.submit(run, cell) for cell in cells]
        problems = [problem for one in running for problem in one.result()]

    assert not problems, "\n".join(problems)


def _break(application: Application) -> None:
    application.release(application.images.bad)
    application.wait_for(RolloutPhase.STUCK)


def test_page_is_current() -> None:
    assert PAGE.read_text(encoding="utf-8") == page(), "python -m tests.e2e.fault_matrix"
