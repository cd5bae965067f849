"""A work queue of keys: each key at most once, handed out in small batches, retried with back-off.

A short gathering time turns the storm of changes that one rollout causes into few syncs, as the
latency of a real control plane does.
"""

from __future__ import annotations

import asyncio
from typing import Generic, TypeVar

from veza_nb.sandbox.clock import Clock, Timer

K = TypeVar("K")

GATHER_SECONDS = 0.008
_FIRST_RETRY_SECONDS = 0.005
_LAST_RETRY_SECONDS = 30.0
_MOST_DOUBLINGS = 20


class WorkQueue(Generic[K]):
    """Keys that wait to be worked on; time is the cluster's."""

    def __init__(self, clock: Clock, gather_seconds: float = GATHER_SECONDS) -> None:
        self._clock = clock
        self._gather = gather_seconds
        self._waiting: dict[K, None] = {}
        self._later: dict[K, tuple[float, Timer]] = {}
        self._failures: dict[K, int] = {}
        self._ready = asyncio.Event()
        self._timer: Timer | None = None

    def add(self, key: K) -> None:
        """Have the key worked on soon."""
        self._waiting[key] = None
        if self._timer is None:
            self._timer = self._clock.call_later(self._gather, self._release)

    def add_after(self, key: K, seconds: float) -> None:
        """Have the key worked on after so many seconds; of several times the earliest counts."""
        due = self._clock.monotonic() + seconds
        planned = self._later.get(key)
        if planned is not None:
            if planned[0] <= due:
                return
            planned[1].cancel()
        self._later[key] = due, self._clock.call_at(due, lambda: self._due(key))

    def retry(self, key: K) -> None:
        """Have the key worked on again, later with each failure in a row."""
        failures = self._failures.get(key, 0)
        self._failures[key] = min(failures + 1, _MOST_DOUBLINGS)
        self.add_after(key, min(_FIRST_RETRY_SECONDS * 2.0**failures, _LAST_RETRY_SECONDS))

    def succeeded(self, key: K) -> None:
        """Forget the key's failures."""
        self._failures.pop(key, None)

    async def batch(self) -> list[K]:
        """Wait until there is work; return all keys that are due, oldest first."""
        await self._ready.wait()
        self._ready.clear()
        keys = list(self._waiting)
        self._waiting.clear()
        return keys

    def _due(self, key: K) -> None:
        del self._later[key]
        self.add(key)

    def _release(self) -> None:
        self._timer = None
        self._ready.set()
