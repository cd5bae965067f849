"""How pods behave, release by release; statuses and events as a real cluster shows them."""

from __future__ import annotations

import json
from pathlib import Path
from typing import Any

import pytest

from tests.sandbox.planes import REPOSITORY, SPACE, Stage, play
from veza_nb.sandbox.apiserver.logs import LogQuery
from veza_nb.sandbox.nodes import backoff, images, releases
from veza_nb.sandbox.nodes.releases import ReleasesError

Json = dict[str, Any]
RECORDINGS = Path(__file__).parents[1] / "data" / "recordings" / "objects"


def only_pod(stage: Stage) -> Json:
    [pod] = stage.pods()
    return pod


def container(stage: Stage) -> Json:
    [status] = only_pod(stage)["status"]["containerStatuses"]
    return dict(status)


def shape(value: Any) -> Any:
    """The structure of a status: keys and kinds of values, without what names and dates say."""
    if isinstance(value, dict):
        return {key: shape(part) for key, part in value.items()}
    if isinstance(value, list):
        return [shape(part) for part in value]
    return type(value).__name__


@pytest.mark.parametrize(
    ("tag", "seconds", "recording", "needle"),
    [
        ("v1", 5, "02-created-complete", "v1.0.0"),
        ("v1-slow", 5, "12-never-ready", "slow"),
        ("v1-missing", 0.7, "11-imagepull", "missing"),
    ],
)
def test_a_pods_status_has_the_recorded_shape(
    tag: str, seconds: float, recording: str, needle: str
) -> None:
    async def story(stage: Stage) -> None:
        stage.deploy(replicas=1, tag=tag)
        await stage.pass_time(seconds)
        text = (RECORDINGS / f"{recording}.pods.json").read_text()
        real = next(pod for pod in json.loads(text)["items"] if needle in json.dumps(pod["spec"]))
        ours = only_pod(stage)["status"]

        assert shape(real["status"]) == shape(ours)
        kinds = [(c["type"], c["status"]) for c in real["status"]["conditions"]]
        assert kinds == [(c["type"], c["status"]) for c in ours["conditions"]]

    play(story)


def test_a_good_pod_is_ready_within_a_second_and_says_what_it_did() -> None:
    async def story(stage: Stage) -> None:
        stage.deploy(replicas=1)
        await stage.pass_time(1)
        assert container(stage)["ready"]
        assert only_pod(stage)["status"]["phase"] == "Running"
        image = f"{REPOSITORY}:v1"
        assert [f'Container image "{image}" already present on machine'] == stage.messages("Pulled")
        assert stage.messages("Created") == ["Created container: c"]
        assert stage.messages("Started") == ["Started container c"]

    play(story)


def test_a_crash_loop_restarts_with_growing_pauses_and_keeps_how_it_ended() -> None:
    async def story(stage: Stage) -> None:
        stage.deploy(replicas=1, tag="v1-bad")
        await stage.pass_time(0.5)
        assert container(stage)["state"]["terminated"]["exitCode"] == 1
        await stage.pass_time(0.7)
        waiting = container(stage)["state"]["waiting"]
        pod = only_pod(stage)
        where = f"{pod['metadata']['name']}_{SPACE}({pod['metadata']['uid']})"
        assert waiting["reason"] == "CrashLoopBackOff"
        assert f"back-off 10s restarting failed container=c pod={where}" == waiting["message"]
        last = container(stage)["lastState"]["terminated"]
        assert (last["exitCode"], last["reason"]) == (1, "Error")
        await stage.pass_time(2)
        assert (
            container(stage)["restartCount"],
            container(stage)["state"]["waiting"]["message"][:12],
        ) == (2, "back-off 20s")
        await stage.pass_time(300)
        assert container(stage)["restartCount"] > 18
        assert container(stage)["state"]["waiting"]["message"].startswith("back-off 5m0s ")
        backed_off = [event for event in stage.events("BackOff") if event["type"] == "Warning"]
        message = f"Back-off restarting failed container c in pod {where}"
        assert [message] == [event["message"] for event in backed_off]
        assert backed_off[0]["count"] > 1

    play(story)


def test_a_crash_leaves_its_last_words_in_the_log_of_the_previous_run() -> None:
    async def story(stage: Stage) -> None:
        stage.deploy(replicas=1, tag="v1-bad")
        await stage.pass_time(1.2)
        uid = only_pod(stage)["metadata"]["uid"]
        runs = container(stage)["restartCount"]
        log = stage.plane.logs.read(uid, "c", runs, LogQuery()).decode()

        assert "version=v1-bad" in log
        assert "panic: config: missing required setting" in log

    play(story)


def test_a_missing_image_alternates_between_error_and_back_off() -> None:
    async def story(stage: Stage) -> None:
        stage.deploy(replicas=1, tag="v1-missing")
        seen = set()
        for _ in range(40):
            await stage.pass_time(0.1)
            waiting = container(stage)["state"]["waiting"]
            seen.add(waiting["reason"])
        image = f"{REPOSITORY}:v1-missing"

        assert {"ContainerCreating", "ErrImagePull", "ImagePullBackOff"} == seen
        error = images.pull_error(image)
        assert {
            f'Failed to pull image "{image}": {error}',
            "Error: ErrImagePull",
            "Error: ImagePullBackOff",
        } == set(stage.messages("Failed"))
        assert [f'Pulling image "{image}"'] == stage.messages("Pulling")
        assert stage.events("Pulling")[0]["count"] > 1
        assert only_pod(stage)["status"]["phase"] == "Pending"
        assert container(stage)["restartCount"] == 0

    play(story)


