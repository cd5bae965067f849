"""Late is measured against the service's own older pods, not against a fixed clock."""

from datetime import UTC, datetime, timedelta
from typing import Any

import msgspec
import pytest

from veza_nb.lateness import late_by, usual_start
from veza_nb.objects import Workload
from veza_nb.rollout import read_rollout
from veza_nb.scene import Scene

NOW = datetime(2026, 1, 2, 3, 0, 0, tzinfo=UTC)
OWNER = {"kind": "Deployment", "name": "x", "uid": "d", "controller": True}


def pod(name: str, of: str, started: timedelta, ready_after: timedelta | None) -> dict[str, Any]:
    begun = NOW - started
    ready: dict[str, Any] = {"type": "Ready", "status": "False"}
    if ready_after is not None:
        at = (begun + ready_after).isoformat()
        ready = {"type": "Ready", "status": "True", "lastTransitionTime": at}
    owner = {"kind": "ReplicaSet", "name": of, "uid": of, "controller": True}
    return {
        "metadata": {"name": name, "uid": name, "ownerReferences": [owner]},
        "status": {
            "phase": "Running",
            "conditions": [ready],
            "containerStatuses": [
                {"name": "c", "state": {"running": {"startedAt": begun.isoformat()}}}
            ],
        },
    }


def replicaset(name: str, revision: str, image: str) -> dict[str, Any]:
    annotations = {"deployment.kubernetes.io/revision": revision}
    return {
        "metadata": {
            "name": name,
            "uid": name,
            "annotations": annotations,
            "ownerReferences": [OWNER],
        },
        "spec": {"template": {"spec": {"containers": [{"name": "c", "image": image}]}}},
    }


def scene(waiting: timedelta, elder_took: timedelta | None) -> Scene:
    template = {"spec": {"containers": [{"name": "c", "image": "new"}]}}
    workload = msgspec.convert(
        {
            "deployment": {"metadata": {"name": "x", "uid": "d"}, "spec": {"template": template}},
            "replicasets": [replicaset("old", "1", "old"), replicaset("new", "2", "new")],
            "pods": [
                pod("elder", "old", timedelta(days=1), elder_took),
                pod("young", "new", waiting, None),
            ],
        },
        Workload,
        strict=False,
    )
    return Scene.of(workload, read_rollout(workload), NOW)


@pytest.mark.parametrize(
    ("waiting", "elder_took", "late"),
    [
        (timedelta(seconds=9), timedelta(seconds=1), False),
        (timedelta(seconds=11), timedelta(seconds=1), True),
        (timedelta(seconds=99), timedelta(seconds=20), False),
        (timedelta(seconds=101), timedelta(seconds=20), True),
        (timedelta(hours=1), None, False),
    ],
)
def test_late_is_five_times_the_elders_start_and_never_under_ten_seconds(
    waiting: timedelta, elder_took: timedelta | None, *, late: bool
) -> None:
    seen = late_by(scene(waiting, elder_took), ["young"])

    assert (waiting if late else None) == seen


def test_elders_pace_is_that_of_the_slowest_ready_one() -> None:
    assert usual_start(scene(timedelta(seconds=1), timedelta(seconds=4))) == timedelta(seconds=4)
    assert usual_start(scene(timedelta(seconds=1), None)) is None
