"""Faults on demand: what is decided, what clients then meet, and that the inside meets nothing."""

from __future__ import annotations

import base64
import contextlib
import json
import random
import socket
import ssl
import subprocess
import threading
import time
from collections.abc import Iterator
from datetime import UTC, datetime
from email.utils import parsedate_to_datetime
from typing import Any

import httpx
import pytest
import yaml
from hypothesis import given
from hypothesis import strategies as st

from tests.sandbox.conftest import recording, recording_lines
from veza_nb.sandbox.apiserver.client import Client
from veza_nb.sandbox.faults import parsing
from veza_nb.sandbox.faults.rules import ENDINGS, MOST, Facts, FaultBook, Kind, Rule
from veza_nb.sandbox.lifecycle import TrainingCluster
from veza_nb.sandbox.steering.control import ControlError

Json = dict[str, Any]
SPACE, WEB = "veza-production", "veza-frontend"
DEPLOYMENTS = f"/apis/apps/v1/namespaces/{SPACE}/deployments"
ONE = f"{DEPLOYMENTS}/{WEB}"
GET = Facts("get", "apps", "deployments", "", SPACE, WEB, user="ada", agent="kubectl/v1")


# -- decided ----------------------------------------------------------------------------------


def decided(*rules: Json, facts: Facts = GET, now: float = 0.0) -> tuple[str, ...]:
    """The kinds that strike a request."""
    book = FaultBook()
    kinds = {book.add(parsing.parse(rule), 0.0).id: rule["kind"] for rule in rules}
    return tuple(kinds[name] for name in book.decide(facts, now).ids)


@pytest.mark.parametrize(
    ("selector", "struck"),
    [
        ({}, True),
        ({"verbs": "get,list"}, True),
        ({"verbs": ["read"]}, True),
        ({"verbs": ["write"]}, False),
        ({"resources": "deploy"}, True),
        ({"resources": "Deployment"}, True),
        ({"resources": "deployments.apps"}, True),
        ({"resources": "deploy*"}, True),
        ({"resources": "deployments/scale"}, False),
        ({"resources": "pods"}, False),
        ({"resources": "/version"}, False),
        ({"namespace": "veza-*"}, True),
        ({"namespace": "other"}, False),
        ({"name": "*-frontend"}, True),
        ({"name": "other"}, False),
        ({"user": "a?a"}, True),
        ({"user": "system:*"}, False),
        ({"agent": "kubectl*"}, True),
        ({"agent": "python*"}, False),
    ],
)
def test_a_rule_is_about_the_requests_that_it_selects(selector: Json, struck: bool) -> None:
    assert (decided({"kind": "error", **selector}) == ("error",)) is struck


def test_a_resource_means_its_subresources_and_a_path_means_paths() -> None:
    scale = Facts("patch", "apps", "deployments", "scale", SPACE, WEB)
    ready = Facts("get", path="/readyz")

    assert decided({"kind": "reset", "resources": "deployments"}, facts=scale) == ("reset",)
    assert decided({"kind": "reset", "resources": "*/scale"}, facts=scale) == ("reset",)
    assert decided({"kind": "reset", "resources": "/ready*"}, facts=ready) == ("reset",)
    assert decided({"kind": "reset", "resources": "*"}, facts=ready) == ()


def test_of_several_endings_the_first_strikes_and_the_rest_adds_up() -> None:
    book = FaultBook()
    for rule in (Rule(Kind.LATENCY, seconds=1), Rule(Kind.RESET), Rule(Kind.ERROR)):
        book.add(rule, 0.0)
    book.add(Rule(Kind.LATENCY, seconds=2), 0.0)

    decision = book.decide(GET, 0.0)

    assert decision.delay == 3
    assert decision.ids == ("fault-2",)
    assert [fault.hits for fault in book] == [1, 1, 0, 1]


def test_the_dice_fall_the_same_way_each_time_and_at_the_rate() -> None:
    def struck(seed: int) -> list[bool]:
        book = FaultBook()
        book.add(Rule(Kind.ERROR, rate=0.3, seed=seed), 0.0)
        return [bool(book.decide(GET, 0.0).ids) for _ in range(1000)]

    assert struck(7) == struck(7) != struck(8)
    assert 250 < sum(struck(7)) < 350


