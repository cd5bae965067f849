"""Jobs on a running control plane: completions, failures, deadlines, and what is left of them."""

from __future__ import annotations

import itertools
from datetime import datetime
from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st

from tests.sandbox.planes import SPACE, Stage, play
from veza_nb.sandbox.apimachinery.status import ApiError
from veza_nb.sandbox.apiserver.client import PatchType
from veza_nb.sandbox.clock import parse_timestamp
from veza_nb.sandbox.controllers.conditions import get_condition
from veza_nb.sandbox.controllers.job_pods import INDEX, TRACKING, format_indexes, parse_indexes
from veza_nb.sandbox.nodes.releases import Releases, parse

Json = dict[str, Any]


def releases() -> Releases:
    """Images that end well after a second, and others that fail."""
    text = """
    behaviors:
      stays: {}
      done: {runs_seconds: 1.0, ready_seconds: null}
      fail: {runs_seconds: 1.0, ready_seconds: null, exit_code: 1}
    tags:
      - {contains: stays, behavior: stays}
      - {contains: done, behavior: done}
      - {contains: fail, behavior: fail}
    """
    return parse(text, "jobs.yaml")


def job(name: str, tag: str, *, policy: str = "Never", **spec: Any) -> Json:
    container = {"name": "m", "image": f"registry.example/migrate:{tag}"}
    template = {"spec": {"restartPolicy": policy, "containers": [container]}}
    return {"metadata": {"name": name}, "spec": {"template": template, **spec}}


def make(stage: Stage, name: str, tag: str, **spec: Any) -> Json:
    return stage.admin.create("jobs", SPACE, job(name, tag, **spec))


def status(stage: Stage, name: str) -> Json:
    found: Json = stage.admin.get("jobs", SPACE, name)["status"]
    return found


def said(stage: Stage, name: str) -> list[tuple[str, str, str]]:
    """Type, value and reason of a Job's conditions, in their order."""
    found = status(stage, name).get("conditions", [])
    return [(each["type"], each["status"], each["reason"]) for each in found]


def pods(stage: Stage, name: str) -> list[Json]:
    return stage.admin.list("pods", SPACE, label_selector=f"batch.kubernetes.io/job-name={name}")


def reasons(stage: Stage, name: str) -> list[str]:
    """Reasons of the events about a Job, oldest first."""
    found = [
        event
        for event in stage.admin.list("events", SPACE)
        if event["involvedObject"]["kind"] == "Job" and event["involvedObject"]["name"] == name
    ]
    return [event["reason"] for event in sorted(found, key=lambda e: e["metadata"]["name"])]


def test_a_job_completes_as_recorded() -> None:
    """Recording 25, migrate-ok."""

    async def story(stage: Stage) -> None:
        made = make(stage, "ok", "v1-done", backoffLimit=1)
        await stage.pass_time(10)
        found = status(stage, "ok")

        reason, message = "CompletionsReached", "Reached expected number of succeeded pods"
        when = found["completionTime"]
        assert found == {
            "conditions": [
                {
                    "type": kind,
                    "status": "True",
                    "lastProbeTime": when,
                    "lastTransitionTime": when,
                    "reason": reason,
                    "message": message,
                }
                for kind in ("SuccessCriteriaMet", "Complete")
            ],
            "startTime": found["startTime"],
            "completionTime": when,
            "succeeded": 1,
            "terminating": 0,
            "uncountedTerminatedPods": {},
            "ready": 0,
        }
        assert reasons(stage, "ok") == ["SuccessfulCreate", "Completed"]
        [pod] = pods(stage, "ok")
        assert pod["status"]["phase"] == "Succeeded"
        assert pod["metadata"]["labels"]["controller-uid"] == made["metadata"]["uid"]
        assert pod["metadata"]["ownerReferences"][0]["kind"] == "Job"

    play(story, releases())


