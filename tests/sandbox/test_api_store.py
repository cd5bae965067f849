"""The store: versions, history, indexes."""

from __future__ import annotations

import random
from typing import Any

import pytest

from veza_nb.sandbox.apimachinery.selectors import LabelSelector, label_selector
from veza_nb.sandbox.apiserver.store import GoneError, Store

Json = dict[str, Any]


def _entry(name: str, namespace: str = "ns", **labels: str) -> Json:
    return {"metadata": {"name": name, "namespace": namespace, "labels": labels}, "data": {"x": 1}}


def _names(found: Any) -> list[str]:
    return [each["metadata"]["name"] for each in found]


def test_versions_count_every_change_of_every_resource() -> None:
    store = Store()
    made = [store.put("a", _entry("x")), store.put("b", _entry("x")), store.put("a", _entry("x"))]
    gone = store.remove("a", "ns", "x")

    versions = [each["metadata"]["resourceVersion"] for each in [*made, gone]]
    assert versions == ["1", "2", "3", "4"]


def test_an_index_finds_the_same_as_a_look_at_every_object() -> None:
    store, chance = Store(), random.Random(3)
    for _ in range(400):
        name = f"p{chance.randrange(40)}"
        if chance.random() < 0.2 and store.table("a").get("ns", name):
            store.remove("a", "ns", name)
        else:
            store.put("a", _entry(name, app=chance.choice("xyz")))

    everything = list(store.table("a").select("ns", LabelSelector()))
    for app in "xyzw":
        selector = label_selector(f"app={app}")
        wanted = [each for each in everything if each["metadata"]["labels"]["app"] == app]
        assert list(store.table("a").select("ns", selector)) == wanted
    assert _names(everything) == sorted(_names(everything))


def test_events_are_found_by_their_object_as_by_a_look_at_every_one() -> None:
    store, chance = Store(), random.Random(4)
    for _ in range(400):
        name, whom = f"e{chance.randrange(40)}", {"name": chance.choice("xyz")}
        if chance.random() < 0.2 and store.table("events").get("ns", name):
            store.remove("events", "ns", name)
        else:
            store.put("events", {**_entry(name), "involvedObject": whom})

    table, every = store.table("events"), LabelSelector()
    everything = list(table.select("ns", every))
    for about in "xyzw":
        wanted = [each for each in everything if each["involvedObject"]["name"] == about]
        assert list(table.select("ns", every, about=about)) == wanted


def test_any_kept_version_can_be_seen_again() -> None:
    store, chance, states = Store(), random.Random(5), {}
    for _ in range(200):
        name = f"p{chance.randrange(10)}"
        if chance.random() < 0.3 and store.table("a").get("ns", name):
            store.remove("a", "ns", name)
        else:
            store.put("a", _entry(name, n=str(chance.random())))
        states[store.version] = list(store.table("a").select(None, LabelSelector()))

    for version, state in states.items():
        assert list(store.table("a").at(version).values()) == state


def test_history_is_bounded_and_says_from_where_on() -> None:
    store = Store(history=10)
    for number in range(30):
        store.put("a", _entry(f"p{number}"))

    with pytest.raises(GoneError) as gone:
        store.table("a").follow(1)
    follower = store.table("a").follow(gone.value.oldest)
    told = follower.take()

    assert [change.version for change in told] == list(range(gone.value.oldest + 1, 31))
    assert len(told) >= 10


def test_equal_parts_of_two_versions_are_kept_once() -> None:
    store = Store()
    first = store.put("a", _entry("x", app="y"))
    second = store.put("a", _entry("x", app="y"))

    assert second["data"] is first["data"]
    assert second["metadata"]["labels"] is first["metadata"]["labels"]


def test_what_was_handed_out_never_changes() -> None:
    store = Store()
    first = store.put("a", _entry("x", app="y"))
    before = {**first["metadata"]}
    store.put("a", _entry("x", app="z"))
    store.remove("a", "ns", "x")

    assert first["metadata"] == before
