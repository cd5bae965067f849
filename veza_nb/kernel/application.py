"""ipykernel's application with a Ctrl-C that is never lost and never hits the kernel itself."""

import signal
import time
from types import FrameType
from typing import Any

from ipykernel.ipkernel import IPythonKernel
from ipykernel.kernelapp import IPKernelApp
from traitlets import Type

PATIENCE = 1.0
"""Seconds for which an interrupt waits for the cell that it is meant for."""

PAUSE = 0.02


class Kernel(IPythonKernel):
    """Leaves the handler of SIGINT alone.

    ipykernel lets it raise wherever Python happens to be: between two cells that was in the
    kernel's own code, the answer to the next cell was lost, and the run waited for ever.
    """

    def pre_handler_hook(self) -> None:
        """Nothing to prepare before a message."""

    def post_handler_hook(self) -> None:
        """Nothing to restore after it."""


class Application(IPKernelApp):
    """Interrupts cells, and nothing but cells."""

    kernel_class = Type(Kernel)
    _until = 0.0

    def init_signal(self) -> None:
        """Take SIGINT, and the timer that tries again where no cell runs yet."""
        signal.signal(signal.SIGINT, self._interrupt)
        signal.signal(signal.SIGALRM, self._try)

    def _interrupt(self, number: int, frame: FrameType | None) -> None:
        self._until = time.monotonic() + PATIENCE
        self._try(number, frame)

    def _try(self, _: int, frame: FrameType | None) -> None:
        if self._in_cell(frame):
            raise KeyboardInterrupt
        if time.monotonic() < self._until:
            signal.setitimer(signal.ITIMER_REAL, PAUSE)

    def _in_cell(self, frame: FrameType | None) -> bool:
        shell: Any = getattr(self.kernel, "shell", None)
        while shell is not None and frame is not None:
            if frame.f_globals is shell.user_global_ns:
                return True
            frame = frame.f_back
        return False
