"""What is found, how it is shown, and whether it speaks for a rollback."""

import pytest

from tests.builders import (
    HEALTHY,
    NOW,
    RECORDED_AT,
    Json,
    ago,
    complete_release,
    crashing,
    deployment,
    event,
    failed_release,
    pod,
    probe,
    recorded,
    recorded_json,
    replicaset,
    template,
    workload,
)
from veza_nb.findings import Diagnosis, Finding, decide, find
from veza_nb.objects import Workload
from veza_nb.revisions import read_history
from veza_nb.rollout import read_rollout
from veza_nb.samples import Probe
from veza_nb.vocabulary import Decision, Severity

DO_NOT, ROLL_BACK, UNCLEAR = Decision.DO_NOT, Decision.ROLL_BACK, Decision.UNCLEAR


def diagnose(
    seen: Workload, probes: tuple[Probe, ...] = HEALTHY, *, now: object = NOW
) -> Diagnosis:
    at = RECORDED_AT if now is RECORDED_AT else NOW
    rollout = read_rollout(seen)
    findings = find(seen, rollout, probes, now=at)
    return decide(findings, rollout, read_history(seen, now=at), probes)


def at(moment: str, probes: tuple[Probe, ...] = HEALTHY) -> Diagnosis:
    return diagnose(recorded(moment), probes, now=RECORDED_AT)


def named(diagnosis: Diagnosis, reason: str) -> Finding:
    [finding] = [each for each in diagnosis.findings if each.reason == reason]
    return finding


def reasons(diagnosis: Diagnosis) -> list[str]:
    return [finding.reason for finding in diagnosis.findings]


# Recorded moments.


@pytest.mark.parametrize(
    ("moment", "decision", "first"),
    [
        ("07-failing", ROLL_BACK, "CrashLoopBackOff"),
        ("08-failed-deadline", ROLL_BACK, "Error"),
        ("11-imagepull", ROLL_BACK, "ImagePullBackOff"),
        ("12-never-ready", ROLL_BACK, "ContainersNotReady"),
        ("17-scaled-to-0", DO_NOT, "ScaledToZero"),
        ("13-paused-with-change", DO_NOT, "DeploymentPaused"),
    ],
)
def test_recorded_decision(moment: str, decision: Decision, first: str) -> None:
    diagnosis = at(moment)

    assert diagnosis.decision is decision
    assert diagnosis.findings[0].reason == first


@pytest.mark.parametrize(
    "moment", ["02-created-complete", "06-after-undo", "10-after-undo-of-failed", "14-restarted"]
)
def test_nothing_is_wrong_in_a_healthy_moment(moment: str) -> None:
    diagnosis = at(moment)

    assert diagnosis.decision is DO_NOT
    assert all(f.severity is Severity.INFO for f in diagnosis.findings)
    assert "Nothing was found that a rollback would cure." in diagnosis.argument


@pytest.mark.parametrize("moment", ["02-created-complete", "10-after-undo-of-failed"])
def test_healthy_pods_without_probes_prove_nothing(moment: str) -> None:
    diagnosis = at(moment, probes=())

    assert diagnosis.decision is UNCLEAR
    assert "No probe data: nobody asked the service itself." in diagnosis.argument


def test_a_crash_loop_carries_pod_numbers_and_the_command_for_its_log() -> None:
    finding = named(at("08-failed-deadline"), "Error")
    [evidence] = finding.evidence

    assert finding.from_release is True
    assert finding.severity is Severity.CRITICAL
    assert finding.summary == (
        "Error at 1 pod of the new template (veza-backend-api-55b45f7cdf-tpjzr): "
        "last ended with exit code 1 (Error)"
    )
    assert evidence.detail.startswith("backend-api: Error, 3 restarts.")
    assert evidence.command == (
        "kubectl -n veza-production logs veza-backend-api-55b45f7cdf-tpjzr "
        "-c backend-api --previous"
    )
    assert evidence.at is not None


