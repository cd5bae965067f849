"""One stream of changes to many watchers: encoded once, written in turns."""

from __future__ import annotations

import asyncio
from collections import OrderedDict, deque
from typing import Any

import msgspec

from veza_nb.sandbox.apiserver.watching import WatchEvent

_OBJECTS_KEPT, _BATCHES_KEPT = 512, 32
# Streams that may write in one round of the loop; between rounds requests are answered.
_AT_ONCE = 4


class Encoder:
    """JSON of objects; what many watchers get is encoded once."""

    def __init__(self) -> None:
        self._objects = _Kept(_OBJECTS_KEPT)
        self._batches = _Kept(_BATCHES_KEPT)

    def lines(self, events: list[WatchEvent]) -> bytes:
        """Return the lines of several events; the same list is joined only once."""
        if len(events) == 1:
            return self.line(events[0])
        found = self._batches.get(events)
        if found is None:
            found = b"".join(map(self.line, events))
            self._batches.put(events, found)
        return found

    def line(self, event: WatchEvent) -> bytes:
        """Return one line of a watch."""
        found = self._objects.get(event.object)
        if found is None:
            found = msgspec.json.encode(event.object)
            self._objects.put(event.object, found)
        return b'{"type":"%s","object":%s}\n' % (event.type.encode(), found)


class _Kept:
    """Bytes of the latest so many things, told apart by identity."""

    def __init__(self, size: int) -> None:
        self._size = size
        self._found: OrderedDict[int, tuple[Any, bytes]] = OrderedDict()

    def get(self, thing: Any) -> bytes | None:
        found = self._found.get(id(thing))
        return found[1] if found is not None else None

    def put(self, thing: Any, encoded: bytes) -> None:
        # The thing itself is kept, so that no other can have its id.
        self._found[id(thing)] = thing, encoded
        if len(self._found) > self._size:
            self._found.popitem(last=False)


class Turns:
    """Lets few streams write in one round of the loop, so that no request waits for all of them.

    While a stream waits for its turn, what it has to tell gathers, and goes out in one piece.
    """

    def __init__(self) -> None:
        self._waiting: deque[asyncio.Future[None]] = deque()
        self._left = _AT_ONCE
        self._round: asyncio.Handle | None = None

    async def take(self) -> None:
        """Wait for a turn."""
        loop = asyncio.get_running_loop()
        if self._round is None:
            self._left = _AT_ONCE
            self._round = loop.call_soon(self._next_round)
        if self._left and not self._waiting:
            self._left -= 1
            return
        turn: asyncio.Future[None] = loop.create_future()
        self._waiting.append(turn)
        await turn

    def _next_round(self) -> None:
        self._round, self._left = None, _AT_ONCE
        if not self._waiting:
            return
        while self._waiting and self._left:
            turn = self._waiting.popleft()
            if not turn.done():
                self._left -= 1
                turn.set_result(None)
        self._round = asyncio.get_running_loop().call_soon(self._next_round)
