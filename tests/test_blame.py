"""Whose doing it is where the older template tells: what it needs too, it would lack too."""

from typing import Any

import pytest

from tests.builders import HEALTHY, NOW, Json, ago, deployment, event, pod, replicaset, workload
from veza_nb.evidence import Finding
from veza_nb.findings import Diagnosis, decide, find
from veza_nb.loglines import PodLog
from veza_nb.objects import Workload
from veza_nb.onset import read_onset
from veza_nb.revisions import read_history
from veza_nb.rollout import read_rollout
from veza_nb.vocabulary import Decision, Severity

DO_NOT, ROLL_BACK, UNCLEAR = Decision.DO_NOT, Decision.ROLL_BACK, Decision.UNCLEAR


def template(image: str, *, annotations: Json | None = None, **spec: Any) -> Json:
    container = {"name": "api", "image": image, **spec.pop("container", {})}
    metadata = {"labels": {"app": "api"}, "annotations": annotations or {}}
    return {"metadata": metadata, "spec": {"containers": [container], **spec}}


def one_new_pod(new: Json, old: Json, of_new: Json, *, serving: int = 3) -> Workload:
    """The new template's only pod is `of_new`; pods of the older one serve."""
    first = replicaset(1, old, created=ago(days=3), pods=serving)
    live = replicaset(2, new, created=ago(minutes=9), pods=1, available=0)
    waiting = pod("new", live, ready=False, **of_new)
    pods = [waiting, *(pod(f"old-{n}", first) for n in range(serving))]
    return workload(deployment(pod_template=new), [first, live], pods)


def diagnose(seen: Workload, logs: tuple[PodLog, ...] = ()) -> Diagnosis:
    rollout, history = read_rollout(seen), read_history(seen, now=NOW)
    findings = find(seen, rollout, HEALTHY, logs, now=NOW)
    return decide(findings, rollout, history, HEALTHY, read_onset(seen, rollout))


def named(diagnosis: Diagnosis, reason: str) -> Finding:
    [finding] = [one for one in diagnosis.findings if one.reason == reason]
    return finding


def waits(reason: str, message: str) -> Json:
    return {"state": {"waiting": {"reason": reason, "message": message}}}


def from_config(name: str, key: str = "") -> Json:
    if not key:
        return {"envFrom": [{"configMapRef": {"name": name}}]}
    reference = {"configMapKeyRef": {"name": name, "key": key}}
    return {"env": [{"name": "X", "valueFrom": reference}]}


# A ConfigMap or Secret that is not there.

GONE = waits("CreateContainerConfigError", 'configmap "settings" not found')
NO_KEY = waits("CreateContainerConfigError", "couldn't find key URL in ConfigMap shop/settings")


@pytest.mark.parametrize(
    ("new", "old", "said", "decision"),
    [
        (from_config("settings"), {}, GONE, ROLL_BACK),
        (from_config("settings"), from_config("settings"), GONE, DO_NOT),
        (from_config("settings", "URL"), from_config("settings"), NO_KEY, ROLL_BACK),
        (from_config("settings", "URL"), from_config("settings", "URL"), NO_KEY, DO_NOT),
        (from_config("settings", "URL"), from_config("settings", "HOST"), NO_KEY, ROLL_BACK),
    ],
)
def test_what_the_older_revision_needs_as_well_it_would_lack_as_well(
    new: Json, old: Json, said: Json, decision: Decision
) -> None:
    seen = one_new_pod(template("v2", container=new), template("v1", container=old), said)
    diagnosis = diagnose(seen)
    finding = named(diagnosis, "CreateContainerConfigError")

    assert diagnosis.decision is decision
    assert finding.severity is Severity.CRITICAL
    assert said["state"]["waiting"]["message"] in finding.summary
    whose = "do without it" if decision is ROLL_BACK else "need it as well"
    assert finding.summary.endswith(f"; older revisions {whose}")