def test_a_count_ends_a_fault_and_its_hits_stay_to_be_read() -> None:
    book = FaultBook()
    book.add(Rule(Kind.ERROR, count=2), 0.0)

    struck = [bool(book.decide(GET, 0.0).ids) for _ in range(4)]

    assert struck == [True, True, False, False]
    assert [parsing.describe(each, 0.0)["over"] for each in book] == [True]


def test_a_fault_is_over_when_its_time_is() -> None:
    rule = {"kind": "error", "lasting": 5}

    assert decided(rule, now=4.9) == ("error",)
    assert decided(rule, now=5.0) == ()


def test_only_reads_that_any_state_would_do_are_stale_unless_all_are() -> None:
    careless = Facts("get", "apps", "deployments", "", SPACE, WEB, unversioned=True)
    stale = {"kind": "stale", "versions": 1}

    assert decided(stale) == ()
    assert decided(stale, facts=careless) == ("stale",)
    assert decided({**stale, "every_read": True}) == ("stale",)
    write = Facts("patch", "apps", "deployments", "", SPACE, WEB, unversioned=True)
    assert decided({**stale, "every_read": True}, facts=write) == ()


def test_there_is_an_end_to_the_number_of_faults() -> None:
    book = FaultBook()
    for _ in range(MOST):
        book.add(Rule(Kind.ERROR, lasting=5), 0.0)

    with pytest.raises(ValueError, match=f"there are {MOST} faults already"):
        book.add(Rule(Kind.ERROR), 1.0)
    book.add(Rule(Kind.ERROR), 5.0)


_TEXTS = st.text("abc-*", min_size=1, max_size=8)
_SELECTORS = st.fixed_dictionaries(
    {},
    optional={
        "verbs": st.lists(st.sampled_from(sorted(parsing.VERBS)), min_size=1),
        "resources": st.lists(
            st.sampled_from(["deploy", "pods/log", "/api*", "*.apps"]), min_size=1
        ),
        **{name: _TEXTS for name in ("namespace", "name", "user", "agent")},
        "rate": st.floats(0.01, 1),
        "count": st.integers(1, 5),
        "lasting": st.floats(0.1, 100),
    },
)
_RULES = st.builds(
    dict.__or__,
    st.sampled_from(
        [
            {"kind": "error", "code": 429, "retry_after": 2},
            {"kind": "latency", "seconds": 0.5},
            {"kind": "drop-watch", "events": 3},
            {"kind": "stale", "versions": 4, "every_read": True},
            *({"kind": kind} for kind in ("reset", "hang", "lose-answer", "storage-hang")),
        ]
    ),
    _SELECTORS,
)
_FACTS = st.builds(
    Facts,
    st.sampled_from(["get", "list", "watch", "patch"]),
    st.sampled_from(["", "apps"]),
    st.sampled_from(["", "deployments", "pods"]),
    user=_TEXTS,
)


@given(st.lists(_RULES, max_size=6), st.lists(_FACTS, max_size=20))
def test_however_many_rules_a_request_meets_one_ending_and_no_rule_goes_too_far(
    given: list[Json], asked: list[Facts]
) -> None:
    book = FaultBook()
    for rule in given:
        book.add(parsing.parse(rule), 0.0)

    for now, facts in enumerate(asked):
        met = book.decide(facts, float(now))
        kinds = [book.faults[name].rule.kind for name in met.ids]
        assert sum(kind in ENDINGS for kind in kinds) <= 1
        for name in met.ids:
            assert book.faults[name].rule.concerns(facts)

    for fault in book:
        assert fault.rule.count is None or fault.hits <= fault.rule.count


@given(_RULES)
def test_what_is_told_of_a_rule_makes_the_same_rule_again(rule: Json) -> None:
    book = FaultBook()
    fault = book.add(parsing.parse(rule), 0.0)

    told = parsing.describe(fault, 0.0)
    for name in ("id", "hits", "left"):
        told.pop(name, None)

    assert parsing.parse(told) == fault.rule


