"""Where a rollout stands, from literal objects and from recorded moments and watches."""

import copy
from collections.abc import Iterator

import pytest

from tests.builders import (
    Json,
    Store,
    ago,
    complete_release,
    crashing,
    deployment,
    event,
    failed_release,
    merged,
    pod,
    recorded,
    recorded_json,
    replicaset,
    stream,
    template,
    workload,
)
from veza_nb.objects import Workload
from veza_nb.rollout import RolloutState, read_restarts, read_rollout, settled
from veza_nb.vocabulary import RolloutPhase

COMPLETE, PROGRESSING = RolloutPhase.COMPLETE, RolloutPhase.PROGRESSING
STUCK, PAUSED = RolloutPhase.STUCK, RolloutPhase.PAUSED


def at(name: str) -> RolloutState:
    return read_rollout(recorded(name))


def reasons(state: RolloutState) -> list[str]:
    return [trouble.reason for trouble in state.troubles]


def numbers(state: RolloutState) -> dict[str, int]:
    names = ("desired", "updated", "old", "ready", "available", "old_ready")
    return {name: getattr(state, name) for name in names}


def deadline(replicaset_name: str, at: str | None = None) -> Json:
    return {
        "type": "Progressing",
        "status": "False",
        "reason": "ProgressDeadlineExceeded",
        "message": f'ReplicaSet "{replicaset_name}" has timed out progressing.',
        "lastUpdateTime": at or ago(seconds=30),
    }


# Recorded moments.


@pytest.mark.parametrize(
    ("moment", "phase"),
    [
        ("02-created-complete", COMPLETE),
        ("03-mid-rollout", PROGRESSING),
        ("04-rolled-out", COMPLETE),
        ("07-failing", STUCK),
        ("08-failed-deadline", STUCK),
        ("11-imagepull", STUCK),
        ("12-never-ready", STUCK),
        ("13-paused", COMPLETE),
        ("13-paused-with-change", PAUSED),
        ("15-annotated-v1.6.0", COMPLETE),
    ],
)
def test_recorded_phase(moment: str, phase: RolloutPhase) -> None:
    assert phase is at(moment).phase


def test_numbers_of_a_rollout_half_way() -> None:
    expected = {
        "desired": 3,
        "updated": 2,
        "old": 2,
        "ready": 1,
        "available": 1,
        "old_ready": 2,
    }

    assert expected == numbers(at("03-mid-rollout"))


def test_a_crash_loop_is_stuck_before_any_deadline() -> None:
    state = at("07-failing")
    [trouble] = state.troubles

    assert not state.deadline_exceeded
    assert trouble.reason == "CrashLoopBackOff"
    assert trouble.new
    assert trouble.pod == "veza-backend-api-55b45f7cdf-tpjzr"
    assert trouble.detail == "back-off 10s; last ended with exit code 1 (Error)"


def test_a_crash_loop_is_seen_while_the_container_runs_between_two_crashes() -> None:
    state = at("08-failed-deadline")
    [trouble] = state.troubles

    assert state.deadline_exceeded
    assert (trouble.reason, trouble.restarts, trouble.new) == ("Error", 3, True)
    assert trouble.detail == "last ended with exit code 1 (Error)"


def test_a_missing_image_is_named() -> None:
    [trouble] = at("11-imagepull").troubles

    assert trouble.reason == "ImagePullBackOff"
    assert "veza-backend-api:v1.3.0-missing" in trouble.detail


def test_a_pod_that_never_gets_ready_is_named_once_the_deadline_has_passed() -> None:
    state = at("12-never-ready")

    assert state.deadline_exceeded
    assert reasons(state) == ["ContainersNotReady"]
    assert "No progress within 10 s (ProgressDeadlineExceeded)." in state.reasons


