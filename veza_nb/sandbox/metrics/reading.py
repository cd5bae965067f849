"""Readers: from one object of the API to samples; the vocabulary in which tables are written."""

from __future__ import annotations

from collections.abc import Callable, Iterable, Iterator
from typing import NamedTuple

from veza_nb.sandbox.apimachinery.status import Json
from veza_nb.sandbox.clock import parse_timestamp
from veza_nb.sandbox.controllers.informer import controller_of, key_of
from veza_nb.sandbox.metrics.exposition import Sample

Reader = Callable[[Json], Iterable[Sample]]
_STATUSES = ("true", "false", "unknown")


class Row(NamedTuple):
    """One family of a table: its name, what people are told, who reads it, and its kind."""

    name: str
    help: str
    read: Reader
    kind: str = "gauge"


def identity(kind: str, item: Json) -> dict[str, str]:
    """The labels that name an object."""
    namespace, name = key_of(item)
    return {"namespace": namespace, kind: name} if namespace else {kind: name}


def value_at(item: Json, path: str) -> object:
    """What stands at a path such as "status.replicas"; None where nothing does."""
    value: object = item
    for part in path.split("."):
        value = value.get(part) if isinstance(value, dict) else None
    return value


def field(kind: str, path: str, default: float = 0) -> Reader:
    """Read a number, or a switch."""

    def read(item: Json) -> Iterator[Sample]:
        value = value_at(item, path)
        given = float(value) if isinstance(value, int | float) else default
        yield Sample(given, identity(kind, item))

    return read


def moment(kind: str, path: str) -> Reader:
    """Read a date, as seconds since 1970; nothing where there is none."""

    def read(item: Json) -> Iterator[Sample]:
        value = value_at(item, path)
        if isinstance(value, str):
            yield Sample(parse_timestamp(value).timestamp(), identity(kind, item))

    return read


def condition(kind: str) -> Reader:
    """Read all conditions: each in three samples, of which the one that holds is 1."""

    def read(item: Json) -> Iterator[Sample]:
        for known in item.get("status", {}).get("conditions") or ():
            for value in _STATUSES:
                labels = {**identity(kind, item), "condition": known["type"], "status": value}
                yield Sample(known["status"].lower() == value, labels)

    return read


def one_condition(kind: str, wanted: str) -> Reader:
    """Read one condition, with its status as the label `condition`."""

    def read(item: Json) -> Iterator[Sample]:
        for known in item.get("status", {}).get("conditions") or ():
            if known["type"] == wanted:
                for value in _STATUSES:
                    labels = {**identity(kind, item), "condition": value}
                    yield Sample(known["status"].lower() == value, labels)

    return read


def owner(kind: str, prefix: str = "owner") -> Reader:
    """Read who controls the object."""

    def read(item: Json) -> Iterator[Sample]:
        found = controller_of(item) or {}
        labels = {f"{prefix}_kind": found.get("kind", ""), f"{prefix}_name": found.get("name", "")}
        yield Sample(1, {**identity(kind, item), **labels})

    return read
