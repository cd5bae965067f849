"""Shares with a bound: what a handful of requests says, and what it does not."""

import pytest
from hypothesis import given
from hypothesis import strategies as st

from veza_nb.rates import ACCEPTED, ENOUGH, RECENT, TOLERATED, hopeless, share, spoken, turned_bad
from veza_nb.vocabulary import Verdict

PASS, FAIL, INCONCLUSIVE = Verdict.PASS, Verdict.FAIL, Verdict.INCONCLUSIVE
TOTALS = st.integers(1, 2000)


@st.composite
def counts(draw: st.DrawFn) -> tuple[int, int]:
    total = draw(TOTALS)
    return draw(st.integers(0, total)), total


@given(TOTALS)
def test_all_failing_never_passes(total: int) -> None:
    assert share(total, total).verdict is FAIL


@given(TOTALS)
def test_none_failing_never_fails(total: int) -> None:
    assert share(0, total).verdict is (PASS if total >= ENOUGH else INCONCLUSIVE)


@given(counts())
def test_the_seen_share_lies_between_its_bounds(seen: tuple[int, int]) -> None:
    bad, total = seen
    one = share(bad, total)

    assert 0 <= one.lower <= bad / total + 1e-9
    assert bad / total - 1e-9 <= one.upper <= 1


@given(counts())
def test_pass_and_fail_are_never_given_on_the_wrong_side_of_what_is_tolerated(
    seen: tuple[int, int],
) -> None:
    bad, total = seen
    verdict = share(bad, total).verdict

    assert verdict is not PASS or bad / total <= TOLERATED
    assert verdict is not FAIL or bad / total > TOLERATED


@given(counts(), st.integers(1, 50))
def test_more_bad_ones_never_make_it_better(seen: tuple[int, int], more: int) -> None:
    bad, total = seen
    order = [PASS, INCONCLUSIVE, FAIL]
    one, worse = share(bad, total), share(min(bad + more, total), total)

    assert order.index(worse.verdict) >= order.index(one.verdict)


def test_of_nothing_nothing_is_known() -> None:
    assert share(0, 0).verdict is INCONCLUSIVE
    assert spoken(share(0, 0)) == "too few to judge, 16 are needed"


@pytest.mark.parametrize(
    ("bad", "total", "verdict"),
    [(0, 1, INCONCLUSIVE), (0, 15, INCONCLUSIVE), (0, 16, PASS), (1, 35, PASS),
     (1, 10, INCONCLUSIVE), (1, 1, FAIL), (4, 35, FAIL), (2, 35, INCONCLUSIVE), (5, 100, PASS),
     (11, 100, FAIL)],
)  # fmt: skip
def test_verdict_by_example(bad: int, total: int, verdict: Verdict) -> None:
    assert share(bad, total).verdict is verdict


def test_bounds_are_those_of_the_wilson_interval() -> None:
    # Worked by hand for 10 of 100: (0.1 + z²/200 ± z·√(0.09/100 + z²/40000)) / (1 + z²/100).
    one = share(10, 100)

    assert (round(one.lower, 4), round(one.upper, 4)) == (0.0607, 0.1604)
    said = "10 % bad, 6.1 % to 16 % of all with 95 % confidence; at most 5 % tolerated"
    assert spoken(one) == said


@given(counts(), st.integers(0, 500))
def test_hopeless_is_never_said_of_what_could_still_pass(
    seen: tuple[int, int], to_come: int
) -> None:
    bad, total = seen

    if hopeless(bad, total, to_come):
        assert share(bad, total + to_come).verdict is FAIL


def test_most_of_the_last_requests_bad_is_seen() -> None:
    assert [turned_bad(bad, RECENT) for bad in range(RECENT + 1)] == [
        False, False, False, True, True, True,
    ]  # fmt: skip
    assert not turned_bad(RECENT - 1, RECENT - 1)
    assert share(3, RECENT).lower > ACCEPTED