def test_recorded_events_explain_the_crash() -> None:
    events = recorded_json("08-events", "list")["items"]
    explained = workload(
        recorded_json("08-failed-deadline", "deployment"),
        recorded_json("08-failed-deadline", "replicasets")["items"],
        recorded_json("08-failed-deadline", "pods")["items"],
        events,
    )
    finding = named(diagnose(explained, now=RECORDED_AT), "Error")
    [from_event] = [each for each in finding.evidence if each.kind == "Event"]

    assert from_event.name == "BackOff"
    assert "Back-off restarting failed container" in from_event.detail
    assert from_event.detail.endswith("(3 times)")
    assert from_event.command == (
        "kubectl -n veza-production get events "
        "--field-selector=involvedObject.name=veza-backend-api-55b45f7cdf-tpjzr"
    )


def test_the_deadline_is_a_finding_of_its_own() -> None:
    finding = named(at("08-failed-deadline"), "ProgressDeadlineExceeded")

    assert finding.from_release is True
    assert finding.summary == (
        "The rollout made no progress for 10 s: 0 of 3 pods of the new template available."
    )
    assert finding.evidence[0].command == (
        "kubectl -n veza-production describe deployment/veza-backend-api"
    )


def test_the_argument_reads_from_what_is_seen_to_the_answer() -> None:
    argument = at("08-failed-deadline").argument

    assert argument[0] == (
        "The rollout of revision 6 is stuck: 0 of 3 pods available, 3 of older revisions."
    )
    assert (
        "Only pods of the new template suffer; the 3 of older revisions serve: "
        "the release is to blame." in argument
    )
    assert "Revision 5: 3 pods of it still available now." in argument
    assert argument[-1] == "So: roll back."


def test_scaled_to_zero_names_the_command_that_brings_it_back() -> None:
    finding = named(at("17-scaled-to-0"), "ScaledToZero")

    assert (
        "`kubectl -n veza-production scale deployment/veza-backend-api --replicas=N`"
        in finding.summary
    )


def test_a_quota_is_not_taken_for_the_release() -> None:
    of = recorded_json("23-quota", "deployment")
    diagnosis = diagnose(workload(of), now=RECORDED_AT)

    assert diagnosis.decision is UNCLEAR
    assert "exceeded quota: q" in named(diagnosis, "FailedCreate").summary
    assert named(diagnosis, "FailedCreate").from_release is None


# Literal: whose doing is it?


def test_the_usual_incident_is_rolled_back() -> None:
    diagnosis = diagnose(failed_release())

    assert diagnosis.decision is ROLL_BACK
    assert "OldPodsServing" in reasons(diagnosis)


def both_suffer(old_reason: str) -> Workload:
    first = replicaset(1, template("app:v1"), created=ago(days=3), pods=1)
    second = replicaset(2, template("app:v2"), created=ago(minutes=4), pods=1)
    old = crashing("old", first)
    old["status"]["containerStatuses"][0]["state"]["waiting"]["reason"] = old_reason
    return workload(deployment(replicas=1), [first, second], [old, crashing("new", second)])


def test_where_old_pods_crash_alike_the_release_is_not_to_blame() -> None:
    diagnosis = diagnose(both_suffer("CrashLoopBackOff"))
    finding = named(diagnosis, "CrashLoopBackOff")

    assert diagnosis.decision is DO_NOT
    assert finding.from_release is False
    assert "both the new template (1) and older revisions (1)" in finding.summary


def test_another_word_for_the_same_crash_is_no_difference() -> None:
    diagnosis = diagnose(both_suffer("RunContainerError"))

    assert diagnosis.decision is DO_NOT
    assert {f.from_release for f in diagnosis.findings if f.from_release is not None} == {False}


def test_two_causes_at_once_are_unclear() -> None:
    diagnosis = diagnose(both_suffer("ImagePullBackOff"))

    assert diagnosis.decision is UNCLEAR
    assert named(diagnosis, "CrashLoopBackOff").from_release is True
    assert named(diagnosis, "ImagePullBackOff").from_release is False


