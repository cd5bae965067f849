"""Nothing that a client sends brings the server down."""

from __future__ import annotations

import contextlib
import json
import socket
import ssl
import time
from pathlib import Path
from typing import Any

import pytest

from tests.sandbox.conftest import NAMESPACE, ApiInProcess, ApiServer, deployment
from tests.sandbox.wire import HungUpError, Wire, message
from veza_nb.sandbox.apiserver.client import PatchType

DEPLOYMENTS = f"/apis/apps/v1/namespaces/{NAMESPACE}/deployments"
IDLE = 1000
MAPS = f"/api/v1/namespaces/{NAMESPACE}/configmaps"


@pytest.mark.parametrize(
    ("body", "code"),
    [
        (b"", 400),
        (b"{", 400),
        (b"null", 400),
        (b"[]", 400),
        (b"3", 400),
        (b'"text"', 400),
        (b"\xff\xfe", 400),
        (b"{}", 422),
        (b'{"metadata": []}', 400),
        (b'{"metadata": {"name": 3}}', 400),
        (b'{"metadata": {"name": "x", "labels": {"a": 1}}}', 400),
        (b'{"apiVersion": "v1"}', 400),
        (b'{"kind": "Pod"}', 400),
        (b'{"metadata": {"name": "x"}, "spec": {"replicas": 1e3}}', 400),
        (b'{"metadata": {"name": "x"}, "spec": {"replicas": NaN}}', 400),
        (b'{"metadata": {"name": "x"}, "spec": {"replicas": 99999999999}}', 400),
        (b'{"metadata": {"name": "x"}, "spec": ' + b"[" * 100_000 + b"}", 400),
    ],
)
def test_a_body_that_is_no_deployment_is_refused(
    cluster: ApiInProcess, body: bytes, code: int
) -> None:
    assert code == cluster.ask("POST", DEPLOYMENTS, body).status


@pytest.mark.parametrize(
    "amount", ["", "x", "1e999999999", "9" * 5000, "1.5.1", "1KiB", "--1", "1 Gi"]
)
def test_a_quantity_that_is_none_is_refused(cluster: ApiInProcess, amount: str) -> None:
    body = deployment()
    resources = {"limits": {"cpu": amount}}
    body["spec"]["template"]["spec"]["containers"][0]["resources"] = resources

    code, message = cluster.refusal("POST", DEPLOYMENTS, body)

    assert (code, "quantities must match" in message) == (400, True)


@pytest.mark.parametrize(
    "text",
    [
        b"a: [",
        b"? {a: b}\n: c\n",
        b"a: &x [1]\nb: *x\n",
        b"a: .nan\n",
        b"!!python/object/apply:os.system [ls]\n",
        b"a: !!binary AAAA\n",
        b"\x00",
    ],
)
def test_yaml_that_is_no_json_is_refused(cluster: ApiInProcess, text: bytes) -> None:
    answer = cluster.ask("POST", MAPS, text, content_type="application/yaml")

    assert answer.status == 400


def test_halves_of_characters_are_not_kept(cluster: ApiInProcess) -> None:
    body = b'{"metadata": {"name": "x"}, "data": {"a": "\\ud800"}}'

    made: Any = cluster.ask("POST", MAPS, body).document

    assert made["data"]["a"].encode("utf-8") == b"?"


@pytest.mark.parametrize(
    "path",
    [
        "/",
        "//",
        "/api//v1",
        "/apis/apps/v1/",
        f"/api/v1/namespaces/{NAMESPACE}/pods/../../secrets",
        f"/api/v1/namespaces/{NAMESPACE}/pods/%2e%2e",
        f"/api/v1/namespaces/{NAMESPACE}/pods/a/b/c/d",
        "/api/v1/namespaces//pods",
        "/api/v1/nodes/x/proxy",
        "/apis/apps/v1/namespaces/x/nodes",
        "/api/v1/" + "a" * 5000,
        "/api/v1/namespaces/\x00/pods",
        "/openapi/v3/apis/../api/v1",
    ],
)
@pytest.mark.parametrize("method", ["GET", "POST", "PUT", "PATCH", "DELETE", "OPTIONS", "BREW"])
def test_a_strange_path_is_answered_like_any_other(
    cluster: ApiInProcess, method: str, path: str
) -> None:
    assert cluster.ask(method, path, {}).status in (200, 400, 404, 405, 415)


