"""The checklist: each clause passes, fails or is inconclusive, and the worst one counts."""

from dataclasses import replace
from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st

from tests.builders import (
    NOW,
    RECORDED_AT,
    crashing,
    deployment,
    pod,
    recorded,
    replicaset,
    template,
    workload,
)
from veza_nb.checklist import checklist, conclude, replaced
from veza_nb.checks import (
    Baseline,
    Check,
    rollout_checks,
    soak_check,
    target_check,
)
from veza_nb.choices import Choice
from veza_nb.findings import Diagnosis
from veza_nb.objects import Workload
from veza_nb.orders import Order
from veza_nb.plans import Plan, make_plan
from veza_nb.revisions import read_history
from veza_nb.vocabulary import Decision, Item, Verdict

PASS, FAIL, INCONCLUSIVE = Verdict.PASS, Verdict.FAIL, Verdict.INCONCLUSIVE
VERDICTS = st.sampled_from(list(Verdict))
BEFORE = Baseline(at=NOW, replicas=3, restarts={}, probes=())


def planned(before: Workload, to_revision: int | None = None) -> Plan:
    made = make_plan(
        before,
        read_history(before, now=RECORDED_AT),
        Diagnosis((), Decision.ROLL_BACK, ()),
        Order("api", "i", "alice", "", Choice(to_revision or 0)),
    )
    assert isinstance(made, Plan), made
    return made


PLAN = planned(
    workload(
        deployment(pod_template=template("app:v2")),
        [replicaset(1, template("app:v1"), pods=3), replicaset(2, template("app:v2"))],
    )
)
LIVE = replicaset(3, template("app:v1"), earlier="1", pods=3)
OLD = replicaset(2, template("app:v2"))
PODS = [pod(f"p-{n}", LIVE) for n in range(3)]


def undone(*more_pods: Any, pods: list[Any] | None = None, **more: Any) -> Workload:
    of = deployment(**{"pod_template": template("app:v1"), "revision": 3, **more})
    return workload(of, [LIVE, OLD], [*(PODS if pods is None else pods), *more_pods])


def verdicts(seen: Workload, baseline: Baseline = BEFORE) -> dict[str, Verdict]:
    return {check.name: check.verdict for check in rollout_checks(seen, PLAN, baseline)}


def wrong(seen: Workload, baseline: Baseline = BEFORE) -> dict[str, Verdict]:
    return {name: v for name, v in verdicts(seen, baseline).items() if v is not PASS}


def line(seen: Workload, name: str) -> tuple[str, ...]:
    [check] = [each for each in rollout_checks(seen, PLAN, BEFORE) if each.name == name]
    return check.evidence


# The rollout, clause by clause.


def test_a_complete_undo_passes_every_clause() -> None:
    assert verdicts(undone()) == dict.fromkeys(
        ("observed", "live-template", "updated", "no-old-pods", "available", "replicas"), PASS
    )


def test_a_spec_not_yet_seen_is_inconclusive() -> None:
    seen = undone(generation=5, observed=4)

    assert wrong(seen) == {"observed": INCONCLUSIVE}
    assert line(seen, "observed") == ("observedGeneration 4, generation 5",)


def test_another_template_fails() -> None:
    later = replicaset(4, template("app:v3"), pods=3)
    of = deployment(pod_template=template("app:v3"), revision=4)
    seen = workload(of, [later], [pod(f"p-{n}", later) for n in range(3)])

    assert wrong(seen) == {"live-template": FAIL}
    assert line(seen, "live-template") == ("api=app:v3",)


@pytest.mark.parametrize("terminating", [True, False])
def test_an_old_pod_fails_also_while_it_terminates(terminating: bool) -> None:
    seen = undone(pod("old", OLD, terminating=terminating))

    assert wrong(seen) == {"no-old-pods": FAIL}
    assert line(seen, "no-old-pods") == ("1 pod left",)


def test_a_pod_that_is_missing_fails() -> None:
    seen = undone(pods=PODS[:2])

    assert wrong(seen) == {"updated": FAIL, "available": FAIL}
    assert line(seen, "updated") == ("2 of 3 pods",)


def test_a_pod_that_crashes_fails_and_is_named() -> None:
    seen = undone(crashing("p-x", LIVE), pods=PODS[:2])

    assert wrong(seen) == {"available": FAIL}
    assert line(seen, "available") == ("2 of 3 pods", "p-x: CrashLoopBackOff")


def test_fewer_replicas_than_before_fail_with_the_command() -> None:
    seen = undone(replicas=2, pods=PODS[:2])

    assert wrong(seen) == {"replicas": FAIL}
    assert line(seen, "replicas") == (
        "2 now, 3 before",
        "bring them back: kubectl -n veza-production scale deployment/api --replicas=3",
    )


def test_more_replicas_than_before_are_fine() -> None:
    assert wrong(undone(pod("p-4", LIVE), replicas=4)) == {}


def test_scaled_to_zero_fails_and_proves_nothing() -> None:
    assert wrong(undone(replicas=0, pods=[])) == {
        "updated": INCONCLUSIVE,
        "available": INCONCLUSIVE,
        "replicas": FAIL,
    }


@pytest.mark.parametrize("before", [0, 1, 3])
def test_at_zero_it_never_passes_not_even_where_it_stood_there_before(before: int) -> None:
    seen = undone(replicas=0, pods=[])
    checks = rollout_checks(seen, PLAN, replace(BEFORE, replicas=before))

    assert conclude(checks).verdict is not PASS


