"""How numbers, names and times are put into sentences, so that every room says them alike."""

from collections.abc import Iterable
from datetime import UTC, datetime, timedelta
from itertools import pairwise

_UNITS = ((86400, "d"), (3600, "h"), (60, "min"), (1, "s"))


def count(number: int, noun: str) -> str:
    """`1 pod`, `3 pods`: a number with its noun in the plural where it needs one."""
    return f"{number} {noun}" if number == 1 else f"{number} {noun}s"


def listing(names: Iterable[str], limit: int = 3) -> str:
    """`a, b, c and 2 more`: names, cut where they are too many to read."""
    every = list(names)
    head = ", ".join(every[:limit])
    return f"{head} and {len(every) - limit} more" if len(every) > limit else head


def span(length: timedelta) -> str:
    """`45 s`, `3 min 20 s`, `2 h`, `3 d 4 h`: a length of time in its two largest units."""
    seconds = max(0, int(length.total_seconds()))
    for (size, unit), (smaller, small_unit) in pairwise(_UNITS):
        if seconds >= size:
            rest = seconds % size // smaller
            return f"{seconds // size} {unit}" + (f" {rest} {small_unit}" if rest else "")
    return f"{seconds} s"


def utc(at: datetime) -> datetime:
    """The same moment in UTC; a time without a zone is taken for UTC, as Kubernetes writes it."""
    if at.tzinfo is None:
        return at.replace(tzinfo=UTC)
    try:
        return at.astimezone(UTC)
    except OverflowError:
        # Year 1 or 9999 with an offset: no such moment in UTC, and no use but as "very old".
        return at.replace(tzinfo=UTC)


def clock_time(at: datetime) -> str:
    """`2026-11-23 09:31:53 UTC`."""
    return f"{utc(at):%Y-%m-%d %H:%M:%S} UTC"


def one_line(text: str, limit: int = 240) -> str:
    """The text on one line, cut at `limit` characters."""
    flat = " ".join(text.split())
    return flat if len(flat) <= limit else flat[: limit - 1] + "…"
