"""StatefulSets on a running control plane: order, partitions, history."""

from __future__ import annotations

from typing import Any

import pytest

from tests.sandbox.planes import REPOSITORY, SPACE, Stage, deployment, play
from veza_nb.sandbox.apimachinery.status import ApiError
from veza_nb.sandbox.apiserver.client import PatchType
from veza_nb.sandbox.controllers.statefulset_pods import POD_INDEX, POD_NAME, REVISION_LABEL

Json = dict[str, Any]


def stateful(replicas: int = 3, tag: str = "v1", **spec: Any) -> Json:
    body = deployment("db", tag, replicas, serviceName="db", **spec)
    return {**body, "kind": "StatefulSet"}


def make(stage: Stage, **options: Any) -> None:
    stage.admin.create("statefulsets", SPACE, stateful(**options))


def change(stage: Stage, patch: Json) -> None:
    stage.admin.patch("statefulsets", SPACE, "db", patch, kind=PatchType.STRATEGIC)


def set_tag(stage: Stage, tag: str) -> None:
    containers = [{"name": "c", "image": f"{REPOSITORY}:{tag}"}]
    change(stage, {"spec": {"template": {"spec": {"containers": containers}}}})


def status(stage: Stage) -> Json:
    found: Json = stage.admin.get("statefulsets", SPACE, "db")["status"]
    return found


def pods(stage: Stage) -> dict[str, str]:
    """Tag by the name of the pod."""
    return {
        pod["metadata"]["name"]: pod["spec"]["containers"][0]["image"].rpartition(":")[2]
        for pod in stage.pods("db")
    }


def revisions(stage: Stage) -> dict[int, str]:
    """Tag by the number of the ControllerRevision."""
    return {
        item["revision"]: item["data"]["spec"]["template"]["spec"]["containers"][0][
            "image"
        ].rpartition(":")[2]
        for item in stage.admin.list("controllerrevisions", SPACE)
    }


def undo(stage: Stage, number: int) -> None:
    """As `kubectl rollout undo`: the patch that the ControllerRevision keeps."""
    found = stage.admin.list("controllerrevisions", SPACE)
    change(stage, next(item["data"] for item in found if item["revision"] == number))


def watched(stage: Stage) -> list[set[str]]:
    """The sets of pod names seen from now on, each once in a row."""
    seen: list[set[str]] = []

    def look(_old: Json | None, _new: Json | None) -> None:
        names = {
            pod["metadata"]["name"] for pod in stage.plane.informers.pods.select("namespace", SPACE)
        }
        if not seen or seen[-1] != names:
            seen.append(names)

    stage.plane.informers.pods.on_change(look)
    return seen


def test_pods_come_one_after_another_with_their_names_and_labels() -> None:
    async def story(stage: Stage) -> None:
        seen = watched(stage)
        make(stage)
        await stage.pass_time(10)

        assert seen == [{"db-0"}, {"db-0", "db-1"}, {"db-0", "db-1", "db-2"}]
        [pod] = [each for each in stage.pods("db") if each["metadata"]["name"] == "db-1"]
        labels = pod["metadata"]["labels"]
        assert (labels[POD_NAME], labels[POD_INDEX]) == ("db-1", "1")
        assert labels[REVISION_LABEL] == status(stage)["currentRevision"]
        assert (pod["spec"]["hostname"], pod["spec"]["subdomain"]) == ("db-1", "db")
        assert "create Pod db-1 in StatefulSet db successful" in stage.messages("SuccessfulCreate")

    play(story)


def test_the_status_is_that_of_a_recorded_one_at_rest() -> None:
    """Recording 25."""

    async def story(stage: Stage) -> None:
        make(stage, replicas=2)
        await stage.pass_time(10)
        found = status(stage)
        name = found["currentRevision"]

        assert found == {
            "observedGeneration": 1,
            "replicas": 2,
            "readyReplicas": 2,
            "currentReplicas": 2,
            "updatedReplicas": 2,
            "currentRevision": name,
            "updateRevision": name,
            "collisionCount": 0,
            "availableReplicas": 2,
        }
        assert name.startswith("db-")

    play(story)


def test_a_pod_that_is_not_ready_holds_up_all_that_follow() -> None:
    async def story(stage: Stage) -> None:
        make(stage, tag="v1-slow")
        await stage.pass_time(60)

        assert pods(stage) == {"db-0": "v1-slow"}

    play(story)


