"""Time, injected: nothing below the edge asks the operating system what time it is."""

import time
from dataclasses import dataclass, field
from datetime import UTC, datetime, timedelta
from typing import Protocol


class Clock(Protocol):
    """What every waiter and every writer of a timestamp is given."""

    def now(self) -> datetime:
        """Wall time: aware, UTC, microseconds."""

    def monotonic(self) -> float:
        """Seconds that never go backwards, for deadlines."""

    def sleep(self, seconds: float) -> None:
        """Wait that many seconds."""


class SystemClock:
    """The machine's own clock."""

    def now(self) -> datetime:
        """Wall time: aware, UTC, microseconds."""
        return datetime.now(UTC)

    def monotonic(self) -> float:
        """Seconds that never go backwards."""
        return time.monotonic()

    def sleep(self, seconds: float) -> None:
        """Wait that many seconds."""
        time.sleep(seconds)


@dataclass(slots=True)
class ManualClock:
    """A clock that moves only when somebody sleeps or advances it, for tests."""

    at: datetime = datetime(2026, 1, 1, tzinfo=UTC)
    elapsed: float = field(default=0.0, init=False)

    def now(self) -> datetime:
        """Wall time: the start plus all that was slept."""
        return self.at + timedelta(seconds=self.elapsed)

    def monotonic(self) -> float:
        """Seconds slept so far."""
        return self.elapsed

    def sleep(self, seconds: float) -> None:
        """Move the clock on at once."""
        self.elapsed += seconds


@dataclass(frozen=True, slots=True)
class Deadline:
    """A point on the monotonic clock after which waiting ends."""

    clock: Clock
    at: float

    @classmethod
    def after(cls, clock: Clock, seconds: float) -> "Deadline":
        """A deadline that many seconds from now."""
        return cls(clock, clock.monotonic() + seconds)

    @property
    def left(self) -> float:
        """Seconds left, never below zero."""
        return max(0.0, self.at - self.clock.monotonic())

    @property
    def passed(self) -> bool:
        """True from the deadline on."""
        return self.left == 0.0


def timestamp(at: datetime) -> str:
    """RFC 3339 in UTC with microseconds: the one spelling of time in records and Leases."""
    try:
        moment = at.astimezone(UTC)
    except OverflowError:
        # Year 1 or 9999 with an offset: a record is not lost for a time that nobody meant.
        moment = at
    return moment.strftime("%Y-%m-%dT%H:%M:%S.%fZ")
