"""StatefulSets and DaemonSets are judged by the same rules, and what differs is said."""

import json
from datetime import UTC, datetime
from typing import Any

import jsonpatch
import pytest
from msgspec.structs import replace

from tests.builders import (
    NAMESPACE,
    NOW,
    RECORDED_AT,
    RECORDINGS,
    Json,
    ago,
    crashing,
    event,
    pod,
    template,
)
from veza_nb.byhand import left_alone
from veza_nb.checks import soak_check
from veza_nb.choices import Choice
from veza_nb.controllerrevisions import READERS, as_deployment, as_workload
from veza_nb.findings import Diagnosis
from veza_nb.guards import Guard
from veza_nb.objects import ControllerRevision, DaemonSet, Event, Pod, StatefulSet, Workload
from veza_nb.orders import Order
from veza_nb.permissions import HELPFUL, NEEDED, helpful_for, needed_for
from veza_nb.plans import Plan, in_effect, make_plan, undo_patch
from veza_nb.quotas import added_pods
from veza_nb.replicasets import live_since, pods_of, template_hash
from veza_nb.reputation import BAD, read_mark, write_mark
from veza_nb.revisions import History, Standing, read_history
from veza_nb.rollout import RolloutState, read_restarts, read_rollout
from veza_nb.typed import convert, decode_json
from veza_nb.vocabulary import Annotation, Decision, Level, RolloutPhase, Verdict, WorkloadKind

STATEFUL_SET, DAEMON_SET = WorkloadKind.STATEFUL_SET, WorkloadKind.DAEMON_SET
ROLL_BACK = Diagnosis((), Decision.ROLL_BACK, ())
UID = "uid-of-the-set"


def recording(name: str) -> Json:
    found: Json = json.loads((RECORDINGS / "objects" / f"{name}.json").read_text())
    return found


def recorded(kind: WorkloadKind) -> tuple[Workload, Json]:
    """What a real control plane answered after an undo, as one look and raw."""
    raw = recording(f"25-{kind.resource}")
    owner = as_deployment(decode_json(json.dumps(raw), READERS[kind][0]))
    listed = recording("25-controllerrevisions")["items"]
    revisions = [decode_json(json.dumps(one), ControllerRevision) for one in listed]
    return as_workload(owner, revisions, ()), raw


def owner(
    kind: WorkloadKind, image: str, *, replicas: int = 3, available: int = 3, **spec: Any
) -> Json:
    counts = {"replicas": replicas, "updatedReplicas": replicas, "availableReplicas": available}
    nodes = {
        "desiredNumberScheduled": replicas,
        "currentNumberScheduled": replicas,
        "updatedNumberScheduled": replicas,
        "numberAvailable": available,
    }
    own: Json = {"replicas": replicas} if kind is STATEFUL_SET else {}
    return {
        "metadata": {"name": "db", "namespace": NAMESPACE, "uid": UID, "generation": 2},
        "spec": {"template": template(image), **own, **spec},
        "status": {"observedGeneration": 2, **(counts if kind is STATEFUL_SET else nodes)},
    }


def revision(
    number: int, image: str, kind: WorkloadKind, *, created: str = "", returned: str = ""
) -> Json:
    suffix = image.rpartition(":")[2]
    label = "controller.kubernetes.io/hash" if kind is STATEFUL_SET else "controller-revision-hash"
    written = [{"manager": "kube-controller-manager", "time": returned}] if returned else []
    return {
        "metadata": {
            "name": f"db-{suffix}",
            "uid": f"uid-{suffix}",
            "labels": {"app": "api", label: suffix},
            "creationTimestamp": created or ago(days=30 - number),
            "ownerReferences": [{"kind": kind, "name": "db", "uid": UID, "controller": True}],
            "managedFields": written,
        },
        "revision": number,
        "data": {"spec": {"template": {"$patch": "replace", **template(image)}}},
    }


