"""Real kubectl against the server, without controllers behind it."""

from __future__ import annotations

import json
import shutil
import subprocess
from collections.abc import Iterator
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import pytest

from tests.sandbox.conftest import NAMESPACE, RECORDINGS, ApiServer
from veza_nb.sandbox.apiserver.client import Client

Json = dict[str, Any]
pytestmark = [
    pytest.mark.kubectl,
    pytest.mark.skipif(shutil.which("kubectl") is None, reason="there is no kubectl on the PATH"),
]
MANIFEST = RECORDINGS / "manifests" / "veza.yaml"
BACKEND = "deployment/veza-backend-api"


@dataclass(frozen=True)
class Kubectl:
    """kubectl with the server's kubeconfig."""

    server: ApiServer

    def run(self, *arguments: str | Path) -> subprocess.CompletedProcess[str]:
        """Run a command; return how it went."""
        return subprocess.run(
            ["kubectl", f"--kubeconfig={self.server.kubeconfig}", *map(str, arguments)],
            capture_output=True,
            text=True,
            timeout=60,
            check=False,
        )

    def out(self, *arguments: str | Path) -> str:
        """Run a command that must succeed; return what it printed."""
        done = self.run(*arguments)
        assert (done.returncode, done.stderr) == (0, "")
        return done.stdout

    def no(self, *arguments: str | Path) -> str:
        """Run a command that must fail; return what it complained of."""
        done = self.run(*arguments)
        assert done.returncode == 1
        return done.stderr


@pytest.fixture
def kubectl(server: ApiServer) -> Kubectl:
    server.as_admin(lambda client: client.delete("namespaces", None, NAMESPACE))
    server.as_admin(
        lambda client: client.update(
            "namespaces",
            None,
            NAMESPACE,
            {"metadata": {"name": NAMESPACE}, "spec": {"finalizers": []}},
            subresource="finalize",
        )
    )
    return Kubectl(server)


@pytest.fixture
def veza_kubectl(veza: ApiServer) -> Kubectl:
    return Kubectl(veza)


def _transcript(name: str) -> str:
    """Return the standard output of a recorded command."""
    text = (RECORDINGS / "kubectl" / f"{name}.txt").read_text("utf-8")
    return text.partition("--- stdout\n")[2].partition("--- stderr\n")[0]


def test_apply_creates_then_leaves_alone_then_changes(kubectl: Kubectl, tmp_path: Path) -> None:
    created = kubectl.out("apply", "-f", MANIFEST).splitlines()
    assert created[:2] == [
        f"namespace/{NAMESPACE} created",
        "deployment.apps/veza-backend-api created",
    ]
    again = kubectl.out("apply", "-f", MANIFEST).splitlines()
    assert all(line.endswith(" unchanged") for line in again)

    changed = tmp_path / "veza.yaml"
    changed.write_text(
        MANIFEST.read_text("utf-8").replace("frontend:v1.0.0", "frontend:v2"), "utf-8"
    )
    assert kubectl.run("diff", "-f", changed).returncode == 1
    told = kubectl.out("apply", "-f", changed).splitlines()
    assert [line for line in told if not line.endswith(" unchanged")] == [
        "deployment.apps/veza-frontend configured"
    ]


def test_a_server_side_dry_run_over_a_client_side_apply_says_what_was_recorded(
    kubectl: Kubectl,
) -> None:
    kubectl.out("apply", "-f", MANIFEST)

    done = kubectl.run("apply", "--server-side", "-f", MANIFEST, "--dry-run=server")

    text = (RECORDINGS / "kubectl" / "16-server-side-apply-conflict.txt").read_text("utf-8")
    assert _transcript("16-server-side-apply-conflict") == done.stdout
    assert text.partition("--- stderr\n")[2] == done.stderr


def test_server_side_apply_after_client_side_apply_takes_over(kubectl: Kubectl) -> None:
    kubectl.out("apply", "-f", MANIFEST)
    kubectl.out("apply", "--server-side", "-f", MANIFEST)

    found = json.loads(
        kubectl.out("get", BACKEND, "-n", NAMESPACE, "-o", "json", "--show-managed-fields")
    )
    managers = [(each["manager"], each["operation"]) for each in found["metadata"]["managedFields"]]
    assert ("kubectl", "Apply") in managers
    assert ("kubectl-client-side-apply", "Update") not in managers


