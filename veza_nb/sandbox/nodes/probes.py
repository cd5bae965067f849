"""Probes: what a kubelet asks a container, when, and what it makes of the answers.

A probe really asks the release's endpoint, at the times at which a kubelet's worker would. How a
release answers changes only at ages the catalogue names, so a probe whose answers are settled
sleeps until the next such age, or for ever: a pod that runs well costs nothing.
"""

from __future__ import annotations

import math
from collections.abc import Callable
from dataclasses import dataclass, field

from veza_nb.sandbox.apimachinery.status import Json
from veza_nb.sandbox.clock import Clock
from veza_nb.sandbox.nodes.behaviors import Behavior
from veza_nb.sandbox.nodes.endpoint import REFUSED, Answer, Endpoints
from veza_nb.sandbox.nodes.host import Timers
from veza_nb.sandbox.nodes.imitations import imitate
from veza_nb.sandbox.nodes.sites import HEALTH, LIVENESS_PATHS, READINESS_PATHS

READINESS, LIVENESS, STARTUP = "Readiness", "Liveness", "Startup"
_PERIOD, _TIMEOUT, _FAILURES = 10, 1, 3
_FIRST_SECONDS = 0.5
_LIVE = "/livez"
_SLACK = 1e-6


@dataclass(frozen=True, slots=True)
class Target:
    """Whom a probe asks.

    Attributes:
        endpoints: what listens in the pods.
        pod_uid: of the pod.
        address: of the pod.
        container: the part of the pod's spec.
        behavior: of the container.
    """

    endpoints: Endpoints
    pod_uid: str
    address: str
    container: Json
    behavior: Behavior


@dataclass(slots=True)
class Probe:
    """One probe of one run of a container.

    Attributes:
        kind: "Readiness", "Liveness" or "Startup".
        spec: the probe as the pod's spec has it.
        target: whom it asks.
        since: when the container began to run, in the clock's monotonic seconds.
        clock: the cluster's time.
        timers: of the container; cancelled when its run ends.
        failed: told of every failure in words.
        turned: told when the probe's verdict changes.
        passing: the verdict; None: nothing known yet.
    """

    kind: str
    spec: Json
    target: Target
    since: float
    clock: Clock
    timers: Timers
    failed: Callable[[str], None]
    turned: Callable[[bool], None]
    passing: bool | None = None
    successes: int = field(default=0)
    failures: int = field(default=0)

    def begin(self, age: float = 0.0) -> None:
        """Ask for the first time at the first turn from that age on."""
        delay = float(self.spec.get("initialDelaySeconds") or 0)
        self._ask_at(self._turn(max(age, delay)))

    def _ask_at(self, turn: int) -> None:
        age = self._phase + turn * self._period
        self.timers.at(self.since + age, lambda: self._ask(turn))

    def _ask(self, turn: int) -> None:
        problem = problem_of(self.spec, self.kind, self.target)
        if problem is None:
            self.successes, self.failures = self.successes + 1, 0
        else:
            self.successes, self.failures = 0, self.failures + 1
            self.failed(f"{self.kind} probe failed: {problem}")
        before = self.passing
        if problem is None and self.successes >= int(self.spec.get("successThreshold") or 1):
            self.passing = True
        elif problem is not None and self.failures >= self._most_failures:
            self.passing = False
        over = self.kind == STARTUP and self.passing is True
        if not over:
            self._go_on(turn, settled=problem is None and self.passing is True)
        if self.passing is not before and self.passing is not None:
            self.turned(self.passing)

    def _go_on(self, turn: int, *, settled: bool) -> None:
        """Ask again at the next turn; when settled, at the next turn that may differ."""
        if not settled or not is_steady(self.spec, self.target.behavior):
            self._ask_at(turn + 1)
            return
        age = self._phase + turn * self._period
        change = self.target.behavior.next_change(age + _SLACK)
        if change is not None:
            self._ask_at(max(turn + 1, self._turn(change)))

    def _turn(self, age: float) -> int:
        """The first turn at that age or later."""
        return max(0, math.ceil((age - self._phase) / self._period - _SLACK))

    @property
    def _period(self) -> float:
        return float(self.spec.get("periodSeconds") or _PERIOD)

    @property
    def _most_failures(self) -> int:
        return int(self.spec.get("failureThreshold") or _FAILURES)

    @property
    def _phase(self) -> float:
        """The age of the first turn.

        A kubelet's worker turns in a phase of its own. Here a turn falls on the moment at which
        the release gets ready, if that is soon.
        """
        ready = self.target.behavior.ready_seconds
        if ready is not None and ready < self._period:
            return ready
        return min(_FIRST_SECONDS, self._period)


