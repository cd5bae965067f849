"""The versioned store: objects by resource, a history of changes, and followers of that history.

One counter numbers every change in the cluster, as etcd's revision does. Objects handed out are
shared and must not be changed. A follower keeps a position in the history instead of a queue of its
own, so that a slow one holds nobody up and costs nothing; it loses its place when the history has
moved on without it.
"""

from __future__ import annotations

import asyncio
import bisect
from collections.abc import Hashable, Iterable, Iterator, Mapping
from dataclasses import dataclass, field
from typing import Any

from veza_nb.sandbox.apimachinery.selectors import LabelSelector

Json = dict[str, Any]
# Changes kept per resource; older ones are "compacted".
HISTORY = 10_000
ABOUT = "involvedObject.name"
"""The field that Events are indexed by: there are many of them, and few about any one object."""


class GoneError(Exception):
    """The version asked for is older than the history kept."""

    def __init__(self, oldest: int) -> None:
        super().__init__(oldest)
        self.oldest = oldest


@dataclass(slots=True)
class Change:
    """One change of one object.

    Attributes:
        version: The resourceVersion that it made.
        kind: "ADDED", "MODIFIED" or "DELETED".
        current: The object after it; of a deletion, its last state with the new version.
        previous: The object before it, or None.
    """

    version: int
    kind: str
    current: Json
    previous: Json | None


@dataclass(slots=True)
class _Namespace:
    """The objects of one resource in one namespace, sorted by name, indexed by their pairs."""

    objects: dict[str, Json] = field(default_factory=dict)
    names: list[str] = field(default_factory=list)
    index: dict[tuple[str, str], set[str]] = field(default_factory=dict)

    def put(self, name: str, new: Json) -> None:
        old = self.objects.get(name)
        if old is None:
            bisect.insort(self.names, name)
        self.objects[name] = new
        before, after = _pairs(old) if old else {}, _pairs(new)
        if before != after:
            self._unindex(name, before)
            for pair in after.items():
                self.index.setdefault(pair, set()).add(name)

    def remove(self, name: str) -> None:
        old = self.objects.pop(name)
        del self.names[bisect.bisect_left(self.names, name)]
        self._unindex(name, _pairs(old))

    def _unindex(self, name: str, pairs: Mapping[str, str]) -> None:
        for pair in pairs.items():
            names = self.index[pair]
            names.discard(name)
            if not names:
                del self.index[pair]

    def select(self, pairs: Iterable[tuple[str, str]] = (), start: str = "") -> Iterator[Json]:
        """Yield objects from a name on; of those with all these pairs maybe some more."""
        found = [self.index.get(pair, set()) for pair in pairs]
        if found:
            names = sorted(name for name in min(found, key=len) if name >= start)
        else:
            names = self.names[bisect.bisect_left(self.names, start) :]
        return map(self.objects.__getitem__, names)


