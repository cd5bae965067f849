"""Sets of fields, as `managedFields` writes them.

A set is the JSON of FieldsV1 itself, a tree: `{"f:spec": {"f:replicas": {}}}`. A member without
children is `{}`; a member that has children also holds ".": {}. Sets are never changed once made.
"""

from __future__ import annotations

import json
from collections.abc import Iterator
from typing import Any

import msgspec

from veza_nb.sandbox.apimachinery.schema import ListOf

FieldSet = dict[str, Any]
# A member without children; one will do for all.
LEAF: FieldSet = {}
_encode = json.JSONEncoder(separators=(",", ":")).encode
# Keys of list items that have a default, which identity counts in.
_KEY_DEFAULTS = {"protocol": "TCP"}
_ABSENT = object()


class Recent:
    """What was used lately, by key; forgets what has not been asked for in a while."""

    def __init__(self, size: int) -> None:
        self._size = size
        self._young: dict[Any, Any] = {}
        self._old: dict[Any, Any] = {}

    def get(self, key: Any) -> Any:
        """Return what is kept under a key, or None."""
        found = self._young.get(key)
        if found is None:
            found = self._old.get(key)
            if found is not None:
                self.put(key, found)
        return found

    def put(self, key: Any, value: Any) -> None:
        """Keep something."""
        if len(self._young) >= self._size:
            self._old, self._young = self._young, {}
        self._young[key] = value


_KEYS = Recent(1024)


def item_key(value: Any, node: ListOf) -> str:
    """Return how FieldsV1 names an item of a list."""
    if node.is_set:
        return f"v:{_encode(value)}"
    names = node.keys
    values = tuple([value.get(name, _ABSENT) for name in names])
    known: str | None = _KEYS.get((names, values))
    if known is None:
        found = {
            key: value[key] if key in value else _KEY_DEFAULTS.get(key)
            for key in sorted(names)
            if key in value or key in _KEY_DEFAULTS
        }
        known = f"k:{_encode(found)}"
        _KEYS.put((names, values), known)
    return known


def insert(fields: FieldSet, path: tuple[str, ...]) -> None:
    """Make a path a member of a set."""
    for part in path[:-1]:
        child = fields.get(part)
        if child is None:
            child = fields[part] = {}
        elif not child:
            # A leaf that gets children stays a member itself.
            child["."] = {}
        fields = child
    last = path[-1]
    if last not in fields:
        fields[last] = {}
    elif fields[last]:
        fields[last]["."] = {}


def union(left: FieldSet, right: FieldSet) -> FieldSet:
    """Return the members of either set; `left` itself where it has them all."""
    out = left
    for part, child in right.items():
        if part not in left:
            joined = child
        elif part == ".":
            continue
        else:
            joined = _join(left[part], child)
            if joined is left[part]:
                continue
        if out is left:
            out = dict(left)
        out[part] = joined
    return out


def _join(left: FieldSet, right: FieldSet) -> FieldSet:
    if not left:
        return {".": {}, **right} if right else left
    if not right:
        return left if "." in left else {".": {}, **left}
    return union(left, right)


def difference(left: FieldSet, right: FieldSet) -> FieldSet:
    """Return the members of `left` that are not members of `right`; `left` itself if all are."""
    out = left
    for part, child in right.items():
        if part not in left or part == ".":
            continue
        kept = _subtract(left[part], child)
        if kept is left[part]:
            continue
        if out is left:
            out = dict(left)
        if kept is None:
            del out[part]
        else:
            out[part] = kept
    return out


def _subtract(left: FieldSet, right: FieldSet) -> FieldSet | None:
    """Subtract below one path; None when nothing is left of it."""
    member, other = is_member(left), is_member(right)
    before = _below(left)
    below = difference(before, _below(right))
    if member and not other:
        if below is before:
            return left
        return {".": {}, **below} if below else {}
    if below is left and not member:
        return left
    return below or None


def _below(node: FieldSet) -> FieldSet:
    if "." not in node:
        return node
    return {part: child for part, child in node.items() if part != "."}


def is_member(node: FieldSet) -> bool:
    """Return whether the path that leads to this node is itself a member."""
    return not node or "." in node


def intersection(left: FieldSet, right: FieldSet) -> FieldSet:
    """Return the members of both sets."""
    return difference(left, difference(left, right))


def paths(fields: FieldSet, prefix: tuple[str, ...] = ()) -> Iterator[tuple[str, ...]]:
    """Yield every member, as a path of FieldsV1 parts."""
    for part, child in fields.items():
        if part == ".":
            continue
        if is_member(child):
            yield (*prefix, part)
        yield from paths(child, (*prefix, part))


_SETS = Recent(1024)


def shared(fields: FieldSet) -> FieldSet:
    """Return a set in the wire's order that is one object for all who have the same set.

    Thousands of Pods differ in few of the fields that somebody manages.
    """
    if not fields:
        return LEAF
    key = msgspec.json.encode(fields)
    found: FieldSet | None = _SETS.get(key)
    if found is None:
        found = {part: shared(fields[part]) for part in sorted(fields)}
        sorted_key = msgspec.json.encode(found)
        if sorted_key != key:
            found = _SETS.get(sorted_key) or found
            _SETS.put(sorted_key, found)
        _SETS.put(key, found)
    return found
