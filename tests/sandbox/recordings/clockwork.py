"""A clock that stands still until it is told to move: every moment of a story can be looked at."""

from __future__ import annotations

import asyncio
from datetime import UTC, datetime, timedelta

from veza_nb.sandbox.clock import Clock

_BEHIND = timedelta(hours=1)


class SteppedClock(Clock):
    """Time for the recordings; use it in a loop made by `new_event_loop`."""

    def __init__(self) -> None:
        # kubectl reckons ages by its own clock: what it sees must lie in the past. A whole second,
        # because dates are cut to those: the same two moments always have the same two dates.
        super().__init__(start=datetime.now(UTC).replace(microsecond=0) - _BEHIND)
        self._until = 0.0
        self._arrived: asyncio.Future[None] | None = None

    def hold(self) -> None:
        """Stop here; call it once, inside the loop."""
        self.fast_forward()
        self._until = self.monotonic()

    async def advance(self, seconds: float) -> None:
        """Let so many seconds pass, timer by timer, and stop again."""
        self._until = self.monotonic() + seconds
        self._arrived = asyncio.get_running_loop().create_future()
        await self._arrived

    def _jump(self) -> bool:
        if self._heap and self._heap[0].due <= self._until:
            return super()._jump()
        self._base = max(self._base, self._until)
        if self._arrived is None:
            return False
        self._arrived.set_result(None)
        self._arrived = None
        return True
