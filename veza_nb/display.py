"""Showing results where the reader is: in a notebook, or on a plain terminal.

Results know how to show themselves (`text/html` and `text/plain`); this room only finds out
who is looking.
"""

import sys
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from contextvars import ContextVar
from typing import TYPE_CHECKING, Any

if TYPE_CHECKING:
    from veza_nb.render.page import Showable


_TAKEN: ContextVar["Callable[[LiveView, Showable], None] | None"] = ContextVar(
    "taken", default=None
)


@contextmanager
def taken_by(take: "Callable[[LiveView, Showable], None]") -> Iterator[None]:
    """Hand what this thread shows to somebody else: one page for several services at work.

    Nobody is asked anything meanwhile: whoever takes the results does the asking.

    Args:
        take: is given each result with the place it was shown in, which may be one replaced.
    """
    token = _TAKEN.set(take)
    try:
        yield
    finally:
        _TAKEN.reset(token)


def show(result: "Showable") -> None:
    """Show a result once."""
    LiveView().show(result)


class LiveView:
    """One place on the page whose content is replaced: what is saved is its last state."""

    def __init__(self) -> None:
        self._handle: Any = None

    def show(self, result: "Showable") -> None:
        """Show this instead of what was shown before."""
        take = _TAKEN.get()
        if take is not None:
            take(self, result)
            return
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
    return (
        _TAKEN.get() is None
        and _in_kernel()
        and bool(getattr(_shell().kernel, "_allow_stdin", False))
    )


def _in_kernel() -> bool:
    return "IPython" in sys.modules and hasattr(_shell(), "kernel")


def _shell() -> Any:
    return sys.modules["IPython"].get_ipython()
