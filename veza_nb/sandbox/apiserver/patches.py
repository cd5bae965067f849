"""The ways to describe a change: JSON patch, JSON merge patch, strategic merge patch.

The first two are RFC 6902 and RFC 7396. The third knows how Kubernetes' lists merge.
"""

from __future__ import annotations

import enum
from collections.abc import Callable, Sequence
from types import MappingProxyType
from typing import Any

import jsonpatch
import jsonpointer

from veza_nb.sandbox.apimachinery.schema import ListOf, MapOf, Node, Scalar, Struct
from veza_nb.sandbox.apimachinery.status import ApiError, bad_request, rejected

Json = dict[str, Any]
MAX_OPERATIONS = 10_000


class PatchType(enum.StrEnum):
    """The patch types; each value is its content type."""

    JSON = "application/json-patch+json"
    MERGE = "application/merge-patch+json"
    STRATEGIC = "application/strategic-merge-patch+json"
    APPLY = "application/apply-patch+yaml"


class _Replace(jsonpatch.ReplaceOperation):
    """A "replace" that also sets a member which is not there, as the server's does.

    kubectl's undo relies on it for an object without annotations.
    """

    def apply(self, obj: Any) -> Any:
        parent, part = self.pointer.to_last(obj)
        if isinstance(parent, dict) and part is not None and "value" in self.operation:
            parent[part] = self.operation["value"]
            return obj
        return super().apply(obj)


class _JsonPatch(jsonpatch.JsonPatch):
    operations = MappingProxyType({**jsonpatch.JsonPatch.operations, "replace": _Replace})


def json_patch(document: Json, operations: object) -> Json:
    """Return the document after every operation.

    Raises:
        ApiError: 400 when this is no JSON patch, 422 when it does not fit or a test fails.
    """
    if not isinstance(operations, list):
        found = "object" if isinstance(operations, dict) else "value"
        target = "Go value of type []handlers.jsonPatchOp"
        raise bad_request(f"error decoding patch: json: cannot unmarshal {found} into {target}")
    if len(operations) > MAX_OPERATIONS:
        message = f"The allowed maximum operations in a JSON patch is {MAX_OPERATIONS}, got "
        raise ApiError(413, "RequestEntityTooLarge", f"{message}{len(operations)}", {})
    try:
        changed: object = _JsonPatch(operations).apply(document)
    except (
        jsonpatch.JsonPatchException,
        jsonpointer.JsonPointerException,
        ArithmeticError,
        AttributeError,
        LookupError,
        TypeError,
        ValueError,
    ) as error:
        raise rejected() from error
    if not isinstance(changed, dict):
        raise rejected()
    return changed


def merge_patch(document: object, patch: object) -> Any:
    """Return the document after a JSON merge patch; null removes, lists replace.

    The members of every object that the patch touches come out sorted, as the server leaves them.
    """
    if not isinstance(patch, dict):
        return patch
    merged = dict(document) if isinstance(document, dict) else {}
    for key, value in patch.items():
        if value is None:
            merged.pop(key, None)
        else:
            merged[key] = merge_patch(merged.get(key), value)
    return {key: merged[key] for key in sorted(merged)}


_DIRECTIVE = "$patch"
_RETAIN = "$retainKeys"
_DELETE = "$deleteFromPrimitiveList/"
_ORDER = "$setElementOrder/"


def strategic_merge(document: Json, patch: object, struct: Struct) -> Json:
    """Return the document after a strategic merge patch.

    Args:
        document: Left as it is.
        patch: With Kubernetes' directives.
        struct: Type of the document; says which lists merge, and by which key.

    Raises:
        ApiError: 400 when the patch makes no sense.
    """
    if not isinstance(patch, dict):
        raise bad_request("json: cannot unmarshal into Go value of type map[string]interface {}")
    return _merge_map(document, patch, struct)


def _merge_map(original: Json, patch: Json, node: Node | None) -> Json:
    directive = patch.get(_DIRECTIVE)
    if directive == "replace":
        fresh: Json = _clean({key: value for key, value in patch.items() if key != _DIRECTIVE})
        return fresh
    if directive == "delete":
        return {}
    if directive not in (None, "merge"):
        raise bad_request(f"Unknown patch type found: {directive}")
    merged = _retained(original, patch)
    for key, value in patch.items():
        if key.startswith(_DELETE):
            _delete_primitives(merged, key.removeprefix(_DELETE), value)
        elif key.startswith("$"):
            continue
        elif value is None:
            merged.pop(key, None)
        else:
            merged[key] = _merge_value(merged.get(key), value, _child(node, key))
    for key, value in patch.items():
        if key.startswith(_ORDER):
            _set_order(merged, original, key.removeprefix(_ORDER), value, node)
    return merged


