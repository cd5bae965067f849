"""What pods answer: by release, by path, by age; and who is told of it."""

from __future__ import annotations

import asyncio
import math

import pytest

from veza_nb.sandbox.clock import Clock
from veza_nb.sandbox.nodes.behaviors import Behavior
from veza_nb.sandbox.nodes.endpoint import REFUSED, Answer, Endpoints, Share

BACKEND = "registry.veza.example/veza-backend-api:v1"
TRACKS = "/api/v1/tracks"


def ask(behavior: Behavior, path: str, age: float, image: str = BACKEND) -> Answer:
    """Ask a pod whose only container has been running for so many seconds."""
    clock = Clock()

    async def story() -> Answer:
        clock.fast_forward()
        endpoints = Endpoints(clock)
        endpoints.open("uid", "c", image, behavior)
        await clock.sleep(age)
        return endpoints.answer("uid", "GET", path)

    with asyncio.Runner(loop_factory=clock.new_event_loop) as runner:
        return runner.run(story())


@pytest.mark.parametrize(
    ("behavior", "path", "status"),
    [
        (Behavior(), TRACKS, 200),
        (Behavior(), "/nope", 404),
        (Behavior(), "/readyz", 200),
        (Behavior(), "/livez", 200),
        (Behavior(error_rate=1), TRACKS, 500),
        (Behavior(error_rate=1), "/health", 200),
        (Behavior(error_rate=1), "/livez", 200),
        (Behavior(ready_seconds=None), "/health", 503),
        (Behavior(ready_seconds=None), TRACKS, 503),
        (Behavior(ready_seconds=None), "/livez", 200),
        (Behavior(unready_after_seconds=10), "/health", 503),
        (Behavior(unready_after_seconds=2, unready_seconds=5), "/health", 200),
        (Behavior(unready_after_seconds=11), "/health", 200),
        (Behavior(broken_after_seconds=10), "/livez", 500),
        (Behavior(hangs_after_seconds=10), "/livez", 504),
    ],
)
def test_a_release_decides_about_the_status(behavior: Behavior, path: str, status: int) -> None:
    assert status == ask(behavior, path, age=10).status


def test_an_image_of_unknown_shape_has_every_page() -> None:
    assert ask(Behavior(), "/nope", age=1, image="web:v1").status == 200


def test_a_slow_release_takes_its_time_and_a_stuck_one_never_answers() -> None:
    assert ask(Behavior(latency_seconds=0.8), TRACKS, age=1).seconds == 0.8
    assert ask(Behavior(hangs_after_seconds=0), TRACKS, age=1).seconds == math.inf


def test_where_nothing_runs_the_connection_is_refused() -> None:
    endpoints = Endpoints(Clock())

    assert endpoints.answer("uid", "GET", "/").status == REFUSED
    endpoints.open("uid", "c", BACKEND, Behavior())
    assert endpoints.answer("uid", "GET", "/", "other").status == REFUSED
    endpoints.close("uid", "c")
    assert endpoints.answer("uid", "GET", "/").status == REFUSED


def test_a_sidecar_is_not_who_is_asked() -> None:
    endpoints = Endpoints(Clock())
    endpoints.open("uid", "proxy", "proxy:v1", Behavior(ready_seconds=0), is_sidecar=True)
    endpoints.open("uid", "c", BACKEND, Behavior(ready_seconds=0))

    assert endpoints.answer("uid", "GET", "/nope").status == 404
    assert endpoints.answer("uid", "GET", "/nope", "proxy").status == 200


def test_whoever_counts_requests_is_told_of_every_one() -> None:
    endpoints = Endpoints(Clock())
    endpoints.open("uid", "c", BACKEND, Behavior(ready_seconds=0, latency_seconds=0.2))
    seen: list[tuple[str, str, str, int, float]] = []
    endpoints.on_request(lambda *request: seen.append(request))

    endpoints.answer("uid", "GET", TRACKS)
    endpoints.answer("uid", "GET", "/nope")

    assert seen == [("uid", "GET", TRACKS, 200, 0.2), ("uid", "GET", "/nope", 404, 0.2)]


def test_a_page_of_its_own_is_answered_by_every_pod() -> None:
    endpoints = Endpoints(Clock())
    endpoints.own_page("/metrics", lambda uid: ("text/plain", f"pod {uid}"))
    endpoints.open("uid", "c", BACKEND, Behavior())

    given = endpoints.answer("uid", "GET", "/metrics")

    assert (given.status, given.content_type, given.body) == (200, "text/plain", "pod uid")


def test_failures_are_spread_evenly() -> None:
    share = Share()

    taken = [share.take(0.4) for _ in range(10)]

    assert sum(taken) == 4
    assert taken[:5] == [True, False, True, False, False]
