"""Watches, over real connections and in process."""

from __future__ import annotations

import asyncio
import contextlib
import gc
import json
import socket
import threading
import warnings
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import httpx
import pytest

from tests.sandbox.conftest import NAMESPACE, ApiInProcess, ApiServer, pod, recording_lines
from tests.sandbox.recorded import at_version, normalised
from veza_nb.sandbox.apiserver.client import Client, Subscription

Json = dict[str, Any]
PODS = f"/api/v1/namespaces/{NAMESPACE}/pods"
TABLE = "application/json;as=Table;v=v1;g=meta.k8s.io,application/json"


def _lines(response: httpx.Response, count: int) -> list[Json]:
    found: list[Json] = []
    for line in response.iter_lines():
        found.append(json.loads(line))
        if len(found) == count:
            break
    return found


def _told(events: list[Json]) -> list[tuple[str, str]]:
    return [(each["type"], each["object"]["metadata"].get("name", "")) for each in events]


def test_a_watch_tells_what_is_there_and_then_every_change(server: ApiServer) -> None:
    server.as_admin(lambda client: client.create("pods", NAMESPACE, pod("a")))

    with server.http() as http, http.stream("GET", f"{PODS}?watch=1") as response:
        assert response.headers["content-type"] == "application/json"
        lines = response.iter_lines()
        first = json.loads(next(lines))
        server.as_admin(lambda client: client.create("pods", NAMESPACE, pod("b")))
        patch = {"metadata": {"labels": {"x": "y"}}}
        server.as_admin(lambda client: client.patch("pods", NAMESPACE, "a", patch))
        server.as_admin(lambda client: client.delete("pods", NAMESPACE, "b"))
        rest = [json.loads(next(lines)) for _ in range(4)]

    # A pod is seen without grace before it is seen to be gone.
    assert _told([first, *rest]) == [
        ("ADDED", "a"),
        ("ADDED", "b"),
        ("MODIFIED", "a"),
        ("MODIFIED", "b"),
        ("DELETED", "b"),
    ]
    versions = [int(each["object"]["metadata"]["resourceVersion"]) for each in [first, *rest]]
    assert sorted(versions) == versions


def test_a_watch_goes_on_from_a_version(server: ApiServer) -> None:
    made = server.as_admin(lambda client: client.create("pods", NAMESPACE, pod("a")))
    server.as_admin(lambda client: client.create("pods", NAMESPACE, pod("b")))
    version = made["metadata"]["resourceVersion"]
    path = f"{PODS}?watch=true&resourceVersion={version}&timeoutSeconds=1"

    with server.http() as http:
        events = [json.loads(line) for line in http.get(path).text.splitlines()]

    assert _told(events) == [("ADDED", "b")]


def test_a_watch_ends_by_its_timeout_with_a_bookmark_before(server: ApiServer) -> None:
    path = f"{PODS}?watch=true&timeoutSeconds=2&allowWatchBookmarks=true"

    with server.http() as http:
        events = [json.loads(line) for line in http.get(path).text.splitlines()]

    assert [normalised(recording_lines("watch/24-bookmark.jsonl")[0])] == normalised(events)


def test_a_streamed_list_ends_with_the_recorded_bookmark(server: ApiServer) -> None:
    server.as_admin(lambda client: client.create("pods", NAMESPACE, pod("a")))
    path = (
        f"{PODS}?watch=true&sendInitialEvents=true&resourceVersionMatch=NotOlderThan"
        "&resourceVersion=&allowWatchBookmarks=true"
    )
    with server.http() as http, http.stream("GET", path) as response:
        events = _lines(response, 2)

    assert events[0]["type"] == "ADDED"
    assert normalised(recording_lines("watch/24-initial-events.jsonl")[-1]) == normalised(events[1])


def test_a_watch_from_a_forgotten_version_is_told_so(server: ApiServer) -> None:
    at_version(server, 885)

    with server.http() as http:
        events = http.get(f"{PODS}?watch=true&resourceVersion=1").text.splitlines()

    assert recording_lines("watch/24-410-gone.jsonl") == [json.loads(each) for each in events]


def test_a_watch_in_columns_names_them_once(server: ApiServer) -> None:
    server.as_admin(lambda client: client.create("pods", NAMESPACE, pod("a")))
    server.as_admin(lambda client: client.create("pods", NAMESPACE, pod("b")))

    with (
        server.http() as http,
        http.stream("GET", f"{PODS}?watch=true", headers={"Accept": TABLE}) as response,
    ):
        first, second = _lines(response, 2)

    assert first["object"]["columnDefinitions"][0]["name"] == "Name"
    assert second["object"]["columnDefinitions"] is None
    assert second["object"]["rows"][0]["cells"][:3] == ["b", "0/1", "Pending"]


def test_clients_that_leave_are_forgotten(server: ApiServer) -> None:
    with server.http() as http:
        for _ in range(5):
            with http.stream("GET", f"{PODS}?watch=true") as response:
                assert response.status_code == 200

    table = server.api.core.store.table("pods")
    gone = threading.Event()

    def look(client: Client) -> bool:
        return not table.followers

    for _ in range(200):
        if server.as_admin(look):
            break
        gone.wait(0.01)
    assert server.as_admin(look)


