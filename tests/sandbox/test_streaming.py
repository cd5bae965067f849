"""`exec`, `attach` and `port-forward`, with the official client, kubectl and by hand."""

from __future__ import annotations

import asyncio
import base64
import gc
import json
import os
import ssl
import struct
import subprocess
import time
import zlib
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import httpx
import pytest
import websocket
import yaml
from kubernetes import client, config
from kubernetes.stream import portforward, stream

from tests.sandbox.matrix import found_minors, load
from tests.sandbox.wire import Wire, message
from veza_nb.sandbox.lifecycle import TrainingCluster
from veza_nb.sandbox.streaming.spdy import DICTIONARY

Json = dict[str, Any]
SPACE = TrainingCluster.namespace
_SECONDS = 20.0
_NOBODY_LISTENS = 9999


@pytest.fixture(scope="module")
def cluster() -> Iterator[TrainingCluster]:
    with TrainingCluster.start() as running:
        yield running


@pytest.fixture(scope="module")
def frontend(cluster: TrainingCluster) -> str:
    """Name of a pod of the frontend."""
    return _pod(cluster, "veza-frontend")


@pytest.fixture(scope="module")
def backend(cluster: TrainingCluster) -> str:
    """Name of a pod of the backend, whose image carries `migrate`."""
    return _pod(cluster, "veza-backend-api")


def _pod(cluster: TrainingCluster, app: str) -> str:
    pods = cluster.call(lambda api: api.list("pods", SPACE, label_selector=f"app={app}"))
    name: str = pods[0]["metadata"]["name"]
    return name


@pytest.fixture
def core(cluster: TrainingCluster) -> Iterator[client.CoreV1Api]:
    with config.new_client_from_config(str(cluster.kubeconfig)) as made:
        yield client.CoreV1Api(made)


def _config(cluster: TrainingCluster) -> tuple[ssl.SSLContext, dict[str, str]]:
    """How to trust the cluster, and the tokens of its users."""
    read = yaml.safe_load(cluster.kubeconfig.read_text("utf-8"))
    authority = base64.b64decode(read["clusters"][0]["cluster"]["certificate-authority-data"])
    tokens = {
        each["name"].rpartition("-")[2]: each["user"]["token"]
        for each in read["users"]
        if "token" in each["user"]
    }
    return ssl.create_default_context(cadata=authority.decode()), tokens


def dial(cluster: TrainingCluster, path: str, protocol: str) -> websocket.WebSocket:
    """A WebSocket to a path, by hand."""
    context, tokens = _config(cluster)
    return websocket.create_connection(
        cluster.url.replace("https", "wss") + path,
        subprotocols=[protocol],
        header=[f"Authorization: Bearer {tokens['admin']}"],
        sslopt={"context": context},
        timeout=_SECONDS,
    )


def hang_up(talk: Any) -> None:
    """End a conversation of the official client, which would leave its socket open."""
    talk.close()
    talk.sock.shutdown()


def pod_path(pod: str, rest: str) -> str:
    return f"/api/v1/namespaces/{SPACE}/pods/{pod}/{rest}"


def executed(core: client.CoreV1Api, pod: str, *command: str) -> tuple[str, str, str]:
    """What a command in a pod printed, and what was said in the end."""
    talk = stream(
        core.connect_get_namespaced_pod_exec,
        pod,
        SPACE,
        command=list(command),
        stdout=True,
        stderr=True,
        stdin=False,
        tty=False,
        _preload_content=False,
    )
    talk.run_forever(timeout=_SECONDS)
    said = (talk.read_stdout(), talk.read_stderr(), talk.read_channel(3))
    hang_up(talk)
    return said


def test_a_program_of_the_image_runs_and_its_exit_code_comes_back(
    core: client.CoreV1Api, backend: str
) -> None:
    nowhere = "postgres://127.0.0.1:1/veza"

    out, err, end = executed(core, backend, "migrate", "-database", nowhere, "version")

    assert out == ""
    assert "Connection refused" in err
    status = json.loads(end)
    assert (status["status"], status["reason"]) == ("Failure", "NonZeroExitCode")
    assert status["details"]["causes"] == [{"reason": "ExitCode", "message": "1"}]


