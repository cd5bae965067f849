"""The private line to a running cluster: who gets through, and what when nobody is there."""

from __future__ import annotations

import http.client
import json
import os
import signal
import socket
import ssl
import stat
import threading
from collections.abc import Iterator
from concurrent.futures import ThreadPoolExecutor
from dataclasses import replace
from pathlib import Path
from typing import Any

import pytest
import yaml

from veza_nb.sandbox import detached
from veza_nb.sandbox.detached import Running
from veza_nb.sandbox.lifecycle import TrainingCluster, down, up
from veza_nb.sandbox.steering import control
from veza_nb.sandbox.steering.control import Control, ControlError, RefusedError
from veza_nb.sandbox.steering.faultoperations import Faults


@pytest.fixture(scope="module")
def place(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Path]:
    directory = tmp_path_factory.mktemp("state")
    yield directory
    down(directory)


@pytest.fixture
def running(place: Path) -> Running:
    return up(directory=place)


def faults(running: Running) -> Faults:
    return Faults(lambda operation, arguments: control.ask(running, operation, arguments))


def test_an_operation_of_a_cluster_in_another_process(running: Running) -> None:
    name = faults(running).add("error", code=503, resources="pods")

    (told,) = faults(running).list()
    faults(running).clear()

    assert (told["id"], told["code"], told["resources"]) == (name, 503, ["pods"])
    assert faults(running).list() == []


def test_what_is_refused_comes_back_with_its_reason(running: Running) -> None:
    with pytest.raises(RefusedError, match="code must be one of 429, 500"):
        faults(running).add("error", code=1)
    with pytest.raises(RefusedError, match=r"unknown operation 'frob'; known: \w+"):
        control.ask(running, "frob")
    with pytest.raises(RefusedError, match=r"unknown operation '\.\./inject'"):
        control.ask(running, "%2e%2e%2finject")
    with pytest.raises(RefusedError, match="unknown scenario 'nope'"):
        control.ask(running, "inject", {"scenario": "nope"})
    with pytest.raises(RefusedError, match="the scenario healthy has no fault"):
        control.ask(running, "inject")


def post(running: Running, body: bytes, **headers: str) -> tuple[int, Any]:
    address = running.control_url.removeprefix("http://")
    connection = http.client.HTTPConnection(address, timeout=10)
    try:
        connection.request("POST", "/faults.list", body, headers)
        answer = connection.getresponse()
        return answer.status, json.loads(answer.read())
    finally:
        connection.close()


@pytest.mark.parametrize(
    "authorization", ["", "Bearer", "Bearer ", "Bearer wrong", "Basic {}", "{}", "Bearer {}x"]
)
def test_without_the_token_nothing_is_done(running: Running, authorization: str) -> None:
    given = authorization.format(running.control_token)

    code, said = post(running, b"{}", Authorization=given)

    assert code == 401
    assert "needs the token of this cluster's state file" in said["error"]


def test_the_token_is_private_and_in_no_other_file(running: Running, place: Path) -> None:
    assert stat.S_IMODE((place / "state.json").stat().st_mode) == 0o600
    token = running.control_token
    with_token = [
        file.name for file in place.iterdir() if file.is_file() and token in file.read_text()
    ]
    assert with_token == ["state.json"]
    assert token not in repr(running)


@pytest.mark.parametrize(
    ("body", "said"),
    [
        (b"{", "the arguments are no JSON"),
        (b"[]", "the arguments must be a JSON object"),
        (b"[" * 100_000, "the arguments are no JSON"),
        (b"\xff\xfe", "the arguments are no JSON"),
    ],
)
def test_broken_arguments_are_refused(running: Running, body: bytes, said: str) -> None:
    code, answer = post(running, body, Authorization=f"Bearer {running.control_token}")

    assert code == 422
    assert said in answer["error"]


def test_too_long_arguments_are_refused(running: Running) -> None:
    with pytest.raises(RefusedError, match="bytes of arguments"):
        control.ask(running, "faults.add", {"kind": "x" * 5_000_000})


def test_many_at_the_same_time_each_get_their_own(running: Running) -> None:
    def add(_: int) -> str:
        return faults(running).add("latency", seconds=0.001, resources="/nowhere")

    with ThreadPoolExecutor(8) as pool:
        ids = list(pool.map(add, range(40)))

    assert len(set(ids)) == 40
    assert {each["id"] for each in faults(running).list()} == set(ids)
    faults(running).clear()


def test_the_line_works_while_the_api_is_down(running: Running) -> None:
    name = faults(running).add("outage", lasting=300)

    assert faults(running).remove(name)["kind"] == "outage"


def test_a_cluster_without_a_line_says_so(running: Running) -> None:
    with pytest.raises(ControlError, match="no control port; start it again"):
        control.ask(replace(running, control_url=""), "faults.list")


def test_a_state_of_an_older_version_can_still_be_read(running: Running, tmp_path: Path) -> None:
    state = {name: getattr(running, name) for name in Running.__slots__}
    for name in ("control_url", "control_token"):
        del state[name]
    (tmp_path / "state.json").write_text(json.dumps(state))

    found = detached.status(tmp_path)

    assert found is not None
    assert (found.url, found.control_url) == (running.url, "")


def test_a_cluster_that_hangs_is_told_from_one_that_is_gone(running: Running) -> None:
    os.kill(running.pid, signal.SIGSTOP)
    try:
        with pytest.raises(ControlError, match=r"did not answer within 0.3 s; it may hang"):
            control.ask(running, "faults.list", timeout=0.3)
    finally:
        os.kill(running.pid, signal.SIGCONT)

    assert control.ask(running, "faults.list") == []


