"""HorizontalPodAutoscalers have two versions. The store keeps the newer, autoscaling/v2.

The older one knows nothing but the CPU's utilization; what it has no fields for, it carries in
annotations.
"""

from __future__ import annotations

import json
from typing import Any

Json = dict[str, Any]
_PREFIX = "autoscaling.alpha.kubernetes.io/"
_METRICS, _BEHAVIOR = f"{_PREFIX}metrics", f"{_PREFIX}behavior"
_CURRENT, _CONDITIONS = f"{_PREFIX}current-metrics", f"{_PREFIX}conditions"
_PLAIN_STATUS = ("observedGeneration", "lastScaleTime", "currentReplicas", "desiredReplicas")


def to_v1(document: Json) -> Json:
    """Return an autoscaling/v2 object as autoscaling/v1."""
    spec, status = dict(document.get("spec") or {}), document.get("status") or {}
    notes: dict[str, Any] = {}
    metrics = list(spec.pop("metrics", None) or [])
    cpu = next((each for each in metrics if _cpu_target(each) is not None), None)
    if cpu is not None:
        metrics.remove(cpu)
        spec["targetCPUUtilizationPercentage"] = _cpu_target(cpu)
    notes[_METRICS], notes[_BEHAVIOR] = metrics, spec.pop("behavior", None)
    plain = {name: status[name] for name in _PLAIN_STATUS if name in status}
    plain.setdefault("currentReplicas", 0)
    current = status.get("currentMetrics") or []
    use = next((value for each in current if (value := _cpu_use(each)) is not None), None)
    if use is not None:
        plain["currentCPUUtilizationPercentage"] = use
    notes[_CURRENT], notes[_CONDITIONS] = current, status.get("conditions")
    return _with(document, "autoscaling/v1", spec, plain, notes)


def to_v2(document: Json) -> Json:
    """Return an autoscaling/v1 object as autoscaling/v2."""
    spec, status = dict(document.get("spec") or {}), dict(document.get("status") or {})
    notes = document["metadata"].get("annotations") or {}
    use = spec.pop("targetCPUUtilizationPercentage", None)
    metrics = _read(notes, _METRICS) or []
    if use is not None:
        metrics.insert(0, _cpu_metric({"type": "Utilization", "averageUtilization": use}))
    if metrics:
        spec["metrics"] = metrics
    if notes.get(_BEHAVIOR):
        spec["behavior"] = _read(notes, _BEHAVIOR)
    status.pop("currentCPUUtilizationPercentage", None)
    status["currentMetrics"] = _read(notes, _CURRENT)
    if notes.get(_CONDITIONS):
        status["conditions"] = _read(notes, _CONDITIONS)
    emptied = dict.fromkeys((_METRICS, _BEHAVIOR, _CURRENT, _CONDITIONS))
    return _with(document, "autoscaling/v2", spec, status, emptied)


def _cpu_metric(target: Json) -> Json:
    return {"type": "Resource", "resource": {"name": "cpu", "target": target}}


def _cpu_target(metric: Json) -> int | None:
    source = metric.get("resource") or {}
    target = source.get("target") or {}
    use: int | None = target.get("averageUtilization")
    return use if source.get("name") == "cpu" else None


def _cpu_use(metric: Json) -> int | None:
    source = metric.get("resource") or {}
    use: int | None = (source.get("current") or {}).get("averageUtilization")
    return use if source.get("name") == "cpu" else None


def _read(notes: Json, name: str) -> Any:
    """Return what an annotation carries; None where a client has spoilt it."""
    try:
        return json.loads(notes[name]) if notes.get(name) else None
    except ValueError:
        return None


def _with(document: Json, version: str, spec: Json, status: Json, notes: Json) -> Json:
    """Return the object with other parts; empty notes are taken out of the annotations."""
    metadata = dict(document["metadata"])
    kept = {
        name: value
        for name, value in (metadata.get("annotations") or {}).items()
        if name not in notes
    }
    kept |= {
        name: json.dumps(value, separators=(",", ":")) for name, value in notes.items() if value
    }
    if kept or "annotations" in metadata:
        metadata["annotations"] = kept
    if not kept:
        metadata.pop("annotations", None)
    head = {"kind": document["kind"], "apiVersion": version}
    return {**head, "metadata": metadata, "spec": spec, "status": status}