@pytest.mark.parametrize(
    ("rule", "why"),
    [
        ({"kind": "frob"}, "unknown kind of fault 'frob'; known: error, latency"),
        ({}, "unknown kind of fault None"),
        ({"kind": ["error"]}, "unknown kind of fault ['error']"),
        ({"kind": "latency", "seconds": 10**400}, "seconds must be at most 400 days"),
        ({"kind": "error", "count": 10**400}, "count must be a whole number"),
        ({"kind": "error", "rate": 10**400}, "rate must be above 0 and at most 1"),
        ({"kind": "error", "resources": [1]}, "resources must be a printable text"),
        ({"kind": "error", "verbs": []}, "verbs must be a list of texts"),
        ({"kind": "error", "code": 200}, "code must be one of 429, 500, 502, 503, 504, not 200"),
        ({"kind": "error", "code": True}, "code must be one of"),
        ({"kind": "error", "rate": 0}, "rate must be above 0 and at most 1"),
        ({"kind": "error", "rate": 1.5}, "rate must be above 0 and at most 1"),
        ({"kind": "error", "rate": float("nan")}, "rate must be above 0"),
        ({"kind": "error", "rate": "half"}, "rate must be above 0"),
        ({"kind": "error", "count": 0}, "count must be at least 1, not 0"),
        ({"kind": "error", "count": 1.5}, "count must be a whole number"),
        ({"kind": "error", "lasting": -1}, "lasting must be above 0"),
        ({"kind": "error", "lasting": float("inf")}, "lasting must be a number of seconds"),
        ({"kind": "error", "lasting": 1e12}, "lasting must be at most 400 days"),
        ({"kind": "error", "retry_after": -1}, "retry_after must be at least 0"),
        ({"kind": "error", "verbs": "get,frob"}, "unknown verb 'frob'; known: get"),
        ({"kind": "error", "verbs": 7}, "verbs must be a list of texts"),
        ({"kind": "error", "resources": "foo"}, "unknown resource 'foo'"),
        ({"kind": "error", "seconds": 1}, "error has no 'seconds'; it takes: agent, code"),
        ({"kind": "error", "seed": 1}, "a seed is for a rate below 1"),
        ({"kind": "error", "message": "a\nb"}, "message must be a printable text"),
        ({"kind": "latency"}, "latency needs seconds above 0"),
        ({"kind": "latency", "seconds": -1}, "latency needs seconds above 0"),
        ({"kind": "outage"}, "an outage needs lasting"),
        ({"kind": "outage", "lasting": 1, "verbs": "get"}, "outage has no 'verbs'"),
        ({"kind": "clock-skew"}, "a clock skew needs seconds"),
        ({"kind": "stale"}, "stale reads need either seconds or versions"),
        ({"kind": "stale", "seconds": 1, "versions": 1}, "either seconds or versions"),
        ({"kind": "drop-watch", "events": -1}, "events must be at least 0"),
        ({"kind": "stale", "versions": 1, "every_read": "yes"}, "must be true or false"),
    ],
)
def test_nonsense_is_refused_with_what_would_make_sense(rule: Json, why: str) -> None:
    with pytest.raises(ValueError, match=r".") as refused:
        parsing.parse(rule)

    assert why in str(refused.value)


# -- met --------------------------------------------------------------------------------------


@pytest.fixture(scope="module")
def running() -> Iterator[TrainingCluster]:
    with TrainingCluster.start() as cluster:
        yield cluster


@pytest.fixture
def cluster(running: TrainingCluster) -> Iterator[TrainingCluster]:
    yield running
    running.faults.clear()


def client(cluster: TrainingCluster, **options: Any) -> httpx.Client:
    """An HTTP client of the administrator."""
    config = yaml.safe_load(cluster.kubeconfig.read_text())
    authority = base64.b64decode(config["clusters"][0]["cluster"]["certificate-authority-data"])
    context = ssl.create_default_context(cadata=authority.decode())
    headers = {"Authorization": f"Bearer {config['users'][0]['user']['token']}"}
    return httpx.Client(base_url=cluster.url, headers=headers, verify=context, **options)


@pytest.fixture
def http(cluster: TrainingCluster) -> Iterator[httpx.Client]:
    with client(cluster) as made:
        yield made


