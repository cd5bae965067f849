"""What was seen while an incident went on, point by point: pods, requests, numbers.

One JSON object a line, appended as it is seen, so that a later process goes on with the same
series. It serves the pictures; whether the service is back is judged elsewhere. A number that
is not known is null and stays a gap: never zero.
"""

from collections.abc import Iterable, Sequence
from datetime import datetime

import msgspec

from veza_nb.redact import Redactor
from veza_nb.rollout import PodCount, RolloutState
from veza_nb.samples import Probe
from veza_nb.typed import decode_json

MOST_LINES = 5000
"""Lines of a series; what comes later is not kept. A rollout of five minutes makes some 300."""
MOST_BYTES = 4_000_000


class PodsPoint(msgspec.Struct, frozen=True, tag_field="kind", tag="pods"):
    """The pods of every revision at a moment.

    Attributes:
        at: when.
        desired: replicas asked for.
        counts: one entry for each template that has pods, the live one first.
    """

    at: datetime
    desired: int
    counts: tuple[PodCount, ...]


class ProbePoint(msgspec.Struct, frozen=True, tag_field="kind", tag="probe"):
    """One request to an endpoint.

    Attributes:
        at: when it was sent.
        name: of the probe.
        good: whether the answer was the expected one.
        seconds: until it was answered; None where no answer came.
    """

    at: datetime
    name: str
    good: bool
    seconds: float | None


class MeasurePoint(msgspec.Struct, frozen=True, tag_field="kind", tag="measure"):
    """A number that monitoring had at a moment.

    Attributes:
        at: when.
        name: as the catalogue calls it.
        value: None where there was none.
    """

    at: datetime
    name: str
    value: float | None


Point = PodsPoint | ProbePoint | MeasurePoint


def pods_point(state: RolloutState, at: datetime) -> PodsPoint:
    """The pods as one look at the rollout saw them."""
    return PodsPoint(at, state.desired, state.by_template)


def probe_points(probes: Iterable[Probe]) -> tuple[ProbePoint, ...]:
    """Every request of these probes."""
    return tuple(
        ProbePoint(
            sample.at,
            probe.name,
            sample.status == probe.expect_status,
            sample.seconds if sample.status is not None else None,
        )
        for probe in probes
        for sample in probe.samples
    )


def write_points(points: Iterable[Point]) -> str:
    """Lines to append to a series, secrets masked: an endpoint's name may hold one."""
    plain = (Redactor().data(msgspec.to_builtins(point)) for point in points)
    return "".join(f"{msgspec.json.encode(one).decode()}\n" for one in plain)


def read_points(text: str) -> tuple[Point, ...]:
    """The points of a series, oldest first; lines that are torn or strange are left out.

    A number that was asked for twice for the same moment counts as it was told last.
    """
    found: dict[object, Point] = {}
    for line in text.splitlines():
        try:
            point: Point = decode_json(line, Point)  # type: ignore[arg-type]
        except (msgspec.DecodeError, UnicodeDecodeError):
            continue
        found[_identity(point)] = point
    return tuple(sorted(found.values(), key=lambda point: point.at))


def _identity(point: Point) -> object:
    if isinstance(point, PodsPoint):
        return ("pods", point.at)
    if isinstance(point, ProbePoint):
        return ("probe", point.name, point.at)
    return ("measure", point.name, point.at)


def pods_points(points: Sequence[Point]) -> tuple[PodsPoint, ...]:
    """Those about pods."""
    return tuple(point for point in points if isinstance(point, PodsPoint))
