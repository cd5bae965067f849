"""What pods tell of themselves: it follows from release, age and share of the users."""

from __future__ import annotations

import dataclasses
import math
from collections.abc import Mapping
from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as some
from prometheus_client.parser import text_string_to_metric_families

from tests.sandbox.planes import REPOSITORY, SPACE, Stage, play
from veza_nb.sandbox.apiserver.client import PatchType
from veza_nb.sandbox.metrics import exposition, histogram, rhythm
from veza_nb.sandbox.metrics.exposition import Family, Sample
from veza_nb.sandbox.metrics.histogram import BUCKETS
from veza_nb.sandbox.metrics.profiles import profile
from veza_nb.sandbox.nodes.releases import built_in

Json = dict[str, Any]
Scrape = Mapping[tuple[str, frozenset[tuple[str, str]]], float]
RATE = profile("web").rate


def service(stage: Stage, name: str = "web") -> None:
    ports = [{"name": "http", "port": 80, "targetPort": "http"}]
    body = {"metadata": {"name": name}, "spec": {"selector": {"app": name}, "ports": ports}}
    stage.admin.create("services", SPACE, body)


def parsed(text: str) -> Scrape:
    return {
        (sample.name, frozenset(sample.labels.items())): sample.value
        for family in text_string_to_metric_families(text)
        for sample in family.samples
    }


def scrape(stage: Stage, pod: Json) -> Scrape:
    page = stage.plane.measures.pod(SPACE, pod["metadata"]["name"])
    assert page is not None
    return parsed(page)


def total(found: Scrape, name: str, **labels: str) -> float:
    return sum(
        value
        for (each, has), value in found.items()
        if each == name and labels.items() <= dict(has).items()
    )


def users(found: Scrape, **labels: str) -> float:
    """Requests of users: those that are not health checks."""
    return total(found, "http_requests_total", path="/", **labels)


def test_asking_twice_gives_the_same_and_asking_later_never_less() -> None:
    async def story(stage: Stage) -> None:
        service(stage)
        stage.deploy()
        await stage.pass_time(20)
        pod = stage.pods()[0]
        before, again = scrape(stage, pod), scrape(stage, pod)
        counters = [key for key in before if key[0].endswith(("_total", "_bucket", "_count"))]
        assert before == again

        for _ in range(200):
            await stage.pass_time(0.37)
            now = scrape(stage, pod)
            assert {key for key in counters if now[key] < before[key]} == set()
            before = now
        assert users(before) > users(again)

    play(story)


def test_users_are_spread_over_the_ready_pods_and_none_gets_lost() -> None:
    async def story(stage: Stage) -> None:
        service(stage)
        stage.deploy(replicas=2)
        await stage.pass_time(5)
        began = stage.plane.clock.monotonic()
        pods = stage.pods()
        start = sum(users(scrape(stage, pod)) for pod in pods)
        stage.merge({"spec": {"replicas": 5}})
        await stage.pass_time(300)

        counts = [users(scrape(stage, pod)) for pod in stage.pods()]
        came = sum(counts) - start
        seed, now = f"{SPACE}/web", stage.plane.clock.monotonic()
        expected = RATE * (rhythm.integral(seed, now) - rhythm.integral(seed, began))
        assert len(counts) == 5
        assert came == pytest.approx(expected, abs=len(counts) * 2)
        assert max(counts) == pytest.approx(min(counts), rel=0.05)

    play(story)


def test_a_pod_that_is_not_ready_gets_nothing() -> None:
    async def story(stage: Stage) -> None:
        service(stage)
        stage.deploy()
        await stage.pass_time(10)
        stage.set_image("v2-slow")
        await stage.pass_time(30)

        new = [pod for pod in stage.pods() if "slow" in pod["spec"]["containers"][0]["image"]]
        assert [users(scrape(stage, pod)) for pod in new] == [0]

    play(story)


