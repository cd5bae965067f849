"""What is wrong, with the evidence for it, and whether a rollback would cure it."""

from collections.abc import Sequence
from dataclasses import dataclass
from datetime import datetime

from veza_nb.evidence import Evidence, Finding
from veza_nb.logfindings import log_findings
from veza_nb.loglines import PodLog
from veza_nb.measures import UNMONITORED, Monitored
from veza_nb.monitorfindings import monitor_findings
from veza_nb.objects import Workload
from veza_nb.podsymptoms import pod_findings
from veza_nb.revisions import History, Standing
from veza_nb.rollout import RolloutState
from veza_nb.samples import Probe
from veza_nb.scene import Scene
from veza_nb.symptoms import deployment_findings, event_findings, probe_findings
from veza_nb.vocabulary import Decision, RolloutPhase, Severity
from veza_nb.words import count

__all__ = ["Diagnosis", "Evidence", "Finding", "decide", "find"]

_WORST_FIRST = tuple(Severity)
_ARGUED = 5
_NO_SECOND_CAUSE = frozenset({"ProbeSlow", "MetricBad"})
_DOUBTFUL = ("Probe", "PodsNotSeen", "MetricBad")


@dataclass(frozen=True, slots=True)
class Diagnosis:
    """All findings and the answer.

    Attributes:
        findings: worst first.
        decision: roll back, do not, or unclear.
        argument: why, step by step, for a person.
    """

    findings: tuple[Finding, ...]
    decision: Decision
    argument: tuple[str, ...]


def find(
    workload: Workload,
    rollout: RolloutState,
    probes: Sequence[Probe],
    logs: Sequence[PodLog] = (),
    monitored: Monitored = UNMONITORED,
    *,
    now: datetime,
) -> tuple[Finding, ...]:
    """Everything that is wrong, worst first; of equals, the release's doing first.

    Args:
        workload: what was seen.
        rollout: `read_rollout` of the same look.
        probes: what the endpoints answered; empty where nobody asked.
        logs: the ends of some pods' logs; empty where nobody read any.
        monitored: what the service's monitoring says.
        now: when that was; tells fresh events and restarts from old ones.
    """
    scene = Scene.of(workload, rollout, now)
    found = [
        *pod_findings(scene),
        *deployment_findings(scene),
        *probe_findings(scene, probes),
        *event_findings(scene),
        *log_findings(scene, logs),
        *monitor_findings(scene, monitored),
    ]
    found.sort(key=lambda f: (_WORST_FIRST.index(f.severity), f.from_release is not True))
    return tuple(found)


def decide(
    findings: Sequence[Finding], rollout: RolloutState, history: History, probes: Sequence[Probe]
) -> Diagnosis:
    """Whether a rollback would cure what was found. Missing data never makes a "do not"."""
    critical = [finding for finding in findings if finding.severity is Severity.CRITICAL]
    decision, why = (
        _weigh(critical, rollout, history)
        if critical
        else _nothing_critical(findings, rollout, probes)
    )
    argument = (
        _standing(rollout),
        *(finding.summary for finding in critical[:_ARGUED]),
        _asked(probes),
        *why,
        f"So: {decision}.",
    )
    return Diagnosis(tuple(findings), decision, argument)


def _standing(rollout: RolloutState) -> str:
    name = f"revision {rollout.revision}" if rollout.revision else "the newest template"
    return (
        f"The rollout of {name} is {rollout.phase}: {rollout.available} of "
        f"{count(rollout.desired, 'pod')} available, {rollout.old} of older revisions."
    )


def _asked(probes: Sequence[Probe]) -> str:
    asked = [probe for probe in probes if probe.samples]
    if not asked:
        return "No probe data: nobody asked the service itself."
    total = sum(probe.total for probe in asked)
    failed = sum(len(probe.failures) for probe in asked)
    where = f"{count(len(asked), 'endpoint')} answered"
    return f"{where} {total - failed} of {count(total, 'request')} as expected."


def _weigh(
    critical: Sequence[Finding], rollout: RolloutState, history: History
) -> tuple[Decision, tuple[str, ...]]:
    """Whose doing is it?"""
    blames = {finding.from_release for finding in critical}
    if True in blames:
        # Old pods that answer slowly while the release fails are no second cause: they carry
        # the load that its pods should share; nor is a number that was bad before. Old pods
        # that answer wrongly may well be.
        second = (one for one in critical if one.reason not in _NO_SECOND_CAUSE)
        blames = {one.from_release for one in second} | {True}
    if rollout.desired == 0:
        return Decision.DO_NOT, ("Nothing runs because it was scaled to 0, not by the release.",)
    if blames >= {True, False}:
        mixed = "Some of it only the new template's pods suffer, some of it others suffer too."
        return Decision.UNCLEAR, (mixed,)
    if True in blames:
        return _towards(rollout, history)
    if False in blames:
        alike = "It was so before, or older pods suffer alike: the release is not the cause."
        return Decision.DO_NOT, (alike,)
    return Decision.UNCLEAR, ("Nothing here tells the release's doing from other causes.",)


def _towards(rollout: RolloutState, history: History) -> tuple[Decision, tuple[str, ...]]:
    """The release is to blame; is there something better to go back to?"""
    compared = f"; the {rollout.old_ready} of older revisions serve" if rollout.old_ready else ""
    blame = f"Only pods of the new template suffer{compared}: the release is to blame."
    target = history.recommended
    if target is not None:
        return Decision.ROLL_BACK, (blame, *history.reasons[:1])
    worth = [
        revision
        for revision in history.revisions
        if revision.standing in (Standing.GOOD, Standing.UNKNOWN) and not revision.abandoned
    ]
    if worth:
        name = "No revision is proven to work: look at the history and name one."
        return Decision.ROLL_BACK, (blame, name)
    nothing = "There is no revision worth going back to: repair forward."
    return Decision.UNCLEAR, (blame, nothing)


def _nothing_critical(
    findings: Sequence[Finding], rollout: RolloutState, probes: Sequence[Probe]
) -> tuple[Decision, tuple[str, ...]]:
    warnings = [finding for finding in findings if finding.severity is Severity.WARNING]
    doubts = [f.summary for f in warnings if f.reason.startswith(_DOUBTFUL)]
    if doubts:
        return Decision.UNCLEAR, (*doubts, "Look again: this is not enough to decide on.")
    if not any(probe.samples for probe in probes):
        return Decision.UNCLEAR, ("The pods show nothing wrong, but that alone proves nothing.",)
    said = tuple(finding.summary for finding in warnings[:_ARGUED])
    if rollout.phase is RolloutPhase.PROGRESSING and rollout.available < rollout.desired:
        return Decision.UNCLEAR, (*said, "The rollout is still going on: wait and look again.")
    return Decision.DO_NOT, (*said, "Nothing was found that a rollback would cure.")