def of(made: Json, revision_: Json, kind: WorkloadKind) -> Json:
    """That pod, as a pod of that revision."""
    metadata = revision_["metadata"]
    suffix = metadata["name"].rpartition("-")[2]
    label = metadata["name"] if kind is STATEFUL_SET else suffix
    made["metadata"]["labels"] = {"app": "api", "controller-revision-hash": label}
    made["metadata"]["ownerReferences"] = metadata["ownerReferences"]
    return made


def look(kind: WorkloadKind, of_set: Json, revisions: list[Json], pods: list[Json]) -> Workload:
    told = as_deployment(convert(of_set, READERS[kind][0]))
    kept = [convert(one, ControllerRevision) for one in revisions]
    plain = json.loads(json.dumps(pods), object_hook=_without_none)
    return as_workload(told, kept, tuple(convert(one, Pod) for one in plain))


def _without_none(value: Json) -> Json:
    return {key: inner for key, inner in value.items() if inner is not None}


def after_bad_release(kind: WorkloadKind, *, live: str = "app:v2", **spec: Any) -> Workload:
    """Two pods of a good revision serve, the third is of a bad one and crashes."""
    first, second = revision(1, "app:v1", kind), revision(2, "app:v2", kind)
    if live == "app:v1":
        first["revision"] = 3
    pods = [of(pod(f"db-{n}", first), first, kind) for n in (0, 1)]
    pods.append(of(crashing("db-2", second), second, kind))
    return look(kind, owner(kind, live, available=2, **spec), [first, second], pods)


def rolled_out(kind: WorkloadKind, **spec: Any) -> Workload:
    first, second = revision(1, "app:v1", kind), revision(2, "app:v2", kind)
    pods = [of(pod(f"db-{n}", second), second, kind) for n in range(3)]
    return look(kind, owner(kind, "app:v2", **spec), [first, second], pods)


def proposed(seen: Workload, number: int = 0, *, named: bool = False) -> Plan:
    order = Order("db", "inc", "alice", choice=Choice(number if named else 0))
    made = make_plan(seen, read_history(seen, now=NOW), ROLL_BACK, order)
    assert isinstance(made, Plan)
    return made


def guard(plan: Plan, name: str) -> Guard | None:
    return next((one for one in plan.guards if one.name == name), None)


def said(state: RolloutState) -> str:
    return " ".join(state.reasons)


def by_number(history: History) -> dict[int, Standing]:
    return {one.number: one.standing for one in history.revisions}


KINDS = pytest.mark.parametrize("kind", [STATEFUL_SET, DAEMON_SET])


@KINDS
class TestRecordedUndo:
    def test_the_revisions_are_those_that_kubectl_showed(self, kind: WorkloadKind) -> None:
        history = read_history(recorded(kind)[0], now=RECORDED_AT)

        assert [3, 2] == [one.number for one in history.revisions]
        assert [one.images for one in history.revisions] == [
            {kind.word: f"registry.veza.example/veza-{kind.word}:{tag}"} for tag in ("v1", "v2")
        ]
        assert history.current is history.revisions[0]

    def test_the_bad_one_counts_as_left_for_an_older_template(self, kind: WorkloadKind) -> None:
        newest, left = read_history(recorded(kind)[0], now=RECORDED_AT).revisions

        assert (newest.abandoned, left.abandoned) == (False, True)

    def test_the_live_template_came_back_when_its_number_was_written(
        self, kind: WorkloadKind
    ) -> None:
        seconds = {STATEFUL_SET: 44, DAEMON_SET: 53}[kind]

        expected = datetime(2026, 11, 23, 9, 33, seconds, tzinfo=UTC)
        assert live_since(recorded(kind)[0]) == expected

    def test_the_patch_makes_the_template_that_kubectl_made(self, kind: WorkloadKind) -> None:
        workload, raw = recorded(kind)
        target, left = read_history(workload, now=RECORDED_AT).revisions
        before = {**raw, "spec": {**raw["spec"], "template": left.template}}

        patch = undo_patch(workload.deployment, target.template, change_cause="because")
        after = jsonpatch.apply_patch(before, json.loads(json.dumps(patch)))

        assert after["spec"] == raw["spec"]
        assert after["metadata"]["annotations"]["kubernetes.io/change-cause"] == "because"

    def test_a_plan_names_the_kind_in_its_command(self, kind: WorkloadKind) -> None:
        made = proposed(recorded(kind)[0], 2, named=True)

        name = f"{kind.word}/veza-{kind.word}"
        assert made.command == f"kubectl -n {NAMESPACE} rollout undo {name} --to-revision=2"
        assert (made.kind, made.noop) == (kind, False)
        assert "Deployment" not in " ".join([*made.not_restored, *map(str, made.guards)])


