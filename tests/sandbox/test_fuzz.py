"""Ten thousand requests, right and wrong, over real connections; then the books must balance."""

from __future__ import annotations

import asyncio
import base64
import gc
import json
import logging
import os
import ssl
import threading
import time
from collections import Counter
from collections.abc import Iterator
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import pytest
import yaml

from tests.sandbox.fuzzing import OWN, Generator, Sent
from tests.sandbox.wire import Answer, HungUpError, Wire, message
from veza_nb.sandbox.apimachinery import kinds
from veza_nb.sandbox.apiserver.store import Follower
from veza_nb.sandbox.lifecycle import TrainingCluster

Json = dict[str, Any]
SEED = int(os.environ.get("FUZZ_SEED", "20240917"))
REQUESTS = int(os.environ.get("FUZZ_REQUESTS", "10000"))
FILES = Path("/proc/self/fd")
CONNECTIONS = 4
AGENT = "fuzz/1.0"
# What a real server calls an internal error, too.
_INTERNAL = (
    "resourceVersion should not be set on objects to be created",
    "strconv.ParseUint: parsing",
    "error resolving resource",
    "Too large resource version",
    "failed to create typed patch object",
)
_SETTLE_SECONDS = 30.0


@dataclass
class Books:
    """What must be the same before and after."""

    threads: int
    files: int
    tasks: int
    followers: int

    @classmethod
    def of(cls, cluster: TrainingCluster) -> Books:
        """Count."""
        gc.collect()
        return cls(
            threading.active_count(),
            sum(1 for _ in FILES.iterdir()) if FILES.is_dir() else 0,
            cluster.call(lambda _: len(asyncio.all_tasks())),
            sum(isinstance(each, Follower) for each in gc.get_objects()),
        )

    def within(self, other: Books) -> bool:
        """Whether there is no more of anything than in the other."""
        return all(mine <= vars(other)[name] for name, mine in vars(self).items())


class Client:
    """A user on a few connections, who is made to begin again when the server hangs up."""

    def __init__(self, cluster: TrainingCluster, seed: int) -> None:
        config = yaml.safe_load(cluster.kubeconfig.read_text("utf-8"))
        self._url = cluster.url
        self._context = _trusting(config)
        self._generator = Generator(seed, _tokens(config), AGENT)
        self._wire = Wire(self._url, self._context)
        self.wrong: list[str] = []
        self.codes: Counter[int] = Counter()
        self.ids: list[str] = []

    def run(self, count: int) -> None:
        """Send so many requests and judge the answers."""
        for _ in range(count):
            sent = self._generator.request()
            try:
                answer = self._ask(sent)
            except (HungUpError, TimeoutError) as error:
                self.wrong.append(f"{sent}\n  got no answer: {error!r}")
                self._again()
                continue
            self.codes[answer.status] += 1
            if "audit-id" in answer.headers:
                self.ids.append(answer.headers["audit-id"])
            if problem := judged(sent, answer):
                self.wrong.append(f"{sent}\n  {problem}: {answer.status} {answer.body[:500]!r}")
            if answer.closes:
                self._again()

    def close(self) -> None:
        """Hang up."""
        self._wire.close()

    def _again(self) -> None:
        self._wire.close()
        self._wire = Wire(self._url, self._context)

    def _ask(self, sent: Sent) -> Answer:
        data = message(sent.method, sent.target, sent.headers, sent.body)
        if not sent.streams:
            return self._wire.ask(data, head=sent.method == "HEAD")
        # The answer may have no end; its beginning will do, and then nobody listens any more.
        with Wire(self._url, self._context) as wire:
            wire.send(data)
            given = wire.head()
            length = given.headers.get("content-length")
            return given if length is None or sent.method == "HEAD" else _with_body(wire, given)


def _with_body(wire: Wire, given: Answer) -> Answer:
    body = wire.exactly(int(given.headers["content-length"]))
    return Answer(given.status, given.headers, body)


def _trusting(config: Json) -> ssl.SSLContext:
    authority = config["clusters"][0]["cluster"]["certificate-authority-data"]
    return ssl.create_default_context(cadata=base64.b64decode(authority).decode())


def _tokens(config: Json) -> dict[str, str]:
    return {
        each["name"].rpartition("-")[2]: each["user"]["token"]
        for each in config["users"]
        if "token" in each["user"]
    }


