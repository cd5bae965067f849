"""From what a client sent to what the server would store: the round trip through typed structs.

Decoding checks types, drops and reports unknown fields, drops empty optional fields, fills in the
members that the wire always shows, and puts members into the wire's order.
"""

from __future__ import annotations

import base64
import binascii
import functools
import re
from collections.abc import Callable, Iterator
from dataclasses import dataclass, field
from typing import Any

import msgspec

from veza_nb.sandbox.apimachinery import quantity
from veza_nb.sandbox.apimachinery.schema import (
    Field,
    Layout,
    ListOf,
    MapOf,
    Node,
    Scalar,
    Struct,
)

_RANGES = {"int32": 2**31, "int64": 2**63}
_TIME = re.compile(r"\d{4}-\d\d-\d\dT\d\d:\d\d:\d\d(\.\d+)?(Z|[+-]\d\d:\d\d)")


class DecodeError(Exception):
    """A value does not fit its field. The message is the one that API clients see."""


@dataclass(slots=True)
class Report:
    """What decoding saw besides the value.

    Attributes:
        unknown: Paths of fields that the type does not have, such as "spec.replicaz".
    """

    unknown: list[str] = field(default_factory=list)
    path: list[str] = field(default_factory=list)


class _MismatchError(Exception):
    def __init__(self, found: str, wanted: str) -> None:
        super().__init__(found, wanted)
        self.found, self.wanted = found, wanted


def decode(struct: Struct, value: object, report: Report | None = None) -> dict[str, Any]:
    """Return a fresh canonical object.

    Args:
        struct: Type to decode into.
        value: Decoded JSON.
        report: Collects unknown fields.

    Raises:
        DecodeError: A value has the wrong type.
    """
    report = report or Report()
    try:
        done = _struct(struct, value, report)
    except _MismatchError as mismatch:
        where = f"Go value of type {mismatch.wanted}"
        raise DecodeError(f"json: cannot unmarshal {mismatch.found} into {where}") from mismatch
    if report.unknown:
        places = {path: place for place, path in enumerate(_paths(value, ""))}
        report.unknown.sort(key=places.__getitem__)
    return done


def _paths(value: object, prefix: str) -> Iterator[str]:
    """Yield the path of every member, in the document's own order."""
    if isinstance(value, dict):
        for name, each in value.items():
            path = f"{prefix}.{name}" if prefix else name
            yield path
            yield from _paths(each, path)
    elif isinstance(value, list):
        for number, each in enumerate(value):
            yield from _paths(each, f"{prefix}[{number}]")


def empty(struct: Struct) -> dict[str, Any]:
    """Return the canonical object that has nothing set; a fresh copy."""
    if struct.name not in _EMPTY:
        _EMPTY[struct.name] = _struct(struct, {}, Report())
    return _fresh(_EMPTY[struct.name])


_EMPTY: dict[str, dict[str, Any]] = {}


def _fresh(blank: dict[str, Any]) -> dict[str, Any]:
    return {name: _fresh(each) if type(each) is dict else each for name, each in blank.items()}


def _struct(struct: Struct, value: object, report: Report) -> dict[str, Any]:
    if value is None:
        return empty(struct)
    if type(value) is not dict:
        raise _MismatchError(_found(value), go_type(struct))
    layout = struct.layouts.get(tuple(value)) or _layout(struct, value, report)
    out: dict[str, Any] = {}
    for name, scalar, kept, entry in layout:
        raw = value.get(name)
        if raw is None:
            if name in struct.shown:
                out[name] = _zero(entry)
            continue
        try:
            if scalar == "string" and type(raw) is str:
                read: Any = raw
            elif scalar:
                read = _scalar(scalar, raw)
            else:
                report.path.append(name)
                read = _value(entry.node, raw, report)
                report.path.pop()
        except _MismatchError as mismatch:
            raise _located(mismatch, struct, entry, report) from mismatch
        if read or kept:
            out[name] = read
    return out


# Layouts kept of one type. Most objects have one of a few sets of members.
_MOST_LAYOUTS = 256


def _layout(struct: Struct, value: dict[str, Any], report: Report) -> Layout:
    """Return the known members that are set or shown, in the wire's order."""
    names = [name for name in value if name in struct.index]
    known = len(names) == len(value)
    if not known:
        _report_unknown(struct, value, report)
    names += [name for name in struct.shown if name not in value]
    names.sort(key=struct.positions.__getitem__)
    layout = tuple(_member(struct, struct.index[name]) for name in names)
    if known and len(struct.layouts) < _MOST_LAYOUTS:
        struct.layouts[tuple(value)] = layout
    return layout


def _member(struct: Struct, entry: Field) -> tuple[str, str, bool, Field]:
    scalar = entry.node.name if type(entry.node) is Scalar else ""
    return entry.name, scalar, entry.name in struct.kept, entry


def _located(mismatch: _MismatchError, struct: Struct, entry: Field, report: Report) -> DecodeError:
    path = [part for part in report.path if not part.startswith("[")]
    if type(entry.node) is Scalar or not path or path[-1] != entry.name:
        path.append(entry.name)
    where = f"Go struct field {struct.go_name}.{'.'.join(path)} of type {mismatch.wanted}"
    return DecodeError(f"json: cannot unmarshal {mismatch.found} into {where}")


def _report_unknown(struct: Struct, value: dict[str, Any], report: Report) -> None:
    prefix = ""
    for part in report.path:
        prefix += part if part.startswith("[") or not prefix else f".{part}"
    for name in value:
        if name not in struct.index:
            report.unknown.append(f"{prefix}.{name}" if prefix else name)