@KINDS
class TestRollout:
    def test_all_pods_of_the_live_template_and_a_status_that_agrees_is_complete(
        self, kind: WorkloadKind
    ) -> None:
        state = read_rollout(rolled_out(kind))

        assert (state.phase, state.updated, state.old) == (RolloutPhase.COMPLETE, 3, 0)

    def test_pods_alone_are_not_enough_while_the_status_does_not_agree(
        self, kind: WorkloadKind
    ) -> None:
        state = read_rollout(look(kind, *_but_available(rolled_out, kind, 2)))

        assert state.phase is RolloutPhase.PROGRESSING
        assert f"the {kind}'s status does not say so" in said(state)

    def test_a_crash_loop_of_the_new_template_is_stuck(self, kind: WorkloadKind) -> None:
        state = read_rollout(after_bad_release(kind))

        assert (state.phase, state.updated, state.old) == (RolloutPhase.STUCK, 1, 2)
        assert state.old_ready == 2
        assert "CrashLoopBackOff at db-2" in said(state)
        assert state.left_alone == ()

    def test_the_good_revision_is_proven_by_the_pods_that_still_serve(
        self, kind: WorkloadKind
    ) -> None:
        history = read_history(after_bad_release(kind), now=NOW)

        assert by_number(history) == {2: Standing.CURRENT, 1: Standing.GOOD}
        assert history.recommended is not None
        assert history.recommended.available == 2

    def test_a_pod_whose_revision_is_not_known_is_an_old_one(self, kind: WorkloadKind) -> None:
        first, second = revision(1, "app:v1", kind), revision(2, "app:v2", kind)
        pods = [of(pod("db-0", first), first, kind)]

        state = read_rollout(look(kind, owner(kind, "app:v2"), [second], pods))

        assert (state.old, state.updated) == (1, 0)

    def test_no_more_pods_than_now_are_added(self, kind: WorkloadKind) -> None:
        assert added_pods(rolled_out(kind).deployment) == 0

    def test_min_ready_seconds_are_counted_by_the_status(self, kind: WorkloadKind) -> None:
        waiting = look(kind, *_but_available(rolled_out, kind, 1, minReadySeconds=30))

        assert read_rollout(waiting).available == 1


def _but_available(
    made: Any, kind: WorkloadKind, available: int, **spec: Any
) -> tuple[Json, list[Json], list[Json]]:
    second = revision(2, "app:v2", kind)
    pods = [of(pod(f"db-{n}", second), second, kind) for n in range(3)]
    return owner(kind, "app:v2", available=available, **spec), [second], pods


