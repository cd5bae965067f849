"""Has the tool that owns the workload left the undo alone?

A verdict given before it came by is about nothing: Argo CD looks within seconds, Flux at its
interval. What brings the bad release back withdraws the verdict.
"""

from collections.abc import Sequence

from veza_nb.catalog import GitOps
from veza_nb.checks import Check
from veza_nb.gitops import SELF_HEAL_SECONDS, Reconciler
from veza_nb.managers import ARGO_CD
from veza_nb.objects import Deployment
from veza_nb.plans import Plan, in_effect
from veza_nb.vocabulary import Verdict
from veza_nb.words import clock_time
from veza_nb.writers import template_writer


def heal_seconds(seen: Reconciler, settings: GitOps) -> float | None:
    """How long after an undo it has surely come by; 0 where it does not, None where unknown."""
    if not seen.exists or (not seen.unseen and (seen.paused or not seen.heals)):
        return 0.0
    if settings.heal_seconds:
        return settings.heal_seconds
    if seen.unseen:
        return SELF_HEAL_SECONDS if seen.tool == ARGO_CD else None
    return seen.interval


def seconds_to_wait(reconcilers: Sequence[Reconciler], settings: GitOps) -> float:
    """How long verification waits for them."""
    known = (heal_seconds(one, settings) or 0.0 for one in reconcilers)
    return min(max(known, default=0.0), settings.wait_seconds)


def heal_checks(
    reconcilers: Sequence[Reconciler],
    live: Deployment,
    plan: Plan,
    *,
    waited: float,
    settings: GitOps,
) -> tuple[Check, ...]:
    """One check for each of them that is there.

    Args:
        reconcilers: as they were seen after the undo.
        live: the workload at the end.
        plan: what was to become live.
        waited: seconds it was watched for.
        settings: of the catalogue.
    """
    stays = in_effect(live, plan)
    return tuple(
        _check(one, live, stays=stays, waited=waited, settings=settings)
        for one in reconcilers
        if one.exists
    )


def _check(
    seen: Reconciler, live: Deployment, *, stays: bool, waited: float, settings: GitOps
) -> Check:
    unread = (f"its {seen.handle} cannot be read: {seen.unseen}",) if seen.unseen else ()
    verdict, line = _judged(seen, waited, settings) if stays else _taken_back(live)
    return Check(
        f"not-taken-back-{seen.tool.lower().replace(' ', '-')}",
        f"{seen.tool} does not take it back",
        verdict,
        (line, *unread),
    )


def _taken_back(live: Deployment) -> tuple[Verdict, str]:
    writer = template_writer(live.metadata)
    who = f" by {writer.manager} at {clock_time(writer.time)}" if writer and writer.time else ""
    return Verdict.FAIL, f"the template was written again{who}: the undo was taken back"


def _judged(seen: Reconciler, waited: float, settings: GitOps) -> tuple[Verdict, str]:
    """What it means that the planned template is still there."""
    due = heal_seconds(seen, settings)
    if due is None:
        why = "how often it comes by is not known (`gitops.heal_seconds` in the catalogue says it)"
        return Verdict.INCONCLUSIVE, why
    if not due:
        who = f"by incident {seen.paused_by}" if seen.paused_by else "now"
        calm = f"is paused {who}" if seen.paused else "corrects nothing by itself as it is set"
        return Verdict.PASS, f"its {seen.handle} {calm}"
    if waited >= due:
        return Verdict.PASS, f"still there after {waited:.0f} s; it comes by within {due:.0f} s"
    return Verdict.INCONCLUSIVE, (
        f"still there after {waited:.0f} s, but it comes by only every {due:.0f} s: look again "
        f"then, or pause {seen.handle}"
    )
