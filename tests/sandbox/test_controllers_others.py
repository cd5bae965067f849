"""Scheduler, Endpoints, garbage collector, namespaces, and who owns which pod."""

from __future__ import annotations

from datetime import UTC, datetime
from typing import Any

import pytest

from tests.sandbox.planes import SPACE, Stage, play
from veza_nb.sandbox.apimachinery.status import ApiError
from veza_nb.sandbox.controllers import ranking

Json = dict[str, Any]


def pod(name: str, **parts: Any) -> Json:
    """A running, ready pod on node-1; `parts` change that."""
    node = parts.get("node", "node-1")
    ready = {
        "type": "Ready",
        "status": "True" if parts.get("ready", True) else "False",
        "lastTransitionTime": parts.get("since", "2026-01-01T00:00:00Z"),
    }
    return {
        "metadata": {
            "name": name,
            "uid": name,
            "creationTimestamp": parts.get("created", "2026-01-01T00:00:00Z"),
            "annotations": parts.get("annotations", {}),
        },
        "spec": {"nodeName": node} if node else {},
        "status": {
            "phase": parts.get("phase", "Running"),
            "conditions": [ready],
            "containerStatuses": [{"restartCount": parts.get("restarts", 0)}],
        },
    }


KEEP = pod("keep", node="node-1")


@pytest.mark.parametrize(
    "doomed",
    [
        pod("a", node=""),
        pod("a", node="node-1", phase="Pending"),
        pod("a", node="node-1", ready=False),
        pod("a", node="node-1", annotations={ranking.DELETION_COST: "-1"}),
        pod("a", node="node-1", since="2026-06-01T00:00:00Z"),
        pod("a", node="node-1", restarts=3),
        pod("a", node="node-1", created="2026-06-01T00:00:00Z"),
    ],
    ids=["unassigned", "pending", "not-ready", "cheap", "ready-lately", "restarted", "young"],
)
def test_the_pod_that_matters_least_goes_first(doomed: Json) -> None:
    now = datetime(2026, 6, 2, tzinfo=UTC)

    assert [doomed] == ranking.pods_to_delete([KEEP, doomed], 1, [KEEP, doomed], now)


def test_a_crowded_node_gives_its_pods_up_first() -> None:
    now = datetime(2026, 6, 2, tzinfo=UTC)
    alone, crowded, sibling = pod("a"), pod("b", node="node-2"), pod("c", node="node-2")

    chosen = ranking.pods_to_delete([alone, crowded], 1, [alone, crowded, sibling], now)

    assert [crowded] == chosen


def test_pods_are_spread_over_the_nodes_and_the_scheduler_says_so() -> None:
    async def story(stage: Stage) -> None:
        stage.deploy(replicas=6)
        await stage.pass_time(5)
        nodes = sorted(item["spec"]["nodeName"] for item in stage.pods())

        expected = ["veza-node-1", "veza-node-2", "veza-node-3"]
        assert sorted(expected * 2) == nodes
        first = stage.pods()[0]
        where = f"{SPACE}/{first['metadata']['name']} to {first['spec']['nodeName']}"
        event = next(
            item
            for item in stage.events("Scheduled")
            if item["involvedObject"]["name"] == first["metadata"]["name"]
        )
        assert f"Successfully assigned {where}" == event["message"]
        assert (event["action"], event["reportingComponent"]) == ("Binding", "default-scheduler")

    play(story)


def test_a_cordoned_node_gets_no_pods_and_without_any_node_pods_wait_until_there_is_one() -> None:
    async def story(stage: Stage) -> None:
        for number in (1, 2, 3):
            stage.admin.patch(
                "nodes", None, f"veza-node-{number}", {"spec": {"unschedulable": True}}
            )
        stage.deploy(replicas=1)
        await stage.pass_time(10)
        waiting = stage.pods()[0]
        assert (waiting["status"]["phase"], waiting["spec"].get("nodeName")) == ("Pending", None)
        assert "3 node(s) were unschedulable" in waiting["status"]["conditions"][0]["message"]
        assert stage.messages("FailedScheduling")

        stage.admin.patch("nodes", None, "veza-node-2", {"spec": {"unschedulable": None}})
        await stage.pass_time(5)
        assert stage.pods()[0]["spec"]["nodeName"] == "veza-node-2"
        assert stage.status()["availableReplicas"] == 1

    play(story)


def service(name: str) -> Json:
    ports = [{"name": "http", "port": 80, "targetPort": "http"}]
    spec = {"selector": {"app": name}, "ports": ports}
    return {"apiVersion": "v1", "kind": "Service", "metadata": {"name": name}, "spec": spec}


