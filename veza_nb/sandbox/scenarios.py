"""Scenarios of the training cluster: what happened before, what goes wrong, what would be right.

They are data (`data/scenarios/*.yaml`). This module reads and checks them; `seeding` plays them.

A file tells the history of its own service as a list, or of several services by name; the others
have the usual one. Ages count back from now, oldest first. An undo brings its old cause back:

    history:
      veza-backend-api:
      - {image: "registry.veza.example/veza-backend-api:v2.3.1", age: 14d, cause: "release v2.3.1"}
      - {image: "registry.veza.example/veza-backend-api:v2.4.0", age: 6d4h, cause: "release v2.4.0"}
      - {undo_to: "registry.veza.example/veza-backend-api:v2.3.1", age: 6d3h}
"""

from __future__ import annotations

import re
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from datetime import timedelta
from functools import cache
from importlib import resources
from pathlib import Path
from typing import Any

import yaml

NO_ROLLBACK = "no rollback"
_ROLLBACK_TO = "rollback to "
_UNITS = {"d": "days", "h": "hours", "m": "minutes", "s": "seconds"}
_AGE = re.compile(r"(?:\d+[dhms])+")
_DATA = resources.files("veza_nb.sandbox").joinpath("data")


class ScenarioError(ValueError):
    """A scenario is unknown, or its file is not what it should be; the message says which."""


@dataclass(frozen=True, slots=True)
class PastRelease:
    """A release in a service's history.

    Attributes:
        image: which one; of an undo, the one that was gone back to.
        age: how long ago.
        cause: its change cause; empty for an undo, which brings the old one back.
        undo: whether it was a `kubectl rollout undo`.
    """

    image: str
    age: timedelta
    cause: str = ""
    undo: bool = False


@dataclass(frozen=True, slots=True)
class Fault:
    """The bad release.

    Attributes:
        image: of the bad release.
        cause: its change cause.
        user: who deploys it.
        agent: with what; the field manager of the change.
        at_once: whether a start returns without waiting until the fault shows.
    """

    image: str
    cause: str
    user: str = "deploy-bot"
    agent: str = "kubectl-set"
    at_once: bool = False


@dataclass(frozen=True, slots=True)
class Scenario:
    """One exercise.

    Attributes:
        name: as given to `--scenario`.
        title: one line.
        story: what happened, for the debrief.
        service: the Deployment it is about.
        history: releases of every service, oldest first.
        fault: the bad release; None when nothing is wrong.
        good_image: what a rollback should lead to; None when none is right.
    """

    name: str
    title: str
    story: str
    service: str
    history: Mapping[str, Sequence[PastRelease]]
    fault: Fault | None
    good_image: str | None

    @property
    def expect(self) -> str:
        """What is right, in the words of the file."""
        return NO_ROLLBACK if self.good_image is None else _ROLLBACK_TO + self.good_image


def names() -> list[str]:
    """The names of the scenarios that ship with the training cluster."""
    files = (item.name for item in _DATA.joinpath("scenarios").iterdir())
    return sorted(name.removesuffix(".yaml") for name in files if name.endswith(".yaml"))


def load(name: str) -> Scenario:
    """A scenario by its name, or by the path of a file.

    Raises:
        ScenarioError: unknown, or the file is wrong.
    """
    if name.endswith((".yaml", ".yml")):
        try:
            return parse(Path(name).read_text("utf-8"), name)
        except OSError as error:
            raise ScenarioError(f"cannot read the scenario {name}: {error.strerror}") from error
    if name not in names():
        raise ScenarioError(f"unknown scenario {name!r}; known: {', '.join(names())}")
    text = _DATA.joinpath("scenarios", f"{name}.yaml").read_text("utf-8")
    return parse(text, f"{name}.yaml")


def manifest() -> list[dict[str, Any]]:
    """The objects of the Veza application, in the order in which they are created."""
    text = _DATA.joinpath("manifest.yaml").read_text("utf-8")
    return [item for item in yaml.safe_load_all(text) if item is not None]


@cache
def usual_history() -> Mapping[str, Sequence[PastRelease]]:
    """The history of every service that a scenario does not tell otherwise."""
    given = yaml.safe_load(_DATA.joinpath("history.yaml").read_text("utf-8"))
    where = _Place("history.yaml", "")
    return {name: _history(releases, where.at(name)) for name, releases in given.items()}