def test_get_prints_every_form(veza_kubectl: Kubectl) -> None:
    run = veza_kubectl.out
    assert run("get", "deploy", "-o", "name").split() == [
        f"deployment.apps/veza-{name}" for name in ("backend-api", "frontend", "stream-server")
    ]
    assert run("get", BACKEND, "-o", "jsonpath={.spec.replicas}") == "3"
    assert "kind: Deployment" in run("get", BACKEND, "-o", "yaml")
    wide = run("get", "deploy", "-o", "wide").splitlines()
    assert wide[0].split() == (
        ["NAME", "READY", "UP-TO-DATE", "AVAILABLE", "AGE", "CONTAINERS", "IMAGES", "SELECTOR"]
    )
    assert wide[1].split()[:4] == ["veza-backend-api", "0/3", "0", "0"]
    assert run("get", "deploy", "-l", "app=veza-frontend", "--no-headers").split()[0] == (
        "veza-frontend"
    )
    columns = "custom-columns=N:.metadata.name,R:.spec.replicas"
    assert run("get", "deploy", "-o", columns).split()[:4] == ["N", "R", "veza-backend-api", "3"]
    assert "veza-backend-api" in run("get", "all", "--show-labels")
    assert "3 desired" in run("describe", BACKEND)


def test_changes_by_command_have_their_effect(veza_kubectl: Kubectl) -> None:
    run = veza_kubectl.out
    image = "backend-api=registry.veza.example/veza-backend-api:v1.1.0"
    assert run("set", "image", BACKEND, image) == (
        "deployment.apps/veza-backend-api image updated\n"
    )
    assert run("scale", BACKEND, "--replicas=5") == "deployment.apps/veza-backend-api scaled\n"
    run("label", BACKEND, "tier=api")
    run("annotate", BACKEND, "kubernetes.io/change-cause=because")
    run("rollout", "pause", BACKEND)
    assert "already paused" in veza_kubectl.no("rollout", "pause", BACKEND)
    run("rollout", "resume", BACKEND)
    run("rollout", "restart", BACKEND)
    assert veza_kubectl.no("scale", BACKEND, "--replicas=3", "--current-replicas=7") == (
        "error: Expected replicas to be 7, was 5\n"
    )

    found = json.loads(run("get", BACKEND, "-o", "json"))
    assert found["spec"]["replicas"] == 5
    assert found["metadata"]["labels"] == {"app": "veza-backend-api", "tier": "api"}
    assert found["metadata"]["annotations"] == {"kubernetes.io/change-cause": "because"}
    assert "paused" not in found["spec"]
    template = found["spec"]["template"]
    assert "kubectl.kubernetes.io/restartedAt" in template["metadata"]["annotations"]
    assert template["spec"]["containers"][0]["image"].endswith(":v1.1.0")


def _replica_set(client: Client, revision: int, image: str) -> None:
    """Make a ReplicaSet as the Deployment controller would."""
    deployment = client.get("deployments", NAMESPACE, "veza-backend-api")
    labels = {"app": "veza-backend-api", "pod-template-hash": f"hash{revision}"}
    template = json.loads(json.dumps(deployment["spec"]["template"]))
    template["metadata"] = {"labels": labels}
    template["spec"]["containers"][0]["image"] = image
    owner = {
        "apiVersion": "apps/v1",
        "kind": "Deployment",
        "name": "veza-backend-api",
        "uid": deployment["metadata"]["uid"],
        "controller": True,
    }
    client.create(
        "replicasets",
        NAMESPACE,
        {
            "metadata": {
                "name": f"veza-backend-api-hash{revision}",
                "labels": labels,
                "annotations": {"deployment.kubernetes.io/revision": str(revision)},
                "ownerReferences": [owner],
            },
            "spec": {"replicas": 0, "selector": {"matchLabels": labels}, "template": template},
        },
    )


