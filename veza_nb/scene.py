"""One look at a workload as findings are read off it, and the warning events in it."""

from collections.abc import Iterable
from dataclasses import dataclass
from datetime import datetime, timedelta

from veza_nb.eventgroups import times
from veza_nb.evidence import Evidence, kubectl
from veza_nb.neighbourhood import NOBODY_LOOKED, Neighbourhood
from veza_nb.objects import Event, ObjectMeta, PodTemplate, Workload
from veza_nb.onset import NEVER, Onset, read_onset
from veza_nb.replicasets import live_replicaset, live_since, owned_replicasets
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
        beside: what stands beside the service.
        onset: when the trouble began.
    """

    workload: Workload
    rollout: RolloutState
    now: datetime
    live_for: timedelta | None
    beside: Neighbourhood = NOBODY_LOOKED
    onset: Onset = NEVER

    @classmethod
    def of(
        cls,
        workload: Workload,
        rollout: RolloutState,
        now: datetime,
        beside: Neighbourhood = NOBODY_LOOKED,
        signs: Iterable[datetime] = (),
    ) -> "Scene":
        """The scene of one look; `signs` are when others noticed."""
        since = live_since(workload)
        live_for = utc(now) - utc(since) if since else None
        onset = read_onset(workload, rollout, signs)
        return cls(workload, rollout, utc(now), live_for, beside, onset)

    @property
    def metadata(self) -> ObjectMeta:
        """Of the workload."""
        return self.workload.deployment.metadata

    @property
    def began_with_rollout(self) -> bool | None:
        """Whether the trouble came with a rollout; None where that cannot be told."""
        return self.onset.with_rollout(self.now)

    @property
    def template(self) -> PodTemplate:
        """The live one."""
        return self.workload.deployment.spec.template

    @property
    def older(self) -> PodTemplate | None:
        """The newest template before the live one; None where there is none left."""
        live = live_replicaset(self.workload)
        others = (rs for rs in owned_replicasets(self.workload) if rs is not live)
        return next((rs.spec.template for rs in others), None)

    def kubectl(self, *words: str) -> str:
        """A command in the workload's namespace."""
        return kubectl(self.metadata.namespace, *words)

    def is_fresh(self, at: datetime | None) -> bool:
        """True for a moment not long ago, and for one that nobody wrote down."""
        return at is None or self.now - utc(at) <= FRESH


def warnings(scene: Scene) -> tuple[Event, ...]:
    """Warning events about the workload, its revisions and its pods, oldest first."""
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
