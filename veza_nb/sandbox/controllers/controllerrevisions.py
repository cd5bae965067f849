"""ControllerRevisions: the history of StatefulSets and DaemonSets.

Each keeps one pod template as the patch that brings it back. A template that returns (an undo)
gets its old object a new, highest number, so that the old number is gone afterwards.
"""

from __future__ import annotations

from collections.abc import Container, Sequence
from dataclasses import dataclass
from typing import Any

from veza_nb.sandbox.apimachinery.status import ApiError, Json
from veza_nb.sandbox.apiserver.client import Client
from veza_nb.sandbox.controllers.informer import Informer, key_of
from veza_nb.sandbox.controllers.owners import claim
from veza_nb.sandbox.controllers.revisions import owner_reference, template_hash

_REPLACE = {"$patch": "replace"}
_API_VERSION = "apps/v1"


def template_data(owner: Json) -> Json:
    """The patch that makes the pod template what it is now, members in alphabetical order."""
    template = _sorted(owner["spec"]["template"])
    return {"spec": {"template": {**_REPLACE, **template}}}


def _sorted(value: Any) -> Any:
    if isinstance(value, dict):
        return {name: _sorted(value[name]) for name in sorted(value)}
    return [_sorted(each) for each in value] if isinstance(value, list) else value


def template_in(revision: Json) -> Json:
    """The pod template that a ControllerRevision keeps."""
    template = revision["data"]["spec"]["template"]
    return {name: value for name, value in template.items() if name not in _REPLACE}


@dataclass(frozen=True, slots=True)
class Resolved:
    """Where an owner stands in its history.

    Attributes:
        revision: the ControllerRevision of its template.
        every: all of its ControllerRevisions, lowest number first.
        collisions: how often a name was taken so far.
    """

    revision: Json
    every: list[Json]
    collisions: int

    def named(self, name: str) -> Json:
        """The ControllerRevision of that name; that of the template where there is none."""
        found = (item for item in self.every if item["metadata"]["name"] == name)
        return next(found, self.revision)


class History:
    """The ControllerRevisions of one kind of owner.

    Args:
        client: acts as the owners' controller.
        revisions: where ControllerRevisions are seen; needs the indexes that `claim` needs.
        kind: of the owners.
        hash_label: under which label the name's last part is noted.
    """

    def __init__(self, client: Client, revisions: Informer, kind: str, hash_label: str) -> None:
        self._client = client
        self._revisions = revisions
        self._kind = kind
        self._hash_label = hash_label

    def resolve(self, owner: Json) -> Resolved:
        """Find the owner's template in its history; bring it to the top or add it."""
        every = claim(self._client, self._revisions, owner, _API_VERSION, self._kind)
        every.sort(key=_number)
        data = template_data(owner)
        same = [item for item in every if item["data"] == data]
        collisions = owner.get("status", {}).get("collisionCount") or 0
        if same and same[-1] is every[-1]:
            return Resolved(same[-1], every, collisions)
        number = every[-1]["revision"] + 1 if every else 1
        if same:
            revision = self._renumber(same[-1], number)
            every.remove(same[-1])
        else:
            revision, collisions = self._create(owner, data, number, collisions)
        return Resolved(revision, [*every, revision], collisions)

    def truncate(self, owner: Json, every: Sequence[Json], live: Container[str]) -> None:
        """Delete the lowest numbers beyond `revisionHistoryLimit`; those in use do not count.

        `live` are the names that pods or the status still refer to.
        """
        idle = [item for item in every if item["metadata"]["name"] not in live]
        surplus = len(idle) - owner["spec"].get("revisionHistoryLimit", 10)
        for item in idle[: max(surplus, 0)]:
            uid = item["metadata"]["uid"]
            self._client.delete("controllerrevisions", *key_of(item), uid=uid)
            self._revisions.forget(item)

    def _renumber(self, revision: Json, number: int) -> Json:
        body = {**revision, "revision": number}
        written = self._client.update("controllerrevisions", *key_of(revision), body)
        self._revisions.observe(written)
        return written

    def _create(self, owner: Json, data: Json, number: int, collisions: int) -> tuple[Json, int]:
        """Create the ControllerRevision under the first name that is free."""
        namespace = owner["metadata"]["namespace"]
        while True:
            body = self._build(owner, data, number, collisions)
            try:
                written = self._client.create("controllerrevisions", namespace, body)
            except ApiError as error:
                if error.reason != "AlreadyExists":
                    raise
                collisions += 1
                continue
            self._revisions.observe(written)
            return written, collisions

    def _build(self, owner: Json, data: Json, number: int, collisions: int) -> Json:
        suffix = template_hash(data, collisions)
        labels = owner["spec"]["template"].get("metadata", {}).get("labels", {})
        metadata: Json = {
            "name": f"{owner['metadata']['name']}-{suffix}",
            "namespace": owner["metadata"]["namespace"],
            "labels": {**labels, self._hash_label: suffix},
            "ownerReferences": [owner_reference(owner, _API_VERSION, self._kind)],
        }
        if owner["metadata"].get("annotations"):
            metadata["annotations"] = dict(owner["metadata"]["annotations"])
        kind = {"apiVersion": _API_VERSION, "kind": "ControllerRevision"}
        return {**kind, "metadata": metadata, "data": data, "revision": number}


def _number(revision: Json) -> tuple[int, str]:
    return revision["revision"], revision["metadata"]["creationTimestamp"]
