"""Faults on demand, acted out: between the sockets and the API, where clients outside pass by.

Controllers and the kubelet ask the API inside the process and meet none of it, except a clock that
is wrong for the whole cluster. Seconds are real ones here: it is the clients' patience that counts.
"""

from __future__ import annotations

import asyncio
import contextlib
import dataclasses
import functools
import re
import time
from collections.abc import AsyncIterator, Callable, Iterator
from datetime import timedelta
from typing import Any, Protocol

from veza_nb.sandbox.apiserver import routes
from veza_nb.sandbox.apiserver.api import Api
from veza_nb.sandbox.apiserver.messages import Request, Response
from veza_nb.sandbox.apiserver.watching import Subscription
from veza_nb.sandbox.clock import Clock
from veza_nb.sandbox.faults import parsing
from veza_nb.sandbox.faults.answers import REQUEST_SECONDS, error_answer, storage_timeout
from veza_nb.sandbox.faults.cutwatch import CutWatch, too_old
from veza_nb.sandbox.faults.lag import Lag
from veza_nb.sandbox.faults.rules import (
    WATCH_KINDS,
    Decision,
    Facts,
    Fault,
    FaultBook,
    Json,
    Kind,
    Rule,
)

_UNITS = {"h": 3600.0, "m": 60.0, "s": 1.0, "ms": 0.001}
_DURATION_PART = re.compile(r"(\d+(?:\.\d+)?)(ms|[hms])")
_DURATION = re.compile(rf"(?:{_DURATION_PART.pattern})+")


class Door(Protocol):
    """The part of the server that an outage closes."""

    async def shut(self) -> None:
        """Cut every connection and refuse new ones."""
        ...

    async def reopen(self) -> None:
        """Accept connections again, at the same address."""
        ...


@dataclasses.dataclass(eq=False, slots=True)
class _Running:
    """A watch that is being told."""

    asked: Request
    watch: Subscription
    cut: Callable[[], object]