def test_a_pod_that_left_keeps_what_it_has_and_gets_no_more() -> None:
    async def story(stage: Stage) -> None:
        service(stage)
        stage.deploy(replicas=1)
        await stage.pass_time(30)
        stage.admin.patch("services", SPACE, "web", {"spec": {"selector": {"app": "other"}}})
        await stage.pass_time(1)
        before = users(scrape(stage, stage.pods()[0]))
        await stage.pass_time(60)

        assert before > 0
        assert users(scrape(stage, stage.pods()[0])) == before

    play(story)


def test_a_pod_behind_two_services_serves_the_users_of_both() -> None:
    async def story(stage: Stage) -> None:
        service(stage)
        stage.deploy(replicas=1)
        await stage.pass_time(100)
        one = users(scrape(stage, stage.pods()[0]))
        stage.admin.create(
            "services",
            SPACE,
            {
                "metadata": {"name": "also"},
                "spec": {"selector": {"app": "web"}, "ports": [{"port": 80}]},
            },
        )
        await stage.pass_time(100)
        both = users(scrape(stage, stage.pods()[0]))

        assert len(stage.plane.measures.targets("host:1")) == 1
        assert both == pytest.approx(3 * one, rel=0.2)

    play(story)


def test_a_restart_sets_everything_back() -> None:
    async def story(stage: Stage) -> None:
        service(stage)
        stage.deploy(tag="v1-flaky", replicas=1)
        await stage.pass_time(7.5)
        before = scrape(stage, stage.pods()[0])
        await stage.pass_time(3)
        after = scrape(stage, stage.pods()[0])

        began = "process_start_time_seconds"
        assert stage.pods()[0]["status"]["containerStatuses"][0]["restartCount"] == 1
        assert users(before) > RATE * 5
        assert 0 < users(after) < RATE * 4
        assert total(after, "process_cpu_seconds_total") < total(
            before, "process_cpu_seconds_total"
        )
        assert total(after, began) > total(before, began)

    play(story)


def test_nothing_is_told_while_no_container_runs() -> None:
    async def story(stage: Stage) -> None:
        service(stage)
        stage.deploy(tag="v1-missing", replicas=1)
        await stage.pass_time(5)

        measures, name = stage.plane.measures, stage.pods()[0]["metadata"]["name"]
        assert measures.pod(SPACE, name) is None
        with pytest.raises(LookupError, match="no pod shop/nope"):
            measures.pod(SPACE, "nope")

    play(story)


@pytest.mark.parametrize(("tag", "share"), [("v1-errors", 0.4), ("v1", 0.0004)])
def test_errors_are_the_releases_share(tag: str, share: float) -> None:
    async def story(stage: Stage) -> None:
        service(stage)
        stage.deploy(tag=tag, replicas=1)
        await stage.pass_time(86_400)
        found = scrape(stage, stage.pods()[0])

        failed = users(found, code="500")
        assert failed == pytest.approx(share * users(found), rel=0.01)
        assert failed == total(found, "http_request_errors_total", path="/")

    play(story)


def test_a_slow_release_shows_in_answer_times_and_computing_time() -> None:
    async def story(stage: Stage) -> None:
        service(stage)
        stage.deploy(tag="v1", replicas=1)
        stage.deploy("web2", tag="v1-latency", replicas=1)
        service(stage, "web2")
        await stage.pass_time(600)
        good, slow = (scrape(stage, stage.pods(name)[0]) for name in ("web", "web2"))

        bucket, cpu = "http_request_duration_seconds_bucket", "process_cpu_seconds_total"
        assert total(good, bucket, path="/", le="0.1") > 0.99 * users(good)
        assert total(slow, bucket, path="/", le="0.25") < 0.05 * users(slow)
        assert total(slow, cpu) > 2 * total(good, cpu)

    play(story)


def test_a_release_that_runs_out_of_memory_grows_up_to_its_limit() -> None:
    async def story(stage: Stage) -> None:
        limit = 256 * 1024 * 1024
        stage.deploy(tag="v1-oom", replicas=1, paused=True)
        limited = [{"name": "c", "resources": {"limits": {"memory": "256Mi"}}}]
        patch = {"spec": {"paused": False, "template": {"spec": {"containers": limited}}}}
        stage.admin.patch("deployments", SPACE, "web", patch, kind=PatchType.STRATEGIC)
        held = []
        for _ in range(60):
            await stage.pass_time(0.1)
            for pod in stage.pods():
                page = stage.plane.measures.pod(SPACE, pod["metadata"]["name"])
                if page is not None and pod["spec"]["containers"][0]["resources"]:
                    held.append(total(parsed(page), "process_resident_memory_bytes"))

        assert 0.8 * limit < max(held) <= limit
        assert min(held) < 0.5 * limit

    play(story)


