"""What a handful of requests says about all of them: shares with a bound, not lucky numbers.

The rule. Of n requests k were bad. The true share of bad ones lies, each way with 95 %
confidence, between the two bounds of the Wilson score interval. It passes where k/n is
tolerated and the upper bound is acceptable; it fails where even the lower bound is more than is
tolerated; between the two more requests are needed. So one good answer proves nothing, one bad
answer among many condemns nothing, and a service that fails every time never passes.
"""

from dataclasses import dataclass
from math import sqrt

from veza_nb.vocabulary import Verdict

TOLERATED = 0.05
"""Share of bad requests that a healthy service may show."""
ACCEPTED = 0.15
"""So large the true share may be at most, for all that is known, where it passes."""
ENOUGH = 16
"""So many good answers without a bad one are needed to bound the share by `ACCEPTED`."""
RECENT = 5
"""So many of the last requests are looked at on their own: it may have turned bad at the end."""
_Z = 1.6449
"""The normal distribution's 95 % point."""


@dataclass(frozen=True, slots=True)
class Share:
    """So many bad ones of so many, and what that says.

    Attributes:
        bad: how many were bad.
        total: of how many.
        lower: the true share is at least that, with 95 % confidence.
        upper: the true share is at most that, with 95 % confidence.
    """

    bad: int
    total: int
    lower: float
    upper: float

    @property
    def verdict(self) -> Verdict:
        """By the rule above; of nothing nothing is known."""
        if not self.total:
            return Verdict.INCONCLUSIVE
        if self.lower > TOLERATED:
            return Verdict.FAIL
        tolerated = self.bad <= TOLERATED * self.total and self.upper <= ACCEPTED
        return Verdict.PASS if tolerated else Verdict.INCONCLUSIVE

    def __str__(self) -> str:
        """`2.5 % bad, 0.6 % to 10 % of all with 95 % confidence; at most 5 % tolerated`."""
        if not self.bad:
            return f"0 % bad, at most {_percent(self.upper)} of all with 95 % confidence"
        bounds = f"{_percent(self.lower)} to {_percent(self.upper)} of all with 95 % confidence"
        seen = _percent(self.bad / self.total)
        return f"{seen} bad, {bounds}; at most {_percent(TOLERATED)} tolerated"


def share(bad: int, total: int) -> Share:
    """The share with its bounds.

    Args:
        bad: 0 to `total`.
        total: 0 or more.
    """
    if not total:
        return Share(0, 0, 0.0, 1.0)
    seen, square = bad / total, _Z * _Z
    centre = (seen + square / (2 * total)) / (1 + square / total)
    half = sqrt(seen * (1 - seen) / total + square / (4 * total * total)) * _Z
    half /= 1 + square / total
    return Share(bad, total, max(0.0, centre - half), min(1.0, centre + half))


def turned_bad(recent_bad: int, recent: int) -> bool:
    """Whether the last requests alone are surely worse than what is accepted at all.

    Args:
        recent_bad: how many of them were bad.
        recent: how many there are; fewer than `RECENT` say nothing.
    """
    return recent >= RECENT and share(recent_bad, recent).lower > ACCEPTED


def hopeless(bad: int, total: int, to_come: int) -> bool:
    """Whether it fails even where all that is still to come is good.

    Args:
        bad: so far.
        total: so far.
        to_come: requests still to be sent.
    """
    return total >= ENOUGH and share(bad, total + to_come).verdict is Verdict.FAIL


def spoken(one: Share) -> str:
    """What a share says, in words; or why it says nothing yet."""
    if one.verdict is not Verdict.INCONCLUSIVE:
        return str(one)
    needed = f"too few to judge, {ENOUGH} are needed" if not one.bad else "too few to tell"
    return f"{one}: {needed}" if one.total else needed


def _percent(number: float) -> str:
    return f"{100 * number:.2g} %" if number < 0.1 else f"{100 * number:.0f} %"
