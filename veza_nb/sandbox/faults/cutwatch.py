"""Watches that a fault cuts: after so many events, by a broken connection or by 410."""

from __future__ import annotations

import dataclasses
from collections.abc import Callable

from veza_nb.sandbox.apiserver.watching import Subscription, WatchEvent
from veza_nb.sandbox.faults.rules import Kind, Rule


@dataclasses.dataclass(slots=True)
class CutWatch(Subscription):
    """A watch that tells only so many events before it is cut.

    Attributes:
        rule: The fault that cuts it.
        left: Events that are still told; None: a timer cuts it.
        strike: Cuts it; set by whoever tells the watch.
    """

    rule: Rule = dataclasses.field(kw_only=True)
    left: int | None = None
    strike: Callable[[], object] = lambda: None

    @classmethod
    def of(cls, watch: Subscription, rule: Rule) -> CutWatch:
        """Return a watch in the place of another."""
        parts = {each.name: getattr(watch, each.name) for each in dataclasses.fields(watch)}
        left = 0 if rule.events is None and not rule.after else rule.events
        return cls(**parts, rule=rule, left=left)

    async def next_batch(self, limit: int = 1000) -> list[WatchEvent]:
        """Return the next events.

        Raises:
            ConnectionAbortedError: The watch was dropped.
        """
        if self.left == 0 and not self.failed:
            self.strike()
            if self.rule.kind is Kind.DROP_WATCH:
                raise ConnectionAbortedError("a fault drops this watch")
        if self.left is None or self.failed:
            return await Subscription.next_batch(self, limit)
        batch = await Subscription.next_batch(self, min(limit, self.left))
        self.left -= len(batch)
        return batch


def too_old(version: int) -> str:
    """Return what a client is told whose place in the history is lost."""
    return f"too old resource version: {max(0, version - 1)} ({version})"