@pytest.mark.parametrize("moment", ["06-after-undo", "10-after-undo-of-failed", "14-restarted"])
def test_a_rollout_is_complete_only_when_the_last_old_pod_is_gone(moment: str) -> None:
    """Recorded while one still terminated: kubectl calls that complete already."""
    seen = recorded(moment)
    going = [p for p in seen.pods if p.metadata.deletion_timestamp is None]
    gone = Workload(deployment=seen.deployment, replicasets=seen.replicasets, pods=tuple(going))

    assert read_rollout(seen).phase is PROGRESSING
    assert read_rollout(seen).old == 1
    assert any("1 terminating" in reason for reason in read_rollout(seen).reasons)
    assert read_rollout(gone).phase is COMPLETE


def test_the_crash_of_a_pod_that_terminates_is_no_trouble_any_more() -> None:
    assert at("10-after-undo-of-failed").troubles == ()


def test_a_paused_change_is_told_as_such() -> None:
    state = at("13-paused-with-change")

    assert (state.updated, state.old, state.revision) == (0, 3, 0)
    assert "The Deployment is paused: its template is not rolled out." in state.reasons


def test_scaled_to_zero_is_not_complete() -> None:
    seen = recorded("17-scaled-to-0")
    state = read_rollout(seen)

    assert (state.phase, state.desired) == (STUCK, 0)
    assert "kubectl -n veza-production scale deployment/veza-backend-api" in state.reasons[0]
    assert read_rollout(seen, desired_before=3).phase is STUCK
    assert read_rollout(seen, desired_before=0).phase is COMPLETE


def test_a_quota_that_lets_no_pod_in_is_stuck_with_its_message() -> None:
    """Recorded: the Deployment; one pod of two is there."""
    of = recorded_json("23-quota", "deployment")
    only = grown(of, of["spec"]["template"], 1, "q-65ff95bf87", pods=1)
    state = read_rollout(workload(of, [only], [pod("q-a", only)]))
    [trouble] = state.troubles

    assert state.phase is STUCK
    assert trouble.reason == "FailedCreate"
    assert trouble.pod == "q-65ff95bf87"
    assert "exceeded quota: q, requested: pods=1" in trouble.detail


@pytest.mark.parametrize("strategy", ["recreate", "ru-0-100"])
def test_stuck_by_its_pods_where_the_deadline_never_fires(strategy: str) -> None:
    """Recorded: Progressing is True/NewReplicaSetAvailable, but of the old ReplicaSet."""
    of = recorded_json(f"30-deadline-never-fires-{strategy}", "deployment")
    bad = grown(of, of["spec"]["template"], 4, "bad", earlier="2", pods=3, available=0)
    good = grown(of, with_image(of, "v1"), 3, "good", earlier="1")
    state = read_rollout(
        workload(of, [good, bad], [crashing(f"bad-{n}", bad, restarts=3) for n in "abc"])
    )

    assert state.phase is STUCK
    assert not state.deadline_exceeded
    assert reasons(state) == ["CrashLoopBackOff"] * 3


def test_pods_that_break_after_success_are_stuck() -> None:
    """Recorded: Available False, Progressing still True/NewReplicaSetAvailable."""
    of = recorded_json("40-flaky-broken-after-success", "deployment")
    only = grown(of, of["spec"]["template"], 3, "t-minready-676775b47c", pods=2, available=0)
    state = read_rollout(workload(of, [only], [crashing(f"p-{n}", only) for n in "ab"]))

    assert state.phase is STUCK
    assert numbers(state) == {
        "desired": 2,
        "updated": 2,
        "old": 0,
        "ready": 0,
        "available": 0,
        "old_ready": 0,
    }


# Recorded watches, event by event.


def check_invariants(seen: Workload, state: RolloutState) -> None:
    if state.phase is COMPLETE:
        assert state.observed
        assert state.old == 0
        assert state.available == state.updated == state.desired
    assert state.available <= state.ready <= state.updated
    assert state.old_ready <= state.old
    assert state.updated + state.old <= len(seen.pods)


