"""Plain text that stays inside a terminal: aligned columns and wrapped sentences."""

import textwrap
from collections.abc import Mapping, Sequence
from contextvars import ContextVar

WIDTH = 100
NARROW = 60
_width = ContextVar("width", default=WIDTH)
_GAP = "  "
_NARROWEST = 24


def fit_to(terminal: int) -> None:
    """Break lines for a terminal of that many columns: at 60 at the least, at 100 at most."""
    _width.set(min(max(terminal, NARROW), WIDTH))


def wrapped(text: str, indent: str = "", first: str | None = None) -> list[str]:
    """The text in lines that fit (100 characters at most); `first` begins the first of them."""
    return textwrap.wrap(
        text,
        _width.get(),
        initial_indent=indent if first is None else first,
        subsequent_indent=indent,
        break_on_hyphens=False,
    )


def bullets(items: Sequence[str], *, ordered: bool = False, indent: str = "  ") -> list[str]:
    """A list, one or more lines an item."""
    lines: list[str] = []
    for number, item in enumerate(items, start=1):
        sign = f"{number}. " if ordered else "- "
        lines += wrapped(item, indent + " " * len(sign), indent + sign)
    return lines


def fact_lines(about: Mapping[str, str]) -> list[str]:
    """Names and what they are, one a line, aligned."""
    width = max(map(len, about), default=0) + 1
    return [
        line
        for name, what in about.items()
        for line in wrapped(what, " " * (width + 3), f"  {name + ':':{width}} ")
    ]


def columns(
    rows: Sequence[Sequence[str]], *, numbers: Sequence[int] = (), indent: str = "  "
) -> list[str]:
    """Rows as aligned columns; columns in `numbers` to the right; the last one is wrapped.

    Where earlier columns leave no room for the last, it goes on a line of its own.
    """
    if not rows:
        return []
    widths = [max(len(cell) for cell in column) for column in zip(*rows, strict=True)]
    start = len(indent) + sum(width + len(_GAP) for width in widths[:-1])
    lines: list[str] = []
    for row in rows:
        cells = [
            cell.rjust(width) if index in numbers else cell.ljust(width)
            for index, (cell, width) in enumerate(zip(row, widths, strict=True))
        ]
        head = indent + "".join(cell + _GAP for cell in cells[:-1])
        lines += _with_last(head, row[-1], cells[-1], start)
    return lines


def _with_last(head: str, raw: str, padded: str, start: int) -> list[str]:
    if start + len(padded) <= _width.get():
        return [(head + padded).rstrip()]
    if _width.get() - start >= _NARROWEST:
        return wrapped(raw, " " * start, head) or [head.rstrip()]
    return [head.rstrip()[: _width.get()], *wrapped(raw, " " * 6)]
