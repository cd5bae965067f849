"""Prometheus and Alertmanager are asked for numbers and alerts; what they do not say is no pass."""

import math
from collections.abc import Iterator
from datetime import UTC, datetime, timedelta
from typing import Any

import pytest

from tests.builders import NOW, ago, crashing, deployment, pod, replicaset, template, workload
from tests.monitoring_stack import alertmanager, fire, free_port, prometheus
from veza_nb.catalog import Measure, Monitoring, Service
from veza_nb.findings import Finding, decide, find
from veza_nb.measures import (
    NOT_ASKED,
    Alert,
    Measured,
    Monitored,
    Reading,
    judge,
    verdict_of,
)
from veza_nb.monitorchecks import monitor_checks
from veza_nb.monitored import monitored
from veza_nb.monitoring import alerts, measure, measure_range
from veza_nb.objects import Workload
from veza_nb.revisions import read_history
from veza_nb.rollout import read_rollout
from veza_nb.vocabulary import Decision, Severity, Verdict

THEN = datetime.now(UTC).replace(microsecond=0) - timedelta(hours=3)


@pytest.fixture(scope="module")
def stack(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Monitoring]:
    """`rate` was 0.01 until THEN, is 0.4 since; two shards; one that is no number."""
    folder = tmp_path_factory.mktemp("monitoring")
    minutes = range(-60, 61)
    at = [THEN + timedelta(minutes=one) for one in minutes]
    series: dict[str, list[tuple[datetime, float]]] = {
        "rate": [(t, 0.01 if t < THEN else 0.4) for t in at],
        'shard{n="1"}': [(t, 1.0) for t in at],
        'shard{n="2"}': [(t, 1.0) for t in at],
        "strange": [(t, math.nan) for t in at],
    }
    (folder / "am").mkdir()
    with prometheus(folder, series) as numbers, alertmanager(folder / "am") as bells:
        yield Monitoring(prometheus=numbers, alertmanager=bells, timeout_seconds=5)


@pytest.mark.parametrize(
    ("query", "value", "problem"),
    [
        ("rate", 0.4, ""),
        ("scalar(rate)", 0.4, ""),
        ("nothing", None, "no data"),
        ("shard", None, "2 series where one was expected"),
        ("strange", None, "not a number"),
        ("rate / 0", None, "infinite"),
        ("rate[5m]", None, "a matrix answer where a number was expected"),
        ('"text"', None, "a string answer where a number was expected"),
        ("rate{", None, "HTTP 400: "),
    ],
)
def test_a_query_has_a_number_or_a_reason_why_not(
    stack: Monitoring, query: str, value: float | None, problem: str
) -> None:
    read = measure(stack, query, THEN + timedelta(minutes=10))

    assert value == read.value
    assert read.problem.startswith(problem)
    assert bool(read.problem) is (value is None)


def test_a_number_over_time_has_one_reading_a_step(stack: Monitoring) -> None:
    begin, minute = THEN - timedelta(minutes=2), timedelta(minutes=1)

    read = measure_range(stack, "rate", begin, THEN + minute, minute)

    assert [0.01, 0.01, 0.4, 0.4] == [one.value for one in read]
    assert [begin + n * minute for n in range(4)] == [one.at for one in read]


def test_an_odd_step_loses_no_reading(stack: Monitoring) -> None:
    begin, step = THEN - timedelta(microseconds=54_321), timedelta(seconds=1.4631117)

    read = measure_range(stack, "rate", begin, begin + timedelta(seconds=146), step)

    assert len(read) == 100
    assert [one for one in read if one.value is None] == []


@pytest.mark.parametrize(
    ("query", "problem"),
    [
        ("nothing", "no data"),
        ("shard", "2 series where one was expected"),
        ("strange", "no data"),
        ("rate / 0", "no data"),
        ("rate{", "HTTP 400: "),
    ],
)
def test_a_number_over_time_that_is_none_is_a_gap_and_no_error(
    stack: Monitoring, query: str, problem: str
) -> None:
    read = measure_range(stack, query, THEN, THEN + timedelta(minutes=3), timedelta(minutes=1))

    assert [None] * 4 == [one.value for one in read]
    assert all(one.problem.startswith(problem) for one in read)


