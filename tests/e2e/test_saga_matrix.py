"""A way back of service and database that is killed anywhere is finished by a resumed run."""

from collections.abc import Iterator
from pathlib import Path

import pytest

from tests.e2e.moments import Moment
from tests.e2e.saga_matrix import MOMENTS, PAGE, page, run_cell
from tests.e2e.way_back import way_back
from tests.sandbox.postgres import Postgres, postgres
from veza_nb.sandbox.lifecycle import TrainingCluster

__all__ = ["postgres"]


@pytest.fixture(scope="module")
def quick(tmp_path_factory: pytest.TempPathFactory) -> Iterator[TrainingCluster]:
    """A training cluster whose time runs faster: most of a test is waiting."""
    with TrainingCluster.start(directory=tmp_path_factory.mktemp("cluster"), speed=5) as cluster:
        yield cluster


@pytest.mark.timeout(180)
@pytest.mark.parametrize("moment", MOMENTS, ids=lambda one: one.says)
def test_what_is_cut_off_is_finished_and_nothing_is_done_twice(
    quick: TrainingCluster, postgres: Postgres, tmp_path: Path, moment: Moment
) -> None:
    with way_back(quick, postgres, tmp_path) as made:
        assert run_cell(made, moment) == []


def test_the_table_in_the_docs_is_this_one() -> None:
    assert PAGE.read_text(encoding="utf-8") == page()
