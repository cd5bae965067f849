"""The training cluster as a whole: in a thread of this process, or in a process of its own.

`TrainingCluster` is for tests and drills. `up`, `status` and `down` (from `detached`) handle one
process per state directory; the process is `python -m veza_nb.sandbox`.
"""

from __future__ import annotations

import asyncio
import shutil
import tempfile
import threading
from collections.abc import Callable, Coroutine, Mapping
from concurrent.futures import Future
from dataclasses import dataclass
from pathlib import Path
from types import TracebackType
from typing import Any, TypeVar

import yaml

from veza_nb.sandbox import credentials, scenarios, seeding
from veza_nb.sandbox.apiserver.audit import AuditEntry
from veza_nb.sandbox.apiserver.client import Client
from veza_nb.sandbox.clock import Clock
from veza_nb.sandbox.credentials import Credentials
from veza_nb.sandbox.detached import HEALTHY, ClusterError, Running, down, status, up
from veza_nb.sandbox.nodes.frontdoor import FrontDoor
from veza_nb.sandbox.plane import VERSION, ControlPlane
from veza_nb.sandbox.scenarios import Scenario
from veza_nb.sandbox.server import Server

__all__ = [
    "Cluster",
    "ClusterError",
    "Options",
    "Running",
    "TrainingCluster",
    "down",
    "serve",
    "status",
    "up",
]

T = TypeVar("T")

AUDIT = "audit.jsonl"
_START_SECONDS = 60.0
_STOP_SECONDS = 5.0


@dataclass(frozen=True, slots=True)
class Options:
    """How to start a cluster.

    Attributes:
        directory: where its files go; made if missing.
        scenario: name of a scenario, or the path of its file.
        speed: cluster seconds per real second.
        version: what the server says it is.
        inject: whether the scenario's fault comes with the start.
    """

    directory: Path
    scenario: str = HEALTHY
    speed: float = 1.0
    version: str = VERSION
    inject: bool = True


class Cluster:
    """A whole cluster inside a running loop: control plane, HTTPS server, HTTP addresses, files."""

    def __init__(self, clock: Clock, options: Options) -> None:
        self.options = options
        self.scenario: Scenario = scenarios.load(options.scenario)
        self._credentials = Credentials()
        self.plane = ControlPlane(
            clock=clock,
            access=self._credentials.access(),
            version=options.version,
            root_certificate=self._credentials.ca_pem.decode(),
        )
        self._server = Server(self.plane.api, self._credentials)
        self._door = FrontDoor(
            clock,
            self.plane.informers,
            self.plane.kubelet,
            self.plane.logs,
            credentials.NAMESPACE,
        )

    @property
    def url(self) -> str:
        """Of the API server."""
        return self._server.url

    @property
    def endpoints(self) -> Mapping[str, str]:
        """Service to its HTTP address."""
        return self._door.urls

    async def start(self) -> None:
        """Play the history, then answer; the fault is not in yet."""
        directory = self.options.directory
        await self.plane.start()
        await seeding.play_history(self.plane, self.scenario)
        audit = directory / AUDIT
        audit.unlink(missing_ok=True)
        self.plane.audit_from_now_on(audit)
        self.plane.expire_events_from_now_on()
        await self._server.start()
        await self._door.open()
        self.plane.spawn(self._door.run())
        write_files(directory, self.url, self._credentials, self.endpoints)

    async def inject(self) -> None:
        """Let the scenario's fault happen; return when it shows."""
        await seeding.inject(self.plane, self.scenario)

    async def stop(self) -> None:
        """End everything; safe after a start that failed half way."""
        await self._server.stop()
        await self._door.close()
        await self.plane.stop()


def write_files(directory: Path, url: str, made: Credentials, endpoints: Mapping[str, str]) -> None:
    """Write the kubeconfig and the catalogue that point to this cluster."""
    credentials.write_kubeconfig(directory / "kubeconfig", url, made.ca_pem, made.tokens)
    catalog = {
        "extends": "veza",
        "services": {name: {"url": address} for name, address in endpoints.items()},
        "verify": {"soak_seconds": 2, "interval_seconds": 0.25},
    }
    (directory / "veza.yaml").write_text(yaml.safe_dump(catalog, sort_keys=False), "utf-8")


