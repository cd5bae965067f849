"""The times of a CronJob's schedule: "minute hour day month weekday", or a short name. Pure."""

from __future__ import annotations

import re
from dataclasses import dataclass
from datetime import datetime, timedelta

_SHORT = {
    "@yearly": "0 0 1 1 *",
    "@annually": "0 0 1 1 *",
    "@monthly": "0 0 1 * *",
    "@weekly": "0 0 * * 0",
    "@daily": "0 0 * * *",
    "@midnight": "0 0 * * *",
    "@hourly": "0 * * * *",
}
_MONTHS = ("jan", "feb", "mar", "apr", "may", "jun", "jul", "aug", "sep", "oct", "nov", "dec")
_DAYS = ("sun", "mon", "tue", "wed", "thu", "fri", "sat")
_BOUNDS = ((0, 59), (0, 23), (1, 31), (1, 12), (0, 6))
_EVERY = re.compile(r"(\d+(?:\.\d+)?)(h|m|s)")
_SECONDS = {"h": 3600, "m": 60, "s": 1}
_MINUTE, _DAY = timedelta(minutes=1), timedelta(days=1)
_HORIZON = timedelta(days=366 * 5)
"""A schedule without a time within five years, such as one for 31 February, has none."""


@dataclass(frozen=True, slots=True)
class Schedule:
    """When a CronJob runs.

    Attributes:
        fields: the minutes, hours, days of the month, months and weekdays (0 is Sunday) allowed.
        either_day: whether the day of the month or the weekday is enough: both are restricted.
        every: seconds between two runs, for schedules that name nothing else; 0: they do.
    """

    fields: tuple[frozenset[int], ...] = ()
    either_day: bool = False
    every: float = 0.0

    def next_after(self, moment: datetime) -> datetime | None:
        """The first time later than a moment."""
        if self.every:
            return moment.replace(microsecond=0) + timedelta(seconds=max(self.every, 1.0))
        found = moment.replace(second=0, microsecond=0) + _MINUTE
        end = moment + _HORIZON
        while found <= end:
            if not self._is_day(found):
                found = found.replace(hour=0, minute=0) + _DAY
            elif found.hour not in self.fields[1]:
                found = found.replace(minute=0) + timedelta(hours=1)
            elif found.minute not in self.fields[0]:
                found += _MINUTE
            else:
                return found
        return None

    def latest(self, after: datetime, until: datetime) -> datetime | None:
        """The last time later than `after` and not later than `until`; None: there is none."""
        if self.every:
            rounds = int((until - after).total_seconds() // max(self.every, 1.0))
            return after + rounds * timedelta(seconds=max(self.every, 1.0)) if rounds else None
        found = until.replace(second=0, microsecond=0)
        while found > after:
            if not self._is_day(found):
                found = found.replace(hour=0, minute=0) - _MINUTE
            elif found.hour not in self.fields[1]:
                found = found.replace(minute=0) - _MINUTE
            elif found.minute not in self.fields[0]:
                found -= _MINUTE
            else:
                return found
        return None

    def _is_day(self, moment: datetime) -> bool:
        if moment.month not in self.fields[3]:
            return False
        by_date = moment.day in self.fields[2]
        by_weekday = moment.isoweekday() % 7 in self.fields[4]
        return (by_date or by_weekday) if self.either_day else (by_date and by_weekday)


def parse_schedule(text: str) -> Schedule:
    """Read a schedule that the server has taken.

    Raises:
        ValueError: it is none after all.
    """
    if text.startswith("@every "):
        parts = _EVERY.findall(text.removeprefix("@every "))
        return Schedule(every=sum(float(amount) * _SECONDS[unit] for amount, unit in parts))
    words = _SHORT.get(text, text).split()
    names: tuple[tuple[str, ...], ...] = ((), (), (), _MONTHS, _DAYS)
    fields = tuple(
        _field(word, *bounds, each)
        for word, bounds, each in zip(words, _BOUNDS, names, strict=True)
    )
    restricted = [not word.startswith(("*", "?")) for word in words]
    return Schedule(fields, either_day=restricted[2] and restricted[4])


def _field(word: str, low: int, high: int, names: tuple[str, ...]) -> frozenset[int]:
    allowed: set[int] = set()
    for part in word.split(","):
        span, _, step = part.partition("/")
        first, _, last = span.partition("-")
        if first in ("*", "?"):
            begin, end = low, high
        else:
            begin = _number(first, names)
            end = _number(last, names) if last else (high if step else begin)
        allowed |= set(range(begin, end + 1, int(step or 1)))
    return frozenset(each % 7 if names == _DAYS else each for each in allowed)


def _number(text: str, names: tuple[str, ...]) -> int:
    word = text.lower()
    if word in names:
        return names.index(word) + (1 if names == _MONTHS else 0)
    return int(text)
