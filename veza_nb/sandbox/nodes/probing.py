"""What the probes of one run of a container do to it."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass

from veza_nb.sandbox.apimachinery.status import Json
from veza_nb.sandbox.clock import Clock
from veza_nb.sandbox.nodes.containers import Container
from veza_nb.sandbox.nodes.host import Timers
from veza_nb.sandbox.nodes.probes import LIVENESS, READINESS, STARTUP, Probe, Target


@dataclass(frozen=True, slots=True)
class Consequences:
    """Who is told.

    Attributes:
        unhealthy: of every failure, in words.
        changed: when the container's status has changed.
        started: when the container counts as started, after a startup probe.
        must_restart: of the kind of probe that wants the container restarted, and its spec.
    """

    unhealthy: Callable[[str], None]
    changed: Callable[[], None]
    started: Callable[[], None]
    must_restart: Callable[[str, Json], None]


@dataclass(frozen=True, slots=True)
class Probing:
    """The probes of one run.

    Attributes:
        container: whose readiness they decide.
        target: whom they ask.
        since: when the run began, in the clock's monotonic seconds.
        clock: the cluster's time.
        timers: of the container.
        consequences: who is told.
    """

    container: Container
    target: Target
    since: float
    clock: Clock
    timers: Timers
    consequences: Consequences

    def begin(self) -> None:
        """Begin with the startup probe, or at once with the others."""
        spec = self.target.container.get("startupProbe")
        if spec is None or self.container.started:
            self._serve()
        else:
            self._probe(STARTUP, spec, self._startup_turned).begin(self._age)

    @property
    def _age(self) -> float:
        return self.clock.monotonic() - self.since

    def _serve(self) -> None:
        """The container counts as started: from here on readiness and liveness matter."""
        spec, container = self.target.container, self.container
        container.started = True
        if "readinessProbe" in spec:
            probe = self._probe(READINESS, spec["readinessProbe"], self._readiness_turned)
            probe.passing = container.ready or None
            probe.begin(self._age)
        else:
            container.ready = True
        if "livenessProbe" in spec:
            self._probe(LIVENESS, spec["livenessProbe"], self._liveness_turned).begin(self._age)

    def _probe(self, kind: str, spec: Json, turned: Callable[[bool], None]) -> Probe:
        failed = self.consequences.unhealthy
        return Probe(kind, spec, self.target, self.since, self.clock, self.timers, failed, turned)

    def _startup_turned(self, passing: bool) -> None:
        if not passing:
            self.consequences.must_restart("startup", self.target.container["startupProbe"])
            return
        self._serve()
        self.consequences.changed()
        self.consequences.started()

    def _readiness_turned(self, passing: bool) -> None:
        if self.container.running and self.container.ready is not passing:
            self.container.ready = passing
            self.consequences.changed()

    def _liveness_turned(self, passing: bool) -> None:
        if not passing:
            self.consequences.must_restart("liveness", self.target.container["livenessProbe"])