def phases(looks: Iterator[Workload]) -> list[RolloutPhase]:
    """The phases one after the other, repetitions left out."""
    seen = []
    for look in looks:
        state = read_rollout(look)
        check_invariants(look, state)
        seen.append(state.phase)
    return [phase for n, phase in enumerate(seen) if n == 0 or phase is not seen[n - 1]]


def test_a_good_rollout_progresses_and_completes() -> None:
    """The second pod of the rollout is asked for, made, ready; old pods go one by one."""
    start = Store(
        recorded_json("02-created-complete", "deployment"),
        *items("02-created-complete", "replicasets"),
        *items("02-created-complete", "pods"),
    )
    events = merged(*(f"03-rollout.{kind}" for kind in ("deployment", "replicasets", "pods")))

    assert phases(start.looks(events)) == [PROGRESSING, COMPLETE]


def test_a_good_rollout_counts_upwards() -> None:
    start = Store(
        recorded_json("02-created-complete", "deployment"),
        *items("02-created-complete", "replicasets"),
        *items("02-created-complete", "pods"),
    )
    events = merged(*(f"03-rollout.{kind}" for kind in ("deployment", "replicasets", "pods")))
    states = [read_rollout(look) for look in start.looks(events)]
    released = [state for state in states if state.revision == 2]

    available = [state.available for state in released]

    assert available == sorted(available)
    assert list(dict.fromkeys(available)) == [0, 1, 2, 3]
    assert [state.old for state in released] == sorted(
        (state.old for state in released), reverse=True
    )


def failed_rollout_and_undo() -> Iterator[Workload]:
    """Recorded: crash loop, deadline, undo. ReplicaSets come from the moments beside it."""
    before, after = (
        items(name, "replicasets") for name in ("08-failed-deadline", "10-after-undo-of-failed")
    )
    pods = [p for p in items("07-failing", "pods") if "55b45f7cdf" not in p["metadata"]["name"]]
    events = merged("07-failed-rollout-and-undo.deployment", "07-failed-rollout-and-undo.pods")
    # A pod whose first event is a change was there already.
    there = {e["object"]["metadata"]["name"]: e["object"] for e in reversed(events)}
    added = {e["object"]["metadata"]["name"] for e in events if e["type"] == "ADDED"}
    pods += [there[n] for n in there if n not in added and there[n]["kind"] == "Pod"]
    store = Store(events[0]["object"], *pods)
    for look in store.looks(events):
        revision = int(look.deployment.metadata.annotations["deployment.kubernetes.io/revision"])
        known = [
            rs
            for rs in (before if revision < 7 else after)
            if int(rs["metadata"]["annotations"]["deployment.kubernetes.io/revision"]) <= revision
        ]
        [of] = store.kind("Deployment")
        yield workload(of, known, store.kind("Pod"))


def test_a_failed_rollout_gets_stuck_and_its_undo_completes() -> None:
    looks = list(failed_rollout_and_undo())
    names = [phase.value for phase in phases(iter(looks))]
    last = read_rollout(looks[-1])

    assert names == ["progressing", "stuck", "progressing", "complete"]
    assert (last.revision, last.old, last.troubles) == (7, 0, ())


def test_an_undone_crash_loop_is_stuck_no_longer_than_it_is_live() -> None:
    for look in failed_rollout_and_undo():
        [container] = look.deployment.spec.template["spec"]["containers"]
        if "v1.0.0" in container["image"]:
            assert read_rollout(look).phase is not STUCK


STRATEGIES = (
    "recreate",
    "ru-0-1",
    "ru-0-100",
    "ru-1-0",
    "ru-1-1",
    "ru-25-25-x3",
    "ru-25-25-x4",
    "single-ru",
)


