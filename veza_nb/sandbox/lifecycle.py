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
from dataclasses import dataclass, replace
from pathlib import Path
from types import TracebackType
from typing import TYPE_CHECKING, Any, TypeVar

from veza_nb.sandbox import overlay, scenarios, seeding
from veza_nb.sandbox.apiserver.audit import AuditEntry
from veza_nb.sandbox.apiserver.client import Client
from veza_nb.sandbox.clock import Clock, check_speed
from veza_nb.sandbox.detached import AUDIT, HEALTHY, ClusterError, Running, down, status, up
from veza_nb.sandbox.metrics.port import MetricsPort
from veza_nb.sandbox.nodes.frontdoor import FrontDoor
from veza_nb.sandbox.plane import VERSION, ControlPlane
from veza_nb.sandbox.saving import snapshots
from veza_nb.sandbox.saving.snapshots import Snapshot
from veza_nb.sandbox.scenarios import Scenario
from veza_nb.sandbox.serving import credentials
from veza_nb.sandbox.serving.credentials import Credentials
from veza_nb.sandbox.serving.server import Server
from veza_nb.sandbox.steering import operations
from veza_nb.sandbox.steering.control import Control, ControlError
from veza_nb.sandbox.steering.controlport import ControlPort
from veza_nb.sandbox.steering.faultoperations import Faults, offer_faults
from veza_nb.sandbox.steering.users import Users, offer_users

if TYPE_CHECKING:
    from veza_nb.sandbox.monitoring import Monitoring
from veza_nb.sandbox.streaming.containers import Containers
from veza_nb.sandbox.streaming.serving import Streaming

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

