"""Whatever logs, numbers, neighbours and events are like: an answer, and never a wrong one."""

import json
from datetime import UTC, datetime, timedelta
from decimal import Decimal
from typing import Any

import msgspec
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from tests.builders import (
    HEALTHY,
    NOW,
    ago,
    complete_release,
    crashing,
    deployment,
    event,
    failed_release,
    pod,
    probe,
    replicaset,
    template,
    workload,
)
from tests.test_odd_objects import NAMES, WORKLOADS
from veza_nb import render
from veza_nb.eventgroups import event_groups
from veza_nb.findings import Diagnosis, decide, find
from veza_nb.hints import with_hints
from veza_nb.loglines import LONGEST, PodLog
from veza_nb.measures import Alert, Measured, Monitored, Reading
from veza_nb.neighbourhood import Neighbour, Neighbourhood, NodeState, Role, Usage
from veza_nb.objects import Workload
from veza_nb.onset import read_onset
from veza_nb.plain import to_plain
from veza_nb.references import Reference
from veza_nb.revisions import read_history
from veza_nb.rollout import read_rollout
from veza_nb.samples import Probe
from veza_nb.surroundings import Referred
from veza_nb.vocabulary import Decision, Severity

MOMENTS = st.none() | st.sampled_from(
    [
        NOW,
        NOW - timedelta(minutes=3),
        NOW + timedelta(days=400),
        datetime(1, 1, 1, tzinfo=UTC),
        datetime(9999, 12, 31, 23, 59, 59, tzinfo=UTC),
        datetime(2026, 11, 24, 11),  # a writer that names no zone
    ]
)
AMOUNTS = st.none() | st.sampled_from([Decimal(0), Decimal("0.5"), Decimal(10**29), Decimal(-1)])
COUNTS = st.integers(-1, 3)
NUMBERS = st.none() | st.sampled_from([0.0, 0.5, float("nan"), float("inf"), -1.0, 1e300])
READINGS = st.builds(Reading, MOMENTS, NUMBERS, st.sampled_from(["", "not a number", "no data"]))
LOGS = st.lists(
    st.builds(
        PodLog,
        pod=NAMES,
        container=NAMES,
        new=st.booleans(),
        previous=st.booleans(),
        text=st.text(max_size=60)
        | st.binary(max_size=60).map(lambda data: data.decode("utf-8", "replace"))
        | st.sampled_from(["level=error x", "2026-11-24T11:59:59Z FATAL \x00", "\r", "E0101 "]),
    ),
    max_size=3,
).map(tuple)
NEIGHBOURHOODS = st.builds(
    Neighbourhood,
    usage=st.lists(
        st.builds(Usage, NAMES, NAMES, AMOUNTS, AMOUNTS, MOMENTS), max_size=2
    ).map(tuple),
    neighbours=st.lists(
        st.builds(
            Neighbour, st.sampled_from(Role), st.sampled_from(["deployment", "service"]),
            NAMES, NAMES, COUNTS, COUNTS, MOMENTS, MOMENTS,
        ),
        max_size=2,
    ).map(tuple),
    nodes=st.lists(
        st.builds(
            NodeState, NAMES, st.sampled_from([(), ("NotReady",), ("DiskPressure",)]),
            st.booleans(), MOMENTS, NAMES,
        ),
        max_size=2,
    ).map(tuple),
    contents=st.lists(
        st.builds(
            Referred,
            st.builds(Reference, st.sampled_from(["configmap", "secret", "priorityclass"]), NAMES),
            st.booleans(),
            MOMENTS,
        ),
        max_size=2,
    ).map(tuple),
    unseen=st.sampled_from([(), ("events (not allowed)",)]),
)  # fmt: skip
MONITORED = st.builds(
    Monitored,
    measures=st.lists(
        st.builds(
            Measured, NAMES, NAMES, st.sampled_from([0.0, 0.02]), st.just(2.0), READINGS, READINGS
        ),
        max_size=2,
    ).map(tuple),
    alerts=st.lists(st.builds(Alert, NAMES, st.just({}), NAMES, MOMENTS), max_size=2).map(tuple),
    problem=st.sampled_from(["", "no answer"]),
)


def diagnose(
    seen: Workload,
    probes: tuple[Probe, ...] = HEALTHY,
    logs: tuple[PodLog, ...] = (),
    told: Monitored | None = None,
    *,
    beside: Neighbourhood | None = None,
    now: datetime = NOW,
) -> Diagnosis:
    rollout, history = read_rollout(seen), read_history(seen, now=now)
    findings = find(
        seen, rollout, probes, logs, told or Monitored(), beside=beside or Neighbourhood(), now=now
    )
    made = decide(with_hints(findings, {}), rollout, history, probes, read_onset(seen, rollout))
    return Diagnosis(made.findings, made.decision, made.argument, event_groups(seen))


@given(WORKLOADS, st.sampled_from([(), HEALTHY, (probe(None, 500),)]), LOGS, MONITORED,
       NEIGHBOURHOODS)  # fmt: skip
