"""One look at a workload as findings are read off it, and the warning events in it."""

from dataclasses import dataclass
from datetime import datetime, timedelta

from veza_nb.evidence import Evidence, kubectl
from veza_nb.objects import Event, ObjectMeta, Workload
from veza_nb.replicasets import live_since
from veza_nb.rollout import RolloutState
from veza_nb.words import one_line, utc

FRESH = timedelta(minutes=10)
"""Restarts and warning events older than that are history."""


@dataclass(frozen=True, slots=True)
class Scene:
    """What all findings are read off.

    Attributes:
        workload: what was seen.
        rollout: where the rollout stands.
        now: when that was.
        live_for: how long the live template has been the live one, at least; None if unknown.
    """

    workload: Workload
    rollout: RolloutState
    now: datetime
    live_for: timedelta | None

    @classmethod
    def of(cls, workload: Workload, rollout: RolloutState, now: datetime) -> "Scene":
        """The scene of one look."""
        since = live_since(workload)
        return cls(workload, rollout, utc(now), utc(now) - utc(since) if since else None)

    @property
    def metadata(self) -> ObjectMeta:
        """Of the Deployment."""
        return self.workload.deployment.metadata

    def kubectl(self, *words: str) -> str:
        """A command in the Deployment's namespace."""
        return kubectl(self.metadata.namespace, *words)

    def is_fresh(self, at: datetime | None) -> bool:
        """True for a moment not long ago, and for one that nobody wrote down."""
        return at is None or self.now - utc(at) <= FRESH


def warnings(scene: Scene) -> tuple[Event, ...]:
    """Warning events about the Deployment, its ReplicaSets and its pods, oldest first."""
    workload = scene.workload
    known = {
        scene.metadata.name,
        *(rs.metadata.name for rs in workload.replicasets),
        *(pod.metadata.name for pod in workload.pods),
    }
    said = [
        event
        for event in workload.events
        if event.type == "Warning" and event.involved_object.name in known
    ]
    return tuple(sorted(said, key=lambda event: utc(event.last_seen or scene.now)))


def times(event: Event) -> int:
    """How often it happened, whichever field its writer counts in."""
    return max(event.count, event.series.count if event.series else 0, 1)


def as_evidence(scene: Scene, event: Event) -> Evidence:
    """An event as evidence, with the command that lists it."""
    about = event.involved_object.name
    often = f" ({times(event)} times)" if times(event) > 1 else ""
    return Evidence(
        kind="Event",
        name=event.reason,
        detail=f"{about}: {one_line(event.message)}{often}",
        at=event.last_seen,
        command=scene.kubectl("get", "events", f"--field-selector=involvedObject.name={about}"),
    )
