"""From the first keystroke until the undo reaches the server: this kit against kubectl by hand."""

import os
import subprocess
import tempfile
from collections.abc import Callable
from datetime import UTC, datetime
from pathlib import Path
from statistics import median

import httpx

from tests.bench.bars import Bar
from tests.bench.commands import VEZA_NB
from veza_nb.sandbox.lifecycle import TrainingCluster

SERVICE = "veza-backend-api"
ROUNDS = 3


def undo_bar() -> Bar:
    """The ratio of the medians; the rounds of both are taken in turn."""
    pairs = [(_round(_with_kit), _round(_with_kubectl)) for _ in range(ROUNDS)]
    ours, theirs = (median(column) for column in zip(*pairs, strict=True))
    return Bar(
        "start until the undo arrives",
        ours / theirs,
        "x",
        2.5,
        f"eight kubectl calls of the runbook: {theirs:.2f} s (this kit: {ours:.2f} s)",
    )


def _round(run: Callable[[TrainingCluster, Path], None]) -> float:
    with tempfile.TemporaryDirectory() as folder:
        place = Path(folder)
        with TrainingCluster.start(scenario="crash-loop", directory=place / "cluster") as cluster:
            begun = datetime.now(UTC)
            run(cluster, place)
            arrived = next(
                entry.at
                for entry in cluster.audit()
                if entry.verb == "patch" and entry.at >= begun and not entry.dry_run
                and entry.resource == "deployments" and not entry.user.startswith("system:")
            )  # fmt: skip
        return (arrived - begun).total_seconds()


def _with_kit(cluster: TrainingCluster, place: Path) -> None:
    environment = {**os.environ, "VEZA_CATALOG": str(cluster.catalog)}
    subprocess.run(
        [
            VEZA_NB,
            "rollback",
            SERVICE,
            "--confirm",
            SERVICE,
            "--kubeconfig",
            str(cluster.kubeconfig),
            "--records",
            str(place / "records"),
        ],
        check=True,
        env=environment,
        stdout=subprocess.DEVNULL,
    )


def _with_kubectl(cluster: TrainingCluster, place: Path) -> None:
    def kubectl(*arguments: str) -> None:
        subprocess.run(
            [
                "kubectl",
                "--kubeconfig",
                str(cluster.kubeconfig),
                "-n",
                "veza-production",
                *arguments,
            ],
            check=True,
            stdout=subprocess.DEVNULL,
            cwd=place,
        )

    deployment = f"deployment/{SERVICE}"
    kubectl("get", "pods", "-l", f"app={SERVICE}")
    kubectl("rollout", "status", deployment, "--watch=false")
    kubectl("get", deployment, "-o", "yaml")
    kubectl("get", "events", "--sort-by=.lastTimestamp")
    httpx.get(f"{cluster.endpoints[SERVICE]}/health")
    kubectl("rollout", "history", deployment)
    kubectl("rollout", "history", deployment, "--revision=1")
    kubectl("rollout", "undo", deployment)
