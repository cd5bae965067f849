"""From a container's spec to its status: what keeps it from starting, how it ends, what follows."""

from __future__ import annotations

from typing import Any

import pytest

from tests.sandbox.planes import REPOSITORY, SPACE, Stage, play
from tests.sandbox.pods import conditions, container, create, pod, probe, state, status
from veza_nb.sandbox.nodes.releases import parse

Json = dict[str, Any]


def secret(stage: Stage, name: str, **data: str) -> None:
    stage.admin.create("secrets", SPACE, {"metadata": {"name": name}, "data": data})


def config(stage: Stage, name: str, **data: str) -> None:
    stage.admin.create("configmaps", SPACE, {"metadata": {"name": name}, "data": data})


def from_secret(name: str, key: str, **more: Any) -> Json:
    return {"name": "X", "valueFrom": {"secretKeyRef": {"name": name, "key": key, **more}}}


def from_config(name: str, key: str, **more: Any) -> Json:
    return {"name": "X", "valueFrom": {"configMapKeyRef": {"name": name, "key": key, **more}}}


# -- what must be there before -----------------------------------------------------------------


@pytest.mark.parametrize(
    ("spec", "message"),
    [
        ({"env": [from_secret("none", "k")]}, 'secret "none" not found'),
        ({"env": [from_config("none", "k")]}, 'configmap "none" not found'),
        ({"envFrom": [{"secretRef": {"name": "none"}}]}, 'secret "none" not found'),
        ({"envFrom": [{"configMapRef": {"name": "none"}}]}, 'configmap "none" not found'),
        ({"env": [from_secret("one", "k")]}, "couldn't find key k in Secret shop/one"),
        ({"env": [from_config("one", "k")]}, "couldn't find key k in ConfigMap shop/one"),
    ],
)
def test_a_container_that_refers_to_nothing_is_not_created(spec: Json, message: str) -> None:
    async def story(stage: Stage) -> None:
        secret(stage, "one", there="eA==")
        config(stage, "one", there="x")
        create(stage, container(**spec))
        await stage.pass_time(1)
        waiting = state(stage)["state"]["waiting"]
        assert waiting == {"reason": "CreateContainerConfigError", "message": message}
        assert status(stage)["phase"] == "Pending"
        assert stage.messages("Failed") == [f"Error: {message}"]
        assert state(stage)["restartCount"] == 0

    play(story)


def test_it_is_created_as_soon_as_what_was_missing_is_there() -> None:
    async def story(stage: Stage) -> None:
        create(stage, container(env=[from_secret("late", "k")]))
        await stage.pass_time(8)
        secret(stage, "late", k="eA==")
        await stage.pass_time(6)

        assert state(stage)["ready"]

    play(story)


@pytest.mark.parametrize(
    "spec",
    [
        {"env": [from_secret("none", "k", optional=True)]},
        {"env": [from_config("one", "k", optional=True)]},
        {"envFrom": [{"secretRef": {"name": "none", "optional": True}}]},
    ],
)
def test_what_is_optional_may_be_missing(spec: Json) -> None:
    async def story(stage: Stage) -> None:
        config(stage, "one", there="x")
        create(stage, container(**spec))
        await stage.pass_time(1)

        assert state(stage)["ready"]

    play(story)


def test_a_volume_that_cannot_be_mounted_holds_the_pod_up() -> None:
    async def story(stage: Stage) -> None:
        volumes = [{"name": "keys", "secret": {"secretName": "late"}}]
        create(stage, container(), volumes=volumes)
        await stage.pass_time(3)
        assert state(stage)["state"]["waiting"]["reason"] == "ContainerCreating"
        assert stage.messages("FailedMount") == [
            'MountVolume.SetUp failed for volume "keys" : secret "late" not found'
        ]
        secret(stage, "late", k="eA==")
        await stage.pass_time(6)
        assert state(stage)["ready"]

    play(story)


def test_a_release_without_its_setting_ends_at_once_and_with_it_it_runs() -> None:
    async def story(stage: Stage) -> None:
        create(stage, container("v1-needs-secret"))
        key = {**from_secret("signing", "k"), "name": "STREAM_SIGNING_KEY"}
        create(stage, container("v1-needs-secret", env=[key]), name="given")
        secret(stage, "signing", k="eA==")
        await stage.pass_time(8)
        assert state(stage)["lastState"]["terminated"]["exitCode"] == 1
        assert state(stage, name="given")["ready"]

    play(story)


