"""Workloads, Jobs and limits with the real kubectl, as its users know them."""

from __future__ import annotations

import json
import re
import time
from collections.abc import Iterator
from pathlib import Path

import pytest

from tests.sandbox.transcripts import SPACE, Kubectl, Said, read
from veza_nb.sandbox.lifecycle import TrainingCluster

pytestmark = pytest.mark.kubectl
MANIFEST = """
apiVersion: apps/v1
kind: StatefulSet
metadata: {name: veza-statefulset, labels: {app: veza-statefulset}}
spec:
  serviceName: x
  replicas: 2
  selector: {matchLabels: {app: veza-statefulset}}
  template:
    metadata: {labels: {app: veza-statefulset}}
    spec:
      containers:
      - {name: c, image: "registry.veza.example/veza-statefulset:v1"}
---
apiVersion: apps/v1
kind: DaemonSet
metadata: {name: veza-daemonset, labels: {app: veza-daemonset}}
spec:
  selector: {matchLabels: {app: veza-daemonset}}
  template:
    metadata: {labels: {app: veza-daemonset}}
    spec:
      containers:
      - {name: c, image: "registry.veza.example/veza-daemonset:v1"}
---
apiVersion: batch/v1
kind: CronJob
metadata: {name: nightly}
spec:
  schedule: "0 3 * * *"
  jobTemplate:
    spec:
      template:
        spec:
          restartPolicy: Never
          containers:
          - {name: c, image: "registry.veza.example/migrate:v1"}
"""
WORKLOADS = ["statefulset", "daemonset"]
_PATIENCE_SECONDS = 30.0


@pytest.fixture(scope="module")
def cluster() -> Iterator[TrainingCluster]:
    with TrainingCluster.start() as running:
        yield running


@pytest.fixture(scope="module")
def kubectl(cluster: TrainingCluster, tmp_path_factory: pytest.TempPathFactory) -> Kubectl:
    found = Kubectl(cluster.kubeconfig)
    found.ok(f"create namespace {SPACE}")
    manifest: Path = tmp_path_factory.mktemp("workloads") / "workloads.yaml"
    manifest.write_text(MANIFEST)
    said = found.ok(f"apply -f {manifest}")
    assert said.splitlines() == [
        "statefulset.apps/veza-statefulset created",
        "daemonset.apps/veza-daemonset created",
        "cronjob.batch/nightly created",
    ]
    return found


def lines(said: Said) -> list[str]:
    return said.out.splitlines()


def until(kubectl: Kubectl, command: str, wanted: str) -> str:
    """Ask again until the answer is right; it must become so."""
    deadline = time.monotonic() + _PATIENCE_SECONDS
    while True:
        said = kubectl(command).out
        if said == wanted or time.monotonic() > deadline:
            return said
        time.sleep(0.1)


@pytest.mark.parametrize("kind", WORKLOADS)
def test_the_recorded_story_of_a_rollout_and_its_undo(kubectl: Kubectl, kind: str) -> None:
    """Recording 25: status, history 1 2, undo, history 2 3."""
    name, image = f"{kind}/veza-{kind}", f"registry.veza.example/veza-{kind}"
    kubectl.ok(f"rollout status {name} --timeout=30s")
    kubectl.ok(f"set image {name} c={image}:v2")
    status = kubectl(f"rollout status {name}")
    recorded = read(f"25-{kind}s-status")[1]

    assert (status.code, status.err) == (0, "")
    assert set(lines(status)) <= set(lines(recorded)) | set(_other_counts(recorded))
    assert lines(status)[-1] == lines(recorded)[-1]
    for step, command in (
        ("history", f"rollout history {name}"),
        ("undo", f"rollout undo {name}"),
        ("history-after-undo", f"rollout history {name}"),
    ):
        assert kubectl(command) == read(f"25-{kind}s-{step}")[1]
        if step == "undo":
            kubectl.ok(f"rollout status {name} --timeout=30s")
    path = "{.spec.template.spec.containers[0].image}"
    assert kubectl.ok(f"get {name} -o jsonpath='{path}'") == f"{image}:v1"


