"""A kubelet that finds pods that run already goes on as if it had always been there."""

from __future__ import annotations

import asyncio
import dataclasses
from collections.abc import Callable
from typing import Any

import pytest

from tests.sandbox.planes import SPACE, play
from veza_nb.sandbox import scenarios
from veza_nb.sandbox.clock import Clock
from veza_nb.sandbox.plane import ControlPlane
from veza_nb.sandbox.saving import snapshots
from veza_nb.sandbox.saving.snapshots import Snapshot

Json = dict[str, Any]
REPOSITORY = "registry.example/web"
PROBE = {"httpGet": {"path": "/health", "port": 8080}, "periodSeconds": 5}


def container(tag: str, name: str = "c", **more: Any) -> Json:
    ports = [{"containerPort": 8080}]
    return {"name": name, "image": f"{REPOSITORY}:{tag}", "ports": ports, **more}


def pod(*containers: Json, **spec: Any) -> Json:
    return {
        "apiVersion": "v1",
        "kind": "Pod",
        "metadata": {"name": "p"},
        "spec": {"containers": list(containers), **spec},
    }


def saved_after(body: Json, seconds: float) -> Snapshot:
    async def story(stage: Any) -> Snapshot:
        stage.admin.create("pods", SPACE, body)
        await stage.pass_time(seconds)
        return snapshots.take(stage.plane, scenarios.load("healthy"), injected=False)

    return play(story)


def after(saved: Snapshot, seconds: float) -> tuple[Json | None, list[str]]:
    """The pod when a restored cluster has lived so long, and what was written about it."""
    clock = Clock(start=saved.saved_at, stepped=True)

    async def run() -> tuple[Json | None, list[str]]:
        plane = ControlPlane(clock=clock, releases=saved.releases)
        snapshots.restore(plane, saved)
        await plane.start()
        try:
            await clock.step(seconds)
            found = plane.client("admin", "tests").list("pods", SPACE)
            return (found[0] if found else None), [
                f"{entry.verb} {entry.resource}"
                for entry in plane.api.audit.entries
                if entry.verb in ("patch", "update", "create", "delete") and entry.code < 300
            ]
        finally:
            await plane.stop()

    with asyncio.Runner(loop_factory=clock.new_event_loop) as runner:
        return runner.run(run())


def shown(item: Json | None) -> Any:
    """What people look at: phase, readiness, and what each container does and did."""
    if item is None:
        return None
    status = item["status"]
    every = [*status.get("initContainerStatuses", ()), *status.get("containerStatuses", ())]
    ready = {c["type"]: c["status"] for c in status.get("conditions", ())}.get("Ready")
    return status["phase"], ready, [(each["name"], _state(each["state"])) for each in every]


def _state(state: Json) -> tuple[str, str, int]:
    kind, found = next(iter(state.items()))
    return kind, found.get("reason", ""), found.get("exitCode", 0)


def restarts(item: Json | None) -> int:
    assert item is not None
    return sum(each["restartCount"] for each in item["status"].get("containerStatuses", ()))


STORIES: dict[str, Callable[[], Json]] = {
    "runs well": lambda: pod(container("v1", readinessProbe=PROBE)),
    "runs well, watched": lambda: pod(
        container("v1", readinessProbe=PROBE, livenessProbe=PROBE, startupProbe=PROBE)
    ),
    "never ready": lambda: pod(container("v1-slow", readinessProbe=PROBE)),
    "crashes": lambda: pod(container("v1-bad")),
    "runs out of memory": lambda: pod(container("v1-oom")),
    "unready now and then": lambda: pod(container("v1-unready-now-and-then", readinessProbe=PROBE)),
    "fails its liveness": lambda: pod(container("v1-unhealthy", livenessProbe=PROBE)),
    "starts slowly": lambda: pod(
        container("v1-long-start", startupProbe=PROBE | {"failureThreshold": 20})
    ),
    "cannot be started": lambda: pod(container("v1-cannot-start")),
    "image missing": lambda: pod(container("v1-missing")),
    "lacks its settings": lambda: pod(
        container("v1", envFrom=[{"configMapRef": {"name": "absent"}}])
    ),
    "lacks a volume": lambda: pod(
        container("v1"), volumes=[{"name": "v", "configMap": {"name": "absent"}}]
    ),
    "task that completes": lambda: pod(container("v1"), restartPolicy="Never"),
    "task that fails": lambda: pod(container("v1-fail"), restartPolicy="Never"),
    "task tried again": lambda: pod(container("v1-fail"), restartPolicy="OnFailure"),
    "after an init container": lambda: pod(
        container("v1", readinessProbe=PROBE), initContainers=[container("v1", "init")]
    ),
    "after an init container that fails": lambda: pod(
        container("v1"), initContainers=[container("v1-fail", "init")]
    ),
    "with a sidecar": lambda: pod(
        container("v1", readinessProbe=PROBE),
        initContainers=[container("v1", "side", restartPolicy="Always"), container("v1", "init")],
    ),
    "with a deadline": lambda: pod(container("v1"), activeDeadlineSeconds=30),
    "on no node": lambda: pod(container("v1"), nodeSelector={"nowhere": "yes"}),
}


