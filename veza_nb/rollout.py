"""Where a rollout stands, judged by the live template and its pods."""

from collections.abc import Iterator, Sequence
from dataclasses import dataclass, replace
from datetime import datetime

from veza_nb.byhand import Left, left_alone
from veza_nb.objects import Event, Pod, ReplicaSet, Workload
from veza_nb.replicasets import (
    condition,
    is_controlled_by,
    live_replicaset,
    owned_replicasets,
    pods_of,
    progressing,
    revision_number,
    template_hash,
)
from veza_nb.troubles import (
    Trouble,
    container_statuses,
    has_ended,
    is_ready,
    is_terminating,
    pod_troubles,
)
from veza_nb.vocabulary import POD_TEMPLATE_HASH, RolloutPhase, WorkloadKind
from veza_nb.words import count, listing, one_line, utc

__all__ = ["PodCount", "RolloutState", "Trouble", "read_restarts", "read_rollout", "settled"]


@dataclass(frozen=True, slots=True)
class PodCount:
    """The pods of one template that have not ended, those still terminating included.

    Attributes:
        template_hash: names the template for good, "" where its revision is gone.
        revision: its number today, 0 where its revision is gone.
        pods: how many.
        ready: those of them that are ready and stay.
    """

    template_hash: str
    revision: int
    pods: int
    ready: int


@dataclass(frozen=True, slots=True)
class RolloutState:
    """One look at a rollout.

    Attributes:
        phase: where it stands.
        observed: the controller has seen the newest spec.
        desired: replicas asked for.
        updated: living pods of the live template.
        old: pods of other templates, those still terminating included.
        ready: pods of the live template that are ready.
        available: those of them that are available.
        revision: number of the live template, 0 while unknown.
        template_hash: of the live template, "" while it has no ReplicaSet.
        troubles: what keeps pods from serving, those of the live template first.
        reasons: why this phase, in words.
        deadline_exceeded: Kubernetes says so, and it can be believed.
        old_ready: pods of other templates that are ready and not terminating: they still serve.
        left_alone: pods that the rollout does not replace by itself, and what to do about them.
        by_template: the pods of every template that has any, the live one first.
    """

    phase: RolloutPhase
    observed: bool
    desired: int
    updated: int
    old: int
    ready: int
    available: int
    revision: int
    template_hash: str
    troubles: tuple[Trouble, ...]
    reasons: tuple[str, ...]
    deadline_exceeded: bool
    old_ready: int = 0
    left_alone: tuple[Left, ...] = ()
    by_template: tuple[PodCount, ...] = ()


@dataclass(frozen=True, slots=True)
class _Pods:
    """The pods of one look, told apart."""

    new: tuple[Pod, ...]
    old: tuple[Pod, ...]

    @property
    def terminating(self) -> int:
        return sum(is_terminating(pod) for pod in self.old)


def read_rollout(workload: Workload, *, desired_before: int | None = None) -> RolloutState:
    """Where the rollout of a workload stands.

    Args:
        workload: one look at it.
        desired_before: replicas asked for before the incident, where that is known. One
            scaled to 0 counts as complete only if that was 0 too.
    """
    live = live_replicaset(workload)
    pods = _told_apart(workload, live)
    overdue = _deadline_exceeded(workload, live)
    ready = _wanted(workload, sum(is_ready(pod) for pod in pods.new))
    state = RolloutState(
        phase=RolloutPhase.PROGRESSING,
        observed=_observed(workload),
        desired=workload.deployment.spec.replicas,
        updated=_wanted(workload, len(pods.new)),
        old=len(pods.old),
        ready=ready,
        available=_available(workload, live, ready),
        revision=revision_number(live.metadata) if live else 0,
        template_hash=template_hash(live) if live else "",
        troubles=_troubles(workload, live, pods, overdue=overdue),
        reasons=(),
        deadline_exceeded=overdue,
        old_ready=sum(is_ready(pod) and not is_terminating(pod) for pod in pods.old),
        left_alone=left_alone(workload, pods.old),
        by_template=_by_template(workload, live, pods),
    )
    phase, reasons = _judge(workload, state, pods, desired_before)
    said = (*(one.said for one in state.left_alone), *reasons, *_trouble_lines(state.troubles))
    return replace(state, phase=phase, reasons=said)


