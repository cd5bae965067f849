"""StatefulSets and DaemonSets: the same journey, and the pod that only a person can free."""

import json
import signal
import subprocess
import sys
import textwrap
import uuid
from collections.abc import Callable, Iterator
from concurrent.futures import ThreadPoolExecutor
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import pytest
import yaml
from kubernetes import client, config

from tests.e2e.conftest import VEZA_NB, Finished, run_command
from tests.e2e.test_resume import KILLED
from veza_nb import Incident
from veza_nb.clock import Deadline
from veza_nb.cluster import Cluster, watch_workload
from veza_nb.errors import NotRecoveredError, RefusedError
from veza_nb.locks import Lock, lease_name
from veza_nb.permissions import Permission, needed_for, role, role_binding
from veza_nb.rollout import RolloutState, read_rollout
from veza_nb.sandbox.apiserver.audit import AuditEntry
from veza_nb.sandbox.lifecycle import TrainingCluster
from veza_nb.vocabulary import RolloutPhase, WorkloadKind

STATEFUL_SET, DAEMON_SET = WorkloadKind.STATEFUL_SET, WorkloadKind.DAEMON_SET
NAME = "veza-index"
BASE = f"registry.veza.example/{NAME}"
FIRST, GOOD, BAD = f"{BASE}:v1.0.0", f"{BASE}:v1.1.0", f"{BASE}:v1.2.0-bad"
SECONDS = 60.0
EXAMPLE = Path(__file__).parents[2] / "docs" / "other-kinds"
pytestmark = [pytest.mark.powers, pytest.mark.usefixtures("powers")]
KINDS = pytest.mark.parametrize("kind", [STATEFUL_SET, DAEMON_SET])


