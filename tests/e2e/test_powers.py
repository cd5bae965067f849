"""What only the training cluster can show: its audit log, its users, its scenarios."""

import json
import os
import re
import signal
import subprocess
import sys
from pathlib import Path

import pytest

from tests.e2e.conftest import SERVICE, VEZA_NB, Application, run_command
from veza_nb.permissions import NEEDED
from veza_nb.sandbox.lifecycle import TrainingCluster

pytestmark = [pytest.mark.powers, pytest.mark.usefixtures("powers")]
CONFIRMED = ("--confirm", SERVICE)
NOTEBOOKS = Path(__file__).parent.parent.parent / "notebooks"


def test_two_runs_send_exactly_one_undo(broken: Application) -> None:
    before = len(broken.undos())
    for _ in range(2):
        broken.veza_nb("rollback", *CONFIRMED)

    assert [entry.code for entry in broken.undos()[before:]] == [200]


def test_user_without_rights_is_refused_with_every_right_that_is_missing(
    broken: Application,
) -> None:
    done = broken.veza_nb("rollback", *CONFIRMED, "--context", "veza-training-nobody")

    assert done.code == 3
    assert [] == [str(right) for right in NEEDED if str(right) not in done.stderr]
    assert broken.image == broken.images.bad


def test_expired_token_is_one_clear_line(broken: Application, tmp_path: Path) -> None:
    text = broken.kubeconfig.read_text()
    expired = tmp_path / "expired"
    expired.write_text(re.sub(r"token: .*", "token: expired", text))

    done = broken.veza_nb("rollback", *CONFIRMED, "--kubeconfig", str(expired))

    assert done.code == 3
    assert "does not accept these credentials" in done.stderr
    assert broken.image == broken.images.bad


def test_killed_after_the_undo_the_same_incident_resumes_without_a_second_one(
    broken: Application,
) -> None:
    before = len(broken.undos())
    arguments = [
        VEZA_NB, "rollback", SERVICE, "--kubeconfig", str(broken.kubeconfig),
        "--context", broken.context, "--catalog", str(broken.catalog),
        "--records", str(broken.records), "--incident", "killed", *CONFIRMED,
        "-p", "timeout", "10",
    ]  # fmt: skip
    with subprocess.Popen(
        arguments, stdout=subprocess.PIPE, text=True, start_new_session=True
    ) as running:
        assert running.stdout is not None
        next(line for line in running.stdout if "Undo sent" in line)
        os.killpg(running.pid, signal.SIGKILL)

    done = broken.veza_nb("rollback", *CONFIRMED, "--incident", "killed")

    assert done.code == 0, done.stderr + done.stdout
    assert len(broken.undos()) == before + 1
    assert broken.record()["outcome"] == "recovered"


def test_ctrl_c_ends_in_a_known_state_and_says_how_to_go_on(broken: Application) -> None:
    text = broken.catalog.read_text().replace("soak_seconds: 1", "soak_seconds: 60")
    broken.catalog.write_text(text)
    arguments = [
        VEZA_NB, "rollback", SERVICE, "--kubeconfig", str(broken.kubeconfig),
        "--context", broken.context, "--catalog", str(broken.catalog),
        "--records", str(broken.records), *CONFIRMED,
    ]  # fmt: skip
    with subprocess.Popen(
        arguments, stdout=subprocess.PIPE, stderr=subprocess.PIPE, text=True, start_new_session=True
    ) as running:
        assert running.stdout is not None
        next(line for line in running.stdout if "Verifying" in line)
        running.send_signal(signal.SIGINT)
        _, stderr = running.communicate(timeout=60)

    assert running.returncode == 130
    assert "Stopped during verify" in stderr
    assert broken.record()["outcome"] == "interrupted"
    assert broken.record()["changed"] is True


def test_bare_papermill_runs_the_same_notebook(broken: Application, tmp_path: Path) -> None:
    output = tmp_path / "out.ipynb"
    done = run_command(
        sys.executable, "-m", "papermill", str(NOTEBOOKS / "10-rollback.ipynb"), str(output),
        "-p", "service", SERVICE, "-p", "confirm", SERVICE,
        "-p", "kubeconfig", str(broken.kubeconfig), "-p", "context", broken.context,
        "-p", "catalog", str(broken.catalog), "-p", "records", str(broken.records),
    )  # fmt: skip

    assert done.code == 0, done.stderr
    assert broken.image == broken.images.good
    assert broken.record()["outcome"] == "recovered"


@pytest.mark.parametrize("scenario", ["healthy", "crash-loop", "database-down", "scaled-to-zero"])
def test_start_page_runs_under_papermill_whatever_is_wrong(scenario: str, tmp_path: Path) -> None:
    output = tmp_path / "out.ipynb"
    with TrainingCluster.start(scenario=scenario, directory=tmp_path / "cluster") as cluster:
        done = run_command(
            sys.executable, "-m", "papermill", str(NOTEBOOKS / "00-start.ipynb"), str(output),
            "-p", "kubeconfig", str(cluster.kubeconfig), "-p", "catalog", str(cluster.catalog),
        )  # fmt: skip

    assert done.code == 0, done.stderr
    assert cluster.context in output.read_text()


def test_unknown_notebook_parameter_is_refused_before_anything_starts(
    broken: Application,
) -> None:
    done = broken.veza_nb("rollback", *CONFIRMED, "-p", "to_revison", "3")

    assert done.code == 2
    assert "no parameter 'to_revison'" in done.stderr
    assert not broken.records.exists()


def test_kit_declines_where_what_serves_fails_too_until_a_person_names_the_revision(
    tmp_path: Path,
) -> None:
    alone = run_command(VEZA_NB, "drill", "previous-bad", "--records", str(tmp_path))
    named = run_command(
        VEZA_NB, "drill", "previous-bad", "--records", str(tmp_path), "--to-revision", "3"
    )

    assert alone.code == 0, alone.stderr + alone.stdout[-3000:]
    assert "does not tell whether a rollback cures this" in alone.stderr
    assert named.code == 0, named.stderr + named.stdout[-3000:]
    assert "Drill passed" in named.stdout


@pytest.mark.parametrize("name", ["00-start", "10-rollback"])
def test_notebook_passes_under_nbval(
    name: str, crash_loop: TrainingCluster, tmp_path: Path
) -> None:
    prepared = tmp_path / f"{name}.ipynb"
    given = {
        "kubeconfig": str(crash_loop.kubeconfig),
        "catalog": str(crash_loop.catalog),
    }
    if name == "10-rollback":
        given |= {"confirm": "veza-backend-api", "records": str(tmp_path / "records")}
    notebook = json.loads((NOTEBOOKS / f"{name}.ipynb").read_text())
    cell = next(one for one in notebook["cells"] if one["id"] == "parameters")
    cell["source"] = "".join(cell["source"]) + "".join(f"\n{k} = {v!r}" for k, v in given.items())
    prepared.write_text(json.dumps(notebook))

    done = run_command(
        sys.executable, "-m", "pytest", "--nbval-lax", "-q", "-p", "no:cacheprovider",
        "--rootdir", str(tmp_path), "-c", os.devnull, str(prepared),
    )  # fmt: skip

    assert done.code == 0, done.stdout
    assert "passed" in done.stdout
