"""Reads that may wait: once a change is out, a server that is away for a while is no verdict."""

from collections.abc import Callable
from typing import TypeVar

from veza_nb.clock import Clock, Deadline
from veza_nb.errors import ServerError, UnreachableError, VezaError

T = TypeVar("T")

SECONDS = 10.0
"""How long a server that is away is waited for: it restarts within that, or stays away."""
PAUSE = 0.5
TOO_MANY_REQUESTS = 429


def not_begun(error: VezaError) -> bool:
    """Whether the server surely did nothing of a change: too many requests, or never reached."""
    if isinstance(error, ServerError):
        return error.code == TOO_MANY_REQUESTS
    return isinstance(error, UnreachableError) and not error.sent


def patiently(clock: Clock, read: Callable[[], T]) -> T:
    """Read again and again while the server does not answer, or answers that it is in trouble.

    Raises:
        UnreachableError: it did not answer for `SECONDS`.
        ServerError: the same, with an answer.
    """
    deadline = Deadline.after(clock, SECONDS)
    while True:
        try:
            return read()
        except (UnreachableError, ServerError):
            if deadline.passed:
                raise
        clock.sleep(min(PAUSE, deadline.left))
