"""What a look needs is asked for while the pods are listed, as far as the last look knew it."""

import json
import threading
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass, field
from pathlib import Path

import pytest

from tests import builders
from tests.builders import Json
from tests.test_transport import Answer, cluster_at, server, status
from veza_nb import errors
from veza_nb.catalog import Service, Verify
from veza_nb.cluster import Cluster
from veza_nb.detect import Detection, detect
from veza_nb.preflight import preflight

_PATIENCE_SECONDS = 10.0
_ONE = Service(namespace="n", workload="api", selector="app=api")
_LOG = b"2026-11-24T12:00:00Z level=error msg=broken\n"


@dataclass
class Api:
    """One Deployment's API, whose list of pods can be made to wait for a request about a pod."""

    pods: list[str]
    held: bool = False
    lonely: bool = False
    url: str = ""
    asked: list[str] = field(default_factory=list)
    about_pods: threading.Event = field(default_factory=threading.Event)

    @contextmanager
    def running(self) -> Iterator["Api"]:
        with server(lambda request, _: self.answer(request)) as (self.url, self.asked):
            yield self

    def answer(self, request: str) -> Answer:
        method, _, path = request.partition(" ")
        if method == "POST":
            return 201, {}, json.dumps({"status": {"allowed": True}}).encode()
        if "/log?" in path:
            self.about_pods.set()
            return 200, {}, _LOG
        if "/pods?" in path and self.held:
            self.lonely = not self.about_pods.wait(_PATIENCE_SECONDS)
        body = self._body(path)
        return status(404, "no such thing") if body is None else (200, {}, _encoded(body))

    def _body(self, path: str) -> Json | None:
        replicaset = builders.replicaset(2, builders.template("app:v2"), pods=1)
        if path.endswith("/deployments/api"):
            made = builders.deployment()
            made["spec"]["selector"] = {"matchLabels": {"app": "api"}}
            return made
        if "/replicasets?" in path:
            return {"items": [replicaset]}
        if path.startswith("/api/v1/namespaces/n/pods?"):
            return {"items": [builders.crashing(name, replicaset) for name in self.pods]}
        others: dict[str, Json] = {"/version": {"gitVersion": "v1.32.0"}}
        return {"items": []} if "/events?" in path else others.get(path)

    def about(self, name: str) -> list[str]:
        return [one for one in self.asked if name in one]


def _encoded(body: object) -> bytes:
    return json.dumps(_without_none(body)).encode()


def _without_none(value: object) -> object:
    """As the API server writes it: what is not there is left out."""
    if isinstance(value, dict):
        return {key: _without_none(one) for key, one in value.items() if one is not None}
    return [_without_none(one) for one in value] if isinstance(value, list) else value


def _look(cluster: Cluster, one: Service = _ONE) -> Detection:
    return detect(cluster, one, settings=Verify())


def test_from_the_second_look_on_logs_are_asked_for_while_the_pods_are_listed(
    tmp_path: Path,
) -> None:
    with Api(["api-1"]).running() as api:
        cluster, _ = cluster_at(tmp_path, api.url)
        first = _look(cluster)
        api.about_pods.clear()
        api.held = True
        second = _look(cluster)

    assert not api.lonely
    assert [one.summary for one in second.diagnosis.findings] == [
        one.summary for one in first.diagnosis.findings
    ]


def test_opening_an_incident_is_the_look_that_detection_asks_ahead_by(tmp_path: Path) -> None:
    with Api(["api-1"]).running() as api:
        cluster, _ = cluster_at(tmp_path, api.url)
        preflight(cluster, _ONE)
        api.held = True
        _look(cluster)

    assert not api.lonely


def test_a_look_asks_nothing_twice(tmp_path: Path) -> None:
    with Api(["api-1", "api-2"]).running() as api:
        cluster, _ = cluster_at(tmp_path, api.url)
        _look(cluster)
        first = sorted(api.asked)
        api.asked.clear()
        _look(cluster)

    assert sorted(api.asked) == first
    assert len(set(first)) == len(first)


def test_a_pod_that_came_since_is_asked_about_all_the_same(tmp_path: Path) -> None:
    with Api(["api-1"]).running() as api:
        cluster, _ = cluster_at(tmp_path, api.url)
        _look(cluster)
        api.pods = ["api-2"]
        seen = _look(cluster)

    assert [one.metadata.name for one in seen.workload.pods] == ["api-2"]
    assert api.about("api-2/log")
    assert api.about("involvedObject.name%3Dapi-2")


def test_what_only_the_last_look_needed_does_not_show(tmp_path: Path) -> None:
    with Api(["api-1"]).running() as api:
        cluster, _ = cluster_at(tmp_path, api.url)
        before = _look(cluster)
        api.pods = []
        seen = _look(cluster)

    assert "broken" in str(before.diagnosis.findings)
    assert "broken" not in str(seen.diagnosis.findings)


def test_without_a_selector_in_the_catalogue_the_last_look_knows_it(tmp_path: Path) -> None:
    bare = Service(namespace="n", workload="api")
    with Api(["api-1"]).running() as api:
        cluster, _ = cluster_at(tmp_path, api.url)
        _look(cluster, bare)
        api.about_pods.clear()
        api.held = True
        _look(cluster, bare)

    assert not api.lonely


def test_the_same_question_is_sent_once_in_a_look_also_where_the_answer_is_no(
    tmp_path: Path,
) -> None:
    with server(lambda *_: status(403, "not you")) as (url, asked):
        cluster, _ = cluster_at(tmp_path, url)
        asking = cluster.ahead()
        for _ in range(2):
            with pytest.raises(errors.ForbiddenError):
                asking.deployment("api")
        with pytest.raises(errors.ForbiddenError):
            asking.deployment("other")

    assert len(asked) == 2


def test_what_changes_something_is_sent_each_time(tmp_path: Path) -> None:
    with server(lambda *_: (201, {}, b"{}")) as (url, asked):
        cluster, _ = cluster_at(tmp_path, url)
        asking = cluster.ahead()
        for _ in range(2):
            asking.transport.send("POST", "/things", body={})

    assert len(asked) == 2