@pytest.mark.parametrize(
    ("spec", "reason", "event", "message"),
    [
        (
            {"image": "registry.example/Web:v1"},
            "InvalidImageName",
            "InspectFailed",
            'Failed to apply default image tag "registry.example/Web:v1": couldn\'t parse image '
            'name "registry.example/Web:v1": invalid reference format',
        ),
        (
            {"imagePullPolicy": "Never", "image": f"{REPOSITORY}:missing"},
            "ErrImageNeverPull",
            "ErrImageNeverPull",
            f'Container image "{REPOSITORY}:missing" is not present with pull policy of Never',
        ),
    ],
)
def test_an_image_that_cannot_even_be_tried(
    spec: Json, reason: str, event: str, message: str
) -> None:
    async def story(stage: Stage) -> None:
        create(stage, {**container(), **spec})
        await stage.pass_time(1)
        assert state(stage)["state"]["waiting"] == {"reason": reason, "message": message}
        assert stage.messages(event) == [message]
        assert stage.messages("Failed") == [f"Error: {reason}"]

    play(story)


def test_an_image_that_is_always_pulled_is_pulled_again() -> None:
    async def story(stage: Stage) -> None:
        create(stage, container(imagePullPolicy="Always"))
        await stage.pass_time(1)
        assert stage.messages("Pulling") == [f'Pulling image "{REPOSITORY}:v1"']
        assert stage.messages("Pulled")[0].startswith(
            f'Successfully pulled image "{REPOSITORY}:v1"'
        )

    play(story)


def test_a_process_that_cannot_be_started_is_a_run_that_never_began() -> None:
    async def story(stage: Stage) -> None:
        create(stage, container("v1-cannot-start"))
        await stage.pass_time(0.5)
        waiting, last = state(stage)["state"]["waiting"], state(stage)["lastState"]["terminated"]
        assert waiting["reason"] == "RunContainerError"
        assert waiting["message"].endswith('exec: "/app/server": permission denied: unknown')
        assert (last["reason"], last["exitCode"]) == ("StartError", 128)
        assert last["startedAt"] == "1970-01-01T00:00:00Z"
        await stage.pass_time(10)
        assert state(stage)["restartCount"] > 1

    play(story)


# -- how it ends, and what follows --------------------------------------------------------------


@pytest.mark.parametrize(
    ("tag", "policy", "phase", "reason", "code"),
    [
        ("v1", "Never", "Succeeded", "Completed", 0),
        ("v1", "OnFailure", "Succeeded", "Completed", 0),
        ("v1-fail", "Never", "Failed", "Error", 1),
        ("v1-oom", "Never", "Failed", "OOMKilled", 137),
        ("v1-cannot-start", "Never", "Failed", "StartError", 128),
    ],
)
def test_a_pod_that_is_over_says_how_it_ended(
    tag: str, policy: str, phase: str, reason: str, code: int
) -> None:
    async def story(stage: Stage) -> None:
        create(stage, container(tag), restartPolicy=policy)
        await stage.pass_time(5)
        ended = state(stage)["state"]["terminated"]
        assert (status(stage)["phase"], ended["reason"], ended["exitCode"]) == (phase, reason, code)
        why = "PodCompleted" if phase == "Succeeded" else "PodFailed"
        assert conditions(stage)["Ready"] == f"False/{why}"
        assert conditions(stage)["PodReadyToStartContainers"] == "False"
        version = pod(stage)["metadata"]["resourceVersion"]
        await stage.pass_time(100)
        assert version == pod(stage)["metadata"]["resourceVersion"]

    play(story)


def test_on_failure_starts_again_only_what_failed() -> None:
    async def story(stage: Stage) -> None:
        made = [container("v1-fail", name="bad"), container(name="good")]
        create(stage, *made, restartPolicy="OnFailure")
        await stage.pass_time(10)
        assert state(stage, 0)["restartCount"] > 1
        assert (state(stage, 1)["restartCount"], "terminated" in state(stage, 1)["state"]) == (
            0,
            True,
        )
        assert status(stage)["phase"] == "Running"

    play(story)


def test_what_a_container_leaves_as_its_message_is_in_its_status() -> None:
    async def story(stage: Stage) -> None:
        create(stage, container("v1-fail"), restartPolicy="Never")
        fallback = container("v1-bad", terminationMessagePolicy="FallbackToLogsOnError")
        create(stage, fallback, name="fallback", restartPolicy="Never")
        await stage.pass_time(3)

        assert state(stage)["state"]["terminated"]["message"] == "the work could not be done"
        message = state(stage, name="fallback")["state"]["terminated"]["message"]
        assert "panic: config: missing required setting STREAM_TOKEN_ISSUER\n" in message

    play(story)


