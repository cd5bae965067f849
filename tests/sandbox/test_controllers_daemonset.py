"""DaemonSets on a running control plane: nodes, updates, history."""

from __future__ import annotations

from typing import Any

from tests.sandbox.planes import REPOSITORY, SPACE, Stage, deployment, play
from veza_nb.sandbox.apiserver.client import PatchType
from veza_nb.sandbox.controllers.daemonset_pods import GENERATION, HASH_LABEL
from veza_nb.sandbox.controllers.replicaset import is_available
from veza_nb.sandbox.controllers.tally import is_active

Json = dict[str, Any]
NODES = ["veza-node-1", "veza-node-2", "veza-node-3"]


def make(stage: Stage, tag: str = "v1", **spec: Any) -> None:
    body = deployment("agent", tag, 1, **spec)
    del body["spec"]["replicas"]
    stage.admin.create("daemonsets", SPACE, {**body, "kind": "DaemonSet"})


def change(stage: Stage, patch: Json) -> None:
    stage.admin.patch("daemonsets", SPACE, "agent", patch, kind=PatchType.STRATEGIC)


def set_tag(stage: Stage, tag: str) -> None:
    containers = [{"name": "c", "image": f"{REPOSITORY}:{tag}"}]
    change(stage, {"spec": {"template": {"spec": {"containers": containers}}}})


def status(stage: Stage) -> Json:
    found: Json = stage.admin.get("daemonsets", SPACE, "agent")["status"]
    return found


def tags(stage: Stage) -> dict[str, str]:
    """Tag by node."""
    return {
        pod["spec"]["nodeName"]: pod["spec"]["containers"][0]["image"].rpartition(":")[2]
        for pod in stage.pods("agent")
    }


def label_node(stage: Stage, name: str, **labels: str | None) -> None:
    stage.admin.patch("nodes", None, name, {"metadata": {"labels": labels}})


def taint(stage: Stage, name: str, effect: str) -> None:
    taints = [{"key": "dedicated", "value": "db", "effect": effect}]
    stage.admin.patch("nodes", None, name, {"spec": {"taints": taints}})


def strategy(unavailable: int | str, surge: int | str = 0) -> Json:
    bounds = {"maxUnavailable": unavailable, "maxSurge": surge}
    return {"type": "RollingUpdate", "rollingUpdate": bounds}


def extremes(stage: Stage) -> dict[str, int]:
    """The most pods and the fewest available ones, seen from now on."""
    seen = {"most": 0, "least": 10**6}

    def look(_old: Json | None, _new: Json | None) -> None:
        pods = [p for p in stage.plane.informers.pods.select("namespace", SPACE) if is_active(p)]
        now = stage.plane.clock.now()
        seen["most"] = max(seen["most"], len(pods))
        seen["least"] = min(seen["least"], sum(is_available(pod, 0, now) for pod in pods))

    stage.plane.informers.pods.on_change(look)
    return seen


def test_every_node_gets_a_pod_and_the_status_is_that_of_a_recorded_one() -> None:
    """Recording 25."""

    async def story(stage: Stage) -> None:
        make(stage)
        await stage.pass_time(5)

        assert tags(stage) == dict.fromkeys(NODES, "v1")
        assert status(stage) == {
            "currentNumberScheduled": 3,
            "numberMisscheduled": 0,
            "desiredNumberScheduled": 3,
            "numberReady": 3,
            "observedGeneration": 1,
            "updatedNumberScheduled": 3,
            "numberAvailable": 3,
        }
        labels = stage.pods("agent")[0]["metadata"]["labels"]
        assert labels["pod-template-generation"] == "1"
        [revision] = stage.admin.list("controllerrevisions", SPACE)
        assert revision["metadata"]["labels"][HASH_LABEL] == labels[HASH_LABEL]
        assert revision["metadata"]["annotations"] == {GENERATION: "1"}

    play(story)


def test_a_node_selector_chooses_and_a_label_that_comes_or_goes_counts_at_once() -> None:
    async def story(stage: Stage) -> None:
        label_node(stage, "veza-node-2", disk="ssd")
        body = deployment("agent", "v1", 1)
        template = body["spec"]["template"]
        template["spec"]["nodeSelector"] = {"disk": "ssd"}
        make(stage, template=template)
        await stage.pass_time(5)
        assert list(tags(stage)) == ["veza-node-2"]

        label_node(stage, "veza-node-3", disk="ssd")
        label_node(stage, "veza-node-2", disk=None)
        await stage.pass_time(5)
        assert list(tags(stage)) == ["veza-node-3"]

    play(story)


