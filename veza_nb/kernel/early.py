"""Start a kernel's process with nothing but the standard library."""

import os
import shutil
import signal
import subprocess
import sys
import tempfile
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass
from pathlib import Path

_COMPLAINTS = "stderr"


@dataclass(frozen=True, slots=True)
class EarlyKernel:
    """A kernel that boots and waits for its connection file.

    Attributes:
        process: the kernel's process, leader of a session of its own.
        folder: private; its sockets, its connection file and its complaints live there.
    """

    process: "subprocess.Popen[bytes]"
    folder: Path

    @property
    def connection_file(self) -> Path:
        """Written by whoever adopts the kernel; it waits for it."""
        return self.folder / "connection.json"

    def obituary(self) -> str:
        """How it ended and its last words, one sentence; "" while it lives."""
        code = self.process.poll()
        if code is None:
            return ""
        how = f"killed by {signal.Signals(-code).name}" if code < 0 else f"exit code {code}"
        words = self.folder.joinpath(_COMPLAINTS).read_text(encoding="utf-8", errors="replace")
        last = next((": " + line.strip() for line in reversed(words.splitlines()) if line), "")
        return f"The notebook's kernel ended ({how}){last.rstrip('.')}."


@contextmanager
def early_kernel() -> Iterator[EarlyKernel]:
    """A kernel that is ended, whatever happens, together with its files."""
    folder = Path(tempfile.mkdtemp(prefix="veza-nb-"))
    try:
        kernel = EarlyKernel(_start(folder), folder)
        try:
            yield kernel
        finally:
            kernel.process.kill()
            kernel.process.wait()
    finally:
        shutil.rmtree(folder, ignore_errors=True)


def _start(folder: Path) -> "subprocess.Popen[bytes]":
    # What it complains of while it boots or dies is a traceback: not for the terminal.
    with folder.joinpath(_COMPLAINTS).open("wb") as complaints:
        return subprocess.Popen(
            [sys.executable, "-m", "veza_nb.kernel", str(folder / "connection.json")],
            stdin=subprocess.DEVNULL,
            stderr=complaints,
            # A Ctrl-C is passed on by the runner, once, and not by the terminal to both.
            start_new_session=True,
            # ipykernel ends itself when that process is gone, even by kill -9.
            env={**os.environ, "JPY_PARENT_PID": str(os.getpid())},
        )