def test_a_patch_of_a_wrong_shape_is_refused(cluster: ApiInProcess) -> None:
    cluster.ask("POST", DEPLOYMENTS, deployment())

    for kind in (PatchType.JSON, PatchType.MERGE, PatchType.STRATEGIC):
        for patch in (b"", b"nul", b"[[]]", b'"x"', b'{"spec": 3}', b'{"metadata": null}'):
            answer = cluster.ask("PATCH", f"{DEPLOYMENTS}/web", patch, content_type=kind)
            assert answer.status in (400, 422)


def test_a_body_of_more_than_three_mebibytes_is_refused(server: ApiServer) -> None:
    large = json.dumps({"metadata": {"name": "x"}, "data": {"a": "x" * (3 * 1024 * 1024)}})

    with server.http() as http:
        answer = http.post(MAPS, content=large, headers={"Content-Type": "application/json"})
        assert (answer.status_code, answer.json()["reason"]) == (413, "RequestEntityTooLarge")
        assert http.get("/healthz").text == "ok"


def _connect(server: ApiServer) -> ssl.SSLSocket:
    port = int(server.url.rpartition(":")[2])
    raw = socket.create_connection(("127.0.0.1", port), timeout=5)
    return server.credentials.client_context().wrap_socket(raw, server_hostname="127.0.0.1")


@pytest.mark.parametrize(
    "sent",
    [
        b"",
        b"\x16\x03\x01",
        b"GET /healthz",
        b"nonsense\r\n\r\n",
        b"POST /api/v1/namespaces HTTP/1.1\r\nHost: x\r\nContent-Length: 100\r\n\r\nshort",
        b"GET / HTTP/1.1\r\nHost: x\r\nTransfer-Encoding: chunked\r\n\r\nzz\r\n",
        b"GET /api/v1/namespaces/\xff\xfe/pods HTTP/1.1\r\nHost: x\r\nUser-Agent: \xff\r\n\r\n",
    ],
)
def test_a_connection_that_breaks_off_disturbs_nobody(server: ApiServer, sent: bytes) -> None:
    with _connect(server) as connection:
        connection.sendall(sent)
    with server.http() as http:
        assert http.get("/healthz").text == "ok"


def test_a_connection_without_tls_disturbs_nobody(server: ApiServer) -> None:
    port = int(server.url.rpartition(":")[2])
    with socket.create_connection(("127.0.0.1", port), timeout=5) as connection:
        connection.sendall(b"GET /healthz HTTP/1.1\r\n\r\n")
        assert connection.recv(1000) in (b"", b"HTTP/1.1 400 Bad Request\r\n")
    with server.http() as http:
        assert http.get("/healthz").text == "ok"


def test_many_requests_go_over_one_connection(server: ApiServer) -> None:
    with _connect(server) as connection:
        for _ in range(3):
            connection.sendall(b"GET /healthz HTTP/1.1\r\nHost: x\r\n\r\n")
            answer = b""
            while not answer.endswith(b"ok"):
                answer += connection.recv(1000)
            assert answer.startswith(b"HTTP/1.1 200 OK")


def test_an_answer_is_compressed_when_it_is_long_and_the_client_takes_it(
    server: ApiServer,
) -> None:
    body = {"metadata": {"name": "x"}, "data": {"a": "x" * 200_000}}
    server.as_admin(lambda client: client.create("configmaps", NAMESPACE, body))

    with server.http() as http:
        answer = http.get(MAPS)
        assert answer.headers["content-encoding"] == "gzip"
        assert answer.json()["items"][0]["data"] == body["data"]
        plain = http.get(MAPS, headers={"Accept-Encoding": "identity"})
        assert "content-encoding" not in plain.headers


def test_yaml_is_answered_to_those_who_ask_for_it(server: ApiServer) -> None:
    with server.http() as http:
        answer = http.get("/version", headers={"Accept": "application/yaml"})

    assert answer.headers["content-type"] == "application/yaml"
    assert "minor: '32'" in answer.text


