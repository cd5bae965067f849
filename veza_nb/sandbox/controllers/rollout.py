"""The arithmetic of a rollout: how many replicas each ReplicaSet should have next.

Pure: Deployments and ReplicaSets as plain dicts in, numbers out. A decision is a list of `Scale`;
the controller carries it out and records the events.
"""

from __future__ import annotations

import math
from collections.abc import Iterable, Sequence
from dataclasses import dataclass

from veza_nb.sandbox.apimachinery.status import Json

DESIRED = "deployment.kubernetes.io/desired-replicas"
MAX = "deployment.kubernetes.io/max-replicas"


@dataclass(frozen=True, slots=True)
class Scale:
    """One ReplicaSet's next size."""

    replica_set: Json
    replicas: int


def replicas_of(item: Json) -> int:
    """`spec.replicas` of a Deployment or ReplicaSet; 1 where it is left out."""
    replicas: int = item["spec"].get("replicas", 1)
    return replicas


def available_of(replica_set: Json) -> int:
    """`status.availableReplicas`, 0 where it is left out."""
    available: int = replica_set.get("status", {}).get("availableReplicas", 0)
    return available


def created(item: Json) -> tuple[str, str]:
    """Sort key: oldest first, ties broken by name."""
    return item["metadata"]["creationTimestamp"], item["metadata"]["name"]


def is_rolling(deployment: Json) -> bool:
    """Whether the strategy is RollingUpdate (the default)."""
    kind = deployment["spec"].get("strategy", {}).get("type", "RollingUpdate")
    return bool(kind == "RollingUpdate")


def resolve(value: int | str | None, total: int, *, round_up: bool) -> int:
    """An absolute number, or a percentage of `total` rounded up or down; None counts as 0."""
    if value is None:
        return 0
    if isinstance(value, int):
        return value
    share = int(value.rstrip("%")) * total / 100
    return math.ceil(share) if round_up else math.floor(share)


def fenceposts(deployment: Json) -> tuple[int, int]:
    """`(maxSurge, maxUnavailable)` in pods: surge rounds up, unavailable down, never both zero."""
    rolling = deployment["spec"].get("strategy", {}).get("rollingUpdate") or {}
    total = replicas_of(deployment)
    surge = resolve(rolling.get("maxSurge", "25%"), total, round_up=True)
    unavailable = resolve(rolling.get("maxUnavailable", "25%"), total, round_up=False)
    return surge, unavailable if surge or unavailable else 1


def max_surge(deployment: Json) -> int:
    """How many pods above `replicas` may exist; 0 unless rolling."""
    return fenceposts(deployment)[0] if is_rolling(deployment) else 0


def max_unavailable(deployment: Json) -> int:
    """How many of `replicas` may be unavailable; 0 unless rolling, never more than `replicas`."""
    total = replicas_of(deployment)
    if not is_rolling(deployment) or total == 0:
        return 0
    return min(fenceposts(deployment)[1], total)


def new_replicas(deployment: Json, every: Iterable[Json], new: Json) -> int:
    """How large the newest ReplicaSet may be now, with all the others as they are.

    `every` are all ReplicaSets of the Deployment (`new` among them or not yet created).
    """
    total, current = replicas_of(deployment), replicas_of(new)
    if not is_rolling(deployment):
        return total
    existing = sum(replicas_of(item) for item in every)
    allowed = total + max_surge(deployment)
    if existing >= allowed:
        return current
    return current + min(allowed - existing, total - current)


def reconcile_new(deployment: Json, every: Iterable[Json], new: Json) -> list[Scale]:
    """Grow (or shrink) the newest ReplicaSet towards the Deployment's size."""
    total, current = replicas_of(deployment), replicas_of(new)
    target = total if current > total else new_replicas(deployment, every, new)
    return [Scale(new, target)] if target != current else []


