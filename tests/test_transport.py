"""What goes wrong between here and the API server, said in one clear line each."""

import json
import socket
import threading
from collections.abc import Callable, Iterator
from contextlib import contextmanager, suppress
from datetime import UTC, datetime
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from pathlib import Path

import pytest
import yaml
from hypothesis import given
from hypothesis import strategies as st

from veza_nb import errors
from veza_nb.clock import ManualClock, SystemClock
from veza_nb.cluster import Cluster
from veza_nb.cluster.kubeconfig import load_access
from veza_nb.cluster.transport import LONGEST_PAUSE, pause

Answer = tuple[int, dict[str, str], bytes]


@contextmanager
def server(answers: Callable[[str, int], Answer]) -> Iterator[tuple[str, list[str]]]:
    """A real HTTP server that answers as told; the list fills with what was asked.

    `answers` is given a request such as "GET /version" and its number, from 1.
    """
    asked: list[str] = []
    counting = threading.Lock()

    class Handler(BaseHTTPRequestHandler):
        def do_GET(self) -> None:
            request = f"{self.command} {self.path}"
            with counting:
                asked.append(request)
                number = len(asked)
            self.rfile.read(int(self.headers.get("Content-Length", 0)))
            code, headers, body = answers(request, number)
            self.send_response_only(code)
            own = {"Date": self.date_time_string(), "Content-Length": str(len(body))}
            for name, value in {**own, **headers}.items():
                self.send_header(name, value)
            self.end_headers()
            self.wfile.write(body)

        do_POST = do_PUT = do_PATCH = do_GET  # noqa: N815 - the base class's spelling

        def log_message(self, format: str, *args: object) -> None:
            pass

    with ThreadingHTTPServer(("127.0.0.1", 0), Handler) as running:
        thread = threading.Thread(target=running.serve_forever, args=(0.01,), daemon=True)
        thread.start()
        yield f"http://127.0.0.1:{running.server_port}", asked
        running.shutdown()
        thread.join()


def kubeconfig(folder: Path, url: str) -> str:
    path = folder / "config"
    path.write_text(
        yaml.safe_dump(
            {
                "clusters": [{"name": "c", "cluster": {"server": url}}],
                "users": [{"name": "u", "user": {"token": "t-0123456789"}}],
                "contexts": [{"name": "c", "context": {"cluster": "c", "user": "u"}}],
                "current-context": "c",
            }
        )
    )
    return str(path)


def cluster_at(folder: Path, url: str, *, timeout: float = 5.0) -> tuple[Cluster, ManualClock]:
    clock = ManualClock()
    access = load_access(kubeconfig(folder, url))
    return Cluster(access, namespace="n", clock=clock, timeout=timeout), clock


def status(code: int, message: str) -> Answer:
    return code, {}, json.dumps({"kind": "Status", "code": code, "message": message}).encode()


@pytest.mark.parametrize(
    ("code", "kind", "exit_code"),
    [
        (401, errors.UnauthorizedError, 3),
        (403, errors.ForbiddenError, 3),
        (404, errors.NotFoundError, 2),
        (409, errors.ConflictError, 3),
        (422, errors.InvalidError, 3),
        (418, errors.ServerError, 1),
        (302, errors.ServerError, 1),
    ],
)
def test_each_refusal_of_the_server_is_its_own_error_with_its_words(
    tmp_path: Path, code: int, kind: type[errors.VezaError], exit_code: int
) -> None:
    with server(lambda *_: status(code, f"because of {code}")) as (url, asked):
        cluster, _ = cluster_at(tmp_path, url)
        with pytest.raises(kind, match=f"because of {code}") as caught:
            cluster.deployment("x")

    assert caught.value.exit_code == exit_code
    assert caught.value.next_step
    assert len(asked) == 1


@pytest.mark.parametrize("code", [429, 500, 502, 503, 504])
def test_reads_are_repeated_a_few_times_where_the_server_is_in_trouble(
    tmp_path: Path, code: int
) -> None:
    with server(lambda *_: status(code, "storage is (re)initializing")) as (url, asked):
        cluster, clock = cluster_at(tmp_path, url)
        with pytest.raises(errors.ServerError, match="storage"):
            cluster.deployment("x")

    assert len(asked) == 3
    assert 0 < clock.elapsed < 2