def _zero(entry: Field) -> Any:
    """Return what the wire shows of a field that is not set."""
    if entry.pointer:
        return None
    return empty(entry.node) if type(entry.node) is Struct else _zero_of(entry.node)


def _zero_of(node: Node) -> object:
    return _ZEROS.get(node.name) if type(node) is Scalar else None


_ZEROS: dict[str, object] = {
    "string": "",
    "bool": False,
    "Quantity": "0",
    "int32": 0,
    "int64": 0,
    "float64": 0,
    "IntOrString": 0,
    "Duration": "0s",
}


def _value(node: Node, raw: object, report: Report) -> Any:
    if raw is None:
        return empty(node) if type(node) is Struct else _zero_of(node)
    if type(node) is Struct:
        return _struct(node, raw, report)
    if type(node) is ListOf:
        return _list(node, raw, report)
    if type(node) is MapOf:
        return _map(node, raw, report)
    assert type(node) is Scalar
    return _scalar(node.name, raw)


def _list(node: ListOf, raw: object, report: Report) -> list[Any]:
    if type(raw) is not list:
        raise _MismatchError(_found(raw), go_type(node))
    item = node.item
    if type(item) is Scalar:
        return [_scalar(item.name, each) for each in raw]
    out = []
    for number, each in enumerate(raw):
        report.path.append(f"[{number}]")
        out.append(_value(item, each, report))
        report.path.pop()
    return out


def _map(node: MapOf, raw: object, report: Report) -> dict[str, Any]:
    if type(raw) is not dict:
        raise _MismatchError(_found(raw), go_type(node))
    value = node.value
    out = {}
    for key in sorted(raw):
        each = raw[key]
        if type(value) is Scalar and each is not None:
            out[key] = _scalar(value.name, each)
        else:
            report.path.append(key)
            out[key] = _value(value, each, report)
            report.path.pop()
    return out


def _scalar(name: str, raw: Any) -> Any:
    kind = type(raw)
    if name == "string":
        if kind is str:
            return raw
    elif name in _RANGES:
        if kind is int and -_RANGES[name] <= raw < _RANGES[name]:
            return raw
    elif name == "bool":
        if kind is bool:
            return raw
    else:
        return _SPECIAL[name](raw)
    raise _MismatchError(_found(raw), name)


def _quantity(raw: Any) -> str:
    if type(raw) not in (str, int, float):
        raise _MismatchError(_found(raw), "resource.Quantity")
    try:
        return quantity.canonical(str(raw))
    except quantity.BadQuantityError as error:
        raise DecodeError(str(error)) from error


def _int_or_string(raw: Any) -> int | str:
    if type(raw) is str or (type(raw) is int and abs(raw) < _RANGES["int32"]):
        return raw
    raise _MismatchError(_found(raw), "int32")


def _float(raw: Any) -> float:
    if type(raw) in (int, float):
        return float(raw)
    raise _MismatchError(_found(raw), "float64")


def _bytes(raw: Any) -> str:
    if type(raw) is not str:
        raise _MismatchError(_found(raw), "[]uint8")
    try:
        base64.b64decode(raw, validate=True)
    except (binascii.Error, ValueError) as error:
        raise DecodeError("illegal base64 data at input byte 0") from error
    return raw


def _time(raw: Any, *, layout: str, fraction: bool) -> str:
    if type(raw) is not str:
        raise _MismatchError(_found(raw), "string")
    found = _TIME.fullmatch(raw)
    if found is None:
        raise DecodeError(f'parsing time "{raw}" as "{layout}": cannot parse "{raw}" as "2006"')
    if fraction and (found[1] is None or len(found[1]) != len(".000000")):
        rest = (found[1] or "") + found[2]
        raise DecodeError(f'parsing time "{raw}" as "{layout}": cannot parse "{rest}" as ".000000"')
    if not fraction and found[1]:
        return raw.replace(found[1], "")
    return raw


def _duration(raw: Any) -> str:
    if type(raw) is not str:
        raise _MismatchError(_found(raw), "string")
    return raw


def _any(raw: Any) -> Any:
    """Return a copy of any JSON; what could not be sent out again is not taken in."""
    try:
        return msgspec.json.decode(msgspec.json.encode(raw))
    except (TypeError, ValueError, OverflowError, RecursionError) as error:
        raise DecodeError(f"json: unsupported value: {error}") from error


_SPECIAL: dict[str, Callable[[Any], Any]] = {
    "any": _any,
    "Quantity": _quantity,
    "IntOrString": _int_or_string,
    "float64": _float,
    "bytes": _bytes,
    "Duration": _duration,
    "Time": functools.partial(_time, layout="2006-01-02T15:04:05Z07:00", fraction=False),
    "MicroTime": functools.partial(_time, layout="2006-01-02T15:04:05.000000Z07:00", fraction=True),
}


def _found(raw: object) -> str:
    if type(raw) is bool:
        return "bool"
    if isinstance(raw, float) or (isinstance(raw, int) and abs(raw) >= _RANGES["int32"]):
        return f"number {raw}"
    if isinstance(raw, int):
        return "number"
    if isinstance(raw, str):
        return "string"
    return "array" if isinstance(raw, list) else "object"


def go_type(node: Node) -> str:
    """Return a type as error messages spell it, such as "[]v1.Container"."""
    if isinstance(node, ListOf):
        return f"[]{go_type(node.item)}"
    if isinstance(node, MapOf):
        return f"map[string]{go_type(node.value)}"
    if isinstance(node, Struct):
        return ".".join(node.name.split(".")[1:])
    return {"any": "interface {}", "bytes": "[]uint8"}.get(node.name, node.name)
