"""A broken database, a bad node, a changed ConfigMap: no undo cures them, and detection says so."""

from collections.abc import Sequence
from datetime import datetime, timedelta
from typing import Any

import pytest
from msgspec import structs

from tests.builders import (
    HEALTHY,
    NOW,
    Json,
    ago,
    crashing,
    deployment,
    pod,
    probe,
    replicaset,
    template,
    workload,
)
from veza_nb.evidence import Finding
from veza_nb.findings import Diagnosis, decide, find, noticed
from veza_nb.loglines import PodLog
from veza_nb.measures import NOT_ASKED, Alert, Measured, Monitored, Reading
from veza_nb.neighbourhood import Neighbour, Neighbourhood, NodeState, Role
from veza_nb.objects import Workload
from veza_nb.onset import read_onset
from veza_nb.references import Reference
from veza_nb.revisions import read_history
from veza_nb.rollout import read_rollout
from veza_nb.samples import Probe
from veza_nb.surroundings import Referred
from veza_nb.vocabulary import Decision, Severity

DO_NOT, ROLL_BACK, UNCLEAR = Decision.DO_NOT, Decision.ROLL_BACK, Decision.UNCLEAR
STARTED = {"running": {"startedAt": ago(minutes=8)}}


def before(**length: float) -> datetime:
    return NOW - timedelta(**length)


def diagnose(seen: Workload, beside: Neighbourhood, probes: Sequence[Probe] = HEALTHY) -> Diagnosis:
    rollout, history = read_rollout(seen), read_history(seen, now=NOW)
    findings = find(seen, rollout, probes, beside=beside, now=NOW)
    return decide(findings, rollout, history, probes, read_onset(seen, rollout))


def named(diagnosis: Diagnosis, reason: str) -> Finding:
    [finding] = [one for one in diagnosis.findings if one.reason == reason]
    return finding


def reasons(diagnosis: Diagnosis) -> set[str]:
    return {one.reason for one in diagnosis.findings}


def suffering(
    *,
    released: str,
    unready: str,
    old_serve: bool = False,
    reads: str = "",
    old_reads: str | None = None,
    old_started: str = "",
    node: str = "",
    crashed: int = 3,
    pull: bool = False,
    only_unready: bool = False,
) -> Workload:
    """Pods of the live template crash; the older template served for days before."""
    of = {name: env(where) for name, where in (("v2", reads), ("v1", old_reads or reads))}
    first = replicaset(
        1, template("app:v1", **of["v1"]), created=ago(days=30), pods=3 if old_serve else 0
    )
    live = replicaset(2, template("app:v2", **of["v2"]), created=released, pods=3, available=0)
    make = quiet if only_unready else unready_pod
    pods = [make(f"new-{n}", live, unready, pull=pull) for n in range(crashed)]
    pods += [pod(f"fine-{n}", live) for n in range(3 - crashed)]
    if old_serve:
        started = {"running": {"startedAt": old_started or ago(days=2)}}
        pods += [pod(f"old-{n}", first, state=started) for n in range(3)]
    for one in pods:
        one["spec"] = {"nodeName": node if one["metadata"]["name"].startswith("new") else "other"}
    done = {"type": "Progressing", "status": "True", "reason": "NewReplicaSetAvailable"}
    progress = {**done, "lastUpdateTime": released, "message": f'ReplicaSet "{name_of(live)}" …'}
    made = deployment(pod_template=template("app:v2", **of["v2"]), conditions=[progress])
    return workload(made, [first, live], pods)


def name_of(thing: Json) -> str:
    return str(thing["metadata"]["name"])


def env(configmap: str) -> dict[str, Any]:
    return {"envFrom": [{"configMapRef": {"name": configmap}}]} if configmap else {}


def unready_pod(name: str, of: Json, since: str, *, pull: bool) -> Json:
    made = crashing(name, of)
    made["status"]["conditions"][0]["lastTransitionTime"] = since
    if pull:
        waiting = {"reason": "ImagePullBackOff", "message": "not found"}
        made["status"]["containerStatuses"][0].update(state={"waiting": waiting}, lastState={})
    return made


