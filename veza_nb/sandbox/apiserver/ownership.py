"""Who manages which field: `metadata.managedFields`, kept as the server keeps it.

A set of fields is the JSON of FieldsV1 itself, a tree: `{"f:spec": {"f:replicas": {}}}`. A member
without children is `{}`; a member that has children also holds ".": {}.
"""

from __future__ import annotations

import json
from collections.abc import Iterator
from typing import Any

from veza_nb.sandbox.apimachinery.decoding import empty
from veza_nb.sandbox.apimachinery.schema import ListOf, MapOf, Node, Struct

Json = dict[str, Any]
FieldSet = dict[str, Any]

_encode = json.JSONEncoder(separators=(",", ":")).encode
UNOWNED = frozenset(
    [
        "name",
        "namespace",
        "uid",
        "creationTimestamp",
        "generation",
        "resourceVersion",
        "selfLink",
        "managedFields",
        "deletionTimestamp",
        "deletionGracePeriodSeconds",
    ]
)
# Update entries beyond this many are folded into one.
MAX_UPDATERS = 10
# Keys of list items that have a default, which identity counts in.
_KEY_DEFAULTS = {"protocol": "TCP"}


class Comparison:
    """The fields that are new, gone, or different between two states of an object."""

    def __init__(self, old: Json | None, new: Json, struct: Struct) -> None:
        self.added: FieldSet = {}
        self.removed: FieldSet = {}
        self.modified: FieldSet = {}
        before = empty(struct) if old is None else old
        self._struct(_owned(before), _owned(new), struct, ())

    @property
    def taken(self) -> FieldSet:
        """The fields that whoever made the change manages from now on."""
        return union(self.added, self.modified)

    def _node(self, old: Any, new: Any, node: Node | None, path: tuple[str, ...]) -> None:
        if old is new or (type(old) is type(new) and old == new):
            return
        if isinstance(node, Struct) and not node.atomic:
            if self._differ(old, new, path):
                self._struct(old or {}, new or {}, node, path)
        elif isinstance(node, MapOf) and not node.atomic:
            if self._differ(old, new, path):
                self._map(old or {}, new or {}, node, path)
        elif isinstance(node, ListOf) and not node.atomic:
            if self._differ(old, new, path):
                self._list(old or [], new or [], node, path)
        else:
            self._leaf(old, new, path)

    def _differ(self, old: Any, new: Any, path: tuple[str, ...]) -> bool:
        """Compare two composites as such; return whether what is in them must be compared, too."""
        if not old and not new:
            self._leaf(old, new, path)
            return False
        if old is _ABSENT:
            insert(self.added, path)
        elif new is _ABSENT:
            insert(self.removed, path)
        return True

    def _leaf(self, old: Any, new: Any, path: tuple[str, ...]) -> None:
        if old is _ABSENT:
            insert(self.added, path)
        elif new is _ABSENT:
            insert(self.removed, path)
        elif old != new or type(old) is not type(new):
            insert(self.modified, path)

    def _struct(self, old: Json, new: Json, struct: Struct, path: tuple[str, ...]) -> None:
        for name in _names(old, new):
            entry = struct.index.get(name)
            node = None if entry is None or entry.atomic else entry.node
            old_value, new_value = old.get(name, _ABSENT), new.get(name, _ABSENT)
            self._node(old_value, new_value, node, (*path, f"f:{name}"))

    def _map(self, old: Json, new: Json, node: MapOf, path: tuple[str, ...]) -> None:
        for name in _names(old, new):
            old_value, new_value = old.get(name, _ABSENT), new.get(name, _ABSENT)
            self._node(old_value, new_value, node.value, (*path, f"f:{name}"))

    def _list(self, old: list[Any], new: list[Any], node: ListOf, path: tuple[str, ...]) -> None:
        before, after = dict(_items(old, node)), dict(_items(new, node))
        for key in _names(before, after):
            old_value, new_value = before.get(key, _ABSENT), after.get(key, _ABSENT)
            self._node(old_value, new_value, node.item, (*path, key))


class _Absent:
    """Tells "not there" from null; counts as empty."""

    def __bool__(self) -> bool:
        return False


_ABSENT = _Absent()


def _names(old: Json, new: Json) -> Iterator[str]:
    yield from old
    yield from (name for name in new if name not in old)


def _items(values: list[Any], node: ListOf) -> Iterator[tuple[str, Any]]:
    for value in values:
        yield item_key(value, node), value


def item_key(value: Any, node: ListOf) -> str:
    """Return how FieldsV1 names an item of a list."""
    if node.is_set:
        return f"v:{_encode(value)}"
    found = {
        key: value[key] if key in value else _KEY_DEFAULTS.get(key)
        for key in sorted(node.keys)
        if key in value or key in _KEY_DEFAULTS
    }
    return f"k:{_encode(found)}"


def _owned(document: Json) -> Json:
    metadata = document.get("metadata") or {}
    kept = {name: value for name, value in metadata.items() if name not in UNOWNED}
    rest = {key: value for key, value in document.items() if key not in ("kind", "apiVersion")}
    return {**rest, "metadata": kept}


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
    """Return the members of either set."""
    if not right:
        return left
    out = dict(left)
    for part, child in right.items():
        if part not in out:
            out[part] = child
        elif part != ".":
            out[part] = _join(out[part], child)
    return out


