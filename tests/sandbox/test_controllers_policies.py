"""Budgets, quotas, autoscalers and the end of namespaces, on a running control plane."""

from __future__ import annotations

from typing import Any

import pytest

from tests.sandbox.planes import REPOSITORY, SPACE, Stage, deployment, play
from veza_nb.sandbox.apimachinery.status import ApiError
from veza_nb.sandbox.apiserver.client import PatchType
from veza_nb.sandbox.controllers.conditions import get_condition

Json = dict[str, Any]


# -- budgets -----------------------------------------------------------------------------------


def protect(stage: Stage, **spec: Any) -> None:
    body = {
        "metadata": {"name": "b"},
        "spec": {"selector": {"matchLabels": {"app": "web"}}, **spec},
    }
    stage.admin.create("poddisruptionbudgets", SPACE, body)


def budget(stage: Stage) -> Json:
    found: Json = stage.admin.get("poddisruptionbudgets", SPACE, "b")["status"]
    return found


def numbers(stage: Stage) -> tuple[int, int, int, int]:
    """Healthy, desired, expected, allowed."""
    names = ("currentHealthy", "desiredHealthy", "expectedPods", "disruptionsAllowed")
    found = budget(stage)
    healthy, desired, expected, allowed = (found[name] for name in names)
    return healthy, desired, expected, allowed


def evict(stage: Stage, name: str) -> None:
    body = {"apiVersion": "policy/v1", "kind": "Eviction", "metadata": {"name": name}}
    stage.admin.create("pods", SPACE, body, name=name, subresource="eviction")


def first_pods(stage: Stage) -> list[str]:
    return [pod["metadata"]["name"] for pod in stage.pods()]


@pytest.mark.parametrize(
    ("spec", "expected"),
    [
        ({"minAvailable": 3}, (4, 3, 4, 1)),
        ({"minAvailable": "50%"}, (4, 2, 4, 2)),
        ({"minAvailable": "51%"}, (4, 3, 4, 1)),
        ({"maxUnavailable": 1}, (4, 3, 4, 1)),
        ({"maxUnavailable": "30%"}, (4, 2, 4, 2)),
        ({"minAvailable": 5}, (4, 5, 4, 0)),
        ({"maxUnavailable": 0}, (4, 4, 4, 0)),
    ],
    ids=str,
)
def test_a_budget_counts_what_it_protects(spec: Json, expected: tuple[int, ...]) -> None:
    async def story(stage: Stage) -> None:
        stage.deploy(replicas=4)
        await stage.pass_time(5)
        protect(stage, **spec)
        await stage.pass_time(2)

        assert numbers(stage) == expected
        condition = get_condition(budget(stage), "DisruptionAllowed")
        assert condition is not None
        enough = expected[-1] > 0
        assert condition["status"] == str(enough)
        assert condition["reason"] == ("SufficientPods" if enough else "InsufficientPods")

    play(story)


def test_evictions_use_a_budget_up_and_new_pods_fill_it_again() -> None:
    async def story(stage: Stage) -> None:
        stage.deploy(replicas=3)
        await stage.pass_time(5)
        protect(stage, minAvailable=2)
        await stage.pass_time(2)
        first, second = first_pods(stage)[:2]
        evict(stage, first)
        assert first in budget(stage)["disruptedPods"]
        condition = get_condition(budget(stage), "DisruptionAllowed")
        assert condition is not None
        assert condition["reason"] == "InsufficientPods"

        with pytest.raises(ApiError) as refused:
            evict(stage, second)
        assert refused.value.code == 429
        assert refused.value.message == (
            "Cannot evict pod as it would violate the pod's disruption budget."
        )
        await stage.pass_time(5)
        assert "disruptedPods" not in budget(stage)
        evict(stage, second)

    play(story)


def test_a_refused_eviction_says_how_many_pods_are_healthy() -> None:
    """Recording 23."""

    async def story(stage: Stage) -> None:
        stage.deploy(replicas=3)
        await stage.pass_time(5)
        protect(stage, minAvailable=3)
        await stage.pass_time(2)
        with pytest.raises(ApiError) as refused:
            evict(stage, first_pods(stage)[0])

        said = "The disruption budget b needs 3 healthy pods and has 3 currently"
        causes = (refused.value.details or {})["causes"]
        assert causes == [{"reason": "DisruptionBudget", "message": said}]
        assert len(first_pods(stage)) == 3

    play(story)


