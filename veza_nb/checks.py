"""Is the service back? One check a clause, three values each."""

from collections.abc import Mapping
from dataclasses import dataclass, replace
from datetime import datetime

from veza_nb.evidence import kubectl
from veza_nb.measures import UNMONITORED, Monitored
from veza_nb.objects import Workload
from veza_nb.plans import Plan
from veza_nb.podtemplates import images, same_template
from veza_nb.rollout import RolloutState, read_rollout
from veza_nb.samples import Probe
from veza_nb.vocabulary import Item, Verdict, WorkloadKind
from veza_nb.words import count, listing

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
        item: the line of the runbook's checklist that it belongs to.
        remedies: what only a person can do about it, with the command, one line each.
    """

    name: str
    title: str
    verdict: Verdict
    evidence: tuple[str, ...]
    advisory: bool = False
    item: Item = Item.UNDONE
    remedies: tuple[str, ...] = ()


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


def target_check(plan: Plan) -> Check:
    """The revision to go back to was found, and is pinned by its template."""
    images = listing(dict.fromkeys(plan.images_after.values()))
    line = f"revision {plan.to_revision} ({images}), pinned by its pod template"
    return Check("target", "A target was found", Verdict.PASS, (line,), item=Item.TARGET)


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
        return gap("soak", title, why, item=Item.PODS)
    restarted = [
        f"{pod} restarted: {before.get(pod, 0)} before, {restarts} now"
        for pod, restarts in sorted(after.items())
        if restarts > before.get(pod, 0)
    ]
    gone = [f"{pod} is gone" for pod in sorted(before.keys() - after.keys())]
    if restarted or gone:
        return Check("soak", title, Verdict.FAIL, (*restarted, *gone), item=Item.PODS)
    held = f"{count(len(after), 'pod')}, no new restart, none gone"
    return Check("soak", title, Verdict.PASS, (held,), item=Item.PODS)


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
        why = "scaled to 0: there is no pod to judge by"
        return gap(name, title, why, item=Item.PODS)
    if _unseen(workload):
        return gap(name, title, "pods were not seen", item=Item.PODS)
    line = f"{number} of {count(state.desired, 'pod')}"
    troubles = tuple(
        f"{trouble.pod}: {trouble.reason}" for trouble in state.troubles if trouble.new
    )
    good = number == state.desired
    evidence = (line, *(() if good else troubles[:_SHOWN]))
    return _judged(name, title, good, *evidence, item=Item.PODS)


def _no_old_pods(state: RolloutState, workload: Workload) -> Check:
    title = "No pod of another revision is left"
    if _unseen(workload):
        return gap("no-old-pods", title, "pods were not seen")
    by_hand = tuple(one.said for one in state.left_alone)
    left = f"{count(state.old, 'pod')} left"
    check = _judged("no-old-pods", title, state.old == 0, left, *by_hand)
    return replace(check, remedies=by_hand)


def _replicas(workload: Workload, baseline: Baseline) -> Check:
    metadata, now = workload.deployment.metadata, workload.deployment.spec.replicas
    enough = now >= baseline.replicas
    lines = [f"{now} now, {baseline.replicas} before"]
    title, remedies = "As many replicas as before the incident", []
    if not enough and workload.deployment.kind is WorkloadKind.DAEMON_SET:
        fewer = "a node is gone, or is not chosen any more: kubectl get nodes"
        return gap("replicas", title, f"{lines[0]}: {fewer}", item=Item.PODS)
    if not enough:
        ref, wanted = workload.deployment.ref, f"--replicas={baseline.replicas}"
        scale = kubectl(metadata.namespace, "scale", ref, wanted)
        lines.append(f"bring them back: {scale}")
        remedies.append(f"Bring the replicas back: `{scale}`")
    check = _judged("replicas", title, enough, *lines, item=Item.PODS)
    return replace(check, remedies=tuple(remedies))


def _unseen(workload: Workload) -> bool:
    """The workload counts pods, but none were in this look."""
    return workload.deployment.status.replicas > 0 and not workload.pods


def gap(name: str, title: str, why: str, *, item: Item = Item.UNDONE) -> Check:
    """A check that nothing can be said about."""
    return Check(name, title, Verdict.INCONCLUSIVE, (why,), item=item)


def _judged(name: str, title: str, good: bool, *evidence: str, item: Item = Item.UNDONE) -> Check:
    return Check(name, title, Verdict.PASS if good else Verdict.FAIL, evidence, item=item)