def read_restarts(workload: Workload) -> dict[str, int]:
    """Pod name to container restarts, all its containers together; ended pods are left out.

    A StatefulSet's pods come back under the same name: theirs have the uid behind it.
    """
    return {
        _told_by(pod, workload.deployment.kind): sum(
            status.restart_count for status in container_statuses(pod)
        )
        for pod in workload.pods
        if not is_terminating(pod) and not has_ended(pod)
    }


def _told_by(pod: Pod, kind: WorkloadKind) -> str:
    name, uid = pod.metadata.name, pod.metadata.uid
    return f"{name} ({uid[:8]})" if kind is WorkloadKind.STATEFUL_SET else name


def settled(state: RolloutState) -> bool:
    """True where nothing more will happen by itself: complete, or paused.

    Stuck is not settled: a registry comes back, a quota is raised. Whoever waits should see it
    stuck for a while before giving up.
    """
    return state.phase in (RolloutPhase.COMPLETE, RolloutPhase.PAUSED)


def _wanted(workload: Workload, pods: int) -> int:
    """Pods that count: where a node should have none any more, a DaemonSet's may yet stay."""
    deployment = workload.deployment
    most = deployment.spec.replicas if deployment.kind is WorkloadKind.DAEMON_SET else pods
    return min(pods, most)


def _observed(workload: Workload) -> bool:
    deployment = workload.deployment
    return deployment.status.observed_generation >= deployment.metadata.generation


def _told_apart(workload: Workload, live: ReplicaSet | None) -> _Pods:
    """Pods of the live template and of others; those that have ended belong to neither."""
    going = tuple(pod for pod in workload.pods if not has_ended(pod))
    mine = pods_of(live, going) if live else ()
    others = [rs for rs in owned_replicasets(workload) if rs is not live]
    old = [pod for rs in others for pod in pods_of(rs, going)]
    old += [pod for pod in going if _orphaned(pod, workload)]
    return _Pods(tuple(pod for pod in mine if not is_terminating(pod)), tuple(old))


def _by_template(workload: Workload, live: ReplicaSet | None, pods: _Pods) -> tuple[PodCount, ...]:
    going = tuple(pod for pod in workload.pods if not has_ended(pod))
    owned = sorted(owned_replicasets(workload), key=lambda rs: rs is not live)
    groups = [(template_hash(rs), revision_number(rs.metadata), pods_of(rs, going)) for rs in owned]
    groups.append(("", 0, tuple(pod for pod in pods.old if _orphaned(pod, workload))))
    return tuple(
        PodCount(
            name, number, len(those), sum(is_ready(p) and not is_terminating(p) for p in those)
        )
        for name, number, those in groups
        if those
    )


def _orphaned(pod: Pod, workload: Workload) -> bool:
    """True for a pod whose revision is not there: pruned already, or not seen yet.

    Happens with a small revisionHistoryLimit: a ReplicaSet is pruned once it counts no pods,
    and terminating ones do not count.
    """
    if workload.deployment.kind is not WorkloadKind.DEPLOYMENT:
        owned = is_controlled_by(pod.metadata, workload.deployment.metadata.uid)
        return owned and not any(pods_of(rs, (pod,)) for rs in workload.replicasets)
    known = {rs.metadata.uid for rs in workload.replicasets}
    hash_label = pod.metadata.labels.get(POD_TEMPLATE_HASH, "")
    name = f"{workload.deployment.metadata.name}-{hash_label}"
    return any(
        owner.controller and owner.kind == "ReplicaSet" and owner.name == name
        for owner in pod.metadata.owner_references
        if owner.uid not in known
    )


def _available(workload: Workload, live: ReplicaSet | None, ready: int) -> int:
    """Ready for minReadySeconds: counted by the ReplicaSet, which knows since when."""
    if workload.deployment.spec.min_ready_seconds <= 0:
        return ready
    return min(ready, live.status.available_replicas) if live else 0


