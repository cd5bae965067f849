"""`/log`: which container, which run, which lines."""

from __future__ import annotations

import asyncio
from datetime import UTC, datetime, timedelta
from typing import Any

import pytest

from tests.sandbox.conftest import NAMESPACE, ApiInProcess, ApiServer, pod
from veza_nb.sandbox.apiserver.client import Client
from veza_nb.sandbox.apiserver.logs import LogQuery, LogStore

Json = dict[str, Any]
LOG = f"/api/v1/namespaces/{NAMESPACE}/pods/web/log"
NOON = datetime(2026, 1, 2, 12, 0, 0, 123456, tzinfo=UTC)


def _running(client: Client, state: Json | None = None, restarts: int = 0, **more: Any) -> str:
    """Make a Pod whose container is in a state; return its uid."""
    made = client.create("pods", NAMESPACE, pod("web"))
    client.create(
        "pods", NAMESPACE, {"target": {"name": "node-1"}}, name="web", subresource="binding"
    )
    container = {
        "name": "main",
        "state": state or {"running": {"startedAt": "2026-01-02T12:00:00Z"}},
        "restartCount": restarts,
        **more,
    }
    status = {"status": {"phase": "Running", "containerStatuses": [container]}}
    client.patch("pods", NAMESPACE, "web", status, subresource="status")
    return str(made["metadata"]["uid"])


def _print(logs: LogStore, uid: str, *lines: str, run: int = 0) -> None:
    for second, line in enumerate(lines):
        logs.append(uid, "main", run, line, NOON + timedelta(seconds=second))


def _read(cluster: ApiInProcess, query: str = "") -> bytes:
    response = cluster.ask("GET", f"{LOG}?{query}")
    assert response.status == 200
    assert isinstance(response.text, bytes)
    return response.text


@pytest.mark.parametrize(
    ("query", "text"),
    [
        ("", b"one\ntwo\nthree\n"),
        ("tailLines=2", b"two\nthree\n"),
        ("tailLines=0", b""),
        ("tailLines=9", b"one\ntwo\nthree\n"),
        ("limitBytes=6", b"one\ntw"),
        ("sinceTime=2026-01-02T12:00:01Z", b"two\nthree\n"),
        ("tailLines=1&timestamps=true", b"2026-01-02T12:00:02.123456000Z three\n"),
        ("container=main", b"one\ntwo\nthree\n"),
        ("sinceSeconds=1", b""),
    ],
)
def test_a_reader_gets_the_lines_it_asks_for(
    cluster: ApiInProcess, query: str, text: bytes
) -> None:
    _print(cluster.logs, _running(cluster.admin), "one", "two", "three")

    assert text == _read(cluster, query)


def test_previous_is_the_run_before(cluster: ApiInProcess) -> None:
    ended = {"terminated": {"exitCode": 1, "reason": "Error"}}
    uid = _running(cluster.admin, restarts=1, lastState=ended)
    _print(cluster.logs, uid, "first run", run=0)
    _print(cluster.logs, uid, "second run", run=1)

    assert _read(cluster) == b"second run\n"
    assert _read(cluster, "previous=true") == b"first run\n"


def test_a_container_between_two_runs_shows_the_run_that_ended(cluster: ApiInProcess) -> None:
    ended = {"terminated": {"exitCode": 1, "reason": "Error"}}
    waiting = {"waiting": {"reason": "CrashLoopBackOff"}}
    uid = _running(cluster.admin, waiting, restarts=1, lastState=ended)
    _print(cluster.logs, uid, "crashed", run=1)

    assert _read(cluster) == b"crashed\n"
    assert _read(cluster, "previous=true") == b"crashed\n"


@pytest.mark.parametrize(
    ("reason", "why"),
    [
        ("ContainerCreating", "ContainerCreating"),
        ("ImagePullBackOff", "trying and failing to pull image"),
        ("ErrImagePull", "image can't be pulled"),
    ],
)
def test_a_container_that_never_started_has_no_log(
    cluster: ApiInProcess, reason: str, why: str
) -> None:
    _running(cluster.admin, {"waiting": {"reason": reason}})

    assert cluster.refusal("GET", LOG) == (
        400,
        f'container "main" in pod "web" is waiting to start: {why}',
    )


@pytest.mark.parametrize(
    ("query", "message"),
    [
        ("previous=true", 'previous terminated container "main" in pod "web" not found'),
        ("container=other", "container other is not valid for pod web"),
        ("tailLines=few", 'strconv.ParseInt: parsing "few": invalid syntax'),
        (
            "sinceTime=now",
            'parsing time "now" as "2006-01-02T15:04:05Z07:00": cannot parse "now" as "2006"',
        ),
    ],
)
def test_a_question_without_an_answer_is_refused(
    cluster: ApiInProcess, query: str, message: str
) -> None:
    _running(cluster.admin)

    assert cluster.refusal("GET", f"{LOG}?{query}") == (400, message)


