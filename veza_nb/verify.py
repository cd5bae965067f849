"""Verification: is the service back, and does it stay back."""

from collections.abc import Callable
from dataclasses import dataclass

from veza_nb.catalog import Monitoring, Service, Verify
from veza_nb.checklist import Verification, conclude
from veza_nb.checks import Baseline, Check, gap, rollout_checks, soak_check, target_check
from veza_nb.clock import Deadline
from veza_nb.cluster import Cluster
from veza_nb.healing import await_reconcilers
from veza_nb.logchecks import log_check
from veza_nb.logreading import read_logs
from veza_nb.monitorchecks import monitor_checks
from veza_nb.monitored import monitored
from veza_nb.objects import Workload
from veza_nb.patience import patiently
from veza_nb.plans import Plan
from veza_nb.probechecks import probe_checks, undecided
from veza_nb.probes import probe, targets_of, users_target
from veza_nb.rates import hopeless
from veza_nb.rollout import read_restarts, read_rollout
from veza_nb.samples import USERS, Probe, joined
from veza_nb.userchecks import Answer, users_check
from veza_nb.vocabulary import Item, RolloutPhase, Verdict

MORE = 8
"""Requests per endpoint that are asked for at a time where those of the soak cannot tell."""
MOST = 100
"""Requests per endpoint after which it is left untold."""

Show = Callable[[float, tuple[Probe, ...]], None]
Smoked = Callable[[bool], tuple[Check, ...]]


@dataclass(frozen=True, slots=True)
class Word:
    """What a person said to whether users can access the platform, and who."""

    answer: Answer = Answer.NONE
    by: str = ""


def verify(
    cluster: Cluster,
    service: Service,
    plan: Plan,
    baseline: Baseline,
    *,
    settings: Verify,
    monitoring: Monitoring,
    show: Show,
    word: Word = Word(),
    smoke: Smoked = lambda _: (),
) -> Verification:
    """Check every clause of "recovered", over a soak.

    The endpoints are asked again and again while it soaks: one lucky 200 proves nothing. It
    ends early where nothing can save it any more.

    Args:
        cluster: where.
        service: which.
        plan: what was to become live.
        baseline: taken before acting.
        settings: length of the soak and pace of the probes.
        monitoring: where the service's numbers and alerts are.
        show: is given the seconds left and the probes so far.
        word: what a person says about the users.
        smoke: is told whether the rollout is through, runs the smoke tests if so.
    """
    before, begin = _look(cluster, service), cluster.clock.monotonic()
    # The server's time: a wrong clock here must not hide what is printed there.
    began = cluster.transport.server_now() or cluster.clock.now()
    probes, soaked = _soak(cluster, service, before, settings=settings, show=show)
    patient = bool(soaked) or not settings.soak_seconds
    healing = await_reconcilers(
        cluster,
        before.deployment,
        plan,
        service.gitops,
        begin=begin,
        patient=patient,
        show=lambda left: show(left, probes),
    )
    after = _look(cluster, service)
    probes = _told(cluster, service, probes, settings=settings) if soaked else probes
    logs = [log for log in read_logs(cluster, after, since=began) if log.new]
    return conclude(
        (
            target_check(plan),
            *rollout_checks(after, plan, baseline),
            *healing.checks(after.deployment, plan),
            _held(before, after, soaked, settings),
            *_answers(service, probes, baseline),
            *smoke(read_rollout(after).phase is RolloutPhase.COMPLETE),
            log_check(logs, baseline.release_errors),
            *_settle(cluster, service, baseline, settings=settings, monitoring=monitoring),
            _users(probes, word, settings),
        )
    )


def _held(before: Workload, after: Workload, soaked: float, settings: Verify) -> Check:
    if not soaked and settings.soak_seconds:
        why = "nobody waited: the rollout is stuck"
        return gap("soak", "It held", why, item=Item.PODS)
    return soak_check(read_restarts(before), read_restarts(after), soaked)


def _answers(service: Service, probes: tuple[Probe, ...], baseline: Baseline) -> tuple[Check, ...]:
    if not service.speaks_http:
        return ()
    return probe_checks([one for one in probes if one.name != USERS], baseline)


def _users(probes: tuple[Probe, ...], word: Word, settings: Verify) -> Check:
    seen = next((one for one in probes if one.name == USERS), None)
    return users_check(seen, word.answer, by=word.by, required=settings.require_users)


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
    def look() -> Workload:
        return cluster.workload(service.workload, service.selector)

    return patiently(cluster.clock, look)


def _soak(
    cluster: Cluster, service: Service, before: Workload, *, settings: Verify, show: Show
) -> tuple[tuple[Probe, ...], float]:
    """What the endpoints answered, and how long it was watched: not at all while it is stuck."""
    clock, begin = cluster.clock, cluster.clock.monotonic()
    probes = _ask(cluster, service, settings.samples, settings)
    if read_rollout(before).phase is RolloutPhase.STUCK:
        return probes, 0.0
    deadline = Deadline.after(clock, settings.soak_seconds)
    while not deadline.passed:
        show(deadline.left, probes)
        if _lost(probes, deadline.left, settings):
            return probes, clock.monotonic() - begin
        clock.sleep(min(settings.interval_seconds, deadline.left))
        probes = joined(probes, _ask(cluster, service, 1, settings))
    return probes, settings.soak_seconds


def _lost(probes: tuple[Probe, ...], left: float, settings: Verify) -> bool:
    """Whether it fails even if every request from now on is answered well."""
    to_come = int(left / settings.interval_seconds) + 1
    return any(hopeless(len(one.failures), one.total, to_come) for one in probes)


def _told(
    cluster: Cluster, service: Service, probes: tuple[Probe, ...], *, settings: Verify
) -> tuple[Probe, ...]:
    """Ask more where the answers so far cannot tell."""
    while undecided(probes) and all(one.total < MOST for one in probes):
        probes = joined(probes, _ask(cluster, service, MORE, settings))
    return probes


def _ask(cluster: Cluster, service: Service, samples: int, settings: Verify) -> tuple[Probe, ...]:
    targets = (*targets_of(service), *users_target(service))
    return probe(targets, samples=samples, timeout=settings.probe_seconds, clock=cluster.clock)
