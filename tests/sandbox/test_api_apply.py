"""Server-side apply: ownership, conflicts, what goes when it is left out."""

from __future__ import annotations

import copy
from typing import Any

import pytest

from tests.sandbox.conftest import NAMESPACE, ApiInProcess, deployment
from veza_nb.sandbox.apiserver.client import PatchType

Json = dict[str, Any]
DEPLOYMENTS = f"/apis/apps/v1/namespaces/{NAMESPACE}/deployments"
MAPS = f"/api/v1/namespaces/{NAMESPACE}/configmaps"


def _apply(
    cluster: ApiInProcess, body: Json, manager: str, *, force: bool = False, more: str = ""
) -> Any:
    path = DEPLOYMENTS if body["kind"] == "Deployment" else MAPS
    query = f"fieldManager={manager}&force={str(force).lower()}{more}"
    return cluster.ask(
        "PATCH",
        f"{path}/{body['metadata']['name']}?{query}",
        body,
        content_type=PatchType.APPLY,
    )


def _map(**data: str) -> Json:
    return {"apiVersion": "v1", "kind": "ConfigMap", "metadata": {"name": "m"}, "data": data}


def _managers(document: Json) -> dict[str, Json]:
    return {each["manager"]: each["fieldsV1"] for each in document["metadata"]["managedFields"]}


def test_applying_creates_and_then_changes(cluster: ApiInProcess) -> None:
    assert _apply(cluster, deployment(), "a").status == 201

    again = _apply(cluster, deployment(replicas=3), "a")

    assert (again.status, again.document["spec"]["replicas"]) == (200, 3)
    assert again.document["metadata"]["generation"] == 2


def test_whoever_applies_owns_exactly_what_it_applied(cluster: ApiInProcess) -> None:
    done = _apply(cluster, deployment(), "a").document

    assert _managers(done)["a"] == {
        "f:metadata": {"f:labels": {"f:app": {}}},
        "f:spec": {
            "f:replicas": {},
            "f:selector": {},
            "f:template": {
                "f:metadata": {"f:labels": {"f:app": {}}},
                "f:spec": {
                    "f:containers": {'k:{"name":"main"}': {".": {}, "f:image": {}, "f:name": {}}}
                },
            },
        },
    }


def test_a_field_that_is_left_out_goes_if_nobody_else_owns_it(cluster: ApiInProcess) -> None:
    _apply(cluster, _map(a="1", b="2", c="3"), "one")
    _apply(cluster, _map(b="2"), "two")

    done = _apply(cluster, _map(a="1"), "one").document

    assert done["data"] == {"a": "1", "b": "2"}
    assert _managers(done) == {"one": {"f:data": {"f:a": {}}}, "two": {"f:data": {"f:b": {}}}}


def test_an_item_of_a_keyed_list_goes_when_it_is_left_out(cluster: ApiInProcess) -> None:
    body = deployment()
    containers = body["spec"]["template"]["spec"]["containers"]
    containers.append({"name": "sidecar", "image": "b:1"})
    _apply(cluster, body, "a")
    del containers[1]

    done = _apply(cluster, body, "a").document

    assert [each["name"] for each in done["spec"]["template"]["spec"]["containers"]] == ["main"]


def test_changing_what_another_owns_is_a_conflict_unless_forced(cluster: ApiInProcess) -> None:
    _apply(cluster, _map(a="1", b="1"), "one")

    refused = _apply(cluster, _map(a="2"), "two")
    assert refused.status == 409
    assert refused.document["message"] == (
        'Apply failed with 1 conflict: conflict with "one": .data.a'
    )
    [cause] = refused.document["details"]["causes"]
    assert cause == {
        "reason": "FieldManagerConflict",
        "message": 'conflict with "one"',
        "field": ".data.a",
    }

    forced = _apply(cluster, _map(a="2"), "two", force=True).document
    assert forced["data"] == {"a": "2", "b": "1"}
    assert _managers(forced) == {"one": {"f:data": {"f:b": {}}}, "two": {"f:data": {"f:a": {}}}}


def test_agreeing_on_a_value_is_no_conflict(cluster: ApiInProcess) -> None:
    _apply(cluster, _map(a="1"), "one")

    both = _apply(cluster, _map(a="1"), "two").document

    assert _managers(both) == {"one": {"f:data": {"f:a": {}}}, "two": {"f:data": {"f:a": {}}}}


def test_an_update_takes_the_field_from_whoever_applied_it(cluster: ApiInProcess) -> None:
    _apply(cluster, deployment(replicas=2), "a")
    cluster.admin.patch("deployments", NAMESPACE, "web", {"spec": {"replicas": 5}})

    refused = _apply(cluster, deployment(replicas=2), "a")

    assert refused.document["message"] == (
        'Apply failed with 1 conflict: conflict with "tests" using apps/v1: .spec.replicas'
    )


def test_several_conflicts_are_listed_by_manager(cluster: ApiInProcess) -> None:
    _apply(cluster, _map(a="1", b="1"), "one")

    refused = _apply(cluster, _map(a="2", b="2"), "two")

    assert refused.document["message"] == (
        'Apply failed with 2 conflicts: conflicts with "one":\n- .data.a\n- .data.b'
    )


def test_applying_the_same_again_changes_nothing(cluster: ApiInProcess) -> None:
    first = _apply(cluster, deployment(), "a").document

    assert first == _apply(cluster, deployment(), "a").document


def test_a_dry_run_of_an_apply_keeps_nothing(cluster: ApiInProcess) -> None:
    assert _apply(cluster, _map(a="1"), "a", more="&dryRun=All").status == 201
    assert cluster.ask("GET", f"{MAPS}/m").status == 404


@pytest.mark.parametrize(
    ("change", "query", "code"),
    [
        ({"metadata": {"name": "m", "managedFields": [{}]}}, "&fieldManager=a", 400),
        ({"apiVersion": "v2"}, "&fieldManager=a", 400),
        ({"kind": "Secret"}, "&fieldManager=a", 400),
        ({"metadata": {"name": "other"}}, "&fieldManager=a", 400),
        ({"datum": {}}, "&fieldManager=a", 500),
        ({"data": {"a": 1}}, "&fieldManager=a", 500),
        ({}, "", 422),
    ],
)
def test_a_configuration_that_is_no_good_is_refused(
    cluster: ApiInProcess, change: Json, query: str, code: int
) -> None:
    body = {**copy.deepcopy(_map(a="1")), **change}

    path = f"{MAPS}/m?force=false{query}"
    assert code == cluster.refusal("PATCH", path, body, content_type=PatchType.APPLY)[0]


def test_yaml_is_taken(cluster: ApiInProcess) -> None:
    text = b"apiVersion: v1\nkind: ConfigMap\nmetadata:\n  name: m\ndata: {a: '1'}\n"

    done = cluster.ask("PATCH", f"{MAPS}/m?fieldManager=a", text, content_type=PatchType.APPLY)

    assert (done.status, done.document["data"]) == (201, {"a": "1"})  # type: ignore[index]
