"""The catalogue of releases: how a container behaves, told by the name of its image.

Data, not code: `data/releases.yaml` names behaviours, the images that have them, and rules for all
other images by what their tag contains. An image that nothing is said about is good.
"""

from __future__ import annotations

import hashlib
from collections.abc import Mapping
from dataclasses import dataclass, field, fields, replace
from functools import cache
from importlib import resources
from pathlib import Path
from typing import Any

import yaml


class ReleasesError(ValueError):
    """The catalogue of releases is not what it should be; the message names the place."""


@dataclass(frozen=True, slots=True)
class Behavior:
    """How a container acts. All times in seconds.

    Attributes:
        name: as the catalogue calls it.
        pulls: whether the image exists in its registry.
        pull_seconds: how long a pull takes; 0 means the node has the image already.
        start_seconds: from "container created" to "running".
        ready_seconds: from running to ready; None means never.
        runs_seconds: from running to its end; None means for ever.
        exit_code: with which it ends.
        exit_reason: "Error", "OOMKilled" or "Completed".
        error_rate: share of requests answered with 500, 0 to 1 (health checks excepted).
        latency_seconds: how long an answer takes.
        startup: lines it prints at its start.
        last_words: lines it prints at its end.
        error_line: what it prints when it answers 500.
        probe_failure: what its readiness probe says while it is not ready.
    """

    name: str = "good"
    pulls: bool = True
    pull_seconds: float = 0.0
    start_seconds: float = 0.1
    ready_seconds: float | None = 0.3
    runs_seconds: float | None = None
    exit_code: int = 0
    exit_reason: str = "Error"
    error_rate: float = 0.0
    latency_seconds: float = 0.0
    startup: tuple[str, ...] = ()
    last_words: tuple[str, ...] = ()
    error_line: str = ""
    probe_failure: str = "HTTP probe failed with statuscode: 503"


_FIELDS = {item.name for item in fields(Behavior)} - {"name"}


@dataclass(frozen=True)
class Releases:
    """What is known about images.

    Attributes:
        behaviors: by name.
        images: name of the behaviour, by full image.
        tags: `(fragment, behaviour)`, the first whose fragment the tag contains counts.
    """

    behaviors: Mapping[str, Behavior] = field(default_factory=dict)
    images: Mapping[str, str] = field(default_factory=dict)
    tags: tuple[tuple[str, str], ...] = ()

    def of(self, image: str) -> Behavior:
        """How a container with that image behaves."""
        name = self.images.get(image)
        if name is None:
            tag = tag_of(image)
            name = next((name for fragment, name in self.tags if fragment in tag), "good")
        return self.behaviors.get(name, _GOOD)

    def with_behavior(self, image: str, name: str) -> Releases:
        """The same catalogue, where that image has the behaviour of that name."""
        if name not in self.behaviors:
            raise ReleasesError(f"unknown behaviour {name!r}; known: {', '.join(self.behaviors)}")
        return replace(self, images={**self.images, image: name})


_GOOD = Behavior()


def tag_of(image: str) -> str:
    """The tag of an image, "latest" where there is none."""
    name = image.split("@", 1)[0].rsplit("/", 1)[-1]
    return name.split(":", 1)[1] if ":" in name else "latest"


def repository_of(image: str) -> str:
    """The image without tag and digest."""
    name = image.split("@", 1)[0]
    head, slash, last = name.rpartition("/")
    return head + slash + last.split(":", 1)[0]


def image_id(image: str) -> str:
    """The image by digest, as a container's status shows it; the same for the same image."""
    digest = hashlib.sha256(image.encode()).hexdigest()
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
    if not isinstance(data, dict) or set(data) - {"behaviors", "images", "tags"}:
        raise ReleasesError(f"{source}: expected the keys behaviors, images, tags")
    behaviors = {
        name: _behavior(name, given or {}, source)
        for name, given in (data.get("behaviors") or {}).items()
    }
    images = dict(data.get("images") or {})
    tags = tuple((rule["contains"], rule["behavior"]) for rule in data.get("tags") or [])
    for used in [*images.values(), *(name for _, name in tags)]:
        if used not in behaviors:
            raise ReleasesError(f"{source}: behaviour {used!r} is used but not described")
    return Releases(behaviors, images, tags)


def _behavior(name: str, given: Mapping[str, Any], source: str) -> Behavior:
    unknown = sorted(set(given) - _FIELDS)
    if unknown:
        known = ", ".join(sorted(_FIELDS))
        raise ReleasesError(
            f"{source}: behaviors.{name}: unknown key {unknown[0]!r}; known: {known}"
        )
    values: dict[str, Any] = {
        key: tuple(value) if isinstance(value, list) else value for key, value in given.items()
    }
    behavior = Behavior(name=name, **values)
    if not 0 <= behavior.error_rate <= 1:
        raise ReleasesError(f"{source}: behaviors.{name}: error_rate must be between 0 and 1")
    return behavior
