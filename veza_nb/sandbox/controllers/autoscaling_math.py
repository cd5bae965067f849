"""How many replicas a HorizontalPodAutoscaler wants. Pure.

Pods and what they use in, numbers out. Metrics that cannot be had are an error with the words of a
real controller.
"""

from __future__ import annotations

import math
from collections.abc import Callable, Iterable, Sequence
from dataclasses import dataclass

from veza_nb.sandbox.apimachinery.quantity import canonical, parse
from veza_nb.sandbox.apimachinery.status import Json
from veza_nb.sandbox.controllers.conditions import is_true
from veza_nb.sandbox.controllers.podstates import is_finished, is_terminating

Usage = Callable[[Json], float | None]
"""The CPU cores that a pod uses; None where nothing is known of it."""

_TOLERANCE = 0.1
_NO_API = (
    "unable to fetch metrics from resource metrics API: "
    "the server could not find the requested resource (get pods.metrics.k8s.io)"
)
_NONE_RETURNED = "no metrics returned from resource metrics API"
_ELSEWHERE = {
    "Pods": ("FailedGetPodsMetric", "custom", "pods.custom.metrics.k8s.io"),
    "Object": ("FailedGetObjectMetric", "custom", "custom.metrics.k8s.io"),
    "External": ("FailedGetExternalMetric", "external", "external.metrics.k8s.io"),
    "ContainerResource": ("FailedGetContainerResourceMetric", "resource", "pods.metrics.k8s.io"),
}


class MetricError(Exception):
    """A metric cannot be had.

    Attributes:
        reason: for the condition and the event.
        text: what went wrong.
        whole: the same, as the sum of all metrics names it.
    """

    def __init__(self, reason: str, text: str, whole: str = "") -> None:
        super().__init__(text)
        self.reason = reason
        self.text = text
        self.whole = whole or text


@dataclass(frozen=True, slots=True)
class Proposal:
    """What one metric asks for: replicas, the name it has in reasons, its part of the status."""

    replicas: int
    name: str
    status: Json


@dataclass(frozen=True, slots=True)
class _Sample:
    """One pod that counts: cores used (None: unknown), cores requested, whether it serves."""

    used: float | None
    requested: float
    ready: bool


def propose(metric: Json, pods: Sequence[Json], usage: Usage | None, current: int) -> Proposal:
    """What one metric of an autoscaler asks for.

    Args:
        metric: an entry of `spec.metrics`.
        pods: those of the target.
        usage: tells what pods use; None where nothing measures.
        current: replicas now.

    Raises:
        MetricError: the metric cannot be had.
    """
    source = metric.get("resource")
    if metric["type"] != "Resource" or source is None:
        raise _not_served(metric)
    name, target = source["name"], source["target"]
    kind = "utilization" if target.get("averageUtilization") is not None else "value"
    try:
        samples = _samples(name, pods, usage, need_requests=kind == "utilization")
    except LookupError as error:
        raise _failed(name, kind, str(error)) from error
    if kind == "utilization":
        goal = target["averageUtilization"] / 100
        weights = [sample.requested for sample in samples]
        words = f"{name} resource utilization (percentage of request)"
    else:
        goal = float(parse(target["averageValue"]))
        weights = [1.0] * len(samples)
        words = f"{name} resource"
    used = [sample.used for sample in samples]
    ready = [sample.ready for sample in samples]
    replicas = _replicas(used, weights, ready, goal, current)
    return Proposal(replicas, words, _metric_status(name, kind, samples))


def _not_served(metric: Json) -> MetricError:
    kind = metric["type"]
    reason, api, resource = _ELSEWHERE.get(kind, _ELSEWHERE["Object"])
    body = metric.get(kind[0].lower() + kind[1:]) or {}
    name = (body.get("metric") or {}).get("name") or body.get("name", "")
    missing = f"the server could not find the requested resource (get {resource})"
    text = f"unable to get metric {name}: unable to fetch metrics from {api} metrics API: {missing}"
    return MetricError(reason, text)


def _failed(name: str, kind: str, why: str) -> MetricError:
    text = f"failed to get {name} {kind}: {why}"
    whole = f"failed to get {name} resource metric value: {text}"
    return MetricError("FailedGetResourceMetric", text, whole)


def _samples(
    name: str, pods: Iterable[Json], usage: Usage | None, *, need_requests: bool
) -> list[_Sample]:
    """The pods that count.

    Raises:
        LookupError: nothing is known of them, or a request is missing.
    """
    prefix = f"unable to get metrics for resource {name}: "
    if usage is None or name != "cpu":
        raise LookupError(prefix + (_NO_API if usage is None else _NONE_RETURNED))
    counted = [pod for pod in pods if _counts(pod)]
    used = {pod["metadata"]["uid"]: usage(pod) for pod in counted}
    if all(value is None for value in used.values()):
        raise LookupError(prefix + _NONE_RETURNED)
    found = [
        _Sample(
            used[pod["metadata"]["uid"]],
            _request(pod, name) if need_requests else 1.0,
            is_true(pod.get("status", {}), "Ready"),
        )
        for pod in counted
    ]
    if not any(sample.ready and sample.used is not None for sample in found):
        why = "did not receive metrics for targeted pods (pods might be unready)"
        raise LookupError(why)
    return found