class Table:
    """The objects of one resource and what happened to them.

    Attributes:
        followers: Those who are woken by a change.
        stretches: What followers make of stretches of the history, for others who see the same.
    """

    def __init__(self, history: int, compacted: int = 0) -> None:
        self._namespaces: dict[str, _Namespace] = {}
        self._history = history
        self._changes: list[Change] = []
        self._dropped = 0
        self._latest = 0
        self._compacted = compacted
        self.followers: set[Follower] = set()
        self.stretches: dict[Hashable, Any] = {}

    def get(self, namespace: str, name: str) -> Json | None:
        """Return one object, or None."""
        found = self._namespaces.get(namespace)
        return found.objects.get(name) if found else None

    def select(
        self,
        namespace: str | None,
        labels: LabelSelector,
        start: tuple[str, str] = ("", ""),
        about: str = "",
    ) -> Iterator[Json]:
        """Yield the objects that match, in the order of their keys.

        Args:
            namespace: None means every namespace.
            labels: What they must carry.
            start: Namespace and name of the first one to be yielded, if it is there.
            about: Of Events, the name of the object that they are about; the caller has to look
                whether it really is.
        """
        pairs = [*labels.equalities(), *([(ABOUT, about)] if about else ())]
        spaces = sorted(self._namespaces, key=_key) if namespace is None else [namespace]
        first = _key(start[0])
        for space in spaces:
            found = self._namespaces.get(space)
            if found is None or _key(space) < first:
                continue
            for entry in found.select(pairs, start[1] if space == start[0] else ""):
                if labels.matches(entry["metadata"].get("labels")):
                    yield entry

    def in_namespace(self, namespace: str) -> Iterator[Json]:
        """Yield every object of one namespace by name; "" holds what has no namespace."""
        found = self._namespaces.get(namespace)
        return found.select() if found else iter(())

    def unchanged_since(self, version: int) -> bool:
        """Return whether the present state is that of a version, too, and known to be so."""
        return version >= max(self._latest, self._compacted)

    def at(self, version: int) -> dict[tuple[str, str], Json]:
        """Return every object as of a version.

        Raises:
            GoneError: The history does not reach back that far.
        """
        if version < self._compacted:
            raise GoneError(self._compacted)
        state = {
            (space, name): entry
            for space, found in self._namespaces.items()
            for name, entry in found.objects.items()
        }
        for change in reversed(self._changes):
            if change.version <= version:
                break
            where = key_of(change.current)
            if change.previous is None:
                state.pop(where, None)
            else:
                state[where] = change.previous
        return dict(sorted(state.items(), key=lambda each: (_key(each[0][0]), each[0][1])))

    def record(self, change: Change) -> None:
        """Take a change into the tables and the history, and wake the followers."""
        namespace, name = key_of(change.current)
        if change.kind == "DELETED":
            self._namespaces[namespace].remove(name)
            if not self._namespaces[namespace].objects:
                del self._namespaces[namespace]
        else:
            self._namespaces.setdefault(namespace, _Namespace()).put(name, change.current)
        self._changes.append(change)
        self._latest = change.version
        if len(self._changes) > self._history + self._history // 4:
            self.compact(self._changes[-self._history - 1].version)
        for follower in tuple(self.followers):
            follower.wake()

    def fill(self, entries: Iterable[Json]) -> None:
        """Take in objects without a history."""
        for entry in entries:
            namespace, name = key_of(entry)
            self._namespaces.setdefault(namespace, _Namespace()).put(name, entry)

    def compact(self, version: int) -> None:
        """Forget the changes up to a version."""
        surplus = bisect.bisect_right(self._changes, version, key=lambda change: change.version)
        del self._changes[:surplus]
        self._dropped += surplus
        self._compacted = max(self._compacted, version)

    def follow(self, version: int | None) -> Follower:
        """Return a follower of the changes after a version; None means from now on.

        Raises:
            GoneError: Changes after that version are no longer kept.
        """
        if version is None:
            position = self._dropped + len(self._changes)
        elif version < self._compacted:
            raise GoneError(self._compacted)
        else:
            found = bisect.bisect_right(self._changes, version, key=lambda change: change.version)
            position = self._dropped + found
        follower = Follower(self, position)
        self.followers.add(follower)
        return follower

    def after(self, position: int, limit: int) -> list[Change]:
        """Return up to `limit` changes from a position of the history on.

        Raises:
            GoneError: They are no longer kept.
        """
        if position < self._dropped:
            raise GoneError(self._compacted)
        start = position - self._dropped
        return self._changes[start : start + limit]

    def forget(self, follower: Follower) -> None:
        """Stop waking a follower."""
        self.followers.discard(follower)


class Follower:
    """A place in the history of one resource, and a bell that rings when it grows."""

    def __init__(self, table: Table, position: int) -> None:
        self._table = table
        self._position = position
        self._waiter: asyncio.Future[None] | None = None
        self.closed = False

    @property
    def place(self) -> int:
        """The number of the next change."""
        return self._position

    @property
    def table(self) -> Table:
        """What it follows."""
        return self._table

    def skip(self, count: int) -> None:
        """Pass over changes that were taken for it already."""
        self._position += count

    def take(self, limit: int = 1000) -> list[Change]:
        """Return the next changes, maybe none.

        Raises:
            GoneError: This follower fell too far behind.
        """
        found = self._table.after(self._position, limit)
        self._position += len(found)
        return found

    async def wait(self) -> None:
        """Return when there may be something to take, or the follower was closed."""
        if self.closed or self._table.after(self._position, 1):
            return
        self._waiter = asyncio.get_running_loop().create_future()
        try:
            await self._waiter
        finally:
            self._waiter = None

    def wake(self) -> None:
        """Let `wait` return."""
        if self._waiter is not None and not self._waiter.done():
            self._waiter.set_result(None)

    def close(self) -> None:
        """End: nothing more will be delivered."""
        self.closed = True
        self._table.forget(self)
        self.wake()


