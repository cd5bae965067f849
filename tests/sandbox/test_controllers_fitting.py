"""Which nodes may take a pod, in the scheduler's words, and the scheduler that acts on it."""

from __future__ import annotations

from typing import Any

import pytest

from tests.sandbox.planes import SPACE, Stage, deployment, play
from veza_nb.sandbox.controllers.fitting import (
    NO_NODES,
    Load,
    NodeBooks,
    Obstacle,
    chooses,
    explain,
    fitting,
    need_of,
    tolerates,
)

Json = dict[str, Any]


def node(name: str = "n", **parts: Any) -> Json:
    allocatable = parts.get("allocatable", {"cpu": "2", "memory": "4Gi", "pods": "10"})
    return {
        "metadata": {"name": name, "labels": parts.get("labels", {})},
        "spec": parts.get("spec", {}),
        "status": {"allocatable": allocatable},
    }


def pod(uid: str = "p", *, cpu: str = "", **spec: Any) -> Json:
    resources = {"requests": {"cpu": cpu}} if cpu else {}
    containers = [{"name": "c", "resources": resources}]
    return {"metadata": {"uid": uid, "name": uid}, "spec": {"containers": containers, **spec}}


def affinity(*expressions: Json, fields: list[Json] | None = None) -> Json:
    term: Json = {"matchExpressions": list(expressions)}
    if fields:
        term["matchFields"] = fields
    required = {"nodeSelectorTerms": [term]}
    return {"nodeAffinity": {"requiredDuringSchedulingIgnoredDuringExecution": required}}


def said(item: Json, *nodes: Json, load: Load | None = None) -> str:
    names, obstacles = fitting(item, need_of(item), nodes, lambda _name: load or Load())
    assert names == []
    return explain(obstacles)


def test_what_a_pod_needs_is_the_sum_of_its_containers_or_its_largest_first_step() -> None:
    item = pod(cpu="500m")
    item["spec"]["containers"].append({"name": "d", "resources": {"requests": {"cpu": "250m"}}})
    assert need_of(item).amounts == {"cpu": 750}

    item["spec"]["initContainers"] = [{"name": "i", "resources": {"requests": {"cpu": "2"}}}]
    assert need_of(item).amounts == {"cpu": 2000}


@pytest.mark.parametrize(
    ("item", "place", "reason", "preemption"),
    [
        (
            pod(),
            node(spec={"unschedulable": True}),
            "node(s) were unschedulable",
            "Preemption is not helpful for scheduling",
        ),
        (
            pod(),
            node(spec={"taints": [{"key": "gpu", "value": "a", "effect": "NoSchedule"}]}),
            "node(s) had untolerated taint {gpu: a}",
            "Preemption is not helpful for scheduling",
        ),
        (
            pod(nodeSelector={"disk": "ssd"}),
            node(labels={"disk": "hdd"}),
            "node(s) didn't match Pod's node affinity/selector",
            "Preemption is not helpful for scheduling",
        ),
        (
            pod(cpu="3"),
            node(),
            "Insufficient cpu",
            "Preemption is not helpful for scheduling",
        ),
    ],
    ids=["cordon", "taint", "selector", "too-large"],
)
def test_an_obstacle_has_the_schedulers_words(
    item: Json, place: Json, reason: str, preemption: str
) -> None:
    expected = f"0/1 nodes are available: 1 {reason}. "
    expected += f"preemption: 0/1 nodes are available: 1 {preemption}."

    assert said(item, place) == expected


def test_a_full_node_could_be_helped_by_preemption() -> None:
    load = Load()
    load.add(need_of(pod(cpu="1500m")))

    assert said(pod(cpu="1"), node("a"), node("b"), node("c"), load=load) == (
        "0/3 nodes are available: 3 Insufficient cpu. preemption: 0/3 nodes are available: "
        "3 No preemption victims found for incoming pod."
    )


def test_a_node_has_room_for_so_many_pods() -> None:
    load = Load()
    for number in range(10):
        load.add(need_of(pod(str(number))))

    assert "1 Too many pods." in said(pod(), node(), load=load)


def test_reasons_are_counted_and_sorted() -> None:
    reasons = [Obstacle(("b",)), Obstacle(("a",)), Obstacle(("b",), lasting=False)]

    assert explain(reasons) == (
        "0/3 nodes are available: 1 a, 2 b. preemption: 0/3 nodes are available: "
        "1 No preemption victims found for incoming pod, "
        "2 Preemption is not helpful for scheduling."
    )
    assert explain([]) == NO_NODES


@pytest.mark.parametrize(
    ("toleration", "expected"),
    [
        ({"operator": "Exists"}, True),
        ({"key": "k", "operator": "Exists"}, True),
        ({"key": "k", "value": "v"}, True),
        ({"key": "k", "operator": "Equal", "value": "v", "effect": "NoSchedule"}, True),
        ({"key": "k", "value": "other"}, False),
        ({"key": "other", "operator": "Exists"}, False),
        ({"key": "k", "operator": "Exists", "effect": "NoExecute"}, False),
        ({"value": "v"}, False),
    ],
    ids=str,
)
def test_a_toleration_covers_a_taint_by_key_value_and_effect(
    toleration: Json, expected: bool
) -> None:
    taint = {"key": "k", "value": "v", "effect": "NoSchedule"}

    assert tolerates([toleration], taint) is expected


@pytest.mark.parametrize(
    ("expression", "expected"),
    [
        ({"key": "zone", "operator": "In", "values": ["a", "b"]}, True),
        ({"key": "zone", "operator": "NotIn", "values": ["a"]}, False),
        ({"key": "zone", "operator": "Exists"}, True),
        ({"key": "gpu", "operator": "DoesNotExist"}, True),
        ({"key": "cores", "operator": "Gt", "values": ["4"]}, True),
        ({"key": "cores", "operator": "Lt", "values": ["4"]}, False),
    ],
    ids=str,
)
def test_node_affinity_reads_labels(expression: Json, expected: bool) -> None:
    place = node(labels={"zone": "a", "cores": "8"})

    assert chooses({"affinity": affinity(expression)}, place) is expected