def is_steady(spec: Json, behavior: Behavior) -> bool:
    """Whether the same question is answered the same until the release changes its mind."""
    request = spec.get("httpGet")
    if request is None or not behavior.error_rate:
        return True
    path = request.get("path") or "/"
    return path in READINESS_PATHS or path in LIVENESS_PATHS


def problem_of(spec: Json, kind: str, target: Target) -> str | None:
    """Ask once; None: all is well, else what is wrong, in a kubelet's words."""
    timeout = float(spec.get("timeoutSeconds") or _TIMEOUT)
    if "httpGet" in spec:
        return _http(spec["httpGet"], timeout, target)
    if "tcpSocket" in spec:
        return _tcp(spec["tcpSocket"], target)
    if "grpc" in spec:
        return _grpc(kind, timeout, target)
    return _exec(spec.get("exec") or {}, kind, timeout, target)


def _grpc(kind: str, timeout: float, target: Target) -> str | None:
    answer = _own_check(kind, target)
    if answer.seconds >= timeout:
        return f"timeout: failed to connect service within {timeout:.0f}s"
    return None if answer.status == 200 else 'service unhealthy (responded with "NOT_SERVING")'


def _exec(action: Json, kind: str, timeout: float, target: Target) -> str | None:
    """A command that is known ends as it would; any other asks the release how it is."""
    command: list[str] = action.get("command") or [""]
    known = imitate(command)
    answer = _own_check(kind, target)
    if answer.seconds >= timeout or (known is not None and (known.seconds or 0) >= timeout):
        return f'command timed out: "{" ".join(command)}" timed out after {timeout:.0f}s'
    if known is not None:
        return "\n".join(known.lines) if known.code else None
    return None if answer.status == 200 else f"{command[0]}: not ready"


def _own_check(kind: str, target: Target) -> Answer:
    """What a release says about itself to who does not ask for a page."""
    path = _LIVE if kind == LIVENESS else HEALTH
    return target.endpoints.answer(target.pod_uid, "GET", path, target.container["name"])


def _http(request: Json, timeout: float, target: Target) -> str | None:
    port = _port(request.get("port"), target.container)
    if port is None:
        return f"couldn't find port by name {request.get('port')!r}"
    path = request.get("path") or "/"
    path = path if path.startswith("/") else f"/{path}"
    host = request.get("host") or target.address
    url = f"{request.get('scheme', 'HTTP').lower()}://{host}:{port}{path}"
    if not _listens(port, target.container):
        return f'Get "{url}": dial tcp {host}:{port}: connect: connection refused'
    name = target.container["name"]
    answer = target.endpoints.answer(target.pod_uid, "GET", path.partition("?")[0], name)
    if answer.status == REFUSED:
        return f'Get "{url}": dial tcp {host}:{port}: connect: connection refused'
    if answer.seconds >= timeout:
        waited = "context deadline exceeded (Client.Timeout exceeded while awaiting headers)"
        return f'Get "{url}": {waited}'
    if answer.status >= 400:
        return f"HTTP probe failed with statuscode: {answer.status}"
    return None


def _tcp(socket: Json, target: Target) -> str | None:
    port = _port(socket.get("port"), target.container)
    host = socket.get("host") or target.address
    running = target.endpoints.age(target.pod_uid, target.container["name"]) is not None
    if port is None or not running or not _listens(port, target.container):
        return f"dial tcp {host}:{port}: connect: connection refused"
    return None


def _port(given: int | str | None, container: Json) -> int | None:
    """A port by number, or by the name that the container gives it."""
    if isinstance(given, int):
        return given
    if given is not None and given.isdigit():
        return int(given)
    ports = container.get("ports") or ()
    return next((each["containerPort"] for each in ports if each.get("name") == given), None)


def _listens(port: int, container: Json) -> bool:
    """Whether a release listens on a port: on those its spec names, on any when it names none."""
    ports = container.get("ports") or ()
    return not ports or any(each.get("containerPort") == port for each in ports)
