"""Numbers against the time before the bad release: by a rule, with a policy for no data."""

from datetime import UTC, datetime
from math import nan

import pytest
from hypothesis import given
from hypothesis import strategies as st

from veza_nb.checks import Check
from veza_nb.measures import Measured, Monitored, Reading
from veza_nb.monitorchecks import monitor_checks
from veza_nb.vocabulary import Item, Verdict

PASS, FAIL, INCONCLUSIVE = Verdict.PASS, Verdict.FAIL, Verdict.INCONCLUSIVE
AT = datetime(2026, 11, 24, tzinfo=UTC)
VALUES = st.floats(0, 1e6)


def reading(value: float | None, problem: str = "") -> Reading:
    return Reading(AT, value, problem)


def measured(now: Reading, before: Reading, limit: float = 0.02) -> Monitored:
    return Monitored((Measured("error rate", "q", limit, 2.0, before, now),))


def judged(now: float | None, usual: float | None, limit: float = 0.02, problem: str = "") -> Check:
    """The check after the undo; `usual` is the value from before the bad release."""
    baseline = measured(reading(0.9), reading(usual), limit)
    (check,) = monitor_checks(measured(reading(now, problem), reading(None), limit), baseline)
    assert (check.name, check.item) == ("metric-error rate", Item.METRICS)
    return check


@given(VALUES, st.floats(0, 1e3))
def test_a_number_that_is_as_before_the_bad_release_never_fails(value: float, limit: float) -> None:
    assert judged(value, value, limit).verdict is not FAIL


@given(VALUES, VALUES, st.floats(0, 1e3))
def test_beyond_its_limit_it_never_passes(value: float, usual: float, limit: float) -> None:
    verdict = judged(value, usual, limit).verdict

    assert verdict is not PASS or value <= limit + 1e-6


@given(st.one_of(st.none(), VALUES))
def test_everything_failing_never_passes(usual: float | None) -> None:
    assert judged(1.0, usual).verdict is not PASS


@pytest.mark.parametrize("value", [None, nan])
@pytest.mark.parametrize("usual", [None, 0.0, 0.5])
def test_no_number_is_inconclusive(value: float | None, usual: float | None) -> None:
    assert judged(value, usual, problem="not a number").verdict is INCONCLUSIVE


@pytest.mark.parametrize(
    ("now", "usual", "verdict"),
    [
        (0.001, 0.001, PASS),
        (0.001, None, PASS),
        (0.005, 0.001, FAIL),  # within the limit, but far from what it was
        (0.004, 0.001, PASS),  # small numbers jump
        (0.03, 0.001, FAIL),
        (0.03, None, FAIL),
        (0.03, 0.03, INCONCLUSIVE),  # the one before may have been bad as well
        (0.03, 0.025, FAIL),
    ],
)
def test_verdict_by_example(now: float, usual: float | None, verdict: Verdict) -> None:
    assert judged(now, usual).verdict is verdict


def test_the_numbers_stand_in_the_evidence() -> None:
    assert judged(0.03, 0.03).evidence == (
        "0.03 now, at most 0.02 expected",
        "0.03 before the bad release, 0.9 before the undo",
        "more than expected, but no more than before the bad release",
    )
