"""Rollouts, undos, pauses and failures on a running control plane, as recorded on a real one."""

from __future__ import annotations

from typing import Any

import pytest
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st

from tests.sandbox.planes import CAUSE, SPACE, Stage, play, rolling, tag_in
from veza_nb.sandbox.controllers.conditions import get_condition
from veza_nb.sandbox.controllers.revisions import HISTORY, REVISION

Json = dict[str, Any]


async def rolled_out(stage: Stage) -> None:
    """v1, then v2, both complete."""
    stage.deploy()
    stage.annotate("release v1")
    await stage.pass_time(10)
    stage.set_image("v2")
    stage.annotate("release v2")
    await stage.pass_time(10)


def test_a_new_deployment_becomes_complete_with_revision_1() -> None:
    async def story(stage: Stage) -> None:
        stage.deploy()
        await stage.pass_time(10)

        status = stage.status()
        counts = {key: status[key] for key in status if key != "conditions"}
        assert counts == {
            "observedGeneration": 1,
            "replicas": 3,
            "updatedReplicas": 3,
            "readyReplicas": 3,
            "availableReplicas": 3,
        }
        assert stage.reason("Available") == "True/MinimumReplicasAvailable"
        assert stage.reason() == "True/NewReplicaSetAvailable"
        assert stage.get()["metadata"]["annotations"][REVISION] == "1"
        name = stage.replica_sets()[0]["metadata"]["name"]
        assert [f"Scaled up replica set {name} from 0 to 3"] == stage.messages("ScalingReplicaSet")

    play(story)


def test_undo_renumbers_and_a_second_undo_goes_forward_again() -> None:
    """Recordings 06 and 06b."""

    async def story(stage: Stage) -> None:
        await rolled_out(stage)
        assert stage.revisions() == {1: "v1", 2: "v2"}

        stage.undo()
        await stage.pass_time(10)
        assert stage.revisions() == {2: "v2", 3: "v1"}
        old = next(item for item in stage.replica_sets() if item["spec"]["replicas"])
        assert old["metadata"]["annotations"][HISTORY] == "1"
        assert stage.get()["metadata"]["annotations"][REVISION] == "3"

        stage.undo()
        await stage.pass_time(10)
        assert stage.revisions() == {3: "v1", 4: "v2"}

    play(story)


def test_undo_of_a_failed_rollout_comes_back_complete_and_twice_fails_again() -> None:
    """Recordings 08, 10 and 31."""

    async def story(stage: Stage) -> None:
        await rolled_out(stage)
        stage.merge({"spec": {"progressDeadlineSeconds": 10}})
        stage.set_image("v3-bad")
        await stage.pass_time(9)
        assert stage.reason() in ("True/NewReplicaSetCreated", "True/ReplicaSetUpdated")
        await stage.pass_time(4)
        assert stage.reason() == "False/ProgressDeadlineExceeded"
        assert stage.reason("Available") == "True/MinimumReplicasAvailable"

        stage.undo()
        await stage.pass_time(2)
        assert stage.reason() == "True/NewReplicaSetAvailable"
        assert stage.revisions() == {1: "v1", 3: "v3-bad", 4: "v2"}

        stage.undo()
        await stage.pass_time(20)
        assert stage.revisions() == {1: "v1", 4: "v2", 5: "v3-bad"}
        assert stage.reason() == "False/ProgressDeadlineExceeded"

    play(story)


def test_undo_after_a_restart_changes_no_image() -> None:
    """Recording 14: the revision before a restart has the same image."""

    async def story(stage: Stage) -> None:
        await rolled_out(stage)
        note = {"kubectl.kubernetes.io/restartedAt": "2026-01-01T00:00:00Z"}
        stage.merge({"spec": {"template": {"metadata": {"annotations": note}}}})
        await stage.pass_time(10)
        assert stage.revisions() == {1: "v1", 2: "v2", 3: "v2"}

        stage.undo()
        await stage.pass_time(10)
        assert stage.revisions() == {1: "v1", 3: "v2", 4: "v2"}

    play(story)