class TestStuckPod:
    def test_an_ordered_statefulset_waits_for_the_broken_pod(self) -> None:
        state = read_rollout(after_bad_release(STATEFUL_SET, live="app:v1"))

        assert state.phase is RolloutPhase.STUCK
        assert "db-2 is not ready: this StatefulSet waits for it" in said(state)
        assert f"`kubectl -n {NAMESPACE} delete pod db-2`" in said(state)

    def test_the_plan_says_so_before(self) -> None:
        stuck = guard(proposed(after_bad_release(STATEFUL_SET)), "stuck-pod")

        assert stuck is not None
        assert stuck.level is Level.WARN
        assert stuck.remedy.startswith(
            f"Right after the undo, while it is followed: `kubectl -n {NAMESPACE} delete pod db-2`"
        )

    @pytest.mark.parametrize(
        ("kind", "spec"),
        [(DAEMON_SET, {}), (STATEFUL_SET, {"podManagementPolicy": "Parallel"})],
        ids=["DaemonSet", "parallel StatefulSet"],
    )
    def test_others_replace_it_by_themselves(self, kind: WorkloadKind, spec: Json) -> None:
        state = read_rollout(after_bad_release(kind, live="app:v1", **spec))

        assert (state.phase, state.left_alone) == (RolloutPhase.PROGRESSING, ())
        assert guard(proposed(after_bad_release(kind, **spec)), "stuck-pod") is None

    def test_a_pod_that_only_starts_is_named_but_not_given_up(self) -> None:
        first, second = revision(3, "app:v1", STATEFUL_SET), revision(2, "app:v2", STATEFUL_SET)
        pods = [of(pod("db-0", first), first, STATEFUL_SET)]
        pods.append(of(pod("db-1", second, ready=False), second, STATEFUL_SET))

        state = read_rollout(
            look(STATEFUL_SET, owner(STATEFUL_SET, "app:v1"), [first, second], pods)
        )

        assert state.phase is RolloutPhase.PROGRESSING
        assert [one.pods for one in state.left_alone] == [("db-1",)]

    def test_a_pod_that_goes_already_is_not_waited_for(self) -> None:
        seen = after_bad_release(STATEFUL_SET, live="app:v1")
        gone = of(
            pod("db-2", revision(2, "app:v2", STATEFUL_SET), ready=False, terminating=True),
            revision(2, "app:v2", STATEFUL_SET),
            STATEFUL_SET,
        )

        assert left_alone(seen, [convert(_without_nulls(gone), Pod)]) == ()


def _without_nulls(value: Json) -> Json:
    plain: Json = json.loads(json.dumps(value), object_hook=_without_none)
    return plain


class TestUpdateStrategies:
    @KINDS
    def test_on_delete_nothing_happens_by_itself(self, kind: WorkloadKind) -> None:
        strategy = {"updateStrategy": {"type": "OnDelete"}}
        warned = guard(proposed(after_bad_release(kind, **strategy)), "on-delete")
        state = read_rollout(after_bad_release(kind, live="app:v1", **strategy))

        assert warned is not None
        assert warned.level is Level.WARN
        assert f"`kubectl -n {NAMESPACE} delete pod db-2`" in warned.remedy
        assert "is OnDelete: 1 pod of another template stay" in said(state)
        assert state.phase is not RolloutPhase.COMPLETE

    def test_on_delete_never_asks_to_delete_all_that_serve(self) -> None:
        seen = rolled_out(STATEFUL_SET, updateStrategy={"type": "OnDelete"})

        (left,) = left_alone(seen, seen.pods)

        assert left.pods == ("db-0", "db-1", "db-2")
        assert left.command == f"kubectl -n {NAMESPACE} delete pod db-0"

    def test_a_partition_that_keeps_bad_pods_blocks(self) -> None:
        strategy = {"updateStrategy": {"rollingUpdate": {"partition": 2}}}
        made = proposed(rolled_out(STATEFUL_SET, **strategy), 1, named=False)
        kept = guard(made, "partition")

        assert kept is not None
        assert (kept.level, made.blockers) == (Level.BLOCK, (kept,))
        assert "The partition 2 of this StatefulSet keeps db-0, db-1 at another" in kept.summary
        assert "kubectl -n veza-production patch statefulset/db --type=merge" in kept.remedy

    def test_a_named_target_is_only_warned_of_the_partition(self) -> None:
        strategy = {"updateStrategy": {"rollingUpdate": {"partition": 2}}}
        kept = guard(proposed(rolled_out(STATEFUL_SET, **strategy), 1, named=True), "partition")

        assert kept is not None
        assert kept.level is Level.WARN

    def test_a_partition_above_good_pods_says_nothing(self) -> None:
        strategy = {"updateStrategy": {"rollingUpdate": {"partition": 2}}}
        made = proposed(after_bad_release(STATEFUL_SET, **strategy))

        assert guard(made, "partition") is None

    def test_the_first_number_counts(self) -> None:
        strategy = {"updateStrategy": {"rollingUpdate": {"partition": 1}}}
        seen = rolled_out(STATEFUL_SET, ordinals={"start": 1}, **strategy)

        (left,) = left_alone(seen, seen.pods)

        assert left.pods == ("db-0", "db-1")