@dataclass(frozen=True)
class Set:
    """A StatefulSet or a DaemonSet in a namespace of its own, and the kit pointed at it."""

    kind: WorkloadKind
    training: TrainingCluster
    api: client.ApiClient
    namespace: str
    folder: Path

    def call(self, verb: str, name: str, *arguments: Any) -> Any:
        """Ask the official client about this kind, raw."""
        word = self.kind.word.replace("set", "_set")
        method = getattr(client.AppsV1Api(self.api), f"{verb}_namespaced_{word}")
        given = (self.namespace, *arguments) if verb == "create" else (name, self.namespace)
        more = () if verb == "create" else arguments
        return json.loads(method(*given, *more, _preload_content=False).data)

    def live(self, name: str = NAME) -> dict[str, Any]:
        found: dict[str, Any] = self.call("read", name)
        return found

    def image(self, name: str = NAME) -> str:
        return str(self.live(name)["spec"]["template"]["spec"]["containers"][0]["image"])

    def deploy(self, name: str = NAME, **spec: Any) -> None:
        labels = {"app": name}
        container = {
            "name": "app",
            "image": FIRST,
            "readinessProbe": {"httpGet": {"path": "/health", "port": 8080}},
        }
        template = {"metadata": {"labels": labels}, "spec": {"containers": [container]}}
        own = {"serviceName": name, "replicas": 2} if self.kind is STATEFUL_SET else {}
        body = {
            "apiVersion": "apps/v1",
            "kind": str(self.kind),
            "metadata": {"name": name, "labels": labels},
            "spec": {"selector": {"matchLabels": labels}, "template": template, **own, **spec},
        }
        self.call("create", name, body)
        self.wait_for(complete, name)

    def release(self, image: str, name: str = NAME) -> None:
        containers = [{"name": "app", "image": image}]
        body = {"spec": {"template": {"spec": {"containers": containers}}}}
        self.call("patch", name, body)

    def delete_pod(self, pod: str) -> None:
        """What the person does who read the message."""
        core = client.CoreV1Api(self.api)
        core.delete_namespaced_pod(pod, self.namespace, _preload_content=False)

    def cluster(self) -> Cluster:
        return Cluster.connect(
            kubeconfig=str(self.training.kubeconfig),
            context=self.training.context,
            namespace=self.namespace,
            kind=self.kind,
        )

    def wait_for(self, fits: Callable[[RolloutState], bool], name: str = NAME) -> RolloutState:
        cluster = self.cluster()
        deadline = Deadline.after(cluster.clock, SECONDS)
        for workload in watch_workload(cluster, name, f"app={name}", deadline=deadline):
            state = read_rollout(workload)
            if fits(state):
                return state
        pytest.fail(f"not what was waited for within {SECONDS} s")

    @property
    def catalog(self) -> Path:
        return self.folder / "veza.yaml"

    def write_catalog(self, **verify: float) -> None:
        service = {"kind": str(self.kind), "selector": f"app={NAME}", "health": ""}
        settings = {"soak_seconds": 1, "interval_seconds": 0.2, **verify}
        whole = {"namespace": self.namespace, "services": {NAME: service}, "verify": settings}
        self.catalog.write_text(yaml.safe_dump(whole))

    @property
    def where(self) -> dict[str, str]:
        return {
            "kubeconfig": str(self.training.kubeconfig),
            "context": self.training.context,
            "catalog": str(self.catalog),
        }

    def opening(self, **more: Any) -> dict[str, Any]:
        return {**self.where, "records": str(self.folder / "records"), "operator": "kim", **more}

    def opened(self, incident_id: str) -> Incident:
        return Incident.open(NAME, **self.opening(incident_id=incident_id))

    def command(self, verb: str, *arguments: str) -> list[str]:
        where = [word for key, value in self.where.items() for word in (f"--{key}", value)]
        return [VEZA_NB, verb, NAME, *where, *arguments]

    def veza_nb(self, verb: str, *arguments: str) -> Finished:
        records = {"VEZA_RECORDS": str(self.folder / "records")}
        return run_command(*self.command(verb, *arguments), **records)

    def record(self) -> dict[str, Any]:
        folder = max((self.folder / "records").iterdir())
        return json.loads((folder / "record.json").read_text())  # type: ignore[no-any-return]

    def undos(self) -> list[AuditEntry]:
        """The undo patches of this namespace that reached the server."""
        return [
            entry
            for entry in self.training.audit()
            if (entry.verb, entry.resource) == ("patch", self.kind.resource)
            and entry.namespace == self.namespace
            and entry.agent.startswith("veza-nb")
            and not entry.dry_run
        ]

    def allow(self, user: str, permissions: tuple[Permission, ...]) -> None:
        given = role("rollback", self.namespace, permissions)
        bound = role_binding("rollback", self.namespace, ("User", user))
        self.training.call(lambda admin: admin.create("roles", self.namespace, given))
        self.training.call(lambda admin: admin.create("rolebindings", self.namespace, bound))


def complete(state: RolloutState) -> bool:
    return state.phase is RolloutPhase.COMPLETE


def stuck(state: RolloutState) -> bool:
    return state.phase is RolloutPhase.STUCK


def waits_for_a_person(state: RolloutState) -> bool:
    return bool(state.left_alone)


@pytest.fixture
def kind() -> WorkloadKind:
    return STATEFUL_SET


@pytest.fixture
def made(kind: WorkloadKind, training: TrainingCluster, tmp_path: Path) -> Iterator[Set]:
    """A namespace for a workload of that kind."""
    api = config.new_client_from_config(str(training.kubeconfig), training.context)
    core, namespace = client.CoreV1Api(api), f"veza-nb-e2e-{uuid.uuid4().hex[:8]}"
    core.create_namespace({"metadata": {"name": namespace}}, _preload_content=False)
    given = Set(kind, training, api, namespace, tmp_path)
    given.write_catalog()
    try:
        yield given
    finally:
        core.delete_namespace(namespace, _preload_content=False)
        api.close()


@pytest.fixture
def broken(made: Set) -> Set:
    """Two good revisions, and a bad release that is seen to fail."""
    made.deploy()
    made.release(GOOD)
    made.wait_for(complete)
    made.release(BAD)
    made.wait_for(stuck)
    return made


def finish(incident: Incident, *, max_steps: int = 1) -> None:
    incident.detect()
    incident.history()
    plan = incident.plan()
    incident.approve(plan, confirm=NAME)
    incident.undo(plan)
    incident.verify()
    incident.further(max_steps=max_steps, confirm=NAME)
    incident.close()