def undo_after_deadline(strategy: str) -> Iterator[Workload]:
    """Recorded Deployments just after an undo; ReplicaSets and pods as their status counts."""
    events = [e["object"] for e in stream(f"30-undo-after-deadline-{strategy}")]
    good_name, bad_name = (named_by(each) for each in (events[-1], events[0]))
    target = events[0]["spec"]["template"]
    for of in events:
        acted = of["metadata"]["annotations"]["deployment.kubernetes.io/revision"] == "3"
        observed = of["status"]["observedGeneration"] == of["metadata"]["generation"]
        updated = of["status"].get("updatedReplicas", 0)
        rest = of["status"].get("replicas", 0) - updated
        new, old = (updated, rest) if observed else (rest, updated)
        ready = min(new, of["status"].get("availableReplicas", 0))
        good = grown(
            of,
            target,
            3 if acted else 1,
            good_name,
            earlier="1" if acted else "",
            pods=new,
            available=ready,
        )
        bad = grown(of, with_image(of, "v2-bad"), 2, bad_name, pods=old, available=0)
        pods = [pod(f"good-{n}", good, ready=n < ready) for n in range(new)]
        pods += [crashing(f"bad-{n}", bad) for n in range(old)]
        yield workload(of, [good, bad], pods)


@pytest.mark.parametrize("strategy", STRATEGIES)
def test_right_after_an_undo_the_old_deadline_is_not_believed(strategy: str) -> None:
    looks = list(undo_after_deadline(strategy))
    states = [read_rollout(look) for look in looks]

    assert phases(iter(looks)) == [PROGRESSING, COMPLETE]
    assert states[-1].phase is COMPLETE
    assert not any(state.deadline_exceeded for state in states)


def test_the_recording_does_show_a_stale_deadline_after_the_spec_was_observed() -> None:
    """Else the test above would prove nothing."""
    stale = [
        look
        for strategy in STRATEGIES
        for look in undo_after_deadline(strategy)
        if read_rollout(look).observed
        and any(c.reason == "ProgressDeadlineExceeded" for c in look.deployment.status.conditions)
    ]

    assert len(stale) >= 3


def test_an_undo_half_way_never_looks_stuck_and_completes_at_the_end() -> None:
    sets: dict[str, Json] = {}
    states = []
    for change in stream("32-undo-mid-rollout.replicasets"):
        sets[change["object"]["metadata"]["name"]] = change["object"]
        look = counted(list(sets.values()), desired=4)
        states.append(read_rollout(look))
        check_invariants(look, states[-1])

    assert [state.phase for state in states] == [PROGRESSING] * (len(states) - 1) + [COMPLETE]
    assert list(dict.fromkeys(state.revision for state in states)) == [2, 3]


def counted(sets: list[Json], *, desired: int) -> Workload:
    """A Deployment and pods as these ReplicaSets count them; the newest one is live."""

    def number(rs: Json) -> int:
        return int(rs["metadata"]["annotations"]["deployment.kubernetes.io/revision"])

    live = max(sets, key=number)
    of = deployment(
        pod_template=live["spec"]["template"],
        replicas=desired,
        revision=number(live),
        status={
            "replicas": sum(rs["status"]["replicas"] for rs in sets),
            "updatedReplicas": live["status"]["replicas"],
            "availableReplicas": sum(rs["status"].get("availableReplicas", 0) for rs in sets),
        },
    )
    of["metadata"]["uid"] = live["metadata"]["ownerReferences"][0]["uid"]
    pods = [
        pod(f"{rs['metadata']['name']}-{n}", rs, ready=n < rs["status"].get("readyReplicas", 0))
        for rs in sets
        for n in range(rs["status"]["replicas"])
    ]
    return workload(of, sets, pods)


def items(name: str, kind: str) -> list[Json]:
    return list(recorded_json(name, kind)["items"])


def with_image(of: Json, tag: str) -> Json:
    """The Deployment's template with another tag."""
    changed: Json = copy.deepcopy(of["spec"]["template"])
    [only] = changed["spec"]["containers"]
    only["image"] = only["image"].rpartition(":")[0] + ":" + tag
    return changed


def named_by(of: Json) -> str:
    """The ReplicaSet that the Progressing condition speaks of."""
    [seen] = [c for c in of["status"]["conditions"] if c["type"] == "Progressing"]
    return str(seen["message"].split('"')[1])