def kubectl(cluster: TrainingCluster, *words: str) -> subprocess.CompletedProcess[str]:
    command = ["kubectl", f"--kubeconfig={cluster.kubeconfig}", *words]
    return subprocess.run(command, capture_output=True, text=True, check=False, timeout=60)


def annotate(cluster: TrainingCluster, value: str) -> None:
    patch = {"metadata": {"annotations": {"mark": value}}}

    def change(inside: Client) -> None:
        inside.patch("deployments", SPACE, WEB, patch)

    cluster.call(change)


def mark(http: httpx.Client, query: str = "") -> str:
    found: str = http.get(ONE + query).json()["metadata"]["annotations"]["mark"]
    return found


@pytest.mark.parametrize("name", ["39-etcd-stopped-get.json", "39-etcd-stopped-patch.json"])
def test_a_storage_that_hangs_answers_as_recorded(
    cluster: TrainingCluster, http: httpx.Client, name: str
) -> None:
    told = recording(f"http/{name}")
    cluster.faults.add("storage-hang")

    request, answer = told["request"], told["response"]
    content = json.dumps(request["body"]) if request["body"] else None
    begun = time.monotonic()
    found = http.request(
        request["method"], request["path"], headers=request["headers"], content=content
    )

    assert time.monotonic() - begun >= 2
    assert (found.status_code, found.json()) == (answer["status"], answer["body"])
    for header, value in answer["headers"].items():
        assert found.headers[header] == value
    cluster.faults.clear()
    back = recording("http/39-etcd-back.json")
    assert http.get(back["request"]["path"]).text == back["response"]["body"]


@pytest.mark.parametrize(
    ("code", "reason", "text"),
    [
        (500, None, "etcdserver: request timed out"),
        (503, "ServiceUnavailable", "apiserver is shutting down"),
        (504, "Timeout", "Timeout: request did not complete within the allotted timeout"),
    ],
)
def test_an_error_is_a_status_in_the_servers_words(
    cluster: TrainingCluster, http: httpx.Client, code: int, reason: str | None, text: str
) -> None:
    cluster.faults.add("error", code=code)

    answer = http.get(DEPLOYMENTS)

    assert (answer.status_code, answer.json()["message"]) == (code, text)
    assert answer.json().get("reason") == reason
    assert "retry-after" not in answer.headers


def test_too_many_requests_ask_to_wait(cluster: TrainingCluster, http: httpx.Client) -> None:
    cluster.faults.add("error", code=429, retry_after=7)

    answer = http.get(DEPLOYMENTS)

    assert (answer.status_code, answer.headers["retry-after"]) == (429, "7")
    assert answer.text == "Too many requests, please try again later.\n"


def test_an_error_changes_nothing_and_is_in_the_audit_log(
    cluster: TrainingCluster, http: httpx.Client
) -> None:
    annotate(cluster, "before")
    name = cluster.faults.add("error", code=503, verbs="patch", user="admin")
    headers = {"Content-Type": "application/merge-patch+json"}

    answer = http.patch(ONE, json={"metadata": {"annotations": {"mark": "x"}}}, headers=headers)

    assert (answer.status_code, mark(http)) == (503, "before")
    entry = next(each for each in reversed(cluster.audit()) if each.fault)
    assert (entry.user, entry.verb, entry.name, entry.code) == ("admin", "patch", WEB, 503)
    assert (entry.fault, entry.reason, entry.id) == (
        name, "ServiceUnavailable", answer.headers["audit-id"],
    )  # fmt: skip


def test_kubectl_waits_out_a_server_that_is_too_busy(cluster: TrainingCluster) -> None:
    name = cluster.faults.add("error", code=429, count=1, resources="deployments")

    answer = kubectl(cluster, "get", "deploy", "-o", "name")

    assert (answer.returncode, answer.stderr) == (0, "")
    assert f"deployment.apps/{WEB}" in answer.stdout
    assert cluster.faults.hits(name) == 1


def test_an_answer_that_is_lost_was_carried_out(
    cluster: TrainingCluster, http: httpx.Client
) -> None:
    annotate(cluster, "before")
    cluster.faults.add("lose-answer", verbs="patch", count=1)
    headers = {"Content-Type": "application/merge-patch+json"}

    with pytest.raises(httpx.TransportError):
        http.patch(ONE, json={"metadata": {"annotations": {"mark": "after"}}}, headers=headers)

    assert mark(http) == "after"