def test_node_affinity_can_name_one_node() -> None:
    name = {"key": "metadata.name", "operator": "In", "values": ["a"]}
    spec = {"affinity": affinity(fields=[name])}

    assert chooses(spec, node("a"))
    assert not chooses(spec, node("b"))


def test_the_books_count_a_pod_once_and_free_what_it_took() -> None:
    books = NodeBooks()
    item = pod(cpu="500m")
    books.place(item, "a")
    bound = {**item, "spec": {**item["spec"], "nodeName": "a"}}
    assert not books.changed(bound, item)
    assert (books.load("a").pods, books.load("a").amounts["cpu"]) == (1, 500)

    ended = {**bound, "status": {"phase": "Succeeded"}}
    assert books.changed(ended, bound)
    assert not books.changed(None, ended)
    assert (books.load("a").pods, books.load("a").amounts["cpu"]) == (0, 0)


def large(name: str, cpu: str, replicas: int) -> Json:
    body = deployment(name, "v1", replicas)
    resources = {"requests": {"cpu": cpu}}
    body["spec"]["template"]["spec"]["containers"][0]["resources"] = resources
    return body


def test_pods_wait_for_room_and_get_it_when_others_go() -> None:
    async def story(stage: Stage) -> None:
        stage.admin.create("deployments", SPACE, large("web", "10", 4))
        await stage.pass_time(5)
        waiting = [item for item in stage.pods() if not item["spec"].get("nodeName")]
        assert len(waiting) == 1
        message = (
            "0/3 nodes are available: 3 Insufficient cpu. preemption: 0/3 nodes are available: "
            "3 No preemption victims found for incoming pod."
        )
        condition = waiting[0]["status"]["conditions"][0]
        assert (condition["reason"], condition["message"]) == ("Unschedulable", message)
        assert stage.messages("FailedScheduling") == [message]

        await stage.pass_time(60)
        assert stage.messages("FailedScheduling") == [message]
        gone = next(item for item in stage.pods() if item["spec"].get("nodeName"))
        stage.merge({"spec": {"replicas": 3}})
        stage.admin.delete("pods", SPACE, gone["metadata"]["name"])
        await stage.pass_time(10)
        assert all(item["spec"].get("nodeName") for item in stage.pods())

    play(story)


def test_many_pods_of_one_moment_fill_the_nodes_and_no_more() -> None:
    async def story(stage: Stage) -> None:
        stage.admin.create("deployments", SPACE, large("web", "4", 20))
        await stage.pass_time(10)
        placed = [item["spec"].get("nodeName", "") for item in stage.pods()]

        for name in ("veza-node-1", "veza-node-2", "veza-node-3"):
            assert placed.count(name) == 4
        assert placed.count("") == 8

    play(story)


def test_a_taint_that_goes_lets_waiting_pods_in() -> None:
    async def story(stage: Stage) -> None:
        taints = [{"key": "down", "effect": "NoSchedule"}]
        for number in (1, 2, 3):
            patch = {"spec": {"taints": taints}}
            stage.admin.patch("nodes", None, f"veza-node-{number}", patch)
        stage.deploy(replicas=1)
        await stage.pass_time(5)
        assert "3 node(s) had untolerated taint {down: }" in stage.messages("FailedScheduling")[0]

        stage.admin.patch("nodes", None, "veza-node-2", {"spec": {"taints": None}})
        await stage.pass_time(5)
        assert [item["spec"]["nodeName"] for item in stage.pods()] == ["veza-node-2"]

    play(story)


def test_a_cordon_puts_a_taint_on_the_node_and_its_end_takes_it_away() -> None:
    async def story(stage: Stage) -> None:
        def taints() -> list[Json]:
            found: list[Json] = stage.admin.get("nodes", None, "veza-node-1")["spec"].get(
                "taints", []
            )
            return found

        own = {"key": "own", "effect": "PreferNoSchedule"}
        cordon = {"spec": {"unschedulable": True, "taints": [own]}}
        stage.admin.patch("nodes", None, "veza-node-1", cordon)
        await stage.pass_time(1)
        assert [each["key"] for each in taints()] == ["own", "node.kubernetes.io/unschedulable"]
        assert taints()[1]["effect"] == "NoSchedule"
        assert "timeAdded" in taints()[1]

        stage.admin.patch("nodes", None, "veza-node-1", {"spec": {"unschedulable": None}})
        await stage.pass_time(1)
        assert taints() == [own]

    play(story)


def test_a_no_execute_taint_drives_pods_off_that_do_not_tolerate_it() -> None:
    async def story(stage: Stage) -> None:
        body = deployment("calm", "v1", 3)
        spec = body["spec"]["template"]["spec"]
        spec["tolerations"] = [{"key": "down", "operator": "Exists", "tolerationSeconds": 60}]
        stage.admin.create("deployments", SPACE, body)
        stage.deploy(replicas=3)
        await stage.pass_time(5)
        taints = [{"key": "down", "effect": "NoExecute"}]
        stage.admin.patch("nodes", None, "veza-node-1", {"spec": {"taints": taints}})
        await stage.pass_time(10)
        assert "veza-node-1" not in [item["spec"]["nodeName"] for item in stage.pods()]
        assert stage.status()["availableReplicas"] == 3
        assert len(stage.messages("TaintManagerEviction")) == 1
        assert "veza-node-1" in [item["spec"]["nodeName"] for item in stage.pods("calm")]

    play(story)