def test_pods_that_do_not_serve_may_go_only_while_the_others_suffice() -> None:
    async def story(stage: Stage) -> None:
        stage.deploy(replicas=2)
        await stage.pass_time(5)
        stage.deploy("other", "v1-slow", 1)
        stage.admin.create(
            "poddisruptionbudgets",
            SPACE,
            {
                "metadata": {"name": "all"},
                "spec": {"minAvailable": 2, "selector": {"matchLabels": {}}},
            },
        )
        await stage.pass_time(5)
        [broken] = [pod["metadata"]["name"] for pod in stage.pods("other")]
        evict(stage, broken)
        await stage.pass_time(5)
        assert broken not in [pod["metadata"]["name"] for pod in stage.pods("other")]

        with pytest.raises(ApiError, match="disruption budget"):
            evict(stage, first_pods(stage)[0])

    play(story)


def test_two_budgets_over_one_pod_are_an_error() -> None:
    async def story(stage: Stage) -> None:
        stage.deploy(replicas=1)
        await stage.pass_time(5)
        for name in ("one", "two"):
            body = {"metadata": {"name": name}, "spec": {"minAvailable": 0, "selector": {}}}
            stage.admin.create("poddisruptionbudgets", SPACE, body)
        await stage.pass_time(1)
        with pytest.raises(ApiError) as refused:
            evict(stage, first_pods(stage)[0])

        assert refused.value.code == 500
        assert "more than one PodDisruptionBudget" in refused.value.message

    play(story)


def test_a_budget_does_not_hold_up_a_rolling_update() -> None:
    """Recording 23."""

    async def story(stage: Stage) -> None:
        stage.deploy(replicas=3)
        await stage.pass_time(5)
        protect(stage, minAvailable=3)
        stage.set_image("v2")
        await stage.pass_time(20)

        assert stage.reason() == "True/NewReplicaSetAvailable"

    play(story)


# -- quotas ------------------------------------------------------------------------------------


def restrict(stage: Stage, name: str = "q", **parts: Any) -> None:
    stage.admin.create("resourcequotas", SPACE, {"metadata": {"name": name}, "spec": parts})


def used(stage: Stage, name: str = "q") -> dict[str, str]:
    found: dict[str, str] = stage.admin.get("resourcequotas", SPACE, name)["status"]["used"]
    return found


def asking(cpu: str) -> Json:
    body = deployment("web", "v1", 3)
    resources = {"requests": {"cpu": cpu}, "limits": {"cpu": "1"}}
    body["spec"]["template"]["spec"]["containers"][0]["resources"] = resources
    return body


def test_a_quota_shows_as_a_failure_of_the_deployment_until_there_is_room() -> None:
    """Recording 23."""

    async def story(stage: Stage) -> None:
        restrict(stage, hard={"pods": "2"})
        await stage.pass_time(1)
        stage.deploy(replicas=3)
        await stage.pass_time(5)
        failure = get_condition(stage.status(), "ReplicaFailure")
        assert failure is not None
        assert (failure["status"], failure["reason"]) == ("True", "FailedCreate")
        said = "is forbidden: exceeded quota: q, requested: pods=1, used: pods=2, limited: pods=2"
        assert failure["message"].endswith(said)
        assert any(text.endswith(said) for text in stage.messages("FailedCreate"))
        assert stage.status()["availableReplicas"] == 2
        assert used(stage) == {"pods": "2"}

        stage.admin.patch("resourcequotas", SPACE, "q", {"spec": {"hard": {"pods": "3"}}})
        await stage.pass_time(60)
        assert stage.status()["availableReplicas"] == 3
        assert get_condition(stage.status(), "ReplicaFailure") is None

    play(story)


def test_a_quota_counts_requests_limits_and_objects() -> None:
    async def story(stage: Stage) -> None:
        hard = {"requests.cpu": "2", "limits.cpu": "10", "pods": "10", "configmaps": "1"}
        restrict(stage, hard={**hard, "count/deployments.apps": "1"})
        await stage.pass_time(1)
        stage.admin.create("deployments", SPACE, asking("250m"))
        await stage.pass_time(5)
        assert used(stage) == {
            "configmaps": "0",
            "count/deployments.apps": "1",
            "limits.cpu": "3",
            "pods": "3",
            "requests.cpu": "750m",
        }

        stage.admin.create("configmaps", SPACE, {"metadata": {"name": "one"}})
        with pytest.raises(ApiError) as refused:
            stage.admin.create("configmaps", SPACE, {"metadata": {"name": "two"}})
        assert refused.value.message == (
            'configmaps "two" is forbidden: exceeded quota: q, requested: configmaps=1, '
            "used: configmaps=1, limited: configmaps=1"
        )
        with pytest.raises(ApiError, match=r"requested: count/deployments.apps=1"):
            stage.deploy("second")

        stage.merge({"spec": {"replicas": 0}})
        await stage.pass_time(5)
        assert used(stage)["pods"] == "0"

    play(story)