def test_a_reset_is_a_reset_and_nothing_was_done(cluster: TrainingCluster) -> None:
    entries = len(cluster.audit())
    cluster.faults.add("reset", user="system:anonymous")
    port = int(cluster.url.rpartition(":")[2])
    context = ssl._create_unverified_context()
    incoming, outgoing = ssl.MemoryBIO(), ssl.MemoryBIO()
    inside = context.wrap_bio(incoming, outgoing)

    with socket.create_connection(("127.0.0.1", port), timeout=10) as plain:
        while True:
            try:
                inside.do_handshake()
                break
            except ssl.SSLWantReadError:
                plain.sendall(outgoing.read())
                incoming.write(plain.recv(65536))
        inside.write(b"GET /readyz HTTP/1.1\r\nHost: x\r\n\r\n")
        plain.sendall(outgoing.read())
        with pytest.raises(ConnectionResetError):
            while plain.recv(65536):
                pass

    ready = [each for each in cluster.audit()[entries:] if each.resource == "/readyz"]
    assert ready == []


def test_answers_come_late(cluster: TrainingCluster, http: httpx.Client) -> None:
    cluster.faults.add("latency", seconds=0.2, resources="/readyz")
    cluster.faults.add("latency", seconds=0.1, resources="/readyz")

    begun = time.monotonic()
    assert http.get("/readyz").text == "ok"
    assert time.monotonic() - begun >= 0.3


def test_a_server_that_hangs_answers_nobody_until_it_goes_on(
    cluster: TrainingCluster, http: httpx.Client
) -> None:
    name = cluster.faults.add("hang")
    with client(cluster, timeout=0.3) as impatient, pytest.raises(httpx.ReadTimeout):
        impatient.get("/readyz")

    answers: list[str] = []
    waiting = threading.Thread(target=lambda: answers.append(http.get("/readyz").text))
    waiting.start()
    until(lambda: cluster.faults.hits(name) == 2)
    assert answers == []
    cluster.faults.clear()
    waiting.join(10)

    assert answers == ["ok"]


def until(happened: Any, seconds: float = 10.0) -> None:
    """Ask again until it is so."""
    deadline = time.monotonic() + seconds
    while not happened():
        assert time.monotonic() < deadline
        time.sleep(0.005)


def test_kubectl_gives_up_a_server_that_hangs_in_the_recorded_words(
    cluster: TrainingCluster,
) -> None:
    cluster.faults.add("hang")

    words = ["-n", SPACE, "rollout", "undo", f"deployment/{WEB}", "--request-timeout=1s"]
    answer = kubectl(cluster, *words)

    said = "Unable to connect to the server: context deadline exceeded"
    assert (answer.returncode, answer.stdout) == (1, "")
    assert answer.stderr.startswith(said) or "Client.Timeout exceeded" in answer.stderr


def test_an_outage_refuses_everybody_and_ends_by_itself_at_the_same_address(
    cluster: TrainingCluster, http: httpx.Client
) -> None:
    assert http.get("/readyz").text == "ok"
    with http.stream("GET", f"{DEPLOYMENTS}?watch=true") as watch:
        lines = watch.iter_lines()
        next(lines)
        cluster.faults.add("outage", lasting=0.4)
        with pytest.raises(httpx.TransportError):
            list(lines)
    with client(cluster) as other, pytest.raises(httpx.ConnectError, match="refused"):
        other.get("/readyz")
    with pytest.raises(ControlError, match="there is an outage already: fault-"):
        cluster.faults.add("outage", lasting=1)

    until(lambda: cluster.faults.list() == [])
    until(lambda: _answers(http))


def _answers(http: httpx.Client) -> bool:
    try:
        return http.get("/readyz").text == "ok"
    except httpx.TransportError:
        return False


def test_an_outage_can_be_ended_early(cluster: TrainingCluster, http: httpx.Client) -> None:
    name = cluster.faults.add("outage", lasting=300)
    assert not _answers(http)

    told = cluster.faults.remove(name)

    assert told["kind"] == "outage"
    assert http.get("/readyz").text == "ok"


