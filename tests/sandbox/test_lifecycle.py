"""The training cluster as a whole: started, asked, ended; in a thread and as a process."""

from __future__ import annotations

import gc
import json
import os
import signal
import stat
import subprocess
import sys
import threading
from collections.abc import Iterator
from pathlib import Path

import httpx
import pytest
import yaml

from veza_nb.sandbox import detached
from veza_nb.sandbox.lifecycle import ClusterError, TrainingCluster, down, status, up
from veza_nb.sandbox.nodes.sites import SITES
from veza_nb.sandbox.scenarios import ScenarioError

BACKEND, TRACKS = "veza-backend-api", "/api/v1/tracks"


@pytest.fixture(scope="module")
def healthy() -> Iterator[TrainingCluster]:
    with TrainingCluster.start() as cluster:
        yield cluster


def test_every_service_answers_with_its_pages_pods_and_version(healthy: TrainingCluster) -> None:
    for service, pages in SITES.items():
        for path in pages:
            response = httpx.get(healthy.endpoints[service] + path)
            assert response.status_code == 200
            assert response.headers["X-Served-By"].startswith(f"{service}-")
    tracks = httpx.get(healthy.endpoints[BACKEND] + TRACKS).json()
    assert (tracks["version"], len(tracks["tracks"])) == ("v2.3.1", 3)
    assert "<!doctype html>" in httpx.get(healthy.endpoints["veza-frontend"] + "/").text


def test_an_unknown_page_is_404(healthy: TrainingCluster) -> None:
    response = httpx.get(healthy.endpoints[BACKEND] + "/nope")

    assert (response.status_code, response.json()["error"]) == (404, "not found")


def test_requests_go_round_the_ready_pods(healthy: TrainingCluster) -> None:
    url = healthy.endpoints[BACKEND] + "/health"

    served = [httpx.get(url).headers["X-Served-By"] for _ in range(12)]

    assert len(set(served)) == 3


def test_the_kubeconfig_has_its_users_and_is_private(healthy: TrainingCluster) -> None:
    text = healthy.kubeconfig.read_text()
    contexts = [item["name"] for item in yaml.safe_load(text)["contexts"]]

    assert contexts[:3] == ["veza-training", "veza-training-nobody", "veza-training-bot"]
    assert contexts[3:] == ["veza-training-oncall"]
    assert stat.S_IMODE(healthy.kubeconfig.stat().st_mode) == 0o600


def test_the_catalogue_points_to_the_addresses(healthy: TrainingCluster) -> None:
    catalog = yaml.safe_load(healthy.catalog.read_text())

    assert catalog["extends"] == "veza"
    assert healthy.endpoints == {name: one["url"] for name, one in catalog["services"].items()}


def test_the_audit_log_does_not_tell_of_the_history(healthy: TrainingCluster) -> None:
    people = [entry for entry in healthy.audit() if not entry.user.startswith("system:")]

    assert [entry for entry in people if entry.verb in ("patch", "create")] == []


def test_a_call_runs_inside_and_its_error_comes_out(healthy: TrainingCluster) -> None:
    names = healthy.call(lambda client: [d["metadata"]["name"] for d in client.list("deployments")])
    assert set(SITES) == set(names)

    def fail(client: object) -> None:
        raise LookupError("mine")

    with pytest.raises(LookupError, match="mine"):
        healthy.call(fail)


def test_without_a_ready_pod_the_answer_is_503(tmp_path: Path) -> None:
    with TrainingCluster.start(directory=tmp_path) as cluster:
        cluster.call(
            lambda client: client.patch(
                "deployments", cluster.namespace, BACKEND, {"spec": {"replicas": 0}}
            )
        )
        url = cluster.endpoints[BACKEND] + "/health"
        until(lambda: httpx.get(url).status_code == 503)
        assert BACKEND in httpx.get(url).json()["error"]


def until(happened: object, tries: int = 500) -> None:
    """Ask again and again, with the round trip as the pause."""
    assert any(happened() for _ in range(tries))  # type: ignore[operator]


def test_a_bad_release_fails_its_share_of_requests(tmp_path: Path) -> None:
    with TrainingCluster.start(scenario="errors-5xx", directory=tmp_path) as cluster:
        url = cluster.endpoints[BACKEND]
        codes = [httpx.get(url + TRACKS).status_code for _ in range(30)]
        assert {200, 500} == set(codes)
        assert 10 <= codes.count(500) <= 14
        assert {200} == {httpx.get(url + "/health").status_code for _ in range(10)}


def test_the_fault_comes_when_it_is_called_for(tmp_path: Path) -> None:
    with TrainingCluster.start(scenario="slow", directory=tmp_path, inject=False) as cluster:
        version = httpx.get(cluster.endpoints[BACKEND] + "/health").json()["version"]
        assert version == "v2.6.2"
        cluster.inject()
        response = httpx.get(cluster.endpoints[BACKEND] + TRACKS)
        assert response.json()["version"] == "v2.7.0"
        assert response.elapsed.total_seconds() >= 0.8
        assert cluster.scenario.good_image == f"registry.veza.example/{BACKEND}:v2.6.2"