def test_a_container_that_ran_well_for_long_has_no_failures_any_more() -> None:
    catalogue = parse("behaviors: {good: {runs_seconds: 40, exit_code: 1}}", "test")

    async def story(stage: Stage) -> None:
        create(stage, container())
        await stage.pass_time(200)
        assert state(stage)["restartCount"] == 4
        assert stage.events("BackOff") == []

    play(story, catalogue)


def test_a_pod_past_its_deadline_is_ended_and_failed() -> None:
    async def story(stage: Stage) -> None:
        create(stage, container(), activeDeadlineSeconds=20)
        create(stage, container("v1-missing"), name="pending", activeDeadlineSeconds=20)
        await stage.pass_time(19)
        assert status(stage)["phase"] == "Running"
        await stage.pass_time(3)
        message = "Pod was active on the node longer than the specified deadline"
        for name in ("web", "pending"):
            found = status(stage, name)
            assert (found["phase"], found["reason"]) == ("Failed", "DeadlineExceeded")
            assert found["message"] == message
        assert "terminated" in state(stage)["state"]
        assert {message} == set(stage.messages("DeadlineExceeded"))
        await stage.pass_time(60)
        assert state(stage)["restartCount"] == 0

    play(story)


# -- init containers ----------------------------------------------------------------------------


def test_init_containers_run_one_after_the_other_before_the_rest() -> None:
    async def story(stage: Stage) -> None:
        inits = [container(name="first"), container(name="second")]
        create(stage, container(), initContainers=inits)
        await stage.pass_time(0.5)
        assert "running" in state(stage, 0, init=True)["state"]
        for later in (state(stage, 1, init=True), state(stage)):
            assert later["state"] == {"waiting": {"reason": "PodInitializing"}}
        assert conditions(stage)["Initialized"] == "False/ContainersNotInitialized"
        [why] = [each for each in status(stage)["conditions"] if each["type"] == "Initialized"]
        assert why["message"] == "containers with incomplete status: [first second]"
        assert status(stage)["phase"] == "Pending"
        await stage.pass_time(1.2)
        assert state(stage, 0, init=True)["state"]["terminated"]["reason"] == "Completed"
        assert state(stage, 0, init=True)["ready"]
        assert "running" in state(stage, 1, init=True)["state"]
        await stage.pass_time(2)
        assert (state(stage)["ready"], conditions(stage)["Initialized"]) == (True, "True")
        assert status(stage)["phase"] == "Running"

    play(story)


def test_an_init_container_that_fails_is_started_again_and_the_rest_waits() -> None:
    async def story(stage: Stage) -> None:
        create(stage, container(), initContainers=[container("v1-fail", name="init")])
        await stage.pass_time(10)
        assert state(stage, init=True)["restartCount"] > 1
        assert state(stage)["state"]["waiting"]["reason"] == "PodInitializing"
        [event] = [each for each in stage.events("BackOff") if each["type"] == "Warning"]
        assert event["involvedObject"]["fieldPath"] == "spec.initContainers{init}"

    play(story)


def test_where_nothing_is_started_again_a_failed_init_container_fails_the_pod() -> None:
    async def story(stage: Stage) -> None:
        inits = [container("v1-fail", name="init")]
        create(stage, container(), initContainers=inits, restartPolicy="Never")
        await stage.pass_time(10)
        assert status(stage)["phase"] == "Failed"
        assert state(stage, init=True)["state"]["terminated"]["exitCode"] == 1
        assert state(stage)["state"]["waiting"]["reason"] == "PodInitializing"

    play(story)


def test_a_sidecar_starts_before_the_rest_and_ends_after_it() -> None:
    async def story(stage: Stage) -> None:
        sidecar = container(name="proxy", restartPolicy="Always", startupProbe=probe())
        create(stage, container(), initContainers=[sidecar], restartPolicy="Never")
        await stage.pass_time(0.2)
        assert "waiting" in state(stage)["state"]
        await stage.pass_time(0.5)
        assert (state(stage, init=True)["started"], "running" in state(stage)["state"]) == (
            True,
            True,
        )
        assert conditions(stage)["Initialized"] == "True"
        assert status(stage)["phase"] == "Running"
        await stage.pass_time(3)
        assert status(stage)["phase"] == "Succeeded"
        assert "terminated" in state(stage, init=True)["state"]

    play(story)
