"""Several services in one namespace of the training cluster, and the kit pointed at them."""

import json
import os
import signal
import subprocess
import uuid
from collections.abc import Iterator, Mapping, Sequence
from contextlib import contextmanager
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import yaml
from kubernetes import client, config

from tests.e2e.conftest import VEZA_NB, Finished, run_command, wait_for_rollout
from veza_nb.clock import SystemClock
from veza_nb.cluster import Cluster
from veza_nb.group import GroupIncident
from veza_nb.sandbox.apiserver.audit import AuditEntry
from veza_nb.sandbox.lifecycle import TrainingCluster
from veza_nb.vocabulary import RolloutPhase

NEEDS: Mapping[str, Sequence[str]] = {"api": (), "web": ("api",), "stream": ("api",)}


@dataclass(frozen=True)
class Services:
    """Deployments that depend on each other.

    Revision 1 and 2 of each run; `release` makes a third.
    """

    training: TrainingCluster
    namespace: str
    catalog: Path
    records: Path
    apps: client.AppsV1Api

    def release(self, name: str, tag: str) -> None:
        """Somebody rolls out a tag; one with `bad` in it crashes."""
        containers = [{"name": "app", "image": image(name, tag)}]
        body = {"spec": {"template": {"spec": {"containers": containers}}}}
        self.apps.patch_namespaced_deployment(name, self.namespace, body, _preload_content=False)

    def wait_for(self, name: str, *phases: RolloutPhase) -> None:
        wait_for_rollout(self.cluster(), name, *phases)

    def break_all(self, *names: str) -> None:
        """A bad release of each, seen to fail."""
        for name in names:
            self.release(name, "v3-bad")
        for name in names:
            self.wait_for(name, RolloutPhase.STUCK)

    def tag(self, name: str) -> str:
        """What it is to run."""
        template = self.cluster().deployment(name).spec.template
        containers = template["spec"]["containers"]
        return str(containers[0]["image"].rpartition(":")[2])

    def cluster(self) -> Cluster:
        return Cluster.connect(
            kubeconfig=str(self.training.kubeconfig),
            context=self.training.context,
            namespace=self.namespace,
            clock=SystemClock(),
        )

    def opening(self, **more: Any) -> dict[str, Any]:
        """Arguments for `GroupIncident.open`."""
        return {
            "context": self.training.context,
            "kubeconfig": str(self.training.kubeconfig),
            "catalog": str(self.catalog),
            "records": str(self.records),
            "operator": "kim",
            **more,
        }

    def open(self, services: str = "web, api, stream", **more: Any) -> GroupIncident:
        return GroupIncident.open(services, **self.opening(**more))

    def veza_nb(self, command: str, *arguments: str) -> Finished:
        """Run the real command."""
        whole = self._command(command, *arguments)
        return run_command(*whole, VEZA_RECORDS=str(self.records))

    @contextmanager
    def running(self, command: str, *arguments: str) -> Iterator[subprocess.Popen[bytes]]:
        """The real command in a session of its own, which is ended at the end."""
        process = subprocess.Popen(
            self._command(command, *arguments),
            env={**os.environ, "VEZA_RECORDS": str(self.records)},
            start_new_session=True,
            stdout=subprocess.DEVNULL,
            stderr=subprocess.DEVNULL,
        )
        try:
            yield process
        finally:
            if process.poll() is None:
                os.killpg(process.pid, signal.SIGKILL)
                process.wait()

    def _command(self, command: str, *arguments: str) -> tuple[str, ...]:
        return (
            VEZA_NB, command, *arguments,
            "--kubeconfig", str(self.training.kubeconfig), "--context", self.training.context,
            "--catalog", str(self.catalog),
        )  # fmt: skip

    def undos(self) -> list[AuditEntry]:
        """The undo patches that reached the server, in order."""
        return [
            entry
            for entry in self.training.audit()
            if (entry.verb, entry.resource, entry.subresource) == ("patch", "deployments", "")
            and entry.agent.startswith("veza-nb")
            and entry.namespace == self.namespace
            and not entry.dry_run
            and entry.code == 200
        ]

    def record(self, incident_id: str) -> dict[str, Any]:
        path = self.records / incident_id / "record.json"
        return json.loads(path.read_text())  # type: ignore[no-any-return]


def image(name: str, tag: str) -> str:
    return f"registry.veza.example/{name}:{tag}"


@contextmanager
def several(
    training: TrainingCluster,
    folder: Path,
    needs: Mapping[str, Sequence[str]] = NEEDS,
    ready_after: int = 0,
) -> Iterator[Services]:
    """Services of these names, each with two good revisions, the second one live.

    Args:
        training: where.
        folder: for the catalogue and the records.
        needs: name to those that it depends on.
        ready_after: seconds until a pod is asked whether it is ready.
    """
    api = config.new_client_from_config(str(training.kubeconfig), training.context)
    core, namespace = client.CoreV1Api(api), f"veza-nb-several-{uuid.uuid4().hex[:8]}"
    body: Any = {"metadata": {"name": namespace}}
    core.create_namespace(body, _preload_content=False)
    made = Services(
        training,
        namespace,
        _catalog(folder, namespace, needs),
        folder / "records",
        client.AppsV1Api(api),
    )
    try:
        for name in needs:
            body = _deployment(name, ready_after)
            made.apps.create_namespaced_deployment(namespace, body, _preload_content=False)
        for name in needs:
            made.wait_for(name, RolloutPhase.COMPLETE)
            made.release(name, "v2")
        for name in needs:
            made.wait_for(name, RolloutPhase.COMPLETE)
        yield made
    finally:
        core.delete_namespace(namespace, _preload_content=False)
        api.close()


def _deployment(name: str, ready_after: int) -> Any:
    labels = {"app": name}
    asked = {"path": "/health", "port": 8080}
    probe = {"httpGet": asked, "periodSeconds": 1, "initialDelaySeconds": ready_after}
    container = {"name": "app", "image": image(name, "v1"), "readinessProbe": probe}
    return {
        "apiVersion": "apps/v1",
        "kind": "Deployment",
        "metadata": {"name": name},
        "spec": {
            "replicas": 2,
            "selector": {"matchLabels": labels},
            "template": {"metadata": {"labels": labels}, "spec": {"containers": [container]}},
        },
    }


def _catalog(folder: Path, namespace: str, needs: Mapping[str, Sequence[str]]) -> Path:
    services = {
        name: {"selector": f"app={name}", "health": "", "depends_on": list(others)}
        for name, others in needs.items()
    }
    path = folder / "veza.yaml"
    path.write_text(
        yaml.safe_dump(
            {
                "namespace": namespace,
                "services": services,
                "groups": {"shop": list(needs)},
                "verify": {"soak_seconds": 1, "interval_seconds": 0.2},
            }
        )
    )
    return path
