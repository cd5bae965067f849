"""The field tables: decoding is the round trip that the real server makes."""

from __future__ import annotations

import itertools
import json
from collections.abc import Iterator
from typing import Any

import pytest

from tests.sandbox.conftest import RECORDINGS, recording
from veza_nb.sandbox.apimachinery import kinds, protobuf, quantity
from veza_nb.sandbox.apimachinery.decoding import DecodeError, Report, decode, empty
from veza_nb.sandbox.apimachinery.schema import struct
from veza_nb.sandbox.apiserver import openapi
from veza_nb.sandbox.apiserver.fieldsets import difference, intersection, paths, union
from veza_nb.sandbox.apiserver.ownership import Comparison, Managers

Json = dict[str, Any]


def _objects(document: Any) -> Iterator[tuple[str, Json]]:
    """Yield (name of the type, object) of everything in a recorded answer."""
    if not isinstance(document, dict) or "kind" not in document:
        return
    version = document["apiVersion"]
    for resource in kinds.RESOURCES:
        if resource.api_version == version and resource.kind == document["kind"]:
            yield resource.schema, document
        if resource.api_version == version and f"{resource.kind}List" == document["kind"]:
            yield from ((resource.schema, item) for item in document["items"])


def _recorded() -> Iterator[tuple[str, Json]]:
    for path in sorted((RECORDINGS / "objects").glob("*.json")):
        yield from _objects(json.loads(path.read_text("utf-8")))
    for path in sorted((RECORDINGS / "http").glob("*.json")):
        yield from _objects(json.loads(path.read_text("utf-8"))["response"]["body"])
    for path in sorted((RECORDINGS / "watch").glob("*.jsonl")):
        for line in path.read_text("utf-8").splitlines():
            event = json.loads(line)
            if event["type"] in ("ADDED", "MODIFIED", "DELETED"):
                yield from _objects(event["object"])


def test_every_recorded_object_comes_back_byte_for_byte() -> None:
    count = 0

    for name, document in _recorded():
        report = Report()
        again = decode(struct(name), document, report)
        assert json.dumps(document) == json.dumps(again)
        assert report.unknown == []
        count += 1

    assert count > 500


@pytest.mark.parametrize(
    ("recorded", "schema"),
    [
        ("02-create-answer-201.json", "apps.v1.Deployment"),
        ("17-create-no-history.json", "apps.v1.Deployment"),
        ("21-rolebinding-created.json", "rbac.v1.RoleBinding"),
        ("22-lease-create.json", "coordination.v1.Lease"),
        ("23-pdb.json", "policy.v1.PodDisruptionBudget"),
    ],
)
def test_a_created_object_is_owned_field_by_field_as_recorded(recorded: str, schema: str) -> None:
    body = recording(f"http/{recorded}")["response"]["body"]
    [wanted] = body["metadata"]["managedFields"]
    managers = Managers(None)

    entry = {name: wanted[name] for name in ("manager", "operation", "apiVersion")}
    managers.record_update(None, body, struct(schema), entry, wanted["time"])

    assert managers.document() == [wanted]


def test_ownership_follows_every_step_of_a_recorded_rollout() -> None:
    """Each MODIFIED of the watch is one update by one manager: whose fields changed must fit."""
    lines = (RECORDINGS / "watch" / "03-rollout.deployment.jsonl").read_text("utf-8").splitlines()
    states = [json.loads(line)["object"] for line in lines]
    shape = struct("apps.v1.Deployment")
    assert len(states) > 5

    for old, new in itertools.pairwise(states):
        changed = Comparison(old, new, shape)
        owners = [
            each
            for each in new["metadata"]["managedFields"]
            if difference(changed.taken, each["fieldsV1"]) == {}
        ]
        assert owners, list(paths(changed.taken))


def test_unknown_fields_are_told_by_path() -> None:
    report = Report()
    body = {
        "spec": {
            "replicaz": 1,
            "template": {"spec": {"containers": [{"name": "a"}, {"nam": "b"}]}},
        },
        "stat": {},
    }

    decode(struct("apps.v1.Deployment"), body, report)

    assert report.unknown == ["spec.replicaz", "spec.template.spec.containers[1].nam", "stat"]