def test_pods_that_were_not_seen_are_inconclusive_never_pass() -> None:
    assert wrong(undone(pods=[])) == dict.fromkeys(
        ("updated", "no-old-pods", "available"), INCONCLUSIVE
    )


def test_the_recorded_undo_lacks_only_the_end_of_its_last_old_pod() -> None:
    plan = planned(recorded("08-failed-deadline"))
    checks = rollout_checks(recorded("10-after-undo-of-failed"), plan, BEFORE)

    assert [check.name for check in checks if check.verdict is not PASS] == ["no-old-pods"]


def test_the_recorded_failure_is_no_recovery() -> None:
    plan = planned(recorded("08-failed-deadline"))
    checks = rollout_checks(recorded("08-failed-deadline"), plan, BEFORE)

    assert {check.name for check in checks if check.verdict is FAIL} == {
        "live-template",
        "updated",
        "no-old-pods",
        "available",
    }


# The soak.


@pytest.mark.parametrize(
    ("before", "after", "verdict", "evidence"),
    [
        ({"a": 1}, {"a": 1}, PASS, "1 pod, no new restart, none gone"),
        ({"a": 0}, {"a": 0, "b": 0}, PASS, "2 pods, no new restart, none gone"),
        ({"a": 0}, {"a": 2}, FAIL, "a restarted: 0 before, 2 now"),
        ({"a": 0}, {"a": 0, "b": 1}, FAIL, "b restarted: 0 before, 1 now"),
        ({"a": 0, "b": 0}, {"a": 0}, FAIL, "b is gone"),
        ({}, {"a": 0}, INCONCLUSIVE, "no pod was seen when it began"),
    ],
)
def test_soak(
    before: dict[str, int], after: dict[str, int], verdict: Verdict, evidence: str
) -> None:
    check = soak_check(before, after, 30)

    assert check.verdict is verdict
    assert check.title == "It held for 30 s"
    assert check.evidence == (evidence,)


def test_a_soak_of_no_time_proves_nothing() -> None:
    assert soak_check({"a": 0}, {"a": 0}, 0).verdict is INCONCLUSIVE


# The verdict.


@given(st.lists(VERDICTS))
def test_the_worst_check_decides_and_a_gap_never_passes(seen: list[Verdict]) -> None:
    checks = [Check(f"c{n}", "", verdict, ()) for n, verdict in enumerate(seen)]
    verification = conclude(checks)

    assert verification.checks == tuple(checks)
    assert (verification.verdict is FAIL) == (FAIL in seen)
    assert (verification.verdict is PASS) == (bool(seen) and set(seen) == {PASS})


# The runbook's nine lines.


def test_the_checklist_is_the_runbooks_in_its_order_whatever_was_checked() -> None:
    assert [(entry.number, str(entry.title)) for entry in checklist(())] == [
        (1, "previous version identified"),
        (2, "rollback executed"),
        (3, "pods running and ready"),
        (4, "health checks passing"),
        (5, "application logs show no errors"),
        (6, "critical endpoints responding"),
        (7, "metrics normalised"),
        (8, "users can access the platform"),
        (9, "monitoring alerts cleared"),
    ]
    assert {entry.verdict for entry in checklist(())} == {INCONCLUSIVE}
    assert all(entry.by_hand for entry in checklist(()))


def test_a_complete_undo_fills_the_first_three_lines() -> None:
    checks = (target_check(PLAN), *rollout_checks(undone(), PLAN, BEFORE))
    first, second, third, *others = conclude(checks).entries

    assert first.checks == ("target",)
    assert second.checks == ("observed", "live-template", "no-old-pods")
    assert third.checks == ("updated", "available", "replicas")
    assert {entry.verdict for entry in (first, second, third)} == {PASS}
    assert all(entry.checks == () for entry in others)


@given(st.lists(st.tuples(st.sampled_from(list(Item)), VERDICTS, st.booleans())))
def test_a_line_is_as_good_as_its_worst_check_and_no_check_is_lost(
    seen: list[tuple[Item, Verdict, bool]],
) -> None:
    checks = [
        Check(f"c{n}", "", verdict, (), advisory=advisory, item=item)
        for n, (item, verdict, advisory) in enumerate(seen)
    ]
    verification = conclude(checks)

    assert sorted(n for entry in verification.entries for n in entry.checks) == sorted(
        check.name for check in checks
    )
    for entry in verification.entries:
        mine = {check.verdict for check in checks if check.name in entry.checks}
        assert (entry.verdict is PASS) == (mine == {PASS})
        assert (entry.verdict is FAIL) == (FAIL in mine)


def test_what_is_only_advice_shows_on_its_line_and_does_not_open_the_verdict() -> None:
    good = Check("a", "", PASS, (), item=Item.PODS)
    unasked = Check("b", "", INCONCLUSIVE, (), advisory=True, item=Item.USERS)
    verification = conclude([good, unasked])

    assert verification.verdict is PASS
    assert verification.entries[7].verdict is INCONCLUSIVE


def test_an_answer_given_later_changes_line_and_verdict() -> None:
    good = Check("a", "", PASS, (), item=Item.PODS)
    unasked = Check("users", "", INCONCLUSIVE, (), advisory=True, item=Item.USERS)
    no = replace(unasked, verdict=FAIL)
    verification = replaced(conclude([good, unasked]), no)

    assert verification.checks == (good, no)
    assert (verification.verdict, verification.entries[7].verdict) == (FAIL, FAIL)
