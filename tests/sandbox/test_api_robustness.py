"""Nothing that a client sends brings the server down."""

from __future__ import annotations

import json
import socket
import ssl
from typing import Any

import pytest

from tests.sandbox.conftest import NAMESPACE, ApiInProcess, ApiServer, deployment
from veza_nb.sandbox.apiserver.client import PatchType

DEPLOYMENTS = f"/apis/apps/v1/namespaces/{NAMESPACE}/deployments"
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
