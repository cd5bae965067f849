"""A shared, indexed view of one resource, kept up to date by a watch.

Controllers read from here and write through the client. What they wrote is put in at once
(`observe`), so that a controller never acts on a state older than its own last write.
"""

from __future__ import annotations

import asyncio
from collections import defaultdict
from collections.abc import Callable, Iterable, Mapping
from typing import Protocol

from veza_nb.sandbox.apimachinery.status import Json
from veza_nb.sandbox.apiserver.client import Client

Key = tuple[str, str]
"""Namespace (empty for cluster-wide kinds) and name."""
Indexer = Callable[[Json], Iterable[str]]


class Handler(Protocol):
    """Called after every change: `(None, new)` added, `(old, new)` changed, `(old, None)` gone."""

    def __call__(self, old: Json | None, new: Json | None, /) -> None:
        """Take note; must not block and must not raise."""


def key_of(item: Json) -> Key:
    """Namespace and name of an object."""
    metadata = item["metadata"]
    return metadata.get("namespace", ""), metadata["name"]


def version_of(item: Json) -> int:
    """The resource version as a number, for comparing two states of one cluster."""
    return int(item["metadata"]["resourceVersion"])


def by_controller(item: Json) -> tuple[str, ...]:
    """Index: the uid of the owner that controls the object."""
    owner = controller_of(item)
    return () if owner is None else (owner["uid"],)


def orphaned(item: Json) -> tuple[str, ...]:
    """Index: the namespace of an object that no controller owns."""
    return by_namespace(item) if controller_of(item) is None else ()


def by_owner(item: Json) -> tuple[str, ...]:
    """Index: the uids of all owners."""
    return tuple(owner["uid"] for owner in item["metadata"].get("ownerReferences", ()))


def by_namespace(item: Json) -> tuple[str, ...]:
    """Index: the namespace."""
    return (item["metadata"].get("namespace", ""),)


def controller_of(item: Json) -> Json | None:
    """The owner reference with `controller: true`, or None."""
    owners: list[Json] = item["metadata"].get("ownerReferences", [])
    return next((owner for owner in owners if owner.get("controller")), None)


class Informer:
    """All objects of one resource, by key and by index, and those who want to hear of changes."""

    def __init__(
        self, client: Client, resource: str, indexers: Mapping[str, Indexer] | None = None
    ) -> None:
        self.resource = resource
        self._client = client
        self._items: dict[Key, Json] = {}
        # Versions at which objects were removed, until the watch tells of it, too.
        self._forgotten: dict[Key, int] = {}
        self._indexers = dict(indexers or {})
        self._index: dict[tuple[str, str], dict[Key, None]] = defaultdict(dict)
        self._handlers: list[Handler] = []

    def __len__(self) -> int:
        return len(self._items)

    def get(self, namespace: str, name: str) -> Json | None:
        """The object, or None."""
        return self._items.get((namespace, name))

    def list(self) -> Iterable[Json]:
        """All objects, in the order in which they were first seen."""
        return self._items.values()

    def select(self, index: str, value: str) -> Iterable[Json]:
        """The objects that an index files under a value."""
        return [self._items[key] for key in self._index.get((index, value), ())]

    def on_change(self, handler: Handler) -> None:
        """Call `handler` after every change from now on, and for all that is here already."""
        self._handlers.append(handler)
        for item in list(self._items.values()):
            handler(None, item)

    def prime(self) -> None:
        """Read everything, so that the view is complete before anybody acts on it."""
        present = {key_of(item): item for item in self._client.list(self.resource)}
        for key, item in list(self._items.items()):
            if key not in present:
                self.forget(item)
        self._forgotten.clear()
        for item in present.values():
            self.observe(item)

    async def run(self) -> None:
        """Follow the changes until cancelled; read anew where the watch lost its place."""
        while True:
            subscription = self._client.watch(self.resource)
            try:
                async for kind, item in subscription:
                    if kind == "ERROR":
                        break
                    self._apply(item, gone=kind == "DELETED")
            finally:
                subscription.close()
            self.prime()
            await asyncio.sleep(0)

    def observe(self, item: Json) -> None:
        """Take in a state that a write has just returned."""
        self._apply(item, gone=False)

    def forget(self, item: Json) -> None:
        """Take out an object that a write has just removed."""
        if key_of(item) in self._items:
            self._forgotten[key_of(item)] = version_of(item)
        self._apply(item, gone=True)

    def _apply(self, item: Json, *, gone: bool) -> None:
        key = key_of(item)
        old = self._items.get(key)
        if old is None and gone:
            self._forgotten.pop(key, None)
            return
        if old is None and version_of(item) <= self._forgotten.get(key, 0):
            # The watch is behind a removal that was noted already: no ghosts.
            return
        if old is not None and not _newer(item, old, gone=gone):
            return
        if old is not None:
            self._unfile(key, old)
        if gone:
            del self._items[key]
        else:
            self._items[key] = item
            self._file(key, item)
        new = None if gone else item
        for handler in self._handlers:
            handler(old, new)

    def _file(self, key: Key, item: Json) -> None:
        for name, indexer in self._indexers.items():
            for value in indexer(item):
                self._index[name, value][key] = None

    def _unfile(self, key: Key, item: Json) -> None:
        for name, indexer in self._indexers.items():
            for value in indexer(item):
                entry = self._index[name, value]
                entry.pop(key, None)
                if not entry:
                    del self._index[name, value]


def _newer(item: Json, old: Json, *, gone: bool) -> bool:
    """Whether a state is news; a removal may carry the last version that was stored."""
    if gone:
        return version_of(item) >= version_of(old)
    return version_of(item) > version_of(old)
