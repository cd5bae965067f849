"""A cluster with an application of our own in it: the training cluster, or any other."""

import json
import os
import subprocess
import sys
import uuid
from collections.abc import Iterable, Iterator, Mapping
from contextlib import contextmanager
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import pytest
import yaml
from kubernetes import client, config

from tests.conftest import SKIP_BY_NAME
from veza_nb.clock import Deadline, SystemClock
from veza_nb.cluster import Cluster, watch_workload
from veza_nb.permissions import Permission, role, role_binding
from veza_nb.rollout import read_rollout, settled
from veza_nb.sandbox.apiserver.audit import AuditEntry
from veza_nb.sandbox.lifecycle import TrainingCluster
from veza_nb.vocabulary import RolloutPhase

SERVICE = "veza-e2e"
VEZA_NB = str(Path(sys.executable).with_name("veza-nb"))
ROLLOUT_SECONDS = 120.0


@dataclass(frozen=True, slots=True)
class Images:
    """Two that run, and one that does not."""

    good: str
    other: str
    bad: str


@dataclass(frozen=True, slots=True)
class Finished:
    """How a command ended."""

    code: int
    stdout: str
    stderr: str


@dataclass(frozen=True)
class Application:
    """A Deployment in a namespace of its own, and the kit pointed at it."""

    kubeconfig: Path
    context: str
    namespace: str
    catalog: Path
    records: Path
    images: Images
    apps: client.AppsV1Api
    training: TrainingCluster | None

    def deployment(self) -> dict[str, Any]:
        found = self.apps.read_namespaced_deployment(
            SERVICE, self.namespace, _preload_content=False
        )
        return json.loads(found.data)  # type: ignore[no-any-return]

    @property
    def image(self) -> str:
        containers = self.deployment()["spec"]["template"]["spec"]["containers"]
        return str(containers[0]["image"])

    @property
    def generation(self) -> int:
        return int(self.deployment()["metadata"]["generation"])

    def release(self, image: str) -> None:
        """Somebody rolls out an image, as `kubectl set image` does."""
        containers = [{"name": "app", "image": image}]
        body = {"spec": {"template": {"spec": {"containers": containers}}}}
        self.apps.patch_namespaced_deployment(SERVICE, self.namespace, body, _preload_content=False)

    def wait_for(self, *phases: RolloutPhase) -> None:
        wait_for_rollout(self.cluster(), SERVICE, *phases)

    def cluster(self) -> Cluster:
        return Cluster.connect(
            kubeconfig=str(self.kubeconfig),
            context=self.context,
            namespace=self.namespace,
            clock=SystemClock(),
        )

    def opening(self, **more: Any) -> dict[str, Any]:
        """Arguments for `Incident.open`."""
        return {
            "context": self.context,
            "kubeconfig": str(self.kubeconfig),
            "catalog": str(self.catalog),
            "records": str(self.records),
            "operator": "kim",
            **more,
        }

    def veza_nb(self, command: str, *arguments: str, **environment: str) -> Finished:
        """Run the real command."""
        return run_command(
            VEZA_NB, command, SERVICE,
            "--kubeconfig", str(self.kubeconfig), "--context", self.context,
            "--catalog", str(self.catalog), *arguments,
            **{"VEZA_RECORDS": str(self.records), **environment},
        )  # fmt: skip

    def record(self) -> dict[str, Any]:
        """The newest incident's record."""
        folder = max(self.records.iterdir())
        return json.loads((folder / "record.json").read_text())  # type: ignore[no-any-return]

    def allow(self, user: str, permissions: Iterable[Permission]) -> None:
        """Let a user of the training cluster do exactly that here, and nothing else."""
        given, bound = (
            role("rollback", self.namespace, permissions),
            role_binding("rollback", self.namespace, ("User", user)),
        )
        assert self.training is not None
        self.training.call(lambda admin: admin.create("roles", self.namespace, given))
        self.training.call(lambda admin: admin.create("rolebindings", self.namespace, bound))

    def undos(self) -> list[AuditEntry]:
        """The undo patches that reached the server."""
        assert self.training is not None
        return [
            entry
            for entry in self.training.audit()
            if (entry.verb, entry.resource, entry.subresource) == ("patch", "deployments", "")
            and entry.agent.startswith("veza-nb")
            and entry.namespace == self.namespace
            and not entry.dry_run
        ]


def wait_for_rollout(cluster: Cluster, name: str, *phases: RolloutPhase) -> None:
    """Wait until the Deployment of that name, and label `app`, is in one of these phases."""
    deadline = Deadline.after(cluster.clock, ROLLOUT_SECONDS)
    for workload in watch_workload(cluster, name, f"app={name}", deadline=deadline):
        state = read_rollout(workload)
        if state.phase in phases and (state.phase is not RolloutPhase.COMPLETE or settled(state)):
            return
    pytest.fail(f"{name}: no rollout in {phases} within {ROLLOUT_SECONDS} s")