class Store:
    """Every object of the cluster."""

    def __init__(self, history: int = HISTORY) -> None:
        self.version = 0
        self._compacted = 0
        self._history = history
        self._tables: dict[str, Table] = {}

    def table(self, resource: str) -> Table:
        """Return the table of a resource, by its storage key; made when first asked for."""
        if resource not in self._tables:
            self._tables[resource] = Table(self._history, self._compacted)
        return self._tables[resource]

    def compact(self, version: int) -> None:
        """Forget the history up to a version, of every resource."""
        self._compacted = max(self._compacted, version)
        for table in self._tables.values():
            table.compact(version)

    def dump(self) -> dict[str, list[Json]]:
        """Return every object by storage key; shared, not to be changed."""
        every = LabelSelector()
        found = {key: list(table.select(None, every)) for key, table in self._tables.items()}
        return {key: entries for key, entries in found.items() if entries}

    def load(self, objects: Mapping[str, Iterable[Json]], version: int) -> None:
        """Fill an empty store with objects as they are; the history begins after `version`.

        Raises:
            ValueError: There is something in it.
        """
        if self.version:
            raise ValueError("objects can only be loaded into an empty store")
        self.version = version
        self.compact(version)
        for resource, entries in objects.items():
            self.table(resource).fill(entries)

    def put(self, resource: str, new: Json) -> Json:
        """Store an object and return it with its new resourceVersion.

        Args:
            resource: Storage key.
            new: Complete object, which the store takes over; its metadata is replaced, not changed.
        """
        table = self.table(resource)
        old = table.get(*key_of(new))
        self.version += 1
        stored = with_version(new, self.version)
        if old is not None:
            _share(stored, old)
        kind = "ADDED" if old is None else "MODIFIED"
        table.record(Change(self.version, kind, stored, old))
        return stored

    def remove(self, resource: str, namespace: str, name: str) -> Json:
        """Delete an object and return its last state, under the version of the deletion."""
        table = self.table(resource)
        old = table.get(namespace, name)
        if old is None:
            raise KeyError(name)
        self.version += 1
        last = with_version(old, self.version)
        table.record(Change(self.version, "DELETED", last, old))
        return last


def key_of(entry: Json) -> tuple[str, str]:
    """Return (namespace, name) of an object."""
    metadata = entry["metadata"]
    return metadata.get("namespace", ""), metadata["name"]


def _pairs(entry: Json) -> Mapping[str, str]:
    """Return what an object is found by without looking at all: its labels, and its field."""
    labels: Json = entry["metadata"].get("labels") or {}
    about = (entry.get("involvedObject") or {}).get("name")
    return {**labels, ABOUT: about} if about else labels


def _key(namespace: str) -> str:
    """Return what namespaces are sorted by: the storage's keys have a "/" after it."""
    return f"{namespace}/"


def with_version(entry: Json, version: int) -> Json:
    """Return a copy of an object, shallow but for its metadata, that carries a resourceVersion."""
    metadata = entry["metadata"]
    changed: Json = {}
    for name in ("name", "generateName", "namespace", "selfLink", "uid"):
        if name in metadata:
            changed[name] = metadata[name]
    changed["resourceVersion"] = str(version)
    changed.update((name, value) for name, value in metadata.items() if name not in changed)
    return {**entry, "metadata": changed}


def _share(new: Json, old: Json) -> None:
    """Let equal parts of two versions be one object, because the history keeps both."""
    for part, value in new.items():
        if part != "metadata" and value == old.get(part):
            new[part] = old[part]
    for part, value in new["metadata"].items():
        if value == old["metadata"].get(part):
            new["metadata"][part] = old["metadata"][part]
