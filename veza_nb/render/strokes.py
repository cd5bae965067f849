"""What a picture is drawn with: a scale of time, lines, words, and styles told apart by all."""

from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from datetime import datetime

from veza_nb.render.page import Html, tag
from veza_nb.timeline import Value
from veza_nb.words import count, utc

WIDTH = 720
LEFT, RIGHT = 58, 172
"""Margins: numbers of the scale stand left of a picture, names of its lines right of it."""
ROW = 15
CHARACTER = 6.9
"""Width of a character, about: words must not run into one another."""
DOTTED, DASHED = "1 4", "3 3"
# Told apart by people who see red and green alike, at least 3:1 on white and on near black.
_COLOURS = ("#2f7fc1", "#c2570c", "#0e8f7e", "#9a5fb5", "#7a848e", "#a87a1f")
_DASHES = ("", "7 3", "2 3", "9 3 2 3", "4 4", "12 4")
_ROLES = {"target": _COLOURS[0], "left": _COLOURS[1]}
_OTHER = _COLOURS[4]

Known = tuple[datetime, float]


@dataclass(frozen=True, slots=True)
class Scale:
    """Time from left to right."""

    begin: datetime
    end: datetime

    def x(self, at: datetime) -> float:
        """Where that moment is; outside the picture, its nearer edge."""
        share = (utc(at) - self.begin) / (self.end - self.begin)
        return LEFT + min(max(share, 0.0), 1.0) * (WIDTH - LEFT - RIGHT)


def style(index: int) -> tuple[str, str]:
    """Colour and dashes of the line of that number."""
    return _COLOURS[index % len(_COLOURS)], _DASHES[index % len(_DASHES)]


def colour_of(role: str) -> str:
    """The colour of the revision gone back to, of the one left, or of another."""
    return _ROLES.get(role, _OTHER)


def text(words: str, x: float, y: float, *, anchor: str = "", strong: bool = False) -> Html:
    """Words in the colour of the page's own."""
    return tag(
        "text",
        words,
        x=f"{x:.1f}",
        y=f"{y:.1f}",
        fill="currentColor",
        font_size="13" if strong else "12",
        font_weight="600" if strong else "",
        text_anchor=anchor,
    )


def line(x1: float, y1: float, x2: float, y2: float, *, dash: str = "", colour: str = "") -> Html:
    """A straight line; without a colour a fine one in that of the words."""
    return tag(
        "line",
        x1=f"{x1:.1f}",
        y1=f"{y1:.1f}",
        x2=f"{x2:.1f}",
        y2=f"{y2:.1f}",
        stroke=colour or "currentColor",
        stroke_width="2" if colour else "",
        stroke_opacity="" if colour else "0.5",
        stroke_dasharray=dash,
    )


def way(points: Sequence[tuple[float, float]]) -> str:
    """A path through these points."""
    return "M" + "L".join(f"{x:.1f} {y:.1f}" for x, y in points)


def runs(values: Sequence[Value]) -> Iterator[list[Known]]:
    """The stretches without a gap."""
    run: list[Known] = []
    for at, value in values:
        if value is not None:
            run.append((at, value))
        elif run:
            yield run
            run = []
    if run:
        yield run


def known(values: Sequence[Value]) -> list[float]:
    """The values without the gaps."""
    return [value for _, value in values if value is not None]


def round_up(value: float) -> float:
    """The next 1, 2 or 5 with zeros: the end of a scale that people can read."""
    if value <= 0:
        return 1.0
    size = 1.0
    while size < value:
        size *= 10
    while size / 10 >= value:
        size /= 10
    return next(size * step for step in (0.2, 0.5, 1.0) if size * step >= value)


def spelled(value: float, unit: str) -> str:
    """`3 pods`, `12 %`, `340 ms`, `0.031`."""
    if unit == "pods":
        return count(int(value), "pod")
    return f"{value:.0f} {unit}" if unit in ("%", "ms") else f"{value:.3g}"


def hms(at: datetime) -> str:
    """`15:02:11`, in UTC."""
    return f"{utc(at):%H:%M:%S}"
