"""Verification: is the service back, and does it stay back."""

from collections.abc import Callable
from dataclasses import replace

from veza_nb.catalog import Monitoring, Service, Verify
from veza_nb.checks import (
    Baseline,
    Check,
    Verification,
    conclude,
    probe_checks,
    rollout_checks,
    soak_check,
)
from veza_nb.clock import Deadline
from veza_nb.cluster import Cluster
from veza_nb.logchecks import log_check
from veza_nb.logreading import read_logs
from veza_nb.monitorchecks import monitor_checks
from veza_nb.monitored import monitored
from veza_nb.objects import Workload
from veza_nb.plans import Plan
from veza_nb.probes import probe, targets_of
from veza_nb.rollout import read_restarts
from veza_nb.samples import Probe
from veza_nb.vocabulary import Verdict


def verify(
    cluster: Cluster,
    service: Service,
    plan: Plan,
    baseline: Baseline,
    *,
    settings: Verify,
    monitoring: Monitoring,
    show: Callable[[float, tuple[Probe, ...]], None],
) -> Verification:
    """Check every clause of "recovered", over a soak.

    The endpoints are asked again and again while it soaks: one lucky 200 proves nothing.

    Args:
        cluster: where.
        service: which.
        plan: what was to become live.
        baseline: taken before acting.
        settings: length of the soak and pace of the probes.
        monitoring: where the service's numbers and alerts are.
        show: is given the seconds left and the probes so far.
    """
    before = _look(cluster, service)
    # The server's time: a wrong clock here must not hide what is printed there.
    began = cluster.transport.server_now() or cluster.clock.now()
    probes = _soak(cluster, service, settings=settings, show=show)
    after = _look(cluster, service)
    soak = soak_check(read_restarts(before), read_restarts(after), settings.soak_seconds)
    answers = probe_checks(probes, baseline) if service.speaks_http else ()
    logs = [log for log in read_logs(cluster, after, since=began) if log.new]
    said = log_check(logs, baseline.release_errors)
    watched = _settle(cluster, service, baseline, settings=settings, monitoring=monitoring)
    return conclude((*rollout_checks(after, plan, baseline), *answers, soak, said, *watched))


def _settle(
    cluster: Cluster,
    service: Service,
    baseline: Baseline,
    *,
    settings: Verify,
    monitoring: Monitoring,
) -> tuple[Check, ...]:
    """Wait until numbers and alerts are normal: they look back over minutes of the bad release."""
    deadline = Deadline.after(cluster.clock, settings.settle_seconds)
    while True:
        now = cluster.clock.now()
        seen = monitored(monitoring, service, now=now, live_since=None)
        checks = monitor_checks(seen, baseline.monitored)
        good = all(check.verdict is Verdict.PASS for check in checks)
        if good or deadline.passed:
            return checks
        cluster.clock.sleep(min(max(settings.interval_seconds, 1.0), deadline.left))


def _look(cluster: Cluster, service: Service) -> Workload:
    return cluster.workload(service.workload, service.selector)


def _soak(
    cluster: Cluster,
    service: Service,
    *,
    settings: Verify,
    show: Callable[[float, tuple[Probe, ...]], None],
) -> tuple[Probe, ...]:
    targets = targets_of(service)
    deadline = Deadline.after(cluster.clock, settings.soak_seconds)

    def ask(samples: int) -> tuple[Probe, ...]:
        return probe(targets, samples=samples, timeout=settings.probe_seconds, clock=cluster.clock)

    probes = ask(settings.samples)
    while not deadline.passed:
        show(deadline.left, probes)
        cluster.clock.sleep(min(settings.interval_seconds, deadline.left))
        probes = _joined(probes, ask(1))
    return probes


def _joined(earlier: tuple[Probe, ...], later: tuple[Probe, ...]) -> tuple[Probe, ...]:
    return tuple(
        replace(one, samples=(*one.samples, *two.samples))
        for one, two in zip(earlier, later, strict=True)
    )
