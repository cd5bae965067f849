"""The parts of a time line's picture: a lane for a revision's pods, a panel for some numbers."""

from collections.abc import Iterator, Sequence
from itertools import pairwise

from veza_nb.render.page import Html, html, tag
from veza_nb.render.strokes import (
    CHARACTER,
    DOTTED,
    LEFT,
    RIGHT,
    ROW,
    WIDTH,
    Known,
    Scale,
    colour_of,
    known,
    line,
    round_up,
    runs,
    spelled,
    style,
    text,
    way,
)
from veza_nb.timeline import Band, Curve, Panel, Value

LANE, PANEL = 40, 74
MOST_CURVES = 6
_MOST_DOTS = 40
_ROLES = {"target": "gone back to", "left": "left"}
_NAMES_AT = WIDTH - RIGHT + 8
_UNSEEN = "not watched"


def lane(band: Band, most: int, scale: Scale, y: float) -> Html:
    """The pods of one revision as a filled step line.

    Args:
        band: which.
        most: pods that fill the lane.
        scale: of time.
        y: its upper edge.
    """
    base, unit = y + LANE, LANE / max(most, 1)
    colour, numbers = colour_of(band.role), known(band.pods)
    last = spelled(numbers[-1], "pods") if numbers else "no data"
    return html(
        text(lane_name(band), LEFT, y - 5, strong=True),
        _frame(base, y, f"{most}"),
        *(_area(run, scale, base, unit, colour) for run in runs(band.pods)),
        *_unseen(band.pods, scale, y + LANE / 2),
        text(last, _NAMES_AT, base - 4),
    )


def lane_name(band: Band) -> str:
    """`Pods of revision 44, was 42 (gone back to)`."""
    role = f" ({_ROLES[band.role]})" if band.role in _ROLES else ""
    return f"Pods of {band.name}{role}"


def panel(shown: Panel, scale: Scale, y: float) -> Html:
    """Some numbers as lines with their names at their ends.

    Args:
        shown: which.
        scale: of time.
        y: its upper edge.
    """
    base = y + PANEL
    numbers = [value for curve in shown.curves for value in known(curve.values)]
    most = 100.0 if shown.unit == "%" else round_up(max([*numbers, shown.limit or 0.0]))
    worst = sorted(shown.curves, key=_worst, reverse=True)[:MOST_CURVES]
    left_out = len(shown.curves) - len(worst)
    title = (
        f"{shown.title}{f', the {MOST_CURVES} worst of {len(shown.curves)}' if left_out else ''}"
    )
    places = [(shown.curves.index(curve), curve) for curve in worst]
    return html(
        text(title, LEFT, y - 5, strong=True),
        _frame(base, y, f"{most:g}{f' {shown.unit}' if shown.unit else ''}"),
        *_limit(shown, base, PANEL / most),
        *(_curve(curve, place, scale, base, PANEL / most) for place, curve in places),
        *_names(shown, places, base, PANEL / most),
    )


def _area(run: Sequence[Known], scale: Scale, base: float, unit: float, colour: str) -> Html:
    points = [(scale.x(run[0][0]), base)]
    for at, value in run:
        points += [(scale.x(at), points[-1][1]), (scale.x(at), base - value * unit)]
    # One look alone is a moment, but it must be seen.
    right = max(points[-1][0], points[0][0] + 3)
    points += [(right, points[-1][1]), (right, base)]
    return tag("path", d=f"{way(points)}Z", fill=colour, fill_opacity="0.6", stroke=colour)


def _unseen(values: Sequence[Value], scale: Scale, middle: float) -> Iterator[Html]:
    """Where nobody looked: dots in the middle, so that no data does not look like no pods."""
    for (at, value), (following, _) in pairwise(values):
        if value is not None:
            continue
        left, right = scale.x(at), scale.x(following)
        words = len(_UNSEEN) * CHARACTER
        if right - left <= words + 16:
            yield line(left + 2, middle, max(right - 2, left + 2), middle, dash=DOTTED)
            continue
        centre = (left + right) / 2
        yield line(left + 2, middle, centre - words / 2 - 3, middle, dash=DOTTED)
        yield text(_UNSEEN, centre, middle + 4, anchor="middle")
        yield line(centre + words / 2 + 3, middle, right - 2, middle, dash=DOTTED)


def _curve(curve: Curve, place: int, scale: Scale, base: float, unit: float) -> Html:
    """A line where nothing is missing; a dot on each value, as long as they can be told apart."""
    colour, dash = style(place)
    dotted = len(curve.values) <= _MOST_DOTS
    look = {"stroke": colour, "stroke_width": "2", "stroke_dasharray": dash}
    parts = []
    for run in runs(curve.values):
        points = [(scale.x(at), base - max(value, 0.0) * unit) for at, value in run]
        if len(points) > 1:
            parts.append(tag("path", d=way(points), fill="none", **look))
        if dotted or len(points) == 1:
            parts += [
                tag("circle", cx=f"{x:.1f}", cy=f"{y:.1f}", r="2.5", fill=colour) for x, y in points
            ]
    return html(*parts)


def _names(
    shown: Panel, places: Sequence[tuple[int, Curve]], base: float, unit: float
) -> Iterator[Html]:
    """Each curve's last value and name at its end, pushed apart where they would overlap."""
    lowest = base + 4 - ROW * (len(places) - 1)
    y = base - PANEL - ROW
    for place, curve in sorted(places, key=lambda one: -_last(one[1])):
        y = min(max(base - _last(curve) * unit + 4, y + ROW), max(lowest, y + ROW))
        lowest += ROW
        colour, dash = style(place)
        numbers = known(curve.values)
        value = spelled(numbers[-1], shown.unit) if numbers else "no data"
        name = f" {curve.name}" if len(shown.curves) > 1 else ""
        yield line(_NAMES_AT, y - 4, _NAMES_AT + 18, y - 4, dash=dash, colour=colour)
        yield text(_cut(f"{value}{name}"), _NAMES_AT + 23, y)


def _limit(shown: Panel, base: float, unit: float) -> Iterator[Html]:
    if shown.limit is not None:
        y = base - shown.limit * unit
        yield line(LEFT, y, WIDTH - RIGHT, y, dash=DOTTED)
        yield text("limit", LEFT + 4, y - 3)


def _frame(base: float, top: float, most: str) -> Html:
    """The two axes, and what the ends of the upright one stand for."""
    return html(
        line(LEFT, top, LEFT, base),
        line(LEFT, base, WIDTH - RIGHT, base),
        text(most, LEFT - 6, top + 9, anchor="end"),
        text("0", LEFT - 6, base, anchor="end"),
    )


def _worst(curve: Curve) -> float:
    return max(known(curve.values), default=0.0)


def _last(curve: Curve) -> float:
    numbers = known(curve.values)
    return max(numbers[-1], 0.0) if numbers else 0.0


def _cut(words: str) -> str:
    most = int((RIGHT - 34) / CHARACTER)
    return words if len(words) <= most else f"{words[: most - 1]}\N{HORIZONTAL ELLIPSIS}"