def quiet(name: str, of: Json, since: str, *, pull: bool) -> Json:
    """A pod that was ready, runs on, and is not ready any more."""
    assert not pull
    return pod(name, of, ready=False, ready_since=since, state=STARTED)


def database(*, ready: int = 0, since: datetime | None = None) -> Neighbour:
    return Neighbour(Role.NEEDED, "statefulset", "postgres", "veza-data", 1, ready, since)


# Something that every revision needs.


def test_without_neighbours_this_release_is_rolled_back() -> None:
    seen = suffering(released=ago(minutes=9), unready=ago(minutes=9))

    assert diagnose(seen, Neighbourhood()).decision is ROLL_BACK


def test_a_database_that_went_down_before_is_the_cause_and_no_undo_cures_it() -> None:
    seen = suffering(released=ago(minutes=9), unready=ago(minutes=9))
    diagnosis = diagnose(seen, Neighbourhood(neighbours=(database(since=before(minutes=20)),)))
    finding = named(diagnosis, "DependencyDown")

    assert diagnosis.decision is DO_NOT
    assert finding.severity is Severity.CRITICAL
    assert finding.from_release is False
    assert finding.summary == (
        "statefulset/postgres, which this service needs, is down since 2026-11-24 11:40:00 UTC: "
        "0 of 1 ready. Older revisions need it as well."
    )
    assert finding.evidence[0].command == "kubectl -n veza-data get statefulset/postgres"
    assert finding.summary in diagnosis.argument
    assert "It began 2026-11-24 11:51:00 UTC, 0 s after the rollout." in diagnosis.argument
    assert diagnosis.argument[-2].startswith("That is enough to cause it, and no rollback cures")


def test_a_database_that_fails_under_a_release_of_last_week_is_the_cause() -> None:
    seen = suffering(released=ago(days=7), unready=ago(minutes=3))
    down = database(since=before(minutes=4))

    assert diagnose(seen, Neighbourhood(neighbours=(down,))).decision is DO_NOT


@pytest.mark.parametrize(
    "down",
    [
        # Since when is not known; it went down after; only in part; the release may have done it.
        database(),
        database(since=before(minutes=1)),
        Neighbour(Role.NEEDED, "service", "queue", "veza-data", 3, 1),
        database(since=before(minutes=8)),
    ],
)
def test_a_database_that_only_may_be_the_cause_leaves_it_unclear(down: Neighbour) -> None:
    seen = suffering(released=ago(minutes=9), unready=ago(minutes=5))
    diagnosis = diagnose(seen, Neighbourhood(neighbours=(down,)))

    assert diagnosis.decision is UNCLEAR
    assert str(down) in " ".join(diagnosis.argument)
    assert any("an undo cures only the release" in one for one in diagnosis.argument)


def test_older_pods_that_serve_without_the_database_leave_it_unclear() -> None:
    seen = suffering(released=ago(minutes=9), unready=ago(minutes=9), old_serve=True)
    down = database(since=before(minutes=20))

    assert diagnose(seen, Neighbourhood(neighbours=(down,))).decision is UNCLEAR


def test_an_image_that_cannot_be_pulled_no_database_explains() -> None:
    seen = suffering(released=ago(minutes=9), unready=ago(minutes=9), old_serve=True, pull=True)
    diagnosis = diagnose(seen, Neighbourhood(neighbours=(database(since=before(minutes=20)),)))

    assert diagnosis.decision is ROLL_BACK
    assert any(one.startswith("An undo does not cure this: ") for one in diagnosis.argument)


def test_a_database_down_beside_a_service_that_is_well_is_no_reason_to_go_back() -> None:
    live = replicaset(2, template("app:v2"), created=ago(days=7), pods=3)
    first = replicaset(1, template("app:v1"), created=ago(days=30))
    seen = workload(deployment(), [first, live], [pod(f"p-{n}", live) for n in range(3)])
    diagnosis = diagnose(seen, Neighbourhood(neighbours=(database(since=before(minutes=4)),)))

    assert diagnosis.decision is DO_NOT
    assert named(diagnosis, "DependencyDown").summary in diagnosis.argument