def as_bot(of: Set) -> dict[str, str]:
    """The user `rollback-bot`, who may do only what the test allows."""
    return {"context": f"{of.training.context}-bot"}


def marks(of: Set) -> dict[str, str]:
    """Image to the word that was left on its ControllerRevision."""
    revisions = of.cluster().revisions(f"app={NAME}")
    return {
        one.data["spec"]["template"]["spec"]["containers"][0]["image"]: note.split()[0]
        for one in revisions
        if (note := one.metadata.annotations.get("veza.dev/rollback-verdict"))
    }


def numbers(of: Set, name: str) -> list[int]:
    return sorted(one.revision for one in of.cluster().revisions(f"app={name}"))


@pytest.mark.parametrize("kind", [DAEMON_SET])
def test_headless_rollback_of_a_daemonset_recovers_it_with_one_patch(broken: Set) -> None:
    done = broken.veza_nb("rollback", "--confirm", NAME)

    assert done.code == 0, done.stderr + done.stdout
    assert (broken.image(), len(broken.undos())) == (GOOD, 1)
    record = broken.record()
    assert (record["kind"], record["outcome"], record["changed"]) == (
        "DaemonSet",
        "recovered",
        True,
    )
    assert record["plan"]["command"].endswith(f"rollout undo daemonset/{NAME} --to-revision=2")
    cause = broken.live()["metadata"]["annotations"]["kubernetes.io/change-cause"]
    assert record["incident_id"] in cause
    assert marks(broken) == {GOOD: "good", BAD: "bad"}
    written = json.dumps(record) + done.stdout + done.stderr
    assert "Deployment" not in written.replace("deployments", "")


def test_headless_rollback_of_a_statefulset_waits_for_the_person_who_frees_the_pod(
    broken: Set,
) -> None:
    pod = f"{NAME}-1"
    command = f"kubectl -n {broken.namespace} delete pod {pod}"
    planned = broken.veza_nb("plan", "--output", "json")
    assert command in planned.stdout, planned.stderr

    with subprocess.Popen(
        broken.command("rollback", "--confirm", NAME, "--records", str(broken.folder / "records")),
        stdout=subprocess.PIPE,
        stderr=subprocess.STDOUT,
        text=True,
    ) as running:
        state = broken.wait_for(waits_for_a_person)
        broken.delete_pod(pod)
        output, _ = running.communicate(timeout=90)

    assert command in " ".join(state.reasons)
    assert running.returncode == 0, output
    assert (broken.image(), len(broken.undos())) == (GOOD, 1)
    record = broken.record()
    assert (record["kind"], record["outcome"]) == ("StatefulSet", "recovered")
    assert command not in " ".join(record["left_to_do"])
    assert marks(broken) == {GOOD: "good", BAD: "bad"}


def test_where_nobody_frees_the_pod_the_error_says_how_and_the_incident_goes_on(
    broken: Set,
) -> None:
    broken.write_catalog(rollout_seconds=3)
    command = f"`kubectl -n {broken.namespace} delete pod {NAME}-1`"

    with pytest.raises(NotRecoveredError) as told:
        finish(broken.opened("left"), max_steps=3)

    assert len(broken.undos()) == 1, "another revision would be kept from its pods just so"
    assert command in told.value.next_step
    record = broken.record()
    assert record["outcome"] == "not recovered"
    assert command in record["left_to_do"][0]
    assert command in (broken.folder / "records" / "left" / "postmortem.md").read_text()

    broken.delete_pod(f"{NAME}-1")
    broken.wait_for(complete)
    finish(broken.opened("left"))

    assert broken.record()["outcome"] == "recovered"
    assert len(broken.undos()) == 1


