"""The services file: which workload a service is, where it answers, what is expected of it.

One YAML file describes an application. `extends: veza` starts from the built-in one and
overrides single values. Unknown keys, wrong types, doubled keys and dangling references are
refused with the file's line: a typo in an expectation must not pass as "no expectation".
"""

import os
import re
from collections.abc import Mapping
from datetime import datetime
from pathlib import Path
from typing import Annotated, Any, Literal, TypeVar

import msgspec

from veza_nb.catalogfile import MEND, CatalogFile
from veza_nb.dependencies import find_cycle
from veza_nb.errors import CatalogError, NotFoundError
from veza_nb.typed import convert
from veza_nb.words import clock_time, utc

BUILT_IN = Path(__file__).with_name("data") / "veza.yaml"


class _Section(msgspec.Struct, frozen=True, forbid_unknown_fields=True, kw_only=True):
    """Base: immutable, unknown keys refused."""


class Endpoint(_Section, frozen=True):
    """An endpoint that users need.

    Attributes:
        path: path below the service's `url`, from "/" on.
        status: the HTTP status of a good answer.
        max_seconds: a slower answer does not count as good.
    """

    path: Annotated[str, msgspec.Meta(pattern="^/")]
    status: Annotated[int, msgspec.Meta(ge=100, le=599)] = 200
    max_seconds: Annotated[float, msgspec.Meta(gt=0, le=600)] = 1.0


class Measure(_Section, frozen=True, rename={"limit": "max"}):
    """A number of the service, as Prometheus knows it.

    Attributes:
        query: PromQL that gives one number, the larger the worse.
        limit: `max` in the file: a larger value is bad.
        tolerance: up to so many times the value before the rollout counts as normal.
    """

    query: Annotated[str, msgspec.Meta(min_length=1)]
    limit: Annotated[float, msgspec.Meta(ge=0)]
    tolerance: Annotated[float, msgspec.Meta(ge=1, le=1000)] = 2.0


class Monitoring(_Section, frozen=True):
    """Where the application is monitored; "" where it is not.

    Attributes:
        prometheus: base URL, no slash at the end.
        alertmanager: base URL, no slash at the end.
        token_env: name of the environment variable that holds a bearer token.
        timeout_seconds: of one question.
    """

    prometheus: str = ""
    alertmanager: str = ""
    token_env: str = ""
    timeout_seconds: Annotated[float, msgspec.Meta(gt=0, le=600)] = 5.0


class Service(_Section, frozen=True):
    """One service of the application.

    Attributes:
        namespace: "" takes the catalogue's.
        workload: name of the Deployment; "" takes the service's name.
        selector: label selector of its pods; "" takes the Deployment's own.
        url: base URL, no slash at the end; "" where it is not known.
        health: path of the health endpoint; "" with no endpoints says: it speaks no HTTP.
        endpoints: critical endpoints.
        metrics: name to the number that Prometheus has for it.
        alerts: labels that the service's alerts carry.
        depends_on: services that must be well before this one can be.
    """

    namespace: str = ""
    workload: str = ""
    selector: str = ""
    url: str = ""
    health: str = "/health"
    endpoints: tuple[Endpoint, ...] = ()
    metrics: dict[str, Measure] = {}
    alerts: dict[str, str] = {}
    depends_on: tuple[str, ...] = ()

    @property
    def speaks_http(self) -> bool:
        """Whether it is expected to answer; silence is missing data then, not a pass."""
        return bool(self.health or self.endpoints)


class Verify(_Section, frozen=True):
    """How recovery is judged.

    Attributes:
        look_seconds: how long detection looks again at a rollout that has only begun.
        rollout_seconds: deadline of the rollout after the undo.
        soak_seconds: how long it must hold before it counts.
        interval_seconds: between two probes during the soak.
        samples: requests per endpoint when it is probed once.
        probe_seconds: deadline of one probe.
        settle_seconds: how long numbers and alerts may take to become normal after the soak:
            they look back over minutes.
    """

    look_seconds: Annotated[float, msgspec.Meta(ge=0, le=3600)] = 20.0
    rollout_seconds: Annotated[float, msgspec.Meta(gt=0, le=86400)] = 300.0
    soak_seconds: Annotated[float, msgspec.Meta(ge=0, le=86400)] = 30.0
    interval_seconds: Annotated[float, msgspec.Meta(gt=0, le=3600)] = 1.0
    samples: Annotated[int, msgspec.Meta(ge=3, le=100)] = 5
    probe_seconds: Annotated[float, msgspec.Meta(gt=0, le=600)] = 3.0
    settle_seconds: Annotated[float, msgspec.Meta(ge=0, le=3600)] = 120.0


class Hint(_Section, frozen=True):
    """What a finding means.

    Attributes:
        means: one clause, no full stop.
        cure: whether going back to an older revision helps; "" where that is no question.
        look: where to look, or what to do, one clause.
    """

    means: Annotated[str, msgspec.Meta(min_length=1)]
    cure: Literal["yes", "maybe", "no", ""] = ""
    look: str = ""


class Freeze(_Section, frozen=True, rename={"begin": "from", "end": "to"}):
    """A time in which nothing is to be changed without a reason of its own.

    Attributes:
        begin: `from` in the file: from then on.
        end: `to` in the file: until then.
        reason: shown to whoever wants to change something.
    """

    begin: datetime
    end: datetime
    reason: str = "no reason given"


class Approving(_Section, frozen=True):
    """Who may approve.

    Attributes:
        two_people: the approver must be somebody else than the operator.
    """

    two_people: bool = False


