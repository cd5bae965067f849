"""Is the service back? One check a clause, three values each."""

import re
from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass
from datetime import datetime

from veza_nb.evidence import kubectl
from veza_nb.measures import UNMONITORED, Monitored
from veza_nb.objects import Workload
from veza_nb.plans import Plan
from veza_nb.podtemplates import images, same_template
from veza_nb.rollout import RolloutState, read_rollout
from veza_nb.samples import Probe
from veza_nb.symptoms import SLOW_SHARE, failures_text
from veza_nb.vocabulary import Verdict
from veza_nb.words import count

TOLERATED = 0.05
"""Share of failed requests that a healthy service may show in a soak."""
ENOUGH = 3
"""Fewer requests than that prove nothing."""
_SHOWN = 5


@dataclass(frozen=True, slots=True)
class Check:
    """One line of the checklist.

    Attributes:
        name: kebab-case id.
        title: what is checked, for a person.
        verdict: pass, fail or inconclusive.
        evidence: what it rests on, one line each.
        advisory: a gap here is for a person to fill and does not open the verdict.
    """

    name: str
    title: str
    verdict: Verdict
    evidence: tuple[str, ...]
    advisory: bool = False


@dataclass(frozen=True, slots=True)
class Baseline:
    """How things stood before the undo.

    Attributes:
        at: when that was seen.
        replicas: asked for then.
        restarts: pod name to container restarts.
        probes: what the probes saw.
        monitored: what monitoring said.
        release_errors: kinds of error lines that only pods of the live template printed.
    """

    at: datetime
    replicas: int
    restarts: Mapping[str, int]
    probes: tuple[Probe, ...]
    monitored: Monitored = UNMONITORED
    release_errors: tuple[str, ...] = ()


@dataclass(frozen=True, slots=True)
class Verification:
    """The checklist and its verdict."""

    verdict: Verdict
    checks: tuple[Check, ...]


def rollout_checks(workload: Workload, plan: Plan, baseline: Baseline) -> tuple[Check, ...]:
    """Is the planned template rolled out, completely? One check a clause.

    Args:
        workload: one look, taken now.
        plan: what was to become live.
        baseline: how many replicas there were before.
    """
    state = read_rollout(workload, desired_before=baseline.replicas)
    return (
        _observed(workload, state),
        _template(workload, plan),
        _counted("updated", "All pods run the live template", state, state.updated, workload),
        _no_old_pods(state, workload),
        _counted("available", "All of them are available", state, state.available, workload),
        _replicas(workload, baseline),
    )


def probe_checks(probes: Sequence[Probe], baseline: Baseline) -> tuple[Check, ...]:
    """Do the endpoints answer rightly and fast enough? Nothing asked is inconclusive.

    Args:
        probes: taken after the undo.
        baseline: what the endpoints answered before it; one of them not asked again is a gap.
    """
    asked = {probe.name for probe in probes}
    forgotten = [probe for probe in baseline.probes if probe.name not in asked]
    before = {probe.name: probe for probe in baseline.probes}
    checks = [check for probe in probes for check in _probe(probe, before.get(probe.name))]
    checks += [_gap(f"probe-{_slug(p.name)}", p.name, "asked before, not now") for p in forgotten]
    if not checks:
        nobody = "no endpoint is known (no URL in the catalogue), so nobody asked"
        checks.append(_gap("probes", "The service answers", nobody))
    return tuple(checks)


def soak_check(before: Mapping[str, int], after: Mapping[str, int], seconds: float) -> Check:
    """Has it held for that many seconds: no container restarted, no pod gone?

    Args:
        before: pod name to container restarts when the soak began.
        after: the same at its end.
        seconds: length of the soak.
    """
    title = f"It held for {seconds:g} s"
    if seconds <= 0 or not before:
        why = "no pod was seen when it began" if seconds > 0 else "nobody waited"
        return _gap("soak", title, why)
    restarted = [
        f"{pod} restarted: {before.get(pod, 0)} before, {restarts} now"
        for pod, restarts in sorted(after.items())
        if restarts > before.get(pod, 0)
    ]
    gone = [f"{pod} is gone" for pod in sorted(before.keys() - after.keys())]
    if restarted or gone:
        return Check("soak", title, Verdict.FAIL, (*restarted, *gone))
    held = f"{count(len(after), 'pod')}, no new restart, none gone"
    return Check("soak", title, Verdict.PASS, (held,))


