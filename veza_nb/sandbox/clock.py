"""The time of a training cluster: real, scaled, stepped, or fast-forwarded through history.

Everything in the cluster that waits or stamps a date asks this clock, so that a history of days
can be played through the real controllers in milliseconds and so that tests need no real waiting.
Idleness is seen at the one place where an asyncio loop admits to it: its selector. While the clock
stands still (in a fast-forward or a step), a loop that is about to block is given the next due
timer instead.

**A scaled cluster** (`speed` other than 1) waits faster than the machine, and yet its dates are the
machine's: `now` is always the real time, and only durations are the cluster's. A back-off of 40
seconds takes 4 at speed 10, and what happened then is stamped with the real date of then. The
alternatives were worse. Dates that run ahead make kubectl, which computes ages with the machine's
clock, show `<invalid>`. Dates that begin in the past and catch up show a pod made just now as days
old, and put Leases, which clients renew by their own clock, into the future. So all dates agree,
those in objects, in the `Date` header, in Leases and on the machine, however long the session; the
price is that a duration read off two dates is the real one, `speed` times shorter than the
setting that caused it. Who in the cluster compares dates with a setting asks `span` how far dates
move during so many cluster seconds, at the clock's `rate`.

**A stepped cluster** stands still until `step` is called, and then lives exactly so many seconds,
each timer in its order. What happens when is the same each time; generated names and uids are not.
There dates and durations are the same thing, so a step leads ahead of the machine's date, by as
much as was stepped.
"""

from __future__ import annotations

import asyncio
import functools
import heapq
import itertools
import math
import selectors
import time
from collections.abc import Callable, Iterator, Mapping
from contextlib import contextmanager
from datetime import UTC, datetime, timedelta
from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from _typeshed import FileDescriptorLike


SLOWEST, FASTEST = 0.01, 1000.0
"""Bounds of a clock's speed, in cluster seconds per real second."""
LONGEST_STEP = 366 * 86_400.0
"""Seconds that one step can take a cluster on."""
_CROWD = 50


def timestamp(moment: datetime) -> str:
    """An API timestamp: RFC 3339, whole seconds, UTC."""
    return f"{moment.isoformat()[:19]}Z"


def micro_timestamp(moment: datetime) -> str:
    """An API timestamp with microseconds."""
    return f"{moment.isoformat(timespec='microseconds')[:26]}Z"


def parse_timestamp(text: str) -> datetime:
    """The moment an API timestamp names, aware."""
    return datetime.fromisoformat(text)


def span(seconds: float, rate: float = 1.0) -> timedelta:
    """How far dates move while so many cluster seconds pass, to compare two dates with.

    Timestamps have whole seconds. So that a fast clock does not take a moment for `rate` seconds
    ago, the span is a little longer there: as in any cluster, at most one of its seconds is lost.

    Args:
        seconds: of the cluster.
        rate: cluster seconds per second of dates, as the clock tells it.
    """
    return timedelta(seconds=seconds / rate + max(0.0, 1.0 - 1.0 / rate))


class Timer:
    """A callback that is due at a cluster time; cancelling it is cheap and may be repeated."""

    __slots__ = ("callback", "due", "order")

    def __init__(self, due: float, order: int, callback: Callable[[], object]) -> None:
        self.due = due
        self.order = order
        self.callback: Callable[[], object] | None = callback

    def __lt__(self, other: Timer) -> bool:
        return (self.due, self.order) < (other.due, other.order)

    def cancel(self) -> None:
        """Forget the callback; the heap drops the empty timer when its time comes."""
        self.callback = None


