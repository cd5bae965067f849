"""Reads the releases of a scenario: the history of every service, and the bad one."""

from __future__ import annotations

from collections.abc import Sequence

from veza_nb.sandbox.scenarios import places
from veza_nb.sandbox.scenarios.model import Fault, PastRelease
from veza_nb.sandbox.scenarios.places import Place

_UNDO = {"undo_to", "age"}
_RELEASE = {"image", "age", "cause"}
_FAULT = {"image", "cause"}


def histories(
    given: object, service: str, known: set[str], place: Place
) -> dict[str, Sequence[PastRelease]]:
    """The history of the scenario's service, or of each service that is named."""
    if not isinstance(given, dict):
        return {service: history(given, place)}
    data = places.mapping(given, place, known, set())
    return {name: history(releases, place.at(name)) for name, releases in data.items()}


def history(given: object, place: Place) -> tuple[PastRelease, ...]:
    """The releases of one service, oldest first."""
    if not isinstance(given, list) or not given:
        raise place.error("expected a list of releases, oldest first")
    releases = [_past_release(item, place.at(number)) for number, item in enumerate(given)]
    for number in range(1, len(releases)):
        if releases[number].age >= releases[number - 1].age:
            raise place.at(number).at("age").error("must be younger than the release before it")
        earlier = {release.image for release in releases[:number]}
        if releases[number].undo and releases[number].image not in earlier:
            raise place.at(number).at("undo_to").error("was never released before")
    if releases[0].undo:
        raise place.at(0).at("undo_to").error("there is nothing to undo yet")
    return tuple(releases)


def _past_release(given: object, place: Place) -> PastRelease:
    undo = isinstance(given, dict) and "undo_to" in given
    needed = _UNDO if undo else _RELEASE
    data = places.mapping(given, place, needed | (set() if undo else {"template"}), needed)
    age = places.age(data["age"], place.at("age"))
    if undo:
        return PastRelease(places.text(data, "undo_to", place), age, undo=True)
    image, cause = (places.text(data, key, place) for key in ("image", "cause"))
    template = places.anything(data.get("template", {}), place.at("template"))
    return PastRelease(image, age, cause, template=template)


def fault(given: object, place: Place) -> Fault:
    """The bad release that comes last."""
    texts = _FAULT | {"user", "agent"}
    data = places.mapping(given, place, texts | {"at_once", "template"}, _FAULT)
    told = {key: places.text(data, key, place) for key in data if key in texts}
    return Fault(
        **told,
        at_once=places.flag(data, "at_once", place),
        template=places.anything(data.get("template", {}), place.at("template")),
    )