def test_the_words_about_a_missing_image_are_the_recorded_ones() -> None:
    text = (RECORDINGS / "11-imagepull.pods.json").read_text()
    pods = json.loads(text)["items"]
    real = next(pod for pod in pods if "missing" in json.dumps(pod["spec"]))
    [status] = real["status"]["containerStatuses"]
    image = status["image"]

    expected = f'Back-off pulling image "{image}": ErrImagePull: {images.pull_error(image)}'
    assert expected == status["state"]["waiting"]["message"]


def test_a_pod_that_is_never_ready_fails_its_probe_again_and_again() -> None:
    async def story(stage: Stage) -> None:
        stage.deploy(replicas=1, tag="v1-slow")
        await stage.pass_time(30)
        assert (container(stage)["ready"], container(stage)["started"]) == (False, True)
        [event] = stage.events("Unhealthy")
        assert event["message"] == "Readiness probe failed: HTTP probe failed with statuscode: 503"
        assert event["count"] > 4

    play(story)


def test_a_flaky_pod_is_ready_first_and_crashes_later() -> None:
    async def story(stage: Stage) -> None:
        stage.deploy(replicas=1, tag="v1-flaky")
        await stage.pass_time(5)
        assert container(stage)["ready"]
        await stage.pass_time(15)
        assert container(stage)["restartCount"] >= 1

    play(story)


def test_out_of_memory_ends_with_137() -> None:
    async def story(stage: Stage) -> None:
        stage.deploy(replicas=1, tag="v1-oom")
        await stage.pass_time(3)
        ended = container(stage)["lastState"]["terminated"]
        assert (ended["exitCode"], ended["reason"]) == (137, "OOMKilled")

    play(story)


def test_a_pod_that_need_not_restart_ends() -> None:
    async def story(stage: Stage) -> None:
        spec = {"restartPolicy": "Never", "containers": [{"name": "c", "image": "x:v1-bad"}]}
        body = {"apiVersion": "v1", "kind": "Pod", "metadata": {"name": "once"}, "spec": spec}
        stage.admin.create("pods", SPACE, body)
        await stage.pass_time(10)
        pod = stage.admin.get("pods", SPACE, "once")
        assert pod["status"]["phase"] == "Failed"
        assert pod["status"]["containerStatuses"][0]["restartCount"] == 0

    play(story)


def test_deletion_is_graceful_and_quick_and_no_timer_is_left() -> None:
    async def story(stage: Stage) -> None:
        stage.deploy(replicas=2, tag="v1-bad")
        await stage.pass_time(3)
        stage.admin.delete("deployments", SPACE, "web")
        await stage.pass_time(2)

        assert stage.pods() == []
        assert stage.plane.kubelet._pods == {}

    play(story)


@pytest.mark.parametrize(
    ("failures", "nominal", "real"),
    [(1, "10s", 1.0), (2, "20s", 2.0), (4, "1m20s", 8.0), (6, "5m0s", 15.0), (20, "5m0s", 15.0)],
)
def test_back_off_doubles_up_to_a_limit(failures: int, nominal: str, real: float) -> None:
    assert nominal == backoff.nominal_back_off(failures)
    assert real == backoff.back_off_seconds(failures)


@pytest.mark.parametrize(
    ("image", "behavior"),
    [
        ("registry.veza.example/veza-backend-api:v2.4.0", "crash-loop"),
        ("registry.veza.example/veza-backend-api:v2.4.1", "image-missing"),
        ("registry.veza.example/veza-backend-api:v2.5.0", "never-ready"),
        ("registry.veza.example/veza-backend-api:v2.6.0", "errors-5xx"),
        ("registry.veza.example/veza-backend-api:v2.7.0", "slow"),
        ("registry.veza.example/veza-frontend:v2.4.0", "good"),
        ("anything", "good"),
        ("localhost:5000/bad/app:v1", "good"),
        ("localhost:5000/app:v1-bad@sha256:abc", "crash-loop"),
        ("app:v1.4.0-slow", "never-ready"),
        ("app:v1-missing", "image-missing"),
        ("app:v1-flaky", "flaky"),
    ],
)
def test_an_image_behaves_as_the_catalogue_says(image: str, behavior: str) -> None:
    assert behavior == releases.built_in().of(image).name


def test_the_same_image_has_the_same_digest() -> None:
    found = releases.image_id("registry.example:5000/team/app:v1")

    assert found == releases.image_id("registry.example:5000/team/app:v1")
    assert found.startswith("registry.example:5000/team/app@sha256:")
    assert found != releases.image_id("registry.example:5000/team/app:v2")


@pytest.mark.parametrize(
    ("text", "message"),
    [
        ("behaviors: {x: {sped: 1}}", "behaviors.x: unknown key 'sped'"),
        ("behaviors: {x: {error_rate: 2}}", "error_rate must be between 0 and 1"),
        ("images: {a: y}", "behaviour 'y' is used but not described"),
        ("[]", "expected the keys"),
    ],
)
def test_a_broken_catalogue_is_refused_with_its_place(text: str, message: str) -> None:
    with pytest.raises(ReleasesError, match=message):
        releases.parse(text, "releases.yaml")


def test_an_image_can_be_given_another_behavior() -> None:
    catalogue = releases.built_in().with_behavior("app:v1", "slow")

    assert catalogue.of("app:v1").name == "slow"
    with pytest.raises(ReleasesError, match="unknown behaviour 'nope'"):
        catalogue.with_behavior("app:v1", "nope")