def test_a_number_over_time_has_a_gap_before_its_first_sample(stack: Monitoring) -> None:
    begin = THEN - timedelta(minutes=70)

    read = measure_range(stack, "rate", begin, begin + timedelta(minutes=12), timedelta(minutes=4))

    assert [None, None, None, 0.01] == [one.value for one in read]


def test_before_the_rollout_and_now_are_two_moments(stack: Monitoring) -> None:
    service = Service(metrics={"error rate": Measure(query="rate", limit=0.02)})

    [seen] = monitored(stack, service, now=THEN + timedelta(minutes=5), live_since=THEN).measures

    assert (seen.before.value, seen.now.value) == (0.01, 0.4)
    assert Verdict.FAIL is judge(seen)


def test_alerts_are_those_with_the_service_s_labels(stack: Monitoring) -> None:
    fire(stack.alertmanager, "HighErrorRate", service="api", env='a"b')
    fire(stack.alertmanager, "HighErrorRate", service="web")
    fire(stack.alertmanager, "OldOne", service="api", minutes_ago=90, over=True)

    found, problem = alerts(stack, {"service": "api", "env": 'a"b'})

    assert problem == ""
    assert [("HighErrorRate", "HighErrorRate of api")] == [(a.name, a.summary) for a in found]
    assert found[0].since is not None


def test_nobody_there_is_a_problem_and_no_error() -> None:
    nowhere = f"http://127.0.0.1:{free_port()}"
    monitoring = Monitoring(prometheus=nowhere, alertmanager=nowhere, timeout_seconds=1)

    assert "no answer" in measure(monitoring, "rate", THEN).problem
    assert "no answer" in alerts(monitoring, {"a": "b"})[1]


def test_what_the_catalogue_does_not_name_is_not_asked() -> None:
    service = Service(metrics={"x": Measure(query="rate", limit=1)}, alerts={"a": "b"})

    assert Monitored() == monitored(Monitoring(), service, now=NOW, live_since=NOW)


# How numbers are judged.


@pytest.mark.parametrize(
    ("value", "before", "expected"),
    [
        (0.02, 0.01, Verdict.PASS),
        (0.021, None, Verdict.FAIL),
        (0.02, None, Verdict.PASS),
        (0.019, 0.001, Verdict.FAIL),
        (0.004, 0.001, Verdict.PASS),
        (0.0, 0.0, Verdict.PASS),
        (None, 0.01, Verdict.INCONCLUSIVE),
        (0.5, 0.5, Verdict.FAIL),
    ],
)
def test_a_number_is_judged_by_its_limit_and_by_what_it_was(
    value: float | None, before: float | None, expected: Verdict
) -> None:
    assert expected is verdict_of(value, before, 0.02, 2.0)


# As findings.


def measured(now: float | None, before: float | None, *, problem: str = "no data") -> Measured:
    was = Reading(NOW, before) if before is not None else NOT_ASKED
    is_ = Reading(NOW, now, "" if now is not None else problem)
    return Measured("error rate", "rate", 0.02, 2.0, was, is_)


def released(**live: Any) -> Workload:
    one = replicaset(1, template("app:v1"), created=ago(days=3))
    two = replicaset(2, template("app:v2"), created=ago(minutes=9), pods=3, **live)
    pods = [pod(name, two) for name in ("a", "b", "c")]
    return workload(deployment(), [one, two], pods)


def findings(seen: Monitored, of: Workload | None = None) -> dict[str, Finding]:
    shown = of or released()
    found = find(shown, read_rollout(shown), (), (), seen, now=NOW)
    return {one.reason: one for one in found}