def test_parallel_pods_come_all_at_once() -> None:
    async def story(stage: Stage) -> None:
        make(stage, tag="v1-slow", podManagementPolicy="Parallel")
        await stage.pass_time(2)

        assert set(pods(stage)) == {"db-0", "db-1", "db-2"}

    play(story)


def test_shrinking_takes_the_highest_number_first_and_one_at_a_time() -> None:
    async def story(stage: Stage) -> None:
        make(stage)
        await stage.pass_time(10)
        seen = watched(stage)
        change(stage, {"spec": {"replicas": 1}})
        await stage.pass_time(10)

        assert seen[-3:] == [{"db-0", "db-1", "db-2"}, {"db-0", "db-1"}, {"db-0"}]

    play(story)


def test_a_rolling_update_goes_from_the_highest_number_down() -> None:
    async def story(stage: Stage) -> None:
        make(stage)
        await stage.pass_time(10)
        order: list[str] = []

        def note(old: Json | None, new: Json | None) -> None:
            if old is None and new is not None:
                order.append(new["metadata"]["name"])

        set_tag(stage, "v2")
        stage.plane.informers.pods.on_change(note)
        order.clear()
        await stage.pass_time(20)

        assert order == ["db-2", "db-1", "db-0"]
        assert set(pods(stage).values()) == {"v2"}
        assert status(stage)["currentRevision"] == status(stage)["updateRevision"]

    play(story)


def test_a_broken_update_stops_at_its_first_pod() -> None:
    async def story(stage: Stage) -> None:
        make(stage)
        await stage.pass_time(10)
        set_tag(stage, "v2-slow")
        await stage.pass_time(60)

        assert pods(stage) == {"db-0": "v1", "db-1": "v1", "db-2": "v2-slow"}
        found = status(stage)
        assert found["currentRevision"] != found["updateRevision"]
        assert (found["updatedReplicas"], found["currentReplicas"]) == (1, 2)

    play(story)


def test_pods_below_the_partition_keep_their_revision_even_when_they_are_made_again() -> None:
    async def story(stage: Stage) -> None:
        make(stage, updateStrategy={"type": "RollingUpdate", "rollingUpdate": {"partition": 2}})
        await stage.pass_time(10)
        set_tag(stage, "v2")
        await stage.pass_time(10)
        assert pods(stage) == {"db-0": "v1", "db-1": "v1", "db-2": "v2"}

        stage.admin.delete("pods", SPACE, "db-0")
        await stage.pass_time(10)
        assert pods(stage) == {"db-0": "v1", "db-1": "v1", "db-2": "v2"}

        change(stage, {"spec": {"updateStrategy": {"rollingUpdate": {"partition": 0}}}})
        await stage.pass_time(20)
        assert set(pods(stage).values()) == {"v2"}

    play(story)


def test_on_delete_changes_only_pods_that_somebody_deletes() -> None:
    async def story(stage: Stage) -> None:
        make(stage, updateStrategy={"type": "OnDelete"})
        await stage.pass_time(10)
        set_tag(stage, "v2")
        await stage.pass_time(10)
        assert set(pods(stage).values()) == {"v1"}

        stage.admin.delete("pods", SPACE, "db-1")
        await stage.pass_time(10)
        assert pods(stage) == {"db-0": "v1", "db-1": "v2", "db-2": "v1"}

    play(story)


def test_undo_renumbers_and_the_old_number_is_gone() -> None:
    """Recording 25: revisions 1, 2 become 2, 3."""

    async def story(stage: Stage) -> None:
        make(stage, replicas=1)
        await stage.pass_time(5)
        set_tag(stage, "v2")
        await stage.pass_time(5)
        assert revisions(stage) == {1: "v1", 2: "v2"}

        undo(stage, 1)
        await stage.pass_time(5)
        assert revisions(stage) == {2: "v2", 3: "v1"}
        assert pods(stage) == {"db-0": "v1"}

    play(story)


def test_history_keeps_as_many_old_revisions_as_the_limit_says() -> None:
    async def story(stage: Stage) -> None:
        make(stage, replicas=1, revisionHistoryLimit=2)
        await stage.pass_time(5)
        for number in range(2, 7):
            set_tag(stage, f"v{number}")
            await stage.pass_time(5)

        assert revisions(stage) == {4: "v4", 5: "v5", 6: "v6"}

    play(story)