def all_new(*, crashed: int, created: str, revisions: int = 2) -> Workload:
    live = replicaset(2, template("app:v2"), created=created, pods=3, available=3 - crashed)
    first = replicaset(1, template("app:v1"), created=ago(days=30))
    pods = [crashing(f"p-{n}", live) if n < crashed else pod(f"p-{n}", live) for n in range(3)]
    return workload(deployment(), [first, live][2 - revisions :], pods)


def test_a_release_of_just_now_that_fails_everywhere_is_to_blame() -> None:
    assert diagnose(all_new(crashed=3, created=ago(minutes=5))).decision is ROLL_BACK


def test_a_release_that_served_for_days_is_not_blamed_without_a_comparison() -> None:
    assert diagnose(all_new(crashed=3, created=ago(days=5))).decision is UNCLEAR


def test_one_pod_of_three_is_not_enough_to_blame_the_release() -> None:
    assert diagnose(all_new(crashed=1, created=ago(minutes=5))).decision is UNCLEAR


def test_old_pods_that_serve_are_comparison_enough_however_long_it_has_hung() -> None:
    first = replicaset(1, template("app:v1"), created=ago(days=9), pods=3)
    second = replicaset(2, template("app:v2"), created=ago(days=2), pods=3, available=2)
    pods = [pod(f"old-{n}", first) for n in range(3)]
    pods += [crashing("new-x", second), *(pod(f"new-{n}", second) for n in range(2))]
    diagnosis = diagnose(workload(deployment(), [first, second], pods))

    assert diagnosis.decision is ROLL_BACK
    assert named(diagnosis, "CrashLoopBackOff").from_release is True


def test_without_anything_to_go_back_to_it_is_unclear_and_says_repair_forward() -> None:
    diagnosis = diagnose(all_new(crashed=3, created=ago(minutes=5), revisions=1))

    assert diagnosis.decision is UNCLEAR
    assert "There is no revision worth going back to: repair forward." in diagnosis.argument


def test_pods_that_serve_between_two_crashes_are_found() -> None:
    """Recorded as 40: broken after success. At this moment both pods are ready again."""
    first = replicaset(1, template("app:v1"), created=ago(days=3))
    live = replicaset(2, template("app:v2"), created=ago(minutes=5), pods=2)
    last = {"terminated": {"exitCode": 1, "reason": "Error", "finishedAt": ago(seconds=12)}}
    pods = [pod(name, live, restarts=3, last=last) for name in ("a", "b")]
    diagnosis = diagnose(workload(deployment(replicas=2), [first, live], pods))
    finding = named(diagnosis, "Restarting")

    assert diagnosis.decision is ROLL_BACK
    assert finding.severity is Severity.CRITICAL
    assert finding.summary == (
        "Restarting at 2 pods of the new template (a, b): "
        "3 restarts, last ended with exit code 1 12 s ago"
    )


@pytest.mark.parametrize(
    "last",
    [
        {"terminated": {"exitCode": 1, "finishedAt": ago(hours=2)}},
        {"terminated": {"exitCode": 0, "finishedAt": ago(seconds=9)}},
    ],
)
def test_a_restart_of_old_or_in_order_is_no_finding(last: Json) -> None:
    live = replicaset(2, template("app:v2"), created=ago(days=1), pods=1)
    seen = workload(deployment(replicas=1), [live], [pod("a", live, restarts=4, last=last)])

    assert reasons(diagnose(seen)) == []


# Literal: probes.


def test_a_complete_release_that_answers_wrongly_is_rolled_back() -> None:
    diagnosis = diagnose(complete_release(), (probe(200, 500, 500, 500, None),))
    finding = named(diagnosis, "ProbeFailing")

    assert diagnosis.decision is ROLL_BACK
    assert finding.from_release is True
    assert finding.summary == (
        "health: 4 of 5 requests failed (HTTP 500: 3, timeout: 1), HTTP 200 expected."
    )
    assert finding.evidence[0].command == (
        "curl -sS -o /dev/null -w '%{http_code} %{time_total} s\\n' http://127.0.0.1:8080/health"
    )
    assert "1 endpoint answered 1 of 5 requests as expected." in diagnosis.argument


