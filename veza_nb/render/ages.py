"""Moments as people read them: the time in UTC, and how long ago that was."""

from datetime import datetime

from veza_nb.words import clock_time, span, utc


def age(at: datetime, now: datetime) -> str:
    """`3 d 4 h ago`; `in 5 s` for a moment that a clock ahead of ours wrote."""
    between = utc(now) - utc(at)
    return f"in {span(-between)}" if between.total_seconds() <= -1 else f"{span(between)} ago"


def moment(at: datetime | None, now: datetime) -> str:
    """`2026-11-23 09:31:53 UTC, 3 d 4 h ago`; "unknown" without a time."""
    return f"{clock_time(at)}, {age(at, now)}" if at else "unknown"
