"""A run on a terminal: blocks of text, and one place that is rewritten while it changes."""

import sys
from contextlib import suppress
from typing import TextIO


class Terminal:
    """Prints outputs as they come.

    On a real terminal, an output that replaces an earlier one is written over it, as long as
    nothing came in between. Elsewhere (a file, a pipe) each replacement is printed only when
    its first line has changed: a log must not fill with progress.
    """

    def __init__(self, stream: TextIO | None = None) -> None:
        self._stream = stream or sys.stdout
        self._live = self._stream.isatty()
        self._last_id: str | None = None
        self._last_text = ""

    def __call__(self, text: str, display_id: str | None = None) -> None:
        """Print one output; `display_id` marks those that may replace one another.

        A reader that is gone (`| head`, a lost connection) does not stop a run.
        """
        with suppress(OSError, ValueError):
            self._print(text, display_id)

    def _print(self, text: str, display_id: str | None) -> None:
        text = text.rstrip("\n")
        replaces = display_id is not None and display_id == self._last_id
        if replaces and self._live:
            self._erase()
        if not replaces or self._live or _head(text) != _head(self._last_text):
            print(text, file=self._stream, flush=True)
        self._last_id, self._last_text = display_id, text

    def _erase(self) -> None:
        lines = self._last_text.count("\n") + 1
        self._stream.write(f"\x1b[{lines}F\x1b[J")


def _head(text: str) -> str:
    return text.partition("\n")[0]
