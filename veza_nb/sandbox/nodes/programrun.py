"""A real program as the process of a container: its lines are the log, its exit code the end."""

from __future__ import annotations

from collections.abc import Callable, Mapping, Sequence

from veza_nb.sandbox.nodes.containers import Exit
from veza_nb.sandbox.nodes.host import Host
from veza_nb.sandbox.nodes.programs import Lines, Process, UnknownProgramError

_CANNOT = 128


class ProgramRun:
    """One run.

    Args:
        host: spawns it.
        argv: name in the table of programs, then arguments.
        env: of the container.
        writable: whether it gets a standard input.
        on_line: told of every line.
        on_end: told of the end.

    Attributes:
        process: while it runs.
    """

    def __init__(
        self,
        host: Host,
        argv: Sequence[str],
        env: Mapping[str, str],
        *,
        writable: bool,
        on_line: Callable[[str], object],
        on_end: Callable[[Exit], object],
    ) -> None:
        self.process: Process | None = None
        self._on_line = on_line
        self._on_end = on_end
        # A signal that comes before the process is there must not be lost.
        self._terminated = self._killed = self._abandoned = False
        host.spawn(self._run(host, argv, env, writable=writable))

    def terminate(self) -> None:
        """Ask it to end."""
        self._terminated = True
        if self.process is not None:
            self.process.terminate()

    def kill(self) -> None:
        """End it and all that it started."""
        self._killed = True
        if self.process is not None:
            self.process.kill()

    def abandon(self) -> None:
        """End it; nobody is interested any more."""
        self._abandoned = True
        self.kill()

    async def _run(
        self, host: Host, argv: Sequence[str], env: Mapping[str, str], *, writable: bool
    ) -> None:
        lines = Lines(self._say)
        with host.clock.holding():
            try:
                self.process = await Process.start(argv, env, writable=writable)
                self._catch_up()
                ended = Exit(await self.process.wait(lines))
            except (OSError, UnknownProgramError) as error:
                ended = Exit(_CANNOT, "StartError", str(error))
            finally:
                self.process = None
        lines.end()
        if not self._abandoned:
            self._on_end(ended)

    def _catch_up(self) -> None:
        if self.process is not None and self._killed:
            self.process.kill()
        elif self.process is not None and self._terminated:
            self.process.terminate()

    def _say(self, line: str) -> None:
        if not self._abandoned:
            self._on_line(line)
