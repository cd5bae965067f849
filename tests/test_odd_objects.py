"""Whatever the decoder lets through, the pure middle answers; it never raises."""

import json
from typing import Any

import msgspec
from hypothesis import given, settings
from hypothesis import strategies as st

from tests.builders import HEALTHY, NOW, probe
from veza_nb.checklist import conclude
from veza_nb.checks import Baseline, rollout_checks, soak_check
from veza_nb.choices import Choice
from veza_nb.findings import decide, find
from veza_nb.objects import Workload
from veza_nb.orders import Order
from veza_nb.plans import Plan, make_plan
from veza_nb.probechecks import probe_checks
from veza_nb.revisions import read_history
from veza_nb.rollout import read_restarts, read_rollout, settled
from veza_nb.vocabulary import RolloutPhase, Verdict

# Small pools, so that owners, names and templates meet.
UIDS = st.sampled_from(["d", "r1", "r2", "p1", ""])
NAMES = st.sampled_from(
    ["api", "api-r1", "a" * 253, "0.x-y.z", "api-hash1", "p1", "", "naïve name'\"$(x)"]
)
TIMES = st.sampled_from(
    [
        "2026-11-24T11:59:00Z",
        "2026-11-24T11:00:00",
        "0001-01-01T00:00:00+14:00",
        "9999-12-31T23:59:59-12:00",
        "2030-01-01T00:00:00.000001+05:30",
    ]
)
NUMBERS = st.sampled_from(["1", "2", "3"]) | st.sampled_from(
    ["", "1", "2", "3", "x", "-1", "9" * 30, "1,2", "1,,x,2"]
)
COUNTS = st.integers(-1, 3)
WORDS = st.sampled_from(["", "True", "False", "Unknown", "Error", "BackOff", "CrashLoopBackOff"])
MESSAGES = st.sampled_from(["", 'ReplicaSet "api-r1" has timed out progressing.', "x\n" * 300])
TEMPLATES = st.sampled_from(
    [
        {},
        {"spec": None},
        {"metadata": None, "spec": {"containers": None}},
        {"metadata": {"labels": None}, "spec": {"containers": [None, 3, {"name": 1}]}},
        {"metadata": {"labels": {"app": "api"}}, "spec": {"containers": [{"name": "c"}]}},
        {"spec": {"containers": [{"name": "c", "image": "v1", "env": [{"name": "A"}] * 2}]}},
        {"spec": {"containers": [{"name": "c", "image": "v2", "env": {"name": "A"}}]}},
    ]
)


Lists = st.SearchStrategy[list[Any]]


def some(**fields: st.SearchStrategy[Any]) -> st.SearchStrategy[dict[str, Any]]:
    """An object of which every field may be missing."""
    return st.fixed_dictionaries({}, optional=fields)


def few(each: st.SearchStrategy[Any], most: int = 2, *, least: int = 0) -> Lists:
    return st.lists(each, min_size=least, max_size=most)


ANNOTATIONS = st.fixed_dictionaries(
    {"deployment.kubernetes.io/revision": NUMBERS},
    optional={
        "deployment.kubernetes.io/revision-history": NUMBERS,
        "kubectl.kubernetes.io/last-applied-configuration": MESSAGES,
        "veza.dev/rollback-verdict": st.sampled_from(["", "", "bad", "Bad: x", "good"]),
    },
)
ODD_OWNERS = few(
    some(
        kind=st.sampled_from(["Deployment", "ReplicaSet"]),
        uid=UIDS,
        name=NAMES,
        controller=st.booleans(),
    )
)


def metadata(uids: list[str], owners: list[str]) -> st.SearchStrategy[dict[str, Any]]:
    """Mostly well owned, so that the rest is reached; sometimes by anybody."""
    well_owned = st.sampled_from(owners).map(lambda uid: [{"uid": uid, "controller": True}])
    return st.fixed_dictionaries(
        {
            "uid": st.sampled_from(uids),
            "ownerReferences": well_owned | well_owned | ODD_OWNERS,
            "annotations": ANNOTATIONS | ANNOTATIONS | st.just({}),
        },
        optional={
            "name": NAMES,
            "namespace": NAMES,
            "generation": COUNTS,
            "creationTimestamp": TIMES,
            "deletionTimestamp": st.none() | TIMES,
            "labels": some(**{"pod-template-hash": NUMBERS, "app.kubernetes.io/managed-by": WORDS}),
        },
    )


