"""Probes: asked when a kubelet would ask, judged by thresholds, with the consequences of each."""

from __future__ import annotations

from typing import Any

import pytest

from tests.sandbox.planes import Stage, play
from tests.sandbox.pods import container, create, pod, probe, state
from veza_nb.sandbox.nodes.releases import built_in, parse

Json = dict[str, Any]


def test_a_container_without_probes_is_ready_when_it_runs() -> None:
    async def story(stage: Stage) -> None:
        create(stage, container("v1-slow"))
        await stage.pass_time(0.2)

        assert (state(stage)["ready"], state(stage)["started"]) == (True, True)

    play(story)


def test_readiness_waits_for_its_initial_delay() -> None:
    async def story(stage: Stage) -> None:
        create(stage, container(readinessProbe=probe(initialDelaySeconds=10, periodSeconds=3)))
        await stage.pass_time(9.5)
        assert not state(stage)["ready"]
        await stage.pass_time(4)
        assert state(stage)["ready"]
        assert stage.events("Unhealthy") == []

    play(story)


def test_readiness_needs_as_many_successes_as_its_threshold_says() -> None:
    async def story(stage: Stage) -> None:
        create(stage, container(readinessProbe=probe(periodSeconds=5, successThreshold=3)))
        await stage.pass_time(9)
        assert not state(stage)["ready"]
        await stage.pass_time(3)
        assert state(stage)["ready"]

    play(story)


def test_a_release_that_turns_unready_loses_its_readiness_at_the_threshold() -> None:
    async def story(stage: Stage) -> None:
        create(
            stage,
            container("v1-unready-later", readinessProbe=probe(periodSeconds=5)),
        )
        await stage.pass_time(19)
        assert state(stage)["ready"]
        # Unready from 20 s on: the turns at 20, 25 and 30 s fail, and the third one counts.
        await stage.pass_time(11)
        assert state(stage)["ready"]
        await stage.pass_time(2)
        assert not state(stage)["ready"]
        [event] = stage.events("Unhealthy")
        assert event["message"] == "Readiness probe failed: HTTP probe failed with statuscode: 503"
        assert event["count"] == 3
        assert state(stage)["restartCount"] == 0

    play(story)


def test_readiness_can_be_lost_and_found_again() -> None:
    async def story(stage: Stage) -> None:
        create(stage, container("v1-unready-now-and-then", readinessProbe=probe(periodSeconds=2)))
        seen = []
        for _ in range(60):
            await stage.pass_time(1)
            if not seen or seen[-1] != state(stage)["ready"]:
                seen.append(state(stage)["ready"])

        assert [True, False, True] == seen

    play(story)


def test_a_failed_liveness_probe_restarts_the_container() -> None:
    async def story(stage: Stage) -> None:
        live = probe("/livez", periodSeconds=5, failureThreshold=2)
        create(stage, container("v1-unhealthy", livenessProbe=live))
        await stage.pass_time(24)
        assert state(stage)["restartCount"] == 0
        await stage.pass_time(6)
        assert state(stage)["restartCount"] == 1
        assert "running" in state(stage)["state"]
        assert state(stage)["lastState"]["terminated"]["exitCode"] == 0
        assert stage.messages("Killing") == ["Container c failed liveness probe, will be restarted"]
        [event] = stage.events("Unhealthy")
        assert event["message"] == "Liveness probe failed: HTTP probe failed with statuscode: 500"
        assert (event["count"], event["involvedObject"]["fieldPath"]) == (2, "spec.containers{c}")

    play(story)


def test_a_hanging_release_times_out_and_is_killed_when_its_grace_is_over() -> None:
    async def story(stage: Stage) -> None:
        live = probe("/livez", periodSeconds=5, failureThreshold=1)
        ready = probe(periodSeconds=5, failureThreshold=1)
        made = container("v1-hangs", livenessProbe=live, readinessProbe=ready)
        create(stage, made, terminationGracePeriodSeconds=10)
        await stage.pass_time(21)
        address = pod(stage)["status"]["podIP"]
        late = "context deadline exceeded (Client.Timeout exceeded while awaiting headers)"
        assert f'Liveness probe failed: Get "http://{address}:8080/livez": {late}' in (
            stage.messages("Unhealthy")
        )
        await stage.pass_time(9)
        assert state(stage)["restartCount"] == 0
        await stage.pass_time(2)
        ended = state(stage)["lastState"]["terminated"]
        assert (ended["exitCode"], ended["reason"]) == (137, "Error")

    play(story)


def test_a_slow_answer_fails_only_a_probe_that_does_not_wait_for_it() -> None:
    catalogue = parse("behaviors: {good: {latency_seconds: 1.5}}", "test")

    async def story(stage: Stage) -> None:
        create(stage, container(readinessProbe=probe(timeoutSeconds=1)), name="hasty")
        create(stage, container(readinessProbe=probe(timeoutSeconds=2)), name="patient")
        await stage.pass_time(5)
        assert not state(stage, name="hasty")["ready"]
        assert state(stage, name="patient")["ready"]
        assert "context deadline exceeded" in stage.messages("Unhealthy")[0]

    play(story, catalogue)