def test_probes_that_fail_with_the_database_down_do_not_blame_the_release() -> None:
    live = replicaset(2, template("app:v2"), created=ago(minutes=9), pods=3)
    first = replicaset(1, template("app:v1"), created=ago(days=30))
    seen = workload(deployment(), [first, live], [pod(f"p-{n}", live) for n in range(3)])
    probes = (probe(500, 500, 500),)

    assert diagnose(seen, Neighbourhood(), probes).decision is ROLL_BACK
    assert (
        diagnose(
            seen, Neighbourhood(neighbours=(database(since=before(minutes=20)),)), probes
        ).decision
        is UNCLEAR
    )


# Others that suffer as well.


def other(*, since: datetime | None, role: Role = Role.OTHER, changed: Any = None) -> Neighbour:
    return Neighbour(role, "deployment", "stream", "veza-production", 3, 0, since, changed)


def test_neighbours_that_began_to_fail_too_leave_it_unclear() -> None:
    seen = suffering(released=ago(minutes=9), unready=ago(minutes=9))
    diagnosis = diagnose(seen, Neighbourhood(neighbours=(other(since=before(minutes=7)),)))

    assert diagnosis.decision is UNCLEAR
    assert "something that they share" in named(diagnosis, "NeighboursSuffer").summary


@pytest.mark.parametrize(
    "one",
    [
        other(since=before(hours=5)),
        other(since=None),
        other(since=before(minutes=8), role=Role.DEPENDENT),
        other(since=before(minutes=8), changed=before(minutes=9)),
    ],
    ids=["long ago", "nobody knows since when", "because of us", "rolled out itself"],
)
def test_neighbours_that_suffer_from_something_else_tell_nothing(one: Neighbour) -> None:
    seen = suffering(released=ago(minutes=9), unready=ago(minutes=9))
    diagnosis = diagnose(seen, Neighbourhood(neighbours=(one,)))

    assert diagnosis.decision is ROLL_BACK
    assert "NeighboursSuffer" not in reasons(diagnosis)


# Nodes.


def node(*troubles: str, since: datetime | None, name: str = "n1") -> NodeState:
    return NodeState(name, troubles, cordoned=False, since=since, message="Kubelet stopped")


@pytest.mark.parametrize(
    ("trouble", "reason"), [("NotReady", "NodeNotReady"), ("MemoryPressure", "NodePressure")]
)
def test_where_all_that_suffers_is_on_one_bad_node_it_is_the_node(
    trouble: str, reason: str
) -> None:
    seen = suffering(
        released=ago(minutes=9),
        unready=ago(minutes=5),
        node="n1",
        crashed=1,
        only_unready=True,
    )
    beside = Neighbourhood(nodes=(node(trouble, since=before(minutes=6)),))
    diagnosis = diagnose(seen, beside)
    finding = named(diagnosis, reason)

    assert diagnosis.decision is DO_NOT
    assert finding.severity is Severity.CRITICAL
    assert finding.summary == (
        f"Node n1 is in trouble ({trouble}): all pods that suffer are on it (new-0)."
    )
    assert finding.evidence[0].command == "kubectl describe node n1"
    assert finding.summary in diagnosis.argument


def test_a_program_that_crashes_on_a_bad_node_is_not_cleared_by_that() -> None:
    seen = suffering(released=ago(minutes=9), unready=ago(minutes=5), node="n1", crashed=2)
    beside = Neighbourhood(nodes=(node("MemoryPressure", since=before(hours=6)),))

    assert diagnose(seen, beside).decision is UNCLEAR