class Edge:
    """Lets the requests of clients meet the faults that are in force.

    Args:
        api: Who answers.
        clock: Of the cluster; a clock skew shifts it. None: there is none to shift.
    """

    def __init__(self, api: Api, clock: Clock | None = None) -> None:
        self.door: Door | None = None
        self._api = api
        self._clock = clock
        self._book = FaultBook()
        self._ends: dict[str, asyncio.Event] = {}
        self._lags: dict[str, Lag] = {}
        self._watches: set[_Running] = set()
        self._tasks: set[asyncio.Task[None]] = set()
        self._timers: list[asyncio.TimerHandle] = []

    @property
    def active(self) -> bool:
        """Whether there is any fault; asked for every request, so it must cost nothing."""
        return bool(self._book.faults)

    # -- operations --------------------------------------------------------------------------

    async def add(self, rule: Rule) -> Json:
        """Put a fault into force and tell it.

        Raises:
            ValueError: It cannot be together with what is in force.
        """
        fault = self._book.add(rule, time.monotonic())
        self._ends[fault.id] = asyncio.Event()
        if rule.lasting is not None:
            self._after(rule.lasting, self._tidy)
        if rule.kind is Kind.STALE and rule.seconds:
            self._lags[fault.id] = Lag(self._api.core.store, rule.seconds)
        if rule.kind in WATCH_KINDS and rule.events is None:
            self._strike_running(fault)
        if rule.kind is Kind.CLOCK_SKEW and self._clock is not None:
            self._clock.skew = timedelta(seconds=rule.seconds)
        if rule.kind is Kind.OUTAGE and self.door is not None:
            try:
                await self.door.shut()
            except Exception:
                # Nobody may be locked out for good.
                await self.remove(fault.id)
                raise
        return parsing.describe(fault, time.monotonic())

    async def listing(self) -> list[Json]:
        """Tell every fault in force, in the order in which they came; others have left no trace."""
        self._tidy()
        await asyncio.gather(*self._tasks)
        return [parsing.describe(each, time.monotonic()) for each in self._book]

    async def remove(self, name: str) -> Json:
        """End one; tell how it was.

        Raises:
            ValueError: There is none of that id.
        """
        fault = self._book.remove(name)
        told = parsing.describe(fault, time.monotonic())
        await self._ended(fault)
        return told

    async def clear(self) -> list[Json]:
        """End all; tell how they were."""
        return [await self.remove(each.id) for each in self._book]

    def close(self) -> None:
        """Stop every timer, because the cluster ends."""
        for timer in self._timers:
            timer.cancel()
        for lag in self._lags.values():
            lag.close()
        for task in self._tasks:
            task.cancel()

    def _tidy(self) -> None:
        for fault in self._book.tidy(time.monotonic()):
            task = asyncio.get_running_loop().create_task(self._ended(fault))
            self._tasks.add(task)
            task.add_done_callback(self._tasks.discard)

    async def _ended(self, fault: Fault) -> None:
        self._ends.pop(fault.id).set()
        if (lag := self._lags.pop(fault.id, None)) is not None:
            lag.close()
        if fault.rule.kind is Kind.CLOCK_SKEW and self._clock is not None:
            self._clock.skew = timedelta(0)
        if fault.rule.kind is Kind.OUTAGE and self.door is not None:
            await self.door.reopen()

    def _after(self, seconds: float, work: Callable[[], object]) -> asyncio.TimerHandle:
        now = asyncio.get_running_loop().time()
        self._timers = [each for each in self._timers if each.when() > now and not each.cancelled()]
        # A moment later than the book counts, so that the end is not looked for too early.
        timer = asyncio.get_running_loop().call_later(seconds + 0.001, work)
        self._timers.append(timer)
        return timer

    # -- requests ----------------------------------------------------------------------------

    async def handle(self, asked: Request) -> Response | None:
        """Answer a request, as far as the faults let it; None: cut the connection."""
        decision = self._book.decide(self._facts(asked), time.monotonic())
        if decision.delay:
            await asyncio.sleep(decision.delay)
        if decision.hang is not None and (end := self._ends.get(decision.hang.id)) is not None:
            await end.wait()
        asked = dataclasses.replace(
            asked, as_of=self._version(decision.stale), fault=",".join(decision.ids)
        )
        return await self._end(asked, decision)

    async def _end(self, asked: Request, decision: Decision) -> Response | None:
        rule = decision.ending.rule if decision.ending is not None else None
        if rule is None:
            return self._cut(self._api.handle(asked), decision.watch)
        if rule.kind is Kind.RESET:
            return None
        if rule.kind is Kind.ERROR:
            return self._api.handle(asked, instead=error_answer(rule))
        if rule.kind is Kind.STORAGE_HANG:
            await asyncio.sleep(rule.seconds or _patience(asked))
            return self._api.handle(asked, instead=storage_timeout())
        await _discard(self._api.handle(asked))
        return None

    def _facts(self, asked: Request) -> Facts:
        target = routes.route(asked.method, asked.path, asked.query)
        return Facts(
            target.verb,
            target.group,
            target.plural,
            target.subresource,
            target.namespace,
            target.name,
            target.path,
            self._api.who(asked),
            asked.headers.get("user-agent", ""),
            asked.query.get("resourceVersion") == "0",
        )

    def _version(self, fault: Fault | None) -> int | None:
        if fault is None:
            return None
        if fault.id in self._lags:
            return self._lags[fault.id].version()
        return max(0, self._api.core.store.version - fault.rule.versions)

    # -- watches -----------------------------------------------------------------------------

    def _cut(self, response: Response, fault: Fault | None) -> Response:
        if fault is not None and response.watch is not None:
            response.watch = CutWatch.of(response.watch, fault.rule)
        return response

    @contextlib.contextmanager
    def watching(
        self, asked: Request, watch: Subscription, cut: Callable[[], object]
    ) -> Iterator[None]:
        """Know of a watch while it is told, so that a fault can still strike it."""
        running = _Running(asked, watch, cut)
        self._watches.add(running)
        if isinstance(watch, CutWatch):
            watch.strike = functools.partial(self._strike, running, watch.rule)
            if watch.rule.after:
                self._after(watch.rule.after, watch.strike)
        try:
            yield
        finally:
            self._watches.discard(running)

    def _strike_running(self, fault: Fault) -> None:
        """Let a new fault meet the watches that are running."""
        now = time.monotonic()
        for running in tuple(self._watches):
            if fault.over(now):
                return
            if fault.rule.concerns(self._facts(running.asked)) and fault.strikes():
                strike = functools.partial(self._strike, running, fault.rule)
                self._after(fault.rule.after, strike)

    def _strike(self, running: _Running, rule: Rule) -> None:
        if running not in self._watches:
            return
        if rule.kind is Kind.DROP_WATCH:
            running.cut()
        else:
            running.watch.expire(too_old(self._api.core.store.version))


def _patience(asked: Request) -> float:
    """Seconds until the server itself gives a request up: as its client asks, or the usual."""
    text = asked.query.get("timeout", "")
    if not _DURATION.fullmatch(text):
        return REQUEST_SECONDS
    parts = _DURATION_PART.findall(text)
    return min(sum(float(number) * _UNITS[unit] for number, unit in parts), REQUEST_SECONDS)


async def _discard(response: Response) -> None:
    if response.watch is not None:
        response.watch.close()
    stream: AsyncIterator[bytes] | None = response.stream
    closing: Any = getattr(stream, "aclose", None)
    if closing is not None:
        await closing()
