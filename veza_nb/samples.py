"""What a probe saw, as plain data, and the few numbers that are read off it."""

from collections.abc import Sequence
from dataclasses import dataclass, replace
from datetime import datetime
from statistics import median

HEALTH = "health"
"""The name under which a service's health endpoint is asked."""
USERS = "users"
"""The name under which the platform's external URL is asked."""


@dataclass(frozen=True, slots=True)
class Sample:
    """One HTTP request.

    Attributes:
        at: when it was sent.
        seconds: until the whole answer was there, or until it was given up.
        status: HTTP status, or None where there was no answer.
        error: "" or what kept the answer away: "timeout", "refused", "dns", "tls", "reset".
    """

    at: datetime
    seconds: float
    status: int | None
    error: str = ""


@dataclass(frozen=True, slots=True)
class Probe:
    """Several requests to one endpoint, and what was expected of it.

    Attributes:
        name: "health" or the endpoint's path.
        url: what was asked.
        expect_status: the status that counts as good.
        max_seconds: an answer slower than this is too slow.
    """

    name: str
    url: str
    expect_status: int
    max_seconds: float
    samples: tuple[Sample, ...]

    @property
    def total(self) -> int:
        """Requests sent."""
        return len(self.samples)

    @property
    def failures(self) -> tuple[Sample, ...]:
        """Samples with another status than expected, or none."""
        return tuple(s for s in self.samples if s.status != self.expect_status)

    @property
    def error_rate(self) -> float | None:
        """Share of failures, 0 to 1; None where nothing was asked."""
        return len(self.failures) / self.total if self.samples else None

    def percentile(self, share: float) -> float | None:
        """Seconds within which that share of the answers came; None without answers."""
        times = sorted(s.seconds for s in self.samples if s.status is not None)
        if not times:
            return None
        return times[min(len(times) - 1, int(share * len(times)))]

    @property
    def p50(self) -> float | None:
        """Median seconds of the answered requests."""
        times = [s.seconds for s in self.samples if s.status is not None]
        return median(times) if times else None


def joined(earlier: Sequence[Probe], later: Sequence[Probe]) -> tuple[Probe, ...]:
    """The same endpoints asked twice, as one; whoever was not asked again stays as it is."""
    more = {(one.name, one.url): one.samples for one in later}
    return tuple(
        replace(one, samples=(*one.samples, *more.get((one.name, one.url), ()))) for one in earlier
    )
