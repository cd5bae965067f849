"""What each service is asked for and what that costs it; from `data/traffic.yaml`."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from functools import cache
from importlib import resources
from typing import Any

import yaml

MIB = 1024 * 1024
_DEFAULT = "default"


@dataclass(frozen=True, slots=True)
class Route:
    """One thing that users ask for.

    Attributes:
        method: HTTP method.
        path: as metrics name it: a template, never a user's own text.
        share: of the service's requests, 0 to 1.
        seconds: median time of a good answer.
    """

    method: str
    path: str
    share: float
    seconds: float


@dataclass(frozen=True, slots=True)
class Profile:
    """The traffic of one service and the appetite of one of its processes.

    Attributes:
        rate: requests per second to the whole service.
        cpu: core-seconds that a request costs.
        idle: cores that a process takes without any request.
        memory: bytes that a process holds.
        routes: their shares sum up to 1.
    """

    rate: float
    cpu: float
    idle: float
    memory: float
    routes: tuple[Route, ...]


def profile(service: str) -> Profile:
    """The profile of a service; a modest one for those that nothing is said about."""
    known = _profiles()
    return known.get(service) or known[_DEFAULT]


@cache
def _profiles() -> Mapping[str, Profile]:
    text = resources.files("veza_nb.sandbox").joinpath("data/traffic.yaml").read_text("utf-8")
    return {name: _profile(given) for name, given in yaml.safe_load(text).items()}


def _profile(given: Mapping[str, Any]) -> Profile:
    whole = sum(route["share"] for route in given["routes"])
    routes = tuple(
        Route(route["method"], route["path"], route["share"] / whole, route["seconds"])
        for route in given["routes"]
    )
    return Profile(
        given["rate"], given["cpu"] / 1000, given["idle"] / 1000, given["memory"] * MIB, routes
    )
