"""The life of one container: prepared, started, probed, ended, started again."""

from __future__ import annotations

from veza_nb.sandbox.apimachinery.status import Json
from veza_nb.sandbox.apiserver.logs import LogQuery
from veza_nb.sandbox.controllers.events import NORMAL, WARNING
from veza_nb.sandbox.nodes import adoption, commands, environment, imitations, stopping
from veza_nb.sandbox.nodes.backoff import (
    FORGIVEN_SECONDS,
    back_off_seconds,
    nominal_back_off,
)
from veza_nb.sandbox.nodes.behaviors import Behavior
from veza_nb.sandbox.nodes.commands import NotCarriedError
from veza_nb.sandbox.nodes.containers import CREATING, INITIALIZING, LOST, Container, Exit, Role
from veza_nb.sandbox.nodes.context import Context, Pod
from veza_nb.sandbox.nodes.environment import ConfigError
from veza_nb.sandbox.nodes.host import Host
from veza_nb.sandbox.nodes.imitations import Imitation
from veza_nb.sandbox.nodes.preparing import Preparation
from veza_nb.sandbox.nodes.probes import Target
from veza_nb.sandbox.nodes.probing import Consequences, Probing
from veza_nb.sandbox.nodes.programrun import ProgramRun
from veza_nb.sandbox.nodes.programs import Process

_FIRST_RESTART_SECONDS = 0.2
_BROKEN_START_SECONDS = 0.3
_START_ERROR = 128
_MESSAGE_BYTES, _MESSAGE_LINES = 2048, 80
_DEFAULT_GRACE = 30
# The first process of a container gets no signals that it does not ask for, and a `sleep` or a
# shell does not ask.
_IMITATED = Behavior("imitated", ignores_sigterm=True, sigterm_lines=())


