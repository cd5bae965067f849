"""Is a pod late? Judged by how long pods of older revisions took to become ready.

The progress deadline comes after ten minutes by default, and sometimes never. The service's
own older pods are the better measure: what was ready within a second and is not after ten
will not be in time.
"""

from collections.abc import Sequence
from datetime import datetime, timedelta

from veza_nb.objects import Pod
from veza_nb.replicasets import condition, live_replicaset, pods_of
from veza_nb.scene import Scene
from veza_nb.troubles import container_statuses, is_ready
from veza_nb.words import utc

PATIENCE = timedelta(seconds=10)
"""No pod is called late before that, however quick its elders were."""
FACTOR = 5
"""Late is whoever takes that many times as long as the slowest of its elders."""


def usual_start(scene: Scene) -> timedelta | None:
    """How long the slowest ready pod of an older revision took; None where none can tell."""
    live = live_replicaset(scene.workload)
    new = {pod.metadata.uid for pod in pods_of(live, scene.workload.pods)} if live else set()
    elders = [pod for pod in scene.workload.pods if pod.metadata.uid not in new]
    taken = [span for pod in elders if (span := _start_to_ready(pod)) is not None]
    return max(taken, default=None)


def late_by(scene: Scene, names: Sequence[str]) -> timedelta | None:
    """How long the longest waiting of these pods has not been ready, if that is too long."""
    usual = usual_start(scene)
    if usual is None:
        return None
    waits = [
        scene.now - started
        for pod in scene.workload.pods
        if pod.metadata.name in names and (started := _started(pod)) is not None
    ]
    longest = max(waits, default=timedelta(0))
    return longest if longest > max(PATIENCE, FACTOR * usual) else None


def _start_to_ready(pod: Pod) -> timedelta | None:
    """Only of pods that never restarted and never went unready: their times are unspoilt."""
    ready, started = condition(pod.status.conditions, "Ready"), _started(pod)
    restarts = sum(status.restart_count for status in container_statuses(pod))
    if restarts or started is None or ready is None or ready.last_transition_time is None:
        return None
    span = utc(ready.last_transition_time) - started
    return span if is_ready(pod) and span >= timedelta(0) else None


def _started(pod: Pod) -> datetime | None:
    """When its last container began to run."""
    begun = [
        utc(status.state.running.started_at)
        for status in pod.status.container_statuses
        if status.state.running is not None and status.state.running.started_at is not None
    ]
    return max(begun, default=None)