def test_endpoints_tell_ready_pods_from_those_that_are_not() -> None:
    async def story(stage: Stage) -> None:
        stage.admin.create("services", SPACE, service("web"))
        stage.deploy()
        await stage.pass_time(5)
        stage.set_image("v2-slow")
        await stage.pass_time(10)

        [subset] = stage.admin.get("endpoints", SPACE, "web")["subsets"]
        assert (len(subset["addresses"]), len(subset["notReadyAddresses"])) == (3, 1)
        assert subset["ports"] == [{"name": "http", "port": 8080, "protocol": "TCP"}]
        [part] = stage.admin.list("endpointslices", SPACE)
        assert sorted(
            (item["conditions"]["ready"] for item in part["endpoints"]), reverse=True
        ) == [True, True, True, False]
        assert part["metadata"]["labels"]["kubernetes.io/service-name"] == "web"

        stage.merge({"spec": {"replicas": 0}})
        await stage.pass_time(10)
        assert "subsets" not in stage.admin.get("endpoints", SPACE, "web")
        stage.admin.delete("services", SPACE, "web")
        await stage.pass_time(5)
        assert stage.admin.list("endpoints", SPACE) == []
        assert stage.admin.list("endpointslices", SPACE) == []

    play(story)


@pytest.mark.parametrize("propagation", ["Background", "Foreground"])
def test_a_deleted_deployment_takes_its_replica_sets_and_pods_along(propagation: str) -> None:
    async def story(stage: Stage) -> None:
        stage.deploy()
        await stage.pass_time(5)
        stage.admin.delete("deployments", SPACE, "web", propagation=propagation)
        if propagation == "Foreground":
            assert stage.get()["metadata"]["finalizers"] == ["foregroundDeletion"]
        await stage.pass_time(10)

        assert (stage.replica_sets(), stage.pods()) == ([], [])
        with pytest.raises(ApiError, match="not found"):
            stage.get()

    play(story)


def test_orphaned_replica_sets_stay_and_a_new_deployment_adopts_them() -> None:
    async def story(stage: Stage) -> None:
        stage.deploy()
        await stage.pass_time(5)
        pods = {item["metadata"]["uid"] for item in stage.pods()}
        stage.admin.delete("deployments", SPACE, "web", propagation="Orphan")
        await stage.pass_time(5)
        [left] = stage.replica_sets()
        assert "ownerReferences" not in left["metadata"]

        stage.deploy()
        await stage.pass_time(5)
        [adopted] = stage.replica_sets()
        assert stage.get()["metadata"]["uid"] == adopted["metadata"]["ownerReferences"][0]["uid"]
        assert pods == {item["metadata"]["uid"] for item in stage.pods()}

    play(story)


def test_a_pod_whose_label_is_taken_away_is_released_and_replaced() -> None:
    async def story(stage: Stage) -> None:
        stage.deploy()
        await stage.pass_time(5)
        name = stage.pods()[0]["metadata"]["name"]
        stage.admin.patch("pods", SPACE, name, {"metadata": {"labels": {"app": "debug"}}})
        await stage.pass_time(5)

        released = stage.admin.get("pods", SPACE, name)
        assert "ownerReferences" not in released["metadata"]
        assert len(stage.pods()) == 3

    play(story)


def test_a_deleted_pod_is_replaced_after_it_has_stopped() -> None:
    async def story(stage: Stage) -> None:
        stage.deploy()
        await stage.pass_time(5)
        name = stage.pods()[0]["metadata"]["name"]
        marked = stage.admin.delete("pods", SPACE, name)
        assert marked["metadata"]["deletionGracePeriodSeconds"] == 30
        await stage.pass_time(5)

        assert name not in {item["metadata"]["name"] for item in stage.pods()}
        assert stage.status()["availableReplicas"] == 3
        assert "Stopping container c" in stage.messages("Killing")

    play(story)


def test_a_deleted_namespace_is_emptied_and_goes() -> None:
    async def story(stage: Stage) -> None:
        stage.deploy()
        stage.admin.create("configmaps", SPACE, {"metadata": {"name": "x"}})
        await stage.pass_time(5)
        stage.admin.delete("namespaces", None, SPACE)
        assert stage.admin.get("namespaces", None, SPACE)["status"]["phase"] == "Terminating"
        await stage.pass_time(20)

        with pytest.raises(ApiError, match="not found"):
            stage.admin.get("namespaces", None, SPACE)
        assert stage.admin.list("pods", SPACE) == []
        assert stage.admin.list("configmaps", SPACE) == []

    play(story)


def test_every_namespace_is_born_with_a_default_service_account() -> None:
    async def story(stage: Stage) -> None:
        await stage.pass_time(1)

        assert stage.admin.get("serviceaccounts", SPACE, "default")

    play(story)


def test_the_tenth_different_message_of_one_reason_is_combined() -> None:
    """Recording 08: nine single events, then one that gathers the rest."""

    async def story(stage: Stage) -> None:
        stage.deploy(replicas=1)
        await stage.pass_time(5)
        for replicas in range(2, 15):
            stage.merge({"spec": {"replicas": replicas}})
            await stage.pass_time(3)
        messages = stage.messages("ScalingReplicaSet")
        combined = [
            text for text in messages if text.startswith("(combined from similar events): ")
        ]

        assert (len(messages), len(combined)) == (10, 1)
        assert combined[0].endswith("from 13 to 14")
        event = next(e for e in stage.events("ScalingReplicaSet") if e["message"] == combined[0])
        assert event["count"] == 5

    play(story)
