"""The kernel's process: imports first, then waits to be told where to listen."""

import json
import os
import signal
import sys
import time
from importlib import import_module
from pathlib import Path

WAIT_SECONDS = 60.0
PAUSE = 0.005


def main(connection_file: Path) -> None:
    """Boot, wait for the connection file, and serve."""
    parent = os.getppid()
    # A Ctrl-C that comes before there is a cell ends it; the application takes over later.
    signal.signal(signal.SIGINT, signal.SIG_DFL)
    # Nobody attaches a debugger to a headless run; looking for one costs 0.1 s.
    sys.modules["debugpy"] = None  # type: ignore[assignment]
    application = import_module("veza_nb.kernel.application").Application
    import_module("veza_nb.incident")
    if _wait(connection_file, parent):
        application.launch_instance(
            ["-f", str(connection_file), "--HistoryManager.hist_file=:memory:", "--log-level=ERROR"]
        )


def _wait(path: Path, parent: int) -> bool:
    """True once the file is there and whole; False if nobody wants this kernel any more."""
    end = time.monotonic() + WAIT_SECONDS
    while time.monotonic() < end and os.getppid() == parent:
        try:
            json.loads(path.read_bytes())
        except (FileNotFoundError, ValueError):
            time.sleep(PAUSE)
        else:
            return True
    return False


main(Path(sys.argv[1]))