def grown(of: Json, pod_template: Json, number: int, name: str, **more: object) -> Json:
    """A ReplicaSet of a recorded Deployment."""
    owner = of["metadata"]["uid"]
    made = replicaset(number, pod_template, owner=owner, **more)  # type: ignore[arg-type]
    made["metadata"] |= {"name": name, "uid": f"uid-{name}"}
    return made


# Literal: counting.


def test_the_usual_incident_in_numbers() -> None:
    state = read_rollout(failed_release())

    assert state.phase is STUCK
    assert (state.revision, state.template_hash) == (2, "hash2")
    assert numbers(state) == {
        "desired": 3,
        "updated": 1,
        "old": 3,
        "ready": 0,
        "available": 0,
        "old_ready": 3,
    }


def test_a_spec_the_controller_has_not_seen_is_never_more_than_progressing() -> None:
    seen = complete_release(generation=5, observed=4)
    state = read_rollout(seen)

    assert (state.phase, state.observed) == (PROGRESSING, False)
    assert state.reasons[0] == "The controller has seen generation 4 and not yet 5."


def test_ready_pods_count_as_available_only_after_min_ready_seconds() -> None:
    live = replicaset(2, template("app:v2"), pods=3, available=1)
    seen = workload(deployment(minReadySeconds=30), [live], [pod(f"p-{n}", live) for n in range(3)])
    state = read_rollout(seen)

    assert (state.ready, state.available, state.phase) == (3, 1, PROGRESSING)


def test_pods_and_status_must_agree_before_it_is_complete() -> None:
    behind = complete_release(status={"replicas": 3, "updatedReplicas": 2, "availableReplicas": 2})
    state = read_rollout(behind)

    assert state.phase is PROGRESSING
    assert "3 pods, 2 updated, 2 available" in state.reasons[-1]


def test_a_status_without_pods_is_not_complete() -> None:
    blind = workload(deployment(), [replicaset(2, template("app:v2"), pods=3)])

    assert read_rollout(blind).phase is PROGRESSING


def test_a_pod_whose_replicaset_was_pruned_still_counts_as_old() -> None:
    gone = replicaset(1, template("app:v1"))
    live = replicaset(2, template("app:v2"), pods=3)
    pods = [pod(f"p-{n}", live) for n in range(3)]
    state = read_rollout(
        workload(deployment(), [live], [*pods, pod("old", gone, terminating=True)])
    )

    assert (state.old, state.phase) == (1, PROGRESSING)


def test_pods_of_somebody_else_do_not_count() -> None:
    live = replicaset(2, template("app:v2"), pods=3)
    other = replicaset(9, template("app:v9"), owner="somebody-else")
    other["metadata"]["name"] = "other-deployment-hash9"
    pods = [pod(f"p-{n}", live) for n in range(3)]
    state = read_rollout(workload(deployment(), [live, other], [*pods, pod("stranger", other)]))

    assert (state.old, state.phase) == (0, COMPLETE)


def test_an_evicted_pod_is_trouble_but_not_in_the_way() -> None:
    live = replicaset(2, template("app:v2"), pods=3)
    pods = [pod(f"p-{n}", live) for n in range(3)]
    evicted = pod("evicted", live, ready=False, phase="Failed", reason="Evicted")
    state = read_rollout(workload(deployment(), [live], [*pods, evicted]))

    assert (state.phase, state.updated) == (COMPLETE, 3)
    assert reasons(state) == ["Evicted"]


def test_a_scale_down_on_its_way_is_not_complete() -> None:
    live = replicaset(2, template("app:v2"), pods=4)
    seen = workload(deployment(), [live], [pod(f"p-{n}", live) for n in range(4)])

    assert read_rollout(seen).phase is PROGRESSING


# Literal: troubles.


