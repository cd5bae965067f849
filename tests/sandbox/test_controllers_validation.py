"""What the server refuses of workloads, Jobs and limits, in its own words."""

from __future__ import annotations

import copy
from typing import Any

import pytest

from tests.sandbox.conftest import NAMESPACE, ApiInProcess

Json = dict[str, Any]
GROUPS = {
    "cronjobs": "/apis/batch/v1",
    "daemonsets": "/apis/apps/v1",
    "horizontalpodautoscalers": "/apis/autoscaling/v2",
    "jobs": "/apis/batch/v1",
    "persistentvolumeclaims": "/api/v1",
    "poddisruptionbudgets": "/apis/policy/v1",
    "replicasets": "/apis/apps/v1",
    "resourcequotas": "/api/v1",
    "statefulsets": "/apis/apps/v1",
}
LABELS = {"app": "x"}
POD = {"containers": [{"name": "c", "image": "a:b"}]}
WORKLOAD: Json = {
    "selector": {"matchLabels": LABELS},
    "template": {"metadata": {"labels": LABELS}, "spec": POD},
}
TASK: Json = {"template": {"spec": {**POD, "restartPolicy": "Never"}}}
SPECS: dict[str, Json] = {
    "cronjobs": {"schedule": "0 3 * * *", "jobTemplate": {"spec": TASK}},
    "daemonsets": WORKLOAD,
    "horizontalpodautoscalers": {
        "scaleTargetRef": {"apiVersion": "apps/v1", "kind": "Deployment", "name": "x"},
        "maxReplicas": 3,
    },
    "jobs": TASK,
    "persistentvolumeclaims": {
        "accessModes": ["ReadWriteOnce"],
        "resources": {"requests": {"storage": "1Gi"}},
    },
    "poddisruptionbudgets": {"minAvailable": 1, "selector": {"matchLabels": LABELS}},
    "replicasets": WORKLOAD,
    "resourcequotas": {"hard": {"pods": "1"}},
    "statefulsets": {**WORKLOAD, "serviceName": "x"},
}
_DAEMON = "spec.updateStrategy.rollingUpdate"
_RESTART = 'template.spec.restartPolicy: Required value: valid values: "OnFailure", "Never"'
_NO_POLICY = {"template": {"spec": POD}}


def path(resource: str, name: str = "") -> str:
    whole = f"{GROUPS[resource]}/namespaces/{NAMESPACE}/{resource}"
    return f"{whole}/{name}" if name else whole


def merged(spec: Json, change: Json) -> Json:
    """The spec with parts changed; None takes a part out, a dict goes into a dict."""
    result = copy.deepcopy(spec)
    for name, value in change.items():
        if value is None:
            result.pop(name, None)
        elif isinstance(value, dict) and isinstance(result.get(name), dict):
            result[name] = merged(result[name], value)
        else:
            result[name] = value
    return result


def body(resource: str, change: Json | None = None, name: str = "x") -> Json:
    return {"metadata": {"name": name}, "spec": merged(SPECS[resource], change or {})}


@pytest.mark.parametrize("resource", sorted(SPECS))
def test_a_plain_object_is_taken(cluster: ApiInProcess, resource: str) -> None:
    response = cluster.ask("POST", path(resource), body(resource))

    assert response.status == 201


