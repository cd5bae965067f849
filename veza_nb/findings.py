"""What is wrong, with the evidence for it, and whether a rollback would cure it."""

from collections.abc import Sequence
from dataclasses import dataclass
from datetime import datetime

from veza_nb.eventgroups import EventGroup
from veza_nb.evidence import Evidence, Finding
from veza_nb.logfindings import log_findings, log_signs
from veza_nb.loglines import PodLog
from veza_nb.measures import UNMONITORED, Monitored
from veza_nb.monitorfindings import monitor_findings, monitor_signs
from veza_nb.neighbourfindings import neighbour_findings
from veza_nb.neighbourhood import NOBODY_LOOKED, Neighbourhood
from veza_nb.objects import Workload
from veza_nb.onset import NEVER, Onset
from veza_nb.podsymptoms import pod_findings
from veza_nb.replicasets import live_since
from veza_nb.revisions import History
from veza_nb.rollout import RolloutState
from veza_nb.samples import Probe
from veza_nb.scene import Scene
from veza_nb.symptoms import deployment_findings, event_findings, probe_findings
from veza_nb.usagefindings import usage_findings
from veza_nb.vocabulary import Decision, RolloutPhase, Severity
from veza_nb.weighing import BESIDE, weigh
from veza_nb.words import count

__all__ = ["Diagnosis", "Evidence", "Finding", "decide", "find"]

_WORST_FIRST = tuple(Severity)
_ARGUED = 5
_DOUBTFUL = ("Probe", "PodsNotSeen", "MetricBad")


@dataclass(frozen=True, slots=True)
class Diagnosis:
    """All findings and the answer.

    Attributes:
        findings: worst first.
        decision: roll back, do not, or unclear.
        argument: why, step by step, for a person.
        events: what happened, by reason, newest last.
        template_hash: of the template that it is about; "" where that is not known.
    """

    findings: tuple[Finding, ...]
    decision: Decision
    argument: tuple[str, ...]
    events: tuple[EventGroup, ...] = ()
    template_hash: str = ""


def find(
    workload: Workload,
    rollout: RolloutState,
    probes: Sequence[Probe],
    logs: Sequence[PodLog] = (),
    monitored: Monitored = UNMONITORED,
    *,
    beside: Neighbourhood = NOBODY_LOOKED,
    now: datetime,
) -> tuple[Finding, ...]:
    """Everything that is wrong, worst first; of equals, the release's doing first.

    Args:
        workload: what was seen.
        rollout: `read_rollout` of the same look.
        probes: what the endpoints answered; empty where nobody asked.
        logs: the ends of some pods' logs; empty where nobody read any.
        monitored: what the service's monitoring says.
        beside: what stands beside the service.
        now: when that was; tells fresh events and restarts from old ones.
    """
    signs = noticed(workload, logs, monitored)
    scene = Scene.of(workload, rollout, now, beside, signs)
    found = [
        *pod_findings(scene, logs),
        *deployment_findings(scene),
        *probe_findings(scene, probes),
        *event_findings(scene),
        *log_findings(scene, logs),
        *monitor_findings(scene, monitored),
        *usage_findings(scene),
        *neighbour_findings(scene),
    ]
    found.sort(key=lambda f: (_WORST_FIRST.index(f.severity), f.from_release is not True))
    return tuple(found)


def noticed(
    workload: Workload, logs: Sequence[PodLog], monitored: Monitored
) -> tuple[datetime, ...]:
    """When others than the pods noticed that something is wrong."""
    return (*monitor_signs(monitored, live_since(workload)), *log_signs(logs))


def decide(
    findings: Sequence[Finding],
    rollout: RolloutState,
    history: History,
    probes: Sequence[Probe],
    onset: Onset = NEVER,
) -> Diagnosis:
    """Whether a rollback would cure what was found. Missing data never makes a "do not".

    Args:
        findings: of `find`.
        rollout: of the same look.
        history: what there is to go back to.
        probes: what the endpoints answered.
        onset: when it began.
    """
    critical = [finding for finding in findings if finding.severity is Severity.CRITICAL]
    answer = weigh(findings, rollout, history) if critical else None
    decision, why = answer or _nothing_critical(findings, rollout, probes)
    own = [finding.summary for finding in critical if finding.reason not in BESIDE]
    argument = (
        _standing(rollout),
        *([onset.told] if onset.told and critical else []),
        *own[:_ARGUED],
        _asked(probes),
        *why,
        f"So: {decision}.",
    )
    return Diagnosis(tuple(findings), decision, argument, template_hash=rollout.template_hash)


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


def _nothing_critical(
    findings: Sequence[Finding], rollout: RolloutState, probes: Sequence[Probe]
) -> tuple[Decision, tuple[str, ...]]:
    warnings = [one for one in findings if one.severity is not Severity.INFO]
    doubts = [f.summary for f in warnings if f.reason.startswith(_DOUBTFUL)]
    if doubts:
        return Decision.UNCLEAR, (*doubts, "Look again: this is not enough to decide on.")
    if not any(probe.samples for probe in probes):
        return Decision.UNCLEAR, ("The pods show nothing wrong, but that alone proves nothing.",)
    said = tuple(finding.summary for finding in warnings[:_ARGUED])
    mixed = rollout.available < rollout.desired or rollout.old_ready
    if rollout.phase is RolloutPhase.PROGRESSING and mixed:
        return Decision.UNCLEAR, (*said, "The rollout is still going on: wait and look again.")
    return Decision.DO_NOT, (*said, "Nothing was found that a rollback would cure.")
