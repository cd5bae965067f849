"""Which version the cluster was at some seconds ago; watched only while somebody needs to know."""

from __future__ import annotations

import asyncio
import collections

from veza_nb.sandbox.apiserver.store import Store

_LOOKS = 50
_SHORTEST_LOOK = 0.005


class Lag:
    """Follows a store's version at a distance of some seconds, as a cache that lags behind.

    It begins where the store is: what was before nobody has noted. Make it inside a running loop.

    Args:
        store: The present.
        seconds: Real seconds, how far behind; above 0.
    """

    def __init__(self, store: Store, seconds: float) -> None:
        self._store = store
        self._seconds = seconds
        self._loop = asyncio.get_running_loop()
        self._noted = collections.deque([(self._loop.time(), store.version)])
        self._timer = self._next()

    def version(self) -> int:
        """The version of that time, or that of the beginning."""
        self._drop()
        return self._noted[0][1]

    def close(self) -> None:
        """Stop looking."""
        self._timer.cancel()

    def _next(self) -> asyncio.TimerHandle:
        return self._loop.call_later(max(self._seconds / _LOOKS, _SHORTEST_LOOK), self._look)

    def _look(self) -> None:
        if self._store.version != self._noted[-1][1]:
            self._noted.append((self._loop.time(), self._store.version))
        self._drop()
        self._timer = self._next()

    def _drop(self) -> None:
        """Leave the newest note that is old enough in front."""
        limit = self._loop.time() - self._seconds
        while len(self._noted) > 1 and self._noted[1][0] <= limit:
            self._noted.popleft()
