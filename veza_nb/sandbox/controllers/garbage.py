"""The garbage collector: what an owner owns goes with it, or is set free, as the delete says."""

from __future__ import annotations

import copy
import functools
from collections.abc import Container, Iterable, Sequence

from veza_nb.sandbox.apimachinery.kinds import RESOURCES
from veza_nb.sandbox.apimachinery.status import ApiError, Json
from veza_nb.sandbox.apiserver.client import Client
from veza_nb.sandbox.clock import Clock
from veza_nb.sandbox.controllers.base import Controller
from veza_nb.sandbox.controllers.informer import Informer, Key, by_owner, key_of

FOREGROUND, ORPHAN = "foregroundDeletion", "orphan"


def must_go(item: Json, living: Container[str], watched: Container[str]) -> bool:
    """Whether all owners of an object that has owners are gone.

    Owners of kinds that are not watched count as living: nothing is known of their end.
    """
    owners = item["metadata"].get("ownerReferences", ())
    return bool(owners) and all(_is_gone(owner, living, watched) for owner in owners)


def _is_gone(owner: Json, living: Container[str], watched: Container[str]) -> bool:
    return owner["kind"] in watched and owner["uid"] not in living


def without_owner(item: Json, uid: str) -> list[Json]:
    """The owner references of an object, that one left out."""
    return [owner for owner in item["metadata"].get("ownerReferences", ()) if owner["uid"] != uid]


def blocked_by(dependents: Iterable[Json], uid: str) -> bool:
    """Whether an owner deleted in the foreground still has to wait for a dependent."""
    return any(
        owner["uid"] == uid and owner.get("blockOwnerDeletion")
        for item in dependents
        for owner in item["metadata"].get("ownerReferences", ())
    )


class GarbageCollector(Controller):
    """Watches owners go.

    Args:
        client: acts as the garbage collector.
        clock: the cluster's time.
        informers: the kinds that take part; each needs the index "owner".
    """

    def __init__(self, client: Client, clock: Clock, informers: Sequence[Informer]) -> None:
        super().__init__(clock)
        self._client = client
        self._informers = informers
        plurals = {informer.resource for informer in informers}
        self._kinds = {item.kind for item in RESOURCES if item.plural in plurals}
        self._living: dict[str, tuple[Informer, Key]] = {}
        for informer in informers:
            informer.on_change(functools.partial(self._changed, informer))

    def sync(self, key: Key) -> None:
        """Look after the owner or dependent whose uid is the key's second part."""
        uid = key[1]
        place = self._living.get(uid)
        if place is None:
            for informer, item in self._dependents(uid):
                self._collect(informer, item)
            return
        informer, where = place
        found = informer.get(*where)
        if found is not None and found["metadata"]["uid"] == uid:
            self._look_at(informer, found)

    def _look_at(self, informer: Informer, item: Json) -> None:
        if "deletionTimestamp" in item["metadata"]:
            self._delete_step(informer, item)
        elif must_go(item, self._living, self._kinds):
            self._collect(informer, item)

    def _delete_step(self, informer: Informer, item: Json) -> None:
        finalizers = item["metadata"].get("finalizers", [])
        uid = item["metadata"]["uid"]
        if ORPHAN in finalizers:
            for where, dependent in self._dependents(uid):
                self._set_free(where, dependent, uid)
            self._finish(informer, item, ORPHAN)
        elif FOREGROUND in finalizers:
            dependents = self._dependents(uid)
            for where, dependent in dependents:
                if "deletionTimestamp" not in dependent["metadata"]:
                    self._delete(where, dependent, "Foreground")
            if not blocked_by((dependent for _, dependent in dependents), uid):
                self._finish(informer, item, FOREGROUND)

    def _dependents(self, uid: str) -> list[tuple[Informer, Json]]:
        return [
            (informer, item)
            for informer in self._informers
            for item in informer.select("owner", uid)
        ]

    def _collect(self, informer: Informer, item: Json) -> None:
        """Delete an object without living owners; otherwise drop the dead ones' references."""
        if "deletionTimestamp" in item["metadata"]:
            return
        if must_go(item, self._living, self._kinds):
            self._delete(informer, item, "Background")
            return
        for owner in item["metadata"].get("ownerReferences", ()):
            if _is_gone(owner, self._living, self._kinds):
                self._set_free(informer, item, owner["uid"])

    def _delete(self, informer: Informer, item: Json, propagation: str) -> None:
        namespace, name = key_of(item)
        uid = item["metadata"]["uid"]
        try:
            self._client.delete(
                informer.resource, namespace or None, name, uid=uid, propagation=propagation
            )
        except ApiError as error:
            if error.code not in (404, 409):
                raise

    def _set_free(self, informer: Informer, item: Json, uid: str) -> None:
        namespace, name = key_of(item)
        patch = {
            "metadata": {
                "uid": item["metadata"]["uid"],
                "ownerReferences": without_owner(item, uid) or None,
            }
        }
        written = self._client.patch(informer.resource, namespace or None, name, patch)
        informer.observe(written)

    def _finish(self, informer: Informer, item: Json, finalizer: str) -> None:
        """Take the finalizer away: with the last one the object is gone."""
        namespace, name = key_of(item)
        body = copy.deepcopy(item)
        body["metadata"]["finalizers"].remove(finalizer)
        self._client.update(informer.resource, namespace or None, name, body)

    def _changed(self, informer: Informer, old: Json | None, new: Json | None) -> None:
        if new is not None:
            metadata = new["metadata"]
            uid = metadata["uid"]
            self._living[uid] = informer, key_of(new)
            if "deletionTimestamp" in metadata or (old is None and metadata.get("ownerReferences")):
                self.queue.add(("", uid))
        elif old is not None:
            uid = old["metadata"]["uid"]
            self._living.pop(uid, None)
            self.queue.add(("", uid))
            # An owner that waits in the foreground for this one may be able to go now.
            for owner in by_owner(old):
                if owner in self._living:
                    self.queue.add(("", owner))
