"""Fields that stand twice in one JSON object: strict decoding minds, and names them by path."""

from __future__ import annotations

import json
from collections import Counter
from collections.abc import Iterator, Sequence
from typing import Any


class _Doubled(dict[str, Any]):
    """An object that had members twice."""

    names: Sequence[str] = ()


def doubled_fields(body: bytes) -> list[str]:
    """Return the paths of fields that are twice in one object of sound JSON."""
    any_doubled = False

    def members(pairs: list[tuple[str, Any]]) -> dict[str, Any]:
        nonlocal any_doubled
        found = dict(pairs)
        if len(found) == len(pairs):
            return found
        any_doubled = True
        doubled, seen = _Doubled(found), Counter(name for name, _ in pairs)
        doubled.names = [name for name, count in seen.items() if count > 1]
        return doubled

    document = json.loads(body, object_pairs_hook=members)
    return list(_doubled_below(document, "")) if any_doubled else []


def _doubled_below(value: Any, path: str) -> Iterator[str]:
    if isinstance(value, list):
        for number, each in enumerate(value):
            yield from _doubled_below(each, f"{path}[{number}]")
    elif isinstance(value, dict):
        lead = f"{path}." if path else ""
        yield from (f"{lead}{name}" for name in getattr(value, "names", ()))
        for name, each in value.items():
            yield from _doubled_below(each, f"{lead}{name}")