def test_the_example_of_the_docs_goes_back(training: TrainingCluster, tmp_path: Path) -> None:
    where = ["--kubeconfig", str(training.kubeconfig)]

    def kubectl(*words: str) -> str:
        done = subprocess.run(
            ["kubectl", *where, "-n", "veza-production", *words],
            capture_output=True,
            text=True,
            check=True,
        )
        return done.stdout

    book, agent = ["--catalog", str(EXAMPLE / "catalog.yaml")], "veza-log-agent"
    records = {"VEZA_RECORDS": str(tmp_path / "records")}
    kubectl("apply", "-f", str(EXAMPLE / "application.yaml"))
    try:
        for ref in ("statefulset/veza-index", f"daemonset/{agent}"):
            kubectl("rollout", "status", ref, "--timeout=60s")
        checked = run_command(VEZA_NB, "doctor", *where, *book)
        bad = f"agent=registry.veza.example/{agent}:v1.1.0-bad"
        kubectl("set", "image", f"daemonset/{agent}", bad)
        done = run_command(VEZA_NB, "rollback", agent, *where, *book, "--confirm", agent, **records)
        bad = "index=registry.veza.example/veza-index:v1.1.0-bad"
        kubectl("set", "image", "statefulset/veza-index", bad)
        planned = run_command(VEZA_NB, "plan", "veza-index", *where, *book)
    finally:
        kubectl("delete", "-f", str(EXAMPLE / "application.yaml"), "--wait=false")

    assert "DaemonSet veza-log-agent is there." in checked.stdout
    assert done.code == 0, done.stderr + done.stdout
    said = " ".join(planned.stdout.split())
    assert "kubectl -n veza-production delete pod veza-index-1" in said, planned.stderr


def test_rbac_prints_what_the_kinds_of_the_catalogue_need() -> None:
    done = run_command(VEZA_NB, "rbac", "--least", "--catalog", str(EXAMPLE / "catalog.yaml"))

    (given,) = yaml.safe_load_all(done.stdout)
    allowed = {one["resources"][0]: one["verbs"] for one in given["rules"]}
    assert allowed == {
        "statefulsets": ["get", "list", "patch"],
        "daemonsets": ["get", "list", "patch"],
        "controllerrevisions": ["list"],
        "pods": ["list"],
        "leases": ["get", "create", "update"],
    }


@KINDS
def test_the_object_is_the_one_that_kubectl_makes(made: Set, kind: WorkloadKind) -> None:
    twin = f"{NAME}-twin"
    for name in (NAME, twin):
        made.deploy(name)
        made.release(GOOD, name)
        made.wait_for(complete, name)
        made.release(FIRST, name)
        made.wait_for(complete, name)
    kubeconfig, undo = str(made.training.kubeconfig), ("rollout", "undo", "--to-revision=2")
    by_hand = subprocess.run(
        ["kubectl", "--kubeconfig", kubeconfig, "-n", made.namespace, *undo, f"{kind.word}/{twin}"],
        capture_output=True,
        text=True,
        check=True,
    )
    incident = made.opened("same")
    incident.detect()
    plan = incident.plan(to_revision=2)
    incident.approve(plan, confirm=NAME)
    incident.undo(plan)
    made.wait_for(complete, twin)

    assert by_hand.stdout == f"{kind.word}.apps/{twin} rolled back\n"
    mine, theirs = made.live(), made.live(twin)
    renamed = json.loads(json.dumps(theirs["spec"]).replace(f'"{twin}"', f'"{NAME}"'))
    assert mine["spec"] == renamed
    assert mine["metadata"]["generation"] == theirs["metadata"]["generation"]
    assert [3, 4] == numbers(made, NAME) == numbers(made, twin)


@pytest.mark.parametrize("kind", [DAEMON_SET])
@pytest.mark.parametrize("boundary", ["after intent", "before done"])
def test_killed_around_the_patch_one_undo_reaches_the_server(broken: Set, boundary: str) -> None:
    script = textwrap.dedent(KILLED).format(service=NAME)
    arguments = repr(broken.opening(incident_id="killed"))
    died = subprocess.run([sys.executable, "-c", script, boundary, arguments], check=False)
    assert died.returncode == -signal.SIGKILL

    finish(broken.opened("killed"))

    assert (len(broken.undos()), broken.image()) == (1, GOOD)
    assert broken.record()["outcome"] == "recovered"


