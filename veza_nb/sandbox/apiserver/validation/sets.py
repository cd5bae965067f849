"""StatefulSets and DaemonSets."""

from __future__ import annotations

from collections.abc import Iterator
from typing import Any

from veza_nb.sandbox.apimachinery.status import Cause
from veza_nb.sandbox.apiserver.validation.causes import (
    Raw,
    bad,
    not_negative,
    required,
    unsupported,
)
from veza_nb.sandbox.apiserver.validation.pods import template
from veza_nb.sandbox.apiserver.validation.workloads import (
    amount,
    is_zero,
    not_over_all,
    pod_selector,
)

Json = dict[str, Any]
_STRATEGIES = ("RollingUpdate", "OnDelete")
_MANAGEMENT = ("OrderedReady", "Parallel")
_RETENTION = ("Retain", "Delete")
_MUTABLE = (
    "minReadySeconds",
    "ordinals",
    "persistentVolumeClaimRetentionPolicy",
    "replicas",
    "template",
    "updateStrategy",
)


def stateful_set(document: Json) -> Iterator[Cause]:
    """Yield what is wrong with a StatefulSet."""
    spec = document["spec"]
    management = spec.get("podManagementPolicy")
    if not management:
        yield required("spec.podManagementPolicy")
    elif management not in _MANAGEMENT:
        why = f"must be '{_MANAGEMENT[0]}' or '{_MANAGEMENT[1]}'"
        yield bad("spec.podManagementPolicy", management, why)
    yield from _stateful_strategy(spec.get("updateStrategy") or {})
    for name in ("whenDeleted", "whenScaled"):
        policy = (spec.get("persistentVolumeClaimRetentionPolicy") or {}).get(name)
        if policy not in (None, *_RETENTION):
            field = f"spec.persistentVolumeClaimRetentionPolicy.{name}"
            yield unsupported(field, policy, _RETENTION)
    yield from not_negative("spec.replicas", spec.get("replicas"))
    yield from not_negative("spec.minReadySeconds", spec.get("minReadySeconds"))
    start = (spec.get("ordinals") or {}).get("start")
    yield from not_negative("spec.ordinals.start", start)
    yield from pod_selector(document, "statefulset")
    yield from template(spec["template"], "spec.template", ("Always",))


def _stateful_strategy(strategy: Json) -> Iterator[Cause]:
    kind, rolling = strategy.get("type"), strategy.get("rollingUpdate")
    if not kind:
        yield required("spec.updateStrategy")
    elif kind == "OnDelete":
        if rolling is not None:
            field = "spec.updateStrategy.rollingUpdate"
            shown = Raw("apps.RollingUpdateStatefulSetStrategy{}")
            yield bad(field, shown, "only allowed for updateStrategy 'RollingUpdate'")
    elif kind == "RollingUpdate":
        field = "spec.updateStrategy.rollingUpdate.partition"
        yield from not_negative(field, (rolling or {}).get("partition"))
    else:
        yield bad("spec.updateStrategy", Raw(f'"{kind}"'), "must be 'RollingUpdate' or 'OnDelete'")


def stateful_set_change(old: Json, new: Json) -> Iterator[Cause]:
    """Yield what is wrong with a change of a StatefulSet's spec."""
    if _fixed(old["spec"]) != _fixed(new["spec"]):
        shown = (
            "'replicas', 'ordinals', 'template', 'updateStrategy', "
            "'persistentVolumeClaimRetentionPolicy' and 'minReadySeconds'"
        )
        why = f"updates to statefulset spec for fields other than {shown} are forbidden"
        yield Cause("FieldValueForbidden", f"Forbidden: {why}", "spec")


def _fixed(spec: Json) -> Json:
    return {name: value for name, value in spec.items() if name not in _MUTABLE}


def daemon_set(document: Json) -> Iterator[Cause]:
    """Yield what is wrong with a DaemonSet."""
    spec = document["spec"]
    yield from pod_selector(document, "daemonset")
    yield from template(spec["template"], "spec.template", ("Always",))
    yield from not_negative("spec.minReadySeconds", spec.get("minReadySeconds"))
    yield from _daemon_strategy(spec.get("updateStrategy") or {})
    yield from not_negative("spec.revisionHistoryLimit", spec.get("revisionHistoryLimit"))


def _daemon_strategy(strategy: Json) -> Iterator[Cause]:
    kind, rolling = strategy.get("type"), strategy.get("rollingUpdate")
    if kind == "OnDelete":
        return
    if kind != "RollingUpdate":
        yield unsupported("spec.updateStrategy.type", kind or "", _STRATEGIES)
        return
    where = "spec.updateStrategy.rollingUpdate"
    if rolling is None:
        yield required(where)
        return
    for name in ("maxUnavailable", "maxSurge"):
        yield from amount(f"{where}.{name}", rolling.get(name))
        yield from not_over_all(f"{where}.{name}", rolling.get(name))
    unavailable, surge = (not is_zero(rolling.get(name)) for name in ("maxUnavailable", "maxSurge"))
    if unavailable and surge:
        why = "may not be set when maxUnavailable is non-zero"
        yield bad(f"{where}.maxSurge", rolling["maxSurge"], why)
    elif not unavailable and not surge:
        yield required(f"{where}.maxUnavailable", "cannot be 0 when maxSurge is 0")