@pytest.mark.parametrize("name", STORIES)
def test_a_pod_comes_to_where_it_would_have_come(name: str) -> None:
    """Give or take a second, because a status tells whole ones only."""
    body = STORIES[name]()
    undisturbed = [saved_after(body, seconds) for seconds in (59.05, 60.05, 61.05)]
    expected = [saved.objects["pods"][0] for saved in undisturbed]
    for moment in (0.15, 1.3, 25.0):
        found, _ = after(saved_after(body, moment), 60.05 - moment)

        assert shown(found) in [shown(each) for each in expected]
        assert abs(restarts(expected[1]) - restarts(found)) <= 1


@pytest.mark.parametrize(
    "name", ["runs well", "runs well, watched", "task that fails", "with a sidecar"]
)
def test_a_pod_about_which_nothing_is_to_be_done_is_left_alone(name: str) -> None:
    _, written = after(saved_after(STORIES[name](), 30), 600)

    assert written == []


def test_a_pod_that_hangs_is_noticed_though_its_failures_are_counted_anew() -> None:
    body = pod(container("v1-hangs", readinessProbe=PROBE, livenessProbe=PROBE))
    saved = saved_after(body, 30)
    found, _ = after(saved, 60)

    assert (restarts(saved.objects["pods"][0]), restarts(found)) == (0, 1)


def test_a_program_does_not_outlive_its_kubelet() -> None:
    """The container of a real program is lost with the process that ran it."""
    image = "registry.veza.example/veza-migrate:v2.3.1"
    body = pod(container("v1") | {"image": image}, restartPolicy="Never")
    running = saved_after(body, 0.0)
    status = {
        "phase": "Running",
        "startTime": "2026-01-01T00:00:00Z",
        "conditions": [],
        "podIP": "10.244.1.9",
        "containerStatuses": [
            {
                "name": "c",
                "image": image,
                "imageID": "",
                "containerID": "containerd://1",
                "ready": True,
                "started": True,
                "restartCount": 0,
                "state": {"running": {"startedAt": "2026-01-01T00:00:01Z"}},
                "lastState": {},
            }
        ],
    }
    begun = dataclasses.replace(
        running,
        objects={
            **running.objects,
            "pods": [
                {**each, "spec": {**each["spec"], "nodeName": "veza-node-1"}, "status": status}
                for each in running.objects["pods"]
            ],
        },
    )
    found, _ = after(begun, 5)

    assert shown(found) == (
        "Failed",
        "False",
        [("c", ("terminated", "ContainerStatusUnknown", 137))],
    )


def test_a_pod_that_is_ending_slowly_ends() -> None:
    async def story(stage: Any) -> Snapshot:
        body = pod(container("v1-stubborn"), terminationGracePeriodSeconds=60)
        stage.admin.create("pods", SPACE, body)
        await stage.pass_time(5)
        stage.admin.delete("pods", SPACE, "p")
        await stage.pass_time(10)
        return snapshots.take(stage.plane, scenarios.load("healthy"), injected=False)

    saved = play(story)
    found, _ = after(saved, 70)

    assert "deletionTimestamp" in saved.objects["pods"][0]["metadata"]
    assert found is None
