"""What the endpoints answered: rightly, fast enough, often enough to tell."""

from dataclasses import replace
from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st

from tests.builders import NOW, probe
from veza_nb.checks import Baseline
from veza_nb.errors import UsageError
from veza_nb.probechecks import probe_checks, undecided
from veza_nb.userchecks import Answer, read_answer, users_check
from veza_nb.vocabulary import Item, Verdict

PASS, FAIL, INCONCLUSIVE = Verdict.PASS, Verdict.FAIL, Verdict.INCONCLUSIVE
BEFORE = Baseline(at=NOW, replicas=3, restarts={}, probes=())
GOOD = [200] * 16


def probed(*probes: Any, before: tuple[Any, ...] = ()) -> dict[str, Verdict]:
    baseline = replace(BEFORE, probes=before)
    return {check.name: check.verdict for check in probe_checks(probes, baseline)}


def test_enough_good_answers_pass() -> None:
    assert probed(probe(*GOOD)) == {"probe-health-answers": PASS, "probe-health-speed": PASS}


def test_one_lucky_answer_proves_nothing() -> None:
    assert set(probed(probe(200)).values()) == {INCONCLUSIVE}
    assert undecided([probe(200)])
    assert not undecided([probe(*GOOD)])


def test_endpoints_are_told_apart_and_stand_on_their_own_lines() -> None:
    both = probed(probe(*GOOD), probe(500, 500, 500, name="/api/v1/tracks"))
    items = {c.name: c.item for c in probe_checks([probe(), probe(name="/x")], BEFORE)}

    assert both["probe-health-answers"] is PASS
    assert both["probe-api-v1-tracks-answers"] is FAIL
    assert items["probe-health-answers"] is Item.HEALTH
    assert items["probe-x-answers"] is Item.ENDPOINTS


def test_numbers_and_bound_stand_in_the_evidence() -> None:
    [answers, _] = probe_checks([probe(500, *[200] * 39)], BEFORE)

    assert answers.verdict is PASS
    assert answers.evidence == (
        "1 of 40 requests failed (HTTP 500: 1), HTTP 200 expected",
        "2.5 % bad, 0.56 % to 10 % of all with 95 % confidence; at most 5 % tolerated",
    )


def test_a_few_failures_are_neither_pass_nor_failure_until_more_is_known() -> None:
    few = probe(500, *[200] * 9)

    assert probed(few)["probe-health-answers"] is INCONCLUSIVE
    assert undecided([few])
    assert probed(probe(*[500] * 10, *[200] * 90))["probe-health-answers"] is FAIL


def test_it_turned_bad_at_the_end() -> None:
    late = probe(*[200] * 200, 500, 500, 500, 200, 500)
    [answers, speed] = probe_checks([late], BEFORE)

    assert (answers.verdict, speed.verdict) == (FAIL, PASS)
    assert answers.evidence[-1] == "it turned bad: most of the last 5 requests"


def test_slow_answers_fail_by_the_same_rule() -> None:
    slow = probe(*GOOD, seconds=1.5)
    [answers, speed] = probe_checks([slow], BEFORE)

    assert (answers.verdict, speed.verdict) == (PASS, FAIL)
    assert "half within 1500 ms, 95 % within 1500 ms" in speed.evidence[0]
    assert speed.evidence[0].endswith("at most 1000 ms expected, 16 of 16 answers slower")
    assert speed.evidence[1].startswith("100 % bad")


def test_no_answer_at_all_says_nothing_about_speed() -> None:
    nothing = probe(None, None, None)

    assert probed(nothing) == {"probe-health-answers": FAIL, "probe-health-speed": INCONCLUSIVE}
    assert not undecided([nothing])


@pytest.mark.parametrize("error", ["dns", "tls", "wrong url"])
def test_what_never_reached_the_service_says_nothing_about_it(error: str) -> None:
    unreached = probe(None, None, None, error=error)

    assert probed(unreached)["probe-health-answers"] is INCONCLUSIVE
    assert not undecided([unreached])


@given(st.integers(1, 200))
def test_all_failing_never_passes(total: int) -> None:
    assert probed(probe(*[500] * total))["probe-health-answers"] is FAIL


def test_without_any_endpoint_it_is_inconclusive() -> None:
    assert probed() == {"probes": INCONCLUSIVE}


def test_an_endpoint_asked_before_and_not_now_is_a_gap() -> None:
    checked = probed(probe(*GOOD), before=(probe(500), probe(500, name="/tracks")))

    assert checked["probe-tracks"] is INCONCLUSIVE


def test_what_it_answered_before_stands_beside_it() -> None:
    baseline = replace(BEFORE, probes=(probe(500, 500),))
    [answers, _] = probe_checks([probe(*GOOD)], baseline)

    assert answers.evidence == (
        "16 requests, all good",
        "0 % bad, at most 14 % of all with 95 % confidence",
        "before: 2 of 2 requests failed (HTTP 500: 2), HTTP 200 expected",
    )


# Users.


def asked(answer: str, *, required: bool = False, page: Any = None) -> tuple[Verdict, bool]:
    check = users_check(page, read_answer(answer), by="kim", required=required)
    assert check.item is Item.USERS
    return check.verdict, check.advisory


def test_a_person_says_whether_users_can_access_it() -> None:
    assert asked("yes")[0] is PASS
    assert asked(" No ")[0] is FAIL
    check = users_check(None, Answer.YES, by="kim", required=False)
    assert check.evidence == ("kim says: yes",)


@pytest.mark.parametrize("answer", ["", "don't know"])
def test_no_word_is_a_gap_that_counts_only_where_it_is_required(answer: str) -> None:
    assert asked(answer) == (INCONCLUSIVE, True)
    assert asked(answer, required=True) == (INCONCLUSIVE, False)


@pytest.mark.parametrize(
    ("statuses", "answer", "verdict"),
    [(GOOD, "", PASS), (GOOD, "no", FAIL), ([500] * 5, "yes", FAIL), ([200], "yes", INCONCLUSIVE)],
)
def test_the_external_url_is_asked_and_nobody_outvotes_it(
    statuses: list[int], answer: str, verdict: Verdict
) -> None:
    assert asked(answer, page=probe(*statuses, name="users")) == (verdict, False)


def test_an_answer_that_is_none_is_refused() -> None:
    with pytest.raises(UsageError, match="'maybe' is no answer"):
        read_answer("maybe")