_START_SECONDS = 60.0
_STEP_SECONDS = 600.0
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
        controlled: whether other processes may ask it things, through a control port.
        stepped: whether its time stands still until it is told to go on.
        snapshot: what to bring back instead of playing a scenario; brings its own scenario.
        prometheus: port of a real Prometheus that watches it, 0 for a free one; None: without.

    Raises:
        ValueError: no clock can have such a speed.
    """

    directory: Path
    scenario: str = HEALTHY
    speed: float = 1.0
    version: str = VERSION
    inject: bool = True
    controlled: bool = False
    stepped: bool = False
    snapshot: Snapshot | None = None
    prometheus: int | None = None

    def __post_init__(self) -> None:
        check_speed(self.speed, stepped=self.stepped)

    def clock(self) -> Clock:
        """A clock for such a cluster."""
        return Clock(speed=self.speed, stepped=self.stepped)

    def restored(self, snapshot: Snapshot | None) -> Options:
        """The same, with the state and the scenario of a snapshot; its fault comes when called."""
        if snapshot is None:
            return self
        return replace(self, scenario=snapshot.scenario.name, inject=False, snapshot=snapshot)


class Cluster:
    """A whole cluster inside a running loop: control plane, HTTPS server, HTTP addresses, files.

    Attributes:
        control: the operations that it offers; parts of it register theirs.
        port: where other processes find these.
        metrics: where a Prometheus finds what the cluster measures.
    """

    def __init__(self, clock: Clock, options: Options) -> None:
        self.options = options
        saved = options.snapshot
        self.scenario: Scenario = saved.scenario if saved else scenarios.load(options.scenario)
        self._injected = saved.injected if saved else False
        self._credentials = Credentials()
        self.plane = ControlPlane(
            clock=clock,
            releases=saved.releases if saved else None,
            access=self._credentials.access(),
            version=options.version,
            root_certificate=self._credentials.ca_pem.decode(),
        )
        self._server = Server(self.plane.api, self._credentials, clock)
        self._server.streaming = Streaming(
            Containers(
                self.plane.kubelet, self.plane.client("system:node", "kubelet"), self.plane.logs
            ),
            self.plane.kubelet.endpoints,
        )
        self._door = FrontDoor(
            clock,
            self.plane.informers,
            self.plane.kubelet,
            self.plane.logs,
            credentials.NAMESPACE,
        )
        self.control = Control()
        self.port = ControlPort(self.control)
        self.control.on("inject", self._inject)
        self.metrics = MetricsPort(self.plane.measures)
        self._monitoring = _monitoring(options)
        offer_faults(self.control, self._server.edge)
        access = self.plane.api.core.access
        offer_users(self.control, Users(self._credentials, access, clock, self._publish))
        operations.offer_time(self.control, clock)
        operations.offer_snapshots(self.control, self.snapshot)

    @property
    def url(self) -> str:
        """Of the API server."""
        return self._server.url

    @property
    def endpoints(self) -> Mapping[str, str]:
        """Service to its HTTP address."""
        return self._door.urls

    @property
    def prometheus(self) -> str:
        """Its address; empty when there is none."""
        return self._monitoring.prometheus if self._monitoring is not None else ""

    @property
    def alertmanager(self) -> str:
        """Its address; empty when there is none."""
        return self._monitoring.alertmanager if self._monitoring is not None else ""

    async def start(self) -> None:
        """Play the history or bring the saved state back, then answer; no fault is put in."""
        directory, saved = self.options.directory, self.options.snapshot
        if saved is None:
            await self.plane.start()
            await seeding.play_history(self.plane, self.scenario)
        else:
            snapshots.restore(self.plane, saved, self._credentials.ca_pem.decode())
            await self.plane.start()
        audit = directory / AUDIT
        audit.unlink(missing_ok=True)
        self.plane.audit_from_now_on(audit)
        self.plane.expire_events_from_now_on()
        await self._server.start()
        await self._door.open()
        self.plane.spawn(self._door.run())
        await self.metrics.start()
        if self._monitoring is not None:
            await self._monitoring.start(self.metrics.address)
        if self.options.controlled:
            await self.port.start()
        write_access(directory, self.url, self._credentials)
        text = overlay.catalog(
            self.endpoints, self.prometheus, self.alertmanager, self.scenario.catalog
        )
        (directory / "veza.yaml").write_text(text, "utf-8")

    def _publish(self) -> None:
        write_access(self.options.directory, self.url, self._credentials)

    async def inject(self) -> None:
        """Let the scenario's fault happen; return when it shows."""
        self._injected = True
        await seeding.inject(self.plane, self.scenario)

    def snapshot(self) -> Snapshot:
        """The state of everything at this moment."""
        return snapshots.take(self.plane, self.scenario, injected=self._injected)

    async def _inject(self, arguments: dict[str, Any]) -> dict[str, Any]:
        """Let the fault of this scenario, or of another one, happen; say what it was."""
        wanted = arguments.get("scenario")
        scenario = scenarios.load(str(wanted)) if wanted else self.scenario
        fault = scenario.fault
        if fault is None and not scenario.later:
            raise ControlError(
                f"the scenario {scenario.name} has no fault; name one that has (of most "
                "scenarios the fault is there from the start: up --scenario NAME)"
            )
        try:
            self._injected = self._injected or scenario == self.scenario
            await seeding.inject(self.plane, scenario)
        except (seeding.FaultNotSeenError, scenarios.ScenarioError) as error:
            raise ControlError(str(error)) from error
        return {"scenario": scenario.name, "image": fault.image if fault else "its fault"}

    async def stop(self) -> None:
        """End everything; safe after a start that failed half way."""
        if self._monitoring is not None:
            self._monitoring.stop()
        await self.metrics.stop()
        await self.port.stop()
        await self._server.stop()
        await self._door.close()
        await self.plane.stop()


def _monitoring(options: Options) -> Monitoring | None:
    """What watches the cluster; its module is loaded only for those who want it."""
    if options.prometheus is None:
        return None
    from veza_nb.sandbox.monitoring import Monitoring  # noqa: PLC0415

    return Monitoring(options.directory, options.prometheus)


