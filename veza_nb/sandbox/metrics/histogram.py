"""Distributions of answer times: counted one by one, or computed for a known distribution."""

from __future__ import annotations

import bisect
import math
from dataclasses import dataclass, field
from functools import lru_cache

BUCKETS = (0.005, 0.01, 0.025, 0.05, 0.1, 0.25, 0.5, 1.0, 2.5, 5.0, 10.0)
"""Upper bounds in seconds; above the last there is only infinity."""
_SPREAD = 0.45
"""Of the logarithm of answer times: 95 of 100 are within twice the median."""


@dataclass(slots=True)
class Histogram:
    """How many answers took at most so long.

    Attributes:
        below: one number per bucket, each including those before it.
        count: all answers.
        total: seconds of all answers together.
    """

    below: list[int] = field(default_factory=lambda: [0] * len(BUCKETS))
    count: int = 0
    total: float = 0.0

    def observe(self, seconds: float) -> None:
        """Count one answer."""
        self.count += 1
        self.total += seconds
        for number in range(bisect.bisect_left(BUCKETS, seconds), len(BUCKETS)):
            self.below[number] += 1

    def add(self, other: Histogram) -> None:
        """Count all that another one has counted."""
        self.count += other.count
        self.total += other.total
        self.below = [mine + its for mine, its in zip(self.below, other.below, strict=True)]


def of_many(count: int, median: float) -> Histogram:
    """The histogram of so many answers with that median time; grows with the count."""
    below = [int(count * share) for share in _shares(median)]
    return Histogram(below, count, count * median * math.exp(_SPREAD**2 / 2))


@lru_cache(maxsize=1024)
def _shares(median: float) -> tuple[float, ...]:
    """The share of answers below each bound, times being log-normal."""
    return tuple(
        (1 + math.erf(math.log(bound / median) / (_SPREAD * math.sqrt(2)))) / 2 for bound in BUCKETS
    )