def _join(left: FieldSet, right: FieldSet) -> FieldSet:
    if not left and not right:
        return {}
    joined = union(left, right)
    if not left or not right:
        return {".": {}, **joined}
    return joined


def difference(left: FieldSet, right: FieldSet) -> FieldSet:
    """Return the members of `left` that are not members of `right`."""
    out: FieldSet = {}
    for part, child in left.items():
        if part not in right:
            out[part] = child
            continue
        if part == ".":
            continue
        kept = _subtract(child, right[part])
        if kept is not None:
            out[part] = kept
    return out


def _subtract(left: FieldSet, right: FieldSet) -> FieldSet | None:
    """Subtract below one path; None when nothing is left of it."""
    member, other = is_member(left), is_member(right)
    below = difference(_below(left), _below(right))
    if member and not other:
        return {".": {}, **below} if below else {}
    return below or None


def _below(node: FieldSet) -> FieldSet:
    return {part: child for part, child in node.items() if part != "."}


def is_member(node: FieldSet) -> bool:
    """Return whether the path that leads to this node is itself a member."""
    return not node or "." in node


def intersection(left: FieldSet, right: FieldSet) -> FieldSet:
    """Return the members of both sets."""
    return difference(left, difference(left, right))


def ordered(fields: FieldSet) -> FieldSet:
    """Return a set in the wire's order: "." first, then by name."""
    return {part: ordered(fields[part]) for part in sorted(fields)}


def paths(fields: FieldSet, prefix: tuple[str, ...] = ()) -> Iterator[tuple[str, ...]]:
    """Yield every member, as a path of FieldsV1 parts."""
    for part, child in fields.items():
        if part == ".":
            continue
        if is_member(child):
            yield (*prefix, part)
        yield from paths(child, (*prefix, part))


class Managers:
    """The entries of `managedFields`, while a change is worked into them."""

    def __init__(self, metadata: Json | None) -> None:
        self.entries: list[Json] = list((metadata or {}).get("managedFields") or [])

    def record_update(
        self, old: Json | None, new: Json, struct: Struct, manager: Json, now: str
    ) -> None:
        """Give the changed fields to whoever changed them.

        Args:
            old: State before, None for a create.
            new: State after.
            struct: Type of both.
            manager: Entry without time and fields: manager, operation, apiVersion, subresource.
            now: API timestamp.
        """
        changed = Comparison(old, new, struct)
        if changed.removed or changed.taken:
            self.release(union(changed.removed, changed.taken))
        if changed.taken:
            self.give(manager, changed.taken, now)
        self._cap()

    def give(self, manager: Json, fields: FieldSet, now: str) -> None:
        """Add fields to a manager's entry, made when it has none."""
        entry = self.find(manager)
        merged = union(entry["fieldsV1"], fields) if entry else fields
        self.put(manager, merged, now)

    def put(self, manager: Json, fields: FieldSet, now: str) -> None:
        """Replace a manager's entry; without fields it goes."""
        entry = self.find(manager)
        if entry is not None:
            self.entries.remove(entry)
        if fields:
            self.entries.append(_entry(manager, fields, now))

    def find(self, manager: Json) -> Json | None:
        """Return the entry of a manager, told by name, operation, version and subresource."""
        wanted = _identity(manager)
        return next((entry for entry in self.entries if _identity(entry) == wanted), None)

    def release(self, fields: FieldSet, keep: Json | None = None) -> None:
        """Take fields from every manager, except from the entry `keep`."""
        kept = []
        for entry in self.entries:
            if entry is keep:
                kept.append(entry)
                continue
            left = difference(entry.get("fieldsV1") or {}, fields)
            if left == entry.get("fieldsV1"):
                kept.append(entry)
            elif left:
                kept.append({**entry, "fieldsV1": ordered(left)})
        self.entries = kept

    def _cap(self) -> None:
        updaters = [entry for entry in self.entries if entry["operation"] == "Update"]
        surplus = len(updaters) - MAX_UPDATERS
        if surplus <= 0:
            return
        updaters.sort(key=lambda entry: str(entry.get("time") or ""))
        merged: FieldSet = {}
        for entry in updaters[: surplus + 1]:
            merged = union(merged, entry["fieldsV1"])
            self.entries.remove(entry)
        first = {**updaters[0], "manager": "ancient-changes", "fieldsV1": ordered(merged)}
        self.entries.append(first)

    def document(self) -> list[Json]:
        """Return the entries in the wire's order: applies first, then by time."""
        return sorted(
            self.entries,
            key=lambda entry: (
                entry["operation"] != "Apply",
                str(entry.get("time") or ""),
                entry["manager"],
                entry.get("apiVersion", ""),
                entry.get("subresource", ""),
            ),
        )


def _identity(entry: Json) -> tuple[str, ...]:
    names = ("manager", "operation", "apiVersion", "subresource")
    return tuple(str(entry.get(name) or "") for name in names)


def _entry(manager: Json, fields: FieldSet, now: str) -> Json:
    entry = {
        "manager": manager["manager"],
        "operation": manager["operation"],
        "apiVersion": manager["apiVersion"],
        "time": now,
        "fieldsType": "FieldsV1",
        "fieldsV1": ordered(fields),
    }
    if manager.get("subresource"):
        entry["subresource"] = manager["subresource"]
    return entry