def test_pods_that_suffer_on_other_nodes_too_clear_the_node() -> None:
    seen = suffering(released=ago(minutes=9), unready=ago(minutes=5), node="n1")
    elsewhere = seen.pods[0]
    moved = structs.replace(elsewhere, spec=structs.replace(elsewhere.spec, node_name="n2"))
    seen = structs.replace(seen, pods=(moved, *seen.pods[1:]))
    diagnosis = diagnose(seen, Neighbourhood(nodes=(node("NotReady", since=before(minutes=9)),)))

    assert named(diagnosis, "NodeNotReady").severity is Severity.INFO
    assert diagnosis.decision is ROLL_BACK


def test_a_bad_node_that_came_after_the_trouble_leaves_it_unclear() -> None:
    seen = suffering(released=ago(minutes=9), unready=ago(minutes=9), node="n1")
    beside = Neighbourhood(nodes=(node("NotReady", since=before(minutes=2)),))

    assert diagnose(seen, beside).decision is UNCLEAR


def test_a_cordoned_node_is_worth_knowing_and_decides_nothing() -> None:
    seen = suffering(released=ago(minutes=9), unready=ago(minutes=9), node="n1")
    cordoned = NodeState("n1", (), cordoned=True, since=None, message="")
    diagnosis = diagnose(seen, Neighbourhood(nodes=(cordoned,)))

    assert diagnosis.decision is ROLL_BACK
    assert named(diagnosis, "NodeCordoned").severity is Severity.INFO


# ConfigMaps and Secrets.


def content(name: str, changed: datetime | None, *, exists: bool = True) -> Referred:
    return Referred(Reference("configmap", name), exists=exists, changed_at=changed)


def test_content_that_changed_about_then_leaves_it_unclear() -> None:
    seen = suffering(
        released=ago(minutes=9), unready=ago(minutes=9), reads="settings", old_serve=True
    )
    diagnosis = diagnose(seen, Neighbourhood(contents=(content("settings", before(minutes=10)),)))
    finding = named(diagnosis, "ContentChanged")

    assert diagnosis.decision is UNCLEAR
    assert finding.summary == (
        "Changed about when it began: configmap/settings (2026-11-24 11:50:00 UTC). No pod that "
        "serves has started since, and older revisions read it as well: an undo does not bring "
        "it back."
    )
    assert finding.summary in diagnosis.argument


def test_content_that_changed_under_a_release_that_was_well_is_the_cause() -> None:
    seen = suffering(released=ago(days=5), unready=ago(minutes=3), reads="settings")
    diagnosis = diagnose(seen, Neighbourhood(contents=(content("settings", before(minutes=4)),)))

    assert diagnosis.decision is DO_NOT
    assert named(diagnosis, "ContentChanged").from_release is False


@pytest.mark.parametrize(
    ("how", "changed"),
    [
        ({"reads": "settings", "old_started": ago(minutes=5)}, before(minutes=10)),
        ({"reads": "settings"}, before(days=1)),
        ({"reads": "settings", "old_reads": "others"}, before(minutes=10)),
        ({"reads": "settings", "pull": True}, before(minutes=10)),
        ({"reads": "settings"}, None),
        ({"reads": "settings"}, before(minutes=5)),
    ],
    ids=[
        "an older pod started with it",
        "long before",
        "only the release reads it",
        "image",
        "?",
        "after it began",
    ],
)
def test_content_that_cannot_be_the_cause_does_not_hold_up_the_undo(
    how: dict[str, Any], changed: datetime | None
) -> None:
    seen = suffering(released=ago(minutes=9), unready=ago(minutes=9), old_serve=True, **how)

    assert diagnose(seen, Neighbourhood(contents=(content("settings", changed),))).decision is (
        ROLL_BACK
    )


def test_content_that_is_gone_is_told_before_pods_notice() -> None:
    live = replicaset(2, template("app:v2", **env("settings")), created=ago(days=7), pods=3)
    first = replicaset(1, template("app:v1", **env("settings")), created=ago(days=30))
    made = deployment(pod_template=template("app:v2", **env("settings")))
    seen = workload(made, [first, live], [pod(f"p-{n}", live) for n in range(3)])
    beside = Neighbourhood(contents=(content("settings", None, exists=False),))
    diagnosis = diagnose(seen, beside)
    finding = named(diagnosis, "ContentMissing")

    assert finding.severity is Severity.WARNING
    assert "older revisions need it as well" in finding.summary
    assert finding.evidence[0].command == "kubectl -n veza-production get configmap/settings"


