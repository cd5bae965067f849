"""A YAML file as data, and where in it something stands: for messages that lead there."""

from __future__ import annotations

import re
from collections.abc import Mapping
from dataclasses import dataclass, field
from datetime import timedelta
from typing import Any

import yaml

from veza_nb.sandbox.scenarios.model import ScenarioError

# The one in C reads ten times as fast; where it was not built the other one does.
_LOADER = getattr(yaml, "CSafeLoader", yaml.SafeLoader)
_UNITS = {"d": "days", "h": "hours", "m": "minutes", "s": "seconds"}
_AGE = re.compile(r"(?:\d+[dhms])+")


@dataclass(frozen=True, slots=True)
class Place:
    """Where in a file something stands.

    Attributes:
        source: the file's name.
        path: such as "history[0].age"; empty for the whole.
        lines: the line of every path.
    """

    source: str
    path: str = ""
    lines: Mapping[str, int] = field(default_factory=dict)

    def at(self, name: str | int) -> Place:
        """A place within this one."""
        step = f"[{name}]" if isinstance(name, int) else f".{name}" if self.path else name
        return Place(self.source, self.path + step, self.lines)

    def error(self, message: str) -> ScenarioError:
        """What is wrong here, with the file and the line."""
        line = self.lines.get(self.path)
        where = self.source if line is None else f"{self.source}:{line}"
        return ScenarioError(
            f"{where}: {self.path}: {message}" if self.path else f"{where}: {message}"
        )


def read(text: str, source: str) -> tuple[Any, Place]:
    """The data of a YAML text, and its place.

    Raises:
        ScenarioError: it is not YAML.
    """
    try:
        root = yaml.compose(text, Loader=_LOADER)
        data = yaml.SafeLoader("").construct_document(root) if root is not None else None
    except yaml.YAMLError as error:
        raise ScenarioError(f"{source}: not YAML: {error}") from error
    lines: dict[str, int] = {}
    _note(root, Place(source), lines)
    return data, Place(source, "", lines)


def _note(node: yaml.Node | None, place: Place, lines: dict[str, int]) -> None:
    """Note the line of everything in a node."""
    if node is None:
        return
    lines.setdefault(place.path, node.start_mark.line + 1)
    if isinstance(node, yaml.MappingNode):
        for key, value in node.value:
            inner = place.at(str(key.value))
            lines[inner.path] = key.start_mark.line + 1
            _note(value, inner, lines)
    elif isinstance(node, yaml.SequenceNode):
        for number, value in enumerate(node.value):
            _note(value, place.at(number), lines)


def mapping(given: object, place: Place, known: set[str], needed: set[str]) -> dict[str, Any]:
    """Keys and values; none that is not known, all that are needed."""
    data = anything(given, place)
    unknown = sorted(str(key) for key in data if key not in known)
    if unknown:
        raise place.error(f"unknown key {unknown[0]!r}; known: {', '.join(sorted(known))}")
    missing = sorted(needed - set(data))
    if missing:
        raise place.error(f"missing key {missing[0]!r}")
    return data


def anything(given: object, place: Place) -> dict[str, Any]:
    """Keys and values, whatever they are."""
    if not isinstance(given, dict):
        raise place.error("expected keys and values")
    return given


def items(given: object, place: Place) -> list[tuple[Any, Place]]:
    """The items of a list with their places."""
    if not isinstance(given, list):
        raise place.error("expected a list")
    return [(item, place.at(number)) for number, item in enumerate(given)]


def text(data: Mapping[str, Any], key: str, place: Place) -> str:
    """A text that says something."""
    value = data[key]
    if not isinstance(value, str) or not value.strip():
        raise place.at(key).error("expected a text")
    return value


def one_of(given: object, place: Place, known: tuple[str, ...]) -> str:
    """One of these words."""
    if not isinstance(given, str) or given not in known:
        raise place.error(f"expected one of {', '.join(known)}, not {given!r}")
    return given


def flag(data: Mapping[str, Any], key: str, place: Place) -> bool:
    """True or false; false where nothing is said."""
    value = data.get(key, False)
    if not isinstance(value, bool):
        raise place.at(key).error("expected true or false")
    return value


def age(given: object, place: Place) -> timedelta:
    """A length of time, such as "6d4h"."""
    try:
        return parse_age(str(given))
    except ValueError as error:
        raise place.error(str(error)) from error


def parse_age(given: str) -> timedelta:
    """How long ago, such as "6d4h" or "25m".

    Raises:
        ValueError: it is no such text.
    """
    if not _AGE.fullmatch(given):
        raise ValueError(f"expected an age such as 6d4h or 25m, not {given!r}")
    parts = re.findall(r"(\d+)([dhms])", given)
    return sum((timedelta(**{_UNITS[unit]: int(number)}) for number, unit in parts), timedelta())