@pytest.mark.parametrize(
    ("spec", "message"),
    [
        (
            {"replicas": "three"},
            "json: cannot unmarshal string into Go struct field "
            "DeploymentSpec.spec.replicas of type int32",
        ),
        (
            {"replicas": 1.5},
            "json: cannot unmarshal number 1.5 into Go struct field "
            "DeploymentSpec.spec.replicas of type int32",
        ),
        (
            {"template": {"spec": {"containers": {}}}},
            "json: cannot unmarshal object into Go struct field "
            "PodSpec.spec.template.spec.containers of type []v1.Container",
        ),
        (
            {"template": {"spec": {"containers": [{"image": 3}]}}},
            "json: cannot unmarshal number into Go struct field "
            "Container.spec.template.spec.containers.image of type string",
        ),
        (
            {"paused": "yes"},
            "json: cannot unmarshal string into Go struct field "
            "DeploymentSpec.spec.paused of type bool",
        ),
    ],
)
def test_a_wrong_type_is_told_as_the_server_does(spec: Json, message: str) -> None:
    with pytest.raises(DecodeError) as refused:
        decode(struct("apps.v1.Deployment"), {"spec": spec})

    assert str(refused.value) == message


def test_what_is_decoded_shares_nothing_with_what_was_sent() -> None:
    body: Json = {"metadata": {"labels": {"a": "b"}}, "data": {"x": ["y"]}}

    done = decode(struct("apps.v1.ControllerRevision"), body)
    body["metadata"]["labels"]["a"] = "c"
    body["data"]["x"].append("z")

    assert (done["metadata"]["labels"], done["data"]) == ({"a": "b"}, {"x": ["y"]})


def test_an_empty_object_is_a_fresh_one_each_time() -> None:
    empty(struct("core.v1.Pod"))["spec"]["containers"] = ["spoilt"]

    assert empty(struct("core.v1.Pod"))["spec"] == {"containers": None}


@pytest.mark.parametrize(
    ("given", "canonical"),
    [
        ("1", "1"),
        ("0.5", "500m"),
        ("1000m", "1"),
        ("1024Mi", "1Gi"),
        ("1.5Gi", "1536Mi"),
        ("100k", "100k"),
        ("1000k", "1M"),
        ("0", "0"),
        ("0Mi", "0"),
        ("1e3", "1e3"),
        (".5", "500m"),
        ("+1", "1"),
        ("-1.5", "-1500m"),
        ("0.0000000001", "1n"),
        ("123456789", "123456789"),
    ],
)
def test_a_quantity_has_one_spelling(given: str, canonical: str) -> None:
    assert quantity.canonical(given) == canonical
    assert quantity.canonical(canonical) == canonical


def test_sets_of_fields_behave_as_sets() -> None:
    left: Json = {"f:a": {}, "f:b": {".": {}, "f:c": {}}}
    right: Json = {"f:b": {"f:c": {}, "f:d": {}}, "f:e": {}}

    assert set(paths(union(left, right))) == set(paths(left)) | set(paths(right))
    assert set(paths(difference(left, right))) == set(paths(left)) - set(paths(right))
    assert set(paths(intersection(left, right))) == set(paths(left)) & set(paths(right))
    assert difference(left, left) == {}


@pytest.mark.parametrize(
    "body",
    [
        b"",
        b"k8s",
        b"k8s\x00\x12\xff",
        b"k8s\x00\x12\x02\x0a\x7f",
        b"k8s\x00\x0b",
        b"k8s\x00" + b"\xff" * 20,
        b"k8s\x00\x12\x04\x0a\x02\x0a\xff",
        b"k8s\x00\x12\x03\x0a\x01\xff",
    ],
)
def test_bytes_that_are_no_message_are_refused(body: bytes) -> None:
    with pytest.raises(protobuf.BadMessageError):
        protobuf.decode(body, "core.v1.ConfigMap")


def test_every_reference_of_every_openapi_document_leads_somewhere() -> None:
    for group, version in kinds.group_versions():
        document = openapi.document(group, version, "v1.32.13")
        text = json.dumps(document)
        names = {part.partition('"')[0] for part in text.split("#/components/schemas/")[1:]}
        assert names <= set(document["components"]["schemas"])