def test_a_read_that_works_at_the_second_try_is_a_success(tmp_path: Path) -> None:
    good: Answer = (200, {}, b'{"metadata": {"name": "x"}}')
    with server(lambda _, n: good if n > 1 else status(503, "wait")) as (url, _):
        cluster, _ = cluster_at(tmp_path, url)
        assert cluster.deployment("x").metadata.name == "x"


def test_retry_after_is_honoured_within_reason(tmp_path: Path) -> None:
    def answers(request: str, number: int) -> Answer:
        code, _, body = status(429, "too many")
        return code, {"Retry-After": "3" if number == 1 else "3600"}, body

    with server(answers) as (url, _):
        cluster, clock = cluster_at(tmp_path, url)
        with pytest.raises(errors.ServerError):
            cluster.deployment("x")

    assert clock.elapsed == 3 + 5


DATE = "Tue, 24 Nov 2026 08:39:12 GMT"


@pytest.mark.parametrize(
    ("value", "least", "most"),
    [
        ("Tue, 24 Nov 2026 08:39:14 GMT", 4, 4),
        ("Tue, 24 Nov 2026 09:39:14 GMT", 10, 10),
        ("Tue, 24 Nov 2026 08:00:00 GMT", 0.1, 1),
        ("soon", 0.1, 1),
        ("-3", 0.1, 1),
        ("Tue, 24 Nov 2026 08:39:14 -0000", 0.1, 1),
    ],
)
def test_retry_after_may_be_a_date_and_nonsense_is_none(
    tmp_path: Path, value: str, least: float, most: float
) -> None:
    def answers(request: str, number: int) -> Answer:
        code, _, body = status(503, "wait")
        return code, {"Retry-After": value, "Date": DATE}, body

    with server(answers) as (url, asked):
        cluster, clock = cluster_at(tmp_path, url)
        with pytest.raises(errors.ServerError):
            cluster.deployment("x")

    assert len(asked) == 3
    assert least <= clock.elapsed <= most


@given(st.integers(1, 1000), st.floats(0.001, 60))
def test_pauses_are_doubled_bounded_and_not_all_alike(attempt: int, first: float) -> None:
    whole = min(first * 2.0 ** min(attempt - 1, 10), LONGEST_PAUSE)
    pauses = {pause(attempt, first) for _ in range(20)}

    assert all(whole / 2 <= one <= whole for one in pauses)
    assert len(pauses) > 1


def test_a_patch_is_sent_once_whatever_the_server_answers(tmp_path: Path) -> None:
    with server(lambda *_: status(503, "wait")) as (url, asked):
        cluster, _ = cluster_at(tmp_path, url)
        with pytest.raises(errors.ServerError):
            cluster.patch_workload("x", [])

    assert [one.partition("?")[0] for one in asked] == [
        "PATCH /apis/apps/v1/namespaces/n/deployments/x"
    ]


def test_a_server_that_is_no_kubernetes_is_named(tmp_path: Path) -> None:
    with server(lambda *_: (200, {}, b"<html>Welcome</html>")) as (url, _):
        cluster, _ = cluster_at(tmp_path, url)
        with pytest.raises(errors.ServerError, match="not what a Kubernetes API server answers"):
            cluster.deployment("x")


def test_a_hanging_server_is_given_up_at_the_deadline(tmp_path: Path) -> None:
    with socket.create_server(("127.0.0.1", 0)) as listening:
        url = f"http://127.0.0.1:{listening.getsockname()[1]}"
        cluster, _ = cluster_at(tmp_path, url, timeout=0.2)
        with pytest.raises(errors.UnreachableError, match="did not answer within"):
            cluster.deployment("x")


