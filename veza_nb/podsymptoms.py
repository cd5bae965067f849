"""Findings read off pods: what they suffer, and whether only the new template's do."""

from collections.abc import Iterator, Sequence
from datetime import datetime, timedelta

from veza_nb.blame import blame, family, remark
from veza_nb.evidence import Evidence, Finding
from veza_nb.lateness import late_by, usual_start
from veza_nb.loglines import PodLog, last_word
from veza_nb.objects import Pod
from veza_nb.replicasets import live_replicaset, pods_of
from veza_nb.scene import Scene, as_evidence, warnings
from veza_nb.troubles import (
    READINESS_REASONS,
    Trouble,
    container_statuses,
    events_of,
    is_ready,
    is_terminating,
)
from veza_nb.vocabulary import RolloutPhase, Severity, WorkloadKind
from veza_nb.words import count, listing, one_line, span, utc

_SHOWN = 5


def pod_findings(scene: Scene, logs: Sequence[PodLog] = ()) -> Iterator[Finding]:
    """One finding a reason: pods in trouble, and pods that serve but keep restarting.

    Args:
        scene: of this look.
        logs: the ends of some pods' logs: the last word of a program that crashed.
    """
    troubles = all_troubles(scene)
    for word in dict.fromkeys(trouble.word for trouble in troubles):
        group = [trouble for trouble in troubles if trouble.word == word]
        yield Finding(
            reason=word,
            severity=_severity(scene, group),
            summary=_summary(word, group) + _lateness(scene, group) + _compared(scene, group),
            evidence=(
                *_pod_evidence(scene, group),
                *_log_evidence(scene, group, logs),
                *_event_evidence(scene, group),
            ),
            from_release=blame(scene, group, troubles),
        )


def all_troubles(scene: Scene) -> tuple[Trouble, ...]:
    """The rollout's troubles, and pods that are ready only between two restarts."""
    return (*scene.rollout.troubles, *_restarting(scene))


def _compared(scene: Scene, group: Sequence[Trouble]) -> str:
    said = remark(scene, group)
    return f"; {said}" if said else ""


def _restarting(scene: Scene) -> tuple[Trouble, ...]:
    """Pods that are ready at this moment but ended with an error only lately."""
    live = live_replicaset(scene.workload)
    new = {pod.metadata.name for pod in pods_of(live, scene.workload.pods)} if live else set()
    return tuple(
        Trouble(
            pod=pod.metadata.name,
            container=status.name,
            reason="Restarting",
            detail=f"{count(status.restart_count, 'restart')}, last ended with exit code "
            f"{ended.exit_code}{_ago(scene, ended.finished_at)}",
            restarts=status.restart_count,
            new=pod.metadata.name in new,
        )
        for pod in scene.workload.pods
        if is_ready(pod) and not is_terminating(pod)
        for status in container_statuses(pod)
        if (ended := status.last_state.terminated) is not None
        and (ended.exit_code or _killed(scene, pod))
        and scene.is_fresh(ended.finished_at)
    )


def _killed(scene: Scene, pod: Pod) -> bool:
    """Whether its liveness probe ended it: a program may take that for an orderly end."""
    said = events_of(pod, scene.workload.events)
    return any(
        "iveness" in event.message and scene.is_fresh(event.last_seen)
        for event in said
        if event.reason == "Unhealthy"
    )


def _ago(scene: Scene, at: datetime | None) -> str:
    return f" {span(scene.now - utc(at))} ago" if at else ""


def _severity(scene: Scene, group: Sequence[Trouble]) -> Severity:
    """Critical where it will not pass by itself, or where nothing serves."""
    stuck = scene.rollout.phase is RolloutPhase.STUCK and any(t.new for t in group)
    serving = scene.rollout.ready + scene.rollout.old_ready
    lasting = any(trouble.hopeless for trouble in group) or _late(scene, group) is not None
    return Severity.CRITICAL if stuck or lasting or not serving else Severity.WARNING


