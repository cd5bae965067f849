"""Deployments and the others that run Pods."""

from __future__ import annotations

import re
from collections.abc import Iterator
from typing import Any

from veza_nb.sandbox.apimachinery import selectors
from veza_nb.sandbox.apimachinery.status import Cause
from veza_nb.sandbox.apiserver.validation.causes import (
    Raw,
    bad,
    go_value,
    not_negative,
    required,
    unsupported,
)
from veza_nb.sandbox.apiserver.validation.metadata import label_selector
from veza_nb.sandbox.apiserver.validation.pods import template

Json = dict[str, Any]


def replica_set(document: Json) -> Iterator[Cause]:
    """Yield what is wrong with a ReplicaSet."""
    spec = document["spec"]
    yield from not_negative("spec.replicas", spec.get("replicas"))
    yield from not_negative("spec.minReadySeconds", spec.get("minReadySeconds"))
    yield from pod_selector(document, "deployment")
    yield from template(spec["template"], "spec.template", ("Always",))


def pod_selector(document: Json, kind: str) -> Iterator[Cause]:
    """Yield what is wrong with a selector of Pods; `kind` is named where it is empty."""
    spec = document["spec"]
    chosen = spec.get("selector")
    if chosen is None:
        yield required("spec.selector")
        return
    if not chosen:
        why = f"empty selector is invalid for {kind}"
        yield bad("spec.selector", LABEL_SELECTOR_EMPTY, why)
        return
    problems = list(label_selector("spec.selector", chosen))
    yield from problems
    given = spec["template"]["metadata"].get("labels")
    if not problems and not selectors.from_object(chosen).matches(given):
        yield bad(
            "spec.template.metadata.labels",
            given or {},
            "`selector` does not match template `labels`",
        )


LABEL_SELECTOR_EMPTY = Raw(
    "v1.LabelSelector{MatchLabels:map[string]string(nil), "
    "MatchExpressions:[]v1.LabelSelectorRequirement(nil)}"
)


def selector_value(chosen: Json | None) -> Raw:
    """Return a `selector` object as the server prints it in messages."""
    given = (chosen or {}).get("matchLabels")
    match_labels = go_value(given) if given else "map[string]string(nil)"
    expressions = (chosen or {}).get("matchExpressions")
    if not expressions:
        shown = "[]v1.LabelSelectorRequirement(nil)"
    else:
        shown = "[]v1.LabelSelectorRequirement{" + ", ".join(map(_expression, expressions)) + "}"
    return Raw(f"v1.LabelSelector{{MatchLabels:{match_labels}, MatchExpressions:{shown}}}")


def _expression(entry: Json) -> str:
    values = entry.get("values")
    listed = ", ".join(go_value(value) for value in values or ())
    shown = f"[]string{{{listed}}}" if values else "[]string(nil)"
    key, operator = go_value(entry["key"]), go_value(entry["operator"])
    return f"v1.LabelSelectorRequirement{{Key:{key}, Operator:{operator}, Values:{shown}}}"


def deployment(document: Json) -> Iterator[Cause]:
    """Yield what is wrong with a Deployment."""
    spec = document["spec"]
    yield from not_negative("spec.replicas", spec.get("replicas"))
    yield from not_negative("spec.minReadySeconds", spec.get("minReadySeconds"))
    yield from pod_selector(document, "deployment")
    yield from template(spec["template"], "spec.template", ("Always",))
    yield from _strategy(spec["strategy"])
    yield from not_negative("spec.revisionHistoryLimit", spec.get("revisionHistoryLimit"))
    deadline = spec.get("progressDeadlineSeconds")
    yield from not_negative("spec.progressDeadlineSeconds", deadline)
    if deadline is not None and deadline <= spec.get("minReadySeconds", 0):
        yield bad("spec.progressDeadlineSeconds", deadline, "must be greater than minReadySeconds")


def _strategy(strategy: Json) -> Iterator[Cause]:
    kind, rolling = strategy.get("type"), strategy.get("rollingUpdate")
    if kind == "Recreate":
        if rolling is not None:
            why = "Forbidden: may not be specified when strategy `type` is 'Recreate'"
            yield Cause("FieldValueForbidden", why, "spec.strategy.rollingUpdate")
        return
    if kind != "RollingUpdate":
        yield unsupported("spec.strategy.type", kind or "", ("Recreate", "RollingUpdate"))
        return
    where = "spec.strategy.rollingUpdate"
    rolling = rolling or {}
    for name in ("maxUnavailable", "maxSurge"):
        yield from amount(f"{where}.{name}", rolling.get(name))
    if is_zero(rolling.get("maxUnavailable")) and is_zero(rolling.get("maxSurge")):
        yield bad(
            f"{where}.maxUnavailable",
            rolling.get("maxUnavailable", 0),
            "may not be 0 when `maxSurge` is 0",
        )
    yield from not_over_all(f"{where}.maxUnavailable", rolling.get("maxUnavailable"))


def not_over_all(field: str, value: object) -> Iterator[Cause]:
    """Yield what is wrong with a percentage of more than all Pods."""
    percent = _percent(value)
    if percent is not None and percent > 100:
        yield bad(field, value, "must not be greater than 100%")


def _percent(value: object) -> int | None:
    found = re.fullmatch(r"(\d+)%", value) if isinstance(value, str) else None
    return int(found[1]) if found else None


def is_zero(value: object) -> bool:
    """Return whether a number or percentage of Pods is none at all."""
    return value in (None, 0) or _percent(value) == 0


def amount(field: str, value: object) -> Iterator[Cause]:
    """Yield what is wrong with a number or percentage of Pods."""
    if isinstance(value, str) and _percent(value) is None:
        yield bad(
            field,
            value,
            "a valid percent string must be a numeric string followed by an ending "
            "'%' (e.g. '1%',  or '93%', regex used for validation is '[0-9]+%')",
        )
    elif isinstance(value, int):
        yield from not_negative(field, value)


def same_selector(old: Json, new: Json) -> Iterator[Cause]:
    """Yield what is wrong with a change of the selector: it may not change."""
    if old["spec"].get("selector") != new["spec"].get("selector"):
        shown = selector_value(new["spec"].get("selector"))
        yield bad("spec.selector", shown, "field is immutable")
