"""A Deployment's status: counts, conditions, progress and its deadline.

Pure. The rules are those of the real controller, its quirks included: a Deployment whose last
rollout completed keeps `NewReplicaSetAvailable` until a status is seen in which not all pods are
new, so a rollout that never passes through such a status never meets its deadline.
"""

from __future__ import annotations

import copy
from collections.abc import Iterable, Sequence
from dataclasses import dataclass
from datetime import datetime
from enum import StrEnum
from typing import Any

from veza_nb.sandbox.apimachinery.status import Json
from veza_nb.sandbox.clock import parse_timestamp, span, timestamp
from veza_nb.sandbox.controllers.conditions import (
    deployment_condition,
    get_condition,
    remove_condition,
    set_condition,
)
from veza_nb.sandbox.controllers.rollout import available_of, max_unavailable, replicas_of

NO_DEADLINE = 2**31 - 1
"""The value of `progressDeadlineSeconds` that means none."""
AVAILABLE, PROGRESSING, REPLICA_FAILURE = "Available", "Progressing", "ReplicaFailure"


class Reason(StrEnum):
    """Reasons of a Deployment's conditions."""

    CREATED = "NewReplicaSetCreated"
    FOUND = "FoundNewReplicaSet"
    UPDATED = "ReplicaSetUpdated"
    CREATE_ERROR = "ReplicaSetCreateError"
    COMPLETE = "NewReplicaSetAvailable"
    TIMED_OUT = "ProgressDeadlineExceeded"
    PAUSED = "DeploymentPaused"
    RESUMED = "DeploymentResumed"
    ENOUGH = "MinimumReplicasAvailable"
    TOO_FEW = "MinimumReplicasUnavailable"


@dataclass(frozen=True, slots=True)
class View:
    """A Deployment with its ReplicaSets at one moment.

    Attributes:
        deployment: as last seen or written.
        old: its ReplicaSets but the newest.
        new: the ReplicaSet with its template; None where there is none yet.
        now: aware, UTC.
        told: whether this step has written the status already. The counts then wait for the next
            step, as in a real control plane, where a second write would meet a conflict.
        rate: cluster seconds per second of dates.
    """

    deployment: Json
    old: Sequence[Json]
    new: Json | None
    now: datetime
    told: bool = False
    rate: float = 1.0

    @property
    def every(self) -> list[Json]:
        """All ReplicaSets, the newest last."""
        return [*self.old, self.new] if self.new is not None else list(self.old)

    @property
    def stamp(self) -> str:
        """`now` as an API timestamp."""
        return timestamp(self.now)


def has_deadline(deployment: Json) -> bool:
    """Whether a progress deadline is set."""
    return bool(deployment["spec"].get("progressDeadlineSeconds", NO_DEADLINE) != NO_DEADLINE)


def calculate(view: View) -> Json:
    """Counts and the Available condition; all other conditions as they were."""
    deployment, every = view.deployment, view.every
    available = sum(available_of(item) for item in every)
    wanted = sum(replicas_of(item) for item in every)
    old = deployment.get("status", {})
    status = _without_zeros(
        observedGeneration=deployment["metadata"].get("generation", 0),
        replicas=_total(every, "replicas"),
        updatedReplicas=_total([view.new] if view.new else [], "replicas"),
        readyReplicas=_total(every, "readyReplicas"),
        availableReplicas=available,
        unavailableReplicas=max(0, wanted - available),
        conditions=copy.deepcopy(old.get("conditions", [])),
        collisionCount=old.get("collisionCount", 0),
    )
    enough = available >= replicas_of(deployment) - max_unavailable(deployment)
    set_condition(status, _availability(enough, view.stamp))
    return status


def _total(items: Iterable[Json], field: str) -> int:
    return sum(item.get("status", {}).get(field, 0) for item in items)


def _without_zeros(**fields: Any) -> Json:
    return {name: value for name, value in fields.items() if value}


def _availability(enough: bool, now: str) -> Json:
    have = "has" if enough else "does not have"
    message = f"Deployment {have} minimum availability."
    reason = Reason.ENOUGH if enough else Reason.TOO_FEW
    return deployment_condition(AVAILABLE, str(enough), reason.value, message, now)


def is_complete(deployment: Json, status: Json) -> bool:
    """Every wanted pod is new, available, and nothing else is left."""
    total = replicas_of(deployment)
    counts = [status.get(name, 0) for name in ("updatedReplicas", "replicas", "availableReplicas")]
    seen = status.get("observedGeneration", 0) >= deployment["metadata"].get("generation", 0)
    return counts == [total] * 3 and seen


def has_progressed(before: Json, after: Json) -> bool:
    """More new, fewer old, more ready or more available pods than in the status before."""

    def old_pods(status: Json) -> int:
        left: int = status.get("replicas", 0) - status.get("updatedReplicas", 0)
        return left

    more = ("updatedReplicas", "readyReplicas", "availableReplicas")
    grown = any(after.get(name, 0) > before.get(name, 0) for name in more)
    return grown or old_pods(after) < old_pods(before)