@pytest.mark.parametrize("command", [("ls",), ("sh", "-c", "ls"), ("/bin/sh", "-c", "ls")])
def test_nothing_else_is_in_the_image(
    core: client.CoreV1Api, frontend: str, backend: str, command: tuple[str, ...]
) -> None:
    for pod in (frontend, backend):
        out, err, end = executed(core, pod, *command)

        assert (out, err) == ("", "")
        said = json.loads(end)["message"]
        assert "OCI runtime exec failed: exec failed: unable to start container process" in said
        assert f'exec: "{command[0]}"' in said


def test_no_program_of_the_machine_is_ever_run(
    core: client.CoreV1Api, backend: str, tmp_path: Path
) -> None:
    trace = tmp_path / "trace"

    executed(core, backend, "touch", str(trace))
    executed(core, backend, "sh", "-c", f"touch {trace}")
    executed(core, backend, "migrate", "version", ";", "touch", str(trace))

    assert not trace.exists()


@pytest.mark.parametrize(("stdin", "from_the_start"), [(False, False), (True, True)])
def test_attach_shows_what_a_container_prints_until_it_ends(
    cluster: TrainingCluster, core: client.CoreV1Api, stdin: bool, from_the_start: bool
) -> None:
    """Of one that was started to be typed to also what it printed before."""
    name = f"attached-{stdin}".lower()
    container = {"name": "main", "image": "registry.veza.example/web:v1", "stdin": stdin}
    body = {"metadata": {"name": name}, "spec": {"containers": [container]}}
    cluster.call(lambda api: api.create("pods", SPACE, body))
    _wait(cluster, name, "Running")

    talk = stream(
        core.connect_get_namespaced_pod_attach,
        name,
        SPACE,
        stdin=stdin,
        stdout=True,
        _preload_content=False,
    )
    cluster.call(lambda api: api.delete("pods", SPACE, name))
    talk.run_forever(timeout=_SECONDS)

    assert not talk.is_open()
    printed = talk.read_stdout()
    assert "shutting down" in printed
    assert ("starting" in printed) == from_the_start
    hang_up(talk)


def _wait(cluster: TrainingCluster, pod: str, phase: str) -> None:
    end = time.monotonic() + _SECONDS
    while time.monotonic() < end:
        found = cluster.call(lambda api: api.get("pods", SPACE, pod))
        if found.get("status", {}).get("phase") == phase:
            return
        time.sleep(0.02)
    raise AssertionError(f"{pod} is not {phase}")


def _http(path: str) -> bytes:
    return f"GET {path} HTTP/1.1\r\nHost: x\r\nConnection: close\r\n\r\n".encode()


# The client leaves its pair of sockets to the garbage collector.
@pytest.mark.filterwarnings("ignore::pytest.PytestUnraisableExceptionWarning")
def test_a_forwarded_port_answers_as_the_release_does(
    core: client.CoreV1Api, frontend: str
) -> None:
    forward = portforward(
        core.connect_get_namespaced_pod_portforward, frontend, SPACE, ports="3000"
    )
    connection = forward.socket(3000)
    connection.settimeout(_SECONDS)
    connection.sendall(_http("/health"))
    answer = b""
    while piece := connection.recv(4096):
        answer += piece
    connection.close()

    head, _, body = answer.partition(b"\r\n\r\n")
    assert head.startswith(b"HTTP/1.1 200 OK\r\nContent-Type: application/json\r\n")
    assert json.loads(body)["status"] == "ok"
    assert forward.error(3000) is None
    del forward, connection
    gc.collect()


def test_a_port_at_which_nobody_listens_is_refused(cluster: TrainingCluster, frontend: str) -> None:
    path = pod_path(frontend, f"portforward?ports={_NOBODY_LISTENS}")
    talk = dial(cluster, path, "v4.channel.k8s.io")
    told = [talk.recv() for _ in range(3)]
    talk.close()

    assert told[2].startswith(b"\x01error forwarding port 9999 to pod ")
    assert b"connect: connection refused" in told[2]


def test_requests_follow_each_other_on_a_forwarded_port(
    cluster: TrainingCluster, frontend: str
) -> None:
    talk = dial(cluster, pod_path(frontend, "portforward?ports=3000"), "v4.channel.k8s.io")
    assert [talk.recv() for _ in range(2)] == [b"\x00\xb8\x0b", b"\x01\xb8\x0b"]

    first = b"POST /health HTTP/1.1\r\nContent-Length: 3\r\n\r\nabc"
    for piece in (first[:20], first[20:], b"GET /nothing HTTP/1.1\r\n\r\n"):
        talk.send_binary(b"\x00" + piece)
    answers = [talk.recv() for _ in range(2)]
    talk.send_binary(b"\x00nonsense\r\n\r\n")
    answers.append(talk.recv())
    talk.close()

    codes = [answer[1:].split(b" ")[1] for answer in answers]
    assert codes == [b"200", b"404", b"400"]


