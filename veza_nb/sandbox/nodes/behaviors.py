"""How a container can act: the vocabulary of the catalogue of releases."""

from __future__ import annotations

from dataclasses import dataclass


@dataclass(frozen=True, slots=True)
class Behavior:
    """How a container acts. All times in seconds, ages from the moment it runs.

    Attributes:
        name: as the catalogue calls it.
        pulls: whether the image exists in its registry.
        pull_seconds: how long a pull takes; 0 means the node has the image already.
        start_seconds: from "container created" to "running".
        start_error: why the runtime cannot start it; empty means it can.
        needs_env: environment variables without which it ends at once, with exit code 1.
        ready_seconds: age at which it answers its readiness checks; None means never.
        unready_after_seconds: age from which it fails them again; None means never.
        unready_seconds: for how long it fails them then; None means for ever.
        broken_after_seconds: age from which every request is answered with 500, liveness
            checks too; None means never.
        hangs_after_seconds: age from which it takes connections and answers nothing, nor reacts
            to SIGTERM; None means never.
        runs_seconds: age at which it ends; None means it runs for ever.
        exit_code: with which it ends.
        exit_reason: "Error", "OOMKilled" or "Completed".
        stop_seconds: from SIGTERM to its end.
        sigterm_exit_code: with which it ends after SIGTERM.
        ignores_sigterm: whether only SIGKILL ends it.
        termination_message: what it leaves as its termination message when it ends.
        error_rate: share of requests answered with 500, 0 to 1 (health checks excepted).
        latency_seconds: how long an answer takes.
        cpu_factor: how often the usual computing time an answer takes.
        memory_factor: how often the usual memory it holds.
        startup: lines it prints at its start.
        last_words: lines it prints at its end.
        sigterm_lines: lines it prints at SIGTERM.
        error_line: what it prints when it answers 500.
    """

    name: str = "good"
    pulls: bool = True
    pull_seconds: float = 0.0
    start_seconds: float = 0.1
    start_error: str = ""
    needs_env: tuple[str, ...] = ()
    ready_seconds: float | None = 0.3
    unready_after_seconds: float | None = None
    unready_seconds: float | None = None
    broken_after_seconds: float | None = None
    hangs_after_seconds: float | None = None
    runs_seconds: float | None = None
    exit_code: int = 0
    exit_reason: str = "Error"
    stop_seconds: float = 0.3
    sigterm_exit_code: int = 0
    ignores_sigterm: bool = False
    termination_message: str = ""
    error_rate: float = 0.0
    latency_seconds: float = 0.0
    cpu_factor: float = 1.0
    memory_factor: float = 1.0
    startup: tuple[str, ...] = ()
    last_words: tuple[str, ...] = ()
    sigterm_lines: tuple[str, ...] = ('level=info msg="shutting down" signal=SIGTERM',)
    error_line: str = ""

    def is_ready(self, age: float) -> bool:
        """Whether it answers its readiness checks at that age."""
        if self.ready_seconds is None or age < self.ready_seconds:
            return False
        if self.unready_after_seconds is None or age < self.unready_after_seconds:
            return True
        return (
            self.unready_seconds is not None
            and age >= self.unready_after_seconds + self.unready_seconds
        )

    def is_broken(self, age: float) -> bool:
        """Whether every request is answered with 500 at that age."""
        return self.broken_after_seconds is not None and age >= self.broken_after_seconds

    def hangs(self, age: float) -> bool:
        """Whether nothing is answered at that age."""
        return self.hangs_after_seconds is not None and age >= self.hangs_after_seconds

    def next_change(self, age: float) -> float | None:
        """The next age at which a check may come out differently; None: never again."""
        back = None
        if self.unready_after_seconds is not None and self.unready_seconds is not None:
            back = self.unready_after_seconds + self.unready_seconds
        ages = (
            self.ready_seconds,
            self.unready_after_seconds,
            back,
            self.broken_after_seconds,
            self.hangs_after_seconds,
        )
        return min((each for each in ages if each is not None and each > age), default=None)
