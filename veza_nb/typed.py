"""Data into typed readers, safe in any number of threads.

msgspec builds what it knows of a type when it first meets it, and does so without a lock: two
threads that meet types at the same moment crash the whole interpreter. So one thread at a time
builds; decoding itself goes on side by side.
"""

import threading
from typing import Any, TypeVar

import msgspec

T = TypeVar("T")

_building = threading.Lock()
_decoders: dict[Any, msgspec.json.Decoder[Any]] = {}


def decode_json(data: bytes | str | msgspec.Raw, kind: type[T]) -> T:
    """Read JSON.

    Raises:
        msgspec.DecodeError: it is no JSON, or not of that type.
        UnicodeDecodeError: it is no text.
    """
    decoder = _decoders.get(kind)
    if decoder is None:
        with _building:
            decoder = _decoders.setdefault(kind, msgspec.json.Decoder(kind))
    result: T = decoder.decode(data)
    return result


def convert(data: object, kind: type[T]) -> T:
    """Read plain data.

    Raises:
        msgspec.ValidationError: it is not of that type.
    """
    with _building:
        return msgspec.convert(data, kind)