def test_of_several_containers_one_must_be_named(cluster: ApiInProcess) -> None:
    body = pod("web")
    body["spec"]["containers"].append({"name": "sidecar", "image": "b:1"})
    cluster.admin.create("pods", NAMESPACE, body)

    assert cluster.refusal("GET", LOG) == (
        400,
        "a container name must be specified for pod web, choose one of: [main sidecar]",
    )


def test_a_pod_on_no_node_has_printed_nothing_yet(cluster: ApiInProcess) -> None:
    cluster.admin.create("pods", NAMESPACE, pod("web"))

    response = cluster.ask("GET", LOG)

    assert (response.status, response.text) == (204, b"")


def test_init_containers_are_read_by_name_and_do_not_make_the_choice_unclear(
    cluster: ApiInProcess,
) -> None:
    body = pod("web")
    body["spec"]["initContainers"] = [{"name": "prepare", "image": "a:1"}]
    made = cluster.admin.create("pods", NAMESPACE, body)
    uid = made["metadata"]["uid"]
    cluster.admin.create(
        "pods", NAMESPACE, {"target": {"name": "node-1"}}, name="web", subresource="binding"
    )
    done, waiting = {"terminated": {"exitCode": 0}}, {"waiting": {"reason": "PodInitializing"}}
    status = {
        "initContainerStatuses": [{"name": "prepare", "state": done, "restartCount": 0}],
        "containerStatuses": [{"name": "main", "state": waiting, "restartCount": 0}],
    }
    cluster.admin.patch("pods", NAMESPACE, "web", {"status": status}, subresource="status")
    cluster.logs.append(uid, "prepare", 0, "prepared", NOON)

    assert _read(cluster, "container=prepare") == b"prepared\n"
    assert cluster.refusal("GET", LOG) == (
        400,
        'container "main" in pod "web" is waiting to start: PodInitializing',
    )


def test_of_several_the_init_containers_are_named_too(cluster: ApiInProcess) -> None:
    body = pod("web")
    body["spec"]["containers"].append({"name": "sidecar", "image": "b:1"})
    body["spec"]["initContainers"] = [{"name": "prepare", "image": "a:1"}]
    cluster.admin.create("pods", NAMESPACE, body)

    assert cluster.refusal("GET", LOG) == (
        400,
        "a container name must be specified for pod web, choose one of: [main sidecar] "
        "or one of the init containers: [prepare]",
    )


@pytest.mark.parametrize(
    ("query", "message"),
    [
        ("tailLines=-1", "tailLines: Invalid value: -1: must be greater than or equal to 0"),
        ("limitBytes=0", "limitBytes: Invalid value: 0: must be greater than or equal to 1"),
        ("sinceSeconds=0", "sinceSeconds: Invalid value: 0: must be greater than or equal to 1"),
        (
            "sinceSeconds=5&sinceTime=2026-01-02T12:00:00Z",
            ": Forbidden: at most one of `sinceTime` or `sinceSeconds` may be specified",
        ),
    ],
)
def test_options_that_cannot_be_are_invalid(
    cluster: ApiInProcess, query: str, message: str
) -> None:
    _running(cluster.admin)

    assert cluster.refusal("GET", f"{LOG}?{query}") == (
        422,
        f'PodLogOptions "web" is invalid: {message}',
    )


@pytest.mark.parametrize(
    ("value", "stamped"), [("yes", True), ("1", True), ("0", False), ("False", False)]
)
def test_only_false_and_0_deny_an_option(cluster: ApiInProcess, value: str, stamped: bool) -> None:
    _print(cluster.logs, _running(cluster.admin), "one")

    assert _read(cluster, f"timestamps={value}").startswith(b"2026") is stamped


def test_a_follower_gets_what_is_there_and_what_comes_until_the_run_ends(
    server: ApiServer,
) -> None:
    uid = server.as_admin(_running)
    server.as_admin(lambda _: _print(server.logs, uid, "one"))

    with server.http() as http, http.stream("GET", f"{LOG}?follow=true") as response:
        lines = response.iter_lines()
        assert next(lines) == "one"
        server.as_admin(lambda _: _print(server.logs, uid, "two", "three"))
        assert [next(lines), next(lines)] == ["two", "three"]
        server.as_admin(lambda _: server.logs.end(uid, "main", 0))
        assert list(lines) == []


def test_only_the_last_two_runs_are_kept() -> None:
    logs = LogStore()
    for run in range(4):
        logs.append("uid", "main", run, f"run {run}", NOON)

    kept = [logs.read("uid", "main", run, LogQuery()) for run in range(4)]

    assert kept == [b"", b"", b"run 2\n", b"run 3\n"]


def test_a_follower_of_a_dropped_pod_ends() -> None:
    logs = LogStore()
    logs.append("uid", "main", 0, "one", NOON)

    async def follow() -> list[bytes]:
        found = []
        async for piece in logs.follow("uid", "main", 0, LogQuery()):
            found.append(piece)
            logs.drop("uid")
        return found

    assert asyncio.run(follow()) == [b"one\n"]
