"""An incident as it went, ready to be drawn: pods by revision, errors, answers, and the steps.

What was not seen is a gap. Nothing is carried on over a time in which nobody looked.
"""

from collections.abc import Callable, Iterable, Sequence
from dataclasses import dataclass
from datetime import datetime, timedelta
from itertools import groupby

from veza_nb.journal import Line as JournalLine
from veza_nb.series import MeasurePoint, PodsPoint, Point, ProbePoint, pods_points
from veza_nb.vocabulary import JournalEvent, Step
from veza_nb.words import listing, utc

UNWATCHED = timedelta(seconds=15)
"""Between two looks that are farther apart nobody was looking."""
NEAR = timedelta(minutes=2)
"""A release that came longer before than that, and than the incident took, is not drawn."""
BUCKETS = 60
"""Requests are put together into so many stretches of time at most."""
SHORTEST = timedelta(seconds=1)
SLOW_SHARE = 0.95

Value = tuple[datetime, float | None]


@dataclass(frozen=True, slots=True)
class Band:
    """The pods of one revision.

    Attributes:
        name: "revision 44", with its earlier number where it had one.
        role: "target", "left" or "".
        pods: when how many there were; None where nobody looked from then on.
    """

    name: str
    role: str
    pods: tuple[Value, ...]


@dataclass(frozen=True, slots=True)
class Curve:
    """One number over time.

    Attributes:
        name: of the endpoint, or as the catalogue calls it.
        values: None where there was none.
    """

    name: str
    values: tuple[Value, ...]


@dataclass(frozen=True, slots=True)
class Panel:
    """Curves with one unit and one scale.

    Attributes:
        title: what is shown.
        unit: "%", "ms", or "" for a plain number.
        curves: in order.
        limit: above that it is bad; None where there is no one limit.
    """

    title: str
    unit: str
    curves: tuple[Curve, ...]
    limit: float | None = None


@dataclass(frozen=True, slots=True)
class Mark:
    """A moment with a name: a step, the release."""

    at: datetime
    name: str


@dataclass(frozen=True, slots=True)
class Timeline:
    """All of it, over one stretch of time.

    Attributes:
        begin: where it starts.
        end: where it ends.
        bands: pods by revision, the one gone to first.
        desired: replicas asked for; the largest that was.
        panels: error rates, answer times, other numbers; those without any value are left out.
        marks: in order.
    """

    begin: datetime
    end: datetime
    bands: tuple[Band, ...]
    desired: int
    panels: tuple[Panel, ...]
    marks: tuple[Mark, ...]

    @property
    def empty(self) -> bool:
        """Whether there is nothing to draw."""
        return not self.bands and not self.panels


def read_timeline(
    points: Sequence[Point],
    lines: Sequence[JournalLine],
    *,
    released: datetime | None = None,
    target: str = "",
    left: str = "",
    limits: dict[str, float] | None = None,
) -> Timeline | None:
    """The time line of an incident; None where nothing was seen.

    Args:
        points: what was seen.
        lines: of its journal: they tell when which step was done.
        released: when the release that was left came.
        target: hash of the template gone back to.
        left: hash of the template left.
        limits: name of a number of the catalogue to its limit.
    """
    # A time of which monitoring knew nothing makes the picture no longer.
    told = [p.at for p in points if not isinstance(p, MeasurePoint) or p.value is not None]
    if not told:
        return None
    begin, end = utc(told[0]), utc(told[-1])
    inside = [Mark(at, name) for at, name in _steps(lines) if begin - SHORTEST <= at]
    if released is not None and begin - utc(released) <= max(end - begin, NEAR):
        inside.append(Mark(utc(released), "release"))
    end = max([end, *(mark.at for mark in inside)])
    begin = min([begin, *(mark.at for mark in inside)])
    pods = pods_points(points)
    return Timeline(
        begin=begin,
        end=max(end, begin + SHORTEST),
        bands=_bands(pods, target, left),
        desired=max((point.desired for point in pods), default=0),
        panels=_panels(points, begin, end, limits or {}),
        marks=tuple(sorted(inside, key=lambda mark: mark.at)),
    )


def _steps(lines: Iterable[JournalLine]) -> list[tuple[datetime, str]]:
    """When each step was done; of an undo, when it was sent."""
    found = []
    for line in lines:
        sent = line.step == Step.UNDO and line.event == JournalEvent.INTENT
        approved = line.event == JournalEvent.APPROVAL
        done = line.event == JournalEvent.DONE and line.step in (Step.DETECT, Step.VERIFY)
        if sent or approved or done:
            name = {Step.DETECT: "detected", Step.VERIFY: "verified"}.get(Step(line.step), "undo")
            found.append((_moment(line.at), "approved" if approved else name))
    return found