def test_a_revision_whose_name_is_taken_gets_another_and_the_clash_is_counted() -> None:
    async def story(stage: Stage) -> None:
        make(stage, replicas=1)
        await stage.pass_time(5)
        [first] = stage.admin.list("controllerrevisions", SPACE)
        stage.admin.delete("statefulsets", SPACE, "db", propagation="Background")
        await stage.pass_time(5)
        squatter = {
            "metadata": {"name": first["metadata"]["name"]},
            "data": {"other": True},
            "revision": 1,
        }
        stage.admin.create("controllerrevisions", SPACE, squatter)
        make(stage, replicas=1)
        await stage.pass_time(5)

        assert status(stage)["collisionCount"] == 1
        assert status(stage)["currentRevision"] != first["metadata"]["name"]
        assert pods(stage) == {"db-0": "v1"}

    play(story)


def test_claims_are_made_bound_and_kept() -> None:
    async def story(stage: Stage) -> None:
        storage = {"resources": {"requests": {"storage": "1Gi"}}}
        claim = {
            "metadata": {"name": "data"},
            "spec": {"accessModes": ["ReadWriteOnce"], **storage},
        }
        make(stage, replicas=2, volumeClaimTemplates=[claim])
        await stage.pass_time(10)
        found = stage.admin.list("persistentvolumeclaims", SPACE)
        assert {item["metadata"]["name"] for item in found} == {"data-db-0", "data-db-1"}
        assert {item["status"]["phase"] for item in found} == {"Bound"}
        volumes = stage.pods("db")[0]["spec"]["volumes"]
        assert {"name": "data", "persistentVolumeClaim": {"claimName": "data-db-0"}} in volumes

        change(stage, {"spec": {"replicas": 0}})
        await stage.pass_time(10)
        assert pods(stage) == {}
        assert len(stage.admin.list("persistentvolumeclaims", SPACE)) == 2

    play(story)


def test_numbers_may_begin_elsewhere() -> None:
    async def story(stage: Stage) -> None:
        make(stage, replicas=2, ordinals={"start": 5})
        await stage.pass_time(10)

        assert set(pods(stage)) == {"db-5", "db-6"}

    play(story)


def test_min_ready_seconds_hold_the_next_pod_back() -> None:
    async def story(stage: Stage) -> None:
        make(stage, replicas=2, minReadySeconds=30)
        await stage.pass_time(20)
        assert set(pods(stage)) == {"db-0"}
        assert (status(stage)["readyReplicas"], status(stage)["availableReplicas"]) == (1, 0)

        await stage.pass_time(60)
        assert status(stage)["availableReplicas"] == 2

    play(story)


def test_a_quota_is_told_as_a_failure_to_create() -> None:
    async def story(stage: Stage) -> None:
        quota = {"metadata": {"name": "q"}, "spec": {"hard": {"pods": "1"}}}
        stage.admin.create("resourcequotas", SPACE, quota)
        make(stage, replicas=2)
        await stage.pass_time(10)

        assert status(stage)["readyReplicas"] == 1
        said = stage.messages("FailedCreate")
        assert said[0].startswith(
            'create Pod db-1 in StatefulSet db failed error: pods "db-1" is forbidden: '
            "exceeded quota: q, requested: pods=1, used: pods=1, limited: pods=1"
        )

    play(story)


@pytest.mark.parametrize("propagation", ["Background", "Foreground"])
def test_pods_and_history_go_with_their_owner(propagation: str) -> None:
    async def story(stage: Stage) -> None:
        make(stage)
        await stage.pass_time(10)
        stage.admin.delete("statefulsets", SPACE, "db", propagation=propagation)
        await stage.pass_time(10)

        assert stage.pods("db") == []
        assert stage.admin.list("controllerrevisions", SPACE) == []
        with pytest.raises(ApiError, match="not found"):
            stage.admin.get("statefulsets", SPACE, "db")

    play(story)


def test_orphaned_pods_are_adopted_by_the_next_of_that_name_without_a_restart() -> None:
    async def story(stage: Stage) -> None:
        make(stage)
        await stage.pass_time(10)
        before = {pod["metadata"]["uid"] for pod in stage.pods("db")}
        stage.admin.delete("statefulsets", SPACE, "db", propagation="Orphan")
        await stage.pass_time(5)
        assert len(stage.pods("db")) == 3

        make(stage)
        await stage.pass_time(10)
        assert {pod["metadata"]["uid"] for pod in stage.pods("db")} == before

    play(story)