@pytest.mark.parametrize(
    ("resource", "change", "said"),
    [
        ("statefulsets", {"replicas": -1}, "spec.replicas: Invalid value: -1: must be greater"),
        (
            "statefulsets",
            {"podManagementPolicy": "Some"},
            "podManagementPolicy: Invalid value: \"Some\": must be 'OrderedReady' or 'Parallel'",
        ),
        (
            "statefulsets",
            {"updateStrategy": {"type": "Recreate"}},
            "updateStrategy: Invalid value: \"Recreate\": must be 'RollingUpdate' or 'OnDelete'",
        ),
        (
            "statefulsets",
            {"updateStrategy": {"rollingUpdate": {"partition": -1}}},
            "spec.updateStrategy.rollingUpdate.partition: Invalid value: -1: must be greater than",
        ),
        (
            "statefulsets",
            {"selector": {"matchLabels": {"app": "y"}}},
            "`selector` does not match template `labels`",
        ),
        ("statefulsets", {"ordinals": {"start": -1}}, "spec.ordinals.start: Invalid value: -1"),
        (
            "statefulsets",
            {"template": {"spec": {"restartPolicy": "Never"}}},
            'restartPolicy: Unsupported value: "Never": supported values: "Always"',
        ),
        ("daemonsets", {"selector": None}, "spec.selector: Required value"),
        (
            "daemonsets",
            {"updateStrategy": {"type": "Recreate"}},
            'spec.updateStrategy.type: Unsupported value: "Recreate": supported values: '
            '"RollingUpdate", "OnDelete"',
        ),
        (
            "daemonsets",
            {"updateStrategy": {"rollingUpdate": {"maxUnavailable": 0, "maxSurge": 0}}},
            f"{_DAEMON}.maxUnavailable: Required value: cannot be 0 when maxSurge is 0",
        ),
        (
            "daemonsets",
            {"updateStrategy": {"rollingUpdate": {"maxUnavailable": 1, "maxSurge": 1}}},
            f"{_DAEMON}.maxSurge: Invalid value: 1: may not be set when maxUnavailable is non-zero",
        ),
        (
            "daemonsets",
            {"updateStrategy": {"rollingUpdate": {"maxUnavailable": "120%"}}},
            f'{_DAEMON}.maxUnavailable: Invalid value: "120%": must not be greater than 100%',
        ),
        (
            "daemonsets",
            {"selector": {"matchLabels": None}},
            "empty selector is invalid for daemonset",
        ),
        ("replicasets", {"minReadySeconds": -1}, "spec.minReadySeconds: Invalid value: -1"),
        ("jobs", {"template": {"spec": {"restartPolicy": None}}}, f"spec.{_RESTART}"),
        ("jobs", {"backoffLimit": -1}, "spec.backoffLimit: Invalid value: -1: must be greater"),
        ("jobs", {"ttlSecondsAfterFinished": -1}, "spec.ttlSecondsAfterFinished: Invalid value"),
        (
            "jobs",
            {"completionMode": "Indexed", "completions": None, "parallelism": 2},
            "spec.completions: Required value: when completion mode is Indexed",
        ),
        ("jobs", {"completionMode": "Some"}, 'spec.completionMode: Unsupported value: "Some"'),
        (
            "cronjobs",
            {"schedule": "* * *"},
            'spec.schedule: Invalid value: "* * *": expected exactly 5 fields, found 3: [* * *]',
        ),
        ("cronjobs", {"schedule": "@often"}, "unrecognized descriptor: @often"),
        ("cronjobs", {"schedule": "a/ * * * *"}, "failed to parse int from a/"),
        (
            "cronjobs",
            {"timeZone": "Mars/Olympus"},
            'spec.timeZone: Invalid value: "Mars/Olympus": unknown time zone Mars/Olympus',
        ),
        ("cronjobs", {"schedule": ""}, "spec.schedule: Required value"),
        (
            "cronjobs",
            {"concurrencyPolicy": "Maybe"},
            'spec.concurrencyPolicy: Unsupported value: "Maybe": supported values: "Allow", '
            '"Forbid", "Replace"',
        ),
        (
            "cronjobs",
            {"jobTemplate": {"spec": {"template": {"spec": {"restartPolicy": "Always"}}}}},
            f"spec.jobTemplate.spec.{_RESTART}",
        ),
        (
            "horizontalpodautoscalers",
            {"minReplicas": 0},
            "spec.minReplicas: Invalid value: 0: must be greater than or equal to 1",
        ),
        (
            "horizontalpodautoscalers",
            {"minReplicas": 5},
            "spec.maxReplicas: Invalid value: 3: must be greater than or equal to `minReplicas`",
        ),
        (
            "horizontalpodautoscalers",
            {"scaleTargetRef": {"name": ""}},
            "spec.scaleTargetRef.name: Required value",
        ),
        (
            "horizontalpodautoscalers",
            {"metrics": [{"type": "Resource"}]},
            "spec.metrics[0].resource: Required value: must populate information for the given "
            "metric source",
        ),
        (
            "poddisruptionbudgets",
            {"maxUnavailable": 1},
            "minAvailable and maxUnavailable cannot be both set",
        ),
        ("poddisruptionbudgets", {"minAvailable": -1}, "spec.minAvailable: Invalid value: -1"),
        ("poddisruptionbudgets", {"minAvailable": "many"}, "a valid percent string must be"),
        (
            "poddisruptionbudgets",
            {"unhealthyPodEvictionPolicy": "Never"},
            'spec.unhealthyPodEvictionPolicy: Unsupported value: "Never"',
        ),
        (
            "resourcequotas",
            {"hard": {"podz": "1"}},
            'spec.hard[podz]: Invalid value: "podz": must be a standard resource type or fully '
            "qualified",
        ),
        ("resourcequotas", {"hard": {"pods": "-1"}}, 'spec.hard[pods]: Invalid value: "-1"'),
        ("resourcequotas", {"hard": {"pods": "1500m"}}, "must be an integer"),
        (
            "persistentvolumeclaims",
            {"accessModes": []},
            "spec.accessModes: Required value: at least 1 access mode is required",
        ),
        (
            "persistentvolumeclaims",
            {"resources": None},
            "spec.resources[storage]: Required value",
        ),
    ],
)
def test_a_bad_object_is_refused_in_these_words(
    cluster: ApiInProcess, resource: str, change: Json, said: str
) -> None:
    code, message = cluster.refusal("POST", path(resource), body(resource, change))

    assert code == 422
    assert said in message


