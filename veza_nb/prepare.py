"""Plan: what would be done, checked by the server, changing nothing."""

from collections.abc import Sequence
from dataclasses import replace

from veza_nb.catalog import Service
from veza_nb.cluster import Cluster, Permission
from veza_nb.errors import NotFoundError, RefusedError
from veza_nb.findings import Diagnosis
from veza_nb.plans import Guard, Plan, Refusal, make_plan
from veza_nb.podtemplates import template_digest
from veza_nb.revisions import History, read_history
from veza_nb.vocabulary import Level

NEEDED = (
    Permission("get", "apps", "deployments"),
    Permission("patch", "apps", "deployments"),
    Permission("list", "apps", "replicasets"),
    Permission("list", "", "pods"),
    Permission("get", "coordination.k8s.io", "leases"),
    Permission("create", "coordination.k8s.io", "leases"),
    Permission("update", "coordination.k8s.io", "leases"),
)
"""What a run needs at least; asked before anything is changed."""


def prepare(
    cluster: Cluster,
    service: Service,
    diagnosis: Diagnosis,
    *,
    name: str,
    incident: str,
    reason: str,
    operator: str,
    to_revision: int | None,
    pinned: str = "",
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
        to_revision: None or 0 takes the recommended one.
        pinned: digest of the template that this incident has already sent; it is the target
            then, whatever number it has by now.
        denied: rights of `NEEDED` that are missing: they block the plan.
    """
    workload = cluster.workload(service.workload, service.selector)
    history = read_history(workload, now=cluster.clock.now())
    plan = make_plan(
        workload,
        history,
        diagnosis,
        service=name,
        incident=incident,
        reason=reason,
        operator=operator,
        to_revision=_number_of(history, pinned) or to_revision,
        denied=[str(permission) for permission in denied],
    )
    if isinstance(plan, Refusal) or plan.noop or denied:
        return plan
    return _dry_run(cluster, plan)


def _number_of(history: History, digest: str) -> int:
    """Today's number of the revision with that template, 0 where it is gone or none is pinned."""
    same = (one.number for one in history.revisions if template_digest(one.template) == digest)
    return next(same, 0) if digest else 0


def _dry_run(cluster: Cluster, plan: Plan) -> Plan:
    try:
        cluster.patch_deployment(plan.workload, plan.patch, dry_run=True)
    except (RefusedError, NotFoundError) as error:
        guard = Guard(
            name="dry-run",
            level=Level.BLOCK,
            summary=f"The API server refuses this patch: {error.what}",
            remedy=error.next_step,
        )
    else:
        guard = Guard(
            name="dry-run",
            level=Level.INFO,
            summary="The API server accepts this patch (server-side dry run; nothing kept).",
            remedy="",
        )
    return replace(plan, guards=(*plan.guards, guard))