class TestDaemonSet:
    def test_a_pod_on_a_node_that_should_have_none_does_not_count(self) -> None:
        second = revision(2, "app:v2", DAEMON_SET)
        pods = [of(pod(f"db-{n}", second), second, DAEMON_SET) for n in range(4)]

        state = read_rollout(look(DAEMON_SET, owner(DAEMON_SET, "app:v2"), [second], pods))

        assert (state.phase, state.updated) == (RolloutPhase.COMPLETE, 3)

    def test_without_a_node_nothing_serves(self) -> None:
        second = revision(2, "app:v2", DAEMON_SET)
        empty = owner(DAEMON_SET, "app:v2", replicas=0, available=0)
        state = read_rollout(look(DAEMON_SET, empty, [second], []))

        assert state.phase is RolloutPhase.STUCK
        assert "scale" not in said(state)

    def test_a_surge_needs_room(self) -> None:
        surge = {"updateStrategy": {"rollingUpdate": {"maxSurge": 2}}}

        assert added_pods(rolled_out(DAEMON_SET, **surge).deployment) == 2


class TestHistory:
    def test_many_digits_are_numbers(self) -> None:
        kept = [revision(n, f"app:v{n}", STATEFUL_SET) for n in (9, 10, 101)]
        history = read_history(
            look(STATEFUL_SET, owner(STATEFUL_SET, "app:v101"), kept, []), now=NOW
        )

        assert [101, 10, 9] == [one.number for one in history.revisions]

    def test_time_in_service_of_one_that_came_back_is_its_last_time(self) -> None:
        kept = [
            revision(3, "app:v1", DAEMON_SET, created=ago(days=9), returned=ago(hours=5)),
            revision(2, "app:v2", DAEMON_SET, created=ago(hours=6)),
            revision(4, "app:v3", DAEMON_SET, created=ago(hours=1)),
        ]
        history = read_history(look(DAEMON_SET, owner(DAEMON_SET, "app:v3"), kept, []), now=NOW)
        hours = {
            one.number: one.in_service.total_seconds() / 3600
            for one in history.revisions
            if one.in_service is not None
        }

        assert hours == {4: 1, 3: 4, 2: 1}
        assert by_number(history)[3] is Standing.GOOD

    @KINDS
    def test_a_mark_is_read_and_bound_to_its_template(self, kind: WorkloadKind) -> None:
        seen = after_bad_release(kind)
        bad = next(one for one in seen.replicasets if one.metadata.name == "db-v2")
        mark = write_mark(BAD, template_hash(bad), incident="i", operator="k", at=NOW, reason="")
        first, second = revision(1, "app:v1", kind), revision(2, "app:v2", kind)
        second["metadata"]["annotations"] = {str(Annotation.VERDICT): mark}
        first["metadata"]["annotations"] = {str(Annotation.VERDICT): mark}

        good, marked = look(kind, owner(kind, "app:v1"), [first, second], []).replicasets

        assert read_mark(good) is None
        found = read_mark(marked)
        assert found is not None
        assert found.bad

    @KINDS
    def test_pods_are_told_apart_by_their_label(self, kind: WorkloadKind) -> None:
        seen = after_bad_release(kind)
        names = {
            one.metadata.name: [each.metadata.name for each in pods_of(one, seen.pods)]
            for one in seen.replicasets
        }

        assert names == {"db-v1": ["db-0", "db-1"], "db-v2": ["db-2"]}

    @KINDS
    def test_the_target_is_known_by_its_template(self, kind: WorkloadKind) -> None:
        made = proposed(after_bad_release(kind))

        assert not in_effect(after_bad_release(kind).deployment, made)
        assert in_effect(after_bad_release(kind, live="app:v1").deployment, made)