CONDITIONS = few(
    some(
        type=st.sampled_from(
            ["Progressing", "Available", "ReplicaFailure", "Ready", "PodScheduled"]
        ),
        status=WORDS,
        reason=st.sampled_from(["", "ProgressDeadlineExceeded", "FailedCreate", "Unschedulable"]),
        message=MESSAGES,
        lastUpdateTime=TIMES,
        lastTransitionTime=TIMES,
    ),
    3,
)
STATE = some(
    waiting=some(reason=WORDS, message=MESSAGES),
    running=some(startedAt=TIMES),
    terminated=some(exitCode=COUNTS, signal=COUNTS, reason=WORDS, finishedAt=TIMES),
)
CONTAINERS = few(
    some(name=NAMES, ready=st.booleans(), restartCount=COUNTS, state=STATE, lastState=STATE)
)
PODS = few(
    st.fixed_dictionaries(
        {"metadata": metadata(["p1", "p2"], ["r1", "r2"])},
        optional={
            "status": some(
                phase=st.sampled_from(["Pending", "Running", "Failed", "Succeeded", ""]),
                reason=WORDS,
                conditions=CONDITIONS,
                containerStatuses=CONTAINERS,
                initContainerStatuses=CONTAINERS,
            )
        },
    ),
    3,
)
REPLICASETS = few(
    st.fixed_dictionaries(
        {"metadata": metadata(["r1", "r2"], ["d"])},
        optional={
            "spec": st.fixed_dictionaries({"template": TEMPLATES}),
            "status": some(
                replicas=COUNTS,
                readyReplicas=COUNTS,
                availableReplicas=COUNTS,
                conditions=CONDITIONS,
            ),
        },
    ),
    3,
    least=1,
)
DEPLOYMENT = st.fixed_dictionaries(
    {"metadata": metadata(["d"], [""])},
    optional={
        "spec": some(
            template=TEMPLATES,
            replicas=COUNTS,
            paused=st.booleans(),
            minReadySeconds=COUNTS,
            revisionHistoryLimit=COUNTS,
            strategy=some(type=WORDS),
        ),
        "status": some(
            observedGeneration=COUNTS,
            replicas=COUNTS,
            updatedReplicas=COUNTS,
            availableReplicas=COUNTS,
            conditions=CONDITIONS,
        ),
    },
)
EVENTS = few(
    st.fixed_dictionaries(
        {"metadata": metadata([""], [""])},
        optional={
            "involvedObject": some(kind=WORDS, name=NAMES, uid=UIDS),
            "type": st.sampled_from(["Warning", "Normal", ""]),
            "reason": st.sampled_from(["Unhealthy", "BackOff", ""]),
            "message": MESSAGES,
            "count": COUNTS,
            "firstTimestamp": TIMES,
            "lastTimestamp": TIMES,
            "eventTime": TIMES,
            "series": some(count=COUNTS, lastObservedTime=TIMES),
        },
    ),
    3,
)
WORKLOADS = st.fixed_dictionaries(
    {"deployment": DEPLOYMENT, "replicasets": REPLICASETS, "pods": PODS, "events": EVENTS}
).map(lambda parts: msgspec.json.decode(json.dumps(parts), type=Workload))
PROBES = st.sampled_from([(), HEALTHY, (probe(),), (probe(None, 500, 200, name="/ü"),)])


@given(WORKLOADS, PROBES, st.none() | st.integers(-1, 3))
@settings(max_examples=300, deadline=None)
def test_the_whole_middle_answers(
    seen: Workload, probes: tuple[Any, ...], to_revision: int | None
) -> None:
    state = read_rollout(seen)
    history = read_history(seen, now=NOW)
    diagnosis = decide(find(seen, state, probes, now=NOW), state, history, probes)
    restarts = read_restarts(seen)
    plan = make_plan(
        seen,
        history,
        diagnosis,
        Order("s", "i", "o", "r", Choice(to_revision or 0)),
    )

    assert diagnosis.argument[-1].startswith("So: ")
    assert settled(state) == (state.phase in (RolloutPhase.COMPLETE, RolloutPhase.PAUSED))
    if state.phase is RolloutPhase.COMPLETE:
        assert state.old == 0
        assert state.available == state.updated == state.desired > 0
    if history.recommended is not None:
        assert history.recommended in history.revisions
        assert history.recommended is not history.current
    if isinstance(plan, Plan):
        baseline = Baseline(at=NOW, replicas=1, restarts=restarts, probes=probes)
        checks = (
            *rollout_checks(seen, plan, baseline),
            *probe_checks(probes, baseline),
            soak_check(restarts, restarts, 1),
        )
        assert isinstance(conclude(checks).verdict, Verdict)
        assert plan.noop == (plan.patch == ()) == (plan.changes == ())
    else:
        assert plan.what
        assert plan.next_step