def mounting(message: str, **fields: str) -> Workload:
    """The new pod waits for a volume, and an event says why."""
    volume = {"name": "settings", "configMap": {"name": "settings"}}
    starting = {**waits("ContainerCreating", ""), "phase": "Pending"}
    seen = one_new_pod(template("v2", volumes=[volume]), template("v1"), starting)
    about = {"metadata": {"name": "new", "uid": "uid-new"}}
    said = event(about, "FailedMount", message, lastTimestamp=ago(seconds=9), **fields)
    events = workload(deployment(), events=[said]).events
    return Workload(
        deployment=seen.deployment, replicasets=seen.replicasets, pods=seen.pods, events=events
    )


def test_a_volume_that_is_not_there_is_known_before_the_deadline() -> None:
    diagnosis = diagnose(
        mounting('MountVolume.SetUp failed for volume "settings" : configmap "settings" not found')
    )
    finding = named(diagnosis, "FailedMount")

    assert diagnosis.decision is ROLL_BACK
    assert finding.from_release is True
    assert 'configmap "settings" not found' in finding.summary
    assert {one.kind for one in finding.evidence} == {"Pod", "Event"}


def test_a_volume_that_is_only_slow_is_waited_for() -> None:
    diagnosis = diagnose(mounting("failed to sync configmap cache: timed out waiting"))

    assert named(diagnosis, "FailedMount").severity is Severity.WARNING
    assert diagnosis.decision is UNCLEAR


# Room on nodes and in quotas.

NO_NODE = "0/3 nodes are available: 3 Insufficient cpu."


def unscheduled(new: Json, old: Json) -> Workload:
    condition = {
        "type": "PodScheduled",
        "status": "False",
        "reason": "Unschedulable",
        "message": NO_NODE,
    }
    seen = one_new_pod(new, old, {"phase": "Pending", "conditions": [condition]}, serving=0)
    late = {
        "type": "Progressing",
        "status": "False",
        "reason": "ProgressDeadlineExceeded",
        "message": 'ReplicaSet "api-hash2" has timed out progressing.',
        "lastUpdateTime": ago(minutes=1),
    }
    status = {"replicas": 1, "updatedReplicas": 1}
    of = deployment(pod_template=new, conditions=[late], status=status)
    return Workload(
        deployment=workload(of).deployment, replicasets=seen.replicasets, pods=seen.pods
    )


def asks(cpu: str, **spec: Any) -> Json:
    return template("v2", container={"resources": {"requests": {"cpu": cpu}}}, **spec)


@pytest.mark.parametrize(
    ("new", "old", "decision", "said"),
    [
        (asks("1"), asks("1000m"), DO_NOT, "older revisions ask for as much"),
        (asks("64"), asks("1"), ROLL_BACK, "older revisions ask for less"),
        (asks("1", nodeSelector={"gpu": "a"}), asks("1"), ROLL_BACK, "older revisions ask for"),
        (asks("500m"), asks("1"), DO_NOT, "older revisions ask for as much"),
    ],
)
def test_without_room_it_counts_whether_the_older_template_asks_for_less(
    new: Json, old: Json, decision: Decision, said: str
) -> None:
    new["spec"]["containers"][0]["image"] = "v3"
    diagnosis = diagnose(unscheduled(new, old))
    finding = named(diagnosis, "Unschedulable")

    assert diagnosis.decision is decision
    assert NO_NODE in finding.summary
    assert said in finding.summary


def refused(message: str) -> Workload:
    first = replicaset(1, asks("1"), created=ago(days=3), pods=3)
    failure = {
        "type": "ReplicaFailure",
        "status": "True",
        "reason": "FailedCreate",
        "message": message,
    }
    new = asks("1")
    new["spec"]["containers"][0]["image"] = "v3"
    live = replicaset(2, new, created=ago(minutes=9), conditions=[failure])
    pods = [pod(f"old-{n}", first) for n in range(3)]
    return workload(deployment(pod_template=new), [first, live], pods)


def test_a_quota_is_as_full_for_the_older_revision() -> None:
    diagnosis = diagnose(refused('pods "api-x" is forbidden: exceeded quota: team'))

    assert diagnosis.decision is DO_NOT
    assert named(diagnosis, "FailedCreate").from_release is False


