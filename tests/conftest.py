"""Fixtures for all tests, and the rule that CI tolerates no silent skip."""

import os
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest

from veza_nb.sandbox.lifecycle import TrainingCluster

SKIP_BY_NAME = "needs the training cluster's powers"
"""The one reason for which a test may be skipped where nothing may be: another cluster."""


def pytest_addoption(parser: pytest.Parser) -> None:
    group = parser.getgroup("another cluster", "end-to-end tests against a cluster of your own")
    group.addoption("--kubeconfig", default="", help="default: a training cluster")
    group.addoption("--context", default="", help="of that kubeconfig")
    group.addoption("--good-image", default="registry.k8s.io/pause:3.9")
    group.addoption("--other-image", default="registry.k8s.io/pause:3.10")
    group.addoption("--bad-image", default="registry.k8s.io/pause:does-not-exist")


def pytest_terminal_summary(terminalreporter: Any, config: pytest.Config) -> None:
    unexpected = _unexpected_skips(terminalreporter)
    if unexpected and os.environ.get("CI"):
        terminalreporter.write_line(
            f"{len(unexpected)} skipped in CI, where nothing may be: a failure", red=True
        )


def pytest_sessionfinish(session: pytest.Session) -> None:
    reporter = session.config.pluginmanager.get_plugin("terminalreporter")
    if os.environ.get("CI") and reporter is not None and _unexpected_skips(reporter):
        session.exitstatus = pytest.ExitCode.TESTS_FAILED


def _unexpected_skips(reporter: Any) -> list[Any]:
    return [
        report
        for report in reporter.stats.get("skipped", [])
        if SKIP_BY_NAME not in str(report.longrepr)
    ]


@pytest.fixture(autouse=True)
def no_settings_of_the_person_who_runs_the_tests(monkeypatch: pytest.MonkeyPatch) -> None:
    for name in ("KUBECONFIG", "VEZA_CATALOG", "VEZA_RECORDS", "KUBERNETES_SERVICE_HOST"):
        monkeypatch.delenv(name, raising=False)


@pytest.fixture
def crash_loop(tmp_path: Path) -> Iterator[TrainingCluster]:
    """A training cluster of its own, with a crash-looping release just rolled out."""
    with TrainingCluster.start(scenario="crash-loop", directory=tmp_path / "cluster") as cluster:
        yield cluster
