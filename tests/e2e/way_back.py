"""A service whose releases bring migrations of a real PostgreSQL, and the kit pointed at it."""

import base64
import json
import uuid
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import yaml
from kubernetes import client, config

from tests.e2e.conftest import VEZA_NB, Finished, run_command, wait_for_rollout
from tests.sandbox.postgres import Postgres
from veza_nb.clock import SystemClock
from veza_nb.cluster import Cluster
from veza_nb.database import DatabaseIncident
from veza_nb.sandbox.apiserver.audit import AuditEntry
from veza_nb.sandbox.lifecycle import TrainingCluster
from veza_nb.vocabulary import RolloutPhase

SERVICE = "veza-backend-api"
OLD, NEW = "v2.3.1", "v2.4.0"
"""Schema 4, and schema 6: the images have migrations up to there."""
REPLICAS = 3


@dataclass(frozen=True)
class WayBack:
    """The service at its bad release, its database at that release's schema."""

    training: TrainingCluster
    postgres: Postgres
    url: str
    namespace: str
    catalog: Path
    records: Path
    apps: client.AppsV1Api
    core: client.CoreV1Api

    def cluster(self) -> Cluster:
        return Cluster.connect(
            kubeconfig=str(self.training.kubeconfig),
            context=self.training.context,
            namespace=self.namespace,
            clock=SystemClock(),
        )

    def opening(self, **more: Any) -> dict[str, Any]:
        return {
            "context": self.training.context,
            "kubeconfig": str(self.training.kubeconfig),
            "catalog": str(self.catalog),
            "records": str(self.records),
            "operator": "kim",
            **more,
        }

    def open(self, **more: Any) -> DatabaseIncident:
        found = DatabaseIncident.open(SERVICE, **self.opening(**more))
        assert isinstance(found, DatabaseIncident)
        return found

    @property
    def schema(self) -> str:
        """Version and whether a migration was left half done: "6|f"."""
        return self.postgres.ask("SELECT version, dirty FROM schema_migrations", self.url)[0]

    @property
    def rows(self) -> list[str]:
        """What users have stored."""
        return self.postgres.ask("SELECT count(*) FROM users", self.url)

    @property
    def replicas(self) -> int:
        return self.cluster().deployment(SERVICE).spec.replicas

    @property
    def tag(self) -> str:
        template = self.cluster().deployment(SERVICE).spec.template
        return str(template["spec"]["containers"][0]["image"].rpartition(":")[2])

    @property
    def annotations(self) -> dict[str, str]:
        return self.cluster().deployment(SERVICE).metadata.annotations

    def release(self, tag: str) -> None:
        containers = [{"name": "app", "image": image(tag)}]
        body = {"spec": {"template": {"spec": {"containers": containers}}}}
        self.apps.patch_namespaced_deployment(SERVICE, self.namespace, body, _preload_content=False)

    def wait_for(self, *phases: RolloutPhase) -> None:
        wait_for_rollout(self.cluster(), SERVICE, *phases)

    def veza_nb(self, command: str, *arguments: str) -> Finished:
        return run_command(*self.command(command, *arguments), VEZA_RECORDS=str(self.records))

    def command(self, command: str, *arguments: str) -> tuple[str, ...]:
        return (
            VEZA_NB, command, *arguments,
            "--kubeconfig", str(self.training.kubeconfig), "--context", self.training.context,
            "--catalog", str(self.catalog),
        )  # fmt: skip

    def changes(self) -> list[AuditEntry]:
        """What the kit changed, in order: patches of the Deployment, and Jobs."""
        return [
            entry
            for entry in self.training.audit()
            if entry.verb in {"patch", "create", "delete"}
            and entry.resource in {"deployments", "jobs"}
            and entry.agent.startswith("veza-nb")
            and entry.namespace == self.namespace
            and not entry.dry_run
            and entry.code < 300
        ]

    def record(self, incident_id: str) -> dict[str, Any]:
        path = self.records / incident_id / "record.json"
        return json.loads(path.read_text())  # type: ignore[no-any-return]


def image(tag: str) -> str:
    return f"registry.veza.example/{SERVICE}:{tag}"


@contextmanager
def way_back(
    training: TrainingCluster, postgres: Postgres, folder: Path, **migration: Any
) -> Iterator[WayBack]:
    """A good release at schema 4, then a bad one whose migrations brought the schema to 6."""
    api = config.new_client_from_config(str(training.kubeconfig), training.context)
    core, namespace = client.CoreV1Api(api), f"veza-nb-db-{uuid.uuid4().hex[:8]}"
    space: Any = {"metadata": {"name": namespace}}
    core.create_namespace(space, _preload_content=False)
    url = postgres.database()
    made = WayBack(
        training=training,
        postgres=postgres,
        url=url,
        namespace=namespace,
        catalog=_catalog(folder, namespace, migration),
        records=folder / "records",
        apps=client.AppsV1Api(api),
        core=core,
    )
    try:
        made.core.create_namespaced_secret(namespace, _secret(url), _preload_content=False)
        made.apps.create_namespaced_deployment(namespace, _deployment(), _preload_content=False)
        made.wait_for(RolloutPhase.COMPLETE)
        _migrate(made, "6")
        postgres.ask(
            "INSERT INTO users (email, display_name) VALUES ('ada@example.org', 'Ada')", url
        )
        made.release(NEW)
        made.wait_for(RolloutPhase.STUCK, RolloutPhase.COMPLETE)
        yield made
    finally:
        core.delete_namespace(namespace, _preload_content=False)
        api.close()


def _migrate(made: WayBack, version: str) -> None:
    """As the release's own pipeline did."""
    from tests.sandbox.test_kubelet_migrate import run  # noqa: PLC0415 - avoids its fixtures

    code, said = run(made.url, "goto", version)
    assert code == 0, said


def _secret(url: str) -> Any:
    encoded = base64.b64encode(url.encode()).decode()
    return {"metadata": {"name": "backend-secrets"}, "data": {"DATABASE_URL": encoded}}


def _deployment() -> Any:
    labels = {"app": SERVICE}
    asked = {"path": "/health", "port": 8080}
    source = {"secretKeyRef": {"name": "backend-secrets", "key": "DATABASE_URL"}}
    container = {
        "name": "app",
        "image": image(OLD),
        "env": [{"name": "DATABASE_URL", "valueFrom": source}],
        "readinessProbe": {"httpGet": asked, "periodSeconds": 1},
    }
    return {
        "apiVersion": "apps/v1",
        "kind": "Deployment",
        "metadata": {"name": SERVICE},
        "spec": {
            "replicas": REPLICAS,
            "selector": {"matchLabels": labels},
            "template": {"metadata": {"labels": labels}, "spec": {"containers": [container]}},
        },
    }


def _catalog(folder: Path, namespace: str, migration: dict[str, Any]) -> Path:
    path = folder / "veza.yaml"
    service = {"selector": f"app={SERVICE}", "health": "", "migration": migration}
    path.write_text(
        yaml.safe_dump(
            {
                "namespace": namespace,
                "services": {SERVICE: service},
                "verify": {"soak_seconds": 1, "interval_seconds": 0.2, "rollout_seconds": 60},
            }
        )
    )
    return path
