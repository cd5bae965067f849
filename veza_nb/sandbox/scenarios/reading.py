"""Reads a scenario from its file and says, with file and line, what is wrong with it."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from functools import cache
from importlib import resources
from pathlib import Path
from typing import Any

import yaml

from veza_nb.sandbox.scenarios import places, releases
from veza_nb.sandbox.scenarios.deeds import deeds
from veza_nb.sandbox.scenarios.model import (
    NO_ROLLBACK,
    ROLLBACK_TO,
    Expected,
    PastRelease,
    Scenario,
    ScenarioError,
)
from veza_nb.sandbox.scenarios.places import Place

_DATA = resources.files("veza_nb.sandbox").joinpath("data")
_NEEDED = {"name", "title", "story", "service", "expect"}
_KNOWN = _NEEDED | {"history", "fault", "deeds", "kit", "options", "catalog", "user"}
_DECISIONS = ("roll back", "do not roll back", "unclear")
_OUTCOMES = ("recovered", "refused", "not recovered", "inconclusive")
_LEVELS = ("block", "warn", "info")
_USERS = ("admin", "nobody", "bot", "oncall")


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
    text = _DATA.joinpath("history.yaml").read_text("utf-8")
    given, where = places.read(text, "history.yaml")
    return {name: releases.history(told, where.at(name)) for name, told in given.items()}


def parse(text: str, source: str) -> Scenario:
    """A scenario from YAML; `source` is named in errors.

    Raises:
        ScenarioError: what is wrong, and where.
    """
    given, place = places.read(text, source)
    data = places.mapping(given, place, _KNOWN, _NEEDED)
    usual = usual_history()
    service = places.text(data, "service", place)
    if service not in usual:
        raise place.at("service").error(f"unknown service {service!r}; known: {', '.join(usual)}")
    told = releases.histories(data.get("history", {}), service, set(usual), place.at("history"))
    history = {**usual, **told}
    good = _expectation(places.text(data, "expect", place), place.at("expect"))
    if good is not None and good not in {release.image for release in history[service]}:
        raise place.at("expect").error(f"{good} is not in the history of {service}")
    return Scenario(
        name=places.text(data, "name", place),
        title=places.text(data, "title", place),
        story=places.text(data, "story", place).strip(),
        service=service,
        history=history,
        fault=releases.fault(data["fault"], place.at("fault")) if "fault" in data else None,
        good_image=good,
        deeds=deeds(data.get("deeds", []), place.at("deeds")),
        kit=_expected(data.get("kit", {}), good, place.at("kit")),
        options=_options(data.get("options", {}), place.at("options")),
        catalog=places.anything(data.get("catalog", {}), place.at("catalog")),
        user=places.one_of(data.get("user", "admin"), place.at("user"), _USERS),
    )


def _expectation(text: str, place: Place) -> str | None:
    if text == NO_ROLLBACK:
        return None
    image = text.removeprefix(ROLLBACK_TO)
    if image == text or not image.strip():
        raise place.error(f'expected "{NO_ROLLBACK}" or "{ROLLBACK_TO}IMAGE"')
    return image.strip()


def _expected(given: object, good: str | None, place: Place) -> Expected:
    """What the kit says; as long as the file does not say otherwise, what is right."""
    known = {"decision", "reasons", "guards", "ends", "why"}
    data = places.mapping(given, place, known, set())
    right = ("do not roll back", "refused") if good is None else ("roll back", "recovered")
    guards = places.anything(data.get("guards", {}), place.at("guards"))
    for name, level in guards.items():
        places.one_of(level, place.at("guards").at(str(name)), _LEVELS)
    reasons = places.items(data.get("reasons", []), place.at("reasons"))
    return Expected(
        places.one_of(data.get("decision", right[0]), place.at("decision"), _DECISIONS),
        places.one_of(data.get("ends", right[1]), place.at("ends"), _OUTCOMES),
        tuple(str(reason) for reason, _ in reasons),
        guards,
        places.text(data, "why", place).strip() if "why" in data else "",
    )


def _options(given: object, place: Place) -> dict[str, str | int | bool]:
    data = places.anything(given, place)
    for key, value in data.items():
        if not isinstance(value, str | int | bool):
            raise place.at(str(key)).error("expected a text, a number, true or false")
    return data
