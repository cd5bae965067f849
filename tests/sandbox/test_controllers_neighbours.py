"""Pods that want to be apart, together, or spread, on a running control plane."""

from __future__ import annotations

from collections import Counter
from typing import Any

import pytest

from tests.sandbox.planes import SPACE, Stage, deployment, play, rolling

Json = dict[str, Any]
HOST, ZONE = "kubernetes.io/hostname", "topology.kubernetes.io/zone"
WEB: Json = {"labelSelector": {"matchLabels": {"app": "web"}}}


def required(kind: str, topology: str = HOST, term: Json = WEB) -> Json:
    rule = {"topologyKey": topology, **term}
    return {kind: {"requiredDuringSchedulingIgnoredDuringExecution": [rule]}}


def web(replicas: int, name: str = "web", strategy: Json | None = None, **pod: Any) -> Json:
    spec = {"strategy": strategy} if strategy else {}
    body = deployment(name, "v1", replicas, **spec)
    body["spec"]["template"]["spec"] |= pod
    return body


def places(stage: Stage, name: str = "web") -> Counter[str]:
    """How many pods each node has; those that wait count under an empty name."""
    return Counter(pod["spec"].get("nodeName", "") for pod in stage.pods(name))


def said(stage: Stage) -> str:
    return stage.messages("FailedScheduling")[-1]


def test_pods_that_avoid_each_other_get_a_node_each_and_the_rest_wait() -> None:
    async def story(stage: Stage) -> None:
        body = web(4, affinity=required("podAntiAffinity"))
        stage.admin.create("deployments", SPACE, body)
        await stage.pass_time(5)

        assert sorted(places(stage).values()) == [1, 1, 1, 1]
        assert places(stage)[""] == 1
        assert said(stage) == (
            "0/3 nodes are available: 3 node(s) didn't match pod anti-affinity rules. preemption: "
            "0/3 nodes are available: 3 No preemption victims found for incoming pod."
        )

    play(story)


def test_a_rollout_without_a_free_node_is_stuck_unless_it_may_take_a_pod_away_first() -> None:
    async def story(stage: Stage) -> None:
        body = web(3, strategy=rolling(1, 0), affinity=required("podAntiAffinity"))
        body["spec"]["progressDeadlineSeconds"] = 30
        stage.admin.create("deployments", SPACE, body)
        await stage.pass_time(5)
        stage.set_image("v2")
        await stage.pass_time(60)
        assert stage.reason() == "False/ProgressDeadlineExceeded"
        assert places(stage)[""] == 1

        stage.merge({"spec": {"strategy": rolling(0, 1)}})
        await stage.pass_time(60)
        assert stage.reason() == "True/NewReplicaSetAvailable"
        assert places(stage)[""] == 0

    play(story)


def test_pods_keep_away_from_those_that_do_not_want_them() -> None:
    async def story(stage: Stage) -> None:
        for number in (2, 3):
            patch = {"spec": {"unschedulable": True}}
            stage.admin.patch("nodes", None, f"veza-node-{number}", patch)
        other = {"labelSelector": {"matchLabels": {"app": "noisy"}}}
        body = web(1, affinity=required("podAntiAffinity", term=other))
        stage.admin.create("deployments", SPACE, body)
        await stage.pass_time(5)
        stage.deploy("noisy", replicas=1)
        await stage.pass_time(5)

        assert places(stage, "noisy") == {"": 1}
        assert "1 node(s) didn't satisfy existing pods anti-affinity rules" in said(stage)

    play(story)


def test_pods_that_want_company_begin_with_themselves_and_stay_together() -> None:
    async def story(stage: Stage) -> None:
        stage.admin.create("deployments", SPACE, web(3, affinity=required("podAffinity")))
        await stage.pass_time(5)

        assert list(places(stage).values()) == [3]

    play(story)


def test_company_that_is_not_there_is_waited_for() -> None:
    async def story(stage: Stage) -> None:
        friend = {"labelSelector": {"matchLabels": {"app": "friend"}}}
        body = web(2, affinity=required("podAffinity", term=friend))
        stage.admin.create("deployments", SPACE, body)
        await stage.pass_time(5)
        assert places(stage) == {"": 2}
        assert "3 node(s) didn't match pod affinity rules" in said(stage)

        stage.deploy("friend", replicas=1)
        await stage.pass_time(10)
        assert set(places(stage)) == set(places(stage, "friend"))

    play(story)


@pytest.mark.parametrize(("skew", "expected"), [(1, [1, 1]), (2, [2, 2])])
def test_spreading_keeps_the_difference_small(skew: int, expected: list[int]) -> None:
    """One of three nodes takes no pods, but its empty place counts."""

    async def story(stage: Stage) -> None:
        taints = [{"key": "down", "effect": "NoSchedule"}]
        stage.admin.patch("nodes", None, "veza-node-3", {"spec": {"taints": taints}})
        constraint = {"maxSkew": skew, "topologyKey": HOST, "whenUnsatisfiable": "DoNotSchedule"}
        body = web(6, topologySpreadConstraints=[{**constraint, **WEB}])
        stage.admin.create("deployments", SPACE, body)
        await stage.pass_time(5)
        placed = places(stage)
        waiting = placed.pop("")

        assert sorted(placed.values()) == expected
        assert waiting == 6 - sum(expected)
        assert "2 node(s) didn't match pod topology spread constraints" in said(stage)

    play(story)


def test_a_place_may_be_a_zone() -> None:
    async def story(stage: Stage) -> None:
        stage.admin.patch("nodes", None, "veza-node-2", {"metadata": {"labels": {ZONE: "same"}}})
        stage.admin.patch("nodes", None, "veza-node-3", {"metadata": {"labels": {ZONE: "same"}}})
        body = web(3, affinity=required("podAntiAffinity", ZONE))
        stage.admin.create("deployments", SPACE, body)
        await stage.pass_time(5)

        assert places(stage)[""] == 1

    play(story)
