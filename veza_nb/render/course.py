"""How an incident went: the picture for a page, the same in a few lines for a terminal."""

from collections.abc import Iterator, Sequence
from datetime import datetime, timedelta

from veza_nb.render.charts import chart
from veza_nb.render.lanes import lane_name
from veza_nb.render.lines import columns, wrapped
from veza_nb.render.marks import NONE, Mark
from veza_nb.render.page import Column, Html, Rendered, card, details, html, table
from veza_nb.render.strokes import hms, known, spelled
from veza_nb.timeline import Timeline, Value
from veza_nb.words import span, utc

_STEPS = 16
_NEAR = timedelta(seconds=5)
_BARS = "▁▂▃▄▅▆▇█"
_UNSEEN = "·"


def course(timeline: Timeline) -> Rendered:
    """Pods by revision, errors and answer times from first to last, with the steps marked."""
    length = span(timeline.end - timeline.begin)
    title = "How it went"
    lead = f"{hms(timeline.begin)} to {hms(timeline.end)} UTC ({length})."
    steps = ", ".join(f"{mark.name} {hms(mark.at)}" for mark in timeline.marks)
    lines = [
        f"◷ {title}: {lead}",
        *columns(_rows(timeline), numbers=(1, 3)),
        *(wrapped(f"{steps}.", "  ") if steps else []),
    ]
    numbers = details("The same in numbers", _table(timeline))
    return Rendered.of(
        lines, card(Mark("◷", "", "info"), title, chart(timeline), numbers, lead=lead)
    )


def _named(timeline: Timeline) -> Iterator[tuple[str, Sequence[Value], str]]:
    """Every line of the picture: its name, its values, their unit."""
    yield from ((lane_name(band), band.pods, "pods") for band in timeline.bands)
    for panel in timeline.panels:
        for curve in panel.curves:
            name = f"{panel.title}, {curve.name}" if len(panel.curves) > 1 else panel.title
            yield name, curve.values, panel.unit


def _rows(timeline: Timeline) -> list[Sequence[str]]:
    """Name, first value, how it went, last value."""
    rows: list[Sequence[str]] = []
    for name, values, unit in _named(timeline):
        numbers = known(values)
        if numbers:
            first, last = (spelled(number, unit) for number in (numbers[0], numbers[-1]))
            rows.append((name, first, _spark(values, timeline), last, ""))
    return rows


def _spark(values: Sequence[Value], timeline: Timeline) -> str:
    """The course in one line; a dot where nobody looked."""
    most = max(known(values), default=0.0)
    step = (timeline.end - timeline.begin) / _STEPS
    signs = []
    for index in range(_STEPS):
        value = _at(values, timeline.begin + (index + 1) * step, step)
        signs.append(_UNSEEN if value is None else _bar(value, most))
    return "".join(signs)


def _bar(value: float, most: float) -> str:
    """How high that is, between nothing (or less) and the most there was."""
    share = min(max(value, 0.0), most) / most if most > 0 else 0.0
    return _BARS[round(share * (len(_BARS) - 1))]


def _at(values: Sequence[Value], moment: datetime, step: timedelta) -> float | None:
    """The value at that moment: the last one told until then, if it is not older than a gap."""
    told = [(at, value) for at, value in values if at <= moment]
    if not told:
        return None
    at, value = told[-1]
    later = len(told) < len(values)
    return value if later or moment - at <= step else None


def _table(timeline: Timeline) -> Html:
    """What there was at each step, for whoever cannot see the picture."""
    moments = [("begin", timeline.begin), *((mark.name, mark.at) for mark in timeline.marks)]
    moments.append(("end", timeline.end))
    heads = [Column("What"), *(Column(f"{name} {hms(at)}", number=True) for name, at in moments)]
    rows = []
    for name, values, unit in _named(timeline):
        told = [_at(values, utc(at), _NEAR) for _, at in moments]
        rows.append((name, *(NONE if one is None else spelled(one, unit) for one in told)))
    return html(table(heads, rows))