def _counts(pod: Json) -> bool:
    return not is_finished(pod) and not is_terminating(pod)


def _request(pod: Json, name: str) -> float:
    total = 0.0
    for container in pod["spec"]["containers"]:
        requests = (container.get("resources") or {}).get("requests") or {}
        if name not in requests:
            where = f"container {container['name']} of Pod {pod['metadata']['name']}"
            raise LookupError(f"missing request for {name} in {where}")
        total += float(parse(requests[name]))
    return total


def _replicas(
    used: Sequence[float | None],
    weights: Sequence[float],
    ready: Sequence[bool],
    goal: float,
    current: int,
) -> int:
    """Replicas at which the average use would meet the goal.

    Pods of which nothing is known count against a change: as idle when growing, as busy when
    shrinking. Pods that are not ready do not call for more.
    """
    known = [
        (use, weight)
        for use, weight, serves in zip(used, weights, ready, strict=True)
        if use is not None and serves
    ]
    ratio = _ratio(known, goal)
    unsure = [
        weight
        for use, weight, serves in zip(used, weights, ready, strict=True)
        if use is None or (not serves and ratio > 1)
    ]
    if not unsure:
        return current if _near(ratio) else math.ceil(ratio * len(known))
    filler = 0.0 if ratio > 1 else goal
    filled = [*known, *((filler * weight, weight) for weight in unsure)]
    careful = _ratio(filled, goal)
    if _near(careful) or (careful > 1) != (ratio > 1):
        return current
    wanted = math.ceil(careful * len(filled))
    turned = (wanted < current) if careful > 1 else (wanted > current)
    return current if turned else wanted


def _ratio(samples: Sequence[tuple[float, float]], goal: float) -> float:
    total = sum(weight for _, weight in samples)
    return sum(use for use, _ in samples) / total / goal if total else 0.0


def _near(ratio: float) -> bool:
    return abs(1.0 - ratio) <= _TOLERANCE


def _metric_status(name: str, kind: str, samples: Sequence[_Sample]) -> Json:
    known = [sample for sample in samples if sample.used is not None and sample.ready]
    # In thousandths, as quantities are added up.
    total = sum(round((sample.used or 0.0) * 1000) for sample in known)
    current: Json = {"averageValue": canonical(f"{total // len(known)}m")}
    if kind == "utilization":
        requested = sum(round(sample.requested * 1000) for sample in known)
        current["averageUtilization"] = total * 100 // requested if requested else 0
    return {"type": "Resource", "resource": {"name": name, "current": current}}


@dataclass(frozen=True, slots=True)
class Bounded:
    """A number of replicas within its limits, and what the limits did to it."""

    replicas: int
    limited: bool
    reason: str
    message: str


Moves = Callable[[int], tuple[int, int]]
"""Replicas added and taken away by this autoscaler in the last so many seconds."""

_RISING = "the desired replica count is increasing faster than the maximum scale rate"
_FALLING = "the desired replica count is decreasing faster than the maximum scale rate"


def bound(desired: int, current: int, spec: Json, moves: Moves) -> Bounded:
    """Keep a wish within the limits of an autoscaler, and changes within their rates."""
    least, most, rules = spec.get("minReplicas", 1), spec["maxReplicas"], spec.get("behavior")
    highest = _highest(rules, current, moves)
    lowest = _lowest(rules, current, moves)
    if desired > min(highest, most):
        if highest < most:
            return Bounded(highest, True, "ScaleUpLimit", _RISING)
        message = "the desired replica count is more than the maximum replica count"
        return Bounded(most, True, "TooManyReplicas", message)
    if desired < max(lowest, least):
        if lowest > least:
            return Bounded(lowest, True, "ScaleDownLimit", _FALLING)
        message = "the desired replica count is less than the minimum replica count"
        return Bounded(least, True, "TooFewReplicas", message)
    message = "the desired count is within the acceptable range"
    return Bounded(desired, False, "DesiredWithinRange", message)


def _highest(behavior: Json | None, current: int, moves: Moves) -> int:
    """The most replicas that there may be now."""
    if behavior is None:
        return max(2 * current, 4)
    rules = behavior["scaleUp"]
    if rules.get("selectPolicy") == "Disabled":
        return current
    limits: list[int] = []
    for policy in rules["policies"]:
        begun = current - moves(policy["periodSeconds"])[0]
        value: int = policy["value"]
        percent = policy["type"] == "Percent"
        limits.append(math.ceil(begun * (1 + value / 100)) if percent else begun + value)
    chosen = min(limits) if rules.get("selectPolicy") == "Min" else max(limits)
    return max(chosen, current)


def _lowest(behavior: Json | None, current: int, moves: Moves) -> int:
    """The fewest replicas that there may be now."""
    if behavior is None:
        return 0
    rules = behavior["scaleDown"]
    if rules.get("selectPolicy") == "Disabled":
        return current
    limits: list[int] = []
    for policy in rules["policies"]:
        begun = current + moves(policy["periodSeconds"])[1]
        value: int = policy["value"]
        percent = policy["type"] == "Percent"
        limits.append(math.ceil(begun * (1 - value / 100)) if percent else begun - value)
    chosen = max(limits) if rules.get("selectPolicy") == "Min" else min(limits)
    return min(chosen, current)
