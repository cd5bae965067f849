"""How long a kubelet waits before it tries again: what it says, and what this cluster really waits.

A real kubelet doubles from 10 s to 5 minutes and forgets a failure after 10 minutes of good
running. Messages name those times; the waits are a twentieth of the longest, so that people in
training do not spend their time watching a back-off.
"""

from __future__ import annotations

_NOMINAL_FIRST, _NOMINAL_LAST = 10, 300
_REAL_FIRST, _REAL_LAST = 1.0, 15.0
_NOMINAL_FORGIVEN = 600
_SECONDS_PER_MINUTE = 60

FORGIVEN_SECONDS = _NOMINAL_FORGIVEN * _REAL_LAST / _NOMINAL_LAST
"""A container that ran for so long has no failures any more."""
SYNC_SECONDS = 5.0
"""How often a kubelet looks again at what keeps a container from being created."""


def nominal_back_off(failures: int) -> str:
    """The back-off a kubelet names after so many failures in a row (1, 2, …), as Go prints it."""
    seconds = min(_NOMINAL_FIRST * 2 ** max(failures - 1, 0), _NOMINAL_LAST)
    minutes, rest = divmod(seconds, _SECONDS_PER_MINUTE)
    return f"{minutes}m{rest}s" if minutes else f"{rest}s"


def back_off_seconds(failures: int) -> float:
    """How long this cluster really waits: the same doubling, compressed for training."""
    doubled: float = _REAL_FIRST * 2 ** max(failures - 1, 0)
    return min(doubled, _REAL_LAST)
