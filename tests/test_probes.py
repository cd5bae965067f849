"""An endpoint that seems well is asked again and more often; one that fails is left alone."""

import threading
from collections.abc import Iterator
from contextlib import contextmanager
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer

import pytest

from veza_nb.clock import SystemClock
from veza_nb.probes import CLOSER, Target, probe_closely


@contextmanager
def answering(*statuses: int) -> Iterator[tuple[str, list[int]]]:
    """A server that answers with these statuses, the last one for ever; and what it answered."""
    given: list[int] = []
    lock = threading.Lock()

    class Handler(BaseHTTPRequestHandler):
        def do_GET(self) -> None:
            with lock:
                status = statuses[min(len(given), len(statuses) - 1)]
                given.append(status)
            self.send_response(status)
            self.send_header("Content-Length", "0")
            self.end_headers()

        def log_message(self, *_: object) -> None:
            """Nobody reads it."""

    with ThreadingHTTPServer(("127.0.0.1", 0), Handler) as server:
        thread = threading.Thread(target=server.serve_forever)
        thread.start()
        try:
            yield f"http://127.0.0.1:{server.server_port}/health", given
        finally:
            server.shutdown()
            thread.join()


def asked(url: str, *, max_seconds: float = 5.0) -> tuple[int, int]:
    """How often it was asked, and how often it failed."""
    target = Target("health", url, 200, max_seconds)
    (seen,) = probe_closely([target], samples=5, timeout=5.0, clock=SystemClock())
    return seen.total, len(seen.failures)


def test_five_good_answers_do_not_hide_an_endpoint_that_fails_after_them() -> None:
    with answering(*[200] * 5, 500) as (url, _):
        total, failed = asked(url)

    assert (total, failed) == (5 + 5 * CLOSER, 5 * CLOSER)


def test_one_that_has_failed_already_is_not_asked_again() -> None:
    with answering(500, 200) as (url, given):
        assert asked(url) == (5, 1)
        assert len(given) == 5


def test_one_that_is_slow_already_is_not_asked_again() -> None:
    with answering(200) as (url, given):
        assert asked(url, max_seconds=0.0) == (5, 0)
        assert len(given) == 5


@pytest.mark.parametrize("samples", [0, 1])
def test_few_samples_are_few_answers(samples: int) -> None:
    with answering(200) as (url, _):
        target = Target("health", url, 200, 5.0)
        found = probe_closely([target], samples=samples, timeout=5.0, clock=SystemClock())

    assert [one.total for one in found] == [samples * (1 + CLOSER)] * bool(samples)