@contextmanager
def dripping() -> Iterator[str]:
    """A server whose answers begin at once and never end, a byte at a time."""
    stopping = threading.Event()

    class Handler(BaseHTTPRequestHandler):
        def do_GET(self) -> None:
            self.send_response(200)
            self.send_header("Content-Length", "1000000")
            self.end_headers()
            with suppress(OSError):
                while not stopping.wait(0.01):
                    self.wfile.write(b" ")

        def log_message(self, format: str, *args: object) -> None:
            pass

    with ThreadingHTTPServer(("127.0.0.1", 0), Handler) as running:
        thread = threading.Thread(target=running.serve_forever, args=(0.01,), daemon=True)
        thread.start()
        yield f"http://127.0.0.1:{running.server_port}"
        stopping.set()
        running.shutdown()
        thread.join()


def test_an_answer_that_drips_is_given_up_at_the_deadline(tmp_path: Path) -> None:
    with dripping() as url:
        access = load_access(kubeconfig(tmp_path, url))
        cluster = Cluster(access, namespace="n", clock=SystemClock(), timeout=0.2)
        with pytest.raises(errors.UnreachableError, match="did not answer within"):
            cluster.deployment("x")


def test_an_answer_that_breaks_off_is_named_after_further_tries(tmp_path: Path) -> None:
    with server(lambda *_: (200, {"Content-Length": "100"}, b"{}")) as (url, asked):
        cluster, _ = cluster_at(tmp_path, url)
        with pytest.raises(errors.UnreachableError, match="broke"):
            cluster.deployment("x")

    assert 3 == len(asked)


@pytest.mark.parametrize(
    ("date", "known"),
    [("Thu, 01 Jan 2026 12:00:00 GMT", True), ("Thu, 01 Jan 2026 12:00:00 -0000", True),
     ("", False), ("yesterday", False)],
)  # fmt: skip
def test_the_servers_time_is_known_from_its_answers(tmp_path: Path, date: str, known: bool) -> None:
    with server(lambda *_: (200, {"Date": date}, b"{}")) as (url, _):
        cluster, clock = cluster_at(tmp_path, url)
        before = cluster.transport.server_now()
        cluster.transport.read("/version")
        clock.sleep(60)
        now = cluster.transport.server_now()

    expected = datetime(2026, 1, 1, 12, 1, 0, 500_000, tzinfo=UTC)
    assert before is None
    assert (expected if known else None) == now


def test_a_closed_port_is_named(tmp_path: Path) -> None:
    with socket.create_server(("127.0.0.1", 0)) as listening:
        port = listening.getsockname()[1]
    cluster, _ = cluster_at(tmp_path, f"http://127.0.0.1:{port}")

    with pytest.raises(errors.UnreachableError, match="does not accept connections"):
        cluster.deployment("x")


def test_an_unknown_host_is_named(tmp_path: Path) -> None:
    cluster, _ = cluster_at(tmp_path, "http://no-such-host.invalid:1")

    with pytest.raises(errors.UnreachableError, match="does not resolve"):
        cluster.deployment("x")


class TestKubeconfig:
    def test_missing_file_is_named(self, tmp_path: Path) -> None:
        with pytest.raises(errors.KubeconfigError, match="There is no kubeconfig at") as caught:
            load_access(str(tmp_path / "none"))

        assert caught.value.exit_code == 2

    def test_unknown_context_is_refused_with_those_that_exist(self, tmp_path: Path) -> None:
        path = kubeconfig(tmp_path, "https://127.0.0.1:1")

        with pytest.raises(errors.KubeconfigError, match="no context 'other'") as caught:
            load_access(path, "other")

        assert "It has: c." in caught.value.next_step

    @pytest.mark.parametrize(
        "text",
        [
            "",
            "{",
            "- 1",
            "contexts: 1",
            "current-context: c\ncontexts: [{}]",
            "current-context: c\ncontexts: [{name: c}]",
            "current-context: c\ncontexts: [{name: c, context: {cluster: x, user: u}}]",
            "apiVersion: v1\nkind: Config\n",
        ],
    )
    def test_broken_file_is_one_clear_line(self, tmp_path: Path, text: str) -> None:
        path = tmp_path / "broken"
        path.write_text(text)

        with pytest.raises(errors.KubeconfigError) as caught:
            load_access(str(path))

        assert str(path) in caught.value.what
        assert "\n" not in caught.value.what