@pytest.mark.parametrize(
    "strategy", [{"type": "Recreate"}, rolling(0, "100%")], ids=["recreate", "all-unavailable"]
)
def test_the_deadline_never_fires_on_the_way_to_a_template_that_was_there_before(
    strategy: Json,
) -> None:
    """Recording 30: the first time the deadline passes, the second time it never does."""

    async def story(stage: Stage) -> None:
        stage.deploy(strategy=strategy, progressDeadlineSeconds=3)
        await stage.pass_time(10)
        stage.set_image("v2-bad")
        await stage.pass_time(15)
        assert stage.reason() == "False/ProgressDeadlineExceeded"
        stage.undo()
        await stage.pass_time(10)
        assert stage.reason() == "True/NewReplicaSetAvailable"

        stage.undo()
        await stage.pass_time(120)
        assert stage.reason() == "True/NewReplicaSetAvailable"
        status = stage.status()
        assert (status["updatedReplicas"], status["unavailableReplicas"]) == (3, 3)
        assert "availableReplicas" not in status

    play(story)


@pytest.mark.parametrize("strategy", [rolling(1, 0), rolling(0, 1), rolling("25%", "25%")])
def test_the_deadline_fires_again_where_old_pods_stay(strategy: Json) -> None:
    async def story(stage: Stage) -> None:
        stage.deploy(strategy=strategy, progressDeadlineSeconds=3)
        await stage.pass_time(10)
        for _ in range(2):
            stage.set_image("v2-bad")
            await stage.pass_time(15)
            assert stage.reason() == "False/ProgressDeadlineExceeded"
            stage.set_image("v1")
            await stage.pass_time(10)
            assert stage.reason() == "True/NewReplicaSetAvailable"

    play(story)


def test_a_paused_deployment_notes_a_change_and_rolls_nothing() -> None:
    """Recording 13."""

    async def story(stage: Stage) -> None:
        await rolled_out(stage)
        stage.merge({"spec": {"paused": True}})
        await stage.pass_time(2)
        assert stage.reason() == "Unknown/DeploymentPaused"
        stage.set_image("v3")
        await stage.pass_time(10)
        assert stage.revisions() == {1: "v1", 2: "v2"}
        status = stage.status()
        assert stage.get()["metadata"]["generation"] == status["observedGeneration"]
        assert "updatedReplicas" not in status

        stage.merge({"spec": {"paused": None}})
        await stage.pass_time(10)
        assert stage.revisions() == {1: "v1", 2: "v2", 3: "v3"}
        assert stage.reason() == "True/NewReplicaSetAvailable"

    play(story)


def test_an_undo_while_paused_renumbers_and_rolls_nothing_until_resumed() -> None:
    async def story(stage: Stage) -> None:
        await rolled_out(stage)
        stage.merge({"spec": {"paused": True}})
        stage.undo()
        await stage.pass_time(10)
        assert stage.revisions() == {2: "v2", 3: "v1"}
        sizes = {item["spec"]["replicas"] for item in stage.replica_sets()}
        running = next(item for item in stage.replica_sets() if item["spec"]["replicas"])
        assert ({0, 3}, "2") == (sizes, running["metadata"]["annotations"][REVISION])

        stage.merge({"spec": {"paused": None}})
        await stage.pass_time(10)
        running = next(item for item in stage.replica_sets() if item["spec"]["replicas"])
        assert running["metadata"]["annotations"][REVISION] == "3"

    play(story)


def test_scaling_to_zero_and_back_keeps_the_revision() -> None:
    """Recording 17."""

    async def story(stage: Stage) -> None:
        await rolled_out(stage)
        stage.merge({"spec": {"replicas": 0}})
        await stage.pass_time(10)
        status = stage.status()
        assert {"observedGeneration", "conditions"} == set(status)
        assert stage.pods() == []

        stage.merge({"spec": {"replicas": 3}})
        await stage.pass_time(10)
        assert stage.revisions() == {1: "v1", 2: "v2"}
        assert stage.status()["availableReplicas"] == 3

    play(story)


def test_undo_keeps_the_replicas() -> None:
    async def story(stage: Stage) -> None:
        await rolled_out(stage)
        stage.merge({"spec": {"replicas": 5}})
        await stage.pass_time(5)
        stage.undo()
        await stage.pass_time(15)

        assert (stage.get()["spec"]["replicas"], stage.status()["updatedReplicas"]) == (5, 5)

    play(story)


