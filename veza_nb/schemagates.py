"""Whether a release can work with the database as it is, as far as both sides say.

An undo brings the program back, not the schema: a release from before a migration may meet
tables that it does not know. The catalogue says where a release tells which schema it works with,
and where the database's version is told.
"""

import re
from collections.abc import Iterator, Mapping
from dataclasses import dataclass
from typing import Any

from veza_nb.catalog import SchemaNeeds
from veza_nb.objects import PodTemplate

_RANGE = re.compile(r"(\d{1,18})(?:\s*-\s*(\d{1,18})|(\+))?")
_VERSION = re.compile(r"v?(\d{1,18})")


@dataclass(frozen=True, slots=True)
class SchemaSeen:
    """What the database's side says.

    Attributes:
        has: its version, as it is told; "" where it could not be read.
        where: what was read, for a person.
        unseen: why it could not be read; "" where it could.
    """

    has: str
    where: str
    unseen: str = ""


@dataclass(frozen=True, slots=True)
class Gate:
    """What comes of both.

    Attributes:
        fits: True or False where it is known; None where it is not.
        needs: what the release asks for; "" where it does not say.
        why: one clause, no full stop.
    """

    fits: bool | None
    needs: str
    why: str


def needed_schema(template: PodTemplate, needs: SchemaNeeds) -> str:
    """What a release says that it works with: "12", "10-12" or "12+"; "" where it does not."""
    metadata = _mapping(template.get("metadata"))
    if needs.annotation or needs.label:
        part, key = (
            ("annotations", needs.annotation) if needs.annotation else ("labels", needs.label)
        )
        return _text(_mapping(metadata.get(part)).get(key))
    found = (value for name, value in _variables(template) if name == needs.env)
    return _text(next(found, None))


def gate(needs: str, seen: SchemaSeen) -> Gate:
    """Whether a release that says so works with that database.

    Numbers are compared as numbers: "12" is that one, "10-12" any from 10 to 12, "12+" 12 and all
    later ones. Anything else is compared as text.
    """
    if not needs:
        return Gate(None, "", "the release does not say which schema it works with")
    if not seen.has:
        return Gate(None, needs, seen.unseen or "the database's version is not known")
    if "dirty" in seen.has.lower():
        return Gate(False, needs, f"a migration was left half done (version {seen.has!r})")
    wanted, version = _RANGE.fullmatch(needs), _VERSION.fullmatch(seen.has)
    if wanted is None or version is None:
        same = needs == seen.has
        return Gate(True if same else None, needs, f"it needs {needs!r}, there is {seen.has!r}")
    first, last, open_ended = int(wanted[1]), wanted[2], wanted[3]
    highest = int(last) if last else first
    has = int(version[1])
    why = f"it works with schema {needs}, the database has {has}"
    return Gate(first <= has and (open_ended is not None or has <= highest), needs, why)


def _variables(template: PodTemplate) -> Iterator[tuple[str, object]]:
    containers = _mapping(template.get("spec")).get("containers")
    for container in containers if isinstance(containers, list) else []:
        variables = _mapping(container).get("env")
        for one in variables if isinstance(variables, list) else []:
            yield str(_mapping(one).get("name", "")), _mapping(one).get("value")


def _text(value: object) -> str:
    return str(value).strip() if isinstance(value, str | int) else ""


def _mapping(value: object) -> Mapping[str, Any]:
    return value if isinstance(value, dict) else {}