class Catalog(_Section, frozen=True, kw_only=True):
    """A whole services file.

    `source` is where it was read from; `groups` are services that are rolled back together.
    """

    namespace: str = "default"
    services: dict[str, Service]
    verify: Verify = Verify()
    monitoring: Monitoring = Monitoring()
    groups: dict[str, tuple[str, ...]] = {}
    freeze: tuple[Freeze, ...] = ()
    approval: Approving = Approving()
    hints: dict[str, Hint] = {}
    source: str = ""

    def frozen(self, now: datetime) -> str:
        """Why changes are frozen at that moment; "" where they are not."""
        for one in self.freeze:
            if utc(one.begin) <= utc(now) < utc(one.end):
                return f"{one.reason} (until {clock_time(one.end)})"
        return ""

    def service(self, name: str, *, namespace: str = "") -> Service:
        """The service of that name, with its defaults filled in.

        Args:
            name: as in `services`.
            namespace: instead of the catalogue's, where it is not "".

        Raises:
            NotFoundError: no such service; names those that exist.
        """
        found = self.services.get(name)
        if found is None:
            raise NotFoundError(
                f"The catalogue {self.source} has no service {name!r}.",
                next_step=f"It has: {', '.join(sorted(self.services))}.",
            )
        return msgspec.structs.replace(
            found,
            namespace=namespace or found.namespace or self.namespace,
            workload=found.workload or name,
        )


def load_catalog(path: str | Path | None = None) -> Catalog:
    """Read a catalogue.

    Args:
        path: the file; None or "" takes the built-in one.

    Raises:
        CatalogError: the file cannot be read or is wrong; the message has file and line.
    """
    try:
        return _load(Path(path) if path else BUILT_IN)
    except RecursionError as error:
        raise CatalogError(
            f"{path}:1: this file refers to itself, or is nested too deeply.", next_step=MEND
        ) from error


def usual_catalog(path: str) -> Catalog:
    """The catalogue at that path; with none $VEZA_CATALOG's, and without that the built-in one."""
    return load_catalog(path or os.environ.get("VEZA_CATALOG", ""))


def _load(path: Path) -> Catalog:
    document = CatalogFile.read(path)
    data = document.data
    if data.pop("extends", None) is not None:
        data = _merged(CatalogFile.read(BUILT_IN).data, data)
    catalog = _typed(document, data)
    _check_references(document, catalog)
    return catalog


_T = TypeVar("_T")
_PATH = re.compile(r"\[(\d+)\]|\.?([^.\[\]$]+)")


def _merged(base: Mapping[str, Any], over: Mapping[str, Any]) -> dict[str, Any]:
    """`over` laid on `base`, mapping by mapping; lists and scalars replace."""
    result = dict(base)
    for key, value in over.items():
        below = result.get(key)
        if isinstance(below, dict) and isinstance(value, dict):
            value = _merged(below, value)  # noqa: PLW2901 - the merged value takes its place
        result[key] = value
    return result


def _typed(document: CatalogFile, data: dict[str, Any]) -> Catalog:
    services = data.get("services")
    if not isinstance(services, dict) or not services:
        raise document.wrong(("services",), "`services` must name at least one service")
    typed = {
        str(name): _convert(document, section if section is not None else {}, Service, name)
        for name, section in services.items()
    }
    rest = {key: value for key, value in data.items() if key != "services"}
    whole = _convert(document, {**rest, "services": {}, "source": str(document.path)}, Catalog)
    return msgspec.structs.replace(whole, services=typed)


def _convert(document: CatalogFile, data: object, kind: type[_T], service: str = "") -> _T:
    prefix: tuple[str | int, ...] = ("services", service) if service else ()
    try:
        return convert(data, kind)
    except msgspec.ValidationError as error:
        message, _, where = str(error).partition(" - at ")
        path = prefix + _steps(where.strip("`"))
        unknown = re.search(r"unknown field `([^`]*)`", message)
        if unknown:
            path = (*path, unknown.group(1))
            message = f"unknown key {unknown.group(1)!r}"
        raise document.wrong(path, message[0].lower() + message[1:]) from error


def _steps(path: str) -> tuple[str | int, ...]:
    return tuple(int(index) if index else name for index, name in _PATH.findall(path))


def _check_references(document: CatalogFile, catalog: Catalog) -> None:
    for key in ("prometheus", "alertmanager"):
        url = getattr(catalog.monitoring, key)
        if url and not re.match(r"https?://[^/]", url):
            raise document.wrong(("monitoring", key), f"{key} is not http:// or https://")
    for number, freeze in enumerate(catalog.freeze):
        if utc(freeze.end) <= utc(freeze.begin):
            raise document.wrong(("freeze", number, "to"), "a freeze ends after it begins")
    _check_dependencies(document, catalog)
    for name, service in catalog.services.items():
        if service.url and not re.match(r"https?://[^/]", service.url):
            at = ("services", name, "url")
            raise document.wrong(at, f"url of {name} is not http:// or https://")


def _check_dependencies(document: CatalogFile, catalog: Catalog) -> None:
    for name, service in catalog.services.items():
        for other in service.depends_on:
            if other not in catalog.services:
                at = ("services", name, "depends_on")
                raise document.wrong(at, f"{name} depends on {other!r}, which is not a service")
    for group, names in catalog.groups.items():
        for name in names:
            if name not in catalog.services:
                raise document.wrong(
                    ("groups", group), f"the group {group} has {name!r}, which is not a service"
                )
    circle = find_cycle({name: one.depends_on for name, one in catalog.services.items()})
    if circle:
        at = ("services", circle[0], "depends_on")
        raise document.wrong(at, f"these depend on each other: {' → '.join(circle)}")