def reconcile_old(deployment: Json, old: Sequence[Json], new: Json) -> list[Scale]:
    """Shrink old ReplicaSets: unhealthy replicas first, then as far as availability allows."""
    sizes = {item["metadata"]["name"]: replicas_of(item) for item in old}
    before = dict(sizes)
    minimum = replicas_of(deployment) - max_unavailable(deployment)
    not_yet = replicas_of(new) - available_of(new)
    budget = sum(sizes.values()) + replicas_of(new) - minimum - not_yet
    if not any(sizes.values()) or budget <= 0:
        return []
    ordered = sorted(old, key=created)
    _drop_unhealthy(ordered, sizes, budget)
    # A status may be older than the last scaling: who is about to go does not count any more.
    serving = sum(min(available_of(item), replicas_of(item)) for item in old)
    spare = available_of(new) + serving - minimum
    for item in ordered:
        name = item["metadata"]["name"]
        down = min(sizes[name], max(spare, 0))
        sizes[name] -= down
        spare -= down
    return [
        Scale(item, sizes[item["metadata"]["name"]])
        for item in ordered
        if sizes[item["metadata"]["name"]] != before[item["metadata"]["name"]]
    ]


def _drop_unhealthy(ordered: Sequence[Json], sizes: dict[str, int], budget: int) -> None:
    """Take replicas that are not available out of `sizes`, oldest ReplicaSet first."""
    for item in ordered:
        name = item["metadata"]["name"]
        down = max(0, min(budget, sizes[name] - available_of(item)))
        sizes[name] -= down
        budget -= down


def scale_in_proportion(deployment: Json, old: Sequence[Json], new: Json | None) -> list[Scale]:
    """What a change of `spec.replicas` (or a pause) asks of the ReplicaSets, without a rollout."""
    total = replicas_of(deployment)
    every = [*old, new] if new is not None else list(old)
    active = [item for item in every if replicas_of(item) > 0]
    if len(active) <= 1:
        target = active[0] if active else new or max(old, key=created, default=None)
        if target is None or replicas_of(target) == total:
            return []
        return [Scale(target, total)]
    if new is not None and _saturated(deployment, new):
        return [Scale(item, 0) for item in active if item is not new]
    if not is_rolling(deployment):
        return []
    return _proportions(deployment, active)


def _saturated(deployment: Json, new: Json) -> bool:
    total = replicas_of(deployment)
    annotations = new["metadata"].get("annotations", {})
    known = annotations.get(DESIRED) == str(total)
    return replicas_of(new) == total and known and available_of(new) == total


def _proportions(deployment: Json, active: Sequence[Json]) -> list[Scale]:
    """Spread the pods to add or take over the active ReplicaSets, by their sizes."""
    total = replicas_of(deployment)
    allowed = total + max_surge(deployment) if total > 0 else 0
    change = allowed - sum(replicas_of(item) for item in active)
    # The larger come first; equal ones newest first when growing, oldest first when shrinking.
    ordered = sorted(active, key=created, reverse=change > 0)
    ordered.sort(key=replicas_of, reverse=True)
    sizes, added = [], 0
    for item in ordered:
        part = _proportion(deployment, item, change, added) if change else 0
        sizes.append(replicas_of(item) + part)
        added += part
    if change:
        sizes[0] = max(0, sizes[0] + change - added)
    return [Scale(item, size) for item, size in zip(ordered, sizes, strict=True)]


def _proportion(deployment: Json, item: Json, change: int, added: int) -> int:
    fraction, left = _fraction(deployment, item), change - added
    if change > 0:
        return min(fraction, left)
    return max(fraction, left)


def _fraction(deployment: Json, item: Json) -> int:
    """How much this ReplicaSet would change if it kept its share of the largest size allowed."""
    total, size = replicas_of(deployment), replicas_of(item)
    if total == 0:
        return -size
    noted = item["metadata"].get("annotations", {}).get(MAX, "")
    before = int(noted) if noted.isdigit() else 0
    before = before or deployment.get("status", {}).get("replicas", 0)
    if not before:
        return 0
    share = size * (total + max_surge(deployment)) / before
    return math.floor(share + 0.5) - size


def scaling_asked(deployment: Json, every: Iterable[Json]) -> bool:
    """Whether `spec.replicas` changed since the active ReplicaSets were last written."""
    total = str(replicas_of(deployment))
    for item in every:
        noted = item["metadata"].get("annotations", {}).get(DESIRED)
        if replicas_of(item) > 0 and noted is not None and noted != total:
            return True
    return False
