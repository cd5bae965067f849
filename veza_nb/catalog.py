"""The services file: which workload a service is, where it answers, what is expected of it.

One YAML file describes an application. `extends: veza` starts from the built-in one and
overrides single values. Unknown keys, wrong types, doubled keys and dangling references are
refused with the file's line: a typo in an expectation must not pass as "no expectation".
"""

import os
import re
from collections.abc import Iterator, Mapping
from datetime import datetime
from pathlib import Path
from typing import Annotated, Any, Literal, TypeVar

import msgspec

from veza_nb.catalogfile import MEND, CatalogFile
from veza_nb.dependencies import below, find_cycle
from veza_nb.errors import CatalogError, NotFoundError
from veza_nb.typed import convert
from veza_nb.vocabulary import WorkloadKind
from veza_nb.words import clock_time, utc

BUILT_IN = Path(__file__).with_name("data") / "veza.yaml"


_MIGRATE = ("migrate", "-path", "/migrations", "-database", "$(DATABASE_URL)")


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


class GitOps(_Section, frozen=True):
    """What may be done to the tool that brings the application to what Git says.

    Attributes:
        pause: whether an undo may pause it first: an Argo CD Application's automated sync, or a
            Flux Kustomization or HelmRelease. It stays paused until somebody resumes it.
        argocd_namespace: where Applications are, as far as the Deployment does not tell.
        flux_namespace: the same for Kustomizations and HelmReleases; only `rbac` needs it.
        heal_seconds: how long after an undo it has surely come by; 0 takes what it says itself.
        wait_seconds: verification waits no longer than that for it.
    """

    pause: bool = False
    argocd_namespace: Annotated[str, msgspec.Meta(min_length=1)] = "argocd"
    flux_namespace: Annotated[str, msgspec.Meta(min_length=1)] = "flux-system"
    heal_seconds: Annotated[float, msgspec.Meta(ge=0, le=86400)] = 0.0
    wait_seconds: Annotated[float, msgspec.Meta(ge=0, le=86400)] = 180.0


class SchemaNeeds(_Section, frozen=True):
    """Where a release says which database schema it works with; one of these.

    Attributes:
        annotation: of its pod template.
        label: of its pod template.
        env: plain variable of one of its containers.
    """

    annotation: str = ""
    label: str = ""
    env: str = ""


class SchemaHas(_Section, frozen=True):
    """Where the database's schema version is told; a ConfigMap or a URL.

    Attributes:
        configmap: name, in the service's namespace; whoever migrates writes it.
        key: in it.
        url: of an answer in JSON; a path is below the service's `url`.
        field: in that answer; dots lead downwards.
    """

    configmap: str = ""
    key: str = "version"
    url: str = ""
    field: str = "version"


class Schema(_Section, frozen=True):
    """How to know whether a release can work with the database as it is."""

    needs: SchemaNeeds
    has: SchemaHas


class Migration(_Section, frozen=True):
    """How the service's database goes back with it: commands of a Job in the service's image.

    In them `{steps}` and `{version}` are filled in by the kit, `$(NAME)` by Kubernetes, from the
    container's own variables. The defaults are golang-migrate's command line.

    Attributes:
        down: takes back so many migrations.
        goto: brings the schema to a version, either way: the way back of a way down.
        version: prints the schema's version, and `dirty` where one was left half done.
        backup: takes a backup first; none where a person has to say that there is one.
        image: that has the migrations; "" takes the live release's: the older one may not have
            the files that lead down.
        container: whose settings are taken; "" takes the first.
        labels: of the Job's pod, as network policies may ask for.
        timeout_seconds: of each Job.
    """

    down: Annotated[tuple[str, ...], msgspec.Meta(min_length=1)] = (*_MIGRATE, "down", "{steps}")
    goto: Annotated[tuple[str, ...], msgspec.Meta(min_length=1)] = (*_MIGRATE, "goto", "{version}")
    version: Annotated[tuple[str, ...], msgspec.Meta(min_length=1)] = (*_MIGRATE, "version")
    backup: tuple[str, ...] = ()
    image: str = ""
    container: str = ""
    labels: dict[str, str] = {}
    timeout_seconds: Annotated[float, msgspec.Meta(gt=0, le=86400)] = 300.0