def one_new_pod(new_pod: Json, *events: Json, **spec: object) -> RolloutState:
    old = replicaset(1, template("app:v1"), pods=3)
    live = replicaset(2, template("app:v2"), pods=1, available=0)
    status = {"replicas": 4, "updatedReplicas": 1, "availableReplicas": 3}
    of = deployment(status=status, **spec)  # type: ignore[arg-type]
    pods = [pod(f"old-{n}", old) for n in range(3)]
    return read_rollout(workload(of, [old, live], [*pods, new_pod], events))


LIVE = replicaset(2, template("app:v2"), pods=1, available=0)


def waiting(reason: str, message: str = "") -> Json:
    state = {"waiting": {"reason": reason, "message": message}}
    return pod("new", LIVE, ready=False, state=state, phase="Pending")


@pytest.mark.parametrize("reason", ["ContainerCreating", "PodInitializing", ""])
def test_a_pod_that_starts_is_no_trouble(reason: str) -> None:
    state = one_new_pod(waiting(reason))

    assert (state.phase, state.troubles) == (PROGRESSING, ())


@pytest.mark.parametrize(
    "reason",
    ["ErrImagePull", "InvalidImageName", "CreateContainerConfigError", "RunContainerError"],
)
def test_what_waiting_does_not_cure_is_stuck(reason: str) -> None:
    state = one_new_pod(waiting(reason, "secret  \n 'db' not found"))

    assert state.phase is STUCK
    assert [(t.reason, t.detail) for t in state.troubles] == [(reason, "secret 'db' not found")]


def test_out_of_memory_is_told_from_any_other_crash() -> None:
    state = one_new_pod(crashing("new", LIVE, killed=True))

    assert state.phase is STUCK
    assert reasons(state) == ["OOMKilled"]
    assert "exit code 137 (OOMKilled)" in state.troubles[0].detail


@pytest.mark.parametrize(("restarts", "phase"), [(1, PROGRESSING), (2, STUCK)])
def test_one_crash_may_pass_a_second_is_a_loop(restarts: int, phase: RolloutPhase) -> None:
    last = {"terminated": {"exitCode": 3, "reason": "Error", "finishedAt": ago(minutes=3)}}
    state = one_new_pod(pod("new", LIVE, ready=False, restarts=restarts, last=last))

    assert state.phase is phase
    assert reasons(state) == ["Error"]


def test_an_unready_pod_is_not_blamed_on_a_crash_of_last_week() -> None:
    last = {"terminated": {"exitCode": 3, "reason": "Error", "finishedAt": ago(days=7)}}
    unready = pod("new", LIVE, ready=False, restarts=5, last=last, ready_since=ago(seconds=9))
    state = one_new_pod(unready)

    assert state.phase is PROGRESSING
    assert [(t.reason, t.detail) for t in state.troubles] == [
        ("ContainersNotReady", "was ready before; containers with unready status: [api]")
    ]


def test_an_unhealthy_pod_tells_what_its_probe_answered() -> None:
    text = "Readiness probe failed: HTTP probe failed with statuscode: 503"
    unready = pod("new", LIVE, ready=False)
    state = one_new_pod(unready, event(unready, "Unhealthy", text))

    assert [(t.reason, t.detail) for t in state.troubles] == [("Unhealthy", text)]
    assert state.phase is PROGRESSING


def test_a_pod_that_no_node_takes_waits_for_one() -> None:
    message = "0/3 nodes are available: 3 Insufficient cpu."
    unplaced = pod(
        "new",
        LIVE,
        ready=False,
        phase="Pending",
        conditions=[
            {
                "type": "PodScheduled",
                "status": "False",
                "reason": "Unschedulable",
                "message": message,
            }
        ],
    )
    state = one_new_pod(unplaced)

    assert state.phase is PROGRESSING
    assert [(t.reason, t.detail) for t in state.troubles] == [("Unschedulable", message)]


