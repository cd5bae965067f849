"""Reads what else is done to the cluster in a scenario."""

from __future__ import annotations

from collections.abc import Sequence
from datetime import timedelta

from veza_nb.sandbox.scenarios import places
from veza_nb.sandbox.scenarios.model import Deed, Json
from veza_nb.sandbox.scenarios.places import Place

_COMMON = {"age", "after", "user", "agent"}
_TYPES = ("strategic", "merge", "json")
_OBJECT = {"kind", "apiVersion", "name", "namespace"}
# Keys of what each verb needs, and those without which it makes no sense; None: an object.
_VERBS: dict[str, tuple[set[str], set[str]] | None] = {
    "create": None,
    "apply": None,
    "patch": (_OBJECT | {"with", "type", "subresource"}, {"kind", "name", "with"}),
    "delete": (_OBJECT | {"labels", "count"}, {"kind"}),
    "push": ({"image", "behavior"}, {"image"}),
    "turn": ({"service", "behavior"}, {"service", "behavior"}),
    "node": ({"name", "conditions", "reason", "message"}, {"name", "conditions"}),
}


def deeds(given: object, place: Place) -> Sequence[Deed]:
    """All of them, as the file has them."""
    return tuple(_deed(item, at) for item, at in places.items(given, place))


def _deed(given: object, place: Place) -> Deed:
    data = places.mapping(given, place, _COMMON | set(_VERBS), set())
    verbs = [verb for verb in _VERBS if verb in data]
    if len(verbs) != 1:
        raise place.error(f"expected one of {', '.join(_VERBS)}")
    if "age" in data and "after" in data:
        raise place.at("after").error("a deed has an age, or comes after the fault, not both")
    who = {key: places.text(data, key, place) for key in ("user", "agent") if key in data}
    return Deed(
        verbs[0],
        _what(verbs[0], data[verbs[0]], place.at(verbs[0])),
        places.age(data["age"], place.at("age")) if "age" in data else None,
        places.age(data["after"], place.at("after")) if "after" in data else timedelta(),
        **who,
    )


def _what(verb: str, given: object, place: Place) -> Json:
    keys = _VERBS[verb]
    if keys is None:
        return _object(given, place)
    data = places.mapping(given, place, *keys)
    if verb == "patch":
        places.one_of(data.get("type", _TYPES[0]), place.at("type"), _TYPES)
    if verb == "delete" and ("name" in data) == ("labels" in data):
        raise place.error("expected a name, or labels")
    return data


def _object(given: object, place: Place) -> Json:
    data = places.anything(given, place)
    for key in ("apiVersion", "kind"):
        if not isinstance(data.get(key), str):
            raise place.error(f"missing key {key!r}")
    named = data.get("metadata")
    if not isinstance(named, dict) or not isinstance(named.get("name"), str):
        raise place.error("an object needs metadata.name")
    return data
