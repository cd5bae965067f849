"""How pods go: preStop, SIGTERM, grace, and what is seen meanwhile."""

from __future__ import annotations

from typing import Any

import pytest

from tests.sandbox.planes import SPACE, Stage, play
from tests.sandbox.pods import container, create, is_gone, pod, probe, state, status
from veza_nb.sandbox.apiserver.logs import LogQuery

Json = dict[str, Any]


async def running(stage: Stage, *containers: Json, **spec: Any) -> str:
    """A pod that runs; returns its uid."""
    create(stage, *containers, **spec)
    await stage.pass_time(3)
    assert status(stage)["phase"] == "Running"
    uid: str = pod(stage)["metadata"]["uid"]
    return uid


def log(stage: Stage, uid: str) -> str:
    return stage.plane.logs.read(uid, "c", 0, LogQuery()).decode()


def test_an_ordinary_pod_is_gone_at_once() -> None:
    async def story(stage: Stage) -> None:
        uid = await running(stage, container())
        stage.admin.delete("pods", SPACE, "web")
        await stage.pass_time(0.2)
        assert log(stage, uid).endswith('level=info msg="shutting down" signal=SIGTERM\n')
        assert stage.messages("Killing") == ["Stopping container c"]
        await stage.pass_time(0.3)
        assert is_gone(stage)

    play(story)


def test_a_pod_that_takes_its_time_does_not_serve_meanwhile() -> None:
    async def story(stage: Stage) -> None:
        uid = await running(stage, container("v1-draining", readinessProbe=probe()))
        stage.admin.delete("pods", SPACE, "web")
        await stage.pass_time(7)
        assert "running" in state(stage)["state"]
        assert not state(stage)["ready"]
        assert "draining=12" in log(stage, uid)
        await stage.pass_time(2)
        assert is_gone(stage)

    play(story)


@pytest.mark.parametrize("spec", [{}, {"terminationGracePeriodSeconds": 12}])
def test_a_release_that_ignores_sigterm_is_killed_when_its_grace_is_over(spec: Json) -> None:
    async def story(stage: Stage) -> None:
        await running(stage, container("v1-stubborn"), **spec)
        seen: list[Json] = []
        stage.plane.informers.pods.on_change(lambda _, new: seen.append(new) if new else None)
        stage.admin.delete("pods", SPACE, "web")
        grace = spec.get("terminationGracePeriodSeconds", 30)
        await stage.pass_time(grace - 1)
        assert "running" in state(stage)["state"]
        await stage.pass_time(2)
        assert is_gone(stage)
        [last] = seen[-1]["status"]["containerStatuses"]
        ended = last["state"]["terminated"]
        assert (ended["exitCode"], ended["reason"]) == (137, "Error")

    play(story)


@pytest.mark.parametrize(
    "hook",
    [{"sleep": {"seconds": 5}}, {"exec": {"command": ["/bin/sh", "-c", "sleep 5"]}}],
)
def test_what_is_to_happen_before_the_stop_happens_before_sigterm(hook: Json) -> None:
    async def story(stage: Stage) -> None:
        uid = await running(stage, container(lifecycle={"preStop": hook}))
        stage.admin.delete("pods", SPACE, "web")
        await stage.pass_time(4.5)
        assert "SIGTERM" not in log(stage, uid)
        assert not state(stage)["ready"]
        await stage.pass_time(0.6)
        assert "SIGTERM" in log(stage, uid)
        await stage.pass_time(0.5)
        assert is_gone(stage)

    play(story)


def test_a_second_deletion_can_only_shorten_the_grace() -> None:
    async def story(stage: Stage) -> None:
        await running(stage, container("v1-stubborn"))
        stage.admin.delete("pods", SPACE, "web")
        await stage.pass_time(3)
        stage.admin.delete("pods", SPACE, "web", grace=5)
        await stage.pass_time(4)
        assert not is_gone(stage)
        await stage.pass_time(2)
        assert is_gone(stage)

    play(story)


def test_a_forced_deletion_waits_for_nobody() -> None:
    async def story(stage: Stage) -> None:
        await running(stage, container("v1-stubborn"))
        stage.admin.delete("pods", SPACE, "web", grace=0)
        await stage.pass_time(0.1)

        assert is_gone(stage)
        assert stage.plane.kubelet._pods.keys() == {
            each["metadata"]["uid"] for each in stage.admin.list("pods")
        }

    play(story)


def test_a_pod_that_never_ran_or_is_over_goes_at_once() -> None:
    async def story(stage: Stage) -> None:
        create(stage, container("v1-missing"))
        create(stage, container(), name="over", restartPolicy="Never")
        await stage.pass_time(5)
        for name in ("web", "over"):
            stage.admin.delete("pods", SPACE, name)
        await stage.pass_time(0.5)
        assert is_gone(stage)
        assert is_gone(stage, "over")
        assert stage.events("Killing") == []

    play(story)


def test_a_pod_half_of_which_crashes_goes_too() -> None:
    async def story(stage: Stage) -> None:
        made = [container(), container("v1-bad", name="bad"), container("v1-missing", name="none")]
        create(stage, *made)
        await stage.pass_time(3)
        seen: list[Json] = []
        stage.plane.informers.pods.on_change(lambda _, new: seen.append(new) if new else None)
        stage.admin.delete("pods", SPACE, "web")
        await stage.pass_time(1)
        assert is_gone(stage)
        ends = [each["state"] for each in seen[-1]["status"]["containerStatuses"]]
        assert [next(iter(end)) for end in ends] == ["terminated", "waiting", "waiting"]

    play(story)


@pytest.mark.parametrize(("tag", "phase"), [("v1", "Succeeded"), ("v1-stubborn", "Failed")])
def test_the_last_that_is_seen_of_a_pod_is_how_it_ended(tag: str, phase: str) -> None:
    async def story(stage: Stage) -> None:
        await running(stage, container(tag), terminationGracePeriodSeconds=3)
        seen: list[Json] = []
        stage.plane.informers.pods.on_change(lambda _, new: seen.append(new) if new else None)
        stage.admin.delete("pods", SPACE, "web")
        await stage.pass_time(5)
        assert is_gone(stage)
        assert seen[-1]["status"]["phase"] == phase

    play(story)
