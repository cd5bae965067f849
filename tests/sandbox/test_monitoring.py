"""A real Prometheus and a real Alertmanager on the training cluster."""

from __future__ import annotations

import contextlib
import functools
import os
import signal
import socket
import subprocess
import sys
import time
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import Any, TypeVar

import httpx
import pytest
import yaml

from tests.sandbox.planes import deployment
from veza_nb.sandbox import detached
from veza_nb.sandbox.apiserver.client import Client, PatchType
from veza_nb.sandbox.lifecycle import ClusterError, TrainingCluster, down, status, up
from veza_nb.sandbox.metrics import scraping
from veza_nb.sandbox.nodes.releases import repository_of

Json = dict[str, Any]
T = TypeVar("T")
DATA = Path(scraping.__file__).parents[1] / "data" / "prometheus"
SPACE, BACKEND = TrainingCluster.namespace, "veza-backend-api"
_PATIENCE_SECONDS = 60.0


def eventually(look: Callable[[], T], good: Callable[[T], bool]) -> T:
    """What is seen as soon as it is good."""
    deadline = time.monotonic() + _PATIENCE_SECONDS
    while not good(seen := look()):
        assert time.monotonic() < deadline, f"still {seen}"
        time.sleep(0.1)
    return seen


def query(prometheus: str, expression: str) -> list[Json]:
    answer = httpx.get(f"{prometheus}/api/v1/query", params={"query": expression})
    found: list[Json] = answer.raise_for_status().json()["data"]["result"]
    return found


def alerts(alertmanager: str) -> dict[str, Json]:
    answer = httpx.get(f"{alertmanager}/api/v2/alerts").raise_for_status().json()
    return {alert["labels"]["alertname"]: alert for alert in answer}


def rules() -> list[Json]:
    groups = yaml.safe_load((DATA / "rules.yml").read_text("utf-8"))["groups"]
    return [rule for group in groups for rule in group["rules"]]


ALERTS = [rule for rule in rules() if "alert" in rule]


def test_the_files_are_what_their_programs_take(tmp_path: Path) -> None:
    configuration = tmp_path / "prometheus.yml"
    configuration.write_text(
        scraping.configuration("127.0.0.1:1", rules=str(DATA / "rules.yml"), alertmanager="a:1")
    )
    for command in (
        ["promtool", "check", "config", str(configuration)],
        ["promtool", "check", "rules", str(DATA / "rules.yml")],
        ["amtool", "check-config", str(DATA / "alertmanager.yml")],
    ):
        done = subprocess.run(command, capture_output=True, text=True, check=False)
        assert done.returncode == 0, done.stderr


@pytest.mark.parametrize("rule", ALERTS, ids=[rule["alert"] for rule in ALERTS])
def test_every_alert_says_what_to_do(rule: Json) -> None:
    assert rule["labels"]["severity"] in ("critical", "warning")
    for name in ("summary", "description", "runbook"):
        assert rule["annotations"][name].strip()


@pytest.fixture(scope="module")
def watched() -> Iterator[TrainingCluster]:
    with TrainingCluster.start(scenario="errors-5xx", inject=False, prometheus=True) as cluster:
        yield cluster


def test_targets_come_with_their_labels(watched: TrainingCluster) -> None:
    found = eventually(
        lambda: query(watched.prometheus, 'up{job="pods"} == 1'), lambda seen: len(seen) == 7
    )

    labels = next(each["metric"] for each in found if each["metric"]["service"] == BACKEND)
    pods = watched.call(lambda client: client.list("pods", SPACE))
    pod = next(each for each in pods if each["metadata"]["name"] == labels["pod"])
    assert labels["namespace"] == SPACE
    assert labels["deployment"] == BACKEND
    assert labels["version"] == pod["spec"]["containers"][0]["image"].rpartition(":")[2]
    assert labels["node"] == pod["spec"]["nodeName"]
    assert labels["instance"] == f"{pod['status']['podIP']}:8080"


def test_the_state_of_objects_is_scraped(watched: TrainingCluster) -> None:
    expression = f'kube_deployment_status_replicas_available{{deployment="{BACKEND}"}}'
    [found] = eventually(lambda: query(watched.prometheus, expression), bool)

    assert (found["metric"]["namespace"], found["value"][1]) == (SPACE, "3")