def test_a_cluster_that_dies_under_a_fault_is_gone_and_the_next_one_has_none(
    tmp_path: Path,
) -> None:
    first = up(directory=tmp_path)
    faults(first).add("outage", lasting=300)
    os.kill(first.pid, signal.SIGKILL)
    os.waitpid(first.pid, 0)

    with pytest.raises(ControlError, match="the training cluster is gone: nothing answers at"):
        control.ask(first, "faults.list")
    assert detached.status(tmp_path) is None
    second = up(directory=tmp_path)
    try:
        assert faults(second).list() == []
        with pytest.raises(ControlError):
            control.ask(replace(second, control_token=first.control_token), "faults.list")
    finally:
        down(tmp_path)


class Stranger:
    """Something else that has come to listen on the port."""

    def __init__(self, answer: bytes) -> None:
        self._socket = socket.create_server(("127.0.0.1", 0))
        self._answer = answer
        self._thread = threading.Thread(target=self._serve)
        self.url = f"http://127.0.0.1:{self._socket.getsockname()[1]}"

    def _serve(self) -> None:
        with self._socket.accept()[0] as connection:
            connection.recv(65536)
            connection.sendall(self._answer)

    def __enter__(self) -> Stranger:
        self._thread.start()
        return self

    def __exit__(self, *_: object) -> None:
        self._thread.join(10)
        self._socket.close()


@pytest.mark.parametrize(
    "answer",
    [
        b"HTTP/1.1 200 OK\r\nContent-Length: 5\r\n\r\nhello",
        b"HTTP/1.1 200 OK\r\nContent-Length: 2\r\n\r\n{}",
        b"HTTP/1.1 200 OK\r\nContent-Length: 2\r\n\r\n[]",
        b"SSH-2.0-OpenSSH_9.2\r\n",
        b"",
    ],
)
def test_a_stranger_on_the_port_is_not_believed(running: Running, answer: bytes) -> None:
    with Stranger(answer) as stranger, pytest.raises(ControlError) as refused:
        control.ask(replace(running, control_url=stranger.url), "faults.list")

    assert not isinstance(refused.value, RefusedError)


def test_two_operations_of_one_name_are_a_mistake() -> None:
    offered = Control()
    offered.on("one", lambda _: None)

    with pytest.raises(ValueError, match="the operation one is offered already"):
        offered.on("one", lambda _: None)
    assert offered.names() == ["one"]


def test_in_the_same_process_the_operations_are_the_same() -> None:
    with TrainingCluster.start() as cluster:
        assert cluster.perform("faults.list", {}) == []
        with pytest.raises(RefusedError, match="unknown operation"):
            cluster.perform("frob", {})
        told = cluster.perform("inject", {"scenario": "image-missing"})

    assert told["scenario"] == "image-missing"


# -- people -----------------------------------------------------------------------------------


def tokens(running: Running) -> dict[str, Any]:
    config = yaml.safe_load(Path(running.kubeconfig).read_text())
    return {each["name"]: each["user"] for each in config["users"]}


def test_people_come_while_it_runs_and_get_new_tokens(running: Running) -> None:
    told = control.ask(running, "users.add", {"name": "eve", "groups": ["night"]})
    first = tokens(running)["veza-training-eve"]["token"]
    control.ask(running, "users.rotate", {"name": "eve"})
    second = tokens(running)["veza-training-eve"]["token"]

    assert told == {"context": "veza-training-eve"}
    assert [whoami(running, first), whoami(running, second)] == [401, 201]
    assert stat.S_IMODE(Path(running.kubeconfig).stat().st_mode) == 0o600
    contexts = [each["context"] for each in control.ask(running, "users.list")]
    assert contexts[:2] == ["veza-training", "veza-training-nobody"]
    assert contexts[-1] == "veza-training-oncall"


def whoami(running: Running, token: str) -> int:
    port = int(running.url.rpartition(":")[2])
    context = ssl._create_unverified_context()
    connection = http.client.HTTPSConnection("127.0.0.1", port, context=context, timeout=10)
    headers = {"Authorization": f"Bearer {token}", "Content-Type": "application/json"}
    path = "/apis/authentication.k8s.io/v1/selfsubjectreviews"
    try:
        connection.request("POST", path, "{}", headers)
        answer = connection.getresponse()
        answer.read()
        return answer.status
    finally:
        connection.close()


@pytest.mark.parametrize(
    ("arguments", "said"),
    [
        ({}, "a user's name is of a-z"),
        ({"name": "../x"}, "a user's name is of a-z"),
        ({"name": "admin"}, "there is a user 'admin' already"),
        ({"name": "z", "groups": "a"}, "groups must be a list of names"),
        ({"name": "z", "seconds": 5}, "only a certificate ends by itself"),
        ({"name": "z", "certificate": True, "seconds": "x"}, "seconds must be a number"),
        ({"name": "z", "certificate": True, "seconds": 1e300}, "at most ten years"),
    ],
)
def test_nonsense_about_people_is_refused(
    running: Running, arguments: dict[str, object], said: str
) -> None:
    with pytest.raises(RefusedError, match=said):
        control.ask(running, "users.add", arguments)
    with pytest.raises(RefusedError, match="no user 'z'; known: admin"):
        control.ask(running, "users.rotate", {"name": "z"})