def test_buckets_count_and_requests_agree() -> None:
    async def story(stage: Stage) -> None:
        service(stage)
        stage.deploy(tag="v1-errors", replicas=1)
        await stage.pass_time(77)
        found = scrape(stage, stage.pods()[0])

        name, asked = "http_request_duration_seconds", {"method": "GET", "path": "/"}
        bounds = [exposition.number(bound) for bound in BUCKETS] + ["+Inf"]
        counts = [total(found, f"{name}_bucket", **asked, le=bound) for bound in bounds]
        assert counts == sorted(counts)
        assert counts[-1] == total(found, f"{name}_count", **asked) == users(found)

    play(story)


def test_an_image_whose_behaviour_changes_keeps_what_was_counted() -> None:
    async def story(stage: Stage) -> None:
        service(stage)
        stage.deploy(replicas=1)
        await stage.pass_time(100)
        pod, kubelet = stage.pods()[0], stage.plane.kubelet
        before = scrape(stage, pod)
        kubelet.releases = kubelet.releases.with_behavior(f"{REPOSITORY}:v1", "errors-5xx")
        at_once = scrape(stage, pod)
        await stage.pass_time(100)
        after = scrape(stage, pod)

        assert users(at_once, code="500") == users(before, code="500") == 0
        came = users(after) - users(before)
        assert users(after, code="500") == pytest.approx(0.4 * came, abs=2)

    play(story)


def test_a_release_that_breaks_after_a_while_fails_from_then_on() -> None:
    broken = dataclasses.replace(built_in().behaviors["good"], broken_after_seconds=60.0)
    releases = dataclasses.replace(
        built_in(), behaviors={**built_in().behaviors, "errors-5xx": broken}
    )

    async def story(stage: Stage) -> None:
        service(stage)
        stage.deploy(tag="v1-errors", replicas=1)
        await stage.pass_time(50)
        before = scrape(stage, stage.pods()[0])
        await stage.pass_time(11)
        scrape(stage, stage.pods()[0])
        await stage.pass_time(2)
        after = scrape(stage, stage.pods()[0])

        assert users(before, code="500") == 0
        assert users(after, code="500") > 0
        assert users(after, code="200") >= users(before, code="200")

    play(story, releases)


def test_requests_that_really_came_are_counted_once_by_path_and_status() -> None:
    async def story(stage: Stage) -> None:
        service(stage)
        stage.deploy(replicas=1)
        await stage.pass_time(3)
        pod, endpoints = stage.pods()[0], stage.plane.kubelet.endpoints
        for _ in range(7):
            endpoints.answer(pod["metadata"]["uid"], "GET", "/orders")
        found = scrape(stage, pod)

        assert total(found, "http_requests_total", path="/orders", code="200") == 7
        assert total(found, "http_request_duration_seconds_count", path="/orders") == 7

    play(story)


def test_nobody_can_make_up_series_without_end() -> None:
    async def story(stage: Stage) -> None:
        stage.deploy(replicas=1)
        await stage.pass_time(3)
        pod, endpoints = stage.pods()[0], stage.plane.kubelet.endpoints
        for number in range(500):
            endpoints.answer(pod["metadata"]["uid"], "GET", f"/made/up/{number}")
        found = scrape(stage, pod)

        paths = {dict(has).get("path") for name, has in found if name == "http_requests_total"}
        assert len(paths) < 60
        assert total(found, "http_requests_total", path="unmatched") > 400

    play(story)