def test_memory_is_compared_with_its_limit(watched: TrainingCluster) -> None:
    rule = next(rule for rule in ALERTS if rule["alert"] == "VezaMemoryNearLimit")
    held = rule["expr"].replace("> 0.9", "> 0")
    found = eventually(lambda: query(watched.prometheus, held), lambda seen: len(seen) >= 7)

    assert {each["metric"]["service"] for each in found} == set(watched.endpoints)
    assert all(0.1 < float(each["value"][1]) < 0.9 for each in found)


def test_an_alert_fires_with_the_fault_and_resolves_with_the_undo(
    watched: TrainingCluster,
) -> None:
    ratio = f'service:http_errors:ratio{{service="{BACKEND}"}}'
    eventually(lambda: query(watched.prometheus, ratio), bool)
    before = alerts(watched.alertmanager)
    good = watched.call(lambda client: client.get("deployments", SPACE, BACKEND))

    watched.inject()
    fired = eventually(
        lambda: alerts(watched.alertmanager), lambda seen: "VezaHighErrorRate" in seen
    )
    worse = query(watched.prometheus, f'version:http_errors:ratio{{service="{BACKEND}"}} > 0.05')
    template = [{"op": "replace", "path": "/spec/template", "value": good["spec"]["template"]}]
    watched.call(
        lambda client: client.patch("deployments", SPACE, BACKEND, template, kind=PatchType.JSON)
    )
    eventually(lambda: alerts(watched.alertmanager), lambda seen: "VezaHighErrorRate" not in seen)

    alert = fired["VezaHighErrorRate"]
    assert "VezaHighErrorRate" not in before
    assert alert["labels"] == {
        "alertname": "VezaHighErrorRate",
        "cluster": "veza-training",
        "namespace": SPACE,
        "service": BACKEND,
        "severity": "critical",
    }
    assert f"rollout undo deployment/{BACKEND}" in alert["annotations"]["runbook"]
    assert {each["metric"]["version"] for each in worse} == {"v2.6.0"}


@pytest.fixture(scope="module")
def troubled() -> Iterator[TrainingCluster]:
    """Four Deployments, each with a trouble of its own."""
    with TrainingCluster.start(prometheus=True) as cluster:
        worker = deployment("worker", "v9-oom", 1)
        cluster.call(lambda client: client.create("deployments", SPACE, worker))
        for service, tag in (
            (BACKEND, "v9-bad"),
            ("veza-frontend", "v9-missing"),
            ("veza-stream-server", "v9-latency"),
        ):
            cluster.call(functools.partial(release, service=service, tag=tag))
        yield cluster


def release(client: Client, service: str, tag: str) -> None:
    [container] = client.get("deployments", SPACE, service)["spec"]["template"]["spec"][
        "containers"
    ]
    changed = {"name": container["name"], "image": f"{repository_of(container['image'])}:{tag}"}
    patch = {
        "spec": {
            "progressDeadlineSeconds": 5,
            "strategy": {"rollingUpdate": {"maxUnavailable": "100%"}},
            "template": {"spec": {"containers": [changed]}},
        }
    }
    client.patch("deployments", SPACE, service, patch, kind=PatchType.STRATEGIC)


@pytest.mark.parametrize(
    ("alert", "service"),
    [
        ("VezaServiceDown", BACKEND),
        ("VezaPodCrashLooping", BACKEND),
        ("VezaRolloutStuck", BACKEND),
        ("VezaDeploymentReplicasMismatch", BACKEND),
        ("VezaImageMissing", "veza-frontend"),
        ("VezaHighLatency", "veza-stream-server"),
        ("VezaPodOutOfMemory", "worker"),
    ],
)
def test_every_trouble_has_its_alert(troubled: TrainingCluster, alert: str, service: str) -> None:
    firing = f'ALERTS{{alertname="{alert}", alertstate="firing", service="{service}"}}'

    [found, *_] = eventually(lambda: query(troubled.prometheus, firing), bool)

    assert found["metric"]["namespace"] == SPACE


