"""With real monitoring beside it, a rollback is judged by numbers and alerts, too."""

import json
from pathlib import Path
from typing import Any

from tests.e2e.conftest import VEZA_NB, run_command
from veza_nb.catalog import Monitoring
from veza_nb.clock import Deadline, SystemClock
from veza_nb.monitoring import alerts
from veza_nb.sandbox.lifecycle import TrainingCluster

SERVICE = "veza-backend-api"


def test_error_rate_and_alerts_are_bad_before_and_normal_after(tmp_path: Path) -> None:
    folder = tmp_path / "cluster"
    with TrainingCluster.start(scenario="errors-5xx", directory=folder, prometheus=True) as cluster:
        _wait_until_it_rings(cluster)
        done = run_command(
            VEZA_NB, "rollback", SERVICE, "--confirm", SERVICE, "--incident", "i-1",
            "--kubeconfig", str(cluster.kubeconfig), "--catalog", str(cluster.catalog),
            "--records", str(tmp_path / "records"),
        )  # fmt: skip

    record: dict[str, Any] = json.loads((tmp_path / "records/i-1/record.json").read_text())
    checks = {one["name"]: one for one in record["verification"]["checks"]}
    assert done.code == 0, done.stderr + json.dumps(checks, indent=1)
    assert checks["metric-error rate"]["verdict"] == "pass"
    assert checks["metric-latency p95"]["verdict"] == "pass"
    assert checks["alerts"]["verdict"] == "pass"
    measured = record["baseline"]["monitored"]["measures"]
    now = {one["name"]: one["now"]["value"] for one in measured}
    assert now["error rate"] > 0.02
    assert now["latency p95"] < 0.5
    reasons = {one["reason"] for one in record["diagnosis"]["findings"]}
    assert {"MetricBad", "AlertFiring"} <= reasons


def _wait_until_it_rings(cluster: TrainingCluster) -> None:
    """Numbers look back over some seconds, and an alert waits until it is sure."""
    clock = SystemClock()
    deadline = Deadline.after(clock, 60)
    monitoring = Monitoring(alertmanager=cluster.alertmanager)
    while not alerts(monitoring, {"alertname": "VezaHighErrorRate"})[0]:
        assert not deadline.passed
        clock.sleep(0.2)