def test_a_pod_must_say_what_a_quota_measures() -> None:
    async def story(stage: Stage) -> None:
        restrict(stage, hard={"requests.cpu": "1", "limits.memory": "1Gi"})
        await stage.pass_time(1)
        spec = {"containers": [{"name": "c", "image": "a:b"}]}
        with pytest.raises(ApiError) as refused:
            stage.admin.create("pods", SPACE, {"metadata": {"name": "x"}, "spec": spec})

        assert refused.value.message == (
            'pods "x" is forbidden: failed quota: q: must specify limits.memory for: c; '
            "requests.cpu for: c"
        )

    play(story)


def test_pods_of_one_moment_cannot_share_the_same_room_and_a_dry_run_takes_none() -> None:
    async def story(stage: Stage) -> None:
        restrict(stage, hard={"pods": "1"})
        await stage.pass_time(1)
        spec = {"containers": [{"name": "c", "image": "a:b"}]}
        stage.admin.create("pods", SPACE, {"metadata": {"name": "one"}, "spec": spec})
        with pytest.raises(ApiError, match="exceeded quota"):
            stage.admin.create("pods", SPACE, {"metadata": {"name": "two"}, "spec": spec})
        assert used(stage) == {"pods": "1"}

    play(story)


def test_a_scoped_quota_counts_only_pods_in_its_scope() -> None:
    async def story(stage: Stage) -> None:
        restrict(stage, hard={"pods": "0"}, scopes=["BestEffort"])
        await stage.pass_time(1)
        stage.admin.create("deployments", SPACE, asking("250m"))
        stage.deploy("plain", replicas=1)
        await stage.pass_time(5)

        assert stage.status()["availableReplicas"] == 3
        assert stage.pods("plain") == []

    play(story)


# -- autoscalers -------------------------------------------------------------------------------


def autoscale(stage: Stage, least: int = 2, most: int = 6, **parts: Any) -> None:
    target = {"apiVersion": "apps/v1", "kind": "Deployment", "name": "web"}
    spec = {"scaleTargetRef": target, "minReplicas": least, "maxReplicas": most, **parts}
    stage.admin.create("horizontalpodautoscalers", SPACE, {"metadata": {"name": "h"}, "spec": spec})


def autoscaler(stage: Stage) -> Json:
    found: Json = stage.admin.get("horizontalpodautoscalers", SPACE, "h")["status"]
    return found


def why(stage: Stage, kind: str) -> str:
    condition = get_condition(autoscaler(stage), kind)
    return "" if condition is None else f"{condition['status']}/{condition['reason']}"


def size(stage: Stage) -> int:
    replicas: int = stage.get()["spec"]["replicas"]
    return replicas


def measured(stage: Stage, cores: float | None) -> None:
    stage.plane.autoscaler.usage = lambda _pod: cores


async def with_requests(stage: Stage, replicas: int = 3) -> None:
    stage.deploy(replicas=replicas)
    resources = {"requests": {"cpu": "500m"}}
    containers = [{"name": "c", "image": f"{REPOSITORY}:v1", "resources": resources}]
    patch = {"spec": {"template": {"spec": {"containers": containers}}}}
    stage.admin.patch("deployments", SPACE, "web", patch, kind=PatchType.STRATEGIC)
    await stage.pass_time(10)


