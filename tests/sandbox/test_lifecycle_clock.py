"""The cluster's time: real, scaled, and jumping."""

from __future__ import annotations

import asyncio
from datetime import UTC, datetime, timedelta

from veza_nb.sandbox.clock import Clock, parse_timestamp, timestamp

START = datetime(2026, 1, 1, tzinfo=UTC)


def run(clock: Clock, story: object) -> object:
    with asyncio.Runner(loop_factory=clock.new_event_loop) as runner:
        return runner.run(story)  # type: ignore[arg-type]


def test_days_pass_in_no_time_and_sleepers_wake_in_order() -> None:
    clock = Clock()
    woken: list[tuple[str, datetime]] = []

    async def sleeper(name: str, hours: float, times: int) -> None:
        for _ in range(times):
            await clock.sleep(hours * 3600)
            woken.append((name, clock.now()))

    async def story() -> None:
        clock.fast_forward(START)
        await asyncio.gather(sleeper("a", 10, 3), sleeper("b", 15, 1))

    run(clock, story())

    hours = [(name, round((at - START).total_seconds() / 3600)) for name, at in woken]
    assert hours == [("a", 10), ("b", 15), ("a", 20), ("a", 30)]


def test_after_history_the_time_is_the_real_time() -> None:
    clock = Clock()

    async def story() -> timedelta:
        clock.fast_forward(datetime.now(UTC) - timedelta(days=3))
        await clock.sleep(3 * 86400 - 60)
        clock.real_time()
        return datetime.now(UTC) - clock.now()

    assert abs(run(clock, story())) < timedelta(seconds=1)  # type: ignore[arg-type]


def test_time_does_not_jump_while_there_is_something_to_do() -> None:
    clock = Clock()

    async def story() -> float:
        clock.fast_forward(START)
        timer = asyncio.create_task(clock.sleep(5))
        before = clock.monotonic()
        for _ in range(100):
            await asyncio.sleep(0)
        stood = clock.monotonic() - before
        await timer
        return stood

    assert run(clock, story()) == 0.0


def test_a_cancelled_timer_does_not_fire() -> None:
    clock, fired = Clock(), []

    async def story() -> None:
        clock.fast_forward(START)
        clock.call_later(1, lambda: fired.append("cancelled")).cancel()
        clock.call_later(2, lambda: fired.append("kept"))
        await clock.sleep(3)

    run(clock, story())

    assert fired == ["kept"]


def test_timestamps_are_whole_seconds_and_read_back() -> None:
    text = timestamp(START + timedelta(microseconds=999_999))

    assert text == "2026-01-01T00:00:00Z"
    assert parse_timestamp(text) == START
