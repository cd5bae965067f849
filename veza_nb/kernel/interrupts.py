"""Ctrl-C, and other ways to be told to stop, during a headless run."""

import signal
from types import FrameType, TracebackType
from typing import Any, Self

from veza_nb.kernel.early import EarlyKernel

_SIGNALS = (signal.SIGINT, signal.SIGTERM, signal.SIGHUP)


class Interrupts:
    """While entered, whoever says stop interrupts the cell, which then ends in a known state.

    Ctrl-C, SIGTERM and a lost terminal count. A kernel that still boots is ended by it. Between
    two cells a kernel ignores it: whoever executes them asks `seen` before each. The second one
    ends this process at once.

    Attributes:
        count: how many there were.
    """

    def __init__(self, kernel: EarlyKernel) -> None:
        self.count = 0
        self._kernel = kernel
        self._before: dict[signal.Signals, Any] = {}

    def __enter__(self) -> Self:
        self._before = {number: signal.signal(number, self._pass_on) for number in _SIGNALS}
        return self

    def __exit__(
        self,
        kind: type[BaseException] | None,
        error: BaseException | None,
        traceback: TracebackType | None,
    ) -> None:
        for number, handler in self._before.items():
            signal.signal(number, handler)

    def seen(self) -> bool:
        """Whether a person wants this run to stop."""
        return self.count > 0

    def _pass_on(self, number: int, _: FrameType | None) -> None:
        self.count += 1
        if self.count > 1:
            signal.signal(number, signal.SIG_DFL)
            signal.raise_signal(number)
        else:
            self._kernel.process.send_signal(signal.SIGINT)