def test_a_policy_may_refuse_only_the_new_template() -> None:
    diagnosis = diagnose(refused('admission webhook "images" denied the request: not signed'))

    assert diagnosis.decision is UNCLEAR


# The same program, started anew.


def test_a_restart_of_what_serves_is_no_release() -> None:
    restarted = template("v1", annotations={"kubectl.kubernetes.io/restartedAt": ago(minutes=9)})
    crash = {
        **waits("CrashLoopBackOff", "back-off 10s restarting failed container"),
        "last": {"terminated": {"exitCode": 1, "reason": "Error"}},
    }
    seen = one_new_pod(restarted, template("v1"), crash)

    assert diagnose(seen).decision is DO_NOT
    assert diagnose(one_new_pod(template("v2"), template("v1"), crash)).decision is ROLL_BACK


# Init containers, and what a program said last.


def init_crash(log: str) -> tuple[Workload, tuple[PodLog, ...]]:
    seen = one_new_pod(template("v2"), template("v1"), waits("PodInitializing", ""))
    first, live = seen.replicasets
    ended = {"exitCode": 3, "reason": "Error", "finishedAt": ago(seconds=20)}
    status = {
        "name": "migrate",
        "restartCount": 4,
        "state": waits("CrashLoopBackOff", "back-off 40s restarting failed container")["state"],
        "lastState": {"terminated": ended},
    }
    made = pod("new", {"metadata": {"name": live.metadata.name, "uid": "rs-2", "labels": {}}},
               ready=False, phase="Pending", **waits("PodInitializing", ""))  # fmt: skip
    made["status"]["initContainerStatuses"] = [status]
    others = workload(deployment(), pods=[made]).pods
    seen = Workload(
        deployment=seen.deployment, replicasets=(first, live), pods=(*others, *seen.pods[1:])
    )
    return seen, (PodLog("new", "migrate", new=True, previous=True, text=log),)


def test_an_init_container_that_fails_is_named_with_its_exit_code_and_last_word() -> None:
    seen, logs = init_crash("2026-11-24T11:59:40Z connecting\n2026-11-24T11:59:41Z no such table\n")
    finding = named(diagnose(seen, logs), "Init:CrashLoopBackOff")
    [of_pod, of_log] = finding.evidence

    assert finding.summary.startswith(
        "Init:CrashLoopBackOff at 1 pod of the new template (new): init container migrate: "
    )
    assert "last ended with exit code 3 (Error)" in finding.summary
    assert of_pod.detail.startswith("migrate: Init:CrashLoopBackOff, 4 restarts.")
    assert of_log.detail == "migrate said last: no such table"
    assert of_log.command == "kubectl -n veza-production logs new -c migrate --previous"
    assert of_log.at is not None


@pytest.mark.parametrize("log", ["", "\n\n", "\x00", "2026-11-24T11:59:40Z \n"])
def test_a_program_that_said_nothing_has_no_last_word(log: str) -> None:
    seen, logs = init_crash(log)

    assert {e.kind for e in named(diagnose(seen, logs), "Init:CrashLoopBackOff").evidence} == {
        "Pod"
    }


def test_what_a_liveness_probe_ended_keeps_restarting_even_if_it_ends_in_order() -> None:
    live = replicaset(2, template("v2"), created=ago(minutes=9), pods=1)
    last = {"terminated": {"exitCode": 0, "reason": "Completed", "finishedAt": ago(seconds=9)}}
    killed = pod("a", live, restarts=4, last=last)
    said = event(killed, "Unhealthy", "Liveness probe failed: statuscode: 500",
                 lastTimestamp=ago(seconds=12))  # fmt: skip
    of = deployment(pod_template=template("v2"), replicas=1)
    finding = named(diagnose(workload(of, [live], [killed], [said])), "Restarting")

    assert "4 restarts" in finding.summary
    assert any("statuscode: 500" in one.detail for one in finding.evidence)
