"""Showing results where the reader is: in a notebook, or on a plain terminal.

Results know how to show themselves (`text/html` and `text/plain`); this room only finds out
who is looking.
"""

import sys
from typing import Any, Protocol


class Showable(Protocol):
    """Anything with a text and an HTML face."""

    @property
    def text(self) -> str:
        """For terminals."""

    @property
    def html(self) -> str:
        """For notebooks and reports."""


def show(result: Showable) -> None:
    """Show a result once."""
    LiveView().show(result)


class LiveView:
    """One place on the page whose content is replaced: what is saved is its last state."""

    def __init__(self) -> None:
        self._handle: Any = None

    def show(self, result: Showable) -> None:
        """Show this instead of what was shown before."""
        if not _in_kernel():
            print(result.text)
            return
        from IPython.display import display  # noqa: PLC0415 - costs what a plain script need not pay

        data = {"text/plain": result.text, "text/html": result.html}
        if self._handle is None:
            self._handle = display(data, raw=True, display_id=True)  # type: ignore[no-untyped-call]
        else:
            self._handle.update(data, raw=True)


def person_present() -> bool:
    """True where a person can answer a widget: a front end that allows input.

    papermill and other headless runners forbid it, so a run without a person never builds a
    widget.
    """
    return _in_kernel() and bool(getattr(_shell().kernel, "_allow_stdin", False))


def _in_kernel() -> bool:
    return "IPython" in sys.modules and hasattr(_shell(), "kernel")


def _shell() -> Any:
    return sys.modules["IPython"].get_ipython()