class Clock:
    """One cluster's time: `now`, `monotonic`, `sleep` and cheap timers.

    Args:
        start: the cluster's date at the beginning, aware; the real date when left out.
        speed: cluster seconds per real second, from `SLOWEST` to `FASTEST`.
        stepped: whether time stands still until `step` moves it.

    Attributes:
        skew: how far dates are wrong, as a fault wants it; durations stay right.

    Raises:
        ValueError: no such speed, or one together with `stepped`.
    """

    def __init__(
        self, *, start: datetime | None = None, speed: float = 1.0, stepped: bool = False
    ) -> None:
        check_speed(speed, stepped=stepped)
        self.skew = timedelta(0)
        self.speed = speed
        self.stepped = stepped
        # A date and the cluster's seconds at it, from which the other dates of a standing clock
        # follow; its seconds now, and the real seconds when it last began to run.
        self._date = start or _present(stepped=stepped)
        self._origin = 0.0
        self._base = 0.0
        self._anchor = time.monotonic()
        self._frozen = stepped
        self._limit = 0.0
        self._step: asyncio.Future[None] | None = None
        self._turn = asyncio.Lock()
        self._holds = 0
        self._heap: list[Timer] = []
        self._order = itertools.count()
        self._loop: asyncio.AbstractEventLoop | None = None
        self._alarm: asyncio.TimerHandle | None = None

    def now(self) -> datetime:
        """The cluster's date: aware, UTC, to the microsecond."""
        if self._frozen:
            return self._date + timedelta(seconds=self._base - self._origin) + self.skew
        return self._date + timedelta(seconds=time.monotonic() - self._anchor) + self.skew

    def monotonic(self) -> float:
        """Cluster seconds since this clock was made; never goes back."""
        if self._frozen:
            return self._base
        return self._base + (time.monotonic() - self._anchor) * self.speed

    @property
    def rate(self) -> float:
        """Cluster seconds per second of dates: `speed`, but 1 while time stands or jumps."""
        return 1.0 if self._frozen else self.speed

    def span(self, seconds: float) -> timedelta:
        """How far dates move while so many cluster seconds pass, at the present rate."""
        return span(seconds, self.rate)

    async def sleep(self, seconds: float) -> None:
        """Wait for so many cluster seconds; 0 or less only lets others run."""
        if seconds <= 0:
            await asyncio.sleep(0)
            return
        done: asyncio.Future[None] = asyncio.get_running_loop().create_future()
        timer = self.call_later(seconds, functools.partial(_finish, done))
        try:
            await done
        finally:
            timer.cancel()

    def serial(self) -> int:
        """A number that no other call gets; tells apart what happens in one microsecond."""
        return next(self._order)

    def call_later(self, seconds: float, callback: Callable[[], object]) -> Timer:
        """Run a callback inside the loop after so many cluster seconds."""
        return self.call_at(self.monotonic() + seconds, callback)

    def call_at(self, due: float, callback: Callable[[], object]) -> Timer:
        """Run a callback inside the loop at a cluster time as `monotonic` tells it."""
        timer = Timer(due, next(self._order), callback)
        heapq.heappush(self._heap, timer)
        if self._heap[0] is timer:
            self._rearm()
        return timer

    def fast_forward(self, start: datetime | None = None) -> None:
        """Let time jump from timer to timer, from `start` on (default: from now).

        Works only in a loop made by `new_event_loop`. `start` may lie in the past as long as no
        timer is waiting.
        """
        self._date, self._base = start or self.now(), self.monotonic()
        self._origin = self._base
        self._frozen, self._limit = True, math.inf
        self._rearm()

    def real_time(self) -> None:
        """End a fast-forward: from here the date is the real one, or stands until stepped."""
        self._limit = self._base
        if self.stepped:
            return
        lag = (datetime.now(UTC) - self.now()).total_seconds()
        self._base += max(lag, 0.0)
        self._date = self.now()
        self._anchor, self._frozen = time.monotonic(), False
        self._rearm()

    @contextmanager
    def holding(self) -> Iterator[None]:
        """Keep time from jumping on, in a history or a step, while a real process works."""
        self._holds += 1
        try:
            yield
        finally:
            self._holds -= 1

    async def step(self, seconds: float) -> None:
        """Live so many seconds; return when all that was due has happened and nothing stirs.

        Time stands while a process works that is `holding` it; what other threads and processes
        do is not waited for. Steps asked for at the same time follow one another.

        Raises:
            ValueError: the clock is not a stepped one, or this is no number of seconds.
        """
        if not self.stepped:
            raise ValueError("this cluster's clock runs by itself; only a stepped one can be moved")
        if not 0 <= seconds <= LONGEST_STEP:
            raise ValueError(f"a step is 0 to {LONGEST_STEP:.0f} seconds, not {seconds}")
        async with self._turn:
            self._step = asyncio.get_running_loop().create_future()
            self._limit = self._base + seconds
            try:
                await self._step
            finally:
                self._step, self._limit = None, self._base

    def new_event_loop(self) -> asyncio.AbstractEventLoop:
        """A loop in which this clock can jump (a `loop_factory` for asyncio.Runner)."""
        return asyncio.SelectorEventLoop(_IdleSelector(self._jump))

    def _jump(self) -> bool:
        """Go to the next timer, or to the end of a step; say whether anything ran."""
        moving = math.isinf(self._limit) or self._step is not None
        if not self._frozen or (self._holds and moving):
            return False
        self._drop_cancelled()
        if self._heap and self._heap[0].due <= self._limit:
            self._base = max(self._base, self._heap[0].due)
            self._fire()
            return True
        if self._step is None or self._step.done():
            return False
        self._base = self._limit
        self._step.set_result(None)
        return True

    def _fire(self) -> None:
        """Run what is due; of a crowd only some, so that requests get their turn in between."""
        self._alarm = None
        now = self.monotonic()
        for _ in range(_CROWD):
            if not self._heap or self._heap[0].due > now:
                break
            callback = heapq.heappop(self._heap).callback
            if callback is not None:
                callback()
        self._rearm()

    def _drop_cancelled(self) -> None:
        while self._heap and self._heap[0].callback is None:
            heapq.heappop(self._heap)

    def _rearm(self) -> None:
        """Keep exactly one loop timer, for the earliest of ours; none while standing still."""
        if self._alarm is not None:
            self._alarm.cancel()
            self._alarm = None
        self._drop_cancelled()
        if self._frozen or not self._heap:
            return
        if self._loop is None or self._loop.is_closed():
            self._loop = asyncio.get_running_loop()
        delay = max(0.0, (self._heap[0].due - self.monotonic()) / self.speed)
        self._alarm = self._loop.call_later(delay, self._fire)