def test_a_complete_release_that_answers_slowly_is_rolled_back() -> None:
    diagnosis = diagnose(complete_release(), (probe(*[200] * 5, seconds=2.5),))

    assert diagnosis.decision is ROLL_BACK
    assert named(diagnosis, "ProbeSlow").summary == (
        "health: half within 2500 ms, 95 % within 2500 ms, at most 1000 ms expected."
    )


def test_one_slow_answer_is_a_warning_and_no_decision() -> None:
    fast, slow = probe(200, 200, 200, 200), probe(200, seconds=2.5)
    mixed = Probe("health", fast.url, 200, 1.0, (*fast.samples, *slow.samples))
    diagnosis = diagnose(complete_release(), (mixed,))

    assert named(diagnosis, "ProbeSlow").severity is Severity.WARNING
    assert diagnosis.decision is UNCLEAR


def test_one_failure_of_many_is_a_warning_and_no_decision() -> None:
    diagnosis = diagnose(complete_release(), (probe(500, *[200] * 19),))

    assert named(diagnosis, "ProbeFailing").severity is Severity.WARNING
    assert diagnosis.decision is UNCLEAR


@pytest.mark.parametrize("error", ["dns", "tls", "wrong url"])
def test_a_probe_that_reaches_no_pod_does_not_blame_the_release(error: str) -> None:
    diagnosis = diagnose(complete_release(), (probe(None, None, None, error=error),))

    assert diagnosis.decision is UNCLEAR


def test_failing_probes_of_pods_of_the_old_template_are_not_the_release() -> None:
    """The new pods are not ready: whoever answers is old."""
    seen = failed_release()
    rollout = read_rollout(seen)
    finding = next(
        f for f in find(seen, rollout, (probe(500, 500),), now=NOW) if f.reason == "ProbeFailing"
    )

    assert finding.from_release is False


def test_failing_probes_of_a_release_from_last_week_are_unclear() -> None:
    live = replicaset(2, template("app:v2"), created=ago(days=7), pods=3)
    first = replicaset(1, template("app:v1"), created=ago(days=30))
    seen = workload(deployment(), [first, live], [pod(f"p-{n}", live) for n in range(3)])

    assert diagnose(seen, (probe(500, 500, 500),)).decision is UNCLEAR


def test_an_endpoint_that_was_not_asked_is_a_gap() -> None:
    diagnosis = diagnose(complete_release(), (*HEALTHY, probe(name="/api/v1/tracks")))

    assert named(diagnosis, "ProbeWithoutData").severity is Severity.WARNING
    assert diagnosis.decision is UNCLEAR


# Literal: events and the Deployment.


def test_a_warning_about_a_pod_that_serves_by_now_is_only_information() -> None:
    live = replicaset(2, template("app:v2"), created=ago(days=1), pods=1)
    serving = pod("a", live)
    warning = event(serving, "Unhealthy", "connection refused", lastTimestamp=ago(minutes=1))
    diagnosis = diagnose(workload(deployment(replicas=1), [live], [serving], [warning]))

    assert named(diagnosis, "Unhealthy").severity is Severity.INFO
    assert diagnosis.decision is DO_NOT


def test_a_fresh_warning_about_the_replicaset_is_a_warning() -> None:
    live = replicaset(2, template("app:v2"), created=ago(days=1), pods=1)
    warning = event(
        live,
        "FailedCreate",
        "exceeded quota",
        kind="ReplicaSet",
        series={"count": 7, "lastObservedTime": ago(minutes=1)},
    )
    diagnosis = diagnose(workload(deployment(replicas=1), [live], [pod("a", live)], [warning]))
    finding = named(diagnosis, "FailedCreate")

    assert finding.severity is Severity.WARNING
    assert finding.summary == "7 warning events FailedCreate about api-hash2: exceeded quota"


