"""Events as a person reads them: those that say the same are one line, newest last."""

from collections.abc import Sequence
from dataclasses import dataclass
from datetime import UTC, datetime

from veza_nb.objects import Event, Workload
from veza_nb.words import one_line, utc

MOST = 30
"""Groups that are kept: the newest."""
_UNTOLD = datetime.max.replace(tzinfo=UTC)


@dataclass(frozen=True, slots=True)
class EventGroup:
    """Events of one reason about objects of one kind.

    Attributes:
        reason: Kubernetes' word.
        type: "Normal" or "Warning".
        kind: of the objects: "Pod", "ReplicaSet", …
        names: of the objects, each once.
        count: how often it happened, as far as the events tell.
        first: when it was first seen; None where no event says.
        last: when it was last seen; None where no event says.
        message: of the newest one, one line.
    """

    reason: str
    type: str
    kind: str
    names: tuple[str, ...]
    count: int
    first: datetime | None
    last: datetime | None
    message: str


def event_groups(workload: Workload) -> tuple[EventGroup, ...]:
    """The events of one look by reason, newest last; those without a time come at the end."""
    found: dict[tuple[str, str, str], list[Event]] = {}
    for event in sorted(workload.events, key=_moment):
        # Taken out and put back, so that the order is that of the newest of each.
        key = (event.reason, event.type, event.involved_object.kind)
        found[key] = [*found.pop(key, ()), event]
    groups = [_group(*key, events) for key, events in found.items()]
    return tuple(groups[-MOST:])


def times(event: Event) -> int:
    """How often it happened, whichever field its writer counts in."""
    return max(event.count, event.series.count if event.series else 0, 1)


def _group(reason: str, kind_of_event: str, kind: str, events: Sequence[Event]) -> EventGroup:
    """Of events in order, the newest last."""
    lasts = [utc(at) for event in events if (at := event.last_seen) is not None]
    firsts = [utc(at) for event in events if (at := _first_seen(event)) is not None]
    return EventGroup(
        reason=reason,
        type=kind_of_event,
        kind=kind,
        names=tuple(dict.fromkeys(event.involved_object.name for event in events)),
        count=sum(map(times, events)),
        first=min(firsts, default=None),
        last=max(lasts, default=None),
        message=one_line(events[-1].message),
    )


def _first_seen(event: Event) -> datetime | None:
    return event.first_timestamp or event.event_time or event.last_seen


def _moment(event: Event) -> tuple[datetime, int]:
    """When it was last seen, to the second as most writers tell it; then as it was stored."""
    at, stored = event.last_seen, event.metadata.resource_version
    order = int(stored) if stored.isascii() and stored.isdigit() and len(stored) < 20 else 0
    return utc(at).replace(microsecond=0) if at is not None else _UNTOLD, order
