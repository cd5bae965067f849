"""What people see of pods with the real kubectl: columns, logs of every container, a migration."""

from __future__ import annotations

import re
import textwrap
from collections.abc import Iterator
from pathlib import Path

import pytest

from tests.sandbox.postgres import Postgres, postgres
from tests.sandbox.transcripts import Kubectl
from veza_nb.sandbox.lifecycle import TrainingCluster

__all__ = ["postgres"]

pytestmark = pytest.mark.kubectl
SPACE = "pods"
MANIFEST = """
apiVersion: v1
kind: Namespace
metadata: {name: pods}
---
apiVersion: v1
kind: Pod
metadata: {name: both}
spec:
  initContainers:
  - {name: prepare, image: "app:v1", command: [sh, -c, "echo prepared"]}
  containers:
  - {name: one, image: "app:v1", command: [sh, -c, "echo first; echo second; sleep infinity"]}
  - {name: two, image: "app:v1", command: [sh, -c, "echo third; sleep infinity"]}
---
apiVersion: v1
kind: Pod
metadata: {name: init-fails}
spec:
  initContainers:
  - {name: prepare, image: "app:v1", command: ["false"]}
  containers:
  - {name: main, image: "app:v1"}
---
apiVersion: v1
kind: Pod
metadata: {name: no-secret}
spec:
  containers:
  - name: main
    image: app:v1
    envFrom: [{secretRef: {name: absent}}]
---
apiVersion: v1
kind: Pod
metadata: {name: crashes}
spec:
  containers:
  - {name: main, image: "app:v1", command: [sh, -c, "echo run; exit 3"]}
---
apiVersion: v1
kind: Pod
metadata: {name: never-pulled}
spec:
  containers:
  - {name: main, image: "app:missing", imagePullPolicy: Never}
---
apiVersion: v1
kind: Pod
metadata: {name: unhealthy}
spec:
  containers:
  - name: main
    image: app:v1-unhealthy
    livenessProbe: {httpGet: {path: /livez, port: 8080}, periodSeconds: 2, failureThreshold: 2}
---
apiVersion: v1
kind: Pod
metadata: {name: late}
spec:
  activeDeadlineSeconds: 5
  restartPolicy: Never
  containers:
  - {name: main, image: "app:v1", command: [sleep, 1h]}
"""


@pytest.fixture(scope="module")
def kubectl(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Kubectl]:
    """On a cluster that lives ten times as fast."""
    with TrainingCluster.start(speed=10) as cluster:
        made = Kubectl(cluster.kubeconfig, SPACE)
        apply(made, MANIFEST, tmp_path_factory.mktemp("manifests"))
        yield made


def apply(kubectl: Kubectl, manifest: str, directory: Path) -> None:
    file = directory / "manifest.yaml"
    file.write_text(manifest)
    kubectl.ok(f"apply -f {file}")


def wait(kubectl: Kubectl, pod: str, path: str, value: str) -> None:
    kubectl.ok(f"wait pod/{pod} --for=jsonpath='{path}'={value} --timeout=50s")


def test_every_state_has_its_word_in_the_status_column(kubectl: Kubectl) -> None:
    state = "{.status.containerStatuses[0].state.waiting.reason}"
    init = "{.status.initContainerStatuses[0].state.waiting.reason}"
    kubectl.ok("wait pod/both --for=condition=Ready --timeout=50s")
    wait(kubectl, "init-fails", init, "CrashLoopBackOff")
    wait(kubectl, "no-secret", state, "CreateContainerConfigError")
    wait(kubectl, "never-pulled", state, "ErrImageNeverPull")
    wait(kubectl, "late", "{.status.reason}", "DeadlineExceeded")
    rows = [line.split() for line in kubectl.ok("get pods --no-headers").splitlines()]
    shown = {row[0]: (row[1], row[2]) for row in rows}

    assert shown["both"] == ("2/2", "Running")
    assert shown["no-secret"] == ("0/1", "CreateContainerConfigError")
    assert shown["never-pulled"] == ("0/1", "ErrImageNeverPull")
    assert shown["late"] == ("0/1", "Error")
    assert shown["init-fails"][1] in ("Init:CrashLoopBackOff", "Init:Error", "Init:0/1")


