"""What there is to go back to: every revision with the evidence for and against it."""

from collections.abc import Mapping, Sequence
from datetime import datetime, timedelta

from veza_nb.render.ages import age, moment
from veza_nb.render.lines import columns, wrapped
from veza_nb.render.marks import NONE, Mark, mark_of
from veza_nb.render.page import (
    Column,
    Html,
    Rendered,
    badge,
    card,
    details,
    html,
    points,
    table,
    tag,
)
from veza_nb.revisions import History, Revision, Standing
from veza_nb.vitals import Interval, said
from veza_nb.words import count, listing, span, utc

SHOWN = 10
"""Revisions that are shown at once: the newest, besides the live and the recommended one."""
_SHORT = 40
"""An image's name of so many characters is not broken."""
_HEADS = (
    Column("Revision", number=True),
    Column("Standing"),
    Column("Image"),
    Column("In service", number=True),
    Column("Pods ready", number=True),
    Column("Change cause"),
)
_AT_LEAST = "\N{GREATER-THAN OR EQUAL TO}"
_ARROW = "\N{RIGHTWARDS ARROW}"


def history(result: History, *, now: datetime, everything: bool = False) -> Rendered:
    """The revisions, newest first; which one is live, which one is recommended and why.

    Args:
        result: all that there is.
        now: ages count from it.
        everything: as text, also the older ones that a page folds away.
    """
    mark, title = _recommendation(result)
    lead = " ".join(result.reasons)
    shown, hidden = _split(result)
    listed = result.revisions if everything else shown
    kept = f"Kubernetes keeps {count(result.revision_history_limit, 'old revision')}."
    lines = [
        f"{mark.symbol} {title}",
        *wrapped(lead, "  "),
        "",
        *_table_lines(listed, result, now),
        *_hidden_lines(() if everything else hidden),
        "",
        *_fact_lines(listed, now),
        f"  {kept}",
    ]
    body = (
        _table(shown, result, now),
        details(_older(hidden), _table(hidden, result, now)) if hidden else html(),
        details(
            "Evidence of health and time in service, revision by revision",
            _evidence(result.revisions, now),
            tag("div", kept),
        ),
    )
    return Rendered.of(lines, card(mark, title, *body, lead=lead))


def _split(result: History) -> tuple[tuple[Revision, ...], tuple[Revision, ...]]:
    """Those to show at once, and the rest, both newest first."""
    names = {one.replicaset for one in result.revisions[:SHOWN]}
    names |= {one.replicaset for one in (result.current, result.recommended) if one}
    shown = tuple(one for one in result.revisions if one.replicaset in names)
    return shown, tuple(one for one in result.revisions if one.replicaset not in names)


def _older(hidden: Sequence[Revision]) -> str:
    """`40 older revisions (40 to 1)`: what is folded away."""
    first, last = hidden[0].number, hidden[-1].number
    numbers = f"{first} to {last}" if first != last else str(first)
    return f"{count(len(hidden), 'older revision')} ({numbers})"


def _recommendation(result: History) -> tuple[Mark, str]:
    if result.recommended is None:
        return Mark("?", "", "warn"), "No revision is recommended"
    return Mark("↩", "", "good"), f"Recommended: go back to revision {result.recommended.number}"


def _is_chosen(one: Revision, result: History) -> bool:
    return result.recommended is not None and one.replicaset == result.recommended.replicaset


# --- the page --------------------------------------------------------------------------------


def _table(revisions: Sequence[Revision], result: History, now: datetime) -> Html:
    rows = [_row(one, result, now) for one in revisions]
    return table(_HEADS, rows, [_row_class(one, result) for one in revisions])


def _row_class(one: Revision, result: History) -> str:
    if _is_chosen(one, result):
        return "v-chosen"
    return "v-faded" if one.standing is Standing.BAD else ""


def _row(one: Revision, result: History, now: datetime) -> Sequence[str]:
    chosen = tag("div", badge(Mark("↩", "recommended", "good"))) if _is_chosen(one, result) else ""
    return (
        html(str(one.number), _aside(_renumbered(one))),
        html(badge(mark_of(one.standing)), chosen),
        image_list(_shown_images(one, result), one.images),
        html(_length(one, now), _since(one, now)),
        html(f"{one.ready}/{one.replicas}", _aside(_size(one)), _aside(_restarts(one, now))),
        html(one.change_cause or NONE, _aside(_brought_by(one))),
    )


def _aside(words: str) -> Html:
    return tag("div", words, class_="v-aside") if words else html()


def _since(one: Revision, now: datetime) -> Html:
    """When it first appeared, as an age; the moment behind it."""
    if one.created is None:
        return html()
    return tag("div", age(one.created, now), class_="v-aside", title=moment(one.created, now))


