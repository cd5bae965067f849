"""A watch: the present objects, then every change, as one client asked to see them."""

from __future__ import annotations

from collections.abc import Awaitable, Callable, Hashable, Iterable, Iterator
from dataclasses import dataclass, field
from typing import Any, NamedTuple

from veza_nb.sandbox.apimachinery import status
from veza_nb.sandbox.apiserver.store import Change, Follower, GoneError

Json = dict[str, Any]


class WatchEvent(NamedTuple):
    """One line of a watch: its type, such as "ADDED", "BOOKMARK" or "ERROR", and its object."""

    type: str
    object: Json


@dataclass(frozen=True, slots=True)
class View:
    """What one watcher gets to see.

    Attributes:
        matches: Whether an object is among those that it watches.
        render: Turns a stored object into what goes out.
        bookmark: Makes the object of a bookmark from a version and annotations.
        key: Equal for all views of a resource that show the same; None: this view is like no other.
    """

    matches: Callable[[Json], bool]
    render: Callable[[Json], Json]
    bookmark: Callable[[int, Json], Json] | None = None
    key: Hashable = None


class _Stretch(NamedTuple):
    """A stretch of the history: how many changes, and what one view shows of them."""

    changes: int
    events: list[WatchEvent]


# Changes read in one go, and stretches of a table kept for others.
_STRETCH, _STRETCHES = 100, 64


@dataclass(slots=True)
class Subscription:
    """A running watch; an async iterator of `WatchEvent`.

    Attributes:
        follower: Its place in the history.
        view: What it gets to see.
        version: Tells the present version of the cluster.
        timeout: Real seconds after which the server ends it; None: never.
        bookmarks: Whether the client wants to hear of versions without changes.
        floor: Changes up to this version are not told.
        pending: Events that are ready to be taken.
        turn: Awaited before the history is read; lets many watches take turns.
    """

    follower: Follower
    view: View
    version: Callable[[], int]
    timeout: float | None = None
    bookmarks: bool = False
    floor: int = 0
    pending: list[WatchEvent] = field(default_factory=list)
    failed: bool = False
    turn: Callable[[], Awaitable[None]] | None = None
    _singly: Iterator[WatchEvent] = field(default_factory=lambda: iter(()))

    def __aiter__(self) -> Subscription:
        return self

    async def __anext__(self) -> WatchEvent:
        event = next(self._singly, None)
        if event is None:
            self._singly = iter(await self.next_batch())
            event = next(self._singly, None)
        if event is None:
            raise StopAsyncIteration
        return event

    async def next_batch(self, limit: int = 1000) -> list[WatchEvent]:
        """Return the next events, not to be changed; empty when the watch is over."""
        while not self.pending:
            if self.follower.closed or self.failed:
                return []
            if self.turn is not None:
                await self.turn()
            # While it waited for its turn it may have been told that its place is lost.
            if not self.pending:
                self._take()
            if not self.pending:
                await self._wait()
        batch = self.pending
        if len(batch) <= limit:
            self.pending = []
            return batch
        self.pending = batch[limit:]
        return batch[:limit]

    async def _wait(self) -> None:
        try:
            await self.follower.wait()
        except GoneError as gone:
            self._fail(gone)

    def _take(self) -> None:
        """Read on in the history; what another watch with the same view has read is taken over."""
        follower, shared = self.follower, self.follower.table.stretches
        key = None if self.view.key is None else (self.view.key, follower.place)
        known: _Stretch | None = None if key is None else shared.get(key)
        if known is not None:
            follower.skip(known.changes)
            self.pending = known.events
            return
        try:
            changes = follower.take(_STRETCH)
        except GoneError as gone:
            self._fail(gone)
            return
        self.pending = list(self._events(changes))
        if key is not None and changes:
            shared[key] = _Stretch(len(changes), self.pending)
            if len(shared) > _STRETCHES:
                del shared[next(iter(shared))]

    def _fail(self, gone: GoneError) -> None:
        self.expire(f"too old resource version: {gone.oldest}")

    def expire(self, why: str) -> None:
        """Tell the client that its place in the history is lost, and end."""
        # A new list: the present one may be shared.
        error = WatchEvent("ERROR", status.expired(why).document())
        self.pending = [*self.pending, error]
        self.failed = True
        self.follower.wake()

    def _events(self, changes: Iterable[Change]) -> Iterable[WatchEvent]:
        """Yield what these changes mean to this watcher; an object may enter or leave its view."""
        for change in changes:
            if change.version <= self.floor:
                continue
            before = change.previous is not None and self.view.matches(change.previous)
            after = change.kind != "DELETED" and self.view.matches(change.current)
            if after:
                kind = "MODIFIED" if before else "ADDED"
                yield WatchEvent(kind, self.view.render(change.current))
            elif before:
                yield WatchEvent("DELETED", self.view.render(_last(change)))

    def bookmark(self) -> WatchEvent | None:
        """Return a bookmark at the present version, if the client wants such and is up to date."""
        if not self.bookmarks or self.view.bookmark is None or self.failed or self.pending:
            return None
        return WatchEvent("BOOKMARK", self.view.bookmark(self.version(), {}))

    def close(self) -> None:
        """End the watch."""
        self.follower.close()


def _last(change: Change) -> Json:
    """Return an object as it leaves a view: its last matching state, under the new version."""
    if change.kind == "DELETED" or change.previous is None:
        return change.current
    metadata = {**change.previous["metadata"], "resourceVersion": str(change.version)}
    return {**change.previous, "metadata": metadata}