def test_logs_are_those_of_the_container_that_is_named(kubectl: Kubectl) -> None:
    kubectl.ok("wait pod/both --for=condition=Ready --timeout=50s")

    assert kubectl.ok("logs both -c one") == "first\nsecond\n"
    assert kubectl.ok("logs both -c prepare") == "prepared\n"
    assert kubectl.ok("logs both -c two --tail=1") == "third\n"
    assert kubectl.ok("logs both -c one --limit-bytes=7") == "first\ns"
    said = kubectl("logs both -c one --since=1h --timestamps")
    assert re.fullmatch(r"(\d{4}-\d\d-\d\dT[\d:]{8}\.\d{9}Z \w+\n){2}", said.out)
    said = kubectl("logs both --all-containers --prefix")
    assert sorted(said.out.splitlines()) == [
        "[pod/both/one] first",
        "[pod/both/one] second",
        "[pod/both/prepare] prepared",
        "[pod/both/two] third",
    ]
    assert kubectl("logs both").err == (
        'Defaulted container "one" out of: one, two, prepare (init)\n'
    )


def test_logs_that_are_not_there_are_refused_in_kubernetes_words(kubectl: Kubectl) -> None:
    refused = "Error from server (BadRequest): "
    wait(kubectl, "no-secret", "{.status.phase}", "Pending")
    state = "{.status.containerStatuses[0].state.waiting.reason}"
    wait(kubectl, "no-secret", state, "CreateContainerConfigError")

    said = kubectl("logs no-secret")
    where = 'container "main" in pod "no-secret"'
    assert said.err == f"{refused}{where} is waiting to start: CreateContainerConfigError\n"
    said = kubectl("logs both -c one --previous")
    where = 'container "one" in pod "both"'
    assert said.err == f"{refused}previous terminated {where} not found\n"
    said = kubectl("logs both -c three")
    assert said.err == "error: container three is not valid for pod both\n"


def test_previous_is_the_run_that_crashed(kubectl: Kubectl) -> None:
    wait(kubectl, "crashes", "{.status.containerStatuses[0].lastState.terminated.exitCode}", "3")

    assert kubectl.ok("logs crashes --previous") == "run\n"
    assert "Exit Code:    3" in kubectl.ok("describe pod crashes")


def test_describe_tells_of_probes_that_failed(kubectl: Kubectl) -> None:
    wait(kubectl, "unhealthy", "{.status.containerStatuses[0].lastState.terminated.exitCode}", "0")
    text = kubectl.ok("describe pod unhealthy")

    assert re.search(r"Warning +Unhealthy .* Liveness probe failed: HTTP probe failed", text)
    assert "Container main failed liveness probe, will be restarted" in text


def test_a_migration_as_in_the_runbook(kubectl: Kubectl, postgres: Postgres) -> None:
    url = postgres.database()
    run = "run {} --image=registry.veza.example/veza-backend-api:{} --restart=Never"
    words = f"--env=DATABASE_URL={url} -- migrate -path /migrations"

    kubectl.ok(f"{run.format('up', 'v2.5.0')} {words} up")
    wait(kubectl, "up", "{.status.phase}", "Succeeded")
    kubectl.ok(f"{run.format('down', 'v2.5.0')} {words} down 1")
    wait(kubectl, "down", "{.status.phase}", "Succeeded")
    kubectl.ok(f"{run.format('old', 'v2.3.1')} {words} down 1")
    wait(kubectl, "old", "{.status.phase}", "Failed")

    assert re.match(r"1/u users \([\d.]+ms\)\n2/u tracks", kubectl.ok("logs up"))
    assert kubectl.ok("logs down").startswith("6/d track_isrc (")
    assert "no migration found for version 5" in kubectl.ok("logs old")
    assert postgres.ask("SELECT version, dirty FROM schema_migrations", url) == ["5|f"]


def test_a_job_migrates_and_completes(kubectl: Kubectl, postgres: Postgres, tmp_path: Path) -> None:
    url = postgres.database()
    job = textwrap.dedent(f"""
        apiVersion: batch/v1
        kind: Job
        metadata: {{name: migrate}}
        spec:
          backoffLimit: 0
          template:
            spec:
              restartPolicy: Never
              containers:
              - name: migrate
                image: registry.veza.example/veza-migrate:v2.5.0
                args: [-path, /migrations, up]
                env: [{{name: DATABASE_URL, value: "{url}"}}]
        """)
    apply(kubectl, job, tmp_path)
    kubectl.ok("wait job/migrate --for=condition=complete --timeout=50s")

    assert "6/u track_isrc" in kubectl.ok("logs job/migrate")
    assert postgres.ask("SELECT version, dirty FROM schema_migrations", url) == ["6|f"]
