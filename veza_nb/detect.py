"""Detection: what is wrong with this service, and is a rollback the cure."""

from collections.abc import Callable, Mapping
from contextlib import suppress
from dataclasses import dataclass, replace
from datetime import datetime
from functools import partial

import msgspec

from veza_nb.catalog import Hint, Monitoring, Service, Verify
from veza_nb.checks import Baseline
from veza_nb.clock import Deadline
from veza_nb.cluster import Cluster
from veza_nb.cluster.beside import look_beside
from veza_nb.cluster.client import concurrently
from veza_nb.errors import ForbiddenError, VezaError
from veza_nb.eventgroups import event_groups
from veza_nb.findings import Diagnosis, decide, find, noticed
from veza_nb.hints import with_hints
from veza_nb.loglines import PodLog, release_errors
from veza_nb.logreading import look_into_logs
from veza_nb.measures import Monitored
from veza_nb.monitored import monitored
from veza_nb.neighbourhood import Neighbourhood
from veza_nb.objects import Event, Workload
from veza_nb.onset import read_onset
from veza_nb.probes import probe_closely, targets_of
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
        at: when it was finished, by this machine's clock, as all records are.
        workload: the objects it rests on.
        rollout: where the rollout stands.
        history: the revisions.
        probes: what the endpoints answered; empty where the catalogue has no URL.
        diagnosis: findings and the decision.
        baseline: what verification will compare with.
        server_at: the same moment by the server's clock, which dates all objects.
    """

    at: datetime
    workload: Workload
    rollout: RolloutState
    history: History
    probes: tuple[Probe, ...]
    diagnosis: Diagnosis
    baseline: Baseline
    server_at: datetime | None = None

    @property
    def now(self) -> datetime:
        """What ages of objects are counted from."""
        return self.server_at or self.at


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
    (seen, logs, told, beside), probes = concurrently(
        lambda: _objects(cluster, service, monitoring),
        lambda: probe_closely(
            targets_of(service),
            samples=settings.samples,
            timeout=settings.probe_seconds,
            clock=cluster.clock,
        ),
    )
    found = _judge(seen, probes, logs, told, beside, now=cluster.now())
    found = replace(found, at=cluster.clock.now())
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
) -> tuple[Workload, tuple[PodLog, ...], Monitored, Neighbourhood]:
    """The workload with its events, some logs, what monitoring says, what stands beside it."""
    asking, last = cluster.ahead(), cluster.last_look(service.workload)
    further = partial(_further, asking, service, monitoring)
    # The pods tell what else to ask for. Those of the last look tell it at once, and mostly right.
    workload, earlier = concurrently(
        lambda: cluster.workload(service.workload, service.selector),
        lambda: _guess(further, last),
    )
    same = earlier is not None and last is not None and live_since(last) == live_since(workload)
    events, logs, told, beside = further(workload, told=earlier if same else None)
    return msgspec.structs.replace(workload, events=events), logs, told, beside


_Further = tuple[tuple[Event, ...], tuple[PodLog, ...], Monitored, Neighbourhood]


def _guess(further: Callable[[Workload], _Further], last: Workload | None) -> Monitored | None:
    """Ask for what the last look needed; what goes wrong shows when its turn comes."""
    if last is None:
        return None
    with suppress(VezaError):
        return further(last)[2]
    return None


def _further(
    cluster: Cluster,
    service: Service,
    monitoring: Monitoring,
    workload: Workload,
    told: Monitored | None = None,
) -> _Further:
    """What a workload's pods lead to; what monitoring says may be known already."""
    now, since = cluster.now(), live_since(workload)
    (events, no_events), (logs, no_logs), told, beside = concurrently(
        lambda: _events(cluster, workload, read_rollout(workload)),
        lambda: look_into_logs(cluster, workload),
        lambda: told or monitored(monitoring, service, now=now, live_since=since),
        lambda: look_beside(cluster, workload, service.nearby),
    )
    unseen = tuple(why for why in (no_events, no_logs) if why)
    return events, logs, told, replace(beside, unseen=(*unseen, *beside.unseen))


def _judge(
    workload: Workload,
    probes: tuple[Probe, ...],
    logs: tuple[PodLog, ...],
    told: Monitored,
    beside: Neighbourhood,
    *,
    now: datetime,
) -> Detection:
    rollout = read_rollout(workload)
    history = read_history(workload, now=now)
    findings = find(workload, rollout, probes, logs, told, beside=beside, now=now)
    onset = read_onset(workload, rollout, noticed(workload, logs, told))
    diagnosis = decide(findings, rollout, history, probes, onset)
    return Detection(
        at=now,
        server_at=now,
        workload=workload,
        rollout=rollout,
        history=history,
        probes=probes,
        diagnosis=replace(diagnosis, events=event_groups(workload)),
        baseline=Baseline(
            at=now,
            replicas=workload.deployment.spec.replicas,
            restarts=read_restarts(workload),
            probes=probes,
            monitored=told,
            release_errors=release_errors(logs),
        ),
    )


def _events(
    cluster: Cluster, workload: Workload, rollout: RolloutState
) -> tuple[tuple[Event, ...], str]:
    """Events of the workload, its live ReplicaSet and its pods in trouble or not ready."""
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
        return cluster.events([name, *live, *list(troubled)[:TROUBLED_PODS]]), ""
    except ForbiddenError:
        # Events explain; pods decide. Without the right to read them the rest still holds.
        return (), "events (not allowed)"
