"""Start a kernel's process with nothing but the standard library."""

import os
import shutil
import subprocess
import sys
import tempfile
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass
from pathlib import Path


@dataclass(frozen=True, slots=True)
class EarlyKernel:
    """A kernel that boots and waits for its connection file.

    Attributes:
        process: the kernel's process, leader of a session of its own.
        folder: private; its sockets and its connection file live there.
    """

    process: "subprocess.Popen[bytes]"
    folder: Path

    @property
    def connection_file(self) -> Path:
        """Written by whoever adopts the kernel; it waits for it."""
        return self.folder / "connection.json"


@contextmanager
def early_kernel() -> Iterator[EarlyKernel]:
    """A kernel that is ended, whatever happens, together with its files."""
    folder = Path(tempfile.mkdtemp(prefix="veza-nb-"))
    try:
        kernel = EarlyKernel(_start(folder / "connection.json"), folder)
        try:
            yield kernel
        finally:
            kernel.process.kill()
            kernel.process.wait()
    finally:
        shutil.rmtree(folder, ignore_errors=True)


def _start(connection_file: Path) -> "subprocess.Popen[bytes]":
    return subprocess.Popen(
        [sys.executable, "-m", "veza_nb.kernel", str(connection_file)],
        stdin=subprocess.DEVNULL,
        # A Ctrl-C is passed on by the runner, once, and not by the terminal to both.
        start_new_session=True,
        # ipykernel ends itself when that process is gone, even by kill -9.
        env={**os.environ, "JPY_PARENT_PID": str(os.getpid())},
    )