def _other_counts(recorded: Said) -> Iterator[str]:
    """The recorded lines with other numbers: how often a change is seen is chance."""
    for line in lines(recorded):
        for number in range(4):
            yield re.sub(r"\d+", str(number), line, count=1)


@pytest.mark.parametrize("kind", WORKLOADS)
def test_an_undo_to_a_revision_that_is_gone_is_refused_and_a_restart_is_a_revision(
    kubectl: Kubectl, kind: str
) -> None:
    name = f"{kind}/veza-{kind}"
    refused = kubectl(f"rollout undo {name} --to-revision=1")
    assert refused == Said(1, "", "error: unable to find specified revision 1 in history\n")

    kubectl.ok(f"rollout restart {name}")
    kubectl.ok(f"rollout status {name} --timeout=30s")
    history = kubectl.ok(f"rollout history {name}").splitlines()
    newest = history[-2].split()[0]
    shown = kubectl.ok(f"rollout history {name} --revision={newest}")
    assert "kubectl.kubernetes.io/restartedAt" in shown
    again = kubectl(f"rollout undo {name} --to-revision={newest}")
    assert again.out.startswith(f"{kind}.apps/veza-{kind} skipped rollback")


def test_tables_of_workloads_have_the_columns_of_a_real_server(kubectl: Kubectl) -> None:
    headings = {
        "sts": ["NAME", "READY", "AGE"],
        "ds": ["NAME", "DESIRED", "CURRENT", "READY", "UP-TO-DATE", "AVAILABLE", "NODE"],
        "cronjob": ["NAME", "SCHEDULE", "TIMEZONE", "SUSPEND", "ACTIVE", "LAST", "SCHEDULE"],
        "controllerrevisions": ["NAME", "CONTROLLER", "REVISION", "AGE"],
    }
    for kind, expected in headings.items():
        said = kubectl.ok(f"get {kind}").splitlines()
        assert said[0].split()[: len(expected)] == expected, kind
        assert len(said) > 1


def test_a_statefulset_scales_by_kubectl(kubectl: Kubectl) -> None:
    kubectl.ok("scale statefulset/veza-statefulset --replicas=3")
    kubectl.ok("rollout status statefulset/veza-statefulset --timeout=30s")

    names = "{range .items[*]}{.metadata.name} {end}"
    said = kubectl.ok(f"get pods -l app=veza-statefulset -o jsonpath='{names}'")
    assert said.split() == [f"veza-statefulset-{number}" for number in range(3)]


def test_a_job_made_by_kubectl_completes_and_goes(kubectl: Kubectl) -> None:
    image = "registry.veza.example/migrate:v1"
    assert kubectl.ok(f"create job migrate-ok --image={image}") == "job.batch/migrate-ok created\n"
    waited = kubectl("wait --for=condition=complete job/migrate-ok --timeout=30s")
    assert waited == read("25-wait-job-complete")[1]
    table = kubectl.ok("get jobs migrate-ok").splitlines()
    assert table[0].split() == ["NAME", "STATUS", "COMPLETIONS", "DURATION", "AGE"]
    assert table[1].split()[:3] == ["migrate-ok", "Complete", "1/1"]
    assert "Job completed" in kubectl.ok("describe job migrate-ok")

    kubectl.ok("delete job migrate-ok")
    left = until(kubectl, "get pods -l job-name=migrate-ok -o name", "")
    assert left == ""


def test_a_job_that_fails_meets_its_limit(kubectl: Kubectl, tmp_path: Path) -> None:
    body = {
        "apiVersion": "batch/v1",
        "kind": "Job",
        "metadata": {"name": "migrate-broken"},
        "spec": {
            "backoffLimit": 0,
            "template": {
                "spec": {
                    "restartPolicy": "Never",
                    "containers": [{"name": "m", "image": "registry.veza.example/migrate:v1-bad"}],
                }
            },
        },
    }
    manifest = tmp_path / "job.json"
    manifest.write_text(json.dumps(body))
    kubectl.ok(f"create -f {manifest}")
    waited = kubectl("wait --for=condition=failed job/migrate-broken --timeout=60s")
    assert waited == read("25-wait-job-failed")[1]
    path = "{.status.conditions[*].type}"
    said = kubectl.ok(f"get job migrate-broken -o jsonpath='{path}'")
    assert said == "FailureTarget Failed"