def test_a_client_that_does_not_read_holds_nobody_up(server: ApiServer) -> None:
    token = server.credentials.tokens["admin"]
    path = f"/api/v1/namespaces/{NAMESPACE}/configmaps?watch=true"
    port = int(server.url.rpartition(":")[2])
    context = server.credentials.client_context()
    raw = socket.create_connection(("127.0.0.1", port), timeout=5)
    with context.wrap_socket(raw, server_hostname="127.0.0.1") as sleeper:
        head = f"GET {path} HTTP/1.1\r\nHost: x\r\nAuthorization: Bearer {token}\r\n\r\n"
        sleeper.sendall(head.encode())
        with server.http() as http, http.stream("GET", path) as response:
            for number in range(40):
                body = {"metadata": {"name": f"c{number:02}"}, "data": {"a": "x" * 250_000}}
                server.as_admin(
                    lambda client, body=body: client.create("configmaps", NAMESPACE, body)
                )
            told = _told(_lines(response, 40))

    assert told == [("ADDED", f"c{number:02}") for number in range(40)]


def test_stopping_the_server_ends_its_watches(tmp_path: Path) -> None:
    server = ApiServer(tmp_path)
    server.start()

    with server.http() as http, http.stream("GET", f"{PODS}?watch=true") as response:
        server.stop()
        with contextlib.suppress(httpx.TransportError):
            assert list(response.iter_lines()) == []


def test_stopping_the_server_closes_connections_that_clients_keep(tmp_path: Path) -> None:
    server = ApiServer(tmp_path)
    server.start()
    with server.http() as http, warnings.catch_warnings(record=True) as told:
        warnings.simplefilter("always", ResourceWarning)
        http.get("/healthz")
        server.stop()
        del server
        gc.collect()

    assert [str(each.message) for each in told] == []


@pytest.fixture
def loop() -> Iterator[asyncio.Runner]:
    with asyncio.Runner() as runner:
        yield runner


async def _take(watch: Subscription, count: int) -> list[tuple[str, str]]:
    found = []
    async with asyncio.timeout(5):
        async for kind, document in watch:
            found.append((kind, document["metadata"]["name"]))
            if len(found) == count:
                break
    return found


def test_an_object_enters_and_leaves_a_selection(
    cluster: ApiInProcess, loop: asyncio.Runner
) -> None:
    admin = cluster.admin
    watch = admin.watch("pods", NAMESPACE, label_selector="app=x")
    admin.create("pods", NAMESPACE, pod("a", app="y"))
    admin.patch("pods", NAMESPACE, "a", {"metadata": {"labels": {"app": "x"}}})
    admin.patch("pods", NAMESPACE, "a", {"metadata": {"labels": {"n": "1"}}})
    admin.patch("pods", NAMESPACE, "a", {"metadata": {"labels": {"app": "z"}}})

    told = loop.run(_take(watch, 3))

    assert told == [("ADDED", "a"), ("MODIFIED", "a"), ("DELETED", "a")]


def test_one_name_can_be_watched(cluster: ApiInProcess, loop: asyncio.Runner) -> None:
    watch = cluster.admin.watch("pods", NAMESPACE, field_selector="metadata.name=b")
    for name in ("a", "b", "c"):
        cluster.admin.create("pods", NAMESPACE, pod(name))
    cluster.admin.delete("pods", NAMESPACE, "b")

    assert loop.run(_take(watch, 3)) == [("ADDED", "b"), ("MODIFIED", "b"), ("DELETED", "b")]


def test_a_closed_watch_ends(cluster: ApiInProcess, loop: asyncio.Runner) -> None:
    async def close_while_waiting() -> list[tuple[str, str]]:
        watch = cluster.admin.watch("pods")
        waiting = asyncio.ensure_future(_take(watch, 1))
        await asyncio.sleep(0)
        watch.close()
        return await waiting

    assert loop.run(close_while_waiting()) == []


def test_a_hundred_watchers_see_every_change_in_order(
    cluster: ApiInProcess, loop: asyncio.Runner
) -> None:
    watches = [cluster.admin.watch("configmaps", NAMESPACE) for _ in range(100)]
    names = [f"c{number:03}" for number in range(100)]
    for name in names:
        cluster.admin.create("configmaps", NAMESPACE, {"metadata": {"name": name}})

    async def all_of_them() -> list[list[tuple[str, str]]]:
        return await asyncio.gather(*(_take(watch, 100) for watch in watches))

    wanted = [("ADDED", name) for name in names]
    assert all(wanted == told for told in loop.run(all_of_them()))


def test_a_watcher_that_falls_behind_the_history_is_told_and_ended(
    cluster: ApiInProcess, loop: asyncio.Runner
) -> None:
    watch = cluster.admin.watch("configmaps", NAMESPACE)
    for number in range(3):
        cluster.admin.create("configmaps", NAMESPACE, {"metadata": {"name": f"c{number}"}})
    cluster.api.core.store.compact(cluster.api.core.store.version)

    async def drain() -> list[Json]:
        return [document async for _, document in watch]

    told = loop.run(drain())

    assert [document["code"] for document in told] == [410]
