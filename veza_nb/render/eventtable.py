"""What happened, by reason, newest last."""

from collections.abc import Sequence
from datetime import datetime

from veza_nb.eventgroups import EventGroup
from veza_nb.render.ages import age, moment
from veza_nb.render.lines import columns
from veza_nb.render.marks import NONE
from veza_nb.render.page import Column, Html, details, table, tag
from veza_nb.words import count, listing, one_line

_WIDTH = 72


def events(groups: Sequence[EventGroup], now: datetime) -> Html | str:
    """A folded table; "" where nothing was said."""
    if not groups:
        return ""
    heads = [
        Column("Reason"),
        Column("About"),
        Column("Times", number=True),
        Column("First"),
        Column("Last"),
        Column("What the newest one says"),
    ]
    rows = [_row(one, now) for one in groups]
    faded = ["v-faded" if one.type == "Normal" else "" for one in groups]
    return details(f"Events: {_counted(groups)}, newest last", table(heads, rows, faded))


def event_lines(groups: Sequence[EventGroup], now: datetime) -> list[str]:
    """The same for a terminal."""
    if not groups:
        return []
    rows: list[Sequence[str]] = [("LAST", "TIMES", "REASON", "ABOUT")]
    rows += [(_ago(one.last, now), str(one.count), one.reason, _about(one)) for one in groups]
    said = [one for one in groups if one.type != "Normal"]
    told = [f"  {one.reason}: {one_line(one.message, _WIDTH)}" for one in said]
    return ["", f"Events: {_counted(groups)}, newest last", *columns(rows, numbers=(1,)), *told]


def _row(one: EventGroup, now: datetime) -> Sequence[str]:
    return (
        tag("b", one.reason) if one.type != "Normal" else one.reason,
        _about(one),
        str(one.count),
        _when(one.first, now),
        _when(one.last, now),
        one.message,
    )


def _about(one: EventGroup) -> str:
    return f"{one.kind} {listing(one.names, limit=2)}".strip()


def _when(at: datetime | None, now: datetime) -> str:
    return tag("span", age(at, now), title=moment(at, now)) if at else NONE


def _ago(at: datetime | None, now: datetime) -> str:
    return age(at, now) if at else "unknown"


def _counted(groups: Sequence[EventGroup]) -> str:
    bad = sum(one.count for one in groups if one.type != "Normal")
    good = sum(one.count for one in groups if one.type == "Normal")
    return f"{count(bad, 'warning')}, {good} normal"
