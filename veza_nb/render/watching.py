"""What changes while one looks at it: a rollout, and the soak after it."""

from collections.abc import Sequence

from veza_nb.render.lines import columns
from veza_nb.render.marks import NONE, Mark, mark_of
from veza_nb.render.page import Column, Html, Rendered, card, html, points, table, tag
from veza_nb.rollout import RolloutState, Trouble
from veza_nb.samples import Probe
from veza_nb.undo import UndoKind
from veza_nb.words import count

_BAR = 30
_TROUBLES = 8
_WIDTH, _HEIGHT = 560, 14

_SENT = {
    UndoKind.DONE: "Undo sent",
    UndoKind.NOOP: "Nothing to undo",
    UndoKind.FOUND_DONE: "Undo already in effect",
}


def progress(state: RolloutState, seconds: float, kind: UndoKind) -> Rendered:
    """One look at a rollout, `seconds` after it began; the first line changes only with it."""
    mark = mark_of(state.phase)
    title = f"{_SENT[kind]}: rollout {mark.word}"
    numbers = numbers_of(state)
    troubles = state.troubles[:_TROUBLES]
    lines = [
        f"{mark.symbol} {title}: {numbers}",
        f"  [{_text_bar(state)}] {seconds:.0f} s",
        *columns([_trouble_row(one) for one in troubles]),
        *(
            [f"  and {len(state.troubles) - _TROUBLES} more"]
            if len(state.troubles) > _TROUBLES
            else []
        ),
    ]
    body = (_bar(state), points(state.reasons), _trouble_table(state.troubles[:_TROUBLES]))
    lead = f"{numbers} · {seconds:.0f} s"
    return Rendered.of(lines, card(mark, title, *body, lead=lead))


def numbers_of(state: RolloutState) -> str:
    """`2 of 3 updated, 1 available, 1 old`."""
    return (
        f"{state.updated} of {state.desired} updated, {state.available} available, {state.old} old"
    )


def _text_bar(state: RolloutState) -> str:
    """`#` available, `+` updated but not available, `-` still to come."""
    whole = max(state.desired, 1)
    done = _BAR * min(state.available, whole) // whole if state.desired else _BAR
    begun = max(_BAR * min(state.updated, whole) // whole, done) if state.desired else _BAR
    return "#" * done + "+" * (begun - done) + "-" * (_BAR - begun)


def _bar(state: RolloutState) -> Html:
    """Available, starting and old pods side by side; the same is said in words beside it."""
    starting = max(state.updated - state.available, 0)
    missing = max(state.desired - state.updated - state.old, 0)
    parts = (
        (state.available, "#00796b", "available"),
        (starting, "#56a3d9", "starting"),
        (state.old, "#a8895a", "old"),
        (missing, "#8a939d", "to come"),
    )
    whole = max(sum(number for number, _, _ in parts), 1)
    drawn, left = [], 0.0
    for number, colour, word in parts:
        width = _WIDTH * number / whole
        if number:
            title = tag("title", f"{number} {word}")
            drawn.append(_rect(left, width, colour, title))
        left += width
    said = ", ".join(f"{number} {word}" for number, _, word in parts if number) or "no pods"
    box = f"0 0 {_WIDTH} {_HEIGHT}"
    picture = tag(
        "svg",
        *drawn,
        viewBox=box,
        width=str(_WIDTH),
        height=str(_HEIGHT),
        role="img",
        aria_label=f"Pods: {said}",
    )
    named = [(colour, f" {number} {word}") for number, colour, word in parts if number]
    keys = [
        html(tag("span", "■", style=f"color:{c}", aria_hidden="true"), w, "  ") for c, w in named
    ]
    return html(picture, tag("div", *keys, class_="v-keys"))


def _rect(left: float, width: float, colour: str, title: Html) -> Html:
    return tag(
        "rect",
        title,
        x=f"{left:.1f}",
        y="0",
        width=f"{max(width - 2, 1):.1f}",
        height=str(_HEIGHT),
        rx="3",
        fill=colour,
    )


def _trouble_row(one: Trouble) -> Sequence[str]:
    whose = "new" if one.new else "old"
    again = f"{count(one.restarts, 'restart')}, " if one.restarts else ""
    return (one.pod, whose, one.reason, f"{again}{one.detail}")


def _trouble_table(troubles: Sequence[Trouble]) -> Html:
    heads = [
        Column("Pod"),
        Column("Template"),
        Column("Reason"),
        Column("Restarts", number=True),
        Column("Detail"),
    ]
    rows = [
        (one.pod, "new" if one.new else "old", one.reason, str(one.restarts), one.detail)
        for one in troubles
    ]
    return table(heads, rows)


def soak(left: float, probes: Sequence[Probe]) -> Rendered:
    """The wait that shows whether it holds: seconds left, and what the endpoints answer."""
    mark = Mark("▶", "", "info")
    title = "Verifying: does it hold?"
    lead = f"{left:.0f} s left; a restart, a lost pod or a failing endpoint would show."
    rows = [_probe_row(probe) for probe in probes]
    lines = [f"{mark.symbol} {title}", f"  {lead}", *columns(rows, numbers=(1, 2, 3))]
    heads = [
        Column("Endpoint"),
        Column("Answered as expected", number=True),
        Column("Median", number=True),
        Column("95 % within", number=True),
    ]
    return Rendered.of(lines, card(mark, title, html(table(heads, rows)), lead=lead))


def _probe_row(probe: Probe) -> Sequence[str]:
    good = probe.total - len(probe.failures)
    return (probe.name, f"{good} of {probe.total}", _ms(probe.p50), _ms(probe.percentile(0.95)))


def _ms(seconds: float | None) -> str:
    return f"{seconds * 1000:.0f} ms" if seconds is not None else NONE
