"""Guards about tools that own the workload, and about pausing them."""

from collections.abc import Iterator
from datetime import timedelta

from veza_nb.gitops import Reconciler, pause_of, resume_command
from veza_nb.guards.case import Case, Guard
from veza_nb.managers import ARGO_CD, FLUX, HELM, Owner, owners_of, show_command
from veza_nb.vocabulary import Level
from veza_nb.words import span

_GIT_FIRST = (
    "Correct Git first: as long as it holds the bad release, resuming brings that back. Then "
)


def managed(case: Case) -> Iterator[Guard]:
    """A tool manages the workload and sets it again by itself, or at its next deployment."""
    for owner in owners_of(case.deployment.metadata, case.around.argocd_namespace):
        seen = _seen(case, owner)
        if seen is not None and seen.paused_by and seen.paused:
            yield _paused_by_kit(owner, seen)
            continue
        calm = seen is not None and (not seen.exists or seen.paused or seen.will_pause)
        yield Guard(
            f"managed-by-{_slug(owner)}",
            Level.INFO if calm else Level.WARN,
            f"{owner.tool} manages this {case.deployment.kind} ({owner.sign}): "
            f"{_effect(owner, seen)}.",
            f"{_remedy(owner, seen)} See for yourself: `{show_command(case.deployment)}`.".strip(),
        )


def pauses(case: Case) -> Iterator[Guard]:
    """What the undo pauses first, and what keeps it from doing so."""
    if case.noop:
        return
    for seen in case.around.reconcilers:
        if seen.may_pause is None or not seen.exists:
            continue
        if seen.unseen:
            yield _cannot(case, seen, f"it cannot be read ({seen.unseen})")
        elif seen.heals and not seen.paused and not seen.may_pause:
            yield _cannot(case, seen, f"you may not patch {seen.handle.resource}")
        elif seen.will_pause:
            yield _will_pause(case, seen)


def _will_pause(case: Case, seen: Reconciler) -> Guard:
    pause = pause_of(seen, incident=case.order.incident, operator=case.order.operator)
    above = (
        f" {seen.parent[0].upper()}{seen.parent[1:]} manages it in turn and may switch it on again."
        if seen.parent
        else ""
    )
    return Guard(
        f"pauses-{_slug(seen)}",
        Level.WARN,
        f"{seen.tool}'s {seen.handle} is paused before the undo, as the catalogue allows, and "
        f"stays paused.{above}",
        f"{_GIT_FIRST}`{pause.resume}`. By hand: pause with `{pause.command}`, resume with "
        f"`{pause.by_hand}`.",
    )


def _cannot(case: Case, seen: Reconciler, why: str) -> Guard:
    return Guard(
        "gitops-pause",
        Level.BLOCK,
        f"The catalogue asks to pause {seen.tool}'s {seen.handle} before an undo, and {why}: "
        "it would take the undo back.",
        "Ask for the right (`veza-nb rbac` prints it), or pause it by hand and plan again: "
        f"{_by_hand(case, seen)}",
    )


def _by_hand(case: Case, seen: Reconciler) -> str:
    owners = owners_of(case.deployment.metadata, case.around.argocd_namespace)
    same = (one for one in owners if one.handle and one.handle.key == seen.handle.key)
    return next((one.remedy for one in same), "")


def _paused_by_kit(owner: Owner, seen: Reconciler) -> Guard:
    return Guard(
        f"managed-by-{_slug(owner)}",
        Level.WARN,
        f"{owner.tool}'s {seen.handle} is paused by incident {seen.paused_by}: it takes nothing "
        "back, and deploys nothing either, until somebody resumes it.",
        f"{_GIT_FIRST}`{resume_command(seen.paused_by)}`.",
    )


def _seen(case: Case, owner: Owner) -> Reconciler | None:
    key = owner.handle.key if owner.handle else None
    return next((one for one in case.around.reconcilers if one.handle.key == key), None)


def _effect(owner: Owner, seen: Reconciler | None) -> str:
    """What it will do, as far as its object says."""
    if seen is None or seen.unseen:
        return owner.effect
    if seen.exists and seen.heals and not seen.paused:
        return _healing(owner, seen)
    if not seen.exists:
        return f"but its {seen.handle} is not there (any more)"
    if seen.paused:
        return f"its {seen.handle} is paused now and takes nothing back by itself"
    deploys = "its next deployment brings the bad release back"
    return f"it corrects nothing by itself as it is set, but {deploys}"


def _healing(owner: Owner, seen: Reconciler) -> str:
    if seen.will_pause:
        return "it would take the undo back, and is paused first"
    if seen.tool == FLUX and seen.interval is not None:
        often = span(timedelta(seconds=seen.interval))
        return f"it comes by every {often} and brings the bad release back"
    return owner.effect


def _remedy(owner: Owner, seen: Reconciler | None) -> str:
    if seen is None or seen.unseen:
        return owner.remedy
    if not seen.exists or seen.will_pause:
        return ""
    if seen.paused or not seen.heals:
        return "Correct Git before its next deployment."
    return owner.remedy


def _slug(one: Owner | Reconciler) -> str:
    known = one.tool in (ARGO_CD, FLUX, HELM)
    return one.tool.lower().replace(" ", "-") if known else "operator"