def test_a_pod_serves_its_own_page() -> None:
    async def story(stage: Stage) -> None:
        service(stage)
        stage.deploy(replicas=1)
        await stage.pass_time(9)
        pod = stage.pods()[0]
        answer = stage.plane.kubelet.endpoints.answer(pod["metadata"]["uid"], "GET", "/metrics")

        built = {"version": "v1", "image": f"{REPOSITORY}:v1"}
        assert (answer.status, answer.content_type) == (200, exposition.CONTENT_TYPE)
        assert total(parsed(answer.body), "veza_build_info", **built) == 1

    play(story)


def test_what_objects_say_is_what_their_status_says() -> None:
    async def story(stage: Stage) -> None:
        service(stage)
        stage.deploy(tag="v1-flaky")
        await stage.pass_time(41)
        found = parsed("".join(stage.plane.measures.state()))

        status, names = stage.status(), {"namespace": SPACE, "deployment": "web"}
        about = "kube_deployment_status_replicas"
        assert total(found, about, **names) == status["replicas"]
        assert total(found, f"{about}_available", **names) == status.get("availableReplicas", 0)
        assert total(found, "kube_deployment_spec_replicas", **names) == 3
        for pod in stage.pods():
            one = {"namespace": SPACE, "pod": pod["metadata"]["name"]}
            container = pod["status"]["containerStatuses"][0]
            restarts = total(found, "kube_pod_container_status_restarts_total", **one)
            assert restarts == container["restartCount"] > 0
            ready = total(found, "kube_pod_status_ready", **one, condition="true")
            assert ready == container["ready"]
            assert total(found, "kube_pod_status_phase", **one) == 1
            waits = total(
                found,
                "kube_pod_container_status_waiting_reason",
                **one,
                reason="CrashLoopBackOff",
            )
            assert waits == ("waiting" in container["state"])
        assert total(found, "kube_node_status_condition", condition="Ready", status="true") == 3

    play(story)


def test_targets_are_the_pods_behind_services_and_those_that_ask() -> None:
    async def story(stage: Stage) -> None:
        service(stage)
        stage.deploy(replicas=2)
        stage.deploy("batch", replicas=1)
        wish = {"prometheus.io/scrape": "true"}
        stage.deploy("asks", replicas=1)
        template = {"metadata": {"annotations": wish}}
        stage.merge({"spec": {"template": template}}, "asks")
        await stage.pass_time(10)
        found = [one["labels"] for one in stage.plane.measures.targets("host:1")]

        by_deployment = sorted(labels["deployment"] for labels in found)
        assert by_deployment == ["asks", "web", "web"]
        pod = stage.pods()[0]
        mine = next(one for one in found if one["pod"] == pod["metadata"]["name"])
        assert mine == {
            "__metrics_path__": f"/pods/{SPACE}/{pod['metadata']['name']}/metrics",
            "instance": f"{pod['status']['podIP']}:8080",
            "namespace": SPACE,
            "pod": pod["metadata"]["name"],
            "service": "web",
            "deployment": "web",
            "version": "v1",
            "node": pod["spec"]["nodeName"],
        }

    play(story)


def test_labels_are_escaped() -> None:
    odd = 'a"b\\c\nd'
    family = Family("odd", "gauge", "Odd.", [Sample(1.5, {"path": odd})])

    assert parsed(exposition.text([family])) == {("odd", frozenset({("path", odd)})): 1.5}


@given(
    some.floats(0, 1e7),
    some.floats(0, 1e5),
)
def test_interest_never_ends_and_its_integral_grows(start: float, length: float) -> None:
    grown = rhythm.integral("x", start + length) - rhythm.integral("x", start)

    assert 0.5 * length <= grown + 1e-6
    assert grown <= 1.5 * length + 1e-6
    assert 0.5 < rhythm.level("x", start) < 1.5


@given(some.integers(0, 10**7), some.floats(0.001, 20))
def test_a_histogram_of_more_answers_has_no_bucket_with_fewer(count: int, median: float) -> None:
    less, more = histogram.of_many(count, median), histogram.of_many(count + 1, median)

    assert all(one <= other for one, other in zip(less.below, more.below, strict=True))
    assert less.below == sorted(less.below)
    assert less.below[-1] <= less.count == count
    assert math.isfinite(more.total)