def conclude(checks: Sequence[Check]) -> Verification:
    """Any failure fails; else any gap, or no check at all, is inconclusive.

    A gap in what is only advice is none.
    """
    counted = (
        check.verdict
        for check in checks
        if not (check.advisory and check.verdict is Verdict.INCONCLUSIVE)
    )
    verdicts = set(counted) or {Verdict.INCONCLUSIVE}
    worst = next(v for v in (Verdict.FAIL, Verdict.INCONCLUSIVE, Verdict.PASS) if v in verdicts)
    return Verification(worst, tuple(checks))


def _observed(workload: Workload, state: RolloutState) -> Check:
    seen = workload.deployment.status.observed_generation
    wanted = workload.deployment.metadata.generation
    # Not seen yet is not a failure of the release, but then no other count can be trusted.
    verdict = Verdict.PASS if state.observed else Verdict.INCONCLUSIVE
    line = f"observedGeneration {seen}, generation {wanted}"
    return Check("observed", "The controller has seen the newest spec", verdict, (line,))


def _template(workload: Workload, plan: Plan) -> Check:
    same = same_template(workload.deployment.spec.template, plan.template)
    named = images(workload.deployment.spec.template)
    line = ", ".join(f"{name}={image}" for name, image in named.items()) or "no container"
    return _judged("live-template", "The live template is the planned one", same, line)


def _counted(name: str, title: str, state: RolloutState, number: int, workload: Workload) -> Check:
    if state.desired == 0:
        return _gap(name, title, "scaled to 0: there is no pod to judge by")
    if _unseen(workload):
        return _gap(name, title, "pods were not seen")
    line = f"{number} of {count(state.desired, 'pod')}"
    troubles = tuple(
        f"{trouble.pod}: {trouble.reason}" for trouble in state.troubles if trouble.new
    )
    good = number == state.desired
    return _judged(name, title, good, line, *(() if good else troubles[:_SHOWN]))


def _no_old_pods(state: RolloutState, workload: Workload) -> Check:
    title = "No pod of another revision is left"
    if _unseen(workload):
        return _gap("no-old-pods", title, "pods were not seen")
    return _judged("no-old-pods", title, state.old == 0, f"{count(state.old, 'pod')} left")


def _replicas(workload: Workload, baseline: Baseline) -> Check:
    metadata, now = workload.deployment.metadata, workload.deployment.spec.replicas
    enough = now >= baseline.replicas
    lines = [f"{now} now, {baseline.replicas} before"]
    if not enough:
        name, wanted = f"deployment/{metadata.name}", f"--replicas={baseline.replicas}"
        lines.append("bring them back: " + kubectl(metadata.namespace, "scale", name, wanted))
    return _judged("replicas", "As many replicas as before the incident", enough, *lines)


def _unseen(workload: Workload) -> bool:
    """The Deployment counts pods, but none were in this look."""
    return workload.deployment.status.replicas > 0 and not workload.pods


def _probe(probe: Probe, before: Probe | None) -> Iterator[Check]:
    """Two checks an endpoint: what it answers, and how fast."""
    name = f"probe-{_slug(probe.name)}"
    answers, speed = f"{probe.name} answers as expected", f"{probe.name} answers fast enough"
    rate, p95 = probe.error_rate, probe.percentile(SLOW_SHARE)
    if rate is None or probe.total < ENOUGH:
        few = f"{count(probe.total, 'request')}: too few to judge, {ENOUGH} are needed"
        yield _gap(f"{name}-answers", answers, few)
        yield _gap(f"{name}-speed", speed, few)
        return
    text = failures_text(probe) if probe.failures else f"{count(probe.total, 'request')}, all good"
    was = [f"before: {failures_text(before)}"] if before and before.failures else []
    yield _judged(f"{name}-answers", answers, rate <= TOLERATED, text, *was)
    if p95 is None:
        yield _gap(f"{name}-speed", speed, "no request was answered")
        return
    line = f"95 % within {p95 * 1000:.0f} ms, at most {probe.max_seconds * 1000:.0f} ms expected"
    yield _judged(f"{name}-speed", speed, p95 <= probe.max_seconds, line)


def _judged(name: str, title: str, good: bool, *evidence: str) -> Check:
    return Check(name, title, Verdict.PASS if good else Verdict.FAIL, evidence)


def _gap(name: str, title: str, why: str) -> Check:
    return Check(name, title, Verdict.INCONCLUSIVE, (why,))


def _slug(name: str) -> str:
    return re.sub(r"[^a-z0-9]+", "-", name.lower()).strip("-") or "endpoint"