# -- strange and slow clients ----------------------------------------------------------------------


def _wire(server: ApiServer) -> Wire:
    return Wire(server.url, server.credentials.client_context())


def _as_admin(server: ApiServer, **headers: str) -> dict[str, str]:
    named = {name.replace("_", "-"): value for name, value in headers.items()}
    return {"Authorization": f"Bearer {server.credentials.tokens['admin']}", **named}


def _is_up(server: ApiServer) -> bool:
    with server.http() as http:
        return http.get("/healthz").text == "ok"


def test_a_request_may_come_one_byte_at_a_time(server: ApiServer) -> None:
    with _wire(server) as wire:
        for byte in message("GET", "/healthz", _as_admin(server)):
            wire.send(bytes([byte]))

        assert wire.answer().body == b"ok"


def test_whoever_sends_no_request_is_sent_away(tmp_path: Path) -> None:
    server = ApiServer(tmp_path, head_seconds=0.3)
    server.start()
    try:
        with _wire(server) as silent, _wire(server) as slow:
            slow.send(b"GET /healthz HTTP/1.1\r\n")

            assert (silent.rest(), slow.rest()) == (b"", b"")
        # The time is that of a first request; afterwards a connection may be idle for long.
        with _wire(server) as idle:
            assert idle.ask(message("GET", "/healthz")).body == b"ok"
            time.sleep(0.5)
            assert idle.ask(message("GET", "/healthz")).body == b"ok"
    finally:
        server.stop()


def test_a_body_that_never_comes_is_given_up(tmp_path: Path) -> None:
    server = ApiServer(tmp_path, body_seconds=0.3)
    server.start()
    try:
        with _wire(server) as wire:
            head = message("POST", MAPS, _as_admin(server, Content_Type="application/json"))
            wire.send(head.replace(b"Content-Length: 0", b"Content-Length: 100") + b'{"a":')
            answer = wire.answer()

        assert (answer.status, answer.closes) == (504, True)
        assert b"request did not complete within the allotted timeout" in answer.body
        assert server.api.audit.entries[-1].code == 504
        assert _is_up(server)
    finally:
        server.stop()


def test_pipelined_requests_are_answered_in_their_order(server: ApiServer) -> None:
    paths = ["/healthz", f"{MAPS}/nothing", "/version", "/livez", "/nothing"] * 4
    with _wire(server) as wire:
        wire.send(b"".join(message("GET", path, _as_admin(server)) for path in paths))
        answers = [wire.answer() for _ in paths]

    assert [answer.status for answer in answers] == [200, 404, 200, 200, 404] * 4


def test_http_1_0_is_answered_and_the_connection_ends(server: ApiServer) -> None:
    request = message("GET", "/healthz", _as_admin(server)).replace(b"HTTP/1.1", b"HTTP/1.0")
    with _wire(server) as wire:
        answer = wire.ask(request)

        assert (answer.status, answer.body) == (200, b"ok")
        assert wire.rest() == b""


def test_a_client_that_closes_its_half_disturbs_nobody(server: ApiServer) -> None:
    with _wire(server) as wire:
        wire.send(message("GET", "/healthz", _as_admin(server)))
        wire.socket.shutdown(socket.SHUT_WR)
        wire.rest()

    assert _is_up(server)


@pytest.mark.parametrize(
    "garbage",
    [
        b"\x16\x03\x01\x00\x05\x01\x00\x00\x01\x00",
        b"\x16\x03\x03\xff\xff" + b"\x00" * 100,
        b"\x80\x2e\x01\x00\x02" + b"\xff" * 60,
        b"SSH-2.0-OpenSSH_9.2\r\n",
        bytes(range(256)) * 40,
    ],
)
def test_garbage_instead_of_tls_disturbs_nobody(server: ApiServer, garbage: bytes) -> None:
    port = int(server.url.rpartition(":")[2])
    with socket.create_connection(("127.0.0.1", port), timeout=5) as raw:
        raw.sendall(garbage)
        raw.shutdown(socket.SHUT_WR)
        with contextlib.suppress(ConnectionError):
            while raw.recv(4096):
                pass

    assert _is_up(server)