def write_access(directory: Path, url: str, made: Credentials) -> None:
    """Write the kubeconfig, with everybody who may come."""
    kubeconfig = directory / "kubeconfig"
    credentials.write_kubeconfig(kubeconfig, url, made.ca_pem, made.tokens, made.certificates)


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
        faults: what goes wrong with its API server.
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
        self.faults = Faults(self.perform)

    @classmethod
    def start(
        cls,
        *,
        scenario: str | None = None,
        directory: Path | None = None,
        speed: float = 1.0,
        version: str = VERSION,
        inject: bool = True,
        stepped: bool = False,
        snapshot: Snapshot | Path | None = None,
        prometheus: bool = False,
    ) -> TrainingCluster:
        """Start a cluster; return when it answers and the scenario's fault shows.

        Args:
            scenario: name or file; None is a healthy cluster.
            directory: for its files; None is a temporary one, removed at the end.
            speed: cluster seconds per real second.
            version: what the server says it is.
            inject: False leaves the fault to `inject`.
            stepped: the clock stands still until `step` moves it.
            snapshot: what to bring back, or its file, instead of playing a scenario; a fault
                that was not in then is left to `inject`.
            prometheus: with a real Prometheus and Alertmanager that watch it.

        Raises:
            ScenarioError: there is no such scenario.
            SnapshotError: the snapshot cannot be read.
            ValueError: no such speed, or a scenario together with a snapshot.
            ClusterError: it does not come up.
        """
        if scenario is not None and snapshot is not None:
            raise ValueError("a snapshot brings its own scenario")
        saved = Snapshot.load(snapshot) if isinstance(snapshot, Path) else snapshot
        check_speed(speed, stepped=stepped)
        place = directory or Path(tempfile.mkdtemp(prefix="veza-training-"))
        place.mkdir(mode=0o700, parents=True, exist_ok=True)
        options = Options(
            place,
            scenario or HEALTHY,
            speed,
            version,
            inject,
            stepped=stepped,
            prometheus=0 if prometheus else None,
        ).restored(saved)
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
    def metrics(self) -> str:
        """Address of what the cluster measures."""
        return self._cluster.metrics.url

    @property
    def prometheus(self) -> str:
        """Address of Prometheus; empty when there is none."""
        return self._cluster.prometheus

    @property
    def alertmanager(self) -> str:
        """Address of Alertmanager; empty when there is none."""
        return self._cluster.alertmanager

    @property
    def scenario(self) -> Scenario:
        """What is being played."""
        return self._cluster.scenario

    def audit(self) -> list[AuditEntry]:
        """Every request since the history was played, oldest first."""
        return self.call(lambda _: list(self._cluster.plane.api.audit.entries))

    def perform(self, operation: str, arguments: dict[str, Any]) -> Any:
        """Do one of the operations that `control.ask` lets other processes do.

        Raises:
            ControlError: it is refused.
        """
        return self._await(self._cluster.control.perform(operation, arguments))

    def inject(self) -> None:
        """Let the scenario's fault happen; return when it shows."""
        self._await(self._cluster.inject())

    def step(self, seconds: float) -> None:
        """Let a stepped cluster live so many seconds; return when it has come to rest.

        Raises:
            ValueError: it is not a stepped one, or this is no number of seconds.
        """
        self._await(self._cluster.plane.clock.step(seconds), _STEP_SECONDS)

    def snapshot(self) -> Snapshot:
        """The state of everything at this moment, to be saved or started from."""

        async def take() -> Snapshot:
            return self._cluster.snapshot()

        return self._await(take())

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

    def _await(self, work: Coroutine[Any, Any, T], seconds: float = _START_SECONDS) -> T:
        assert self._loop is not None
        future = asyncio.run_coroutine_threadsafe(work, self._loop)
        return future.result(seconds)

    def _run(self) -> None:
        clock = self._options.clock()
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
