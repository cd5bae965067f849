"""Who manages which field: `metadata.managedFields`, kept as the server keeps it."""

from __future__ import annotations

from collections.abc import Iterable, Iterator
from typing import Any

from veza_nb.sandbox.apimachinery.decoding import empty
from veza_nb.sandbox.apimachinery.schema import ListOf, MapOf, Node, Scalar, Struct
from veza_nb.sandbox.apiserver.fieldsets import (
    LEAF,
    FieldSet,
    Recent,
    difference,
    item_key,
    shared,
    union,
)

Json = dict[str, Any]

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


class Comparison:
    """The fields that are new, gone, or different between two states of an object."""

    def __init__(self, old: Json | None, new: Json, struct: Struct) -> None:
        before = empty(struct) if old is None else old
        found = _compare_members(_owned(before), _owned(new), struct)
        self.added: FieldSet = found.added
        self.removed: FieldSet = found.removed
        self.modified: FieldSet = found.modified

    @property
    def taken(self) -> FieldSet:
        """The fields that whoever made the change manages from now on."""
        return union(self.added, self.modified)


class _Changes:
    """What changed below one path: three sets of fields, each empty when it holds nothing."""

    __slots__ = ("added", "modified", "removed")

    def __init__(self) -> None:
        self.added: FieldSet = {}
        self.removed: FieldSet = {}
        self.modified: FieldSet = {}

    def put(self, part: str, old: Any, new: Any, node: Node | None) -> None:
        """Compare what two states have at one part of the path, and take the result in."""
        if old is new or (type(old) is type(new) and old == new):
            return
        if old is _ABSENT:
            self.added[part] = whole(new, node)
        elif new is _ABSENT:
            self.removed[part] = whole(old, node)
        elif node is None or isinstance(node, Scalar) or node.atomic or not (old or new):
            self.modified[part] = LEAF
        else:
            below = _compare(old, new, node)
            if below.added:
                self.added[part] = below.added
            if below.removed:
                self.removed[part] = below.removed
            if below.modified:
                self.modified[part] = below.modified


def _compare(old: Any, new: Any, node: Struct | MapOf | ListOf) -> _Changes:
    if not isinstance(node, ListOf):
        return _compare_members(old or {}, new or {}, node)
    before, after = dict(_items(old or (), node)), dict(_items(new or (), node))
    changes = _Changes()
    for key in _names(before, after):
        changes.put(key, before.get(key, _ABSENT), after.get(key, _ABSENT), node.item)
    return changes


def _compare_members(old: Json, new: Json, node: Struct | MapOf | ListOf) -> _Changes:
    changes = _Changes()
    parts = _parts(node)
    for name, after in new.items():
        before = old.get(name, _ABSENT)
        if before is not after:
            part, below = parts.get(name) or _part(node, name)
            if before is _ABSENT:
                changes.added[part] = whole(after, below) if below else LEAF
            else:
                changes.put(part, before, after, below)
    for name, before in old.items():
        if name not in new:
            part, below = parts.get(name) or _part(node, name)
            changes.put(part, before, _ABSENT, below)
    return changes


# How FieldsV1 names a member, and the type of what is in it; None: what is in it is owned as one.
_Part = tuple[str, Node | None]
_PARTS: dict[Struct, dict[str, _Part]] = {}


def _parts(node: Struct | MapOf | ListOf) -> dict[str, _Part]:
    """Return what is known of the members of a type."""
    if not isinstance(node, Struct):
        return {}
    if node not in _PARTS:
        _PARTS[node] = {entry.name: _part(node, entry.name) for entry in node.fields}
    return _PARTS[node]


def _part(node: Struct | MapOf | ListOf, name: str) -> _Part:
    below: Node | None = node.value if isinstance(node, MapOf) else None
    if isinstance(node, Struct) and name in node.index and not node.index[name].atomic:
        below = node.index[name].node
    if below is not None and (isinstance(below, Scalar) or below.atomic):
        below = None
    return f"f:{name}", below


def whole(value: Any, node: Node | None) -> FieldSet:
    """Return a value's path itself and every path below it."""
    if not value or node is None or isinstance(node, Scalar) or node.atomic:
        return LEAF
    fields: FieldSet = {".": LEAF}
    if isinstance(node, ListOf):
        for key, each in _items(value, node):
            fields[key] = whole(each, node.item)
        return fields
    parts = _parts(node)
    for name, each in value.items():
        part, below = parts.get(name) or _part(node, name)
        fields[part] = whole(each, below) if below else LEAF
    return fields


class _Absent:
    """Tells "not there" from null; counts as empty."""

    def __bool__(self) -> bool:
        return False


_ABSENT = _Absent()


def _names(old: Json, new: Json) -> Iterator[str]:
    yield from old
    yield from (name for name in new if name not in old)


def _items(values: Iterable[Any], node: ListOf) -> Iterator[tuple[str, Any]]:
    for value in values:
        yield item_key(value, node), value


def _owned(document: Json) -> Json:
    metadata = document.get("metadata") or {}
    kept = {name: value for name, value in metadata.items() if name not in UNOWNED}
    rest = {key: value for key, value in document.items() if key not in ("kind", "apiVersion")}
    return {**rest, "metadata": kept}


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
            now: API timestamp; empty for an entry without a time.
        """
        if old is not None and not self.entries:
            # Whose managers were wiped out stays without, until somebody applies.
            return
        changed = Comparison(old, new, struct)
        taken = changed.taken
        own = self.find(manager) if taken else None
        if changed.removed or taken:
            self.release(union(changed.removed, taken), keep=own)
        if own is not None:
            self.put(manager, union(difference(own["fieldsV1"], changed.removed), taken), now)
        elif taken:
            self.put(manager, taken, now)
        self._cap()

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
            before = entry.get("fieldsV1") or {}
            left = before if entry is keep else difference(before, fields)
            if left is before:
                kept.append(entry)
            elif left:
                kept.append({**entry, "fieldsV1": shared(left)})
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
        first = {**updaters[0], "manager": "ancient-changes", "fieldsV1": shared(merged)}
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


_ENTRIES = Recent(1024)


def _identity(entry: Json) -> tuple[Any, ...]:
    return (
        entry.get("manager"),
        entry.get("operation"),
        entry.get("apiVersion"),
        entry.get("subresource") or "",
    )


def _entry(manager: Json, fields: FieldSet, now: str) -> Json:
    kept = shared(fields)
    key = (*_identity(manager), now, id(kept))
    found: Json | None = _ENTRIES.get(key)
    # The entry holds its set, so that no other set can have the same id as long as it is kept.
    if found is None:
        found = {
            "manager": manager["manager"],
            "operation": manager["operation"],
            "apiVersion": manager["apiVersion"],
            **({"time": now} if now else {}),
            "fieldsType": "FieldsV1",
            "fieldsV1": kept,
        }
        if manager.get("subresource"):
            found["subresource"] = manager["subresource"]
        _ENTRIES.put(key, found)
    return found