def test_a_secret_is_never_shown_by_the_command() -> None:
    reads = {"envFrom": [{"secretRef": {"name": "keys"}}]}
    live = replicaset(2, template("app:v2", **reads), created=ago(minutes=9), pods=1, available=0)
    first = replicaset(1, template("app:v1", **reads), created=ago(days=30))
    made = deployment(pod_template=template("app:v2", **reads), replicas=1)
    seen = workload(made, [first, live], [unready_pod("x", live, ago(minutes=9), pull=False)])
    secret = Referred(Reference("secret", "keys"), exists=True, changed_at=before(minutes=9))
    finding = named(diagnose(seen, Neighbourhood(contents=(secret,))), "ContentChanged")

    assert finding.evidence[0].command == "kubectl -n veza-production get secret/keys"


def test_what_could_not_be_seen_is_said() -> None:
    seen = suffering(released=ago(minutes=9), unready=ago(minutes=9))
    diagnosis = diagnose(seen, Neighbourhood(unseen=("events (not allowed)", "node/n1 (x)")))

    assert diagnosis.decision is ROLL_BACK
    assert named(diagnosis, "NotSeen").summary == (
        "Not looked at: events (not allowed), node/n1 (x)."
    )


@pytest.mark.parametrize(("old_reads", "decision"), [("settings", DO_NOT), ("others", ROLL_BACK)])
def test_content_that_is_gone_counts_as_far_as_the_older_revision_reads_it(
    old_reads: str, decision: Decision
) -> None:
    seen = suffering(
        released=ago(minutes=9), unready=ago(minutes=9), reads="settings", old_reads=old_reads
    )
    beside = Neighbourhood(contents=(content("settings", None, exists=False),))

    assert diagnose(seen, beside).decision is decision


def test_a_first_crash_of_the_release_beside_older_pods_that_answer_wrongly_is_unclear() -> None:
    first = replicaset(1, template("app:v1"), created=ago(days=30), pods=3)
    live = replicaset(2, template("app:v2"), created=ago(minutes=1), pods=1, available=0)
    ended = {"terminated": {"exitCode": 1, "reason": "Error", "finishedAt": ago(seconds=9)}}
    pods = [pod("new", live, ready=False, state=ended), *(pod(f"o{n}", first) for n in range(3))]
    diagnosis = diagnose(
        workload(deployment(), [first, live], pods), Neighbourhood(), (probe(500, 500, 500),)
    )

    assert named(diagnosis, "Error").severity is Severity.WARNING
    assert named(diagnosis, "ProbeFailing").from_release is False
    assert diagnosis.decision is UNCLEAR


# When it began.


def test_it_began_when_the_first_pod_in_trouble_stopped_being_ready() -> None:
    seen = suffering(released=ago(minutes=9), unready=ago(minutes=5))

    assert read_onset(seen, read_rollout(seen)).told == (
        "It began 2026-11-24 11:55:00 UTC, 4 min after the rollout."
    )


def test_an_outage_older_than_the_rollout_is_told_so() -> None:
    seen = suffering(released=ago(minutes=9), unready=ago(minutes=9))
    lost = {"type": "Available", "status": "False", "lastTransitionTime": ago(minutes=30)}
    of = workload(deployment(conditions=[lost])).deployment
    seen = structs.replace(seen, deployment=structs.replace(of, spec=seen.deployment.spec))

    assert "21 min before the rollout" in read_onset(seen, read_rollout(seen)).told


