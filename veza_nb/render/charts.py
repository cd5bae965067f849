"""A time line as a picture: one lane a revision, one panel a kind of number, the steps across.

An SVG, small on purpose: no script, nothing fetched. It is read in a light or a dark theme and
on paper: words take the colour of the page's own; lines are told apart by their dashes and by
the names at their ends, colours only help. Where nobody looked there is a gap, and it says so.
"""

from collections.abc import Iterator, Sequence

from veza_nb.render.lanes import LANE, PANEL, lane, lane_name, panel
from veza_nb.render.page import Html, tag
from veza_nb.render.strokes import (
    CHARACTER,
    DASHED,
    ROW,
    WIDTH,
    Scale,
    hms,
    known,
    line,
    spelled,
    text,
)
from veza_nb.timeline import Mark, Timeline, Value

_TOP, _GAP, _FOOT = 14, 28, 24
_STYLE = (
    ".v-chart{background:#fff;color:#16191d;font-family:system-ui,sans-serif}"
    "@media (prefers-color-scheme:dark){.v-chart{background:#14181d;color:#edf0f3}}"
)


def chart(timeline: Timeline) -> Html:
    """The picture, to stand in a page."""
    scale = Scale(timeline.begin, timeline.end)
    rows = _rows(timeline.marks, scale)
    y = _TOP + ROW * (1.0 + max(rows, default=0)) + 12
    most = _most_pods(timeline)
    heights: list[tuple[float, float]] = []
    parts = []
    for band in timeline.bands:
        parts.append(lane(band, most, scale, y))
        heights.append((y, y + LANE))
        y += LANE + _GAP
    for shown in timeline.panels:
        parts.append(panel(shown, scale, y))
        heights.append((y, y + PANEL))
        y += PANEL + _GAP
    bottom = y - _GAP + 6
    size = {"width": str(WIDTH), "height": f"{bottom + _FOOT:.0f}"}
    words = described(timeline)
    return tag(
        "svg",
        tag("title", "How it went"),
        tag("desc", words),
        *_marks(timeline.marks, rows, scale, heights),
        *parts,
        *_clock(scale, bottom),
        viewBox=f"0 0 {size['width']} {size['height']}",
        role="img",
        aria_label=words,
        class_="v-chart",
        **size,
    )


def document(timeline: Timeline) -> str:
    """The picture as a file of its own, light and dark."""
    head, rest = chart(timeline).split(">", 1)
    head = head.replace("<svg ", '<svg xmlns="http://www.w3.org/2000/svg" ', 1)
    return f"{head}><style>{_STYLE}</style>{rest}\n"


def described(timeline: Timeline) -> str:
    """The picture in words: what each revision and each number did from first to last."""
    said = [f"From {hms(timeline.begin)} to {hms(timeline.end)} UTC."]
    said += [f"{lane_name(band)}: {_course(band.pods, 'pods')}." for band in timeline.bands]
    for shown in timeline.panels:
        for curve in shown.curves:
            said.append(f"{shown.title}, {curve.name}: {_course(curve.values, shown.unit)}.")
    said += [f"{mark.name} at {hms(mark.at)}." for mark in timeline.marks]
    return " ".join(said)


def _course(values: Sequence[Value], unit: str) -> str:
    numbers = known(values)
    if not numbers:
        return "no data"
    first, most, last = (spelled(n, unit) for n in (numbers[0], max(numbers), numbers[-1]))
    return f"{first} at first, {most} at most, {last} at last"


def _most_pods(timeline: Timeline) -> int:
    """One scale for all lanes, so that they can be compared."""
    pods = [value for band in timeline.bands for value in known(band.pods)]
    return int(max([timeline.desired, 1, *pods]))


def _rows(marks: Sequence[Mark], scale: Scale) -> list[int]:
    """The row of each name above the picture, so that none covers another."""
    ends: list[float] = []
    rows = []
    for mark in marks:
        left = scale.x(mark.at)
        row = next((n for n, end in enumerate(ends) if end + 10 <= left), len(ends))
        ends[row : row + 1] = [left + 4 + len(_named(mark)) * CHARACTER]
        rows.append(row)
    return rows


def _marks(
    marks: Sequence[Mark],
    rows: Sequence[int],
    scale: Scale,
    heights: Sequence[tuple[float, float]],
) -> Iterator[Html]:
    """A name above the picture, and a line through every part of it, not through its titles."""
    head = heights[0][0] - ROW - 6 if heights else _TOP
    for mark, row in zip(marks, rows, strict=True):
        x, y = scale.x(mark.at), _TOP + ROW * row
        yield from (line(x, a, x, b, dash=DASHED) for a, b in ((y - 10, head), *heights))
        yield text(_named(mark), x + 4, y)


def _named(mark: Mark) -> str:
    return f"{mark.name} {hms(mark.at)}"


def _clock(scale: Scale, bottom: float) -> Iterator[Html]:
    """Three moments below the picture."""
    length = scale.end - scale.begin
    for share, anchor, zone in ((0.0, "start", " UTC"), (0.5, "middle", ""), (1.0, "end", "")):
        at = scale.begin + length * share
        yield text(f"{hms(at)}{zone}", scale.x(at), bottom + 15, anchor=anchor)
