"""Detection: what is wrong with this service, and is a rollback the cure."""

from collections.abc import Callable, Mapping
from dataclasses import dataclass, replace
from datetime import datetime

import msgspec

from veza_nb.catalog import Hint, Monitoring, Service, Verify
from veza_nb.checks import Baseline
from veza_nb.clock import Deadline
from veza_nb.cluster import Cluster
from veza_nb.cluster.client import concurrently
from veza_nb.errors import ForbiddenError
from veza_nb.findings import Diagnosis, decide, find
from veza_nb.hints import with_hints
from veza_nb.loglines import PodLog, release_errors
from veza_nb.logreading import read_logs
from veza_nb.measures import Monitored
from veza_nb.monitored import monitored
from veza_nb.objects import Event, Workload
from veza_nb.probes import probe, targets_of
from veza_nb.replicasets import live_since
from veza_nb.revisions import History, read_history
from veza_nb.rollout import RolloutState, read_restarts, read_rollout
from veza_nb.samples import Probe
from veza_nb.troubles import is_ready
from veza_nb.vocabulary import POD_TEMPLATE_HASH, Decision, RolloutPhase

UNWATCHED = Monitoring()
TROUBLED_PODS = 5
"""Pods whose events are read: what ails five ails the rest."""


@dataclass(frozen=True, slots=True)
class Detection:
    """What one look at a service saw.

    Attributes:
        at: when it was finished.
        workload: the objects it rests on.
        rollout: where the rollout stands.
        history: the revisions.
        probes: what the endpoints answered; empty where the catalogue has no URL.
        diagnosis: findings and the decision.
        baseline: what verification will compare with.
    """

    at: datetime
    workload: Workload
    rollout: RolloutState
    history: History
    probes: tuple[Probe, ...]
    diagnosis: Diagnosis
    baseline: Baseline


def detect(
    cluster: Cluster,
    service: Service,
    *,
    settings: Verify,
    monitoring: Monitoring = UNWATCHED,
    hints: Mapping[str, Hint] = {},
) -> Detection:
    """Look at a service once; requests run side by side.

    Args:
        cluster: where.
        service: which; its URL decides whether endpoints are asked.
        settings: how often an endpoint is asked, and its deadline.
        monitoring: where the service's numbers and alerts are.
        hints: what findings mean, besides what the kit knows.
    """
    (seen, logs, told), probes = concurrently(
        lambda: _objects(cluster, service, monitoring),
        lambda: probe(
            targets_of(service),
            samples=settings.samples,
            timeout=settings.probe_seconds,
            clock=cluster.clock,
        ),
    )
    found = _judge(seen, probes, logs, told, now=cluster.clock.now())
    meant = with_hints(found.diagnosis.findings, hints)
    return replace(found, diagnosis=replace(found.diagnosis, findings=meant))


def detect_settled(
    cluster: Cluster,
    service: Service,
    *,
    settings: Verify,
    monitoring: Monitoring = UNWATCHED,
    hints: Mapping[str, Hint] = {},
    show: Callable[[Detection], None],
) -> Detection:
    """Look again while it is unclear only because the rollout has just begun.

    Args:
        cluster: where.
        service: which.
        settings: `look_seconds` is how long.
        monitoring: where the service's numbers and alerts are.
        hints: what findings mean, besides what the kit knows.
        show: is given every look.
    """
    deadline = Deadline.after(cluster.clock, settings.look_seconds)
    while True:
        seen = detect(cluster, service, settings=settings, monitoring=monitoring, hints=hints)
        show(seen)
        young = seen.rollout.phase is RolloutPhase.PROGRESSING
        undecided = seen.diagnosis.decision is Decision.UNCLEAR
        if deadline.passed or not (young and undecided):
            return seen
        cluster.clock.sleep(min(settings.interval_seconds, deadline.left))


def _objects(
    cluster: Cluster, service: Service, monitoring: Monitoring
) -> tuple[Workload, tuple[PodLog, ...], Monitored]:
    """The workload with its events, some logs, and what monitoring says."""
    workload = cluster.workload(service.workload, service.selector)
    now = cluster.clock.now()
    events, logs, told = concurrently(
        lambda: _events(cluster, workload, read_rollout(workload)),
        lambda: read_logs(cluster, workload),
        lambda: monitored(monitoring, service, now=now, live_since=live_since(workload)),
    )
    return msgspec.structs.replace(workload, events=events), logs, told


def _judge(
    workload: Workload,
    probes: tuple[Probe, ...],
    logs: tuple[PodLog, ...],
    told: Monitored,
    *,
    now: datetime,
) -> Detection:
    rollout = read_rollout(workload)
    history = read_history(workload, now=now)
    findings = find(workload, rollout, probes, logs, told, now=now)
    return Detection(
        at=now,
        workload=workload,
        rollout=rollout,
        history=history,
        probes=probes,
        diagnosis=decide(findings, rollout, history, probes),
        baseline=Baseline(
            at=now,
            replicas=workload.deployment.spec.replicas,
            restarts=read_restarts(workload),
            probes=probes,
            monitored=told,
            release_errors=release_errors(logs),
        ),
    )


def _events(cluster: Cluster, workload: Workload, rollout: RolloutState) -> tuple[Event, ...]:
    """Events of the Deployment, its live ReplicaSet and its pods in trouble or not ready."""
    ailing = [trouble.pod for trouble in rollout.troubles if trouble.pod]
    ailing += [pod.metadata.name for pod in workload.pods if not is_ready(pod)]
    troubled = dict.fromkeys(ailing)
    live = [
        one.metadata.name
        for one in workload.replicasets
        if one.metadata.labels.get(POD_TEMPLATE_HASH) == rollout.template_hash
    ]
    name = workload.deployment.metadata.name
    try:
        return cluster.events([name, *live, *list(troubled)[:TROUBLED_PODS]])
    except ForbiddenError:
        # Events explain; pods decide. Without the right to read them the rest still holds.
        return ()