def _moment(text: str) -> datetime:
    return utc(datetime.fromisoformat(text))


# --- pods ------------------------------------------------------------------------------------


def _bands(points: Sequence[PodsPoint], target: str, left: str) -> tuple[Band, ...]:
    hashes = dict.fromkeys(one.template_hash for point in points for one in point.counts)
    order = {target: 0, left: 2}
    named = sorted(hashes, key=lambda name: order.get(name, 1))
    return tuple(
        Band(_name(name, points), _role(name, target, left), _counted(name, points))
        for name in named
    )


def _role(name: str, target: str, left: str) -> str:
    if not name:
        return ""
    return {left: "left", target: "target"}.get(name, "")


def _name(template_hash: str, points: Sequence[PodsPoint]) -> str:
    """Its last number; an undo renumbers, so the earlier ones too."""
    seen = dict.fromkeys(
        one.revision
        for point in points
        for one in point.counts
        if one.template_hash == template_hash and one.revision
    )
    if not seen:
        return "pruned revisions" if not template_hash else f"revision {template_hash}"
    *before, last = seen
    was = f", was {listing(map(str, before))}" if before else ""
    return f"revision {last}{was}"


def _counted(template_hash: str, points: Sequence[PodsPoint]) -> tuple[Value, ...]:
    values: list[Value] = []
    for index, point in enumerate(points):
        pods = sum(one.pods for one in point.counts if one.template_hash == template_hash)
        values.append((utc(point.at), float(pods)))
        following = points[index + 1].at if index + 1 < len(points) else None
        if following is not None and following - point.at > UNWATCHED:
            values.append((utc(point.at) + SHORTEST, None))
    return tuple(values)


# --- numbers ---------------------------------------------------------------------------------


def _panels(
    points: Sequence[Point], begin: datetime, end: datetime, limits: dict[str, float]
) -> tuple[Panel, ...]:
    probes = [point for point in points if isinstance(point, ProbePoint)]
    length = max((end - begin) / BUCKETS, SHORTEST)
    names = list(dict.fromkeys(point.name for point in probes))
    failed, times = [], []
    for name in names:
        mine = [point for point in probes if point.name == name]
        failed.append(Curve(name, _put_together(mine, begin, length, _failed_share)))
        times.append(Curve(name, _put_together(mine, begin, length, _slow)))
    panels = (
        Panel("Failed requests", "%", tuple(failed), limit=None),
        Panel("95 % answered within", "ms", tuple(times)),
        *_measured(points, limits),
    )
    return tuple(panel for panel in panels if _has_values(panel))


def _has_values(panel: Panel) -> bool:
    return any(value is not None for curve in panel.curves for _, value in curve.values)


def _put_together(
    points: Sequence[ProbePoint],
    begin: datetime,
    length: timedelta,
    number: Callable[[Sequence[ProbePoint]], float | None],
) -> tuple[Value, ...]:
    """One value a stretch of time in which something was asked; None between far ones."""
    values: list[Value] = []
    last: datetime | None = None
    for _, group in groupby(points, key=lambda point: (utc(point.at) - begin) // length):
        mine = list(group)
        at = _middle(mine)
        if last is not None and at - last > max(UNWATCHED, 2 * length):
            values.append((last + SHORTEST, None))
        values.append((at, number(mine)))
        last = at
    return tuple(values)


def _middle(points: Sequence[ProbePoint]) -> datetime:
    """The middle of the moments at which they were sent."""
    first = utc(points[0].at)
    return first + sum((utc(point.at) - first for point in points), timedelta()) / len(points)


def _failed_share(points: Sequence[ProbePoint]) -> float | None:
    return 100 * sum(not point.good for point in points) / len(points) if points else None


def _slow(points: Sequence[ProbePoint]) -> float | None:
    times = sorted(point.seconds for point in points if point.seconds is not None)
    return 1000 * times[min(len(times) - 1, int(SLOW_SHARE * len(times)))] if times else None


def _measured(points: Sequence[Point], limits: dict[str, float]) -> Iterable[Panel]:
    """A panel for each number: their units differ."""
    measures = [point for point in points if isinstance(point, MeasurePoint)]
    for name in dict.fromkeys(point.name for point in measures):
        values = tuple((utc(p.at), p.value) for p in measures if p.name == name)
        yield Panel(f"{name} (Prometheus)", "", (Curve(name, values),), limits.get(name))
