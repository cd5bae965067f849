"""A control plane in this process whose time jumps: minutes of cluster life in milliseconds."""

from __future__ import annotations

import asyncio
import copy
from collections.abc import Awaitable, Callable
from datetime import UTC, datetime
from typing import Any, TypeVar

from veza_nb.sandbox import seeding
from veza_nb.sandbox.apiserver.client import Client, PatchType
from veza_nb.sandbox.clock import Clock
from veza_nb.sandbox.controllers.conditions import get_condition
from veza_nb.sandbox.controllers.revisions import HASH_LABEL, REVISION
from veza_nb.sandbox.nodes.releases import Releases
from veza_nb.sandbox.plane import ControlPlane

Json = dict[str, Any]
T = TypeVar("T")
SPACE = "shop"
REPOSITORY = "registry.example/web"
CAUSE = "kubernetes.io/change-cause"


def play(story: Callable[[Stage], Awaitable[T]], releases: Releases | None = None) -> T:
    """Run a story on a fresh control plane with three nodes and a namespace.

    It begins with a whole second: timestamps are cut to those, so which of two dates are the same
    would otherwise hang on the moment at which the test happened to run.
    """
    clock = Clock(start=datetime.now(UTC).replace(microsecond=0))

    async def run() -> T:
        clock.fast_forward()
        plane = ControlPlane(clock=clock, releases=releases)
        await plane.start()
        try:
            seeding.create_cluster(plane)
            stage = Stage(plane)
            body = {"apiVersion": "v1", "kind": "Namespace", "metadata": {"name": SPACE}}
            stage.admin.create("namespaces", None, body)
            return await story(stage)
        finally:
            await plane.stop()

    with asyncio.Runner(loop_factory=clock.new_event_loop) as runner:
        return runner.run(run())


class Stage:
    """What a story does with its cluster."""

    def __init__(self, plane: ControlPlane) -> None:
        self.plane = plane
        self.admin: Client = plane.client("admin", "tests")

    async def pass_time(self, seconds: float) -> None:
        await self.plane.clock.sleep(seconds)

    def deploy(self, name: str = "web", tag: str = "v1", replicas: int = 3, **spec: Any) -> Json:
        return self.admin.create("deployments", SPACE, deployment(name, tag, replicas, **spec))

    def set_image(self, tag: str, name: str = "web") -> None:
        containers = [{"name": "c", "image": f"{REPOSITORY}:{tag}"}]
        patch = {"spec": {"template": {"spec": {"containers": containers}}}}
        self.admin.patch("deployments", SPACE, name, patch, kind=PatchType.STRATEGIC)

    def merge(self, patch: Json, name: str = "web") -> None:
        self.admin.patch("deployments", SPACE, name, patch)

    def annotate(self, cause: str, name: str = "web") -> None:
        self.merge({"metadata": {"annotations": {CAUSE: cause}}}, name)

    def undo(self, name: str = "web", to_revision: int = 0) -> None:
        """As `kubectl rollout undo`: the template of a ReplicaSet, and its annotations."""
        numbers = sorted(self.revisions(name))
        wanted = to_revision or numbers[-2]
        found = next(item for item in self.replica_sets(name) if number(item) == wanted)
        template = copy.deepcopy(found["spec"]["template"])
        del template["metadata"]["labels"][HASH_LABEL]
        patch = [{"op": "replace", "path": "/spec/template", "value": template}]
        self.admin.patch("deployments", SPACE, name, patch, kind=PatchType.JSON)

    def get(self, name: str = "web") -> Json:
        return self.admin.get("deployments", SPACE, name)

    def status(self, name: str = "web") -> Json:
        found: Json = self.get(name)["status"]
        return found

    def reason(self, kind: str = "Progressing", name: str = "web") -> str:
        condition = get_condition(self.status(name), kind)
        return "" if condition is None else f"{condition['status']}/{condition['reason']}"

    def replica_sets(self, name: str = "web") -> list[Json]:
        return self.admin.list("replicasets", SPACE, label_selector=f"app={name}")

    def revisions(self, name: str = "web") -> dict[int, str]:
        """Revision to tag, as `kubectl rollout history` would list them."""
        return {number(item): tag_in(item) for item in self.replica_sets(name)}

    def pods(self, name: str = "web") -> list[Json]:
        return self.admin.list("pods", SPACE, label_selector=f"app={name}")

    def events(self, reason: str) -> list[Json]:
        found = self.admin.list("events", SPACE)
        return [event for event in found if event["reason"] == reason]

    def messages(self, reason: str) -> list[str]:
        return [event["message"] for event in self.events(reason)]


def number(item: Json) -> int:
    return int(item["metadata"]["annotations"][REVISION])


def tag_in(item: Json) -> str:
    image: str = item["spec"]["template"]["spec"]["containers"][0]["image"]
    return image.rpartition(":")[2]


def deployment(name: str, tag: str, replicas: int, **spec: Any) -> Json:
    labels = {"app": name}
    container = {
        "name": "c",
        "image": f"{REPOSITORY}:{tag}",
        "ports": [{"name": "http", "containerPort": 8080}],
        "readinessProbe": {"httpGet": {"path": "/health", "port": "http"}, "periodSeconds": 5},
    }
    return {
        "apiVersion": "apps/v1",
        "kind": "Deployment",
        "metadata": {"name": name, "labels": labels},
        "spec": {
            "replicas": replicas,
            "selector": {"matchLabels": labels},
            "template": {"metadata": {"labels": labels}, "spec": {"containers": [container]}},
            **spec,
        },
    }


def rolling(surge: int | str, unavailable: int | str) -> Json:
    bounds = {"maxSurge": surge, "maxUnavailable": unavailable}
    return {"type": "RollingUpdate", "rollingUpdate": bounds}
