"""Smoke tests: a command of the catalogue, run once the rollout is through.

In a process group of its own, with a time limit after which the whole group is killed, nothing
on its standard input, and of the environment only what the catalogue and this page name:
PATH, HOME, LANG, the variables in the test's `env`, and

    VEZA_SERVICE     name in the catalogue
    VEZA_NAMESPACE   where it runs
    VEZA_WORKLOAD    the workload's name
    VEZA_REVISION    number of the revision that was gone back to
    VEZA_URL         the service's URL; "" where the catalogue has none
    VEZA_INCIDENT    the incident's id
"""

import os
import selectors
import signal
import subprocess
from collections.abc import Mapping
from contextlib import suppress
from pathlib import Path
from typing import IO

from veza_nb.catalog import Service, Smoke
from veza_nb.clock import Clock, Deadline
from veza_nb.plans import Plan
from veza_nb.smokechecks import SmokeResult

KEPT = 65536
"""Bytes of the output that are kept, half of them from its beginning, half from its end."""
PASSED_ON = ("PATH", "HOME", "LANG")
_LOOK = 0.2
_PIECE = 65536


def variables_of(service: Service, service_name: str, plan: Plan) -> dict[str, str]:
    """The documented variables."""
    return {
        "VEZA_SERVICE": service_name,
        "VEZA_NAMESPACE": plan.namespace,
        "VEZA_WORKLOAD": plan.workload,
        "VEZA_REVISION": str(plan.to_revision),
        "VEZA_URL": service.url,
        "VEZA_INCIDENT": plan.incident,
    }


def run_smoke(
    test: Smoke, variables: Mapping[str, str], *, folder: Path, clock: Clock
) -> SmokeResult:
    """Run one smoke test to its end, or to its time limit; never raises for what it does.

    Args:
        test: of the catalogue.
        variables: from `variables_of`.
        folder: where it runs: relative paths in its command are relative to this.
        clock: for the time limit.
    """
    begun = clock.monotonic()
    names = (*PASSED_ON, *test.env)
    passed = {name: os.environ[name] for name in names if name in os.environ}
    output = _Kept()
    try:
        process = subprocess.Popen(
            test.command,
            stdin=subprocess.DEVNULL,
            stdout=subprocess.PIPE,
            stderr=subprocess.STDOUT,
            cwd=folder,
            env={**passed, **variables},
            start_new_session=True,
        )
    except OSError as error:
        return SmokeResult(test.name, test.command, 0.0, None, _why_not(error), "")
    code: int | None = None
    try:
        code = _follow(process, output, Deadline.after(clock, test.timeout_seconds))
    finally:
        _kill(process)
    seconds = max(clock.monotonic() - begun, 1e-3)
    problem = _problem(code, test.timeout_seconds)
    known = None if problem else code
    return SmokeResult(test.name, test.command, seconds, known, problem, output.text)


def _follow(process: subprocess.Popen[bytes], output: "_Kept", deadline: Deadline) -> int | None:
    """Read what it prints until it ends; None where it does not end in time."""
    assert process.stdout is not None
    with selectors.DefaultSelector() as selector:
        selector.register(process.stdout, selectors.EVENT_READ)
        open_ = True
        while not deadline.passed:
            ready = selector.select(min(_LOOK, deadline.left)) if open_ else []
            if ready:
                open_ = output.take(process.stdout)
                if open_:
                    continue
                selector.unregister(process.stdout)
            # Its end counts, not its pipe's: something that it left behind may hold that open.
            try:
                return process.wait(0 if open_ else min(_LOOK, deadline.left))
            except subprocess.TimeoutExpired:
                continue
    return process.poll()


def _kill(process: subprocess.Popen[bytes]) -> None:
    """The whole group, also what the command left behind."""
    with suppress(ProcessLookupError, PermissionError):
        os.killpg(process.pid, signal.SIGKILL)
    process.wait()
    if process.stdout is not None:
        process.stdout.close()


def _problem(code: int | None, limit: float) -> str:
    if code is None:
        return f"not ended after {limit:g} s, so it was killed"
    return f"killed by {_signal_name(-code)}" if code < 0 else ""


def _signal_name(number: int) -> str:
    try:
        return signal.Signals(number).name
    except ValueError:
        return f"signal {number}"


def _why_not(error: OSError) -> str:
    if isinstance(error, FileNotFoundError):
        return "not found, so it was not run"
    return f"could not be started: {error.strerror or error}"


class _Kept:
    """The beginning and the end of an output of any length."""

    def __init__(self) -> None:
        self._head = bytearray()
        self._tail = bytearray()
        self._dropped = 0

    def take(self, stream: IO[bytes]) -> bool:
        """Read one piece; False at the end."""
        piece = os.read(stream.fileno(), _PIECE)
        room = max(KEPT // 2 - len(self._head), 0)
        self._head += piece[:room]
        self._tail += piece[room:]
        surplus = max(len(self._tail) - KEPT // 2, 0)
        self._dropped += surplus
        del self._tail[:surplus]
        return bool(piece)

    @property
    def text(self) -> str:
        """What was kept, as text."""
        between = f"\n… {self._dropped} bytes left out …\n".encode() if self._dropped else b""
        return bytes(self._head + between + self._tail).decode("utf-8", "replace")