def test_the_history_keeps_the_limit_and_a_limit_of_zero_keeps_none() -> None:
    """Recordings 27 and 17-nohistory."""

    async def story(stage: Stage) -> None:
        stage.deploy(revisionHistoryLimit=2)
        await stage.pass_time(5)
        for release in ("v2", "v3", "v4", "v5"):
            stage.set_image(release)
            await stage.pass_time(10)
        assert stage.revisions() == {3: "v3", 4: "v4", 5: "v5"}

        stage.merge({"spec": {"revisionHistoryLimit": 0}})
        await stage.pass_time(5)
        assert stage.revisions() == {5: "v5"}

    play(story)


def test_min_ready_seconds_hold_a_rollout_back() -> None:
    """Recording 40."""

    async def story(stage: Stage) -> None:
        stage.deploy(replicas=2, minReadySeconds=30)
        await stage.pass_time(20)
        status = stage.status()
        assert (status["readyReplicas"], status.get("availableReplicas")) == (2, None)
        await stage.pass_time(20)
        assert stage.status()["availableReplicas"] == 2

        stage.set_image("v2")
        await stage.pass_time(50)
        assert stage.reason() == "True/ReplicaSetUpdated"
        await stage.pass_time(60)
        assert stage.reason() == "True/NewReplicaSetAvailable"

    play(story)


def test_pods_that_break_after_success_leave_progressing_true() -> None:
    """Recording 40: only Available tells."""

    async def story(stage: Stage) -> None:
        await rolled_out(stage)
        stage.set_image("v3-flaky")
        await stage.pass_time(6)
        assert stage.reason() == "True/NewReplicaSetAvailable"
        await stage.pass_time(12)
        assert stage.reason() == "True/NewReplicaSetAvailable"
        assert stage.reason("Available") == "False/MinimumReplicasUnavailable"

    play(story)


def test_recreate_never_runs_old_and_new_pods_together() -> None:
    async def story(stage: Stage) -> None:
        stage.deploy(strategy={"type": "Recreate"})
        await stage.pass_time(10)
        seen: set[frozenset[str]] = set()

        def look(_old: Json | None, _new: Json | None) -> None:
            seen.add(frozenset(pod["spec"]["containers"][0]["image"] for pod in stage.pods()))

        stage.plane.informers.pods.on_change(look)
        stage.set_image("v2")
        await stage.pass_time(10)

        assert stage.get()["status"]["observedGeneration"] == 2
        assert stage.status()["updatedReplicas"] == 3
        assert all(len(images) <= 1 for images in seen)

    play(story)


def test_annotations_go_to_the_replica_set_but_not_what_belongs_to_kubectl() -> None:
    async def story(stage: Stage) -> None:
        stage.deploy()
        last_applied = "kubectl.kubernetes.io/last-applied-configuration"
        stage.merge({"metadata": {"annotations": {CAUSE: "why", "x": "y", last_applied: "{}"}}})
        await stage.pass_time(5)

        annotations = stage.replica_sets()[0]["metadata"]["annotations"]
        assert (annotations[CAUSE], annotations["x"]) == ("why", "y")
        assert last_applied not in annotations

    play(story)


def test_a_hash_that_clashes_is_counted_up() -> None:
    async def story(stage: Stage) -> None:
        stage.deploy(name="web")
        await stage.pass_time(5)
        name = stage.replica_sets()[0]["metadata"]["name"]
        taken = stage.admin.get("replicasets", SPACE, name)
        stage.admin.delete("deployments", SPACE, "web", propagation="Background")
        await stage.pass_time(5)
        labels = {"app": "other"}
        spec = {
            "replicas": 0,
            "selector": {"matchLabels": labels},
            "template": {"metadata": {"labels": labels}, "spec": taken["spec"]["template"]["spec"]},
        }
        body = {
            "apiVersion": "apps/v1",
            "kind": "ReplicaSet",
            "metadata": {"name": name},
            "spec": spec,
        }
        stage.admin.create("replicasets", SPACE, body)
        stage.deploy(name="web")
        await stage.pass_time(5)

        assert stage.status()["collisionCount"] == 1
        assert stage.status()["availableReplicas"] == 3

    play(story)


