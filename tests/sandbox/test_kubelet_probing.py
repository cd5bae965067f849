"""A probe that sleeps while nothing can change sees exactly what one that never sleeps would."""

from __future__ import annotations

import asyncio
import math
from typing import Any

from hypothesis import example, given, settings
from hypothesis import strategies as st

from veza_nb.sandbox.clock import Clock
from veza_nb.sandbox.nodes.behaviors import Behavior
from veza_nb.sandbox.nodes.endpoint import Endpoints
from veza_nb.sandbox.nodes.host import Timers
from veza_nb.sandbox.nodes.probes import READINESS, Probe, Target

Json = dict[str, Any]
HORIZON = 200
moments = st.one_of(st.none(), st.integers(0, 120).map(float), st.just(0.3))
behaviors = st.builds(
    Behavior,
    ready_seconds=moments,
    unready_after_seconds=moments,
    unready_seconds=moments,
    broken_after_seconds=moments,
    hangs_after_seconds=moments,
)
probes = st.fixed_dictionaries(
    {
        "httpGet": st.just({"path": "/health", "port": 8080}),
        "initialDelaySeconds": st.integers(0, 40),
        "periodSeconds": st.integers(1, 30),
        "failureThreshold": st.integers(1, 5),
        "successThreshold": st.integers(1, 4),
    }
)
Seen = list[tuple[float, bool]]


def asked_when_due(behavior: Behavior, spec: Json) -> tuple[list[float], Seen, int]:
    """What the probe does: when it failed, when its verdict turned, how often it asked."""
    clock = Clock()
    failures: list[float] = []
    turns: Seen = []
    asked = []

    async def story() -> None:
        clock.fast_forward()
        endpoints, timers, began = Endpoints(clock), Timers(clock), clock.monotonic()
        endpoints.open("uid", "c", "app:v1", behavior)
        endpoints.on_request(lambda *request: asked.append(request))
        target = Target(endpoints, "uid", "10.0.0.1", {"name": "c"}, behavior)
        Probe(
            READINESS,
            spec,
            target,
            began,
            clock,
            timers,
            lambda _: failures.append(round(clock.monotonic() - began, 3)),
            lambda passing: turns.append((round(clock.monotonic() - began, 3), passing)),
        ).begin()
        await clock.sleep(HORIZON)

    with asyncio.Runner(loop_factory=clock.new_event_loop) as runner:
        runner.run(story())
    return failures, turns, len(asked)


def asked_always(behavior: Behavior, spec: Json) -> tuple[list[float], Seen, int]:
    """What a probe would do that asks at every turn."""
    failures, turns, asked = [], [], 0
    passing: bool | None = None
    good = bad = 0
    for age in turns_of(behavior, spec):
        asked += 1
        well = behavior.is_ready(age) and not behavior.is_broken(age) and not behavior.hangs(age)
        good, bad = (good + 1, 0) if well else (0, bad + 1)
        if not well:
            failures.append(round(age, 3))
        verdict = passing
        if good >= spec["successThreshold"]:
            verdict = True
        elif bad >= spec["failureThreshold"]:
            verdict = False
        if verdict is not passing and verdict is not None:
            turns.append((round(age, 3), verdict))
        passing = verdict
    return failures, turns, asked


def turns_of(behavior: Behavior, spec: Json) -> list[float]:
    period, ready = spec["periodSeconds"], behavior.ready_seconds
    first = ready if ready is not None and ready < period else min(0.5, period)
    ages = (first + number * period for number in range(math.ceil(HORIZON / period)))
    return [age for age in ages if spec["initialDelaySeconds"] <= age < HORIZON]


@settings(max_examples=150, deadline=None)
@given(behavior=behaviors, spec=probes)
@example(
    behavior=Behavior(unready_after_seconds=20.3, unready_seconds=5.0),
    spec={
        "httpGet": {"path": "/health", "port": 8080},
        "initialDelaySeconds": 0,
        "periodSeconds": 5,
        "failureThreshold": 1,
        "successThreshold": 1,
    },
)
def test_sleeping_loses_nothing(behavior: Behavior, spec: Json) -> None:
    failures, turns, asked = asked_when_due(behavior, spec)

    expected_failures, expected_turns, most = asked_always(behavior, spec)
    assert expected_failures == failures
    assert expected_turns == turns
    assert asked <= most


def test_a_good_release_is_asked_once() -> None:
    spec = {"httpGet": {"path": "/health", "port": 8080}, "periodSeconds": 5}

    assert asked_when_due(Behavior(), spec) == ([], [(0.3, True)], 1)