def test_the_inside_of_the_cluster_meets_no_fault(cluster: TrainingCluster) -> None:
    cluster.faults.add("error", code=500)
    cluster.faults.add("outage", lasting=60)

    annotate(cluster, "inside")
    until(lambda: cluster.call(lambda inside: inside.get("deployments", SPACE, WEB))["status"])

    pods = cluster.call(lambda inside: inside.list("pods", SPACE, label_selector=f"app={WEB}"))
    assert pods


def test_a_wrong_clock_shows_in_the_date_and_in_what_is_written(
    cluster: TrainingCluster, http: httpx.Client
) -> None:
    cluster.faults.add("clock-skew", seconds=-7200)
    made = http.post(
        f"/api/v1/namespaces/{SPACE}/configmaps", json={"metadata": {"generateName": "skew-"}}
    )
    written = datetime.fromisoformat(made.json()["metadata"]["creationTimestamp"])
    date = parsedate_to_datetime(made.headers["date"])
    cluster.faults.clear()

    now = datetime.now(UTC)
    assert 7190 < (now - written).total_seconds() < 7260
    assert 7190 < (now - date).total_seconds() < 7260
    right = parsedate_to_datetime(http.get("/readyz").headers["date"])
    assert (now - right).total_seconds() < 60


def test_stale_reads_are_some_changes_old(cluster: TrainingCluster, http: httpx.Client) -> None:
    annotate(cluster, "old")
    until(lambda: _settled(cluster))
    before = version(http)
    annotate(cluster, "new")
    until(lambda: _settled(cluster))
    cluster.faults.add("stale", versions=version(http) - before)

    assert mark(http) == "new"
    assert mark(http, "?resourceVersion=0") == "old"
    assert version(http, "?resourceVersion=0") == before
    seen = [event["object"]["metadata"] for event in _first(watched(http, "&resourceVersion=0"), 4)]
    marks = [each["annotations"]["mark"] for each in seen if each["name"] == WEB]
    assert marks == ["old", "new"]


def version(http: httpx.Client, query: str = "") -> int:
    listed = http.get(DEPLOYMENTS + query).json()
    return int(listed["metadata"]["resourceVersion"])


def _first(events: Iterator[Json], count: int) -> list[Json]:
    return [next(events) for _ in range(count)]


def _settled(cluster: TrainingCluster) -> bool:
    found: Json = cluster.call(lambda inside: inside.get("deployments", SPACE, WEB))
    seen: bool = found["status"].get("observedGeneration") == found["metadata"]["generation"]
    return seen


def test_stale_reads_lag_some_seconds_behind_and_catch_up(
    cluster: TrainingCluster, http: httpx.Client
) -> None:
    annotate(cluster, "old")
    cluster.faults.add("stale", seconds=0.5, every_read=True)
    annotate(cluster, "new")
    begun = time.monotonic()

    assert mark(http) == "old"
    until(lambda: mark(http) == "new")
    assert time.monotonic() - begun >= 0.4


def watched(http: httpx.Client, query: str = "") -> Iterator[Json]:
    """The events of a watch, until it ends or breaks."""
    with http.stream("GET", f"{DEPLOYMENTS}?watch=true{query}", timeout=10) as response:
        for line in response.iter_lines():
            yield json.loads(line)


def test_a_watch_is_dropped_in_the_middle(cluster: TrainingCluster, http: httpx.Client) -> None:
    cluster.faults.add("drop-watch", events=2, resources="deployments", count=1)

    assert _until_it_breaks(watched(http)) == ["ADDED", "ADDED"]
    assert [event["type"] for event in _first(watched(http), 3)] == ["ADDED"] * 3


def _until_it_breaks(events: Iterator[Json]) -> list[str]:
    """The types of the events of a watch that must not end in the proper way."""
    seen = []
    try:
        for event in events:
            seen.append(event["type"])
    except httpx.TransportError:
        return seen
    raise AssertionError(f"the watch ended properly after {seen}")