@KINDS
class TestPodsThatCannotBeMade:
    def seen(self, kind: WorkloadKind, *, pod_age: float, event_age: float) -> RolloutState:
        second = revision(2, "app:v2", kind)
        made = of(pod("db-0", second), second, kind)
        made["metadata"]["creationTimestamp"] = ago(seconds=pod_age)
        raw = owner(kind, "app:v2", available=1)
        told = event(raw, "FailedCreate", "exceeded quota: small", kind=str(kind))
        told["lastTimestamp"] = ago(seconds=event_age)
        seen = look(kind, raw, [second], [made])
        return read_rollout(replace(seen, events=(convert(told, Event),)))

    def test_their_event_names_the_cause(self, kind: WorkloadKind) -> None:
        state = self.seen(kind, pod_age=60, event_age=10)

        assert state.phase is RolloutPhase.STUCK
        assert "FailedCreate at db: exceeded quota: small" in said(state)

    def test_an_event_that_a_newer_pod_has_overtaken_is_history(self, kind: WorkloadKind) -> None:
        state = self.seen(kind, pod_age=10, event_age=60)

        assert (state.phase, state.troubles) == (RolloutPhase.PROGRESSING, ())


def test_a_pod_that_came_back_under_its_name_is_another_one() -> None:
    before, after = rolled_out(STATEFUL_SET), rolled_out(STATEFUL_SET)
    new = replace(after.pods[1].metadata, uid="another")
    pods = (after.pods[0], replace(after.pods[1], metadata=new), after.pods[2])

    check = soak_check(read_restarts(before), read_restarts(replace(after, pods=pods)), 30)

    assert check.verdict is Verdict.FAIL
    assert any(line.startswith("db-1 (") for line in check.evidence)


def test_a_revision_that_holds_no_template_is_nobodys_target() -> None:
    odd = revision(1, "app:v1", STATEFUL_SET)
    odd["data"] = {"spec": "gone"}
    seen = look(STATEFUL_SET, owner(STATEFUL_SET, "app:v2"), [odd], [])

    assert read_history(seen, now=NOW).current is None


def test_null_strategies_are_the_defaults() -> None:
    plain = json.dumps({"metadata": {"name": "x"}, "spec": {"updateStrategy": {}}})
    for reader in (StatefulSet, DaemonSet):
        told = as_deployment(decode_json(plain, reader))

        assert told.spec.strategy.type == "RollingUpdate"


class TestRights:
    def test_a_kind_needs_its_own_resources_only(self) -> None:
        asked = {str(one) for one in (*needed_for(STATEFUL_SET), *helpful_for(STATEFUL_SET))}

        assert {"patch statefulsets.apps", "list controllerrevisions.apps"} <= asked
        assert not {one for one in asked if "deployments" in one or "replicasets" in one}

    def test_two_kinds_share_what_they_share(self) -> None:
        both = [str(one) for one in needed_for(STATEFUL_SET, DAEMON_SET)]

        assert len(both) == len(set(both))
        assert "get daemonsets.apps" in both

    def test_a_deployment_is_the_default(self) -> None:
        deployment = WorkloadKind.DEPLOYMENT

        assert (needed_for(deployment), helpful_for(deployment)) == (NEEDED, HELPFUL)