class Backing(_Section, frozen=True):
    """Something that a service needs and that is no service of the catalogue: its database.

    Attributes:
        kind: "service" is judged by its endpoints.
        name: of the object.
        namespace: "" takes the service's.
    """

    kind: Literal["deployment", "statefulset", "daemonset", "service"]
    name: Annotated[str, msgspec.Meta(min_length=1)]
    namespace: str = ""


class Nearby(_Section, frozen=True):
    """A neighbour of a service, as the catalogue knows it.

    Attributes:
        role: "needed" by the service, "dependent" on it, or "other".
        kind: as kubectl spells it.
        name: of the object.
        namespace: where it is.
    """

    role: Literal["needed", "dependent", "other"]
    kind: str
    name: str
    namespace: str

    def __str__(self) -> str:
        return f"{self.kind}/{self.name}"


class Service(_Section, frozen=True):
    """One service of the application.

    Attributes:
        namespace: "" takes the catalogue's.
        kind: of its workload: Deployment, StatefulSet or DaemonSet.
        workload: the workload's name; "" takes the service's name.
        selector: label selector of its pods; "" takes the workload's own.
        url: base URL, no slash at the end; "" where it is not known.
        external_url: a page that users need, asked as they would ask it; answers 200.
        health: path of the health endpoint; "" with no endpoints says: it speaks no HTTP.
        endpoints: critical endpoints.
        metrics: name to the number that Prometheus has for it.
        alerts: labels that the service's alerts carry.
        depends_on: services that must be well before this one can be.
        backing: what else must be: a database, a queue.
        nearby: its neighbours; filled in from the whole catalogue, not in the file.
        gitops: instead of the catalogue's.
        schema: how to know whether the database's schema fits; None where nobody says.
        migration: how its database goes back with it; None where it has none.
    """

    namespace: str = ""
    kind: WorkloadKind = WorkloadKind.DEPLOYMENT
    workload: str = ""
    selector: str = ""
    url: str = ""
    external_url: str = ""
    health: str = "/health"
    endpoints: tuple[Endpoint, ...] = ()
    metrics: dict[str, Measure] = {}
    alerts: dict[str, str] = {}
    depends_on: tuple[str, ...] = ()
    backing: tuple[Backing, ...] = ()
    nearby: tuple[Nearby, ...] = ()
    gitops: GitOps | None = None
    schema: Schema | None = None
    migration: Migration | None = None

    @property
    def speaks_http(self) -> bool:
        """Whether it is expected to answer; silence is missing data then, not a pass."""
        return bool(self.health or self.endpoints)