def judged(sent: Sent, answer: Answer) -> str:
    """What is wrong with an answer; nothing if it could be Kubernetes' own, or a pod's."""
    if "/proxy" in sent.target:
        return ""
    if answer.status >= 500 and not any(text.encode() in answer.body for text in _INTERNAL):
        return "an internal error"
    if sent.method == "HEAD" or (sent.streams and not answer.body):
        return ""
    if not answer.headers.get("content-type", "").startswith("application/json"):
        return "" if answer.body or answer.status == 200 else "nothing said"
    try:
        document = json.loads(answer.body)
    except ValueError:
        return "no JSON"
    return _contradiction(document, answer.status)


def _contradiction(document: Any, code: int) -> str:
    """What is wrong with a document that came with that code."""
    if not isinstance(document, dict):
        return "no object"
    if document.get("kind") == "Status":
        wanted = "Failure" if code >= 400 else "Success"
        same = document.get("status") == wanted and document.get("code", code) == code
        return "" if same else "a Status that contradicts the code"
    if code >= 400:
        return "a failure without a Status"
    known = document.keys() & {"kind", "paths", "gitVersion", "openapi", "swagger"}
    return "" if known else "an object without a kind"


@pytest.fixture(scope="module")
def cluster() -> Iterator[TrainingCluster]:
    with TrainingCluster.start() as running:
        running.call(lambda client: client.create("namespaces", None, {"metadata": {"name": OWN}}))
        yield running


def _settled(cluster: TrainingCluster, before: Books) -> Books:
    """The books, once there is no more in them than before; or as they are after a while."""
    end = time.monotonic() + _SETTLE_SECONDS
    while not (now := Books.of(cluster)).within(before) and time.monotonic() < end:
        time.sleep(0.1)
    return now


@pytest.mark.timeout(180)
def test_ten_thousand_requests_leave_nothing_behind(
    cluster: TrainingCluster, caplog: pytest.LogCaptureFixture
) -> None:
    before = Books.of(cluster)
    told_before = len(cluster.audit())
    clients = [Client(cluster, SEED + number) for number in range(CONNECTIONS)]
    workers = [
        threading.Thread(target=client.run, args=(REQUESTS // CONNECTIONS,)) for client in clients
    ]
    for worker in workers:
        worker.start()
    for worker in workers:
        worker.join()
    for client in clients:
        client.close()
    wrong = [each for client in clients for each in client.wrong]
    ids = Counter(each for client in clients for each in client.ids)
    codes = sum((client.codes for client in clients), Counter[int]())
    after = _settled(cluster, before)

    complaints = [each.getMessage() for each in caplog.records if each.levelno >= logging.ERROR]
    assert complaints == []
    assert not wrong, f"seed {SEED}, {len(wrong)} of {REQUESTS}:\n" + "\n".join(wrong[:20])
    assert after.within(before), f"before {before}, after {after}"
    told = [entry for entry in cluster.audit()[told_before:] if entry.agent == AGENT]
    assert Counter(entry.id for entry in told) == ids
    assert Counter(entry.code for entry in told) <= codes
    # The requests are worth something only if both right and wrong ones are among them.
    assert sum(number for code, number in codes.items() if code < 300) > REQUESTS // 5, codes
    assert {200, 201, 400, 401, 403, 404, 405, 406, 409, 415, 422} <= codes.keys()
    assert inconsistencies(cluster) == []


def inconsistencies(cluster: TrainingCluster) -> list[str]:
    """What does not fit together among all objects of the cluster."""
    stored = [each for each in kinds.RESOURCES if each.stored and not each.storage]
    objects = [
        (resource, found)
        for resource in {each.key: each for each in stored}.values()
        for found in cluster.call(lambda client, key=resource.plural: client.list(key, None))
    ]
    uids = Counter(found["metadata"]["uid"] for _, found in objects)
    spaces = {found["metadata"]["name"] for each, found in objects if each.kind == "Namespace"}
    wrong = [f"uid {uid} is there {number} times" for uid, number in uids.items() if number > 1]
    for resource, found in objects:
        metadata = found["metadata"]
        name = f"{resource.plural} {metadata.get('namespace', '')}/{metadata['name']}"
        if resource.namespaced and metadata["namespace"] not in spaces:
            wrong.append(f"{name}: no such namespace")
        for owner in metadata.get("ownerReferences") or ():
            blocked = metadata.get("deletionTimestamp") or owner["apiVersion"].startswith("x")
            if owner["uid"] not in uids and not blocked:
                wrong.append(f"{name}: its owner {owner} is gone")
        if metadata.get("generation", 1) < 1:
            wrong.append(f"{name}: generation {metadata['generation']}")
    return wrong
