"""Guards about the workload, the diagnosis and the target themselves."""

from collections.abc import Iterator

from veza_nb.guards.case import Case, Guard
from veza_nb.podtemplates import images
from veza_nb.revisions import Standing
from veza_nb.vocabulary import Decision, Level, WorkloadKind
from veza_nb.words import listing, one_line


def permissions(case: Case) -> Iterator[Guard]:
    """Rights that the run will need and this user does not have."""
    if case.denied:
        verb, _, resource = case.denied[0].partition(" ")
        yield Guard(
            "permissions",
            Level.BLOCK,
            f"You may not: {listing(case.denied, limit=9)}.",
            f"Ask for these rights; check with `{case.kubectl('auth', 'can-i', verb, resource)}`.",
        )


def paused(case: Case) -> Iterator[Guard]:
    """A paused Deployment rolls nothing out."""
    if case.deployment.spec.paused:
        resume = case.kubectl("rollout", "resume", case.deployment.ref)
        yield Guard(
            "paused",
            Level.WARN if case.noop else Level.BLOCK,
            "The Deployment is paused: an undo would change the template and roll out nothing.",
            f"Find out who paused it and why, then `{resume}`, and plan again.",
        )


def already_there(case: Case) -> Iterator[Guard]:
    """The target is live: nothing is to be done."""
    if case.noop:
        yield Guard(
            "already-at-target",
            Level.INFO,
            f"The live template already is revision {case.target.number}: nothing is to be done.",
            "Go on to verification. If it is still broken, the cause is not the template.",
        )


def diagnosis(case: Case) -> Iterator[Guard]:
    """Detection does not say that a rollback cures this."""
    decision = case.diagnosis.decision
    if decision is Decision.ROLL_BACK or case.noop:
        return
    unclear = decision is Decision.UNCLEAR
    yield Guard(
        "diagnosis",
        # Unclear is no yes: without this a second run would wander one revision further back.
        Level.WARN if case.named else Level.BLOCK,
        "Detection does not tell whether a rollback cures this."
        if unclear
        else "Detection found nothing that a rollback would cure.",
        "You named the revision yourself: approve only if you know better."
        if case.named
        else f"If you know better, name the revision: to_revision={case.target.number}.",
    )


def target(case: Case) -> Iterator[Guard]:
    """What is known against the target."""
    target = case.target
    why = "; ".join(target.reasons)
    if target.standing is Standing.BAD:
        yield Guard(
            "target-bad",
            Level.WARN if case.named else Level.BLOCK,
            f"Revision {target.number} is known to be bad: {why}.",
            "Take another revision from the history.",
        )
    elif target.standing is Standing.UNKNOWN:
        yield Guard(
            "target-unproven",
            Level.WARN,
            f"Nothing proves that revision {target.number} works: {why}.",
            "Ask whoever released it, or compare its images with what ran well last.",
        )


def effect(case: Case) -> Iterator[Guard]:
    """What the undo will do to the service while it works, or not do at all."""
    spec, kind = case.deployment.spec, case.deployment.kind
    if case.noop:
        return
    if images(spec.template) == images(case.target.template):
        yield Guard(
            "images-unchanged",
            Level.WARN,
            f"Revision {case.target.number} runs the same images as now: no code goes back.",
            "Look at the changes: if none of them can be the cause, choose another revision.",
        )
    if spec.replicas == 0 and kind is WorkloadKind.DAEMON_SET:
        yield Guard(
            "no-node",
            Level.WARN,
            "No node is to run this DaemonSet now; whether one will is up to the target.",
            f"Compare nodeSelector, affinity and tolerations: `{case.kubectl('get', 'nodes')}`.",
        )
    elif spec.replicas == 0:
        scale = case.kubectl("scale", case.deployment.ref, "--replicas=N")
        yield Guard(
            "scaled-to-zero",
            Level.WARN,
            f"The {kind} is scaled to 0 and an undo keeps that: nothing will serve.",
            f"Bring the replicas back: `{scale}`.",
        )
    elif spec.strategy.type == "Recreate":
        yield Guard(
            "recreate",
            Level.WARN,
            "The strategy is Recreate: all pods stop before the first one of the target starts.",
            "Expect a short outage, also of what still serves.",
        )


def frozen(case: Case) -> Iterator[Guard]:
    """Changes are not wanted now."""
    if not case.order.freeze or case.noop:
        return
    why = one_line(case.order.break_glass)
    if why:
        yield Guard(
            "change-freeze",
            Level.WARN,
            f"Changes are frozen ({case.order.freeze}); you break that: {why}.",
            "The reason is recorded. Tell whoever declared the freeze.",
        )
        return
    yield Guard(
        "change-freeze",
        Level.BLOCK,
        f"Changes are frozen now: {case.order.freeze}.",
        "If this cannot wait, plan again with a reason: break_glass (--break-glass REASON).",
    )