def _retained(original: Json, patch: Json) -> Json:
    if _RETAIN not in patch:
        return dict(original)
    keep = patch[_RETAIN]
    if not isinstance(keep, list):
        raise bad_request("Got an incorrectly formatted $retainKeys")
    missing = [key for key in patch if not key.startswith("$") and key not in keep]
    if missing:
        raise bad_request("patch contains key not in $retainKeys list")
    return {key: value for key, value in original.items() if key in keep}


def _child(node: Node | None, key: str) -> Node | None:
    if isinstance(node, Struct):
        found = node.index.get(key)
        return found.node if found else None
    return node.value if isinstance(node, MapOf) else None


def _merge_value(original: object, value: object, node: Node | None) -> Any:
    if isinstance(value, dict):
        return _merge_map(original if isinstance(original, dict) else {}, value, node)
    if isinstance(value, list) and isinstance(node, ListOf) and node.merge:
        return _merge_list(original if isinstance(original, list) else [], value, node)
    return _clean(value)


def _clean(value: object) -> Any:
    """Return a patch's value without directives and nulls, to be stored where nothing was."""
    if isinstance(value, dict):
        return {
            key: _clean(each)
            for key, each in value.items()
            if each is not None and not key.startswith("$")
        }
    if isinstance(value, list):
        return [_clean(each) for each in value]
    return value


def _merge_list(original: list[Any], patch: list[Any], node: ListOf) -> list[Any]:
    if isinstance(node.item, Scalar):
        fresh = [each for each in _unique(patch) if each not in original]
        return interleave([*original, *fresh], patch, original, _hashable)
    items = [_mapping(each) for each in patch]
    if any(each.get(_DIRECTIVE) == "replace" for each in items):
        return [_clean(each) for each in items if each.get(_DIRECTIVE) != "replace"]
    merged = list(original)
    for each in items:
        _merge_item(merged, each, node)
    kept = [each for each in items if each.get(_DIRECTIVE) != "delete"]
    return interleave(merged, kept, original, _identity(node.merge_key))


def _merge_item(merged: list[Any], item: Json, node: ListOf) -> None:
    key = node.merge_key
    if key not in item:
        raise bad_request(f"map: {_go_map(item)} does not contain declared merge key: {key}")
    places = [
        number
        for number, each in enumerate(merged)
        if isinstance(each, dict) and each.get(key) == item[key]
    ]
    if item.get(_DIRECTIVE) == "delete":
        for number in reversed(places):
            del merged[number]
    elif places:
        merged[places[0]] = _merge_map(merged[places[0]], item, node.item)
    else:
        merged.append(_merge_map({}, item, node.item))


def _go_map(item: Json) -> str:
    return "map[" + " ".join(f"{key}:{item[key]}" for key in sorted(item)) + "]"


def _mapping(value: object) -> Json:
    if not isinstance(value, dict):
        raise bad_request("expected an object in a list that merges by key")
    return value


def _identity(key: str) -> Callable[[Any], Any]:
    return lambda each: _hashable(each.get(key)) if isinstance(each, dict) else None


def _hashable(value: Any) -> Any:
    """Return what can stand for a value; what a patch puts there may be anything."""
    return repr(value) if isinstance(value, dict | list) else value


def _unique(values: list[Any]) -> list[Any]:
    found: dict[Any, Any] = {}
    for each in values:
        found.setdefault(_hashable(each), each)
    return list(found.values())


def interleave(
    merged: Sequence[Any],
    order: Sequence[Any],
    live: Sequence[Any],
    identity: Callable[[Any], Any],
) -> list[Any]:
    """Order a merged list: what the patch names in its order, the rest put in between.

    An item that the patch does not name goes before the first later one (as they stood) that it
    does name.
    """
    wanted = {identity(each): number for number, each in enumerate(order)}
    stood = {identity(each): number for number, each in enumerate(live)}
    named = [each for each in merged if identity(each) in wanted]
    named.sort(key=lambda each: wanted[identity(each)])
    place = 0
    for rest in [each for each in merged if identity(each) not in wanted]:
        mine = stood.get(identity(rest), -1)
        while place < len(named) and stood.get(identity(named[place]), -1) <= mine:
            place += 1
        named.insert(place, rest)
        place += 1
    return named


def _set_order(merged: Json, original: Json, key: str, order: object, node: Node | None) -> None:
    listing, live = merged.get(key), original.get(key)
    child = _child(node, key)
    if (
        not isinstance(order, list)
        or not isinstance(listing, list)
        or not isinstance(child, ListOf)
    ):
        return
    plain = isinstance(child.item, Scalar)
    identity = _hashable if plain else _identity(child.merge_key)
    merged[key] = interleave(listing, order, live if isinstance(live, list) else [], identity)


def _delete_primitives(merged: Json, key: str, values: object) -> None:
    if isinstance(values, list) and isinstance(merged.get(key), list):
        merged[key] = [each for each in merged[key] if each not in values]