def test_a_running_pod_is_held_until_it_is_counted() -> None:
    async def story(stage: Stage) -> None:
        make(stage, "ok", "v1-done")
        await stage.pass_time(0.5)
        assert pods(stage, "ok")[0]["metadata"]["finalizers"] == [TRACKING]
        assert status(stage, "ok")["active"] == 1

        await stage.pass_time(5)
        assert "finalizers" not in pods(stage, "ok")[0]["metadata"]
        assert "active" not in status(stage, "ok")

    play(story, releases())


def test_a_job_that_keeps_failing_is_given_up_after_its_limit_as_recorded() -> None:
    """Recording 25, migrate-broken: two failures, ten seconds apart."""

    async def story(stage: Stage) -> None:
        make(stage, "bad", "v1-fail", backoffLimit=1)
        await stage.pass_time(5)
        assert len(pods(stage, "bad")) == 1
        await stage.pass_time(30)

        assert said(stage, "bad") == [
            ("FailureTarget", "True", "BackoffLimitExceeded"),
            ("Failed", "True", "BackoffLimitExceeded"),
        ]
        found = status(stage, "bad")
        assert (found["failed"], found.get("succeeded")) == (2, None)
        assert "completionTime" not in found
        message = "Job has reached the specified backoff limit"
        assert {each["message"] for each in found["conditions"]} == {message}
        assert stage.messages("BackoffLimitExceeded") == [message]
        assert [pod["status"]["phase"] for pod in pods(stage, "bad")] == ["Failed"] * 2

    play(story, releases())


def test_back_off_doubles_with_every_failure_in_a_row() -> None:
    async def story(stage: Stage) -> None:
        make(stage, "bad", "v1-fail", backoffLimit=4)
        await stage.pass_time(300)
        made = sorted(
            parse_timestamp(p["metadata"]["creationTimestamp"]) for p in pods(stage, "bad")
        )
        waits = [(b - a).total_seconds() for a, b in itertools.pairwise(made)]

        assert len(waits) == 4
        for wait, nominal in zip(waits, (10, 20, 40, 80), strict=True):
            assert nominal <= wait <= nominal + 5

    play(story, releases())


def test_restarts_in_place_count_as_failures() -> None:
    async def story(stage: Stage) -> None:
        make(stage, "bad", "v1-fail", policy="OnFailure", backoffLimit=2)
        await stage.pass_time(120)

        assert said(stage, "bad")[-1] == ("Failed", "True", "BackoffLimitExceeded")
        assert pods(stage, "bad") == []

    play(story, releases())


def test_completions_are_worked_off_no_more_at_a_time_than_allowed() -> None:
    async def story(stage: Stage) -> None:
        most = 0

        def look(_old: Json | None, _new: Json | None) -> None:
            nonlocal most
            found = stage.plane.informers.pods.select("namespace", SPACE)
            running = [p for p in found if p.get("status", {}).get("phase") != "Succeeded"]
            most = max(most, len(running))

        stage.plane.informers.pods.on_change(look)
        make(stage, "many", "v1-done", completions=5, parallelism=2)
        await stage.pass_time(20)

        assert (status(stage, "many")["succeeded"], most) == (5, 2)
        assert said(stage, "many")[-1][0] == "Complete"

    play(story, releases())


def test_without_completions_the_first_success_ends_the_work() -> None:
    async def story(stage: Stage) -> None:
        body = job("queue", "v1-done", parallelism=3)
        stage.admin.create("jobs", SPACE, body)
        await stage.pass_time(10)

        assert "completions" not in stage.admin.get("jobs", SPACE, "queue")["spec"]
        assert status(stage, "queue")["succeeded"] == 3
        assert said(stage, "queue")[-1][0] == "Complete"

    play(story, releases())