def test_an_autoscaler_holds_its_bounds_without_any_metrics() -> None:
    async def story(stage: Stage) -> None:
        stage.plane.autoscaler.usage = None
        stage.deploy(replicas=3)
        autoscale(stage)
        await stage.pass_time(20)
        assert size(stage) == 3
        assert why(stage, "AbleToScale") == "True/SucceededGetScale"
        assert why(stage, "ScalingActive") == "False/FailedGetResourceMetric"
        text = (
            "failed to get cpu utilization: unable to get metrics for resource cpu: unable to "
            "fetch metrics from resource metrics API: the server could not find the requested "
            "resource (get pods.metrics.k8s.io)"
        )
        assert stage.messages("FailedGetResourceMetric") == [text]
        assert stage.messages("FailedComputeMetricsReplicas") == [
            "invalid metrics (1 invalid out of 1), first error is: "
            f"failed to get cpu resource metric value: {text}"
        ]

        stage.merge({"spec": {"replicas": 1}})
        await stage.pass_time(20)
        assert size(stage) == 2
        stage.merge({"spec": {"replicas": 9}})
        await stage.pass_time(20)
        assert size(stage) == 6
        assert stage.messages("SuccessfulRescale") == [
            "New size: 2; reason: Current number of replicas below Spec.MinReplicas",
            "New size: 6; reason: Current number of replicas above Spec.MaxReplicas",
        ]

    play(story)


def test_an_autoscaler_leaves_a_deployment_at_zero_alone() -> None:
    async def story(stage: Stage) -> None:
        stage.deploy(replicas=0)
        autoscale(stage)
        await stage.pass_time(60)

        assert size(stage) == 0
        assert why(stage, "ScalingActive") == "False/ScalingDisabled"
        condition = get_condition(autoscaler(stage), "ScalingActive")
        assert condition is not None
        assert condition["message"] == (
            "scaling is disabled since the replica count of the target is zero"
        )

    play(story)


def test_load_makes_it_grow_at_once_and_shrink_only_after_five_quiet_minutes() -> None:
    async def story(stage: Stage) -> None:
        await with_requests(stage)
        autoscale(stage)
        # A load of 1.8 cores, spread over the pods there are.
        stage.plane.autoscaler.usage = lambda _pod: 1.8 / len(stage.pods())
        await stage.pass_time(16)
        assert size(stage) == 5
        assert why(stage, "ScalingActive") == "True/ValidMetricFound"
        [current] = autoscaler(stage)["currentMetrics"]
        assert current["resource"]["current"] == {
            "averageValue": "600m",
            "averageUtilization": 120,
        }
        reason = "cpu resource utilization (percentage of request) above target"
        assert f"New size: 5; reason: {reason}" in stage.messages("SuccessfulRescale")

        await stage.pass_time(60)
        assert size(stage) == 5
        measured(stage, 0.01)
        await stage.pass_time(120)
        assert size(stage) == 5
        assert why(stage, "AbleToScale") == "True/ScaleDownStabilized"
        await stage.pass_time(300)
        assert size(stage) == 2
        assert "New size: 2; reason: All metrics below target" in stage.messages(
            "SuccessfulRescale"
        )
        assert why(stage, "ScalingLimited") == "True/TooFewReplicas"

    play(story)


def test_a_behavior_slows_growth_and_shrinking() -> None:
    async def story(stage: Stage) -> None:
        one = [{"type": "Pods", "value": 1, "periodSeconds": 60}]
        down = {"policies": one, "stabilizationWindowSeconds": 0}
        await with_requests(stage)
        autoscale(stage, behavior={"scaleUp": {"policies": one}, "scaleDown": down})
        measured(stage, 0.6)
        await stage.pass_time(20)
        assert size(stage) == 4
        await stage.pass_time(30)
        assert size(stage) == 4
        assert why(stage, "ScalingLimited") == "True/ScaleUpLimit"
        await stage.pass_time(40)
        assert size(stage) == 5

        measured(stage, 0.01)
        await stage.pass_time(20)
        assert size(stage) == 4
        assert why(stage, "ScalingLimited") == "True/ScaleDownLimit"
        found = stage.admin.get("horizontalpodautoscalers", SPACE, "h")["spec"]["behavior"]
        assert found["scaleUp"]["stabilizationWindowSeconds"] == 0
        assert found["scaleDown"]["selectPolicy"] == "Max"

    play(story)


def test_shrinking_may_be_switched_off() -> None:
    async def story(stage: Stage) -> None:
        await with_requests(stage)
        down = {"selectPolicy": "Disabled", "stabilizationWindowSeconds": 0}
        autoscale(stage, behavior={"scaleDown": down})
        measured(stage, 0.01)
        await stage.pass_time(120)

        assert size(stage) == 3

    play(story)


