"""What monitoring says of a service: numbers before the rollout and now, and alerts.

A number without data is no number: NaN, an empty answer and several series where one was
expected are problems, said in words, and never a pass.
"""

from collections.abc import Mapping
from dataclasses import dataclass
from datetime import datetime
from math import isnan

from veza_nb.vocabulary import Verdict

ALMOST_NOTHING = 1e-9


@dataclass(frozen=True, slots=True)
class Reading:
    """The answer to one query at one moment.

    Attributes:
        at: the moment asked about; None where there was none to ask about.
        value: the number; None where there is none.
        problem: why there is none: "no data", "not a number", …; "" where there is one.
    """

    at: datetime | None
    value: float | None
    problem: str = ""


NOT_ASKED = Reading(None, None, "not asked")


@dataclass(frozen=True, slots=True)
class Measured:
    """One number of a service, before the rollout and now.

    Attributes:
        name: as the catalogue calls it: "error rate", "latency".
        query: the PromQL.
        limit: a larger value is bad.
        tolerance: up to so many times the value before still counts as normal.
        before: just before the live template came.
        now: at this moment.
        after: when the live template had served for a while; not asked before that.
    """

    name: str
    query: str
    limit: float
    tolerance: float
    before: Reading
    now: Reading
    after: Reading = NOT_ASKED


@dataclass(frozen=True, slots=True)
class Alert:
    """An alert that fires.

    Attributes:
        name: its `alertname`.
        labels: all labels.
        summary: what it says, one line.
        since: when it began; None where that is not told.
    """

    name: str
    labels: Mapping[str, str]
    summary: str
    since: datetime | None


@dataclass(frozen=True, slots=True)
class Monitored:
    """Everything that monitoring says of one service; all empty where there is none.

    Attributes:
        measures: the numbers.
        alerts: those firing now.
        problem: why the alerts are not known; "" where they are.
        alerts_asked: whether anybody was asked for alerts.
    """

    measures: tuple[Measured, ...] = ()
    alerts: tuple[Alert, ...] = ()
    problem: str = ""
    alerts_asked: bool = False


UNMONITORED = Monitored()
"""Where the catalogue names no monitoring."""


def verdict_of(
    value: float | None, before: float | None, limit: float, tolerance: float
) -> Verdict:
    """How a number is judged.

    A value within the limit passes, unless it is worse than `tolerance` times the value before
    the rollout by more than a tenth of the limit: small numbers jump.

    Args:
        value: now; None and NaN are inconclusive.
        before: before the rollout; None leaves only the limit.
        limit: of the catalogue.
        tolerance: of the catalogue.
    """
    if value is None or isnan(value):
        return Verdict.INCONCLUSIVE
    if value > limit + ALMOST_NOTHING:
        return Verdict.FAIL
    worse = before is not None and value > before * tolerance + limit / 10
    return Verdict.FAIL if worse else Verdict.PASS


def judge(measured: Measured) -> Verdict:
    """Is this number as it should be?"""
    before, now = measured.before.value, measured.now.value
    return verdict_of(now, before, measured.limit, measured.tolerance)


def was_bad_before(measured: Measured) -> bool | None:
    """Whether it was beyond its limit already before the rollout; None where nobody knows."""
    before = measured.before.value
    return None if before is None else before > measured.limit + ALMOST_NOTHING


def began_later(measured: Measured) -> bool | None:
    """Whether it was still within its limit when the release had served for a while.

    None where nobody knows.
    """
    after = measured.after.value
    return None if after is None else after <= measured.limit + ALMOST_NOTHING


def spelled(value: float | None) -> str:
    """The number for a person."""
    return "no value" if value is None else f"{value:.3g}"


def told(measured: Measured) -> str:
    """`0.31 now, 0.002 before the rollout, at most 0.02 expected`."""
    now, before = measured.now, measured.before
    what = spelled(now.value) if now.value is not None else f"no value ({now.problem})"
    was = f", {spelled(before.value)} before the rollout" if before.value is not None else ""
    return f"{what} now{was}, at most {spelled(measured.limit)} expected"
