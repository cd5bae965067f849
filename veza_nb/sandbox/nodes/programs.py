"""Real programs that containers may run: those of a table, and no others.

A container's command names a program of the table; nothing that a pod's spec says is ever run as
a program of the machine. Each runs as a process group of its own that dies with the cluster.
"""

from __future__ import annotations

import asyncio
import json
import os
import signal
import sys
import tempfile
from collections.abc import AsyncIterator, Callable, Mapping, Sequence
from contextlib import suppress
from dataclasses import dataclass
from pathlib import Path

_SANDBOX = Path(__file__).parent.parent
_TETHER, _HANDED = _SANDBOX / "tether.py", _SANDBOX / "handed.py"
PROGRAMS: Mapping[str, Path] = {"migrate": _SANDBOX / "programs" / "migrate.py"}
"""Name to the script that is run."""

Output = Callable[[str, bytes], object]
"""Told "stdout" or "stderr", and what was printed there."""

_CHUNK = 65_536
_LONGEST_LINE = 16_384
_SIGNAL_BASE = 128
# What would let a pod's environment steer the loader or the interpreter instead of the program.
_RESERVED = ("LD_", "DYLD_", "PYTHON", "GLIBC_", "MALLOC_", "BASH_")
_OWN = ("PATH", "HOME", "IFS", "ENV", "SHELL", "TMPDIR")


class UnknownProgramError(LookupError):
    """There is no program of that name in the table."""


@dataclass(slots=True)
class Process:
    """A program that runs; always `wait` for it."""

    _process: asyncio.subprocess.Process

    @classmethod
    async def start(
        cls,
        argv: Sequence[str],
        env: Mapping[str, str],
        cwd: str = "/",
        *,
        writable: bool = False,
    ) -> Process:
        """Start a program of the table.

        Args:
            argv: its name, then its arguments.
            env: of the container; what could steer the machine's own tools is left out.
            cwd: where it runs.
            writable: whether it gets a standard input, see `write`.

        Raises:
            UnknownProgramError: there is no such program.
        """
        script = PROGRAMS.get(argv[0])
        if script is None:
            raise UnknownProgramError(f"unknown program {argv[0]!r}; known: {', '.join(PROGRAMS)}")
        # Not on the command line: everybody on this machine can read that.
        with tempfile.TemporaryFile("w+", encoding="utf-8") as file:
            json.dump(argv[1:], file)
            file.seek(0)
            process = await asyncio.create_subprocess_exec(
                *(sys.executable, "-I", "-S", str(_TETHER), str(os.getpid())),
                *(sys.executable, "-I", "-u", str(_HANDED), str(file.fileno()), str(script)),
                stdin=asyncio.subprocess.PIPE if writable else asyncio.subprocess.DEVNULL,
                stdout=asyncio.subprocess.PIPE,
                stderr=asyncio.subprocess.PIPE,
                env=_environment(env),
                cwd=cwd,
                start_new_session=True,
                pass_fds=(file.fileno(),),
            )
        return cls(process)

    def write(self, data: bytes) -> None:
        """Type something; without data: say that nothing more comes."""
        if self._process.stdin is None:
            return
        if data:
            self._process.stdin.write(data)
        else:
            self._process.stdin.close()

    def terminate(self) -> None:
        """Ask it to end."""
        self._signal(signal.SIGTERM)

    def kill(self) -> None:
        """End it and all that it started."""
        self._signal(signal.SIGKILL)

    async def wait(self, on_output: Output) -> int:
        """Pass on what it prints until it ends; return its exit code, 128 + n for signal n.

        A caller that is cancelled takes the program with it.
        """
        readers = [
            _read("stdout", self._process.stdout, on_output),
            _read("stderr", self._process.stderr, on_output),
        ]
        try:
            await asyncio.gather(*readers)
            code = await self._process.wait()
        except BaseException:
            self.kill()
            await self._process.wait()
            raise
        self.kill()  # Whatever it started and left behind.
        return code if code >= 0 else _SIGNAL_BASE - code

    def _signal(self, number: int) -> None:
        with suppress(ProcessLookupError):
            os.killpg(self._process.pid, number)


async def run(
    argv: Sequence[str],
    env: Mapping[str, str],
    cwd: str = "/",
    stdin: AsyncIterator[bytes] | None = None,
    on_output: Output = lambda _stream, _data: None,
) -> int:
    """Run a program of the table to its end; return its exit code.

    Args:
        argv: its name, then its arguments.
        env: of the container.
        cwd: where it runs.
        stdin: what is typed, as it comes; None: nothing.
        on_output: told of what it prints, as it comes.

    Raises:
        UnknownProgramError: there is no such program.
    """
    process = await Process.start(argv, env, cwd, writable=stdin is not None)
    typing = None if stdin is None else asyncio.ensure_future(_type(process, stdin))
    try:
        return await process.wait(on_output)
    finally:
        if typing is not None:
            typing.cancel()
            await asyncio.gather(typing, return_exceptions=True)


async def _type(process: Process, stdin: AsyncIterator[bytes]) -> None:
    async for data in stdin:
        if data:
            process.write(data)
    process.write(b"")


async def _read(name: str, pipe: asyncio.StreamReader | None, on_output: Output) -> None:
    assert pipe is not None
    while data := await pipe.read(_CHUNK):
        on_output(name, data)


def _environment(env: Mapping[str, str]) -> dict[str, str]:
    allowed = {
        name: value
        for name, value in env.items()
        if name not in _OWN and not name.startswith(_RESERVED) and "\0" not in name + value
    }
    path = os.environ.get("PATH", os.defpath)
    return {**allowed, "PATH": path, "HOME": "/nonexistent", "LC_ALL": "C.UTF-8"}


class Lines:
    """Cuts what a program prints into lines; one that does not end is cut where it is too long."""

    def __init__(self, on_line: Callable[[str], object]) -> None:
        self._on_line = on_line
        self._rest: dict[str, bytes] = {}

    def __call__(self, stream: str, data: bytes) -> None:
        """Take what was printed."""
        *lines, rest = (self._rest.get(stream, b"") + data).split(b"\n")
        while len(rest) > _LONGEST_LINE:
            lines.append(rest[:_LONGEST_LINE])
            rest = rest[_LONGEST_LINE:]
        self._rest[stream] = rest
        for line in lines:
            self._on_line(line.decode("utf-8", "replace"))

    def end(self) -> None:
        """Nothing more comes: what has no line break yet is a line too."""
        for rest in self._rest.values():
            if rest:
                self._on_line(rest.decode("utf-8", "replace"))
        self._rest.clear()
