"""The patch types as pure functions: strategic merge with its keys and directives, merge patch."""

from __future__ import annotations

from typing import Any

import pytest

from veza_nb.sandbox.apimachinery.schema import struct
from veza_nb.sandbox.apimachinery.status import ApiError
from veza_nb.sandbox.apiserver import patches

Json = dict[str, Any]
POD = struct("core.v1.PodSpec")


def _merged(before: Json, patch: Json) -> Json:
    return patches.strategic_merge(before, patch, POD)


def _names(spec: Json, part: str = "containers", key: str = "name") -> list[Any]:
    return [each[key] for each in spec[part]]


TWO: Json = {"containers": [{"name": "a", "image": "1"}, {"name": "b", "image": "1"}]}


def test_containers_merge_by_name() -> None:
    spec = _merged(TWO, {"containers": [{"name": "b", "image": "2"}]})

    assert {each["name"]: each["image"] for each in spec["containers"]} == {"b": "2", "a": "1"}


def test_a_new_container_stands_where_the_patch_puts_it() -> None:
    order = [{"name": "a"}, {"name": "new"}, {"name": "b"}]
    patch = {"$setElementOrder/containers": order, "containers": [{"name": "new", "image": "9"}]}

    assert _names(_merged(TWO, patch)) == ["a", "new", "b"]


def test_what_only_the_server_has_stands_before_what_came_after_it() -> None:
    three: Json = {"containers": [{"name": "a"}, {"name": "server"}, {"name": "b"}]}

    reordered = _merged(three, {"$setElementOrder/containers": [{"name": "b"}, {"name": "a"}]})

    assert _names(reordered) == ["server", "b", "a"]


@pytest.mark.parametrize(
    ("patch", "names"),
    [
        ({"containers": [{"name": "a", "$patch": "delete"}]}, ["b"]),
        ({"containers": [{"$patch": "replace"}, {"name": "c"}]}, ["c"]),
        ({"containers": [{"name": "nobody", "$patch": "delete"}]}, ["a", "b"]),
    ],
)
def test_a_directive_removes_or_replaces_items(patch: Json, names: list[str]) -> None:
    assert names == _names(_merged(TWO, patch))


def test_environment_and_ports_and_mounts_merge_by_their_own_keys() -> None:
    container: Json = {
        "name": "a",
        "env": [{"name": "A", "value": "1"}, {"name": "B", "value": "2"}],
        "ports": [{"containerPort": 80, "name": "http"}],
        "volumeMounts": [{"mountPath": "/x", "name": "x"}],
    }
    change: Json = {
        "name": "a",
        "env": [{"name": "B", "value": "3"}, {"name": "A", "$patch": "delete"}],
        "ports": [{"containerPort": 80, "protocol": "UDP"}],
        "volumeMounts": [{"mountPath": "/y", "name": "x"}],
    }

    [merged] = _merged({"containers": [container]}, {"containers": [change]})["containers"]

    assert merged["env"] == [{"name": "B", "value": "3"}]
    assert merged["ports"] == [{"containerPort": 80, "name": "http", "protocol": "UDP"}]
    assert {"/x", "/y"} == {each["mountPath"] for each in merged["volumeMounts"]}


def test_lists_without_a_key_are_replaced() -> None:
    spec = _merged({"tolerations": [{"key": "a"}]}, {"tolerations": [{"key": "b"}]})

    assert spec["tolerations"] == [{"key": "b"}]


def test_a_volume_can_change_its_source_because_old_keys_are_dropped() -> None:
    before: Json = {"volumes": [{"name": "v", "emptyDir": {}}]}
    change = {"name": "v", "$retainKeys": ["name", "secret"], "secret": {"secretName": "s"}}

    assert _merged(before, {"volumes": [change]})["volumes"] == [
        {"name": "v", "secret": {"secretName": "s"}}
    ]


def test_plain_values_are_added_to_and_deleted_from_a_merging_list() -> None:
    meta = struct("meta.v1.ObjectMeta")
    before: Json = {"finalizers": ["a", "b"]}
    patch = {"$deleteFromPrimitiveList/finalizers": ["a"], "finalizers": ["c"]}

    after = patches.strategic_merge(before, patch, meta)

    assert {"b", "c"} == set(after["finalizers"])


def test_null_removes_and_an_object_can_be_replaced_or_emptied() -> None:
    before: Json = {"nodeSelector": {"a": "1", "b": "2"}, "hostname": "x"}

    assert _merged(before, {"hostname": None}) == {"nodeSelector": {"a": "1", "b": "2"}}
    replaced = _merged(before, {"nodeSelector": {"$patch": "replace", "c": "3"}})
    assert replaced["nodeSelector"] == {"c": "3"}
    assert _merged(before, {"nodeSelector": {"$patch": "delete"}})["nodeSelector"] == {}


def test_directives_and_nulls_do_not_get_into_what_is_new() -> None:
    fresh = {
        "name": "n",
        "image": "1",
        "command": None,
        "$retainKeys": ["name", "image", "command"],
    }

    spec = _merged({}, {"containers": [fresh]})

    assert spec["containers"] == [{"name": "n", "image": "1"}]


@pytest.mark.parametrize(
    "patch",
    [
        {"containers": [{"image": "no name"}]},
        {"containers": ["text"]},
        {"nodeSelector": {"$patch": "explode"}},
        {"nodeSelector": {"$retainKeys": "no list"}},
        {"nodeSelector": {"$retainKeys": ["a"], "b": "1"}},
        [],
        None,
    ],
)
def test_a_patch_that_makes_no_sense_is_refused(patch: Any) -> None:
    with pytest.raises(ApiError) as refused:
        _merged({"nodeSelector": {"a": "1"}, **TWO}, patch)

    assert refused.value.code == 400


def test_the_document_patched_is_left_as_it_was() -> None:
    before: Json = {"containers": [{"name": "a", "env": [{"name": "A", "value": "1"}]}]}
    patch = {"containers": [{"name": "a", "env": [{"name": "A", "value": "2"}]}]}

    _merged(before, patch)
    patches.merge_patch(before, {"containers": []})
    patches.json_patch(before, [{"op": "remove", "path": "/containers"}])

    assert before == {"containers": [{"name": "a", "env": [{"name": "A", "value": "1"}]}]}


@pytest.mark.parametrize(
    ("before", "patch", "after"),
    [
        ({"a": "b"}, {"a": "c"}, {"a": "c"}),
        ({"a": "b", "c": 1}, {"a": None}, {"c": 1}),
        ({"a": [1, 2]}, {"a": [3]}, {"a": [3]}),
        ({"a": {"b": "c"}}, {"a": {"b": "d", "c": None}}, {"a": {"b": "d"}}),
        ({"a": "text"}, {"a": {"b": None, "c": 1}}, {"a": {"c": 1}}),
        ({}, {"a": {"b": {"c": None}}}, {"a": {"b": {}}}),
        ({"a": 1}, ["c"], ["c"]),
    ],
)
def test_a_merge_patch_follows_its_rfc(before: Json, patch: Any, after: Any) -> None:
    assert after == patches.merge_patch(before, patch)
