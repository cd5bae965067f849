"""Plan: what would be done, checked by the server, changing nothing."""

from collections.abc import Collection, Sequence
from dataclasses import replace
from functools import partial

from veza_nb.attempts import Attempt, Effect
from veza_nb.catalog import GitOps, Service
from veza_nb.cluster import Cluster, look_around
from veza_nb.cluster.client import concurrently
from veza_nb.errors import ForbiddenError, NotFoundError, RefusedError
from veza_nb.findings import Diagnosis
from veza_nb.locks import Lock, lease_name
from veza_nb.objects import PodTemplate, Workload
from veza_nb.orders import Order
from veza_nb.permissions import Permission, needed_for
from veza_nb.plans import Guard, Plan, Refusal, make_plan
from veza_nb.podtemplates import same_template, template_digest, without_hash
from veza_nb.revisions import History, left_behind, read_history
from veza_nb.schemagates import Gate, gate, needed_schema
from veza_nb.schemareading import read_schema
from veza_nb.vocabulary import Level, WorkloadKind

_BY_NAME = frozenset({"get", "patch", "update"})
"""Verbs that a role may allow for one object only."""


def needed(workload: str, kind: WorkloadKind) -> tuple[Permission, ...]:
    """`needed_for`, asked for the very objects that will be touched, as a role may name them."""
    names = {kind.resource: workload, "leases": lease_name(workload, kind)}
    return tuple(
        replace(one, name=names[one.resource])
        if one.verb in _BY_NAME and one.resource in names
        else one
        for one in needed_for(kind)
    )


def prepare(
    cluster: Cluster,
    service: Service,
    diagnosis: Diagnosis,
    order: Order,
    *,
    lock: Lock,
    earlier: Attempt | None = None,
    denied: Sequence[Permission] = (),
    tried: Collection[str] = (),
) -> Plan | Refusal:
    """Make the plan and let the server check it (dry run); nothing is changed.

    Args:
        cluster: where.
        service: which.
        diagnosis: of this incident.
        order: what is asked for.
        lock: the workload's: who else holds it speaks against the plan.
        earlier: what this incident sent before, in effect or perhaps: its template is the
            target then, whatever number it has by now.
        denied: rights of `needed` that are missing: they block the plan.
        tried: digests of templates that this incident has left behind: no target any more.
    """
    workload = cluster.workload(service.workload, service.selector)
    if earlier is not None and _overtaken(workload, earlier):
        return _begin_again(earlier, workload.deployment.kind)
    history = read_history(workload, now=cluster.now())
    if tried:
        history = left_behind(history, tried, "tried in this incident, and left behind")
    make = partial(
        make_plan,
        workload,
        history,
        diagnosis,
        order,
        pinned=_number_of(history, earlier.digest) if earlier else 0,
        denied=[str(permission) for permission in denied],
    )
    draft = make()
    if isinstance(draft, Refusal) or draft.noop:
        return draft
    # Side by side: whoever waits for this plan has production down.
    check = partial(_checked, cluster, draft) if not denied else lambda: (draft.template, ())
    around, schema, other, (template, checked) = concurrently(
        lambda: look_around(cluster, workload, draft.template, service.gitops or GitOps()),
        lambda: _schema_gate(cluster, service, draft.template),
        partial(_other, lock),
        check,
    )
    around = replace(around, schema=schema)
    if other is not None:
        around = replace(around, locked=other.what, unlock=other.next_step)
    plan = make(around=around)
    if isinstance(plan, Refusal):
        return plan
    return replace(plan, template=template, guards=(*plan.guards, *checked))


def _schema_gate(cluster: Cluster, service: Service, template: PodTemplate) -> Gate | None:
    """Whether the target can work with the database, where the catalogue says how to know."""
    seen = read_schema(cluster, service)
    if service.schema is None or seen is None:
        return None
    return gate(needed_schema(template, service.schema.needs), seen)


def _other(lock: Lock) -> RefusedError | None:
    try:
        return lock.other()
    except ForbiddenError:
        return None  # the permissions say so


def _overtaken(workload: Workload, earlier: Attempt) -> bool:
    """Whether somebody changed the workload after this incident's undo was in effect."""
    live = workload.deployment
    same = template_digest(live.spec.template) == earlier.digest
    same = same and live.metadata.uid == earlier.uid
    return earlier.effect is Effect.DONE and not same


def _begin_again(earlier: Attempt, kind: WorkloadKind) -> Refusal:
    return Refusal(
        what=f"This incident's undo of {earlier.at} took effect, and the {kind} was changed "
        "again since.",
        next_step="That is another story: begin a new incident (leave the incident's id empty).",
        guards=(),
    )


def _number_of(history: History, digest: str) -> int:
    """Today's number of the revision with that template, 0 where it is gone."""
    same = (one.number for one in history.revisions if template_digest(one.template) == digest)
    return next(same, 0)


def _checked(cluster: Cluster, plan: Plan) -> tuple[PodTemplate, tuple[Guard, ...]]:
    """What the server would make of the template, and what it says to the patch."""
    try:
        answer = cluster.patch_workload(plan.workload, plan.patch, dry_run=True)
    except (RefusedError, NotFoundError) as error:
        what = f"The API server refuses this patch: {error.what}"
        return plan.template, (Guard("dry-run", Level.BLOCK, what, error.next_step),)
    made = without_hash(answer.spec.template)
    if not same_template(made, plan.template):
        # What becomes live is what the server makes of it: that is what to look for later.
        what = "Something in the cluster changes this template on its way in (a webhook?)."
        guard = Guard("dry-run", Level.WARN, what, "Look at the changes above with that in mind.")
        return made, (guard,)
    what = "The API server accepts this patch (server-side dry run; nothing kept)."
    return plan.template, (Guard("dry-run", Level.INFO, what, ""),)
