"""What a ReplicaSet counts of its pods, kept up with every change instead of counted anew.

A look at every pod after every change would make the cost of a crowd grow with its square.
"""

from __future__ import annotations

from collections import Counter
from collections.abc import Iterable, Mapping
from dataclasses import dataclass, field
from typing import NamedTuple

from veza_nb.sandbox.apimachinery.status import Json
from veza_nb.sandbox.controllers.conditions import is_true
from veza_nb.sandbox.controllers.informer import Informer, Key, controller_of, key_of

Labels = frozenset[tuple[str, str]]


def is_active(pod: Json) -> bool:
    """Whether a pod counts: not finished, not being deleted."""
    phase = pod.get("status", {}).get("phase")
    return phase not in ("Succeeded", "Failed") and "deletionTimestamp" not in pod["metadata"]


class Counts(NamedTuple):
    """Active pods: how many, how many of them ready, and how many with which labels."""

    active: int
    ready: int
    labels: Mapping[Labels, int]

    def labeled(self, wanted: Iterable[tuple[str, str]]) -> int:
        """How many carry all these labels."""
        needed = frozenset(wanted)
        return sum(number for labels, number in self.labels.items() if needed <= labels)


@dataclass(slots=True)
class _Pods:
    """The pods of one controller."""

    active: int = 0
    ready: int = 0
    labels: Counter[Labels] = field(default_factory=Counter)
    known: int = 0
    unseen: dict[Key, None] = field(default_factory=dict)


class _Facts(NamedTuple):
    """What is counted of one pod."""

    uid: str
    active: bool
    ready: bool
    labels: Labels


class Tally:
    """Counts the pods of every controller of one kind, by the controller's uid."""

    def __init__(self, pods: Informer, kind: str) -> None:
        self._kind = kind
        self._facts: dict[Key, _Facts] = {}
        self._pods: dict[str, _Pods] = {}
        pods.on_change(self._changed)

    def counts(self, uid: str) -> Counts:
        """What there is now; does not change afterwards."""
        found = self._pods.get(uid) or _Pods()
        return Counts(found.active, found.ready, dict(found.labels))

    def take_unseen(self, uid: str) -> list[Key]:
        """The pods that came or changed their labels since this was asked last."""
        found = self._pods.get(uid)
        if found is None:
            return []
        unseen, found.unseen = list(found.unseen), {}
        return unseen

    def put_back(self, uid: str, keys: Iterable[Key]) -> None:
        """Say of these pods again that they were not seen, because the look at them failed."""
        if uid in self._pods:
            self._pods[uid].unseen.update(dict.fromkeys(keys))

    def _changed(self, old: Json | None, new: Json | None) -> None:
        item = new if new is not None else old
        if item is None:
            return
        key = key_of(item)
        before = self._facts.pop(key, None)
        after = self._read(new, before)
        if before is not None:
            self._count(before, -1)
        if after is not None:
            self._facts[key] = after
            self._count(after, 1)
            if before is None or (before.uid, before.labels) != (after.uid, after.labels):
                self._pods[after.uid].unseen[key] = None
        if before is not None and (after is None or after.uid != before.uid):
            self._pods[before.uid].unseen.pop(key, None)
            if not self._pods[before.uid].known:
                del self._pods[before.uid]

    def _read(self, pod: Json | None, before: _Facts | None) -> _Facts | None:
        owner = None if pod is None else controller_of(pod)
        if pod is None or owner is None or owner["kind"] != self._kind:
            return None
        labels = frozenset(pod["metadata"].get("labels", {}).items())
        if before is not None and labels == before.labels:
            labels = before.labels
        active = is_active(pod)
        ready = active and is_true(pod.get("status", {}), "Ready")
        return _Facts(owner["uid"], active, ready, labels)

    def _count(self, facts: _Facts, step: int) -> None:
        pods = self._pods.setdefault(facts.uid, _Pods())
        pods.known += step
        pods.ready += step * facts.ready
        if facts.active:
            pods.active += step
            pods.labels[facts.labels] += step
            if not pods.labels[facts.labels]:
                del pods.labels[facts.labels]
