"""Conditions of an object's status: reading, setting, removing.

Kubernetes keeps two times in a Deployment's condition: `lastUpdateTime` moves with every change,
`lastTransitionTime` only when the status flips. A changed condition goes to the end of the list.
"""

from __future__ import annotations

from veza_nb.sandbox.apimachinery.status import Json


def get_condition(status: Json, kind: str) -> Json | None:
    """The condition of that type, or None."""
    # A plain loop: asked of every pod, again and again.
    for condition in status.get("conditions", ()):
        if condition["type"] == kind:
            found: Json = condition
            return found
    return None


def remove_condition(status: Json, kind: str) -> None:
    """Drop the condition of that type from `status`, in place."""
    left = [c for c in status.get("conditions", ()) if c["type"] != kind]
    if left:
        status["conditions"] = left
    else:
        status.pop("conditions", None)


def set_condition(status: Json, condition: Json) -> None:
    """Put a condition into `status`, in place, as a Deployment's controller does.

    Same status and same reason: the old one stays, message and times included. Same status and
    another reason: the time of the last transition stays.
    """
    current = get_condition(status, condition["type"])
    if current is not None and current["status"] == condition["status"]:
        if current.get("reason") == condition.get("reason"):
            return
        condition = {**condition, "lastTransitionTime": current["lastTransitionTime"]}
    remove_condition(status, condition["type"])
    status.setdefault("conditions", []).append(condition)


def deployment_condition(kind: str, value: str, reason: str, message: str, now: str) -> Json:
    """A Deployment's condition with both its times set to `now` (an API timestamp)."""
    return {
        "type": kind,
        "status": value,
        "lastUpdateTime": now,
        "lastTransitionTime": now,
        "reason": reason,
        "message": message,
    }


def is_true(status: Json, kind: str) -> bool:
    """Whether the condition of that type is there and True."""
    condition = get_condition(status, kind)
    return condition is not None and condition["status"] == "True"