def run_command(*command: str, **environment: str) -> Finished:
    done = subprocess.run(
        command,
        capture_output=True,
        text=True,
        env={**os.environ, **environment},
        timeout=100,
        check=False,
    )
    return Finished(done.returncode, done.stdout, done.stderr)


@pytest.fixture(scope="session")
def training(
    pytestconfig: pytest.Config, tmp_path_factory: pytest.TempPathFactory
) -> Iterator[TrainingCluster | None]:
    """The training cluster, unless another one is given."""
    if pytestconfig.getoption("kubeconfig"):
        yield None
        return
    directory = tmp_path_factory.mktemp("cluster")
    with TrainingCluster.start(directory=directory) as cluster:
        yield cluster


@pytest.fixture
def powers(training: TrainingCluster | None) -> TrainingCluster:
    """For tests that need faults or the audit log."""
    if training is None:
        pytest.skip(SKIP_BY_NAME)
    return training


@pytest.fixture
def application(
    training: TrainingCluster | None, pytestconfig: pytest.Config, tmp_path: Path
) -> Iterator[Application]:
    """Two good revisions of an application, the second one live."""
    kubeconfig = Path(pytestconfig.getoption("kubeconfig") or str(training and training.kubeconfig))
    context = pytestconfig.getoption("context") or (training.context if training else "")
    with _deployed(
        training, kubeconfig, context, _images(training, pytestconfig), tmp_path
    ) as made:
        yield made


@contextmanager
def deployed(training: TrainingCluster, folder: Path) -> Iterator[Application]:
    """The same on a training cluster, as often as one likes."""
    images = _training_images()
    with _deployed(training, training.kubeconfig, training.context, images, folder) as made:
        yield made


@contextmanager
def _deployed(
    training: TrainingCluster | None, kubeconfig: Path, context: str, images: Images, folder: Path
) -> Iterator[Application]:
    api = config.new_client_from_config(str(kubeconfig), context or None)
    core, namespace = client.CoreV1Api(api), f"veza-nb-e2e-{uuid.uuid4().hex[:8]}"
    core.create_namespace({"metadata": {"name": namespace}}, _preload_content=False)
    made = Application(
        kubeconfig=kubeconfig,
        context=context,
        namespace=namespace,
        catalog=_catalog(folder, namespace),
        records=folder / "records",
        images=images,
        apps=client.AppsV1Api(api),
        training=training,
    )
    try:
        _deploy(made)
        yield made
    finally:
        core.delete_namespace(namespace, _preload_content=False)
        api.close()


@pytest.fixture
def broken(application: Application) -> Application:
    """The application with a bad release rolling out, seen to fail."""
    application.release(application.images.bad)
    application.wait_for(RolloutPhase.STUCK)
    return application


def _images(training: TrainingCluster | None, given: pytest.Config) -> Images:
    if training is None:
        names = ("good_image", "other_image", "bad_image")
        return Images(*(given.getoption(name) for name in names))
    return _training_images()


def _training_images() -> Images:
    base = f"registry.veza.example/{SERVICE}"
    return Images(f"{base}:v1.0.0", f"{base}:v1.1.0", f"{base}:v1.2.0-bad")


def _deploy(made: Application) -> None:
    labels: Mapping[str, str] = {"app": SERVICE}
    body = {
        "apiVersion": "apps/v1",
        "kind": "Deployment",
        "metadata": {"name": SERVICE},
        "spec": {
            "replicas": 2,
            "selector": {"matchLabels": labels},
            "template": {
                "metadata": {"labels": labels},
                "spec": {"containers": [_container(made)]},
            },
        },
    }
    made.apps.create_namespaced_deployment(made.namespace, body, _preload_content=False)
    made.wait_for(RolloutPhase.COMPLETE)
    made.release(made.images.good)
    made.wait_for(RolloutPhase.COMPLETE)


def _container(made: Application) -> dict[str, Any]:
    """Without a probe a program counts as ready before it crashes, and the old pods go."""
    first: dict[str, Any] = {"name": "app", "image": made.images.other}
    if made.training is None:
        return first  # what its images answer there is not known
    return {**first, "readinessProbe": {"httpGet": {"path": "/health", "port": 8080}}}


def _catalog(folder: Path, namespace: str) -> Path:
    path = folder / "veza.yaml"
    path.write_text(
        yaml.safe_dump(
            {
                "namespace": namespace,
                "services": {SERVICE: {"selector": f"app={SERVICE}", "health": ""}},
                "verify": {"soak_seconds": 1, "interval_seconds": 0.2},
            }
        )
    )
    return path