def released(*, minutes: float, **sign: Any) -> tuple[Workload, Monitored]:
    """A complete release that answers wrongly, and what monitoring noticed."""
    live = replicaset(2, template("app:v2"), created=ago(minutes=minutes), pods=1)
    first = replicaset(1, template("app:v1"), created=ago(days=30))
    seen = workload(deployment(replicas=1), [first, live], [pod("p", live)])
    alerts = tuple(
        Alert("ErrorsHigh", {}, "errors", before(minutes=since)) for since in sign.get("alerts", ())
    )
    after = sign.get("after")
    reading = Reading(before(minutes=minutes - 16), after) if after is not None else NOT_ASKED
    number = Measured("errors", "q", 0.02, 2.0, Reading(NOW, 0.001), Reading(NOW, 0.4), reading)
    return seen, Monitored((number,) if after is not None else (), alerts)


@pytest.mark.parametrize(
    ("minutes", "sign", "decision"),
    [
        (9, {}, ROLL_BACK),
        (29, {}, ROLL_BACK),
        (35, {}, UNCLEAR),
        (35, {"alerts": (30,)}, ROLL_BACK),
        (35, {"alerts": (5,)}, UNCLEAR),
        (20, {"alerts": (1,)}, UNCLEAR),
        (35, {"alerts": (9999,)}, UNCLEAR),
        (35, {"after": 0.4}, ROLL_BACK),
        (35, {"after": 0.001}, UNCLEAR),
        (600, {"after": 0.4}, ROLL_BACK),
    ],
)
def test_did_it_begin_with_the_rollout(
    minutes: float, sign: dict[str, Any], decision: Decision
) -> None:
    seen, told = released(minutes=minutes, **sign)
    rollout, probes = read_rollout(seen), (probe(500, 500, 500),)
    found = find(seen, rollout, probes, (), told, now=NOW)
    diagnosis = decide(
        found,
        rollout,
        read_history(seen, now=NOW),
        probes,
        read_onset(seen, rollout, noticed(seen, (), told)),
    )

    assert diagnosis.decision is decision


def test_a_program_that_complains_only_since_lately_tells_when_it_began() -> None:
    seen, _ = released(minutes=29)
    quiet = "2026-11-24T11:31:00Z listening\n"
    errors = "".join(f"2026-11-24T11:5{n}:00Z level=error refused\n" for n in range(5))
    log = PodLog("p", "api", new=True, previous=False, text=quiet + errors)
    rollout, probes = read_rollout(seen), (probe(500, 500, 500),)
    found = find(seen, rollout, probes, (log,), now=NOW)
    diagnosis = decide(found, rollout, read_history(seen, now=NOW), probes)

    assert diagnosis.decision is UNCLEAR
    assert noticed(seen, (log,), Monitored()) == (NOW.replace(hour=11, minute=50),)


def crash_looping(*, restarts: int, ran: float, started: str) -> Workload:
    """A pod that was ready for some seconds between any two of its crashes."""
    live = replicaset(2, template("app:v2"), created=ago(minutes=40), pods=1, available=0)
    first = replicaset(1, template("app:v1"), created=ago(days=30))
    made = crashing("x", live, restarts=restarts)
    ended = {"exitCode": 1, "startedAt": ago(seconds=20 + ran), "finishedAt": ago(seconds=20)}
    made["status"]["containerStatuses"][0]["lastState"] = {"terminated": ended}
    made["status"]["conditions"][0]["lastTransitionTime"] = ago(seconds=20)
    made["status"]["startTime"] = started
    return workload(deployment(replicas=1), [first, live], [made])


@pytest.mark.parametrize(
    ("restarts", "ran", "decision"),
    [
        # 2,300 s of pauses for 12 restarts: since its start 40 minutes ago.
        (12, 8.0, ROLL_BACK),
        (4, 2.0, UNCLEAR),
    ],
)
def test_when_crashes_began_their_number_and_their_pauses_tell(
    restarts: int, ran: float, decision: Decision
) -> None:
    seen = crash_looping(restarts=restarts, ran=ran, started=ago(minutes=40))

    assert diagnose(seen, Neighbourhood()).decision is decision


def test_without_trouble_nothing_began() -> None:
    live = replicaset(2, template("app:v2"), created=ago(days=7), pods=1)
    seen = workload(deployment(replicas=1), [live], [pod("p", live)])

    assert read_onset(seen, read_rollout(seen)).told == ""