def test_indexed_pods_know_their_number() -> None:
    async def story(stage: Stage) -> None:
        make(stage, "shard", "v1-done", completions=4, parallelism=2, completionMode="Indexed")
        await stage.pass_time(20)

        assert status(stage, "shard")["completedIndexes"] == "0-3"
        found = pods(stage, "shard")
        assert sorted(pod["metadata"]["annotations"][INDEX] for pod in found) == list("0123")
        for pod in found:
            index = pod["metadata"]["labels"][INDEX]
            assert pod["metadata"]["name"].startswith(f"shard-{index}-")
            assert pod["spec"]["hostname"] == f"shard-{index}"
            names = [each["name"] for each in pod["spec"]["containers"][0]["env"]]
            assert names == ["JOB_COMPLETION_INDEX"]

    play(story, releases())


def test_a_deadline_stops_all_pods_and_fails_the_job() -> None:
    async def story(stage: Stage) -> None:
        make(stage, "late", "v1-stays", activeDeadlineSeconds=5)
        await stage.pass_time(20)

        assert said(stage, "late")[-1] == ("Failed", "True", "DeadlineExceeded")
        expected = "Job was active longer than specified deadline"
        assert stage.messages("DeadlineExceeded") == [expected]
        assert pods(stage, "late") == []

    play(story, releases())


def test_a_suspended_job_has_no_pods_until_it_is_resumed_and_stops_when_suspended_again() -> None:
    async def story(stage: Stage) -> None:
        make(stage, "wait", "v1-stays", suspend=True)
        await stage.pass_time(5)
        assert pods(stage, "wait") == []
        assert said(stage, "wait") == [("Suspended", "True", "JobSuspended")]
        assert "startTime" not in status(stage, "wait")

        stage.admin.patch("jobs", SPACE, "wait", {"spec": {"suspend": False}})
        await stage.pass_time(5)
        assert said(stage, "wait") == [("Suspended", "False", "JobResumed")]
        assert status(stage, "wait")["active"] == 1

        stage.admin.patch("jobs", SPACE, "wait", {"spec": {"suspend": True}})
        await stage.pass_time(5)
        assert pods(stage, "wait") == []
        assert said(stage, "wait") == [("Suspended", "True", "JobSuspended")]
        assert reasons(stage, "wait").count("Suspended") >= 1

    play(story, releases())


def test_a_finished_job_is_deleted_when_its_time_is_over() -> None:
    async def story(stage: Stage) -> None:
        make(stage, "ttl", "v1-done", ttlSecondsAfterFinished=30)
        await stage.pass_time(25)
        assert said(stage, "ttl")[-1][0] == "Complete"

        await stage.pass_time(20)
        with pytest.raises(ApiError, match="not found"):
            stage.admin.get("jobs", SPACE, "ttl")
        assert pods(stage, "ttl") == []

    play(story, releases())


@pytest.mark.parametrize("propagation", ["Background", "Foreground"])
@pytest.mark.parametrize("tag", ["v1-stays", "v1-done"], ids=["running", "done"])
def test_pods_go_with_their_job(propagation: str, tag: str) -> None:
    async def story(stage: Stage) -> None:
        make(stage, "gone", tag)
        await stage.pass_time(5)
        stage.admin.delete("jobs", SPACE, "gone", propagation=propagation)
        await stage.pass_time(10)

        assert pods(stage, "gone") == []
        with pytest.raises(ApiError, match="not found"):
            stage.admin.get("jobs", SPACE, "gone")

    play(story, releases())


def test_orphaned_pods_stay_and_are_no_longer_held() -> None:
    async def story(stage: Stage) -> None:
        make(stage, "left", "v1-stays")
        await stage.pass_time(5)
        stage.admin.delete("jobs", SPACE, "left", propagation="Orphan")
        await stage.pass_time(5)

        [pod] = pods(stage, "left")
        assert "ownerReferences" not in pod["metadata"]
        assert "finalizers" not in pod["metadata"]

    play(story, releases())