def test_stopping_leaves_no_thread_and_no_files() -> None:
    before = threading.active_count()
    cluster = TrainingCluster.start()
    directory = cluster.kubeconfig.parent
    cluster.stop()
    cluster.stop()

    assert before == threading.active_count()
    assert not directory.exists()


def test_clients_that_stay_connected_are_let_go(tmp_path: Path) -> None:
    """An open connection must neither hold the end up nor be left behind in the process."""
    cluster = TrainingCluster.start(directory=tmp_path)
    with httpx.Client() as pages, httpx.Client(verify=False) as api:
        assert pages.get(cluster.endpoints[BACKEND] + "/health").status_code == 200
        assert api.get(cluster.url + "/livez").status_code == 200
        url = cluster.endpoints[BACKEND] + "/health"
        cluster.stop()
        gc.collect()
        with pytest.raises(httpx.TransportError):
            pages.get(url)


def test_an_unknown_scenario_is_the_callers_error() -> None:
    before = threading.active_count()
    with pytest.raises(ScenarioError, match="unknown scenario 'nope'"):
        TrainingCluster.start(scenario="nope")

    assert before == threading.active_count()


# -- the detached process --------------------------------------------------------------------


@pytest.fixture
def directory(tmp_path: Path) -> Iterator[Path]:
    place = tmp_path / "state"
    yield place
    down(place)


def test_up_status_and_down(directory: Path) -> None:
    assert status(directory) is None
    assert not down(directory)

    running = up(scenario="crash-loop", directory=directory)
    assert running == status(directory)
    assert running.ready
    assert running == up(scenario="crash-loop", directory=directory)
    assert running == up(directory=directory)
    with pytest.raises(ClusterError, match="already running with the scenario crash-loop"):
        up(scenario="slow", directory=directory)
    assert httpx.get(running.endpoints[BACKEND] + "/health").status_code == 200
    assert stat.S_IMODE(directory.stat().st_mode) == 0o700
    for name in ("kubeconfig", "state.json"):
        assert stat.S_IMODE((directory / name).stat().st_mode) == 0o600
    lines = (directory / "audit.jsonl").read_text().splitlines()
    assert "deploy-bot" in {json.loads(line)["user"] for line in lines}

    assert down(directory)
    assert status(directory) is None
    assert not (directory / "kubeconfig").exists()
    assert detached.process_start(running.pid) is None


def test_a_state_left_by_a_dead_process_is_recognised(directory: Path) -> None:
    running = up(directory=directory)
    os.kill(running.pid, signal.SIGKILL)
    os.waitpid(running.pid, 0)

    assert status(directory) is None
    again = up(scenario="image-missing", directory=directory)
    assert running.pid != again.pid
    assert again.scenario == "image-missing"


def test_a_pid_that_now_belongs_to_another_process_is_left_alone(directory: Path) -> None:
    running = up(directory=directory)
    down(directory)
    with subprocess.Popen([sys.executable, "-c", "input()"], stdin=subprocess.PIPE) as other:
        stale = {field: getattr(running, field) for field in running.__slots__}
        stale["pid"] = other.pid
        (directory / "state.json").write_text(json.dumps(stale))

        assert status(directory) is None
        assert not down(directory)
        assert other.poll() is None
        other.communicate(b"\n")


def test_an_error_of_the_process_reaches_the_caller(directory: Path) -> None:
    with pytest.raises(ClusterError, match="unknown scenario 'nope'; known: "):
        up(scenario="nope", directory=directory)

    assert status(directory) is None


def test_a_directory_that_cannot_be_made_is_one_clear_line(tmp_path: Path) -> None:
    (tmp_path / "file").write_text("")

    with pytest.raises(ClusterError, match=r"cannot use the directory .*Not a directory"):
        up(directory=tmp_path / "file" / "below")


@pytest.mark.parametrize("kind", [signal.SIGTERM, signal.SIGINT])
def test_in_the_foreground_a_signal_ends_it_cleanly(tmp_path: Path, kind: signal.Signals) -> None:
    command = [sys.executable, "-W", "error", "-m", "veza_nb.sandbox", "--directory", str(tmp_path)]
    with subprocess.Popen(
        command, stdout=subprocess.PIPE, stderr=subprocess.PIPE, text=True
    ) as process:
        assert process.stdout is not None
        assert process.stderr is not None
        assert process.stdout.readline() == "scenario healthy\n"
        assert f"export KUBECONFIG={tmp_path}/kubeconfig\n" == process.stdout.readline()
        process.send_signal(kind)
        errors = process.stderr.read()

    assert (errors, process.returncode) == ("", 0)
    assert not (tmp_path / "kubeconfig").exists()