@pytest.mark.parametrize("kind", [DAEMON_SET])
def test_one_operator_at_a_time_and_a_deployment_of_that_name_is_another_matter(
    broken: Set,
) -> None:
    cluster = broken.cluster()
    namesake = Lock(cluster.of(WorkloadKind.DEPLOYMENT), NAME, "ann@laptop", "a", "a Deployment")
    other = Lock(cluster, NAME, "ben@laptop", "b", "the same DaemonSet")
    namesake.acquire()
    other.acquire()
    try:
        assert (namesake.name, other.name) == (f"veza-nb-{NAME}", lease_name(NAME, DAEMON_SET))
        with pytest.raises(RefusedError, match="ben@laptop"):
            finish(broken.opened("locked"))
        other.release()
        finish(broken.opened("locked"))
    finally:
        other.release()
        namesake.release()

    assert len(broken.undos()) == 1


@pytest.mark.parametrize("kind", [DAEMON_SET])
def test_the_least_role_is_enough(broken: Set) -> None:
    broken.allow("rollback-bot", needed_for(broken.kind))
    finish(Incident.open(NAME, **broken.opening(**as_bot(broken), incident_id="least")))

    assert (len(broken.undos()), broken.image()) == (1, GOOD)
    assert "controllerrevision/" in " ".join(broken.record()["left_to_do"])


@KINDS
def test_a_missing_right_is_named_before_anything_changed(made: Set) -> None:
    made.deploy()
    needed = needed_for(made.kind)
    made.allow("rollback-bot", tuple(one for one in needed if one.verb != "patch"))
    made.release(GOOD)
    made.wait_for(complete)
    incident = Incident.open(NAME, **made.opening(**as_bot(made)))
    incident.detect()

    plan = incident.plan(to_revision=1)

    assert [one.name for one in plan.blockers] == ["permissions"]
    assert f"patch {made.kind.resource}.apps" in plan.blockers[0].summary


def test_a_quota_that_keeps_pods_away_is_named_while_it_is_followed(made: Set) -> None:
    made.deploy()
    made.release(GOOD)
    made.wait_for(complete)
    incident = made.opened("quota")
    incident.detect()
    plan = incident.plan(to_revision=1)
    incident.approve(plan, confirm=NAME)
    quota = {"metadata": {"name": "none"}, "spec": {"hard": {"pods": "0"}}}
    core = client.CoreV1Api(made.api)
    core.create_namespaced_resource_quota(made.namespace, quota, _preload_content=False)

    incident.undo(plan)

    state = made.record()["undo"]["rollout"]
    assert state["phase"] == "stuck"
    assert any(one.startswith(f"FailedCreate at {NAME}: ") for one in state["reasons"])


def test_on_delete_the_run_follows_while_a_person_deletes(made: Set) -> None:
    made.deploy(updateStrategy={"type": "OnDelete"})
    made.release(BAD)
    made.delete_pod(f"{NAME}-1")
    made.wait_for(stuck)

    def person() -> None:
        made.wait_for(
            lambda state: f"{NAME}-1" in [pod for one in state.left_alone for pod in one.pods]
        )
        made.delete_pod(f"{NAME}-1")

    incident = made.opened("by-hand")
    incident.detect()
    plan = incident.plan()
    incident.approve(plan, confirm=NAME)
    with ThreadPoolExecutor(1) as others:
        helped = others.submit(person)
        incident.undo(plan)
        helped.result()
    incident.verify()
    incident.close()

    assert "on-delete" in {one.name for one in plan.guards}
    assert made.record()["outcome"] == "recovered"


def test_a_partition_that_keeps_bad_pods_blocks_the_plan(made: Set) -> None:
    made.deploy()
    made.release(BAD)
    made.wait_for(stuck)
    partition = {"spec": {"updateStrategy": {"rollingUpdate": {"partition": 2}}}}
    made.call("patch", NAME, partition)
    incident = made.opened("kept")
    incident.detect()

    plan = incident.plan()

    assert ["partition"] == [one.name for one in plan.blockers]
    with pytest.raises(RefusedError, match="keeps veza-index-1 at another template"):
        incident.approve(plan, confirm=NAME)