def test_taints_keep_pods_away_and_no_execute_drives_them_off() -> None:
    async def story(stage: Stage) -> None:
        taint(stage, "veza-node-1", "NoSchedule")
        make(stage)
        await stage.pass_time(5)
        assert sorted(tags(stage)) == NODES[1:]
        assert status(stage)["desiredNumberScheduled"] == 2

        taint(stage, "veza-node-2", "NoSchedule")
        await stage.pass_time(5)
        assert sorted(tags(stage)) == NODES[1:]
        assert status(stage)["numberMisscheduled"] == 1

        taint(stage, "veza-node-2", "NoExecute")
        await stage.pass_time(5)
        assert sorted(tags(stage)) == NODES[2:]

    play(story)


def test_a_cordoned_node_keeps_and_gets_its_daemon_pod() -> None:
    async def story(stage: Stage) -> None:
        stage.admin.patch("nodes", None, "veza-node-1", {"spec": {"unschedulable": True}})
        make(stage)
        await stage.pass_time(5)

        assert sorted(tags(stage)) == NODES

    play(story)


def test_a_rolling_update_has_one_pod_down_at_a_time() -> None:
    async def story(stage: Stage) -> None:
        make(stage)
        await stage.pass_time(5)
        seen = extremes(stage)
        set_tag(stage, "v2")
        await stage.pass_time(20)

        assert tags(stage) == dict.fromkeys(NODES, "v2")
        assert seen == {"most": 3, "least": 2}
        assert status(stage)["updatedNumberScheduled"] == 3
        annotations = stage.admin.get("daemonsets", SPACE, "agent")["metadata"]["annotations"]
        assert annotations[GENERATION] == "2"

    play(story)


def test_with_surge_the_new_pod_serves_before_the_old_one_goes() -> None:
    async def story(stage: Stage) -> None:
        make(stage, updateStrategy=strategy(0, 1))
        await stage.pass_time(5)
        seen = extremes(stage)
        set_tag(stage, "v2")
        await stage.pass_time(20)

        assert tags(stage) == dict.fromkeys(NODES, "v2")
        assert seen == {"most": 4, "least": 3}

    play(story)


def test_a_broken_update_stops_at_its_limit_and_undo_heals_it() -> None:
    async def story(stage: Stage) -> None:
        make(stage)
        await stage.pass_time(5)
        set_tag(stage, "v2-slow")
        await stage.pass_time(60)
        assert sorted(tags(stage).values()) == ["v1", "v1", "v2-slow"]
        assert status(stage)["numberUnavailable"] == 1

        revisions = stage.admin.list("controllerrevisions", SPACE)
        change(stage, next(item["data"] for item in revisions if item["revision"] == 1))
        await stage.pass_time(10)
        assert tags(stage) == dict.fromkeys(NODES, "v1")
        numbers = {item["revision"] for item in stage.admin.list("controllerrevisions", SPACE)}
        assert numbers == {2, 3}

    play(story)


def test_on_delete_changes_only_pods_that_somebody_deletes() -> None:
    async def story(stage: Stage) -> None:
        make(stage, updateStrategy={"type": "OnDelete"})
        await stage.pass_time(5)
        set_tag(stage, "v2")
        await stage.pass_time(10)
        assert set(tags(stage).values()) == {"v1"}

        stage.admin.delete("pods", SPACE, stage.pods("agent")[0]["metadata"]["name"])
        await stage.pass_time(10)
        assert sorted(tags(stage).values()) == ["v1", "v1", "v2"]

    play(story)


def test_history_keeps_as_many_old_revisions_as_the_limit_says() -> None:
    async def story(stage: Stage) -> None:
        make(stage, revisionHistoryLimit=1)
        await stage.pass_time(5)
        for number in (2, 3, 4):
            set_tag(stage, f"v{number}")
            await stage.pass_time(20)

        found = stage.admin.list("controllerrevisions", SPACE)
        assert {item["revision"] for item in found} == {3, 4}

    play(story)
