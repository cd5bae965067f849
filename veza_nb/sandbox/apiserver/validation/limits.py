"""What limits others: quotas, budgets, autoscalers, claims."""

from __future__ import annotations

from collections.abc import Iterator
from typing import Any

from veza_nb.sandbox.apimachinery.quantity import parse
from veza_nb.sandbox.apimachinery.status import Cause
from veza_nb.sandbox.apiserver.validation.causes import (
    Raw,
    bad,
    required,
    unsupported,
)
from veza_nb.sandbox.apiserver.validation.metadata import label_selector
from veza_nb.sandbox.apiserver.validation.workloads import amount, not_over_all

Json = dict[str, Any]
_UNHEALTHY = ("AlwaysAllow", "IfHealthyBudget")
_MODES = ("ReadWriteOnce", "ReadOnlyMany", "ReadWriteMany", "ReadWriteOncePod")
_METRICS = ("ContainerResource", "External", "Object", "Pods", "Resource")
_WHOLE = frozenset(
    (
        "configmaps",
        "persistentvolumeclaims",
        "pods",
        "replicationcontrollers",
        "resourcequotas",
        "secrets",
        "services",
        "services.loadbalancers",
        "services.nodeports",
    )
)
_MEASURED = frozenset(("cpu", "memory", "ephemeral-storage"))


def budget(document: Json) -> Iterator[Cause]:
    """Yield what is wrong with a PodDisruptionBudget."""
    spec = document["spec"]
    if spec.get("minAvailable") is not None and spec.get("maxUnavailable") is not None:
        why = "minAvailable and maxUnavailable cannot be both set"
        yield bad("spec", Raw("policy.PodDisruptionBudgetSpec{}"), why)
    for name in ("minAvailable", "maxUnavailable"):
        if spec.get(name) is not None:
            yield from amount(f"spec.{name}", spec[name])
            yield from not_over_all(f"spec.{name}", spec[name])
    yield from label_selector("spec.selector", spec.get("selector") or {})
    policy = spec.get("unhealthyPodEvictionPolicy")
    if policy not in (None, *_UNHEALTHY):
        yield unsupported("spec.unhealthyPodEvictionPolicy", policy, _UNHEALTHY)


def autoscaler(document: Json) -> Iterator[Cause]:
    """Yield what is wrong with a HorizontalPodAutoscaler."""
    spec = document["spec"]
    least, most = spec.get("minReplicas", 1), spec.get("maxReplicas", 0)
    if least < 1:
        yield bad("spec.minReplicas", least, "must be greater than or equal to 1")
    if most < 1:
        yield bad("spec.maxReplicas", most, "must be greater than 0")
    if most < least:
        yield bad("spec.maxReplicas", most, "must be greater than or equal to `minReplicas`")
    target = spec.get("scaleTargetRef") or {}
    for name in ("kind", "name"):
        if not target.get(name):
            yield required(f"spec.scaleTargetRef.{name}")
    use = spec.get("targetCPUUtilizationPercentage")
    if use is not None and use < 1:
        yield bad("spec.targetCPUUtilizationPercentage", use, "must be greater than 0")
    for number, metric in enumerate(spec.get("metrics") or ()):
        yield from _metric(metric, f"spec.metrics[{number}]")


def _metric(metric: Json, where: str) -> Iterator[Cause]:
    kind = metric.get("type")
    if not kind:
        yield required(f"{where}.type", "must specify a metric source type")
        return
    if kind not in _METRICS:
        yield unsupported(f"{where}.type", kind, _METRICS)
        return
    name = kind[0].lower() + kind[1:]
    source = metric.get(name)
    if source is None:
        why = "must populate information for the given metric source"
        yield required(f"{where}.{name}", why)
    elif kind == "Resource":
        yield from _resource_metric(source, f"{where}.resource")


def _resource_metric(source: Json, where: str) -> Iterator[Cause]:
    if not source.get("name"):
        yield required(f"{where}.name", "must specify a resource name")
    target = source.get("target") or {}
    use, value = target.get("averageUtilization"), target.get("averageValue")
    if not target.get("type"):
        yield required(f"{where}.target.type", "must specify a metric target type")
    if use is not None and use < 1:
        yield bad(f"{where}.target.averageUtilization", use, "must be greater than 0")
    if use is None and value is None:
        why = "must set either a target raw value or a target utilization"
        yield required(f"{where}.target.averageUtilization", why)
    if use is not None and value is not None:
        why = "may not set both a target raw value and a target utilization"
        yield Cause("FieldValueForbidden", f"Forbidden: {why}", f"{where}.target.averageValue")


def quota(document: Json) -> Iterator[Cause]:
    """Yield what is wrong with a ResourceQuota."""
    for name, quantity in (document["spec"].get("hard") or {}).items():
        where = f"spec.hard[{name}]"
        if not _is_countable(name):
            yield bad(where, name, "must be a standard resource type or fully qualified")
            yield bad(where, name, "must be a standard resource for quotas")
            continue
        value = parse(quantity)
        if value < 0:
            yield bad(where, quantity, "must be greater than or equal to 0")
        if (name in _WHOLE or name.startswith("count/")) and value != value.to_integral_value():
            yield bad(where, quantity, "must be an integer")


def _is_countable(name: str) -> bool:
    kind, _, resource = name.partition(".")
    if kind in ("requests", "limits") and resource:
        return True
    return name in _WHOLE or name in _MEASURED or "/" in name


def claim(document: Json) -> Iterator[Cause]:
    """Yield what is wrong with a PersistentVolumeClaim."""
    spec = document["spec"]
    modes = spec.get("accessModes") or ()
    if not modes:
        yield required("spec.accessModes", "at least 1 access mode is required")
    for number, mode in enumerate(modes):
        if mode not in _MODES:
            yield unsupported(f"spec.accessModes[{number}]", mode, tuple(sorted(_MODES)))
    storage = ((spec.get("resources") or {}).get("requests") or {}).get("storage")
    if storage is None:
        yield required("spec.resources[storage]")
    elif parse(storage) <= 0:
        yield bad("spec.resources[storage]", storage, "must be greater than zero")


def claim_change(old: Json, new: Json) -> Iterator[Cause]:
    """Yield what a change of a PersistentVolumeClaim touches that may not change."""
    if _fixed_claim(old["spec"]) != _fixed_claim(new["spec"]):
        why = (
            "spec is immutable after creation except resources.requests and "
            "volumeAttributesClassName for bound claims"
        )
        yield Cause("FieldValueForbidden", f"Forbidden: {why}", "spec")


def _fixed_claim(spec: Json) -> Json:
    changing = ("resources", "volumeName", "volumeAttributesClassName")
    return {name: value for name, value in spec.items() if name not in changing}
