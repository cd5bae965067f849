"""Findings read off pods: what they suffer, and whether only the new template's do."""

from collections.abc import Iterator, Sequence
from datetime import datetime, timedelta

from veza_nb.evidence import Evidence, Finding
from veza_nb.lateness import late_by, usual_start
from veza_nb.objects import Pod
from veza_nb.replicasets import live_replicaset, pods_of
from veza_nb.scene import Scene, as_evidence, warnings
from veza_nb.troubles import (
    IMAGE_REASONS,
    PLACEMENT_REASONS,
    READINESS_REASONS,
    Trouble,
    container_statuses,
    is_ready,
    is_terminating,
)
from veza_nb.vocabulary import RolloutPhase, Severity
from veza_nb.words import count, listing, span, utc

RECENT = timedelta(hours=1)
"""A template that came so lately is to blame for what began since, if nothing speaks for it."""
_FAMILIES = (
    ("image", IMAGE_REASONS),
    ("placement", PLACEMENT_REASONS),
    ("readiness", READINESS_REASONS),
)
_SHOWN = 5


def pod_findings(scene: Scene) -> Iterator[Finding]:
    """One finding a reason: pods in trouble, and pods that serve but keep restarting."""
    troubles = all_troubles(scene)
    for reason in dict.fromkeys(trouble.reason for trouble in troubles):
        group = [trouble for trouble in troubles if trouble.reason == reason]
        yield Finding(
            reason=reason,
            severity=_severity(scene, group),
            summary=_summary(reason, group) + _lateness(scene, group),
            evidence=(*_pod_evidence(scene, group), *_event_evidence(scene, group)),
            from_release=blame(scene, group),
        )


def all_troubles(scene: Scene) -> tuple[Trouble, ...]:
    """The rollout's troubles, and pods that are ready only between two restarts."""
    return (*scene.rollout.troubles, *_restarting(scene))


def blame(scene: Scene, group: Sequence[Trouble]) -> bool | None:
    """Is it the new template's doing? Pods of older templates are the comparison.

    Returns:
        True where only pods of the new template suffer this kind of trouble, False where
        older ones do too, None where there is nothing to compare with and the template is
        not new, or where the cluster rather than the program is short of something.
    """
    if not group or any(trouble.reason in PLACEMENT_REASONS for trouble in group):
        return None
    families = {_family(trouble.reason) for trouble in group}
    alike = [one for one in all_troubles(scene) if _family(one.reason) in families]
    if not all(trouble.new for trouble in alike):
        return False
    if scene.rollout.old_ready:
        return True
    most = 2 * len({trouble.pod for trouble in alike}) >= max(scene.rollout.updated, 1)
    lately = scene.live_for is not None and scene.live_for <= RECENT
    return True if most and lately else None


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
        and ended.exit_code
        and scene.is_fresh(ended.finished_at)
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


def _summary(reason: str, group: Sequence[Trouble]) -> str:
    pods = list(dict.fromkeys(trouble.pod for trouble in group))
    new = len({trouble.pod for trouble in group if trouble.new})
    whose = "the new template" if new == len(pods) else "older revisions"
    if 0 < new < len(pods):
        whose = f"both the new template ({new}) and older revisions ({len(pods) - new})"
    if reason == "FailedCreate":
        return f"Pods cannot be created for {listing(pods)}: {group[0].detail}"
    detail = f": {group[0].detail}" if group[0].detail else ""
    return f"{reason} at {count(len(pods), 'pod')} of {whose} ({listing(pods)}){detail}"


def _family(reason: str) -> str:
    """The kind of trouble; whatever is not known otherwise is the program's own failing."""
    return next((name for name, reasons in _FAMILIES if reason in reasons), "crash")


def _pod_evidence(scene: Scene, group: Sequence[Trouble]) -> Iterator[Evidence]:
    pods = {pod.metadata.name: pod for pod in scene.workload.pods}
    for trouble in group[:_SHOWN]:
        pod = pods.get(trouble.pod)
        kind = "Pod" if pod else "ReplicaSet"
        restarts = f", {count(trouble.restarts, 'restart')}" if trouble.restarts else ""
        where = f"{trouble.container}: " if trouble.container else ""
        yield Evidence(
            kind=kind,
            name=trouble.pod,
            detail=f"{where}{trouble.reason}{restarts}. {trouble.detail}".strip(),
            at=_last_ended(pod) if pod else None,
            command=_pod_command(scene, trouble, kind),
        )


def _last_ended(pod: Pod) -> datetime | None:
    ends = [
        utc(ended.finished_at)
        for status in container_statuses(pod)
        for ended in (status.state.terminated, status.last_state.terminated)
        if ended is not None and ended.finished_at is not None
    ]
    return max(ends, default=None)


def _pod_command(scene: Scene, trouble: Trouble, kind: str) -> str:
    crashed = trouble.restarts and _family(trouble.reason) == "crash" and trouble.container
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