def test_history_and_undo_work_on_replica_sets_made_by_hand(veza_kubectl: Kubectl) -> None:
    server, run = veza_kubectl.server, veza_kubectl.out
    for revision, image in ((1, "a:1"), (2, "a:2")):
        server.as_admin(
            lambda client, revision=revision, image=image: _replica_set(client, revision, image)
        )
    assert run("rollout", "history", BACKEND).splitlines() == [
        "deployment.apps/veza-backend-api ",
        "REVISION  CHANGE-CAUSE",
        "1         <none>",
        "2         <none>",
        "",
    ]
    assert "Image:\ta:1" in run("rollout", "history", BACKEND, "--revision=1")
    assert veza_kubectl.no("rollout", "history", BACKEND, "--revision=9") == (
        "error: unable to find the specified revision\n"
    )
    assert run("rollout", "undo", BACKEND, "--to-revision=1", "--dry-run=server") == (
        "deployment.apps/veza-backend-api rolled back (server dry run)\n"
    )
    assert run("rollout", "undo", BACKEND, "--to-revision=1") == (
        "deployment.apps/veza-backend-api rolled back\n"
    )
    image = "jsonpath={.spec.template.spec.containers[0].image}"
    assert run("get", BACKEND, "-o", image) == "a:1"


def test_access_is_told_as_recorded(veza_kubectl: Kubectl) -> None:
    nobody = "--context=veza-training-nobody"
    run = veza_kubectl.out
    assert run("auth", "can-i", "patch", "deployments") == "yes\n"
    assert veza_kubectl.run(nobody, "auth", "can-i", "patch", "deployments").stdout == "no\n"
    assert _transcript("21-can-i-list") == run(nobody, "auth", "can-i", "--list")
    assert _transcript("21-whoami") == run(nobody, "auth", "whoami")
    for name, command in (
        ("21-get-forbidden", ("get", "deploy")),
        ("21-status-forbidden", ("rollout", "status", BACKEND)),
    ):
        text = (RECORDINGS / "kubectl" / f"{name}.txt").read_text("utf-8")
        assert text.partition("--- stderr\n")[2] == veza_kubectl.no(nobody, *command)


def test_typed_commands_send_protobuf_and_are_understood(veza_kubectl: Kubectl) -> None:
    run = veza_kubectl.out
    run("create", "deployment", "x", "--image=a:b", "--replicas=2", "--port=80")
    run("create", "job", "j", "--image=a:b", "--", "echo", "hi")
    run("create", "configmap", "c", "--from-literal=a=b")
    run("create", "secret", "generic", "s", "--from-literal=a=b")
    run("create", "quota", "q", "--hard=pods=10")
    run("create", "role", "r", "--verb=get,list", "--resource=deployments.apps")
    run("create", "rolebinding", "b", "--role=r", "--user=rollback-bot")

    found = json.loads(run("get", "deploy", "x", "-o", "json"))["spec"]
    [container] = found["template"]["spec"]["containers"]
    assert (found["replicas"], container["ports"][0]["containerPort"]) == (2, 80)
    command = "jsonpath={.spec.template.spec.containers[0].command}"
    assert run("get", "job", "j", "-o", command) == '["echo","hi"]'
    assert run("get", "secret", "s", "-o", "jsonpath={.data.a}") == "Yg=="
    assert (
        len(run("--context=veza-training-bot", "get", "deploy", "--no-headers").splitlines()) == 4
    )


def test_unknown_fields_are_refused_or_warned_of(veza_kubectl: Kubectl) -> None:
    patch = ("patch", BACKEND, "--type=merge", "-p", '{"spec":{"replicaz":3}}')

    warned = veza_kubectl.run(*patch)
    assert warned.stderr == 'Warning: unknown field "spec.replicaz"\n'
    assert warned.stdout == "deployment.apps/veza-backend-api patched (no change)\n"