@pytest.mark.parametrize(
    "request_line",
    [b"GET", b"GET / HTTP/9.9", b"/ GET HTTP/1.1", b"BREW / HTTP/1.1", b"\x00\x01 / x"],
)
def test_what_is_no_http_is_a_bad_request(server: ApiServer, request_line: bytes) -> None:
    with _wire(server) as wire:
        wire.send(request_line + b"\r\nHost: x\r\n\r\n")
        answer = wire.answer()

        assert (answer.status, answer.body) == (400, b"400 Bad Request")
        assert wire.rest() == b""
    assert _is_up(server)


def test_a_head_of_a_mebibyte_is_refused(server: ApiServer) -> None:
    with _wire(server) as wire:
        # The server may hang up before it has heard it all.
        with contextlib.suppress(OSError):
            wire.send(message("GET", "/healthz", {"X-Much": "x" * 1024 * 1024}))
        with contextlib.suppress(HungUpError):
            assert wire.answer().status in (400, 431)

    assert _is_up(server)


@pytest.mark.parametrize("method", ["POST", "PUT", "PATCH", "DELETE"])
def test_a_body_that_is_too_long_is_refused_whatever_it_is_for(
    server: ApiServer, method: str
) -> None:
    body = b'{"data": "' + b"x" * (4 * 1024 * 1024) + b'"}'
    kind = "application/merge-patch+json" if method == "PATCH" else "application/json"
    server.as_admin(
        lambda client: client.create("configmaps", NAMESPACE, {"metadata": {"name": "x"}})
    )
    with _wire(server) as wire:
        path = MAPS if method == "POST" else f"{MAPS}/x"
        answer = wire.ask(message(method, path, _as_admin(server, Content_Type=kind), body))

    assert (answer.status, answer.closes) == (413, True)
    assert json.loads(answer.body)["message"] == "Request entity too large: limit is 3145728"
    assert server.api.audit.entries[-1].code == 413


def test_who_may_not_ask_learns_nothing_of_the_length(server: ApiServer) -> None:
    body = b"x" * (4 * 1024 * 1024)
    nobody = {"Authorization": f"Bearer {server.credentials.tokens['nobody']}"}
    with _wire(server) as wire:
        assert wire.ask(message("POST", MAPS, nobody, body)).status == 403


def test_a_thousand_idle_connections_are_in_nobody_s_way(server: ApiServer) -> None:
    context = server.credentials.client_context()
    with contextlib.ExitStack() as crowd:
        for number in range(IDLE):
            wire = crowd.enter_context(Wire(server.url, context))
            if number % 2:
                assert wire.ask(message("GET", "/healthz")).body == b"ok"
        with server.http() as http:
            for _ in range(20):
                assert http.get(DEPLOYMENTS).status_code == 200
    end = time.monotonic() + 20
    while server.connections() and time.monotonic() < end:
        time.sleep(0.02)

    assert server.connections() == 0


PODS = f"/api/v1/namespaces/{NAMESPACE}/pods"


@pytest.mark.parametrize(
    ("path", "code", "words"),
    [
        (f"{PODS}/..%2f..%2fsecrets", 404, "could not find the requested resource"),
        (f"{PODS}/%2e%2e", 404, 'pods \\"..\\" not found'),
        (f"{PODS}/a%00b", 404, "not found"),
        (f"{PODS}/{'x' * 4000}", 404, "not found"),
        (f"{PODS}?labelSelector=%28%28", 400, "BadRequest"),
        (f"{PODS}?continue=%FF", 400, "continue key is not valid"),
        (f"{PODS}?limit=x", 400, ""),
    ],
)
def test_tricks_with_paths_and_queries_are_answered_in_kubernetes_words(
    server: ApiServer, path: str, code: int, words: str
) -> None:
    with _wire(server) as wire:
        answer = wire.ask(message("GET", path, _as_admin(server)))

    assert (answer.status, words in answer.body.decode()) == (code, True), answer.body