def has_timed_out(deployment: Json, status: Json, now: datetime, rate: float = 1.0) -> bool:
    """Whether the deadline has passed since the last progress; never after a completed rollout."""
    condition = get_condition(status, PROGRESSING)
    if condition is None or condition.get("reason") == Reason.COMPLETE:
        return False
    if condition.get("reason") == Reason.TIMED_OUT:
        return True
    return now > _deadline(deployment, condition, rate)


def _deadline(deployment: Json, condition: Json, rate: float) -> datetime:
    seconds = deployment["spec"]["progressDeadlineSeconds"]
    return parse_timestamp(condition["lastUpdateTime"]) + span(seconds, rate)


def rollout_status(view: View) -> Json:
    """The status during and after a rollout, progress and failures included."""
    deployment, status = view.deployment, calculate(view)
    current = get_condition(deployment.get("status", {}), PROGRESSING)
    if not has_deadline(deployment):
        remove_condition(status, PROGRESSING)
    elif not _stays_complete(status, current):
        _set_progress(view, status, current)
    failure = _replica_failure(view)
    if failure is None:
        remove_condition(status, REPLICA_FAILURE)
    else:
        set_condition(status, failure)
    return status


def _stays_complete(status: Json, current: Json | None) -> bool:
    all_new = status.get("replicas", 0) == status.get("updatedReplicas", 0)
    return all_new and current is not None and current.get("reason") == Reason.COMPLETE


def _set_progress(view: View, status: Json, current: Json | None) -> None:
    deployment = view.deployment
    if is_complete(deployment, status):
        set_condition(status, _progress(view, Reason.COMPLETE))
    elif has_progressed(deployment.get("status", {}), status):
        condition = _progress(view, Reason.UPDATED)
        # Progress moves lastUpdateTime even when the reason stays, and with it the deadline.
        if current is not None:
            if current["status"] == "True":
                condition["lastTransitionTime"] = current["lastTransitionTime"]
            remove_condition(status, PROGRESSING)
        set_condition(status, condition)
    elif has_timed_out(deployment, status, view.now, view.rate):
        set_condition(status, _progress(view, Reason.TIMED_OUT))


_PROGRESS_WORDS = {
    Reason.COMPLETE: "has successfully progressed.",
    Reason.UPDATED: "is progressing.",
    Reason.TIMED_OUT: "has timed out progressing.",
}


def _progress(view: View, reason: Reason) -> Json:
    kind, item = ("ReplicaSet", view.new) if view.new else ("Deployment", view.deployment)
    message = f'{kind} "{item["metadata"]["name"]}" {_PROGRESS_WORDS[reason]}'
    value = "False" if reason is Reason.TIMED_OUT else "True"
    return deployment_condition(PROGRESSING, value, reason.value, message, view.stamp)


def _replica_failure(view: View) -> Json | None:
    """The failure a ReplicaSet reports, the newest one's first."""
    newest_first = [view.new, *view.old] if view.new else list(view.old)
    for item in newest_first:
        failure = get_condition(item.get("status", {}), REPLICA_FAILURE)
        if failure is not None:
            return {
                "type": failure["type"],
                "status": failure["status"],
                "lastUpdateTime": failure["lastTransitionTime"],
                "lastTransitionTime": failure["lastTransitionTime"],
                "reason": failure.get("reason", ""),
                "message": failure.get("message", ""),
            }
    return None


def seconds_to_deadline(view: View, status: Json) -> float | None:
    """When to look again whether the deadline has passed; None when it cannot pass now."""
    deployment = view.deployment
    current = get_condition(deployment.get("status", {}), PROGRESSING)
    if not has_deadline(deployment) or current is None:
        return None
    if is_complete(deployment, status) or current.get("reason") == Reason.TIMED_OUT:
        return None
    left = (_deadline(deployment, current, view.rate) - view.now).total_seconds() * view.rate
    # Timestamps have whole seconds: one second more, or the check would come too early.
    return max(left, 0.0) + 1.0


def paused_condition(deployment: Json, now: str) -> Json | None:
    """The Progressing condition that a pause or resume asks for; None when nothing changes."""
    if not has_deadline(deployment):
        return None
    current = get_condition(deployment.get("status", {}), PROGRESSING)
    reason = current.get("reason") if current is not None else None
    if reason == Reason.TIMED_OUT:
        return None
    paused = bool(deployment["spec"].get("paused"))
    if paused and reason != Reason.PAUSED:
        word, new_reason = "paused", Reason.PAUSED
    elif not paused and reason == Reason.PAUSED:
        word, new_reason = "resumed", Reason.RESUMED
    else:
        return None
    message = f"Deployment is {word}"
    return deployment_condition(PROGRESSING, "Unknown", new_reason.value, message, now)
