"""The cells of what runs Pods."""

from __future__ import annotations

from datetime import datetime
from typing import Any

from veza_nb.sandbox.apimachinery.autoscalers import to_v2
from veza_nb.sandbox.apiserver.printing.text import (
    NONE,
    UNKNOWN,
    UNSET,
    age,
    containers,
    name_of,
    or_none,
    parse_time,
    selector,
    since,
    status_of,
)

Json = dict[str, Any]


def deployment(document: Json, now: datetime) -> list[Any]:
    """Cells of a Deployment."""
    spec, state = document["spec"], status_of(document)
    return [
        name_of(document),
        f"{state.get('readyReplicas', 0)}/{spec.get('replicas', 0)}",
        state.get("updatedReplicas", 0),
        state.get("availableReplicas", 0),
        age(document, now),
        *containers(spec["template"]["spec"]),
        selector(spec.get("selector")),
    ]


def replica_set(document: Json, now: datetime) -> list[Any]:
    """Cells of a ReplicaSet."""
    spec, state = document["spec"], status_of(document)
    return [
        name_of(document),
        spec.get("replicas", 0),
        state.get("replicas", 0),
        state.get("readyReplicas", 0),
        age(document, now),
        *containers(spec["template"]["spec"]),
        selector(spec.get("selector")),
    ]


def stateful_set(document: Json, now: datetime) -> list[Any]:
    """Cells of a StatefulSet."""
    spec, state = document["spec"], status_of(document)
    ready = f"{state.get('readyReplicas', 0)}/{spec.get('replicas', 0)}"
    return [name_of(document), ready, age(document, now), *containers(spec["template"]["spec"])]


def daemon_set(document: Json, now: datetime) -> list[Any]:
    """Cells of a DaemonSet."""
    spec, state = document["spec"], status_of(document)
    nodes = spec["template"]["spec"].get("nodeSelector") or {}
    return [
        name_of(document),
        state.get("desiredNumberScheduled", 0),
        state.get("currentNumberScheduled", 0),
        state.get("numberReady", 0),
        state.get("updatedNumberScheduled", 0),
        state.get("numberAvailable", 0),
        or_none(f"{key}={value}" for key, value in sorted(nodes.items())),
        age(document, now),
        *containers(spec["template"]["spec"]),
        selector(spec.get("selector")),
    ]


def controller_revision(document: Json, now: datetime) -> list[Any]:
    """Cells of a ControllerRevision."""
    owners = document["metadata"].get("ownerReferences") or ()
    owner = next((each for each in owners if each.get("controller")), None)
    shown = NONE
    if owner:
        group = owner["apiVersion"].rpartition("/")[0]
        kind = owner["kind"].lower() + (f".{group}" if group else "")
        shown = f"{kind}/{owner['name']}"
    return [name_of(document), shown, document["revision"], age(document, now)]


def job(document: Json, now: datetime) -> list[Any]:
    """Cells of a Job."""
    spec, state = document["spec"], status_of(document)
    done, wanted = state.get("succeeded", 0), spec.get("completions")
    if wanted is not None:
        completions = f"{done}/{wanted}"
    elif spec.get("parallelism", 1) > 1:
        completions = f"{done}/1 of {spec['parallelism']}"
    else:
        completions = f"{done}/1"
    start, end = state.get("startTime"), state.get("completionTime")
    took = since(start, parse_time(end) if end else now) if start else ""
    return [
        name_of(document),
        _job_status(document),
        completions,
        took,
        age(document, now),
        *containers(spec["template"]["spec"]),
        selector(spec.get("selector")),
    ]


def _job_status(document: Json) -> str:
    conditions = {
        each["type"]: each["status"] for each in status_of(document).get("conditions") or ()
    }
    for kind in ("Complete", "Failed"):
        if conditions.get(kind) == "True":
            return kind
    if document["metadata"].get("deletionTimestamp"):
        return "Terminating"
    for kind, shown in (
        ("Suspended", "Suspended"),
        ("FailureTarget", "FailureTarget"),
        ("SuccessCriteriaMet", "SuccessCriteriaMet"),
    ):
        if conditions.get(kind) == "True":
            return shown
    return "Running"


def cron_job(document: Json, now: datetime) -> list[Any]:
    """Cells of a CronJob."""
    spec, state = document["spec"], status_of(document)
    last = state.get("lastScheduleTime")
    template = spec["jobTemplate"]["spec"]
    return [
        name_of(document),
        spec.get("schedule", ""),
        spec.get("timeZone") or NONE,
        str(bool(spec.get("suspend"))),
        len(state.get("active") or ()),
        since(last, now) if last else NONE,
        age(document, now),
        *containers(template["template"]["spec"]),
        selector(template.get("selector")),
    ]


def autoscaler(document: Json, now: datetime) -> list[Any]:
    """Cells of a HorizontalPodAutoscaler, in either of its versions."""
    if document.get("apiVersion") == "autoscaling/v1":
        document = to_v2(document)
    spec, state = document["spec"], status_of(document)
    target = spec["scaleTargetRef"]
    return [
        name_of(document),
        f"{target['kind']}/{target['name']}",
        _targets(spec.get("metrics") or [], state.get("currentMetrics") or []),
        str(spec.get("minReplicas", UNSET)),
        spec.get("maxReplicas", 0),
        state.get("currentReplicas", 0),
        age(document, now),
    ]


def _targets(metrics: list[Json], current: list[Json]) -> str:
    shown = []
    for number, metric in enumerate(metrics):
        resource = metric.get("resource")
        if resource is None:
            shown.append(UNKNOWN)
            continue
        now = (
            (current[number].get("resource") or {}).get("current")
            if number < len(current)
            else None
        )
        target = resource["target"]
        if target.get("averageUtilization") is not None:
            value = (now or {}).get("averageUtilization")
            have = UNKNOWN if value is None else f"{value}%"
            shown.append(f"{resource['name']}: {have}/{target['averageUtilization']}%")
        else:
            have = (now or {}).get("averageValue", UNKNOWN)
            shown.append(f"{resource['name']}: {have}/{target.get('averageValue')}")
    return ", ".join(shown) or NONE


def budget(document: Json, now: datetime) -> list[Any]:
    """Cells of a PodDisruptionBudget."""
    spec = document["spec"]
    least, most = spec.get("minAvailable"), spec.get("maxUnavailable")
    return [
        name_of(document),
        "N/A" if least is None else str(least),
        "N/A" if most is None else str(most),
        status_of(document).get("disruptionsAllowed", 0),
        age(document, now),
    ]