def children(pid: int) -> list[int]:
    """The processes that this one has started and that are still there."""
    found = []
    for entry in Path("/proc").glob("[0-9]*/stat"):
        with contextlib.suppress(OSError):
            parent = entry.read_text("utf-8", "replace").rpartition(")")[2].split()[1]
            found += [int(entry.parent.name)] if int(parent) == pid else []
    return found


def test_a_process_of_its_own_tells_where_its_prometheus_is(tmp_path: Path) -> None:
    running = up(directory=tmp_path, prometheus=True)
    try:
        known = status(tmp_path)
        ready = [
            httpx.get(f"{url}/-/ready").status_code
            for url in (running.prometheus, running.alertmanager)
        ]
        programs = children(running.pid)
    finally:
        ended = down(tmp_path)

    assert known == running
    assert ready == [200, 200]
    assert len(programs) == 2
    assert ended
    assert [pid for pid in programs if detached.process_start(pid)] == []
    assert not (tmp_path / detached.MONITORING).exists()


def test_the_commands_say_where_prometheus_is(tmp_path: Path) -> None:
    def command(words: str) -> list[str]:
        settings = {**os.environ, "XDG_STATE_HOME": str(tmp_path)}
        line = [sys.executable, "-m", "veza_nb", "sandbox", *words.split()]
        done = subprocess.run(line, capture_output=True, text=True, check=True, env=settings)
        return done.stdout.splitlines()

    def addresses(lines: list[str]) -> dict[str, str]:
        words = ("Metrics: ", "Prometheus: ", "Alertmanager: ")
        told = [line.partition(": ") for line in lines if line.startswith(words)]
        return {name: address for name, _, address in told}

    try:
        up_says, status_says = command("up --prometheus"), command("status")
        pages = [httpx.get(url).status_code < 400 for url in addresses(up_says).values()]
    finally:
        command("down")

    assert addresses(up_says) == addresses(status_says)
    assert list(addresses(up_says)) == ["Metrics", "Prometheus", "Alertmanager"]
    assert pages == [True, True, True]


def test_killing_the_cluster_leaves_no_prometheus(tmp_path: Path) -> None:
    running = up(directory=tmp_path, prometheus=True)
    programs = children(running.pid)
    os.kill(running.pid, signal.SIGKILL)
    os.waitpid(running.pid, 0)

    assert len(programs) == 2
    for pid in programs:
        look = functools.partial(detached.process_start, pid)
        eventually(look, lambda since: since is None)
    down(tmp_path)
    assert not (tmp_path / detached.MONITORING).exists()


def test_one_that_runs_without_it_is_not_changed(tmp_path: Path) -> None:
    running = up(directory=tmp_path)
    try:
        with pytest.raises(ClusterError, match="it was started without Prometheus"):
            up(directory=tmp_path, prometheus=True)
        programs, known = children(running.pid), status(tmp_path)
    finally:
        down(tmp_path)

    assert (running.prometheus, running.alertmanager, programs) == ("", "", [])
    assert known == running


def test_a_port_that_is_taken_is_named(tmp_path: Path) -> None:
    with socket.create_server(("127.0.0.1", 0)) as taken:
        port = taken.getsockname()[1]
        with pytest.raises(ClusterError, match=f"listen on 127.0.0.1:{port}: the port is taken"):
            up(directory=tmp_path, prometheus=True, prometheus_port=port)

    assert status(tmp_path) is None
    assert not (tmp_path / detached.MONITORING).exists()


def test_missing_programs_are_named(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("PATH", str(tmp_path))

    with pytest.raises(ClusterError, match="packages prometheus and prometheus-alertmanager"):
        up(directory=tmp_path, prometheus=True)
    assert status(tmp_path) is None


def test_whoever_does_not_want_it_does_not_pay_for_it() -> None:
    look = (
        "import sys, veza_nb.sandbox.__main__\n"
        "print([name for name in ('monitoring', 'tether') "
        "if f'veza_nb.sandbox.{name}' in sys.modules])"
    )
    done = subprocess.run([sys.executable, "-c", look], capture_output=True, text=True, check=True)

    assert done.stdout.strip() == "[]"
