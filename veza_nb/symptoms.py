"""Findings read off the workload, the warning events and the probes."""

from collections import Counter
from collections.abc import Iterator, Sequence

from veza_nb.blame import blame
from veza_nb.eventgroups import times
from veza_nb.evidence import Evidence, Finding, curl
from veza_nb.objects import Event
from veza_nb.podsymptoms import all_troubles
from veza_nb.replicasets import condition, progressing
from veza_nb.samples import Probe
from veza_nb.scene import Scene, as_evidence, warnings
from veza_nb.troubles import is_ready, is_terminating
from veza_nb.vocabulary import RolloutPhase, Severity, WorkloadKind
from veza_nb.words import count, listing, one_line

ELSEWHERE = frozenset({"dns", "tls", "wrong url"})
"""Failures before any pod was reached: the catalogue's or the network's doing."""
FAILING_SHARE = 0.1
SLOW_SHARE = 0.95
_SHOWN = 5


def deployment_findings(scene: Scene) -> Iterator[Finding]:
    """What the workload itself says: deadline, paused, scaled to 0, not available."""
    rollout, spec = scene.rollout, scene.workload.deployment.spec
    if rollout.deadline_exceeded:
        seconds = spec.progress_deadline_seconds
        yield _of_deployment(
            scene,
            "ProgressDeadlineExceeded",
            Severity.CRITICAL,
            f"The rollout made no progress for {seconds} s: {rollout.available} of "
            f"{rollout.desired} pods of the new template available.",
            from_release=blame(scene, rollout.troubles, all_troubles(scene)),
        )
    if rollout.desired == 0 and scene.workload.deployment.kind is WorkloadKind.DAEMON_SET:
        yield _of_deployment(
            scene,
            "NoNodeChosen",
            Severity.CRITICAL,
            "No node is to run this DaemonSet: nothing serves. Its template says which nodes it "
            "wants (nodeSelector, affinity, tolerations).",
        )
    elif rollout.desired == 0:
        yield _of_deployment(
            scene,
            "ScaledToZero",
            Severity.CRITICAL,
            "Scaled to 0 replicas: nothing serves. An undo keeps the 0; bring them back with `"
            + scene.kubectl("scale", scene.workload.deployment.ref, "--replicas=N")
            + "`.",
            from_release=False,
        )
    if spec.paused:
        held = rollout.phase is RolloutPhase.PAUSED
        yield _of_deployment(
            scene,
            "DeploymentPaused",
            Severity.WARNING if held else Severity.INFO,
            "The Deployment is paused"
            + (": its newest template is not rolled out." if held else "."),
        )
    yield from _availability(scene)


def event_findings(scene: Scene) -> Iterator[Finding]:
    """Warning events about the workload's objects that no pod's trouble explains."""
    covered = {t.pod for t in all_troubles(scene)}
    events = [event for event in warnings(scene) if event.involved_object.name not in covered]
    for reason in dict.fromkeys(event.reason for event in events):
        group = [event for event in events if event.reason == reason]
        current = any(_still_matters(scene, event) for event in group)
        often = sum(times(event) for event in group)
        about = listing(dict.fromkeys(event.involved_object.name for event in group))
        yield Finding(
            reason=reason or "Warning",
            severity=Severity.WARNING if current else Severity.INFO,
            summary=f"{count(often, 'warning event')} {reason} about {about}: "
            f"{one_line(group[-1].message)}",
            evidence=tuple(as_evidence(scene, event) for event in group[-_SHOWN:]),
            from_release=None,
        )