def _present(*, stepped: bool) -> datetime:
    """The real date; for a stepped clock a whole second, or its stories would not repeat."""
    present = datetime.now(UTC)
    return present.replace(microsecond=0) if stepped else present


def check_speed(speed: float, *, stepped: bool = False) -> None:
    """Refuse what no clock can do.

    Raises:
        ValueError: no such speed, or one together with `stepped`.
    """
    if not SLOWEST <= speed <= FASTEST:
        raise ValueError(f"a clock's speed must be from {SLOWEST:g} to {FASTEST:g}, not {speed:g}")
    if stepped and speed != 1:
        raise ValueError("a clock that is stepped has no speed")


def _finish(done: asyncio.Future[None]) -> None:
    if not done.done():
        done.set_result(None)


class _IdleSelector(selectors.BaseSelector):
    """The system's selector, asking the clock for work before it lets the loop block."""

    def __init__(self, when_idle: Callable[[], bool]) -> None:
        self._real = selectors.DefaultSelector()
        self._when_idle = when_idle

    def register(
        self, fileobj: FileDescriptorLike, events: int, data: object = None
    ) -> selectors.SelectorKey:
        return self._real.register(fileobj, events, data)

    def unregister(self, fileobj: FileDescriptorLike) -> selectors.SelectorKey:
        return self._real.unregister(fileobj)

    def modify(
        self, fileobj: FileDescriptorLike, events: int, data: object = None
    ) -> selectors.SelectorKey:
        return self._real.modify(fileobj, events, data)

    def select(self, timeout: float | None = None) -> list[tuple[selectors.SelectorKey, int]]:
        if timeout is not None and timeout <= 0:
            return self._real.select(0)
        ready = self._real.select(0)
        if ready or self._when_idle():
            return ready
        return self._real.select(timeout)

    def close(self) -> None:
        self._real.close()

    def get_map(self) -> Mapping[FileDescriptorLike, selectors.SelectorKey]:
        return self._real.get_map()
