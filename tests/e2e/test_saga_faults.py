"""Whatever breaks at any step of a way back with a database ends in a known state, and goes on."""

from collections.abc import Iterator
from pathlib import Path

import pytest

from tests.e2e.saga_faults import ALL, PAGE, Fault, page, run_row
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
@pytest.mark.parametrize("fault", ALL, ids=lambda one: f"{one.step} - {one.says}")
def test_every_fault_ends_in_a_known_state_and_the_next_run_finishes(
    quick: TrainingCluster, postgres: Postgres, tmp_path: Path, fault: Fault
) -> None:
    with way_back(quick, postgres, tmp_path) as made:
        assert run_row(made, fault) == []


def test_the_table_in_the_docs_is_this_one() -> None:
    assert PAGE.read_text(encoding="utf-8") == page(), "python -m tests.e2e.saga_faults"
