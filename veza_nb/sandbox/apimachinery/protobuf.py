"""Kubernetes' protobuf bodies, which newer typed Go clients send; read into the JSON they mean."""

from __future__ import annotations

import base64
import functools
import json
from collections.abc import Callable, Iterator
from datetime import UTC, datetime, timedelta
from typing import Any

from veza_nb.sandbox.apimachinery.schema import ListOf, MapOf, Node, Scalar, Struct, struct

Json = dict[str, Any]
MEDIA_TYPE = "application/vnd.kubernetes.protobuf"
_MAGIC = b"k8s\x00"
_VARINT, _FIXED64, _BYTES, _FIXED32 = 0, 1, 2, 5
_MAX_DEPTH = 60
_EPOCH = datetime(1970, 1, 1, tzinfo=UTC)


class BadMessageError(ValueError):
    """The bytes are no message of this type."""


def decode(body: bytes, schema: str) -> Json:
    """Return the object in a protobuf body.

    Args:
        body: With Kubernetes' envelope.
        schema: Name of the type inside.

    Raises:
        BadMessageError: The bytes make no sense.
    """
    if not body.startswith(_MAGIC):
        raise BadMessageError("provided data does not appear to be a protobuf message")
    kind, version, raw = "", "", b""
    for number, value in _fields(body[len(_MAGIC) :]):
        if number == 1 and isinstance(value, bytes):
            meta = dict(_fields(value))
            version, kind = _text(meta.get(1, b"")), _text(meta.get(2, b""))
        elif number == 2 and isinstance(value, bytes):
            raw = value
    document = _struct(raw, struct(schema), 0)
    return {"kind": kind, "apiVersion": version, **document}


def _fields(data: bytes) -> Iterator[tuple[int, int | bytes]]:
    """Yield (number, value) of a message: numbers for varints, bytes for everything else."""
    at = 0
    while at < len(data):
        key, at = _varint(data, at)
        number, wire = key >> 3, key & 7
        if wire == _VARINT:
            value, at = _varint(data, at)
            yield number, value
            continue
        if wire == _BYTES:
            size, at = _varint(data, at)
        elif wire in (_FIXED64, _FIXED32):
            size = 8 if wire == _FIXED64 else 4
        else:
            raise BadMessageError(f"proto: illegal wireType {wire}")
        if size > len(data) - at:
            raise BadMessageError("unexpected EOF")
        yield number, data[at : at + size]
        at += size


def _varint(data: bytes, at: int) -> tuple[int, int]:
    value = shift = 0
    while True:
        if at >= len(data) or shift > 63:
            raise BadMessageError("unexpected EOF")
        byte = data[at]
        at += 1
        value |= (byte & 0x7F) << shift
        if not byte & 0x80:
            return value, at
        shift += 7


@functools.cache
def _plan(name: str) -> dict[int, Any]:
    """Return the fields of a type by number; a nested message that JSON inlines is a dict."""
    plan: dict[int, Any] = {}
    for entry in struct(name).fields:
        level = plan
        for number in entry.number[:-1]:
            level = level.setdefault(number, {})
        if entry.number:
            level[entry.number[-1]] = entry
    return plan


def _struct(data: bytes, shape: Struct, depth: int) -> Json:
    if depth > _MAX_DEPTH:
        raise BadMessageError("message is nested too deeply")
    out: Json = {}
    _fill(out, data, _plan(shape.name), depth)
    return out


def _fill(out: Json, data: bytes, plan: dict[int, Any], depth: int) -> None:
    for number, value in _fields(data):
        entry = plan.get(number)
        if entry is None:
            continue
        if isinstance(entry, dict):
            _fill(out, _message(value), entry, depth)
        elif isinstance(entry.node, ListOf):
            out.setdefault(entry.name, []).append(_value(entry.node.item, value, depth))
        elif isinstance(entry.node, MapOf):
            pair = dict(_fields(_message(value)))
            key = _text(pair.get(1, b""))
            item = _map_value(entry.node.value, pair.get(2, b""), depth)
            out.setdefault(entry.name, {})[key] = item
        else:
            out[entry.name] = _value(entry.node, value, depth)


def _map_value(node: Node, value: int | bytes, depth: int) -> Any:
    if isinstance(node, ListOf):
        return [_value(node.item, item, depth) for _, item in _fields(_message(value))]
    return _value(node, value, depth)


def _value(node: Node, value: int | bytes, depth: int) -> Any:
    if isinstance(node, Struct):
        return _struct(_message(value), node, depth + 1)
    assert isinstance(node, Scalar)
    if node.name in ("int32", "int64"):
        return _signed(value)
    if node.name == "bool":
        return bool(value)
    return _SCALARS[node.name](_message(value))


def _message(value: int | bytes) -> bytes:
    if not isinstance(value, bytes):
        raise BadMessageError("proto: wrong wireType")
    return value


def _signed(value: int | bytes) -> int:
    if isinstance(value, bytes):
        raise BadMessageError("proto: wrong wireType")
    return value - (1 << 64) if value >= 1 << 63 else value


def _text(value: int | bytes) -> str:
    try:
        return _message(value).decode()
    except UnicodeDecodeError as error:
        raise BadMessageError("invalid UTF-8") from error


def _time(data: bytes, *, micro: bool) -> str | None:
    if not data:
        return None
    parts = dict(_fields(data))
    try:
        at = _EPOCH + timedelta(seconds=_signed(parts.get(1, 0)))
    except OverflowError as error:
        raise BadMessageError("time out of range") from error
    fraction = f".{_signed(parts.get(2, 0)) // 1000:06d}" if micro else ""
    return f"{at:%Y-%m-%dT%H:%M:%S}{fraction}Z"


def _quantity(data: bytes) -> str:
    return _text(dict(_fields(data)).get(1, b"0"))


def _int_or_string(data: bytes) -> int | str:
    parts = dict(_fields(data))
    return _text(parts.get(3, b"")) if parts.get(1) else _signed(parts.get(2, 0))


def _any(data: bytes) -> Any:
    raw = _message(dict(_fields(data)).get(1, b"null"))
    try:
        return json.loads(raw)
    except ValueError as error:
        raise BadMessageError("embedded JSON is broken") from error


def _float(data: bytes) -> float:
    raise BadMessageError(f"unexpected number of {len(data)} bytes")


def _duration(data: bytes) -> str:
    return f"{_signed(dict(_fields(data)).get(1, 0)) / 1e9:g}s"


_SCALARS: dict[str, Callable[[bytes], Any]] = {
    "string": _text,
    "bytes": lambda data: base64.b64encode(data).decode(),
    "Time": functools.partial(_time, micro=False),
    "MicroTime": functools.partial(_time, micro=True),
    "Quantity": _quantity,
    "IntOrString": _int_or_string,
    "any": _any,
    "float64": _float,
    "Duration": _duration,
}
