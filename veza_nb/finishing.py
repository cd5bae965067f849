"""The end of an incident: its outcome, marks for the next operator, the sealed record."""

from veza_nb import display, render
from veza_nb.checklist import Verification
from veza_nb.errors import VezaError
from veza_nb.opening import Opened
from veza_nb.outcomes import left_to_do, outcome_of
from veza_nb.pauses import left_paused
from veza_nb.plans import Plan, in_effect
from veza_nb.podtemplates import template_digest
from veza_nb.remember import remarks, remember
from veza_nb.report import postmortem
from veza_nb.retelling import retell
from veza_nb.vocabulary import JournalEvent, Outcome, Step, Verdict

PICTURE = "timeline.svg"


def finish(opened: Opened, plan: Plan | None, verification: Verification | None) -> Outcome:
    """Write down how it ended, and show it.

    Args:
        opened: the incident.
        plan: the newest one; None where there is none.
        verification: after the last change; None where there was none.
    """
    logbook, verdict = opened.logbook, verification.verdict if verification else None
    still_live = verdict is not Verdict.PASS or _still_live(opened, plan)
    outcome = outcome_of(verdict, changed=logbook.changed, still_live=still_live)
    logbook.journal.append(Step.CLOSE, JournalEvent.DONE, {"outcome": outcome})
    remedies = verification.remedies if verification else ()
    todo = left_to_do(plan, changed=logbook.changed, remedies=remedies)
    todo = (*logbook.left, *todo)
    todo += left_paused(logbook.journal.lines, logbook.record.incident_id)
    if outcome is Outcome.RECOVERED and logbook.changed and plan is not None:
        live, now = template_digest(plan.template), opened.cluster.clock.now()
        marks = remarks(logbook.record, logbook.journal.lines, live, now)
        todo += remember(opened.cluster, logbook.journal, marks)
    logbook.close(outcome, opened.cluster.clock.now(), left_to_do=todo)
    _seal(opened)
    return outcome


def _seal(opened: Opened) -> None:
    logbook, picture = opened.logbook, {}
    told = retell(logbook, opened.service, opened.catalog.monitoring)
    if told is not None:
        logbook.folder.write_text(PICTURE, render.document(told))
        display.show(render.course(told))
        picture = {"picture": PICTURE, "told": render.described(told)}
    draft = postmortem(logbook.record, logbook.journal.lines, **picture)
    logbook.folder.write_text("postmortem.md", draft)
    logbook.folder.seal()
    display.show(render.closing(logbook.record, str(logbook.folder.path)))


def _still_live(opened: Opened, plan: Plan | None) -> bool:
    """Whether what was verified is still what runs: a verdict is about one template."""
    if plan is None:
        return False
    try:
        live = opened.cluster.deployment(plan.workload)
    except VezaError:
        return True  # not asked is not denied: the verdict was about the moment it was made
    return in_effect(live, plan)