def parse(text: str, source: str) -> Scenario:
    """A scenario from YAML; `source` is named in errors.

    Raises:
        ScenarioError: what is wrong, and where.
    """
    place = _Place(source, "")
    try:
        given = yaml.safe_load(text)
    except yaml.YAMLError as error:
        raise ScenarioError(f"{source}: not YAML: {error}") from error
    known = {"name", "title", "story", "service", "history", "fault", "expect"}
    data = _mapping(given, place, known, {"name", "title", "story", "service", "expect"})
    service = _text(data, "service", place)
    usual = usual_history()
    if service not in usual:
        raise place.at("service").error(f"unknown service {service!r}; known: {', '.join(usual)}")
    history = {**usual, **_histories(data.get("history", {}), service, place.at("history"))}
    fault = _fault(data["fault"], place.at("fault")) if "fault" in data else None
    good = _expectation(_text(data, "expect", place), place.at("expect"))
    if good is not None and good not in {release.image for release in history[service]}:
        raise place.at("expect").error(f"{good} is not in the history of {service}")
    name, title = _text(data, "name", place), _text(data, "title", place)
    story = _text(data, "story", place).strip()
    return Scenario(name, title, story, service, history, fault, good)


def parse_age(text: str) -> timedelta:
    """How long ago, such as "6d4h" or "25m".

    Raises:
        ValueError: it is no such text.
    """
    if not _AGE.fullmatch(text):
        raise ValueError(f"expected an age such as 6d4h or 25m, not {text!r}")
    parts = re.findall(r"(\d+)([dhms])", text)
    return sum((timedelta(**{_UNITS[unit]: int(number)}) for number, unit in parts), timedelta())


@dataclass(frozen=True, slots=True)
class _Place:
    """Where in a file something stands."""

    source: str
    path: str

    def at(self, name: str | int) -> _Place:
        step = f"[{name}]" if isinstance(name, int) else f".{name}" if self.path else name
        return _Place(self.source, self.path + step)

    def error(self, message: str) -> ScenarioError:
        where = f"{self.source}: {self.path}" if self.path else self.source
        return ScenarioError(f"{where}: {message}")


def _mapping(given: object, place: _Place, known: set[str], needed: set[str]) -> dict[str, Any]:
    if not isinstance(given, dict):
        raise place.error("expected keys and values")
    unknown = sorted(str(key) for key in given if key not in known)
    if unknown:
        raise place.error(f"unknown key {unknown[0]!r}; known: {', '.join(sorted(known))}")
    missing = sorted(needed - set(given))
    if missing:
        raise place.error(f"missing key {missing[0]!r}")
    return given


def _text(data: Mapping[str, Any], key: str, place: _Place) -> str:
    value = data[key]
    if not isinstance(value, str) or not value.strip():
        raise place.at(key).error("expected a text")
    return value


def _histories(given: object, service: str, place: _Place) -> dict[str, Sequence[PastRelease]]:
    """The history of the scenario's service, or of each service that is named."""
    if not isinstance(given, dict):
        return {service: _history(given, place)}
    data = _mapping(given, place, set(usual_history()), set())
    return {name: _history(releases, place.at(name)) for name, releases in data.items()}


def _history(given: object, place: _Place) -> tuple[PastRelease, ...]:
    if not isinstance(given, list) or not given:
        raise place.error("expected a list of releases, oldest first")
    releases = [_past_release(item, place.at(number)) for number, item in enumerate(given)]
    for number in range(1, len(releases)):
        if releases[number].age >= releases[number - 1].age:
            raise place.at(number).at("age").error("must be younger than the release before it")
        if releases[number].undo and releases[number].image not in _images(releases[:number]):
            raise place.at(number).at("undo_to").error("was never released before")
    if releases[0].undo:
        raise place.at(0).at("undo_to").error("there is nothing to undo yet")
    return tuple(releases)


def _images(releases: Sequence[PastRelease]) -> set[str]:
    return {release.image for release in releases}


def _past_release(given: object, place: _Place) -> PastRelease:
    undo = isinstance(given, dict) and "undo_to" in given
    keys = {"undo_to", "age"} if undo else {"image", "age", "cause"}
    data = _mapping(given, place, keys, keys)
    try:
        age = parse_age(str(data["age"]))
    except ValueError as error:
        raise place.at("age").error(str(error)) from error
    if undo:
        return PastRelease(_text(data, "undo_to", place), age, undo=True)
    return PastRelease(_text(data, "image", place), age, _text(data, "cause", place))


def _fault(given: object, place: _Place) -> Fault:
    data = _mapping(
        given, place, {"image", "cause", "user", "agent", "at_once"}, {"image", "cause"}
    )
    at_once = data.get("at_once", False)
    if not isinstance(at_once, bool):
        raise place.at("at_once").error("expected true or false")
    texts = {key: _text(data, key, place) for key in data if key != "at_once"}
    return Fault(**texts, at_once=at_once)


def _expectation(text: str, place: _Place) -> str | None:
    if text == NO_ROLLBACK:
        return None
    image = text.removeprefix(_ROLLBACK_TO)
    if image == text or not image.strip():
        raise place.error(f'expected "{NO_ROLLBACK}" or "{_ROLLBACK_TO}IMAGE"')
    return image.strip()