@pytest.mark.parametrize("kind", ["drop-watch", "expire-watch"])
def test_a_running_watch_can_be_struck(
    cluster: TrainingCluster, http: httpx.Client, kind: str
) -> None:
    events = watched(http)
    first = _first(events, 3)
    cluster.faults.add(kind, count=1)

    assert {event["type"] for event in first} == {"ADDED"}
    if kind == "drop-watch":
        with pytest.raises(httpx.TransportError):
            list(events)
        return
    (last,) = list(events)
    assert last["object"]["message"].startswith("too old resource version: ")


def test_an_expired_watch_says_so_as_recorded(cluster: TrainingCluster, http: httpx.Client) -> None:
    cluster.faults.add("expire-watch", after=0.1)

    told = list(watched(http, "&resourceVersion=1"))[-1]
    (wanted,) = recording_lines("watch/24-410-gone.jsonl")
    message = told["object"].pop("message")
    said = wanted["object"].pop("message")

    assert told == wanted
    assert message.partition(":")[0] == said.partition(":")[0] == "too old resource version"


def test_kubectl_survives_a_watch_that_expires(cluster: TrainingCluster) -> None:
    name = cluster.faults.add("expire-watch", events=0, count=2)

    for words in (["rollout", "restart"], ["rollout", "status", "--timeout=20s"]):
        answer = kubectl(cluster, *words, f"deployment/{WEB}")

    assert answer.returncode == 0
    assert "successfully rolled out" in answer.stdout
    assert cluster.faults.hits(name) == 2


def test_faults_are_listed_with_their_hits_and_removed_by_id(
    cluster: TrainingCluster, http: httpx.Client
) -> None:
    one = cluster.faults.add("error", code=500, resources="pods", rate=0.5, lasting=60)
    two = cluster.faults.add("latency", seconds=0.001, verbs="get")
    http.get("/readyz")

    listed = {each["id"]: each for each in cluster.faults.list()}
    assert list(listed) == [one, two]
    assert listed[one]["rate"] == 0.5
    assert listed[one]["resources"] == ["pods"]
    assert 50 < listed[one]["left"] <= 60
    assert (listed[one]["hits"], listed[two]["hits"]) == (0, 1)
    cluster.faults.remove(one)
    assert [each["id"] for each in cluster.faults.list()] == [two]
    with pytest.raises(ControlError, match=f"no fault '{one}'; in force: {two}"):
        cluster.faults.remove(one)


def test_after_a_storm_of_faults_everything_is_well(
    cluster: TrainingCluster, caplog: pytest.LogCaptureFixture
) -> None:
    over = threading.Event()
    dice = random.Random(7)

    def ask() -> None:
        while not over.is_set():
            with client(cluster, timeout=1) as http, contextlib.suppress(httpx.HTTPError):
                http.get("/readyz")
                http.get(f"{DEPLOYMENTS}?resourceVersion=0")
                list(watched(http, "&timeoutSeconds=1"))

    clients = [threading.Thread(target=ask) for _ in range(4)]
    for each in clients:
        each.start()
    kinds: list[Json] = [
        *({"kind": kind, "rate": 0.7} for kind in ("error", "reset", "hang", "lose-answer")),
        {"kind": "drop-watch", "events": 1},
        {"kind": "expire-watch", "after": 0.02},
        {"kind": "stale", "seconds": 0.1, "every_read": True},
        {"kind": "latency", "seconds": 0.01},
        {"kind": "clock-skew", "seconds": -60},
    ]
    for _ in range(60):
        with contextlib.suppress(ControlError):
            cluster.faults.add(**dice.choice(kinds), lasting=0.1)
        time.sleep(0.02)
    over.set()
    until(lambda: cluster.faults.list() == [])
    for each in clients:
        each.join(10)

    with client(cluster) as http:
        assert http.get("/readyz").text == "ok"
    assert [entry for entry in caplog.records if entry.levelname == "ERROR"] == []


def test_a_cluster_with_faults_stops_cleanly() -> None:
    before = threading.active_count()
    with TrainingCluster.start() as cluster, client(cluster, timeout=30) as http:
        cluster.faults.add("stale", seconds=60)
        cluster.faults.add("hang", lasting=60)
        waiting = threading.Thread(target=lambda: _answers(http))
        waiting.start()
        until(lambda: cluster.faults.list()[1]["hits"] == 1)
        cluster.faults.add("outage", lasting=60)
    waiting.join(10)

    assert threading.active_count() == before