amounts = st.one_of(st.integers(0, 4), st.integers(0, 100).map(lambda share: f"{share}%"))


@settings(max_examples=20, deadline=None, suppress_health_check=[HealthCheck.too_slow])
@given(replicas=st.integers(1, 9), surge=amounts, unavailable=amounts)
def test_a_running_rollout_never_leaves_its_bounds(
    replicas: int, surge: int | str, unavailable: int | str
) -> None:
    """Watched at every change of a pod, on the real controllers."""

    async def story(stage: Stage) -> None:
        strategy = rolling(surge, unavailable)
        if surge in (0, "0%") and unavailable in (0, "0%"):
            strategy = rolling(1, 0)
        stage.deploy(replicas=replicas, strategy=strategy)
        await stage.pass_time(10)
        highest, lowest = bounds(replicas, strategy)
        totals, ready = [], []

        def look(_old: Json | None, _new: Json | None) -> None:
            alive = [pod for pod in stage.pods() if "deletionTimestamp" not in pod["metadata"]]
            totals.append(len(alive))
            ready.append(sum(map(is_ready, alive)))

        stage.plane.informers.pods.on_change(look)
        stage.set_image("v2")
        await stage.pass_time(40)

        assert replicas == stage.status()["updatedReplicas"]
        assert stage.reason() == "True/NewReplicaSetAvailable"
        assert max(totals) <= highest
        assert min(ready) >= lowest

    play(story)


def bounds(replicas: int, strategy: Json) -> tuple[int, int]:
    """Most pods and fewest available ones, worked out apart from the code under test."""

    def share(value: int | str, up: bool) -> int:
        if isinstance(value, int):
            return value
        amount = int(value[:-1]) * replicas
        return -(-amount // 100) if up else amount // 100

    surge = share(strategy["rollingUpdate"]["maxSurge"], up=True)
    unavailable = share(strategy["rollingUpdate"]["maxUnavailable"], up=False)
    if surge == unavailable == 0:
        unavailable = 1
    return replicas + surge, replicas - unavailable


def is_ready(pod: Json) -> bool:
    conditions = pod["status"].get("conditions", [])
    return any(c["type"] == "Ready" and c["status"] == "True" for c in conditions)


def test_a_quota_shows_as_replica_failure_and_the_rest_follows_when_there_is_room() -> None:
    """Recording 23."""

    async def story(stage: Stage) -> None:
        quota = {"metadata": {"name": "q"}, "spec": {"hard": {"pods": "1"}}}
        stage.admin.create("resourcequotas", SPACE, quota)
        stage.deploy(replicas=2)
        await stage.pass_time(10)
        condition = get_condition(stage.status(), "ReplicaFailure")
        assert condition is not None
        assert (condition["status"], condition["reason"]) == ("True", "FailedCreate")
        words = "exceeded quota: q, requested: pods=1, used: pods=1, limited: pods=1"
        assert condition["message"].endswith(f" is forbidden: {words}")
        assert stage.status()["unavailableReplicas"] == 1
        assert any(
            text.startswith("Error creating: pods ") for text in stage.messages("FailedCreate")
        )

        stage.admin.patch("resourcequotas", SPACE, "q", {"spec": {"hard": {"pods": "9"}}})
        await stage.pass_time(60)
        assert get_condition(stage.status(), "ReplicaFailure") is None
        assert stage.status()["availableReplicas"] == 2

    play(story)


def test_scaling_in_the_middle_of_a_failed_rollout_keeps_both_in_proportion() -> None:
    async def story(stage: Stage) -> None:
        stage.deploy(replicas=4, strategy=rolling(2, 1))
        await stage.pass_time(10)
        stage.set_image("v2-bad")
        await stage.pass_time(10)
        stage.merge({"spec": {"replicas": 8}})
        await stage.pass_time(10)
        sizes = {tag_in(item): item["spec"]["replicas"] for item in stage.replica_sets()}

        assert sizes == {"v1": 5, "v2-bad": 5}

    play(story)