def _deadline_exceeded(workload: Workload, live: ReplicaSet | None) -> bool:
    """Does Kubernetes say that this rollout (not the one before it) passed its deadline?

    For some milliseconds after an undo the condition still speaks of the rollout that was
    undone. It names its ReplicaSet, and a controller that has acted on the new template has
    given that one the highest number.
    """
    seen = progressing(workload)
    if seen is None or seen.reason != "ProgressDeadlineExceeded" or not _observed(workload):
        return False
    if live is None:
        return "ReplicaSet" not in seen.message
    numbers = [revision_number(rs.metadata) for rs in owned_replicasets(workload)]
    if revision_number(live.metadata) < max(numbers):
        return False
    if "ReplicaSet" in seen.message and f'"{live.metadata.name}"' not in seen.message:
        return False
    created, said = live.metadata.creation_timestamp, seen.last_update_time
    return created is None or said is None or utc(said) >= utc(created)


def _troubles(
    workload: Workload, live: ReplicaSet | None, pods: _Pods, *, overdue: bool
) -> tuple[Trouble, ...]:
    """Troubles of the new pods, then of the old ones, then of pods that could not be made."""
    ended = [p for p in (pods_of(live, workload.pods) if live else ()) if has_ended(p)]
    found: list[Trouble] = []
    for pod in (*pods.new, *ended):
        found += pod_troubles(pod, workload.events, new=True, overdue=overdue)
    found += _not_created(workload, live)
    for pod in pods.old:
        found += pod_troubles(pod, workload.events, new=False)
    return tuple(sorted(found, key=lambda trouble: (not trouble.new, not trouble.hopeless)))


def _not_created(workload: Workload, live: ReplicaSet | None) -> Iterator[Trouble]:
    """Pods that a quota or an admission rule does not let in."""
    owned = owned_replicasets(workload)
    failing = [(rs, condition(rs.status.conditions, "ReplicaFailure")) for rs in owned]
    said = [(rs, seen) for rs, seen in failing if seen is not None and seen.status == "True"]
    for rs, seen in said:
        yield Trouble(rs.metadata.name, "", seen.reason, seen.message, 0, rs is live)
    overall = condition(workload.deployment.status.conditions, "ReplicaFailure")
    if not said and overall is not None and overall.status == "True":
        name = live.metadata.name if live else workload.deployment.metadata.name
        yield Trouble(name, "", overall.reason, overall.message, 0, new=True)
    yield from _told_by_events(workload)


def _told_by_events(workload: Workload) -> Iterator[Trouble]:
    """The same of other kinds: no condition says so, only events newer than all their pods."""
    deployment, pods = workload.deployment, workload.pods
    if deployment.kind is WorkloadKind.DEPLOYMENT or len(pods) >= deployment.spec.replicas:
        return
    newest_pod = max((_made_at(pod) for pod in pods), default=None)
    failed = [
        event
        for event in workload.events
        if event.reason == "FailedCreate" and event.involved_object.kind == deployment.kind
    ]
    last = max(failed, key=_seen_at, default=None)
    if last is not None and (newest_pod is None or _seen_at(last) > newest_pod):
        name = deployment.metadata.name
        yield Trouble(name, "", last.reason, one_line(last.message), 0, new=True)


def _made_at(pod: Pod) -> datetime:
    return utc(pod.metadata.creation_timestamp or datetime.min)


def _seen_at(event: Event) -> datetime:
    return utc(event.last_seen or datetime.min)


def _judge(
    workload: Workload, state: RolloutState, pods: _Pods, desired_before: int | None
) -> tuple[RolloutPhase, tuple[str, ...]]:
    """The phase and why; pods and status must agree before a rollout counts as complete."""
    progress = _progress(state, pods)
    if not state.observed:
        seen = workload.deployment.status.observed_generation
        wanted = workload.deployment.metadata.generation
        behind = f"The controller has seen generation {seen} and not yet {wanted}."
        return RolloutPhase.PROGRESSING, (behind, progress)
    if state.desired == 0:
        return _at_zero(workload, state, desired_before)
    lacking = _lacking(workload, state)
    if not lacking:
        paused = workload.deployment.spec.paused
        note = ("The Deployment is paused: a new template would not roll out.",) if paused else ()
        return RolloutPhase.COMPLETE, (progress, *note)
    phase, why = _incomplete(workload, state)
    return phase, (*why, progress, *(lacking if phase is RolloutPhase.PROGRESSING else ()))


