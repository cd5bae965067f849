"""Plan: what would be done, checked by the server, changing nothing."""

from collections.abc import Sequence
from dataclasses import replace

from veza_nb.attempts import Attempt, Effect
from veza_nb.catalog import Service
from veza_nb.cluster import Cluster, Permission
from veza_nb.errors import NotFoundError, RefusedError
from veza_nb.findings import Diagnosis
from veza_nb.locks import lease_name
from veza_nb.objects import Workload
from veza_nb.plans import Guard, Plan, Refusal, make_plan
from veza_nb.podtemplates import same_template, template_digest, without_hash
from veza_nb.revisions import History, read_history
from veza_nb.vocabulary import Level

NEEDED = (
    Permission("get", "apps", "deployments"),
    Permission("list", "apps", "deployments"),
    Permission("patch", "apps", "deployments"),
    Permission("list", "apps", "replicasets"),
    Permission("list", "", "pods"),
    Permission("get", "coordination.k8s.io", "leases"),
    Permission("create", "coordination.k8s.io", "leases"),
    Permission("update", "coordination.k8s.io", "leases"),
)
"""What a run needs at least; asked before anything is changed."""
_BY_NAME = frozenset({"get", "patch", "update"})
"""Verbs that a role may allow for one object only."""


def needed(workload: str) -> tuple[Permission, ...]:
    """`NEEDED`, asked for the very objects that will be touched, as a role may name them."""
    names = {"deployments": workload, "leases": lease_name(workload)}
    return tuple(
        replace(one, name=names[one.resource])
        if one.verb in _BY_NAME and one.resource in names
        else one
        for one in NEEDED
    )


def prepare(
    cluster: Cluster,
    service: Service,
    diagnosis: Diagnosis,
    *,
    name: str,
    incident: str,
    reason: str,
    operator: str,
    to_revision: int = 0,
    earlier: Attempt | None = None,
    denied: Sequence[Permission] = (),
) -> Plan | Refusal:
    """Make the plan and let the server check it (dry run); nothing is changed.

    Args:
        cluster: where.
        service: which.
        diagnosis: of this incident.
        name: the service's name in the catalogue.
        incident: id, kept in the change cause.
        reason: kept in the change cause.
        operator: kept in the change cause.
        to_revision: the number that the operator named; 0 takes the recommended one.
        earlier: what this incident sent before, in effect or perhaps: its template is the
            target then, whatever number it has by now.
        denied: rights of `NEEDED` that are missing: they block the plan.
    """
    workload = cluster.workload(service.workload, service.selector)
    if earlier is not None and _overtaken(workload, earlier):
        return _begin_again(earlier)
    history = read_history(workload, now=cluster.clock.now())
    plan = make_plan(
        workload,
        history,
        diagnosis,
        service=name,
        incident=incident,
        reason=reason,
        operator=operator,
        to_revision=to_revision,
        pinned=_number_of(history, earlier.digest) if earlier else 0,
        denied=[str(permission) for permission in denied],
    )
    if isinstance(plan, Refusal) or plan.noop or denied:
        return plan
    return _dry_run(cluster, plan)


def _overtaken(workload: Workload, earlier: Attempt) -> bool:
    """Whether somebody changed the Deployment after this incident's undo was in effect."""
    live = workload.deployment
    same = template_digest(live.spec.template) == earlier.digest
    same = same and live.metadata.uid == earlier.uid
    return earlier.effect is Effect.DONE and not same


def _begin_again(earlier: Attempt) -> Refusal:
    return Refusal(
        what=f"This incident's undo of {earlier.at} took effect, and the Deployment was changed "
        "again since.",
        next_step="That is another story: begin a new incident (leave the incident's id empty).",
        guards=(),
    )


def _number_of(history: History, digest: str) -> int:
    """Today's number of the revision with that template, 0 where it is gone."""
    same = (one.number for one in history.revisions if template_digest(one.template) == digest)
    return next(same, 0)


def _dry_run(cluster: Cluster, plan: Plan) -> Plan:
    try:
        answer = cluster.patch_deployment(plan.workload, plan.patch, dry_run=True)
    except (RefusedError, NotFoundError) as error:
        what = f"The API server refuses this patch: {error.what}"
        return _with(plan, Guard("dry-run", Level.BLOCK, what, error.next_step))
    made = without_hash(answer.spec.template)
    if not same_template(made, plan.template):
        # What becomes live is what the server makes of it: that is what to look for later.
        what = "Something in the cluster changes this template on its way in (a webhook?)."
        guard = Guard("dry-run", Level.WARN, what, "Look at the changes above with that in mind.")
        return _with(replace(plan, template=made), guard)
    what = "The API server accepts this patch (server-side dry run; nothing kept)."
    return _with(plan, Guard("dry-run", Level.INFO, what, ""))


def _with(plan: Plan, guard: Guard) -> Plan:
    return replace(plan, guards=(*plan.guards, guard))