def test_waiting_ends_by_its_timeout_or_when_it_is_so(veza_kubectl: Kubectl) -> None:
    replicas = "--for=jsonpath={.spec.replicas}"
    veza_kubectl.out("wait", f"{replicas}=3", BACKEND, "--timeout=5s")
    assert veza_kubectl.no("wait", f"{replicas}=4", BACKEND, "--timeout=1s") == (
        "error: timed out waiting for the condition on deployments/veza-backend-api\n"
    )
    veza_kubectl.out("wait", "--for=delete", "pod/nobody", "--timeout=5s")


def test_logs_and_events_are_printed(veza_kubectl: Kubectl) -> None:
    server = veza_kubectl.server

    def fill(client: Client) -> None:
        pod = {"name": "web"}
        containers = [{"name": "main", "image": "a:b"}]
        made = client.create(
            "pods", NAMESPACE, {"metadata": pod, "spec": {"containers": containers}}
        )
        node = {"target": {"name": "n"}}
        client.create("pods", NAMESPACE, node, name="web", subresource="binding")
        states = [{"name": "main", "state": {"running": {}}, "restartCount": 0}]
        client.patch(
            "pods",
            NAMESPACE,
            "web",
            {"status": {"containerStatuses": states}},
            subresource="status",
        )
        at = server.api.core.clock.now()
        for line in ("one", "two"):
            server.logs.append(made["metadata"]["uid"], "main", 0, line, at)
        server.logs.end(made["metadata"]["uid"], "main", 0)
        stamp = server.api.core.stamp()
        about = {"kind": "Pod", "name": "web", "namespace": NAMESPACE}
        about["uid"] = made["metadata"]["uid"]
        event = {
            "metadata": {"name": "web.1"},
            "involvedObject": about,
            "reason": "BackOff",
            "message": "Back-off restarting failed container",
            "type": "Warning",
            "firstTimestamp": stamp,
            "lastTimestamp": stamp,
            "count": 3,
        }
        client.create("events", NAMESPACE, event)

    server.as_admin(fill)

    assert veza_kubectl.out("logs", "web", "--tail=1") == "two\n"
    assert veza_kubectl.out("logs", "-f", "web") == "one\ntwo\n"
    assert 'previous terminated container "main" in pod "web" not found' in (
        veza_kubectl.no("logs", "web", "--previous")
    )
    told = veza_kubectl.out("get", "events", "--sort-by=.lastTimestamp").splitlines()
    assert told[1].split()[1:4] == ["Warning", "BackOff", "pod/web"]
    assert "(x3 over" in veza_kubectl.out("events", "--types=Warning")
    assert "Back-off restarting" in veza_kubectl.out("describe", "pod", "web")


def test_deleting_is_told_once_and_then_not_found(veza_kubectl: Kubectl) -> None:
    assert veza_kubectl.out("delete", BACKEND) == ('deployment.apps "veza-backend-api" deleted\n')
    assert veza_kubectl.no("delete", BACKEND) == (
        'Error from server (NotFound): deployments.apps "veza-backend-api" not found\n'
    )


@pytest.fixture(params=["v1.27.16", "v1.28.15", "v1.29.14", "v1.30.14", "v1.31.14", "v1.33.12"])
def older(request: pytest.FixtureRequest, tmp_path: Path) -> Iterator[Kubectl]:
    """A server that reports another minor; some kubectl builds start the matching one."""
    server = ApiServer(tmp_path, version=request.param)
    server.start()
    try:
        yield Kubectl(server)
    finally:
        server.stop()


def test_each_minor_of_kubectl_gets_along(older: Kubectl) -> None:
    done = older.run("apply", "-f", MANIFEST)
    assert (done.returncode, len(done.stdout.splitlines())) == (0, 7)
    run = older.out
    run("-n", NAMESPACE, "set", "image", BACKEND, "backend-api=a:2")
    assert "a:2" in run("-n", NAMESPACE, "get", "deploy", "-o", "wide")
    assert run("auth", "can-i", "patch", "deployments") == "yes\n"
    run("create", "deployment", "x", "--image=a:b")
    assert "deployments" in run("api-resources", "--api-group=apps")
    run("delete", "deployment", "x")
