"""The catalogue of releases: how a container behaves, told by the name of its image.

Data, not code: `data/releases.yaml` names behaviours, the images that have them, rules for all
other images by what their tag contains, and the images that carry a real program. A server that
nothing is said about is good; a task that nothing is said about completes.
"""

from __future__ import annotations

import hashlib
from collections.abc import Mapping
from dataclasses import dataclass, field, fields, replace
from fnmatch import fnmatchcase
from functools import cache
from importlib import resources
from pathlib import Path
from typing import Any

import yaml

from veza_nb.sandbox.nodes.behaviors import Behavior

__all__ = [
    "Behavior",
    "Carried",
    "Releases",
    "ReleasesError",
    "built_in",
    "image_id",
    "load",
    "parse",
    "repository_of",
    "service_of",
    "tag_of",
]

_KEYS = {"behaviors", "images", "tags", "programs"}
_FIELDS = {item.name for item in fields(Behavior)} - {"name"}
_GOOD = Behavior()
_COMPLETES = Behavior("completes", runs_seconds=1.0, exit_reason="Completed")


class ReleasesError(ValueError):
    """The catalogue of releases is not what it should be; the message names the place."""


@dataclass(frozen=True, slots=True)
class Carried:
    """A real program that images carry.

    Attributes:
        image: which images, as a pattern with `*`.
        program: its name in the table of `programs`.
        entrypoint: whether the image runs it without being told to.
        schema: the newest database migration that the image has; None: all there are.
    """

    image: str
    program: str
    entrypoint: bool = False
    schema: int | None = None


@dataclass(frozen=True)
class Releases:
    """What is known about images.

    Attributes:
        behaviors: by name.
        images: name of the behaviour, by full image.
        tags: `(fragment, behaviour)`, the first whose fragment the tag contains counts.
        programs: what images carry; the first whose pattern fits counts.
        pushes: how often another program was pushed under an image's name.
        turned_to: name of the behaviour that all programs of a service have now, whatever their
            release: what they depend on is down.
    """

    behaviors: Mapping[str, Behavior] = field(default_factory=dict)
    images: Mapping[str, str] = field(default_factory=dict)
    tags: tuple[tuple[str, str], ...] = ()
    programs: tuple[Carried, ...] = ()
    pushes: Mapping[str, int] = field(default_factory=dict)
    turned_to: Mapping[str, str] = field(default_factory=dict)

    def of(self, image: str, *, task: bool = False) -> Behavior:
        """How a container with that image behaves; a task is one that is meant to end."""
        name = self.images.get(image)
        if name is None:
            tag = tag_of(image)
            name = next((name for fragment, name in self.tags if fragment in tag), "")
        if not name:
            name = "completes" if task else "good"
        return self.behaviors.get(name, _COMPLETES if name == "completes" else _GOOD)

    def carried_by(self, image: str) -> Carried | None:
        """The real program in an image."""
        return next((one for one in self.programs if fnmatchcase(image, one.image)), None)

    def acting(self, image: str) -> Behavior:
        """How a server with that image acts now, as what it depends on lets it."""
        turned = self.turned_to.get(service_of(image))
        return self.of(image) if turned is None else self.behaviors[turned]

    def turned(self, service: str, name: str) -> Releases:
        """The same, where a service's programs behave so; "" lets them be themselves again."""
        rest = {key: value for key, value in self.turned_to.items() if key != service}
        if name:
            self._check_known(name)
            rest[service] = name
        return replace(self, turned_to=rest)

    def pushed(self, image: str, name: str = "") -> Releases:
        """The same, after another program was pushed under that name; "": it behaves alike."""
        pushes = {**self.pushes, image: self.pushes.get(image, 0) + 1}
        return replace(self.with_behavior(image, name) if name else self, pushes=pushes)

    def _check_known(self, name: str) -> None:
        if name not in self.behaviors:
            raise ReleasesError(f"unknown behaviour {name!r}; known: {', '.join(self.behaviors)}")

    def with_behavior(self, image: str, name: str) -> Releases:
        """The same catalogue, where that image has the behaviour of that name."""
        self._check_known(name)
        return replace(self, images={**self.images, image: name})


def tag_of(image: str) -> str:
    """The tag of an image, "latest" where there is none."""
    name = image.split("@", 1)[0].rsplit("/", 1)[-1]
    return name.split(":", 1)[1] if ":" in name else "latest"


def repository_of(image: str) -> str:
    """The image without tag and digest."""
    name = image.split("@", 1)[0]
    head, slash, last = name.rpartition("/")
    return head + slash + last.split(":", 1)[0]


def service_of(image: str) -> str:
    """The service that an image is of: the last part of its repository."""
    return repository_of(image).rpartition("/")[2]


def image_id(image: str, pushes: int = 0) -> str:
    """The image by digest, as a container's status shows it.

    Args:
        image: the same for the same image,
        pushes: until another program is pushed under its name.
    """
    pushed = f"{image} {pushes}" if pushes else image
    digest = hashlib.sha256(pushed.encode()).hexdigest()
    return f"{repository_of(image)}@sha256:{digest}"


@cache
def built_in() -> Releases:
    """The catalogue that ships with the training cluster."""
    text = resources.files("veza_nb.sandbox").joinpath("data/releases.yaml").read_text("utf-8")
    return parse(text, "releases.yaml")


def load(path: Path) -> Releases:
    """A catalogue from a file.

    Raises:
        ReleasesError: it is not a catalogue.
    """
    return parse(path.read_text("utf-8"), path.name)


def parse(text: str, source: str) -> Releases:
    """A catalogue from YAML; `source` is named in errors."""
    data = yaml.safe_load(text)
    if not isinstance(data, dict) or set(data) - _KEYS:
        raise ReleasesError(f"{source}: expected the keys behaviors, images, tags, programs")
    behaviors = {
        name: _behavior(name, given or {}, source)
        for name, given in (data.get("behaviors") or {}).items()
    }
    images = dict(data.get("images") or {})
    tags = tuple((rule["contains"], rule["behavior"]) for rule in data.get("tags") or [])
    for used in [*images.values(), *(name for _, name in tags)]:
        if used not in behaviors:
            raise ReleasesError(f"{source}: behaviour {used!r} is used but not described")
    programs = tuple(_carried(rule, source) for rule in data.get("programs") or [])
    return Releases(behaviors, images, tags, programs)


def _carried(given: Mapping[str, Any], source: str) -> Carried:
    _check_keys(given, {item.name for item in fields(Carried)}, f"{source}: programs")
    if not given.get("image") or not given.get("program"):
        raise ReleasesError(f"{source}: programs: every rule needs an image and a program")
    return Carried(**given)


def _behavior(name: str, given: Mapping[str, Any], source: str) -> Behavior:
    _check_keys(given, _FIELDS, f"{source}: behaviors.{name}")
    values: dict[str, Any] = {
        key: tuple(value) if isinstance(value, list) else value for key, value in given.items()
    }
    behavior = Behavior(name=name, **values)
    if not 0 <= behavior.error_rate <= 1:
        raise ReleasesError(f"{source}: behaviors.{name}: error_rate must be between 0 and 1")
    return behavior


def _check_keys(given: Mapping[str, Any], known: set[str], where: str) -> None:
    unknown = sorted(set(given) - known)
    if unknown:
        words = ", ".join(sorted(known))
        raise ReleasesError(f"{where}: unknown key {unknown[0]!r}; known: {words}")