def _late(scene: Scene, group: Sequence[Trouble]) -> timedelta | None:
    """How long new pods have been unready, if their elders' pace says that this is too long."""
    slow = [one.pod for one in group if one.new and one.reason in READINESS_REASONS]
    return late_by(scene, slow) if slow else None


def _lateness(scene: Scene, group: Sequence[Trouble]) -> str:
    late, usual = _late(scene, group), usual_start(scene)
    if late is None or usual is None:
        return ""
    within = max(usual, timedelta(seconds=1))
    return f". Not ready after {span(late)}; older revisions' pods were within {span(within)}"


def _summary(word: str, group: Sequence[Trouble]) -> str:
    pods = list(dict.fromkeys(trouble.pod for trouble in group))
    new = len({trouble.pod for trouble in group if trouble.new})
    whose = "the new template" if new == len(pods) else "older revisions"
    if 0 < new < len(pods):
        whose = f"both the new template ({new}) and older revisions ({len(pods) - new})"
    if word == "FailedCreate":
        return f"Pods cannot be created for {listing(pods)}: {group[0].detail}"
    which = f"init container {group[0].container}: " if group[0].init else ""
    detail = f": {which}{group[0].detail}" if group[0].detail or which else ""
    return f"{word} at {count(len(pods), 'pod')} of {whose} ({listing(pods)}){detail}"


def _pod_evidence(scene: Scene, group: Sequence[Trouble]) -> Iterator[Evidence]:
    pods = {pod.metadata.name: pod for pod in scene.workload.pods}
    for trouble in group[:_SHOWN]:
        pod = pods.get(trouble.pod)
        kind = "Pod" if pod else _maker(scene, trouble.pod)
        restarts = f", {count(trouble.restarts, 'restart')}" if trouble.restarts else ""
        where = f"{trouble.container}: " if trouble.container else ""
        yield Evidence(
            kind=kind,
            name=trouble.pod,
            detail=f"{where}{trouble.word}{restarts}. {trouble.detail}".strip(),
            at=_last_ended(pod) if pod else None,
            command=_pod_command(scene, trouble, kind),
        )


def _log_evidence(
    scene: Scene, group: Sequence[Trouble], logs: Sequence[PodLog]
) -> Iterator[Evidence]:
    """The last word of the program that crashed: of its last run that ended, if there is one."""
    crashed = {(one.pod, one.container) for one in group if family(one.reason) == "crash"}
    theirs = [log for log in logs if (log.pod, log.container) in crashed]
    for log in sorted(theirs, key=lambda log: not log.previous):
        at, line = last_word(log.text)
        if line:
            words = ["logs", log.pod, "-c", log.container, *(["--previous"] * log.previous)]
            said = f"{log.container} said last: {one_line(line)}"
            yield Evidence("Log", log.pod, said, at, scene.kubectl(*words))
            return


def _maker(scene: Scene, name: str) -> str:
    """The kind of what could not make a pod."""
    deployment = scene.workload.deployment
    is_owner = deployment.kind is not WorkloadKind.DEPLOYMENT
    return str(deployment.kind if is_owner and name == deployment.metadata.name else "ReplicaSet")


def _last_ended(pod: Pod) -> datetime | None:
    ends = [
        utc(ended.finished_at)
        for status in container_statuses(pod)
        for ended in (status.state.terminated, status.last_state.terminated)
        if ended is not None and ended.finished_at is not None
    ]
    return max(ends, default=None)


def _pod_command(scene: Scene, trouble: Trouble, kind: str) -> str:
    crashed = trouble.restarts and family(trouble.reason) == "crash" and trouble.container
    if crashed:
        return scene.kubectl("logs", trouble.pod, "-c", trouble.container, "--previous")
    return scene.kubectl("describe", f"{kind.lower()}/{trouble.pod}")


def _event_evidence(scene: Scene, group: Sequence[Trouble]) -> Iterator[Evidence]:
    """The warnings about these pods, the newest of each reason."""
    pods = {trouble.pod for trouble in group}
    about = [e for e in warnings(scene) if e.involved_object.name in pods]
    newest = {event.reason: event for event in about}
    for event in list(newest.values())[:_SHOWN]:
        yield as_evidence(scene, event)
