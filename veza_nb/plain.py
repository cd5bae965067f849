"""Results as JSON values: the one place that says how each type is written down."""

import dataclasses
import math
from collections.abc import Callable, Mapping
from collections.abc import Set as AbstractSet
from datetime import datetime, timedelta
from enum import Enum
from pathlib import PurePath
from types import NoneType
from typing import Any

import msgspec

from veza_nb.clock import timestamp


def to_plain(value: object) -> Any:
    """Return `value` as JSON: dicts with string keys, lists, strings, numbers, booleans, None.

    Dataclasses and structs become objects with their fields' names, enums their values,
    datetimes RFC 3339 in UTC with microseconds, timedeltas seconds. Numbers that JSON does
    not know (NaN, infinity) become None; half a surrogate pair is written as its escape.

    Raises:
        TypeError: there is no agreed way to write this type down.
    """
    for kind, spell in _SPELLINGS:
        if isinstance(value, kind):
            return spell(value)
    return _container(value)


def _container(value: object) -> Any:
    if isinstance(value, Mapping):
        return {_sound(str(to_plain(key))): to_plain(inner) for key, inner in value.items()}
    if isinstance(value, list | tuple):
        return [to_plain(inner) for inner in value]
    if isinstance(value, AbstractSet):
        return sorted((to_plain(inner) for inner in value), key=str)
    if dataclasses.is_dataclass(value) and not isinstance(value, type):
        names = [field.name for field in dataclasses.fields(value)]
        return {name: to_plain(getattr(value, name)) for name in names}
    if isinstance(value, msgspec.Struct):
        return {name: to_plain(getattr(value, name)) for name in value.__struct_fields__}
    raise TypeError(f"no way to write {type(value).__name__} down as JSON")


def _sound(text: str) -> str:
    """The text, fit for UTF-8."""
    return text if text.isascii() else text.encode("utf-8", "backslashreplace").decode("utf-8")


# In order: booleans are ints, and our enums are strings.
_SPELLINGS: tuple[tuple[type, Callable[[Any], Any]], ...] = (
    (NoneType, lambda value: value),
    (bool, lambda value: value),
    (Enum, lambda value: to_plain(value.value)),
    (str, _sound),
    (int, int),
    (float, lambda value: value if math.isfinite(value) else None),
    (datetime, timestamp),
    (timedelta, timedelta.total_seconds),
    (PurePath, lambda value: _sound(str(value))),
)
