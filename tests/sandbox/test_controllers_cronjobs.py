"""Schedules and the CronJobs that follow them."""

from __future__ import annotations

from datetime import UTC, datetime, timedelta
from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st

from tests.sandbox.planes import SPACE, Stage, play
from tests.sandbox.test_controllers_jobs import job, releases
from veza_nb.sandbox.clock import parse_timestamp
from veza_nb.sandbox.controllers.cronjob import SCHEDULED
from veza_nb.sandbox.controllers.schedules import parse_schedule

Json = dict[str, Any]
START = datetime(2026, 2, 27, 12, 30, 20, tzinfo=UTC)


@pytest.mark.parametrize(
    ("text", "expected"),
    [
        ("* * * * *", "2026-02-27T12:31"),
        ("*/15 * * * *", "2026-02-27T12:45"),
        ("0 3 * * *", "2026-02-28T03:00"),
        ("30 12 * * *", "2026-02-28T12:30"),
        ("0 0 1 * *", "2026-03-01T00:00"),
        ("0 0 29 2 *", "2028-02-29T00:00"),
        ("0 9 * * mon-fri", "2026-03-02T09:00"),
        ("0 9 * * 7", "2026-03-01T09:00"),
        ("0 0 13 * fri", "2026-03-06T00:00"),
        ("5,35 12 * jan,feb *", "2026-02-27T12:35"),
        ("@hourly", "2026-02-27T13:00"),
        ("@monthly", "2026-03-01T00:00"),
    ],
)
def test_the_next_time_of_a_schedule(text: str, expected: str) -> None:
    found = parse_schedule(text).next_after(START)

    assert found is not None
    assert found.isoformat(timespec="minutes").removesuffix("+00:00") == expected


def test_a_schedule_for_a_day_that_never_comes_has_no_time() -> None:
    assert parse_schedule("0 0 31 2 *").next_after(START) is None


words = st.sampled_from(["*", "*/7", "3", "5-20", "10,40", "0"])


@given(minute=words, hour=st.sampled_from(["*", "*/5", "2", "8-17"]), days=st.integers(0, 400))
def test_the_latest_time_is_the_last_of_the_next_ones(minute: str, hour: str, days: int) -> None:
    schedule = parse_schedule(f"{minute} {hour} * * *")
    begin = START + timedelta(days=days)
    until = begin + timedelta(hours=30)
    expected, found = None, schedule.next_after(begin)
    while found is not None and found <= until:
        expected, found = found, schedule.next_after(found)

    assert schedule.latest(begin, until) == expected


def cron(name: str, schedule: str, tag: str = "v1-done", **spec: Any) -> Json:
    template = {"spec": job("x", tag)["spec"]}
    body = {"schedule": schedule, "jobTemplate": template, **spec}
    return {"metadata": {"name": name}, "spec": body}


def jobs(stage: Stage) -> list[Json]:
    return stage.admin.list("jobs", SPACE)


def status(stage: Stage, name: str = "c") -> Json:
    found: Json = stage.admin.get("cronjobs", SPACE, name).get("status", {})
    return found


def make(stage: Stage, *given_: Any, **spec: Any) -> None:
    stage.admin.create("cronjobs", SPACE, cron("c", *given_, **spec))


def test_a_job_is_started_every_minute_and_old_ones_are_cleared_away() -> None:
    async def story(stage: Stage) -> None:
        make(stage, "* * * * *")
        await stage.pass_time(6 * 60)
        found = jobs(stage)
        assert len(found) == 3
        times = sorted(
            parse_timestamp(each["metadata"]["annotations"][SCHEDULED]) for each in found
        )
        assert times[1] - times[0] == times[2] - times[1] == timedelta(minutes=1)
        assert {each["metadata"]["name"] for each in found} == {
            f"c-{int(when.timestamp()) // 60}" for when in times
        }
        last = max(times).strftime("%Y-%m-%dT%H:%M:%SZ")
        assert status(stage)["lastScheduleTime"] == last
        assert "lastSuccessfulTime" in status(stage)
        assert "active" not in status(stage)
        name = found[-1]["metadata"]["name"]
        assert f"Created job {name}" in stage.messages("SuccessfulCreate")
        assert f"Saw completed job: {name}, status: Complete" in stage.messages("SawCompletedJob")

    play(story, releases())


def test_a_running_job_is_active_and_holds_the_next_one_up_where_that_is_forbidden() -> None:
    async def story(stage: Stage) -> None:
        make(stage, "* * * * *", "v1-stays", concurrencyPolicy="Forbid")
        await stage.pass_time(4 * 60)
        [running] = jobs(stage)
        [active] = status(stage)["active"]

        assert active["name"] == running["metadata"]["name"]
        assert active["kind"] == "Job"
        assert stage.messages("JobAlreadyActive")

    play(story, releases())


def test_where_jobs_are_replaced_there_is_only_the_newest() -> None:
    async def story(stage: Stage) -> None:
        make(stage, "* * * * *", "v1-stays", concurrencyPolicy="Replace")
        await stage.pass_time(4 * 60 + 10)

        [running] = jobs(stage)
        assert [each["uid"] for each in status(stage)["active"]] == [running["metadata"]["uid"]]
        assert len(stage.messages("SuccessfulDelete")) >= 2

    play(story, releases())


def test_a_suspended_cron_job_starts_nothing_and_its_jobs_go_with_it() -> None:
    async def story(stage: Stage) -> None:
        make(stage, "* * * * *", suspend=True)
        await stage.pass_time(180)
        assert jobs(stage) == []

        stage.admin.patch("cronjobs", SPACE, "c", {"spec": {"suspend": False}})
        await stage.pass_time(120)
        assert jobs(stage)
        stage.admin.delete("cronjobs", SPACE, "c", propagation="Background")
        await stage.pass_time(10)
        assert jobs(stage) == []

    play(story, releases())
