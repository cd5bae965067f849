"""Every scenario: the true cause is named, nothing is rolled back in vain, runs end as stated."""

from pathlib import Path

import pytest

from tests.e2e.conftest import VEZA_NB, run_command
from tests.exercises import differences, exercise
from veza_nb.sandbox import scenarios

# The others end the same way by the same steps, called in this process instead of by a kernel.
DRILLED = ("crash-loop", "healthy", "database-down", "locked", "permissions-missing")


@pytest.mark.parametrize("name", scenarios.names())
def test_a_scenario_comes_out_as_its_file_says(name: str, tmp_path: Path) -> None:
    seen = exercise(name, tmp_path)

    assert differences(name, seen) == []


@pytest.mark.parametrize("name", DRILLED)
def test_a_drill_ends_as_its_scenario_says(name: str, tmp_path: Path) -> None:
    done = run_command(VEZA_NB, "drill", name, "--records", str(tmp_path))

    assert done.code == 0, done.stderr + done.stdout[-3000:]
    assert "Drill passed" in done.stdout


def test_a_drill_with_a_named_revision_must_lead_to_the_good_one(tmp_path: Path) -> None:
    done = run_command(
        VEZA_NB, "drill", "crash-loop", "--records", str(tmp_path), "--to-revision", "1"
    )

    assert done.code == 4, done.stderr + done.stdout[-3000:]
    assert "Drill FAILED" in done.stdout


def test_a_drill_names_all_scenarios() -> None:
    done = run_command(VEZA_NB, "drill", "--list")

    listed = [line.split()[0] for line in done.stdout.splitlines()]
    assert (done.code, listed) == (0, scenarios.names())