def _incomplete(workload: Workload, state: RolloutState) -> tuple[RolloutPhase, tuple[str, ...]]:
    """Paused, stuck or on its way, with the reason that `_progress` does not tell."""
    spec = workload.deployment.spec
    if spec.paused:
        return RolloutPhase.PAUSED, ("The Deployment is paused: its template is not rolled out.",)
    if any(trouble.new and trouble.hopeless for trouble in state.troubles):
        return RolloutPhase.STUCK, ()
    if any(_hopelessly_left(one, state.troubles) for one in state.left_alone):
        return RolloutPhase.STUCK, ()
    if state.deadline_exceeded:
        late = f"No progress within {spec.progress_deadline_seconds} s (ProgressDeadlineExceeded)."
        return RolloutPhase.STUCK, (late,)
    return RolloutPhase.PROGRESSING, ()


def _hopelessly_left(left: Left, troubles: Sequence[Trouble]) -> bool:
    """Whether pods that are waited for will surely not become ready."""
    hopeless = {trouble.pod for trouble in troubles if trouble.hopeless}
    return left.cause == "stuck-pod" and bool(hopeless & set(left.pods))


def _at_zero(
    workload: Workload, state: RolloutState, desired_before: int | None
) -> tuple[RolloutPhase, tuple[str, ...]]:
    """Scaled to 0: nothing serves, which is complete only if nothing was to serve."""
    left = state.updated + state.old
    if left:
        return RolloutPhase.PROGRESSING, (f"Scaled to 0; {count(left, 'pod')} left.",)
    if desired_before == 0:
        return RolloutPhase.COMPLETE, ("Scaled to 0, as before.",)
    if workload.deployment.kind is WorkloadKind.DAEMON_SET:
        return RolloutPhase.STUCK, ("No node is to run it: no pod serves.",)
    metadata, ref = workload.deployment.metadata, workload.deployment.ref
    scale = f"kubectl -n {metadata.namespace} scale {ref} --replicas=N"
    return RolloutPhase.STUCK, (f"Scaled to 0: no pod serves until `{scale}`.",)


def _lacking(workload: Workload, state: RolloutState) -> tuple[str, ...]:
    """What is missing for a complete rollout; empty when nothing is."""
    status = workload.deployment.status
    reported = (status.replicas, status.updated_replicas, status.available_replicas)
    lacks = []
    if not state.template_hash and state.revision == 0:
        kind = workload.deployment.kind
        lacks.append(f"No {kind.revision_kind} has the {kind}'s template yet.")
    if state.updated != state.desired or state.available != state.desired or state.old:
        lacks.append(f"Waiting for {state.desired} available pods of the live template alone.")
    elif reported != (state.desired,) * 3:
        lacks.append(
            f"The pods are there, but the {workload.deployment.kind}'s status does not say so: "
            "{} pods, {} updated, {} available.".format(*reported)
        )
    return tuple(lacks)


def _progress(state: RolloutState, pods: _Pods) -> str:
    line = f"{state.updated} of {state.desired} pods updated, {state.available} of them available"
    if state.old:
        ending = f" ({pods.terminating} terminating)" if pods.terminating else ""
        line += f"; {count(state.old, 'pod')} of older revisions left{ending}"
    return line + "."


def _trouble_lines(troubles: Sequence[Trouble]) -> Iterator[str]:
    """One line a reason and kind of pod, worst first."""
    kinds = dict.fromkeys((trouble.reason, trouble.new) for trouble in troubles)
    for reason, new in kinds:
        group = [t for t in troubles if (t.reason, t.new) == (reason, new)]
        where = listing(dict.fromkeys(t.pod for t in group))
        whose = "" if new else " (older revision)"
        detail = f": {group[0].detail}" if group[0].detail else ""
        yield f"{reason}{whose} at {where}{detail}"