@pytest.mark.parametrize(
    ("now", "before", "severity", "blame", "decision"),
    [
        (0.4, 0.01, Severity.CRITICAL, True, Decision.ROLL_BACK),
        (0.4, 0.3, Severity.CRITICAL, False, Decision.DO_NOT),
        (0.4, None, Severity.CRITICAL, None, Decision.UNCLEAR),
        (0.019, 0.001, Severity.WARNING, True, Decision.UNCLEAR),
    ],
)
def test_a_number_that_turned_bad_with_the_rollout_blames_it(
    now: float, before: float | None, severity: Severity, blame: Any, decision: Decision
) -> None:
    shown, seen = released(), Monitored((measured(now, before),))
    rollout = read_rollout(shown)
    found = find(shown, rollout, (), (), seen, now=NOW)
    [bad] = [one for one in found if one.reason == "MetricBad"]

    assert (bad.severity, bad.from_release) == (severity, blame)
    assert decision is decide(found, rollout, read_history(shown, now=NOW), ()).decision


def test_a_number_that_was_bad_before_is_no_second_cause_beside_a_crash_loop() -> None:
    one = replicaset(1, template("app:v1"), created=ago(days=3), pods=3)
    two = replicaset(2, template("app:v2"), created=ago(minutes=9), pods=1, available=0)
    pods = [*(pod(name, one) for name in ("a", "b", "c")), crashing("d", two)]
    shown = workload(deployment(), [one, two], pods)
    rollout, seen = read_rollout(shown), Monitored((measured(0.4, 0.3),))
    found = find(shown, rollout, (), (), seen, now=NOW)

    decided = decide(found, rollout, read_history(shown, now=NOW), ())

    assert Decision.ROLL_BACK is decided.decision


@pytest.mark.parametrize(("minutes", "blame"), [(5, True), (60, None)])
def test_without_a_number_from_before_the_alerts_tell_when_it_began(
    minutes: int, blame: Any
) -> None:
    alert = Alert("Errors", {"alertname": "Errors"}, "", NOW - timedelta(minutes=minutes))
    seen = Monitored((measured(0.4, None),), (alert,), alerts_asked=True)

    assert findings(seen)["MetricBad"].from_release is blame


def test_a_number_without_data_is_worth_knowing_and_decides_nothing() -> None:
    found = findings(Monitored((measured(None, 0.01),)))

    assert found["MetricWithoutData"].severity is Severity.INFO
    assert "MetricBad" not in found


@pytest.mark.parametrize(("minutes", "blame"), [(5, True), (60, None)])
def test_alerts_are_the_release_s_when_they_began_after_it(minutes: int, blame: Any) -> None:
    alert = Alert("Slow", {"alertname": "Slow"}, "", NOW - timedelta(minutes=minutes))
    found = findings(Monitored(alerts=(alert,), alerts_asked=True))["AlertFiring"]

    assert (found.severity, found.from_release) == (Severity.WARNING, blame)


# As checks.


def checks(now: Monitored, before: Monitored | None = None) -> dict[str, Verdict]:
    return {one.name: one.verdict for one in monitor_checks(now, before or Monitored())}


def alerting(*names: str, problem: str = "") -> Monitored:
    firing = tuple(Alert(name, {"alertname": name}, "", None) for name in names)
    return Monitored(alerts=firing, problem=problem, alerts_asked=True)


@pytest.mark.parametrize(
    ("now", "before", "expected"),
    [
        (alerting(), alerting("Slow"), Verdict.PASS),
        (alerting("Slow"), alerting("Slow"), Verdict.INCONCLUSIVE),
        (alerting("Slow", "New"), alerting("Slow"), Verdict.FAIL),
        (alerting(problem="no answer"), alerting(), Verdict.INCONCLUSIVE),
    ],
)
def test_alerts_must_be_gone_and_none_may_be_new(
    now: Monitored, before: Monitored, expected: Verdict
) -> None:
    assert {"alerts": expected} == checks(now, before)


@pytest.mark.parametrize(
    ("value", "expected"),
    [(0.01, Verdict.PASS), (0.4, Verdict.FAIL), (None, Verdict.INCONCLUSIVE)],
)
def test_a_number_must_be_what_it_was_before_the_release(
    value: float | None, expected: Verdict
) -> None:
    now = Monitored((measured(value, None),))

    assert {"metric-error rate": expected} == checks(now, Monitored((measured(0.4, 0.01),)))


def test_without_monitoring_there_is_nothing_to_check() -> None:
    assert {} == checks(Monitored())