def probe_findings(scene: Scene, probes: Sequence[Probe]) -> Iterator[Finding]:
    """Endpoints that fail, that are slow, or that were not asked."""
    for probe in probes:
        rate, p50, p95 = probe.error_rate, probe.p50, probe.percentile(SLOW_SHARE)
        if rate is None:
            yield _of_probe(scene, probe, "ProbeWithoutData", Severity.WARNING, "was not asked")
            continue
        if rate > 0:
            severity = Severity.CRITICAL if rate >= FAILING_SHARE else Severity.WARNING
            yield _of_probe(scene, probe, "ProbeFailing", severity, failures_text(probe))
        if p50 is not None and p95 is not None and p95 > probe.max_seconds:
            severity = Severity.CRITICAL if p50 > probe.max_seconds else Severity.WARNING
            slow = (
                f"half within {p50 * 1000:.0f} ms, 95 % within {p95 * 1000:.0f} ms, "
                f"at most {probe.max_seconds * 1000:.0f} ms"
            )
            yield _of_probe(scene, probe, "ProbeSlow", severity, f"{slow} expected")


def failures_text(probe: Probe) -> str:
    """`4 of 5 requests failed (HTTP 500: 3, timeout: 1), HTTP 200 expected`."""
    kinds = Counter(
        f"HTTP {sample.status}" if sample.status is not None else sample.error or "no answer"
        for sample in probe.failures
    )
    why = ", ".join(f"{kind}: {times}" for kind, times in kinds.most_common())
    failed = f"{len(probe.failures)} of {count(probe.total, 'request')} failed"
    return f"{failed}{f' ({why})' if why else ''}, HTTP {probe.expect_status} expected"


def _still_matters(scene: Scene, event: Event) -> bool:
    """False for an old event, and for one about a pod that serves or goes by now."""
    named = [p for p in scene.workload.pods if p.metadata.name == event.involved_object.name]
    passed = any(is_ready(pod) or is_terminating(pod) for pod in named)
    return scene.is_fresh(event.last_seen) and not passed


def _availability(scene: Scene) -> Iterator[Finding]:
    rollout, status = scene.rollout, scene.workload.deployment.status
    serving = rollout.ready + rollout.old_ready
    available = condition(status.conditions, "Available")
    if status.replicas and not scene.workload.pods:
        yield _of_deployment(
            scene,
            "PodsNotSeen",
            Severity.WARNING,
            f"The {scene.workload.deployment.kind} counts {count(status.replicas, 'pod')}, but "
            "none was seen.",
        )
    elif rollout.desired and available is not None and available.status == "False":
        yield _of_deployment(
            scene,
            "MinimumReplicasUnavailable",
            Severity.WARNING if serving else Severity.CRITICAL,
            f"Too few pods serve: {serving} ready, {rollout.desired} wanted.",
        )
    if rollout.old_ready:
        yield _of_deployment(
            scene,
            "OldPodsServing",
            Severity.INFO,
            f"{count(rollout.old_ready, 'pod')} of older revisions still serve.",
        )


def _of_deployment(
    scene: Scene,
    reason: str,
    severity: Severity,
    summary: str,
    *,
    from_release: bool | None = None,
) -> Finding:
    seen = progressing(scene.workload)
    detail = f"Progressing is {seen.status}: {seen.reason}. {seen.message}" if seen else summary
    owner = scene.workload.deployment
    command = scene.kubectl("describe", owner.ref)
    at = seen.last_update_time if seen else None
    evidence = Evidence(owner.kind, scene.metadata.name, one_line(detail), at, command)
    return Finding(reason, severity, summary, (evidence,), from_release)


def _of_probe(scene: Scene, probe: Probe, reason: str, severity: Severity, text: str) -> Finding:
    at = probe.samples[-1].at if probe.samples else None
    evidence = Evidence("Probe", probe.url, text, at, curl(probe.url))
    summary = f"{probe.name}: {text}."
    return Finding(reason, severity, summary, (evidence,), _probe_blame(scene, probe))


def _probe_blame(scene: Scene, probe: Probe) -> bool | None:
    """Who answers the probes: only new pods, only old ones, both, or nobody?"""
    rollout = scene.rollout
    if any(sample.error in ELSEWHERE for sample in probe.failures):
        return None
    if rollout.old_ready:
        return None if rollout.ready else False
    return True if rollout.ready and scene.began_with_rollout else None