def test_the_base64_protocol_is_spoken_too(cluster: TrainingCluster, frontend: str) -> None:
    path = pod_path(frontend, "exec?command=ls&command=-l&stdout=true")
    talk = dial(cluster, path, "v4.base64.channel.k8s.io")

    assert talk.recv() == "1"
    end = talk.recv()
    talk.close()

    assert end[0] == "3"
    assert "executable file not found" in json.loads(base64.b64decode(end[1:]))["message"]


REFUSED = pytest.mark.parametrize(
    ("user", "path", "upgrade", "answered"),
    [
        ("admin", "exec?command=ls&stdout=true", "", (400, "Upgrade request required")),
        ("admin", "exec?command=ls&stdout=true", "SPDY/3.1", (403, "unable to negotiate protocol")),
        ("admin", "exec?command=ls", "websocket", (400, "at least one of stdin, stdout, stderr")),
        ("admin", "exec?stdout=true", "websocket", (422, "command: Required value")),
        ("admin", "exec?command=ls&stdout=1&container=x", "websocket", (400, "container x is not")),
        ("admin", "portforward?ports=99999", "websocket", (400, "unable to parse port")),
        (
            "nobody",
            "exec?command=ls&stdout=true",
            "websocket",
            (403, 'User \\"nobody-user\\" cannot get'),
        ),
        ("nobody", "attach?stdout=true", "websocket", (403, 'User \\"nobody-user\\" cannot get')),
    ],
)


@REFUSED
def test_what_makes_no_sense_is_refused_before_the_upgrade(  # noqa: PLR0917 (a table's columns)
    cluster: TrainingCluster,
    frontend: str,
    user: str,
    path: str,
    upgrade: str,
    answered: tuple[int, str],
) -> None:
    context, tokens = _config(cluster)
    headers = {"Authorization": f"Bearer {tokens[user]}"}
    if upgrade:
        headers |= {"Connection": "Upgrade", "Upgrade": upgrade}

    with Wire(cluster.url, context) as wire:
        answer = wire.ask(message("GET", pod_path(frontend, path), headers))

    code, words = answered
    assert (answer.status, words in answer.body.decode()) == (code, True), answer.body


def test_a_container_that_does_not_run_cannot_be_entered(
    cluster: TrainingCluster, core: client.CoreV1Api
) -> None:
    container = {"name": "main", "image": "registry.veza.example/web:missing"}
    body = {"metadata": {"name": "never"}, "spec": {"containers": [container]}}
    cluster.call(lambda api: api.create("pods", SPACE, body))

    path = pod_path("never", "exec?command=ls&stdout=true")
    context, tokens = _config(cluster)
    headers = {"Authorization": f"Bearer {tokens['admin']}"}
    headers |= {"Connection": "Upgrade", "Upgrade": "websocket"}
    with Wire(cluster.url, context) as wire:
        answer = wire.ask(message("GET", path, headers))

    assert answer.status in (400, 404)
    said = answer.body.decode()
    assert 'container not found ("main")' in said or "does not have a host assigned" in said


def test_a_client_that_goes_away_leaves_nothing_behind(
    cluster: TrainingCluster, frontend: str, backend: str
) -> None:
    def tasks() -> int:
        return cluster.call(lambda _: len(asyncio.all_tasks()))

    before = tasks()
    rest = ("attach?stdout=true&stdin=true", "portforward?ports=3000")
    talks = [dial(cluster, pod_path(frontend, each), "v4.channel.k8s.io") for each in rest * 5]
    assert tasks() > before
    for talk in talks:
        talk.sock.close()

    end = time.monotonic() + _SECONDS
    while tasks() > before and time.monotonic() < end:
        time.sleep(0.02)
    assert tasks() <= before


def test_a_conversation_is_in_the_audit_log(
    cluster: TrainingCluster, core: client.CoreV1Api, frontend: str
) -> None:
    executed(core, frontend, "ls")

    told = [each for each in cluster.audit() if each.subresource == "exec"][-1]
    assert (told.verb, told.resource, told.name, told.code) == ("get", "pods", frontend, 101)


# -- SPDY, which kubectl speaks when it is old, and inside a WebSocket when it forwards a port -----


