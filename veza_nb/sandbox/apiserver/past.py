"""The store as it was: what a stale cache would answer reads from."""

from __future__ import annotations

from veza_nb.sandbox.apiserver.store import Change, Follower, GoneError, Json, Store, Table


class PastStore(Store):
    """A read-only view of a store at an earlier version, or as far back as its history reaches.

    A watch that begins here tells the past state first and then every change since.
    """

    def __init__(self, present: Store, version: int) -> None:
        super().__init__()
        self.version = max(0, min(version, present.version))
        self._present = present

    def table(self, resource: str) -> Table:
        """Return the past table of a resource."""
        return _PastTable(self._present.table(resource), self.version)


class _PastTable(Table):
    def __init__(self, present: Table, version: int) -> None:
        objects, reached = _state(present, version)
        super().__init__(len(objects) + 1)
        for each in objects:
            self.record(Change(int(each["metadata"]["resourceVersion"]), "ADDED", each, None))
        self._present = present
        self._reached = reached

    def at(self, version: int) -> dict[tuple[str, str], Json]:
        return self._present.at(version)

    def unchanged_since(self, version: int) -> bool:
        # What was deleted is not recorded here, so that nothing is known of any version.
        return version < 0

    def follow(self, version: int | None) -> Follower:
        return self._present.follow(self._reached if version is None else version)


def _state(table: Table, version: int) -> tuple[list[Json], int]:
    """Return the objects as of a version, or of the oldest that is kept, and which it is."""
    try:
        return list(table.at(version).values()), version
    except GoneError as gone:
        return list(table.at(gone.oldest).values()), gone.oldest
