"""How users' interest in a service rises and falls: a curve with a closed integral.

Because the integral is known, nobody has to count requests while they happen: how many there were
between two moments is computed when somebody asks, and is the same whenever it is asked again.
"""

from __future__ import annotations

import math
import zlib

# Share of the mean, and period in seconds. The shares sum up to less than 1: interest never ends.
_WAVES = ((0.12, 86_400.0), (0.06, 610.0), (0.04, 47.0))


def level(seed: str, seconds: float) -> float:
    """Interest at a moment, around 1."""
    return 1 + sum(
        share * math.sin(_angle(seed, number, period, seconds))
        for number, (share, period) in enumerate(_WAVES)
    )


def integral(seed: str, seconds: float) -> float:
    """Interest summed up from 0 to a moment; grows all the time, by about 1 per second."""
    total = seconds
    for number, (share, period) in enumerate(_WAVES):
        start = math.cos(_angle(seed, number, period, 0.0))
        end = math.cos(_angle(seed, number, period, seconds))
        total += share * period / math.tau * (start - end)
    return total


def chance(seed: str) -> float:
    """A number from 0 up to 1 that is always the same for the same text."""
    return zlib.crc32(seed.encode()) / 2**32


def _angle(seed: str, number: int, period: float, seconds: float) -> float:
    return math.tau * (seconds / period + chance(f"{seed}/{number}"))
