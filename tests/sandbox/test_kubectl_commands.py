"""Commands of the runbook with the real kubectl, on a cluster with a crash-looping release."""

from __future__ import annotations

import json
import re
import signal
import subprocess
import time
from collections.abc import Iterator

import pytest
import yaml

from tests.sandbox.transcripts import RECORDED_SPACE, Kubectl, Said, normalised, read
from veza_nb.sandbox.lifecycle import TrainingCluster

pytestmark = pytest.mark.kubectl
DEPLOYMENT = "deployment/veza-backend-api"
BACKEND = "-l app=veza-backend-api"


@pytest.fixture(scope="module")
def cluster() -> Iterator[TrainingCluster]:
    with TrainingCluster.start(scenario="crash-loop") as running:
        yield running


@pytest.fixture(scope="module")
def kubectl(cluster: TrainingCluster) -> Kubectl:
    return Kubectl(cluster.kubeconfig, RECORDED_SPACE)


@pytest.fixture(scope="module")
def crashing(kubectl: Kubectl) -> str:
    """Name of the pod that crashes, once it has been restarted."""
    last = "-o=jsonpath={range .items[*]}{.metadata.name} {.spec.containers[0].image}{'\\n'}{end}"
    lines = kubectl.ok(f'get pods {BACKEND} "{last}"').splitlines()
    [name] = [line.split()[0] for line in lines if line.endswith(":v2.4.0")]
    ended = "{.status.containerStatuses[0].lastState.terminated.exitCode}"
    kubectl.ok(f"wait pod/{name} --for=jsonpath='{ended}'=1 --timeout=20s")
    return name


def test_get_pods_lists_the_crash(kubectl: Kubectl, crashing: str) -> None:
    lines = kubectl.ok(f"get pods {BACKEND}").splitlines()

    assert lines[0].split() == ["NAME", "READY", "STATUS", "RESTARTS", "AGE"]
    assert len(lines) == 5
    [row] = [line for line in lines if line.startswith(crashing)]
    assert row.split()[1] == "0/1"
    assert row.split()[2] in ("CrashLoopBackOff", "Running", "Error")


def test_get_gives_yaml_and_jsonpath(kubectl: Kubectl) -> None:
    document = yaml.safe_load(kubectl.ok(f"get {DEPLOYMENT} -o yaml"))
    path = "{.spec.template.spec.containers[0].image}"
    image = kubectl.ok(f"get {DEPLOYMENT} -o jsonpath='{path}'")

    assert document["kind"] == "Deployment"
    assert document["spec"]["template"]["spec"]["containers"][0]["image"] == image
    assert image == "registry.veza.example/veza-backend-api:v2.4.0"
    assert json.loads(kubectl.ok(f"get {DEPLOYMENT} -o json"))["metadata"]["uid"]


def test_history_tells_ages_of_days(kubectl: Kubectl) -> None:
    said = kubectl.ok(f"rollout history {DEPLOYMENT}")

    assert said.splitlines()[2:6] == [
        "1         release v2.2.0: shared playlists",
        "2         release v2.3.0: faster search",
        "3         release v2.3.1: fix of the upload limit",
        "4         release v2.4.0: token issuer for streams",
    ]
    rows = kubectl.ok(f"get rs {BACKEND} --sort-by=.metadata.creationTimestamp").splitlines()[1:]
    assert [row.split()[-1] for row in rows[:3]] == ["9d", "5d20h", "30h"]


def test_rollout_status_without_watching(kubectl: Kubectl) -> None:
    said = kubectl.ok(f"rollout status {DEPLOYMENT} --watch=false")

    expected = "rollout to finish: 1 out of 3 new replicas have been updated..."
    assert said == f'Waiting for deployment "veza-backend-api" {expected}\n'


def test_logs_tell_the_panic_and_so_do_those_of_the_run_before(
    kubectl: Kubectl, crashing: str
) -> None:
    previous = kubectl.ok(f"logs {crashing} --previous")

    assert "panic: config: missing required setting STREAM_TOKEN_ISSUER" in previous
    assert kubectl.ok(f"logs {crashing} --previous --tail=1") in previous
    timed = kubectl.ok(f"logs {crashing} --previous --timestamps --tail=1")
    assert re.match(r"\d{4}-\d\d-\d\dT\d\d:\d\d:\d\d\.\d{9}Z ", timed)


def test_logs_of_a_deployment_pick_a_pod_and_follow_it(kubectl: Kubectl) -> None:
    with kubectl.start("logs -f deployment/veza-frontend") as following:
        assert following.stdout is not None
        lines = [following.stdout.readline() for _ in range(4)]
        following.send_signal(signal.SIGINT)
        following.communicate()

    assert "starting" in lines[0]
    assert any("request" in line for line in lines)


def test_a_followed_log_ends_with_its_container(kubectl: Kubectl, crashing: str) -> None:
    running = "{.status.containerStatuses[0].state.running}"
    kubectl.ok(f"wait pod/{crashing} --for=jsonpath='{running}' --timeout=30s")

    said = kubectl(f"logs -f {crashing}")

    assert said.code == 0
    assert "panic" in said.out


def test_events_sort_and_tell_the_back_off(kubectl: Kubectl, crashing: str) -> None:
    lines = kubectl.ok("get events --sort-by=.lastTimestamp").splitlines()

    assert lines[0].split() == ["LAST", "SEEN", "TYPE", "REASON", "OBJECT", "MESSAGE"]
    assert any("ScalingReplicaSet" in line and "from 0 to 1" in line for line in lines)
    warnings = kubectl.ok("events --types=Warning")
    assert f"Back-off restarting failed container backend-api in pod {crashing}" in warnings


