"""A training cluster with Veza's backend API in it, and the kit pointed at it."""

import json
from collections.abc import Iterator
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import yaml

from tests.e2e.conftest import VEZA_NB, Finished, run_command
from veza_nb import Incident
from veza_nb.clock import Deadline, SystemClock
from veza_nb.sandbox.apiserver.client import Client, PatchType
from veza_nb.sandbox.lifecycle import TrainingCluster

SERVICE, NAMESPACE = "veza-backend-api", "veza-production"


def image_of(owner: dict[str, Any]) -> str:
    return str(owner["spec"]["template"]["spec"]["containers"][0]["image"])


def delete_replicaset(admin: Client, *, name: str) -> None:
    admin.delete("replicasets", NAMESPACE, name)


@dataclass(frozen=True)
class Scene:
    """A running cluster, its catalogue and a place for records."""

    cluster: TrainingCluster
    catalog: Path
    records: Path

    def incident(self, incident_id: str = "incident", **more: Any) -> Incident:
        return Incident.open(
            SERVICE,
            kubeconfig=str(self.cluster.kubeconfig),
            context=self.cluster.context,
            catalog=str(self.catalog),
            records=str(self.records),
            operator="kim",
            incident_id=incident_id,
            **more,
        )

    def rollback(self, *arguments: str) -> Finished:
        return run_command(
            VEZA_NB, "rollback", SERVICE, "--kubeconfig", str(self.cluster.kubeconfig),
            "--catalog", str(self.catalog), "--records", str(self.records), *arguments,
        )  # fmt: skip

    def configure(self, **verify: Any) -> None:
        """Say this in the catalogue's `verify`."""
        catalog = yaml.safe_load(self.catalog.read_text())
        catalog["verify"] |= verify
        self.catalog.write_text(yaml.safe_dump(catalog))

    def record(self) -> dict[str, Any]:
        folder = max(self.records.iterdir())
        return json.loads((folder / "record.json").read_text())  # type: ignore[no-any-return]

    def objects(self, kind: str) -> list[dict[str, Any]]:
        found = self.cluster.call(lambda admin: admin.list(kind, NAMESPACE))
        return [one for one in found if one["metadata"]["name"].startswith(SERVICE)]

    def release(self, image: str) -> None:
        """Somebody rolls out an image; return once it has its ReplicaSet."""
        containers = [{"name": "backend-api", "image": image}]
        patch = {"spec": {"template": {"spec": {"containers": containers}}}}
        strategic = PatchType.STRATEGIC
        self.cluster.call(
            lambda a: a.patch("deployments", NAMESPACE, SERVICE, patch, kind=strategic)
        )
        clock = SystemClock()
        deadline = Deadline.after(clock, 20)
        while image not in map(image_of, self.objects("replicasets")):
            assert not deadline.passed, f"no ReplicaSet with {image}"
            clock.sleep(0.05)

    @property
    def image(self) -> str:
        (deployment,) = self.objects("deployments")
        return image_of(deployment)

    def revision_of(self, image: str) -> int:
        """The number that the revision with that image has today."""
        return next(
            int(one["metadata"]["annotations"]["deployment.kubernetes.io/revision"])
            for one in self.objects("replicasets")
            if image_of(one) == image
        )

    @property
    def undos(self) -> int:
        return sum(
            (one.verb, one.resource, one.subresource, one.dry_run)
            == ("patch", "deployments", "", False)
            and one.agent.startswith("veza-nb")
            for one in self.cluster.audit()
        )


def scene_of(scenario: str | None, folder: Path, speed: float = 1.0) -> Iterator[Scene]:
    directory = folder / "cluster"
    with TrainingCluster.start(scenario=scenario, directory=directory, speed=speed) as cluster:
        yield Scene(cluster, cluster.catalog, folder / "records")
