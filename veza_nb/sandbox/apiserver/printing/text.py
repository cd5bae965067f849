"""The words of cells: ages, names, lists."""

from __future__ import annotations

from collections.abc import Iterable
from datetime import UTC, datetime
from typing import Any

from veza_nb.sandbox.apimachinery import selectors

Json = dict[str, Any]


NONE = "<none>"
UNKNOWN = "<unknown>"
UNSET = "<unset>"
# Up to a bound in seconds: the unit shown, and the smaller one that is shown with it, if any.
_MINUTE, _HOUR, _DAY, _YEAR = 60, 3600, 86400, 365 * 86400
_STEPS: tuple[tuple[float, int, str, int, str], ...] = (
    (120, 1, "s", 0, ""),
    (10 * _MINUTE, _MINUTE, "m", 1, "s"),
    (180 * _MINUTE, _MINUTE, "m", 0, ""),
    (8 * _HOUR, _HOUR, "h", _MINUTE, "m"),
    (48 * _HOUR, _HOUR, "h", 0, ""),
    (8 * _DAY, _DAY, "d", _HOUR, "h"),
    (2 * _YEAR, _DAY, "d", 0, ""),
    (8 * _YEAR, _YEAR, "y", _DAY, "d"),
    (float("inf"), _YEAR, "y", 0, ""),
)


def duration(seconds: float) -> str:
    """Return a length of time in at most two units, such as "3m20s" or "5d"."""
    whole = int(seconds)
    if whole < 0:
        return "0s" if whole == -1 else "<invalid>"
    _, large, unit, small, small_unit = next(step for step in _STEPS if whole < step[0])
    rest = whole % large // small if small else 0
    shown = f"{whole // large}{unit}"
    return f"{shown}{rest}{small_unit}" if rest else shown


def parse_time(stamp: str) -> datetime:
    """Return the time of an API timestamp."""
    return datetime.fromisoformat(stamp).astimezone(UTC)


def since(stamp: str | None, now: datetime) -> str:
    """Return the time since a timestamp, or "<unknown>"."""
    return duration((now - parse_time(stamp)).total_seconds()) if stamp else UNKNOWN


def age(document: Json, now: datetime) -> str:
    """Return the age of an object."""
    return since(document["metadata"].get("creationTimestamp"), now)


def name_of(document: Json) -> str:
    """Return the name of an object."""
    return str(document["metadata"]["name"])


def status_of(document: Json) -> Json:
    """Return the status of an object, `{}` when it has none."""
    return document.get("status") or {}


def containers(spec: Json) -> tuple[str, str]:
    """Return the names and the images of the containers of a Pod spec."""
    containers = spec.get("containers") or ()
    names = ",".join(each["name"] for each in containers)
    return names, ",".join(each.get("image", "") for each in containers)


def selector(chosen: Json | None) -> str:
    """Return a `selector` object as text."""
    return selectors.format_object(chosen) or NONE


def or_none(items: Iterable[str]) -> str:
    """Return the items joined, or "<none>"."""
    return ",".join(items) or NONE