@settings(max_examples=120, deadline=None)
def test_detection_answers_and_what_it_says_can_be_shown_and_written_down(
    seen: Workload,
    probes: tuple[Probe, ...],
    logs: tuple[PodLog, ...],
    told: Monitored,
    beside: Neighbourhood,
) -> None:
    diagnosis = diagnose(seen, probes, logs, told, beside=beside)

    assert diagnosis.argument[-1] == f"So: {diagnosis.decision}."
    assert render.diagnosis(diagnosis, now=NOW).html
    assert msgspec.json.encode(to_plain(diagnosis))
    if diagnosis.decision is Decision.ROLL_BACK:
        critical = [one for one in diagnosis.findings if one.severity is Severity.CRITICAL]
        assert any(one.from_release is True for one in critical)


# Logs.


@pytest.mark.parametrize(
    "text",
    ["x" * 10_000_000, "level=error " + "x" * 10_000_000, "a" * 9_999_999 + "\nFATAL the end"],
    ids=["nothing", "error first", "error last"],
)
def test_ten_megabytes_in_one_line_are_looked_at_only_at_their_beginning(text: str) -> None:
    seen = failed_release()
    log = PodLog("api-hash2-x", "api", new=True, previous=True, text=text)
    old = PodLog("api-hash1-a", "api", new=False, previous=False, text="all is well")

    diagnosis = diagnose(seen, logs=(log, old))

    assert diagnosis.decision is Decision.ROLL_BACK
    said = [e.detail for one in diagnosis.findings for e in one.evidence if e.kind == "Log"]
    assert all(len(one) <= LONGEST for one in said)


@given(st.binary(max_size=300))
@settings(max_examples=100, deadline=None)
def test_binary_logs_explain_nothing_and_change_nothing(data: bytes) -> None:
    log = PodLog(
        "api-hash2-x", "api", new=True, previous=True, text=data.decode("utf-8", "replace")
    )

    assert diagnose(failed_release(), logs=(log,)).decision is Decision.ROLL_BACK


# Clocks.


@pytest.mark.parametrize("ahead", [timedelta(), timedelta(seconds=-2), timedelta(seconds=2)])
def test_a_second_or_two_between_clocks_change_no_verdict(ahead: timedelta) -> None:
    assert diagnose(failed_release(), now=NOW + ahead).decision is Decision.ROLL_BACK
    assert diagnose(complete_release(), now=NOW + ahead).decision is Decision.DO_NOT


def test_objects_from_the_future_do_not_make_a_healthy_service_sick() -> None:
    diagnosis = diagnose(complete_release(), now=NOW - timedelta(hours=3))

    assert diagnosis.decision is Decision.DO_NOT


# Events.


def test_events_without_times_neither_hide_nor_invent_anything() -> None:
    live = replicaset(2, template("app:v2"), created=ago(days=1), pods=1)
    serving = pod("a", live)
    said = event(serving, "Unhealthy", "refused")
    seen = workload(deployment(replicas=1), [live], [serving], [said])
    diagnosis = diagnose(seen)

    assert diagnosis.decision is Decision.DO_NOT
    assert [one.severity for one in diagnosis.findings] == [Severity.INFO]


# A long history, and names with every legal character.


def many_revisions(name: str) -> Workload:
    """Fifty revisions, the newest one bad."""
    older = [
        replicaset(n, template(f"{name}:v{n}"), created=ago(days=60 - n)) for n in range(1, 50)
    ]
    older[-1]["spec"]["replicas"] = 3
    live = replicaset(50, template(f"{name}:bad"), created=ago(minutes=4), pods=1, available=0)
    pods = [crashing("x", live), *(pod(f"p-{n}", older[-1]) for n in range(3))]
    of = deployment(pod_template=template(f"{name}:bad"), revision=50, revisionHistoryLimit=50)
    return workload(of, [*older, live], pods)


def test_fifty_revisions_are_one_decision() -> None:
    seen = many_revisions("app")
    diagnosis = diagnose(seen)
    history = read_history(seen, now=NOW)

    assert diagnosis.decision is Decision.ROLL_BACK
    assert len(history.revisions) == 50
    assert history.recommended is not None
    assert history.recommended.number == 49


LEGAL = st.from_regex(r"[a-z0-9]([-a-z0-9]{0,61}[a-z0-9])?(\.[a-z0-9]([-a-z0-9]{0,20}[a-z0-9])?)?",
                      fullmatch=True)  # fmt: skip


@given(LEGAL, LEGAL)
@settings(max_examples=60, deadline=None)
def test_every_legal_name_goes_through_unharmed(name: str, container: str) -> None:
    text = json.dumps(to_plain(msgspec.to_builtins(failed_release())))
    raw = json.loads(text.replace("api-hash2-x", name))
    for one in raw["pods"]:
        for status in one["status"]["containerStatuses"]:
            status["name"] = container
    seen = msgspec.json.decode(json.dumps(raw), type=Workload)
    diagnosis = diagnose(seen)
    [finding] = [one for one in diagnosis.findings if one.reason == "CrashLoopBackOff"]

    assert diagnosis.decision is Decision.ROLL_BACK
    assert f"({name})" in finding.summary
    assert f"logs {name} -c {container} --previous" in finding.evidence[0].command


def test_a_value_that_nobody_thought_of_is_shown_and_decides_nothing() -> None:
    value: Any = "Ünknown/Reason 7"
    live = replicaset(2, template("app:v2"), created=ago(days=3), pods=1, available=0)
    odd = pod("a", live, ready=False, state={"waiting": {"reason": value}})
    diagnosis = diagnose(workload(deployment(replicas=1), [live], [odd]))

    assert diagnosis.decision is Decision.UNCLEAR
    assert value in {one.reason for one in diagnosis.findings}