def test_a_deleted_pod_counts_as_a_failure_and_is_replaced() -> None:
    async def story(stage: Stage) -> None:
        make(stage, "steady", "v1-stays")
        await stage.pass_time(5)
        first = pods(stage, "steady")[0]["metadata"]["name"]
        stage.admin.delete("pods", SPACE, first)
        await stage.pass_time(30)

        assert status(stage, "steady")["failed"] == 1
        [pod] = pods(stage, "steady")
        assert pod["metadata"]["name"] != first

    play(story, releases())


def test_every_end_is_counted_once_even_when_pods_vanish_right_after() -> None:
    async def story(stage: Stage) -> None:
        make(stage, "many", "v1-done", completions=6, parallelism=6)
        await stage.pass_time(1.5)
        for pod in pods(stage, "many"):
            stage.admin.delete("pods", SPACE, pod["metadata"]["name"], grace=0)
        await stage.pass_time(20)

        assert status(stage, "many")["succeeded"] == 6
        assert get_condition(status(stage, "many"), "Complete") is not None

    play(story, releases())


@given(st.sets(st.integers(0, 300)))
def test_indexes_are_written_as_ranges_and_read_back(indexes: set[int]) -> None:
    text = format_indexes(indexes)

    assert parse_indexes(text) == indexes
    assert all(part.count("-") <= 1 for part in text.split(","))


def test_what_never_changes_in_a_job_is_refused() -> None:
    async def story(stage: Stage) -> None:
        make(stage, "fixed", "v1-stays")
        with pytest.raises(ApiError, match="completions: Invalid value: 3: field is immutable"):
            stage.admin.patch("jobs", SPACE, "fixed", {"spec": {"completions": 3}})
        other = {"containers": [{"name": "m", "image": "registry.example/migrate:v2"}]}
        with pytest.raises(ApiError, match="field is immutable"):
            patch = {"spec": {"template": {"spec": other}}}
            stage.admin.patch("jobs", SPACE, "fixed", patch, kind=PatchType.STRATEGIC)

    play(story, releases())


def test_a_job_starts_when_it_is_first_seen() -> None:
    async def story(stage: Stage) -> None:
        made = make(stage, "new", "v1-stays")
        await stage.pass_time(2)
        begun = parse_timestamp(status(stage, "new")["startTime"])

        assert isinstance(begun, datetime)
        wait = begun - parse_timestamp(made["metadata"]["creationTimestamp"])
        assert 0 <= wait.total_seconds() <= 1

    play(story, releases())


def policy(action: str, *codes: int) -> Json:
    return {"rules": [{"action": action, "onExitCodes": {"operator": "In", "values": list(codes)}}]}


def test_a_failure_policy_ends_a_job_at_once() -> None:
    async def story(stage: Stage) -> None:
        make(stage, "bad", "v1-fail", podFailurePolicy=policy("FailJob", 1))
        await stage.pass_time(10)

        assert said(stage, "bad") == [
            ("FailureTarget", "True", "PodFailurePolicy"),
            ("Failed", "True", "PodFailurePolicy"),
        ]
        [pod] = pods(stage, "bad")
        assert status(stage, "bad")["conditions"][0]["message"] == (
            f"Container m for pod {SPACE}/{pod['metadata']['name']} failed with exit code 1 "
            "matching FailJob rule at index 0"
        )

    play(story, releases())


def test_a_failure_policy_may_leave_failures_uncounted_and_counts_others() -> None:
    async def story(stage: Stage) -> None:
        make(stage, "ignored", "v1-fail", backoffLimit=0, podFailurePolicy=policy("Ignore", 1))
        make(stage, "counted", "v1-fail", backoffLimit=0, podFailurePolicy=policy("Ignore", 2))
        await stage.pass_time(20)

        assert said(stage, "ignored") == []
        assert "failed" not in status(stage, "ignored")
        assert len(pods(stage, "ignored")) >= 2
        assert said(stage, "counted")[-1] == ("Failed", "True", "BackoffLimitExceeded")

    play(story, releases())