def test_a_failing_init_container_is_named() -> None:
    failing = pod("new", LIVE, ready=False, state={"waiting": {"reason": "PodInitializing"}})
    failing["status"]["initContainerStatuses"] = [
        {
            "name": "migrate",
            "restartCount": 2,
            "state": {"waiting": {"reason": "CrashLoopBackOff"}},
            "lastState": {"terminated": {"exitCode": 1, "reason": "Error"}},
        }
    ]
    [trouble] = one_new_pod(failing).troubles

    assert (trouble.container, trouble.reason) == ("migrate", "CrashLoopBackOff")


def test_an_init_container_that_is_done_is_no_trouble() -> None:
    starting = waiting("PodInitializing")
    starting["status"]["initContainerStatuses"] = [
        {"name": "migrate", "state": {"terminated": {"exitCode": 0, "reason": "Completed"}}}
    ]

    assert one_new_pod(starting).troubles == ()


def test_old_pods_in_trouble_are_listed_after_the_new_ones_and_do_not_make_it_stuck() -> None:
    old = replicaset(1, template("app:v1"), pods=1)
    live = replicaset(2, template("app:v2"), pods=3)
    pods = [crashing("old", old), *(pod(f"p-{n}", live) for n in range(3))]
    state = read_rollout(workload(deployment(), [old, live], pods))

    assert state.phase is PROGRESSING
    assert [(t.reason, t.new) for t in state.troubles] == [("CrashLoopBackOff", False)]
    assert any("(older revision)" in reason for reason in state.reasons)


# Literal: the deadline.


def never_ready(conditions: list[Json], **more: object) -> RolloutState:
    return one_new_pod(pod("new", LIVE, ready=False), conditions=conditions, **more)


def test_a_deadline_of_the_live_replicaset_is_believed() -> None:
    state = never_ready([deadline("api-hash2")])

    assert (state.phase, state.deadline_exceeded) == (STUCK, True)


def test_a_deadline_that_names_another_replicaset_is_not_believed() -> None:
    state = never_ready([deadline("api-hash1")])

    assert (state.phase, state.deadline_exceeded) == (PROGRESSING, False)


def test_a_deadline_is_not_believed_before_the_newest_spec_was_seen() -> None:
    state = never_ready([deadline("api-hash2")], generation=3, observed=2)

    assert (state.phase, state.deadline_exceeded) == (PROGRESSING, False)


def test_a_deadline_is_not_believed_before_the_undo_was_renumbered() -> None:
    """The live template is the older ReplicaSet, whose number is not the highest yet."""
    old = replicaset(1, template("app:v1"), pods=1, available=0)
    bad = replicaset(2, template("app:v2"), pods=1, available=0)
    of = deployment(pod_template=template("app:v1"), conditions=[deadline("api-hash1")], revision=2)
    state = read_rollout(workload(of, [old, bad], [pod("new", old, ready=False)]))

    assert not state.deadline_exceeded


def test_a_paused_rollout_is_paused_whatever_its_pods_say() -> None:
    state = one_new_pod(crashing("new", LIVE), paused=True)

    assert state.phase is PAUSED
    assert reasons(state) == ["CrashLoopBackOff"]


@pytest.mark.parametrize(
    ("phase", "expected"), [(COMPLETE, True), (PAUSED, True), (STUCK, False), (PROGRESSING, False)]
)
def test_only_complete_and_paused_are_settled(phase: RolloutPhase, expected: bool) -> None:
    moments = {
        COMPLETE: complete_release(),
        PAUSED: recorded("13-paused-with-change"),
        STUCK: failed_release(),
        PROGRESSING: recorded("03-mid-rollout"),
    }
    state = read_rollout(moments[phase])

    assert state.phase is phase
    assert settled(state) is expected


def test_restarts_are_summed_over_containers_and_left_out_for_pods_that_go() -> None:
    live = replicaset(2, template("app:v2"), pods=2)
    twice = pod("a", live, restarts=2)
    twice["status"]["containerStatuses"].append({"name": "proxy", "restartCount": 3})
    seen = workload(
        deployment(),
        [live],
        [twice, pod("b", live, restarts=9, terminating=True), pod("c", live, phase="Failed")],
    )

    assert read_restarts(seen) == {"a": 5}
