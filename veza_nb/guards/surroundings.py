"""Guards about what stands around the workload: what the target needs, and what limits it."""

from collections.abc import Iterator

from veza_nb.guards.case import Case, Guard
from veza_nb.references import pull_secrets
from veza_nb.surroundings import Referred
from veza_nb.vocabulary import Level
from veza_nb.words import clock_time, count, listing, one_line, utc

_CLUSTER_WIDE = frozenset({"priorityclass"})


def locked(case: Case) -> Iterator[Guard]:
    """Somebody else is at work."""
    if not case.around.locked or case.noop:
        return
    why = one_line(case.order.force_lock)
    if why:
        what = f"{case.around.locked} You take the lock from them: {why}."
        told = "Their run stops before its next change. Tell them."
        yield Guard("locked", Level.WARN, what, told)
        return
    yield Guard("locked", Level.BLOCK, case.around.locked, case.around.unlock)


def missing(case: Case) -> Iterator[Guard]:
    """Objects that the target's pods need and that are not there."""
    gone = [one.reference for one in case.around.referred if not one.exists]
    needed = [one for one in gone if not one.optional]
    if case.noop:
        return
    if needed:
        yield Guard(
            "reference-missing",
            Level.WARN if case.named else Level.BLOCK,
            f"Revision {case.target.number} needs {listing(map(str, needed), limit=9)}, which does "
            "not exist: its pods cannot start.",
            f"Make it again first (`{_get(case, str(needed[0]))}` shows whether it is there), or "
            "take another revision.",
        )
    secrets = pull_secrets(case.target.template)
    unpullable = [one for one in gone if one in secrets]
    if unpullable:
        yield Guard(
            "pull-secret-missing",
            Level.WARN,
            f"{listing(map(str, unpullable), limit=9)}, with which revision {case.target.number} "
            "pulls its images, does not exist: a private image comes only from a node that has it.",
            f"Make it again first; `{_get(case, str(unpullable[0]))}` shows whether it is there.",
        )
    optional = [one for one in gone if one.optional and one not in secrets]
    if optional:
        yield Guard(
            "optional-reference-missing",
            Level.INFO,
            f"{listing(map(str, optional), limit=9)} does not exist; the target starts without.",
            "",
        )


def changed_content(case: Case) -> Iterator[Guard]:
    """ConfigMaps and Secrets that the target has never met as they are now."""
    left = case.target.left_at
    if left is None or case.noop:
        return
    newer = [one for one in case.around.referred if one.changed_at and utc(one.changed_at) > left]
    if newer:
        yield Guard(
            "content-changed",
            Level.WARN,
            f"Changed after revision {case.target.number} was last in service: "
            f"{listing(map(_changed, newer), limit=9)}.",
            "An undo does not bring their content back: make sure that the older program can read "
            f"it; see `{_get(case, str(newer[0].reference))} -o yaml --show-managed-fields`.",
        )


def shortages(case: Case) -> Iterator[Guard]:
    """Quotas without room for the pods that a rollout adds."""
    if case.noop:
        return
    for one in case.around.shortages:
        yield Guard(
            "quota",
            Level.WARN,
            f"The rollout adds {count(one.pods, 'pod')} at its peak and needs {one.needed} of "
            f"{one.resource}; the quota {one.quota} leaves {one.left}.",
            "It may be slow or get stuck. Raise the quota, or let the rollout take pods away first "
            f"(maxUnavailable); see `{case.kubectl('describe', 'quota', one.quota)}`.",
        )


def autoscalers(case: Case) -> Iterator[Guard]:
    """What else sets the replicas."""
    if case.order.migrate_down and not case.noop:
        return  # `databases` says what becomes of it
    for one in case.around.autoscalers:
        off = case.deployment.spec.replicas == 0 and not one.owner
        owner = f"{one.owner} ({one.name})" if one.owner else f"The autoscaler {one.name}"
        yield Guard(
            "autoscaler",
            Level.WARN if off else Level.INFO,
            f"{owner} is switched off while the {case.deployment.kind} is scaled to 0."
            if off
            else f"{owner} keeps {one.minimum} to {one.maximum} replicas: they may change.",
            f"Bring the replicas back by hand, then it takes over: `{_scale(case, one.minimum)}`."
            if off
            else "",
        )


def unseen(case: Case) -> Iterator[Guard]:
    """What was not looked at, said aloud."""
    if case.around.unseen:
        yield Guard(
            "not-seen",
            Level.INFO,
            f"Not looked at: {listing(case.around.unseen, limit=9)}.",
            "With the right to read them this plan could say more.",
        )


def _changed(one: Referred) -> str:
    at = f" ({clock_time(one.changed_at)})" if one.changed_at else ""
    return f"{one.reference}{at}"


def _get(case: Case, name: str) -> str:
    wide = name.partition("/")[0] in _CLUSTER_WIDE
    return f"kubectl get {name}" if wide else case.kubectl("get", name)


def _scale(case: Case, replicas: int) -> str:
    return case.kubectl("scale", case.deployment.ref, f"--replicas={replicas}")