class Smoke(_Section, frozen=True):
    """A command that tries the service once the rollout is through.

    Attributes:
        name: letters, digits, dots, dashes and underscores.
        command: the program and its arguments; no shell. A relative path is relative to the
            catalogue's folder.
        timeout_seconds: after that it is killed, with all that it started.
        services: those that it tries; none names all.
        env: names of variables that are passed on to it, besides the usual ones.
    """

    name: Annotated[str, msgspec.Meta(pattern=r"^[A-Za-z0-9][A-Za-z0-9._-]{0,63}$")]
    command: Annotated[tuple[str, ...], msgspec.Meta(min_length=1)]
    timeout_seconds: Annotated[float, msgspec.Meta(gt=0, le=3600)] = 60.0
    services: tuple[str, ...] = ()
    env: tuple[str, ...] = ()


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
        smoke: commands that try it once the rollout is through.
        require_users: without a word on whether users can access the platform, from its
            external URL or from a person, the verdict stays open.
        max_steps: undos that one incident may do: more than 1 goes back further where the
            revision before is bad too.
    """

    look_seconds: Annotated[float, msgspec.Meta(ge=0, le=3600)] = 20.0
    rollout_seconds: Annotated[float, msgspec.Meta(gt=0, le=86400)] = 300.0
    soak_seconds: Annotated[float, msgspec.Meta(ge=0, le=86400)] = 30.0
    interval_seconds: Annotated[float, msgspec.Meta(gt=0, le=3600)] = 1.0
    samples: Annotated[int, msgspec.Meta(ge=3, le=100)] = 5
    probe_seconds: Annotated[float, msgspec.Meta(gt=0, le=600)] = 3.0
    settle_seconds: Annotated[float, msgspec.Meta(ge=0, le=3600)] = 120.0
    smoke: tuple[Smoke, ...] = ()
    require_users: bool = False
    max_steps: Annotated[int, msgspec.Meta(ge=1, le=20)] = 1


class Hint(_Section, frozen=True):
    """What a finding means.

    Attributes:
        means: one clause, no full stop.
        cure: whether going back to an older revision helps; "" where that is no question.
        look: where to look, or what to do, one clause.
        see: the notebook and its section that help: "40-troubleshoot, pods not starting".
    """

    means: Annotated[str, msgspec.Meta(min_length=1)]
    cure: Literal["yes", "maybe", "no", ""] = ""
    look: str = ""
    see: str = ""


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
    gitops: GitOps = GitOps()
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
            nearby=tuple(self._nearby(name, found, namespace)),
            gitops=found.gitops or self.gitops,
        )

    def _nearby(self, name: str, service: Service, namespace: str) -> Iterator[Nearby]:
        """What the service needs, then what needs it, then the rest."""
        depends_on = {one: each.depends_on for one, each in self.services.items()}
        needs, home = below(name, depends_on), namespace or service.namespace or self.namespace
        for backing in service.backing:
            place = backing.namespace or home
            yield Nearby(role="needed", kind=backing.kind, name=backing.name, namespace=place)
        others = [one for one in self.services if one != name]
        for one in sorted(others, key=lambda other: other not in needs):
            other, dependent = self.services[one], name in below(one, depends_on)
            yield Nearby(
                role="needed" if one in needs else "dependent" if dependent else "other",
                kind=other.kind.word,
                name=other.workload or one,
                namespace=namespace or other.namespace or self.namespace,
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
    _check_smoke(document, catalog)
    for name, service in catalog.services.items():
        if service.nearby:
            raise document.wrong(("services", name, "nearby"), "unknown key 'nearby'")
        for key in ("url", "external_url"):
            url = getattr(service, key)
            if url and not re.match(r"https?://[^/]", url):
                at = ("services", name, key)
                raise document.wrong(at, f"{key} of {name} is not http:// or https://")
        if service.schema is not None:
            _check_schema(document, name, service, service.schema)


def _check_smoke(document: CatalogFile, catalog: Catalog) -> None:
    seen: set[str] = set()
    for number, test in enumerate(catalog.verify.smoke):
        at = ("verify", "smoke", number)
        if test.name in seen:
            raise document.wrong((*at, "name"), f"there are two smoke tests {test.name!r}")
        seen.add(test.name)
        for name in test.services:
            if name not in catalog.services:
                raise document.wrong((*at, "services"), f"{name!r} is not a service")


def _check_schema(document: CatalogFile, name: str, service: Service, schema: Schema) -> None:
    """Exactly one source on each side, and one that can be asked."""
    at: tuple[str, ...] = ("services", name, "schema")
    needs, has = schema.needs, schema.has
    if sum(map(bool, (needs.annotation, needs.label, needs.env))) != 1:
        raise document.wrong((*at, "needs"), "`needs` takes one of annotation, label and env")
    if bool(has.configmap) == bool(has.url):
        raise document.wrong((*at, "has"), "`has` takes either configmap or url")
    whole = re.match(r"https?://[^/]", has.url) or (has.url.startswith("/") and service.url)
    if has.url and not whole:
        why = "url is not http:// or https://, nor a path below the service's own url"
        raise document.wrong((*at, "has", "url"), why)


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