def test_use_near_the_target_changes_nothing() -> None:
    async def story(stage: Stage) -> None:
        await with_requests(stage)
        autoscale(stage)
        measured(stage, 0.41)
        await stage.pass_time(120)

        assert size(stage) == 3
        assert why(stage, "AbleToScale") == "True/ReadyForNewScale"
        assert why(stage, "ScalingLimited") == "False/DesiredWithinRange"

    play(story)


def test_what_a_pod_does_not_request_cannot_be_compared() -> None:
    async def story(stage: Stage) -> None:
        stage.deploy(replicas=2)
        autoscale(stage)
        measured(stage, 0.5)
        await stage.pass_time(20)

        [text] = stage.messages("FailedGetResourceMetric")
        assert text.startswith("failed to get cpu utilization: missing request for cpu in")

    play(story)


def test_a_target_that_is_not_there_is_told() -> None:
    async def story(stage: Stage) -> None:
        autoscale(stage)
        await stage.pass_time(20)

        assert why(stage, "AbleToScale") == "False/FailedGetScale"
        assert stage.messages("FailedGetScale") == ['deployments.apps "web" not found']

    play(story)


# -- namespaces --------------------------------------------------------------------------------


def test_a_namespace_on_its_way_out_says_what_holds_it() -> None:
    async def story(stage: Stage) -> None:
        held = {"metadata": {"name": "held", "finalizers": ["example.com/hold"]}}
        stage.admin.create("configmaps", SPACE, held)
        stage.deploy()
        await stage.pass_time(5)
        stage.admin.delete("namespaces", None, SPACE)
        await stage.pass_time(5)
        found = stage.admin.get("namespaces", None, SPACE)["status"]
        assert found["phase"] == "Terminating"
        said = [(each["type"], each["status"], each["reason"]) for each in found["conditions"]]
        assert said == [
            ("NamespaceDeletionDiscoveryFailure", "False", "ResourcesDiscovered"),
            ("NamespaceDeletionGroupVersionParsingFailure", "False", "ParsedGroupVersions"),
            ("NamespaceDeletionContentFailure", "False", "ContentDeleted"),
            ("NamespaceContentRemaining", "True", "SomeResourcesRemain"),
            ("NamespaceFinalizersRemaining", "True", "SomeFinalizersRemain"),
        ]
        assert found["conditions"][3]["message"] == (
            "Some resources are remaining: configmaps. has 1 resource instances"
        )
        assert found["conditions"][4]["message"] == (
            "Some content in the namespace has finalizers remaining: "
            "example.com/hold in 1 resource instances"
        )
        with pytest.raises(ApiError, match="because it is being terminated"):
            stage.deploy("late")

        stage.admin.patch("configmaps", SPACE, "held", {"metadata": {"finalizers": None}})
        await stage.pass_time(5)
        with pytest.raises(ApiError, match="not found"):
            stage.admin.get("namespaces", None, SPACE)

    play(story)


def test_every_kind_goes_with_its_namespace() -> None:
    async def story(stage: Stage) -> None:
        stage.deploy()
        container = {"name": "m", "image": "registry.example/m:v1"}
        template = {"spec": {"restartPolicy": "Never", "containers": [container]}}
        stage.admin.create(
            "jobs", SPACE, {"metadata": {"name": "j"}, "spec": {"template": template}}
        )
        stage.admin.create(
            "statefulsets",
            SPACE,
            {**deployment("db", "v1", 2, serviceName="db"), "kind": "StatefulSet"},
        )
        protect(stage, minAvailable=1)
        restrict(stage, hard={"pods": "100"})
        autoscale(stage)
        await stage.pass_time(10)
        stage.admin.delete("namespaces", None, SPACE)
        await stage.pass_time(60)

        with pytest.raises(ApiError, match="not found"):
            stage.admin.get("namespaces", None, SPACE)
        assert len(list(stage.plane.informers.pods.select("namespace", SPACE))) == 0

    play(story)


def test_an_autoscaler_reads_what_the_cluster_measures() -> None:
    async def story(stage: Stage) -> None:
        await with_requests(stage)
        autoscale(stage)
        await stage.pass_time(60)

        assert why(stage, "ScalingActive") == "True/ValidMetricFound"
        [current] = autoscaler(stage)["currentMetrics"]
        assert current["resource"]["name"] == "cpu"
        assert current["resource"]["current"]["averageUtilization"] >= 0

    play(story)