@pytest.mark.parametrize(
    ("resource", "change", "said"),
    [
        (
            "statefulsets",
            {"serviceName": "y"},
            "spec: Forbidden: updates to statefulset spec for fields other than 'replicas', "
            "'ordinals', 'template', 'updateStrategy', 'persistentVolumeClaimRetentionPolicy' and "
            "'minReadySeconds' are forbidden",
        ),
        ("statefulsets", {"revisionHistoryLimit": 3}, "updates to statefulset spec for fields"),
        ("daemonsets", {"selector": {"matchLabels": {"a": "b"}}}, "field is immutable"),
        ("jobs", {"completions": 4}, "spec.completions: Invalid value: 4: field is immutable"),
        ("jobs", {"template": {"spec": {"hostname": "h"}}}, "field is immutable"),
        (
            "persistentvolumeclaims",
            {"storageClassName": "fast"},
            "spec: Forbidden: spec is immutable after creation except resources.requests",
        ),
    ],
)
def test_what_may_not_change_is_refused(
    cluster: ApiInProcess, resource: str, change: Json, said: str
) -> None:
    cluster.ask("POST", path(resource), body(resource))
    code, message = cluster.refusal(
        "PATCH",
        path(resource, "x"),
        {"spec": change},
        content_type="application/merge-patch+json",
    )

    assert code == 422
    assert said in message


@pytest.mark.parametrize(
    ("resource", "change"),
    [
        ("statefulsets", {"replicas": 5, "minReadySeconds": 3}),
        ("statefulsets", {"template": {"spec": {"hostname": "h"}}}),
        ("daemonsets", {"template": {"spec": {"hostname": "h"}}}),
        ("jobs", {"parallelism": 3, "suspend": True, "backoffLimit": 2}),
        ("resourcequotas", {"hard": {"pods": "7"}}),
        ("poddisruptionbudgets", {"minAvailable": 2}),
        ("persistentvolumeclaims", {"resources": {"requests": {"storage": "2Gi"}}}),
    ],
)
def test_what_may_change_is_taken(cluster: ApiInProcess, resource: str, change: Json) -> None:
    cluster.ask("POST", path(resource), body(resource))
    response = cluster.ask(
        "PATCH",
        path(resource, "x"),
        {"spec": change},
        content_type="application/merge-patch+json",
    )

    assert response.status == 200


def test_a_cron_job_has_a_short_name(cluster: ApiInProcess) -> None:
    code, message = cluster.refusal("POST", path("cronjobs"), body("cronjobs", name="x" * 53))

    assert code == 422
    assert "must be no more than 52 characters" in message


def test_the_generation_of_a_daemon_sets_template_counts_its_changes(cluster: ApiInProcess) -> None:
    key = "deprecated.daemonset.template.generation"

    def generations(response: Any) -> tuple[str, int]:
        metadata = response.document["metadata"]
        return metadata["annotations"][key], metadata["generation"]

    made = cluster.ask("POST", path("daemonsets"), body("daemonsets"))
    merge = {"content_type": "application/merge-patch+json"}
    template = {"spec": {"template": {"spec": {"hostname": "h"}}}}
    changed = cluster.ask("PATCH", path("daemonsets", "x"), template, **merge)
    other = cluster.ask(
        "PATCH", path("daemonsets", "x"), {"spec": {"revisionHistoryLimit": 3}}, **merge
    )

    assert generations(made) == ("1", 1)
    assert generations(changed) == ("2", 2)
    assert generations(other) == ("2", 3)