CHANGES_WITH_THE_MOMENT = re.compile(
    r"\s*(State|Last State|Reason|Exit Code|Started|Finished|Restart Count|IP|IPs|Status):"
)
ONLY_THERE = ("openshift-service-ca.crt",)


def described(text: str) -> list[str]:
    """The lines of a described pod that do not depend on the moment, up to its events."""
    lines = text.partition("\nEvents:")[0].splitlines()
    kept = []
    for number, line in enumerate(lines):
        there = any(word in "".join(lines[number : number + 1]) for word in ONLY_THERE)
        if not CHANGES_WITH_THE_MOMENT.match(line) and not there:
            kept.append(line.rstrip())
    return kept


def wait_for_event(kubectl: Kubectl, about: str, reason: str) -> None:
    """Return once there is such an event; kubectl itself cannot wait for what it cannot name."""
    which = f"--field-selector=involvedObject.name={about},reason={reason}"
    deadline = time.monotonic() + 30
    while not kubectl.ok(f"get events {which} -o name"):
        assert time.monotonic() < deadline, f"no {reason} about {about}"
        time.sleep(0.1)


def test_describe_pod_reads_as_recorded(kubectl: Kubectl, crashing: str) -> None:
    """Apart from what only this pod has: its environment, its liveness probe, one volume less."""
    _, then = read("08-describe-pod-crashloop")
    wait_for_event(kubectl, crashing, "BackOff")
    now = kubectl.ok(f"describe pod {crashing}")

    def fields(lines: list[str]) -> list[str]:
        return [line.partition(":")[0] for line in lines if ":" in line]

    recorded = described(normalised(then).out)
    ours = described(normalised(Said(0, now, "")).out)
    extra = {"    Liveness", "    Environment Variables from", "    Environment"}
    extra |= {"      DATABASE_URL", "      JWT_SECRET", "    ConfigMapOptional"}
    extra.add("      veza-backend-config  ConfigMap  Optional")
    assert [name for name in fields(recorded) if name not in extra] == [
        name for name in fields(ours) if name not in extra
    ]
    assert "Back-off restarting failed container" in now
    assert "CrashLoopBackOff" in now or "Running" in now


def test_describe_deployment_names_its_replica_sets_and_events(kubectl: Kubectl) -> None:
    said = kubectl.ok(f"describe {DEPLOYMENT}")

    assert "Replicas:               3 desired | 1 updated | 4 total | 3 available" in said
    assert re.search(r"NewReplicaSet:   veza-backend-api-\w+ \(1/1 replicas created\)", said)
    assert re.search(r"Scaled up replica set veza-backend-api-\w+ from 0 to 1", said)


@pytest.mark.parametrize(
    ("command", "context", "expected"),
    [
        ("auth can-i patch deployments", "veza-training", (0, "yes\n")),
        ("auth can-i patch deployments", "veza-training-nobody", (1, "no\n")),
        ("auth can-i patch deployments", "veza-training-bot", (1, "no\n")),
    ],
)
def test_rights(kubectl: Kubectl, command: str, context: str, expected: tuple[int, str]) -> None:
    said = kubectl(command, context=context)

    assert (said.code, said.out) == expected


def test_nodes_are_ready(kubectl: Kubectl) -> None:
    lines = kubectl.ok("get nodes").splitlines()[1:]

    assert [line.split()[:2] for line in lines] == [
        [f"veza-node-{number}", "Ready"] for number in (1, 2, 3)
    ]
    assert kubectl.ok("get nodes -o wide").count("containerd://1.7.27") == 3


def test_a_pod_is_cordoned_around_and_deleted(kubectl: Kubectl) -> None:
    kubectl.ok("cordon veza-node-1")
    name = kubectl.ok("get pods -l app=veza-frontend -o name").splitlines()[0]

    assert kubectl.ok(f"delete {name}") == f'pod "{name.removeprefix("pod/")}" deleted\n'
    kubectl.ok("wait --for=condition=ready pod -l app=veza-frontend --timeout=20s")
    nodes = kubectl.ok(
        "get pods -l app=veza-frontend --sort-by=.metadata.creationTimestamp -o wide"
    )
    assert nodes.splitlines()[-1].split()[6] in ("veza-node-2", "veza-node-3")
    kubectl.ok("uncordon veza-node-1")


def test_the_rollback_of_the_runbook_watched_from_another_terminal(
    kubectl: Kubectl, crashing: str
) -> None:
    """`undo`, seen by `get -w`; last, because it mends the cluster."""
    with kubectl.start(f"get {DEPLOYMENT} -w") as watching:
        assert watching.stdout is not None
        assert watching.stdout.readline().startswith("NAME")
        assert "3/3     1            3" in watching.stdout.readline()
        undone = kubectl.ok(f"rollout undo {DEPLOYMENT} --to-revision=3")
        assert undone == "deployment.apps/veza-backend-api rolled back\n"
        kubectl.ok(f"rollout status {DEPLOYMENT} --timeout=20s")
        seen = until(watching, "3/3     3            3")
        watching.send_signal(signal.SIGINT)
        watching.communicate()

    assert seen
    said = kubectl.ok(f"rollout history {DEPLOYMENT}").splitlines()[2:]
    assert [line.split()[0] for line in said if line] == ["1", "2", "4", "5"]
    kubectl.ok(f"wait --for=delete pod/{crashing} --timeout=20s")
    kubectl.ok("wait --for=condition=ready pod -l app=veza-backend-api --timeout=20s")


def until(process: subprocess.Popen[str], text: str) -> bool:
    """Read a process's lines until one has the text."""
    assert process.stdout is not None
    return any(text in line for line in process.stdout)
