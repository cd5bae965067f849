"""What several services ran at which time, and the set to go back to."""

import math
from collections.abc import Mapping, Sequence
from datetime import datetime, timedelta

from veza_nb.render.ages import age
from veza_nb.render.lines import bullets, columns
from veza_nb.render.marks import NONE, Mark, mark_of
from veza_nb.render.page import Column, Html, Rendered, badge, card, html, points, table, tag
from veza_nb.revisions import History, Revision, Standing
from veza_nb.together import Set, Together
from veza_nb.words import span, utc

_LEFT, _WIDTH, _ROW = 150, 560, 26
_TICKS = tuple(
    (timedelta(**{unit: number}), f"{number} {unit[0] if unit != 'minutes' else 'min'}")
    for unit, number in (
        ("minutes", 1),
        ("minutes", 10),
        ("hours", 1),
        ("hours", 6),
        ("days", 1),
        ("days", 7),
        ("days", 30),
    )
)
_TONES = {
    Standing.CURRENT: ("#56a3d9", "live"),
    Standing.GOOD: ("#00796b", "good"),
    Standing.UNKNOWN: ("#8a939d", "unknown"),
    Standing.BAD: ("#b3541e", "bad"),
}
"""Blue, teal, grey and rust: apart for people who see red and green alike."""


def together(histories: Mapping[str, History], result: Together, *, now: datetime) -> Rendered:
    """Every service's revisions and when they ran, and the newest set known to fit."""
    mark, title = _headline(result.chosen, now)
    rows = [
        (name, one, *_cells(one, result.chosen, name, now))
        for name, history in histories.items()
        for one in history.revisions
    ]
    lines = [
        f"{mark.symbol} {title}",
        *bullets(result.reasons),
        "",
        *columns([("SERVICE", "REVISION", "STANDING", "IN SERVICE", "IMAGES"), *map(_text, rows)]),
    ]
    heads = [Column("Service"), Column("Revision"), Column("Standing"), Column("In service")]
    heads.append(Column("Images"))
    chosen = ["v-chosen" if row[2] else "" for row in rows]
    body = (
        points(result.reasons),
        _picture(histories, result.chosen, now),
        table(heads, [_html(row) for row in rows], chosen),
    )
    return Rendered.of(lines, card(mark, title, *body))


def _headline(chosen: Set | None, now: datetime) -> tuple[Mark, str]:
    if chosen is None:
        return Mark("?", "", "warn"), "No set of revisions is known to have worked together"
    when = "until now" if utc(chosen.end) >= utc(now) else f"until {age(chosen.end, now)}"
    numbers = ", ".join(f"{name} {one.number}" for name, one in chosen.revisions.items())
    return Mark("↩", "", "good"), f"Last good together, {when}: {numbers}"


def _cells(
    one: Revision, chosen: Set | None, name: str, now: datetime
) -> tuple[bool, str, str, str]:
    taken = chosen is not None and chosen.revisions[name].replicaset == one.replicaset
    served = "; ".join(_period(begin, end, now) for begin, end in one.served) or NONE
    images = ", ".join(image.rpartition("/")[2] for image in one.images.values())
    return taken, str(one.number), served, images


def _period(begin: datetime, end: datetime | None, now: datetime) -> str:
    if end is None:
        return f"since {age(begin, now)}"
    return f"{span(utc(end) - utc(begin))}, until {age(end, now)}"


_Row = tuple[str, Revision, bool, str, str, str]


def _text(row: _Row) -> Sequence[str]:
    name, one, taken, number, served, images = row
    mark = mark_of(one.standing)
    return (name, f"{'↩ ' if taken else ''}{number}", f"{mark.symbol} {mark.word}", served, images)


def _html(row: _Row) -> Sequence[str]:
    name, one, taken, number, served, images = row
    chosen = tag("div", badge(Mark("↩", "together", "good"))) if taken else ""
    return (name, number, html(badge(mark_of(one.standing)), chosen), served, images)


def _picture(histories: Mapping[str, History], chosen: Set | None, now: datetime) -> Html:
    """A line a service, a bar a stretch in service; time runs to the right, its end drawn out."""
    known = [
        begin for one in histories.values() for each in one.revisions for begin, _ in each.served
    ]
    if not known:
        return Html("")
    oldest = max((utc(now) - utc(begin) for begin in known), default=timedelta())
    axis = _Axis(max(oldest, timedelta(minutes=10)))
    height = _ROW * len(histories) + 24
    drawn = [
        *_ticks(axis, height),
        *(
            part
            for row, (name, history) in enumerate(histories.items())
            for part in _line(name, history, row, axis, now)
        ),
        *(_marker(axis, utc(now) - utc(chosen.end), height) if chosen else ()),
    ]
    said = "When each revision was in service; the table below says the same."
    return tag(
        "svg",
        *drawn,
        viewBox=f"0 0 {_LEFT + _WIDTH} {height}",
        width=str(_LEFT + _WIDTH),
        height=str(height),
        role="img",
        aria_label=said,
        style="max-width:100%",
    )


class _Axis:
    """Ages to places: the last hour takes as much room as the last week."""

    def __init__(self, oldest: timedelta) -> None:
        self._whole = math.log1p(oldest.total_seconds() / 60)
        self.oldest = oldest

    def at(self, ago: timedelta) -> float:
        minutes = max(ago.total_seconds(), 0) / 60
        return _LEFT + _WIDTH * (1 - min(math.log1p(minutes) / self._whole, 1))


def _ticks(axis: _Axis, height: int) -> list[Html]:
    found: list[Html] = []
    for ago, words in _TICKS:
        if ago < axis.oldest:
            place = f"{axis.at(ago):.1f}"
            line = {"x1": place, "x2": place, "y1": "0", "y2": str(height - 18)}
            found.append(tag("line", **line, stroke="currentColor", stroke_opacity="0.2"))
            found.append(_words(words, axis.at(ago), height - 4, anchor="middle"))
    return found


def _line(name: str, history: History, row: int, axis: _Axis, now: datetime) -> list[Html]:
    top = _ROW * row
    found = [_words(name, 0, top + 17)]
    for one in history.revisions:
        for begin, end in one.served:
            found += _bar(one, axis, utc(now) - utc(begin), utc(now) - utc(end or now), top)
    return found


def _bar(one: Revision, axis: _Axis, begin: timedelta, end: timedelta, top: int) -> list[Html]:
    left, right = axis.at(begin), axis.at(end)
    colour, word = _TONES[one.standing]
    title = tag("title", f"revision {one.number}, {word}")
    bar = tag(
        "rect",
        title,
        x=f"{left:.1f}",
        y=str(top + 4),
        width=f"{max(right - left - 2, 2):.1f}",
        height=str(_ROW - 8),
        rx="3",
        fill=colour,
    )
    number = str(one.number)
    if right - left < 8 * len(number) + 4:
        return [bar]
    return [bar, _words(number, left + 5, top + 17, fill="#ffffff")]


def _marker(axis: _Axis, ago: timedelta, height: int) -> list[Html]:
    place = f"{axis.at(ago) - 1:.1f}"
    line = {"x1": place, "x2": place, "y1": "0", "y2": str(height - 18)}
    title = tag("title", "the moment to go back to")
    return [tag("line", title, **line, stroke="currentColor", stroke_dasharray="4 3")]


def _words(
    words: str, left: float, top: float, *, anchor: str = "start", fill: str = "currentColor"
) -> Html:
    return tag(
        "text",
        words,
        x=f"{left:.1f}",
        y=f"{top:.1f}",
        fill=fill,
        font_size="12",
        text_anchor=anchor,
    )