def frame(kind: int, body: bytes) -> bytes:
    return struct.pack(">HHI", 0x8003, kind, len(body)) + body


def opened(number: int, deflate: Any, **headers: str) -> bytes:
    """A frame that opens a stream."""
    words = [word.encode() for pair in headers.items() for word in pair]
    block = struct.pack(">I", len(headers))
    block += b"".join(struct.pack(">I", len(word)) + word for word in words)
    packed = deflate.compress(block) + deflate.flush(zlib.Z_SYNC_FLUSH)
    return frame(1, struct.pack(">IIH", number, 0, 0) + packed)


def spdy(cluster: TrainingCluster, path: str, protocol: str) -> Wire:
    """A connection that speaks SPDY, by hand."""
    context, tokens = _config(cluster)
    headers = {
        "Authorization": f"Bearer {tokens['admin']}",
        "Connection": "Upgrade",
        "Upgrade": "SPDY/3.1",
        "X-Stream-Protocol-Version": protocol,
    }
    wire = Wire(cluster.url, context)
    wire.send(message("POST", path, headers))
    assert wire.head().status == 101
    return wire


def frames(wire: Wire, end: int) -> Iterator[tuple[int, bytes]]:
    """Stream and data of what comes, until so many streams have ended; 0 for control frames."""
    while end:
        word, rest = struct.unpack(">II", wire.exactly(8))
        end -= (not word >> 31) and rest >> 24 & 1
        yield (0 if word >> 31 else word), wire.exactly(rest & 0xFFFFFF)


def test_a_command_runs_over_spdy_as_well(cluster: TrainingCluster, backend: str) -> None:
    path = pod_path(backend, "exec?command=ls&stdout=true")
    deflate = zlib.compressobj(zdict=DICTIONARY)
    with spdy(cluster, path, "v4.channel.k8s.io") as wire:
        wire.send(opened(1, deflate, streamtype="error") + opened(3, deflate, streamtype="stdout"))
        told = list(frames(wire, end=2))

    said = b"".join(data for stream, data in told if stream == 1)
    assert "executable file not found" in json.loads(said)["message"]


def test_a_ping_is_answered_and_nonsense_ends_the_connection(
    cluster: TrainingCluster, frontend: str
) -> None:
    path = pod_path(frontend, "portforward")
    for nonsense in (
        b"\x80\x02" + bytes(6),
        frame(1, bytes(20)),
        b"\x00\x00\x00\x01\x00\xff\xff\xff",
    ):
        with spdy(cluster, path, "portforward.k8s.io") as wire:
            wire.send(frame(6, b"\x00\x00\x00\x07"))
            assert wire.exactly(12) == frame(6, b"\x00\x00\x00\x07")
            wire.send(nonsense)
            assert wire.rest() == b""


def test_a_protocol_that_is_not_spoken_is_refused(cluster: TrainingCluster, frontend: str) -> None:
    context, tokens = _config(cluster)
    headers = {"Authorization": f"Bearer {tokens['admin']}", "Connection": "Upgrade"}
    headers |= {"Upgrade": "SPDY/3.1", "X-Stream-Protocol-Version": "v9.channel.k8s.io"}
    with Wire(cluster.url, context) as wire:
        path = pod_path(frontend, "attach?stdout=true")
        answer = wire.ask(message("POST", path, headers))

    assert answer.status == 403
    assert b"unable to negotiate protocol: client supports v9.channel.k8s.io" in answer.body


@pytest.mark.kubectl
def test_every_kubectl_forwards_a_port(cluster: TrainingCluster, tmp_path: Path) -> None:
    found = found_minors(load().minors)
    answers = {}
    for minor, program in found.items():
        flags = [f"--kubeconfig={cluster.kubeconfig}", f"--namespace={SPACE}"]
        command = [str(program), "port-forward", *flags, "deployment/veza-frontend", ":3000"]
        env = {**os.environ, "HOME": str(tmp_path)}
        with subprocess.Popen(command, stdout=subprocess.PIPE, text=True, env=env) as forwarding:
            assert forwarding.stdout is not None
            line = forwarding.stdout.readline()
            port = line.partition(" -> ")[0].rpartition(":")[2]
            with httpx.Client(base_url=f"http://127.0.0.1:{port}") as http:
                answers[minor] = [http.get(path).status_code for path in ("/health", "/", "/no")]
            forwarding.terminate()

    assert found
    assert list(answers.values()) == [[200, 200, 404]] * len(found)