class TrainingCluster:
    """A cluster in a thread of its own; a context manager that stops it.

    Attributes:
        url: of the API server.
        kubeconfig: file with the contexts `veza-training`, `…-nobody` and `…-bot`.
        catalog: overlay of the kit's catalogue, with the addresses of the Services.
        context: the administrator's context.
        namespace: where Veza runs.
        endpoints: Service to its HTTP address.
        scenario: what is being played.
    """

    context = credentials.CLUSTER
    namespace = credentials.NAMESPACE

    def __init__(self, options: Options, *, temporary: bool = False) -> None:
        self._options = options
        self._temporary = temporary
        self._ready: Future[Cluster] = Future()
        self._stopping: asyncio.Event | None = None
        self._loop: asyncio.AbstractEventLoop | None = None
        self._thread = threading.Thread(target=self._run, name="veza-training", daemon=True)
        self.kubeconfig = options.directory / "kubeconfig"
        self.catalog = options.directory / "veza.yaml"

    @classmethod
    def start(
        cls,
        *,
        scenario: str | None = None,
        directory: Path | None = None,
        speed: float = 1.0,
        version: str = VERSION,
        inject: bool = True,
    ) -> TrainingCluster:
        """Start a cluster; return when it answers and the scenario's fault shows.

        Args:
            scenario: name or file; None is a healthy cluster.
            directory: for its files; None is a temporary one, removed at the end.
            speed: cluster seconds per real second.
            version: what the server says it is.
            inject: False leaves the fault to `inject`.

        Raises:
            ScenarioError: there is no such scenario.
            ClusterError: it does not come up.
        """
        place = directory or Path(tempfile.mkdtemp(prefix="veza-training-"))
        place.mkdir(mode=0o700, parents=True, exist_ok=True)
        options = Options(place, scenario or HEALTHY, speed, version, inject)
        cluster = cls(options, temporary=directory is None)
        cluster._thread.start()
        try:
            cluster._ready.result(_START_SECONDS)
        except BaseException:
            cluster.stop()
            raise
        return cluster

    def __enter__(self) -> TrainingCluster:
        return self

    def __exit__(
        self,
        kind: type[BaseException] | None,
        error: BaseException | None,
        trace: TracebackType | None,
    ) -> None:
        self.stop()

    @property
    def url(self) -> str:
        """Of the API server."""
        return self._cluster.url

    @property
    def endpoints(self) -> Mapping[str, str]:
        """Service to its HTTP address."""
        return self._cluster.endpoints

    @property
    def scenario(self) -> Scenario:
        """What is being played."""
        return self._cluster.scenario

    def audit(self) -> list[AuditEntry]:
        """Every request since the history was played, oldest first."""
        return self.call(lambda _: list(self._cluster.plane.api.audit.entries))

    def inject(self) -> None:
        """Let the scenario's fault happen; return when it shows."""
        self._await(self._cluster.inject())

    def call(self, work: Callable[[Client], T]) -> T:
        """Run a function inside the loop with an administrator's client; return its result."""

        async def act() -> T:
            return work(self._cluster.plane.client("admin", "tests"))

        return self._await(act())

    def stop(self) -> None:
        """End the cluster and remove its temporary files; may be called again."""
        if self._loop is not None and self._stopping is not None and self._thread.is_alive():
            self._loop.call_soon_threadsafe(self._stopping.set)
        self._thread.join(_STOP_SECONDS)
        if self._thread.is_alive():
            raise ClusterError(f"the training cluster did not stop within {_STOP_SECONDS:.0f} s")
        if self._temporary:
            shutil.rmtree(self._options.directory, ignore_errors=True)

    @property
    def _cluster(self) -> Cluster:
        return self._ready.result(0)

    def _await(self, work: Coroutine[Any, Any, T]) -> T:
        assert self._loop is not None
        future = asyncio.run_coroutine_threadsafe(work, self._loop)
        return future.result(_START_SECONDS)

    def _run(self) -> None:
        clock = Clock(speed=self._options.speed)
        with asyncio.Runner(loop_factory=clock.new_event_loop) as runner:
            self._loop = runner.get_loop()
            runner.run(self._main(clock))

    async def _main(self, clock: Clock) -> None:
        self._stopping = asyncio.Event()
        try:
            await serve(clock, self._options, self._ready.set_result, self._stopping)
        except BaseException as error:
            if self._ready.done():
                raise
            self._ready.set_exception(error)


async def serve(
    clock: Clock,
    options: Options,
    ready: Callable[[Cluster], None],
    stopping: asyncio.Event,
    answering: Callable[[Cluster], None] = lambda _: None,
) -> None:
    """Run a cluster until `stopping` is set.

    Args:
        clock: of the running loop.
        options: what to start.
        ready: called when the scenario's state is reached.
        stopping: set from outside.
        answering: called as soon as the server answers.
    """
    cluster = Cluster(clock, options)
    try:
        await cluster.start()
        answering(cluster)
        if options.inject:
            await cluster.inject()
        ready(cluster)
        await stopping.wait()
    finally:
        await cluster.stop()
