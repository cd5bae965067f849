"""A watch: the present objects, then every change, as one client asked to see them."""

from __future__ import annotations

from collections.abc import Callable, Iterable
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
    """

    matches: Callable[[Json], bool]
    render: Callable[[Json], Json]
    bookmark: Callable[[int, Json], Json] | None = None


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
    """

    follower: Follower
    view: View
    version: Callable[[], int]
    timeout: float | None = None
    bookmarks: bool = False
    floor: int = 0
    pending: list[WatchEvent] = field(default_factory=list)
    failed: bool = False

    def __aiter__(self) -> Subscription:
        return self

    async def __anext__(self) -> WatchEvent:
        batch = await self.next_batch(1)
        if not batch:
            raise StopAsyncIteration
        return batch[0]

    async def next_batch(self, limit: int = 1000) -> list[WatchEvent]:
        """Return the next events; empty when the watch is over."""
        while not self.pending:
            if self.follower.closed or self.failed:
                return []
            self._take(limit)
            if not self.pending:
                await self._wait()
        batch, self.pending = self.pending[:limit], self.pending[limit:]
        return batch

    async def _wait(self) -> None:
        try:
            await self.follower.wait()
        except GoneError as gone:
            self._fail(gone)

    def _take(self, limit: int) -> None:
        try:
            changes = self.follower.take(limit)
        except GoneError as gone:
            self._fail(gone)
            return
        self.pending.extend(self._events(changes))

    def _fail(self, gone: GoneError) -> None:
        error = status.expired(f"too old resource version: {gone.oldest}")
        self.pending.append(WatchEvent("ERROR", error.document()))
        self.failed = True

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