def _evidence(revisions: Sequence[Revision], now: datetime) -> Html:
    known = ((one, [*one.reasons, *_health(one, now), _when(one, now)]) for one in revisions)
    return points([f"{one.number}: {'; '.join(filter(None, facts))}" for one, facts in known])


def image_list(shown: Mapping[str, str], whole: Mapping[str, str]) -> Html:
    """Images one a line, the whole name behind each; the container's only where it needs one."""
    several = len(shown) > 1
    return html(
        *(
            tag(
                "div",
                f"{name}: " if several else "",
                tag("code", image, title=whole[name]),
                class_="v-nowrap" if len(image) <= _SHORT else "",
            )
            for name, image in shown.items()
        )
    )


# --- the terminal ----------------------------------------------------------------------------


def _table_lines(revisions: Sequence[Revision], result: History, now: datetime) -> list[str]:
    rows: list[Sequence[str]] = [("REVISION", "STANDING", "IN SERVICE", "READY", "IMAGES")]
    for one in revisions:
        mark = mark_of(one.standing)
        rows.append(
            (
                f"{'↩ ' if _is_chosen(one, result) else ''}{one.number}",
                f"{mark.symbol} {mark.word}",
                _length(one, now),
                f"{one.ready}/{one.replicas}",
                ", ".join(_shown_images(one, result).values()),
            )
        )
    return columns(rows, numbers=(0, 2, 3))


def _hidden_lines(hidden: Sequence[Revision]) -> list[str]:
    if not hidden:
        return []
    return wrapped(f"and {_older(hidden)}: `veza-nb history SERVICE --all` shows them.", "  ")


def _fact_lines(revisions: Sequence[Revision], now: datetime) -> list[str]:
    """What else is known of each: why it came, when it served, how it did."""
    lines: list[str] = []
    for one in revisions:
        what = [one.change_cause, _renumbered(one), _brought_by(one)]
        told = [_when(one, now), "; ".join((*one.reasons, *_health(one, now)))]
        first, *rest = [part for part in ("; ".join(filter(None, what)), *told) if part] or [""]
        lines += wrapped(first, "      ", f"  {one.number}: ") if first else []
        for part in rest:
            lines += wrapped(part, "      ", "    ")
    return lines


# --- both ------------------------------------------------------------------------------------


def _health(one: Revision, now: datetime) -> list[str]:
    """What its objects show of how it did, besides the reasons of its standing."""
    return [*said(one.vitals), *filter(None, [_restarts(one, now)])]


def _restarts(one: Revision, now: datetime) -> str:
    vitals = one.vitals
    if vitals.restarts is None:
        return ""
    last = f", last {age(vitals.last_restart, now)}" if vitals.last_restart else ""
    return f"{count(vitals.restarts, 'restart')}{last}"


def _when(one: Revision, now: datetime) -> str:
    """Its times in service, else when it appeared; and how large it was."""
    size = f", {_size(one)}" if _size(one) else ""
    if one.served:
        shown = listing((_interval(each, now) for each in one.served), limit=4)
        return f"in service {shown}{size}"
    return f"appeared {moment(one.created, now)}{size}" if one.created else ""


def _renumbered(one: Revision) -> str:
    return f"was {listing(map(str, one.earlier_numbers), limit=6)}" if one.earlier_numbers else ""


def _brought_by(one: Revision) -> str:
    return f"by {listing(one.vitals.changed_by)}" if one.vitals.changed_by else ""


def _size(one: Revision) -> str:
    size = one.vitals.size
    return f"of {count(size, 'replica')}" if size is not None else ""


def _length(one: Revision, now: datetime) -> str:
    """Time in service, all intervals together; of a reused one perhaps not all are known."""
    known = [utc(end or now) - utc(begin) for begin, end in one.served]
    total = max(sum(known, timedelta()), timedelta()) if known else one.in_service
    if total is None:
        return NONE
    return f"{_AT_LEAST} {span(total)}" if one.earlier_numbers else span(total)


def _interval(each: Interval, now: datetime) -> str:
    """`2026-11-20 08:39 → 2026-11-23 12:41 (3 d 4 h)`."""
    begin, end = each
    until = _minute(end) if end else "now"
    return f"{_minute(begin)} {_ARROW} {until} ({span(utc(end or now) - utc(begin))})"


def _minute(at: datetime) -> str:
    return f"{utc(at):%Y-%m-%d %H:%M}"


def _shown_images(one: Revision, result: History) -> dict[str, str]:
    """Without the registry where it is the same for all; where it differs it may be the cause."""
    registries = {
        image.rpartition("/")[0] for other in result.revisions for image in other.images.values()
    }
    if len(registries) > 1:
        return dict(one.images)
    return {name: image.rpartition("/")[2] for name, image in one.images.items()}