def test_a_startup_probe_holds_the_others_back() -> None:
    async def story(stage: Stage) -> None:
        live = probe("/health", periodSeconds=2, failureThreshold=1)
        start = probe(periodSeconds=5, failureThreshold=10)
        made = container("v1-long-start", startupProbe=start, livenessProbe=live)
        create(stage, made)
        await stage.pass_time(20)
        assert (state(stage)["started"], state(stage)["ready"]) == (False, False)
        assert set(stage.messages("Unhealthy")) == {
            "Startup probe failed: HTTP probe failed with statuscode: 503"
        }
        await stage.pass_time(12)
        assert (state(stage)["started"], state(stage)["ready"]) == (True, True)
        assert state(stage)["restartCount"] == 0

    play(story)


def test_a_startup_probe_that_gives_up_restarts_the_container() -> None:
    async def story(stage: Stage) -> None:
        start = probe(periodSeconds=2, failureThreshold=3)
        create(stage, container("v1-long-start", startupProbe=start))
        await stage.pass_time(8)

        assert state(stage)["restartCount"] == 1
        assert stage.messages("Killing") == ["Container c failed startup probe, will be restarted"]

    play(story)


@pytest.mark.parametrize(
    ("tag", "spec", "message"),
    [
        (
            "v1-slow",
            {"exec": {"command": ["cat", "/tmp/ready"]}},
            "Readiness probe failed: cat: not ready",
        ),
        (
            "v1-hangs",
            {"exec": {"command": ["cat", "/tmp/ready"]}, "timeoutSeconds": 2},
            'Readiness probe failed: command timed out: "cat /tmp/ready" timed out after 2s',
        ),
        (
            "v1",
            {"tcpSocket": {"port": 9090}},
            "Readiness probe failed: dial tcp {ip}:9090: connect: connection refused",
        ),
        (
            "v1",
            {"httpGet": {"path": "/health", "port": 9090}},
            'Readiness probe failed: Get "http://{ip}:9090/health": dial tcp {ip}:9090: '
            "connect: connection refused",
        ),
        (
            "v1-slow",
            {"grpc": {"port": 8080}},
            'Readiness probe failed: service unhealthy (responded with "NOT_SERVING")',
        ),
    ],
)
def test_every_way_to_ask_fails_in_its_own_words(tag: str, spec: Json, message: str) -> None:
    async def story(stage: Stage) -> None:
        create(stage, container(tag, readinessProbe={"periodSeconds": 5, **spec}))
        await stage.pass_time(23)

        words = message.format(ip=pod(stage)["status"]["podIP"])
        assert words in stage.messages("Unhealthy")

    play(story)


@pytest.mark.parametrize(
    "spec",
    [{"tcpSocket": {"port": "http"}}, {"exec": {"command": ["true"]}}, {"grpc": {"port": 8080}}],
)
def test_every_way_to_ask_succeeds_on_a_good_release(spec: Json) -> None:
    async def story(stage: Stage) -> None:
        create(stage, container(readinessProbe=spec, livenessProbe=spec, startupProbe=spec))
        await stage.pass_time(30)

        assert (state(stage)["ready"], stage.events("Unhealthy")) == (True, [])

    play(story)


def test_a_probe_of_an_ordinary_page_sees_the_errors_that_users_see() -> None:
    name = "registry.veza.example/veza-backend-api:v2.6.0"

    async def story(stage: Stage) -> None:
        asked = probe("/api/v1/tracks", periodSeconds=1, failureThreshold=1)
        create(stage, {**container(readinessProbe=asked), "image": name})
        await stage.pass_time(20)
        [event] = stage.events("Unhealthy")
        assert event["message"].endswith("statuscode: 500")
        assert 5 < event["count"] < 12

    play(story)


def test_a_pod_that_runs_well_costs_three_writes_and_no_timer() -> None:
    async def story(stage: Stage) -> None:
        made = container(readinessProbe=probe(periodSeconds=5), livenessProbe=probe("/livez"))
        create(stage, made)
        await stage.pass_time(30)
        clock, kubelet = stage.plane.clock, stage.plane.kubelet
        [worker] = [
            each for each in kubelet._pods.values() if each.item["metadata"]["name"] == "web"
        ]
        version = pod(stage)["metadata"]["resourceVersion"]
        entries = [entry for entry in stage.plane.api.audit.entries if entry.user == "system:node"]
        writes = [entry for entry in entries if entry.verb == "patch" and entry.name == "web"]

        assert len(writes) == 3
        assert [worker.workers[0]._at.timers._pending, worker._timers._pending] == [[], []]
        await stage.pass_time(3600)
        assert version == pod(stage)["metadata"]["resourceVersion"]
        assert clock.monotonic() > 3600
        assert [len(stage.events(reason)) for reason in ("Pulled", "Created", "Started")] == [1] * 3

    play(story)


def test_what_a_probe_asks_is_counted_like_any_request() -> None:
    async def story(stage: Stage) -> None:
        seen = []
        stage.plane.kubelet.endpoints.on_request(lambda *request: seen.append(request[2:4]))
        create(stage, container("v1-slow", readinessProbe=probe(periodSeconds=5)))
        await stage.pass_time(12)

        assert seen == [("/health", 503)] * 3

    play(story)


def test_the_catalogue_describes_every_behaviour_it_uses() -> None:
    catalogue = built_in()

    assert {"turns-unready-later", "fails-liveness", "hangs", "ignores-sigterm"} <= set(
        catalogue.behaviors
    )
    assert catalogue.of("web:latest").name == "good"