class ContainerWorker:
    """Works on one container of a pod.

    Attributes:
        container: its state.
    """

    __slots__ = ("_acting", "_at", "_began", "_program", "container")

    def __init__(self, host: Host, pod: Pod, container: Container) -> None:
        self.container = container
        self._at = Context(host, pod, container)
        self._acting = container.behavior
        self._began = 0.0
        self._program: ProgramRun | None = None

    @property
    def process(self) -> Process | None:
        """The real program that runs in it, if one does."""
        return None if self._program is None else self._program.process

    @property
    def is_busy(self) -> bool:
        """Whether something runs that must be ended."""
        return self.container.running

    @property
    def is_fresh(self) -> bool:
        """Whether nothing at all has been done about it."""
        waiting = self.container.state.get("waiting", {}).get("reason", "")
        return not self.container.runs and waiting in ("", CREATING, INITIALIZING)

    def drop(self) -> None:
        """Forget everything; what runs is killed."""
        self._at.timers.cancel()
        if self._program is not None:
            self._program.abandon()

    # -- after a restart of the kubelet --------------------------------------------------------

    def adopt(self, entry: Json) -> None:
        """Go on with a container that a status tells of."""
        container, clock = self.container, self._at.host.clock
        adoption.take_over(container, entry)
        if container.running:
            age = adoption.age(container, clock.now(), clock.rate)
            self._began = clock.monotonic() - age
            self._at.later(0.0, lambda: self._go_on_running(age))
        elif adoption.is_backing_off(container):
            left = adoption.back_off_left(container, clock.now(), clock.rate)
            self._at.later(left, self.begin)

    def _go_on_running(self, age: float) -> None:
        at = self._at
        try:
            env = environment.of(at.pod.item, at.spec, at.host.read, at.pod.address)
            command = self._command(env)
        except (ConfigError, NotCarriedError):
            # It was there when the container was made.
            env, command = {}, None
        if command is not None:
            # The process was a child of a kubelet that is gone.
            self._end(LOST)
            return
        self._behave(env, age)
        self._begin_probes()

    def resume(self) -> None:
        """Begin, unless it runs, is over or waits for its next turn."""
        container = self.container
        if container.running or container.is_over or adoption.is_backing_off(container):
            return
        if container.terminated is not None:
            self.restart()
        else:
            self.begin()

    # -- to life -------------------------------------------------------------------------------

    def begin(self) -> None:
        """Prepare the container, then start it."""
        Preparation(self._at, self._start).pull()

    def _start(self, env: dict[str, str]) -> None:
        at, name, behavior = self._at, self.container.name, self.container.behavior
        at.event(NORMAL, "Created", f"Created container: {name}")
        if behavior.start_error:
            self._cannot_start(commands.start_error(behavior.start_error))
            return
        try:
            command = self._command(env)
        except NotCarriedError as error:
            self._cannot_start(str(error))
            return
        at.event(NORMAL, "Started", f"Started container {name}")
        self._began = at.host.clock.monotonic()
        self.container.run(at.host.clock.now())
        if command is not None:
            self._run_program(command, env)
        else:
            self._behave(env)
        self._begin_probes()
        at.pod.publish()
        if self.container.started:
            at.pod.started(self.container)

    def _cannot_start(self, message: str) -> None:
        """The container exists, its process does not: a run that ends before it begins."""
        at, container = self._at, self.container
        at.event(WARNING, "Failed", f"Error: {message}")
        container.end(at.uid, Exit(_START_ERROR, "StartError", message), at.host.clock.now())
        if container.is_over:
            at.pod.ended(container)
            return
        at.wait("RunContainerError", message)
        container.failures += 1
        at.later(back_off_seconds(container.failures), self.begin)

    def _command(self, env: dict[str, str]) -> list[str] | None:
        """The real program that is to run, with its arguments; None: the release acts.

        Raises:
            NotCarriedError: the image has no such program.
        """
        carried = self._at.host.releases.carried_by(self.container.image)
        if carried is None or self.container.restart_policy == "Always":
            return None
        return commands.program_of(carried, self._at.spec, env)

    def _run_program(self, argv: list[str], env: dict[str, str]) -> None:
        self._program = ProgramRun(
            self._at.host,
            argv,
            {"HOSTNAME": self._at.pod.item["metadata"]["name"], **env},
            writable=bool(self._at.spec.get("stdin")),
            on_line=self._at.print_line,
            on_end=self._end,
        )

    def _behave(self, env: dict[str, str], age: float = 0.0) -> None:
        """Let the release act, or imitate a small command, from an age on."""
        spec, behavior = self._at.spec, self.container.behavior
        words = [*(spec.get("command") or ()), *(spec.get("args") or ())]
        known = imitations.imitate([environment.expand(word, env) for word in words])
        if known is not None:
            self._imitate(known, age)
            return
        image, name = self.container.image, self.container.name
        is_sidecar = self.container.role is Role.SIDECAR
        self._at.host.endpoints.open(
            self._at.uid, name, image, behavior, age, is_sidecar=is_sidecar
        )
        if not age:
            self._at.print(behavior.startup)
        missing = [name for name in behavior.needs_env if name not in env]
        if missing:
            lines = tuple(
                f"fatal: required environment variable {name} is not set" for name in missing
            )
            self._end_at(_BROKEN_START_SECONDS - age, lines, Exit(1))
        elif behavior.runs_seconds is not None:
            reason = behavior.exit_reason if behavior.exit_code else "Completed"
            ended = Exit(behavior.exit_code, reason, behavior.termination_message)
            self._end_at(behavior.runs_seconds - age, behavior.last_words, ended)

    def _imitate(self, known: Imitation, age: float) -> None:
        self._acting = _IMITATED
        if not age:
            for line in known.lines:
                self._at.print_line(line)
        if known.seconds is not None:
            self._end_at(known.seconds - age, (), Exit(known.code))

    # -- probes --------------------------------------------------------------------------------

    def _begin_probes(self) -> None:
        at, host, behavior = self._at, self._at.host, self.container.behavior
        target = Target(host.endpoints, at.uid, at.pod.address, at.spec, behavior)
        told = Consequences(
            lambda message: at.event(WARNING, "Unhealthy", message),
            at.pod.publish,
            lambda: at.pod.started(self.container),
            self._fail_probe,
        )
        Probing(self.container, target, self._began, host.clock, at.timers, told).begin()

    def _fail_probe(self, kind: str, probe: Json) -> None:
        """A probe wants the container restarted."""
        message = f"Container {self.container.name} failed {kind} probe, will be restarted"
        spec = self._at.pod.item["spec"]
        grace = spec.get("terminationGracePeriodSeconds", _DEFAULT_GRACE)
        self.stop(probe.get("terminationGracePeriodSeconds", grace), message)

    # -- to the end, and from there ------------------------------------------------------------

    def stop(self, grace: float, message: str = "") -> float:
        """End what runs: preStop, SIGTERM, and SIGKILL when the grace is over.

        Args:
            grace: seconds for all of that.
            message: what the event says; by default that it is being stopped.

        Returns:
            How many seconds it will take; for a real program: may take.
        """
        at, behavior = self._at, self._acting
        at.timers.cancel()
        if not self.container.running:
            return 0.0
        at.event(NORMAL, "Killing", message or f"Stopping container {self.container.name}")
        stop = stopping.schedule(at.spec, float(grace))
        if self._program is not None:
            at.later(stop.term, self._program.terminate)
            at.later(stop.kill, self._program.kill)
            return stop.kill
        age = at.host.clock.monotonic() - self._began + stop.term
        ends, how = stopping.reaction(behavior, stop, age)
        at.later(stop.term, lambda: at.print(behavior.sigterm_lines))
        self._end_at(ends, (), how)
        return ends

    def _end_at(self, seconds: float, lines: tuple[str, ...], how: Exit) -> None:
        """End after so many seconds, with last words."""

        def end() -> None:
            self._at.print(lines)
            self._end(how)

        self._at.later(max(seconds, 0.0), end)

    def _end(self, how: Exit) -> None:
        """The process is gone."""
        at, container = self._at, self.container
        at.timers.cancel()
        self._program = None
        at.host.endpoints.close(at.uid, container.name)
        at.host.logs.end(at.uid, container.name, container.restarts)
        message = how.message or self._fallback_message(how)
        container.end(at.uid, Exit(how.code, how.reason, message), at.host.clock.now())
        at.pod.ended(container)

    def _fallback_message(self, how: Exit) -> str:
        """The end of the log, when the spec wants that as the message of a failed run."""
        at = self._at
        if at.spec.get("terminationMessagePolicy") != "FallbackToLogsOnError" or not how.code:
            return ""
        name, run = self.container.name, self.container.restarts
        text = at.host.logs.read(at.uid, name, run, LogQuery(tail=_MESSAGE_LINES))
        return text[-_MESSAGE_BYTES:].decode("utf-8", "replace")

    def restart(self) -> None:
        """Start the ended container again: at once the first time, then with back-off."""
        at, container = self._at, self.container
        if at.host.clock.monotonic() - self._began >= FORGIVEN_SECONDS:
            container.failures = 0
        if container.failures == 0:
            container.failures = 1
            at.pod.publish()
            at.later(_FIRST_RESTART_SECONDS, self.begin)
            return
        metadata = at.pod.item["metadata"]
        where = f"{metadata['name']}_{metadata['namespace']}({metadata['uid']})"
        words = f"Back-off restarting failed container {container.name} in pod {where}"
        at.event(WARNING, "BackOff", words)
        nominal = nominal_back_off(container.failures)
        at.wait(
            "CrashLoopBackOff",
            f"back-off {nominal} restarting failed container={container.name} pod={where}",
        )
        seconds = back_off_seconds(container.failures)
        container.failures += 1
        at.later(seconds, self.begin)