def test_a_job_from_a_cron_job_belongs_to_it(kubectl: Kubectl) -> None:
    kubectl.ok("create job now --from=cronjob/nightly")
    kubectl.ok("wait --for=condition=complete job/now --timeout=30s")
    found = json.loads(kubectl.ok("get job now -o json"))

    assert found["metadata"]["ownerReferences"][0]["kind"] == "CronJob"
    assert found["metadata"]["annotations"] == {"cronjob.kubernetes.io/instantiate": "manual"}


def test_a_quota_and_a_budget_show_what_is_used(kubectl: Kubectl) -> None:
    kubectl.ok("create quota limits --hard=pods=100")
    until(kubectl, "get quota limits -o jsonpath='{.status.hard.pods}'", "100")
    kubectl.ok("create pdb keep --min-available=3 --selector=app=veza-daemonset")
    until(kubectl, "get pdb keep -o jsonpath='{.status.currentHealthy}'", "3")

    assert re.search(r"^pods +\d+ +100$", kubectl.ok("describe quota limits"), re.MULTILINE)
    described = kubectl.ok("describe pdb keep")
    assert re.search(r"Allowed disruptions: +0\n +Current: +3\n +Desired: +3\n", described)
    kubectl.ok("delete pdb keep")
    kubectl.ok("delete quota limits")


def test_drain_evicts_what_a_budget_allows_and_leaves_daemon_pods(kubectl: Kubectl) -> None:
    drained = kubectl("drain veza-node-1 --ignore-daemonsets --delete-emptydir-data --timeout=60s")
    try:
        assert drained.code == 0, drained.err
        # What has ended takes no room and may stay; what serves must be a daemon's.
        serving = "status.phase!=Succeeded,status.phase!=Failed,spec.nodeName=veza-node-1"
        left = kubectl.ok(f"get pods --field-selector={serving} -o name").split()
        assert len(left) == 1
        assert left[0].startswith("pod/veza-daemonset-")
    finally:
        kubectl.ok("uncordon veza-node-1")


def test_autoscale_makes_an_autoscaler_of_either_version(kubectl: Kubectl) -> None:
    kubectl.ok("create deployment auto --image=registry.veza.example/auto:v1")
    kubectl.ok("autoscale deployment auto --min=2 --max=4 --cpu-percent=70")

    row = kubectl.ok("get hpa auto").splitlines()[1].split()
    assert row[:2] == ["auto", "Deployment/auto"]
    old = json.loads(kubectl.ok("get horizontalpodautoscalers.v1.autoscaling auto -o json"))
    new = json.loads(kubectl.ok("get horizontalpodautoscalers.v2.autoscaling auto -o json"))
    assert old["spec"]["targetCPUUtilizationPercentage"] == 70
    [metric] = new["spec"]["metrics"]
    assert metric["resource"]["target"]["averageUtilization"] == 70


@pytest.mark.parametrize(
    ("field", "kind"),
    [
        ("sts.spec.updateStrategy.rollingUpdate.partition", "<integer>"),
        ("job.spec.backoffLimit", "<integer>"),
        ("ds.spec.revisionHistoryLimit", "<integer>"),
        ("cronjob.spec.schedule", "<string>"),
        ("hpa.spec.maxReplicas", "<integer>"),
        ("pdb.spec.unhealthyPodEvictionPolicy", "<string>"),
        ("pvc.spec.accessModes", "<[]string>"),
        ("controllerrevision.revision", "<integer>"),
    ],
)
def test_explain_knows_the_fields(kubectl: Kubectl, field: str, kind: str) -> None:
    assert kind in kubectl.ok(f"explain {field}")


def test_a_field_that_does_not_exist_is_refused_by_name(kubectl: Kubectl, tmp_path: Path) -> None:
    manifest = tmp_path / "typo.yaml"
    manifest.write_text(MANIFEST.replace("serviceName: x", "serviceName: x\n  replica: 3"))
    refused = kubectl(f"apply -f {manifest}")

    assert refused.code == 1
    assert 'unknown field "spec.replica"' in refused.err
