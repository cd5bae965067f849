"""Detection reads the logs that explain: of new pods, with older ones to compare, and no more."""

import json
from typing import Any

import pytest

from tests.e2e.conftest import VEZA_NB, Application, run_command
from veza_nb.permissions import HELPFUL, NEEDED
from veza_nb.sandbox.lifecycle import TrainingCluster

pytestmark = [pytest.mark.powers, pytest.mark.usefixtures("powers")]


def findings(cluster: TrainingCluster) -> dict[str, Any]:
    done = run_command(
        VEZA_NB, "plan", "veza-backend-api", "-o", "json", "--kubeconfig", str(cluster.kubeconfig),
        "--catalog", str(cluster.catalog),
    )  # fmt: skip
    return {one["reason"]: one for one in json.loads(done.stdout)["diagnosis"]["findings"]}


def test_the_cause_in_the_log_of_the_run_that_crashed_is_told(crash_loop: TrainingCluster) -> None:
    found = findings(crash_loop)["LogErrors"]

    assert found["from_release"] is True
    assert "missing required setting STREAM_TOKEN_ISSUER" in json.dumps(found["evidence"])
    assert any("--previous" in one["command"] for one in found["evidence"])


def test_without_the_right_to_read_logs_the_rest_is_found(broken: Application) -> None:
    broken.allow("rollback-bot", [one for one in (*NEEDED, *HELPFUL) if one.subresource != "log"])

    done = broken.veza_nb("plan", "-o", "json", "--context", "veza-training-bot")

    assert done.code == 0, done.stderr
    reasons = {one["reason"] for one in json.loads(done.stdout)["diagnosis"]["findings"]}
    assert "LogErrors" not in reasons
    assert reasons
