"""Which pods a ReplicaSet gives up first when it shrinks. Pure."""

from __future__ import annotations

import math
from collections import Counter
from collections.abc import Iterable, Sequence
from datetime import datetime

from veza_nb.sandbox.apimachinery.status import Json
from veza_nb.sandbox.clock import parse_timestamp
from veza_nb.sandbox.controllers.conditions import get_condition

DELETION_COST = "controller.kubernetes.io/pod-deletion-cost"
_PHASES = {"Pending": 0, "Unknown": 1, "Running": 2}

Rank = tuple[bool, int, bool, int, int, int, int, int, str]


def pods_to_delete(
    pods: Sequence[Json], count: int, related: Iterable[Json], now: datetime
) -> list[Json]:
    """The `count` pods that matter least, least first.

    Args:
        pods: the ReplicaSet's active pods.
        count: how many must go.
        related: active pods of all ReplicaSets with the same owner; nodes with many of them
            give theirs up first.
        now: aware UTC, for the ages.
    """
    crowd = Counter(pod["spec"].get("nodeName", "") for pod in related)
    return sorted(pods, key=lambda pod: _rank(pod, crowd, now))[:count]


def _rank(pod: Json, crowd: Counter[str], now: datetime) -> Rank:
    """Sort key, lower is given up earlier."""
    status, metadata = pod.get("status", {}), pod["metadata"]
    node = pod["spec"].get("nodeName", "")
    ready = get_condition(status, "Ready")
    is_ready = ready is not None and ready["status"] == "True"
    since = ready["lastTransitionTime"] if ready is not None and is_ready else ""
    restarts = max(
        (c.get("restartCount", 0) for c in status.get("containerStatuses", ())), default=0
    )
    return (
        bool(node),
        _PHASES.get(status.get("phase", "Pending"), 2),
        is_ready,
        _cost(metadata),
        -crowd[node],
        _age_class(since, now),
        -restarts,
        _age_class(metadata["creationTimestamp"], now),
        metadata["uid"],
    )


def _cost(metadata: Json) -> int:
    try:
        return int(metadata.get("annotations", {}).get(DELETION_COST, "0"))
    except ValueError:
        return 0


def _age_class(since: str, now: datetime) -> int:
    """Ages on a logarithmic scale, so that nearly equal ones do not decide."""
    if not since:
        return 0
    age = (now - parse_timestamp(since)).total_seconds()
    return int(math.log2(age)) if age >= 1 else -1
