"""The arithmetic of rollouts, from literal objects and from a simulated rollout."""

from __future__ import annotations

import random
from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st

from veza_nb.sandbox.controllers import rollout
from veza_nb.sandbox.controllers.rollout import Scale

Json = dict[str, Any]


def deployment(replicas: int, surge: int | str = "25%", unavailable: int | str = "25%") -> Json:
    rolling = {"maxSurge": surge, "maxUnavailable": unavailable}
    strategy = {"type": "RollingUpdate", "rollingUpdate": rolling}
    return {"metadata": {}, "spec": {"replicas": replicas, "strategy": strategy}, "status": {}}


def replica_set(name: str, replicas: int, available: int = 0, **annotations: str) -> Json:
    keys = {"desired": rollout.DESIRED, "maximum": rollout.MAX}
    return {
        "metadata": {
            "name": name,
            "uid": name,
            "creationTimestamp": f"2026-01-0{len(name)}T00:00:00Z",
            "annotations": {keys[key]: value for key, value in annotations.items()},
        },
        "spec": {"replicas": replicas},
        "status": {"availableReplicas": available, "replicas": replicas},
    }


def sizes(scales: list[Scale]) -> dict[str, int]:
    return {scale.replica_set["metadata"]["name"]: scale.replicas for scale in scales}


@pytest.mark.parametrize(
    ("replicas", "surge", "unavailable", "expected"),
    [
        (3, "25%", "25%", (1, 0)),
        (4, "25%", "25%", (1, 1)),
        (10, "25%", "25%", (3, 2)),
        (3, 1, 0, (1, 0)),
        (3, 0, 0, (0, 1)),
        (3, "0%", "0%", (0, 1)),
        (3, 0, "100%", (0, 3)),
        (1, "1%", "99%", (1, 0)),
        (0, "25%", "25%", (0, 1)),
    ],
)
def test_surge_rounds_up_and_unavailable_down_and_never_both_zero(
    replicas: int, surge: int | str, unavailable: int | str, expected: tuple[int, int]
) -> None:
    assert expected == rollout.fenceposts(deployment(replicas, surge, unavailable))


def test_unavailable_never_exceeds_the_replicas() -> None:
    assert rollout.max_unavailable(deployment(2, 0, 9)) == 2
    assert rollout.max_unavailable(deployment(0, 0, 9)) == 0


def test_a_recreate_strategy_has_neither_surge_nor_unavailable() -> None:
    item = {"metadata": {}, "spec": {"replicas": 3, "strategy": {"type": "Recreate"}}}

    assert (rollout.max_surge(item), rollout.max_unavailable(item)) == (0, 0)


def test_unhealthy_old_replicas_go_first_even_when_none_may_become_unavailable() -> None:
    """As in recording 32: an undo half way takes the broken pods away before any that serves."""
    broken, serving = replica_set("b", 1, 0), replica_set("old", 3, 3)
    new = replica_set("newest", 0)

    assert sizes(rollout.reconcile_old(deployment(3, 1, 0), [broken, serving], new)) == {"b": 0}


def test_a_new_replica_set_that_is_not_available_yet_holds_the_old_one() -> None:
    old, new = replica_set("old", 3, 3), replica_set("new", 1, 0)

    assert rollout.reconcile_old(deployment(3, 1, 0), [old], new) == []


def test_a_newest_replica_set_that_is_too_large_shrinks() -> None:
    new = replica_set("new", 5, 5)

    assert sizes(rollout.reconcile_new(deployment(3), [new], new)) == {"new": 3}


def test_scaling_an_idle_deployment_scales_its_one_replica_set() -> None:
    new = replica_set("new", 3, 3, desired="3", maximum="4")

    assert sizes(rollout.scale_in_proportion(deployment(5), [], new)) == {"new": 5}


def test_scaling_in_the_middle_of_a_rollout_keeps_the_proportions() -> None:
    old = replica_set("old", 8, 8, desired="10", maximum="13")
    new = replica_set("new", 5, 2, desired="10", maximum="13")

    scaled = sizes(rollout.scale_in_proportion(deployment(20), [old], new))

    assert sum(scaled.values()) == 25
    assert scaled == {"old": 15, "new": 10}


def test_scaling_to_zero_in_the_middle_of_a_rollout_takes_all() -> None:
    old = replica_set("old", 2, 2, desired="3", maximum="4")
    new = replica_set("new", 2, 1, desired="3", maximum="4")

    scaled = sizes(rollout.scale_in_proportion(deployment(0), [old], new))

    assert scaled == {"old": 0, "new": 0}


def test_a_change_of_size_is_seen_by_the_annotation_of_an_active_replica_set() -> None:
    active = replica_set("new", 3, 3, desired="3")
    idle = replica_set("old", 0, 0, desired="2")

    assert rollout.scaling_asked(deployment(4), [idle, active])
    assert not rollout.scaling_asked(deployment(3), [idle, active])


amounts = st.one_of(st.integers(0, 12), st.integers(0, 100).map(lambda n: f"{n}%"))


@given(replicas=st.integers(1, 100), surge=amounts, unavailable=amounts, seed=st.integers())
def test_a_rolling_update_never_leaves_its_bounds_and_always_ends(
    replicas: int, surge: int | str, unavailable: int | str, seed: int
) -> None:
    """Pods become available in any order; whatever the controller sees, the bounds hold."""
    chance = random.Random(seed)
    item = deployment(replicas, surge, unavailable)
    old, new = replica_set("old", replicas, replicas), replica_set("new", 0)
    highest = replicas + rollout.max_surge(item)
    lowest = replicas - rollout.max_unavailable(item)
    for _ in range(10 * replicas + 10):
        scales = rollout.reconcile_new(item, [old, new], new)
        scales = scales or rollout.reconcile_old(item, [old], new)
        for scale in scales:
            target = scale.replica_set
            target["spec"]["replicas"] = scale.replicas
            status = target["status"]
            status["availableReplicas"] = min(status["availableReplicas"], scale.replicas)
        waiting = new["spec"]["replicas"] - new["status"]["availableReplicas"]
        if waiting:
            new["status"]["availableReplicas"] += chance.randint(0 if scales else 1, waiting)

        total = old["spec"]["replicas"] + new["spec"]["replicas"]
        available = old["status"]["availableReplicas"] + new["status"]["availableReplicas"]
        assert total <= highest
        assert available >= lowest
    assert (0, replicas) == (old["spec"]["replicas"], new["status"]["availableReplicas"])
