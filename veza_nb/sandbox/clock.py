"""The time of a training cluster: real, scaled, or fast-forwarded through days of history.

Everything in the cluster that waits or stamps a date asks this clock, so that a history of days
can be played through the real controllers in milliseconds and so that tests need no real waiting.
Idleness is seen at the one place where an asyncio loop admits to it: its selector. While the clock
is fast-forwarding, a loop that is about to block is given the next due timer instead.
"""

from __future__ import annotations

import asyncio
import functools
import heapq
import itertools
import selectors
import time
from collections.abc import Callable, Mapping
from datetime import UTC, datetime, timedelta
from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from _typeshed import FileDescriptorLike


_CROWD = 50


def timestamp(moment: datetime) -> str:
    """An API timestamp: RFC 3339, whole seconds, UTC."""
    return moment.strftime("%Y-%m-%dT%H:%M:%SZ")


def micro_timestamp(moment: datetime) -> str:
    """An API timestamp with microseconds."""
    return moment.strftime("%Y-%m-%dT%H:%M:%S.%fZ")


def parse_timestamp(text: str) -> datetime:
    """The moment an API timestamp names, aware."""
    return datetime.fromisoformat(text)


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
        speed: cluster seconds per real second, above 0.
    """

    def __init__(self, *, start: datetime | None = None, speed: float = 1.0) -> None:
        if speed <= 0:
            raise ValueError(f"a clock's speed must be above 0, not {speed}")
        self.speed = speed
        self._epoch = start or datetime.now(UTC)
        self._base = 0.0
        self._anchor = time.monotonic()
        self._stepped = False
        self._heap: list[Timer] = []
        self._order = itertools.count()
        self._loop: asyncio.AbstractEventLoop | None = None
        self._alarm: asyncio.TimerHandle | None = None

    def now(self) -> datetime:
        """The cluster's date: aware, UTC, to the microsecond."""
        return self._epoch + timedelta(seconds=self.monotonic())

    def monotonic(self) -> float:
        """Cluster seconds since this clock was made; never goes back."""
        if self._stepped:
            return self._base
        return self._base + (time.monotonic() - self._anchor) * self.speed

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
        elapsed = self.monotonic()
        if start is not None:
            self._epoch = start - timedelta(seconds=elapsed)
        self._base, self._stepped = elapsed, True
        self._rearm()

    def real_time(self) -> None:
        """End a fast-forward: from here the cluster's date is the real one (times `speed`)."""
        lag = (datetime.now(UTC) - self.now()).total_seconds()
        self._base += max(lag, 0.0)
        self._anchor, self._stepped = time.monotonic(), False
        self._rearm()

    def new_event_loop(self) -> asyncio.AbstractEventLoop:
        """A loop in which this clock can fast-forward (a `loop_factory` for asyncio.Runner)."""
        return asyncio.SelectorEventLoop(_IdleSelector(self._jump))

    def _jump(self) -> bool:
        """Go to the next timer, if fast-forwarding and there is one; say whether anything ran."""
        if not self._stepped:
            return False
        self._drop_cancelled()
        if not self._heap:
            return False
        self._base = max(self._base, self._heap[0].due)
        self._fire()
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
        """Keep exactly one loop timer, for the earliest of ours; none while fast-forwarding."""
        if self._alarm is not None:
            self._alarm.cancel()
            self._alarm = None
        self._drop_cancelled()
        if self._stepped or not self._heap:
            return
        if self._loop is None or self._loop.is_closed():
            self._loop = asyncio.get_running_loop()
        delay = max(0.0, (self._heap[0].due - self.monotonic()) / self.speed)
        self._alarm = self._loop.call_later(delay, self._fire)


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
