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
    probe,
    recorded,
    replicaset,
    template,
    workload,
)
from veza_nb.checks import (
    Baseline,
    Check,
    conclude,
    probe_checks,
    rollout_checks,
    soak_check,
)
from veza_nb.choices import Choice
from veza_nb.findings import Diagnosis
from veza_nb.objects import Workload
from veza_nb.orders import Order
from veza_nb.plans import Plan, make_plan
from veza_nb.revisions import read_history
from veza_nb.vocabulary import Decision, Verdict

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


# Probes.


def probed(*probes: Any, before: tuple[Any, ...] = ()) -> dict[str, Verdict]:
    baseline = replace(BEFORE, probes=before)
    return {check.name: check.verdict for check in probe_checks(probes, baseline)}


def test_good_answers_pass() -> None:
    assert probed(probe(200, 200, 200)) == {
        "probe-health-answers": PASS,
        "probe-health-speed": PASS,
    }


def test_endpoints_are_told_apart() -> None:
    both = probed(probe(200, 200, 200), probe(500, 500, 500, name="/api/v1/tracks"))

    assert both["probe-health-answers"] is PASS
    assert both["probe-api-v1-tracks-answers"] is FAIL


def test_one_failure_in_twenty_is_tolerated_and_shown() -> None:
    [answers, _] = probe_checks([probe(500, *[200] * 19)], BEFORE)

    assert answers.verdict is PASS
    assert answers.evidence == ("1 of 20 requests failed (HTTP 500: 1), HTTP 200 expected",)
    assert probed(probe(500, *[200] * 18))["probe-health-answers"] is FAIL


def test_slow_answers_fail() -> None:
    assert probed(probe(200, 200, 200, seconds=1.5)) == {
        "probe-health-answers": PASS,
        "probe-health-speed": FAIL,
    }


def test_no_answer_at_all_says_nothing_about_speed() -> None:
    assert probed(probe(None, None, None)) == {
        "probe-health-answers": FAIL,
        "probe-health-speed": INCONCLUSIVE,
    }


@pytest.mark.parametrize("statuses", [(), (200,), (200, 200)])
def test_too_few_requests_prove_nothing(statuses: tuple[int, ...]) -> None:
    assert set(probed(probe(*statuses)).values()) == {INCONCLUSIVE}


def test_without_any_endpoint_it_is_inconclusive() -> None:
    assert probed() == {"probes": INCONCLUSIVE}


def test_an_endpoint_asked_before_and_not_now_is_a_gap() -> None:
    checked = probed(probe(200, 200, 200), before=(probe(500), probe(500, name="/tracks")))

    assert checked["probe-tracks"] is INCONCLUSIVE


def test_what_it_answered_before_stands_beside_it() -> None:
    baseline = replace(BEFORE, probes=(probe(500, 500),))
    [answers, _] = probe_checks([probe(200, 200, 200)], baseline)

    assert answers.evidence == (
        "3 requests, all good",
        "before: 2 of 2 requests failed (HTTP 500: 2), HTTP 200 expected",
    )


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