@pytest.mark.parametrize(
    ("when", "severity"),
    [({"lastTimestamp": ago(hours=3)}, Severity.INFO), ({}, Severity.WARNING)],
)
def test_an_old_warning_is_information_and_one_without_a_time_is_not(
    when: Json, severity: Severity
) -> None:
    live = replicaset(2, template("app:v2"), created=ago(days=1), pods=1)
    warning = event(live, "FailedCreate", "exceeded quota", kind="ReplicaSet", **when)
    diagnosis = diagnose(workload(deployment(replicas=1), [live], [pod("a", live)], [warning]))

    assert named(diagnosis, "FailedCreate").severity is severity


def test_events_about_strangers_are_left_out() -> None:
    stranger = {"metadata": {"name": "other", "uid": "other"}}
    seen = complete_release()
    with_event = Workload(
        deployment=seen.deployment,
        replicasets=seen.replicasets,
        pods=seen.pods,
        events=workload(deployment(), events=[event(stranger, "BackOff", "x")]).events,
    )

    assert reasons(diagnose(with_event)) == []


def test_a_status_without_pods_is_a_gap() -> None:
    diagnosis = diagnose(workload(deployment(), [replicaset(2, template("app:v2"), pods=3)]))

    assert "PodsNotSeen" in reasons(diagnosis)
    assert diagnosis.decision is UNCLEAR


def test_too_few_pods_are_told_with_their_number() -> None:
    unavailable = {"type": "Available", "status": "False", "reason": "MinimumReplicasUnavailable"}
    live = replicaset(2, template("app:v2"), created=ago(minutes=4), pods=3, available=0)
    pods = [pod(f"p-{n}", live, ready=False) for n in range(3)]
    finding = named(
        diagnose(workload(deployment(conditions=[unavailable]), [live], pods)),
        "MinimumReplicasUnavailable",
    )

    assert finding.severity is Severity.CRITICAL
    assert finding.summary == "Too few pods serve: 0 ready, 3 wanted."


def test_a_rollout_under_way_with_a_warning_is_waited_for() -> None:
    old = replicaset(1, template("app:v1"), created=ago(days=1), pods=3)
    live = replicaset(2, template("app:v2"), created=ago(seconds=9), pods=1, available=0)
    starting = pod("new", live, ready=False)
    warning = event(starting, "Unhealthy", "connection refused", lastTimestamp=ago(seconds=2))
    pods = [*(pod(f"old-{n}", old) for n in range(3)), starting]
    diagnosis = diagnose(workload(deployment(), [old, live], pods, [warning]))

    assert diagnosis.decision is UNCLEAR
    assert "The rollout is still going on: wait and look again." in diagnosis.argument


def test_a_healthy_rollout_half_way_is_waited_for() -> None:
    diagnosis = at("03-mid-rollout")

    assert diagnosis.decision is UNCLEAR
    assert "The rollout is still going on: wait and look again." in diagnosis.argument


# The order, and size.


def test_findings_come_worst_first_and_the_release_first_of_equals() -> None:
    diagnosis = at("08-failed-deadline")
    ranks = [list(Severity).index(f.severity) for f in diagnosis.findings]

    assert ranks == sorted(ranks)
    assert diagnosis.findings[0].from_release is True


def test_a_thousand_pods_in_trouble_are_one_readable_finding() -> None:
    live = replicaset(2, template("app:v2"), created=ago(minutes=4), pods=1000, available=0)
    pods = [crashing(f"api-hash2-{n:04}", live) for n in range(1000)]
    finding = named(diagnose(workload(deployment(replicas=1000), [live], pods)), "CrashLoopBackOff")

    assert "1000 pods of the new template" in finding.summary
    assert "api-hash2-0002 and 997 more" in finding.summary
    assert len(finding.evidence) == 5
