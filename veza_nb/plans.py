"""A plan to go back to a revision, with its guards and its patch, or a refusal."""

import json
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field
from hashlib import sha256

from veza_nb.choices import Choice, find_chosen, why_none
from veza_nb.evidence import kubectl
from veza_nb.findings import Diagnosis
from veza_nb.gitops import Pause, pause_of
from veza_nb.guards import Case, Guard, all_guards
from veza_nb.objects import Deployment, PodTemplate, Workload
from veza_nb.orders import Order
from veza_nb.podtemplates import (
    Change,
    images,
    same_template,
    template_changes,
    template_digest,
    without_hash,
)
from veza_nb.references import named_sources
from veza_nb.revisions import History, Revision, find_revision
from veza_nb.surroundings import NOTHING_SEEN, Surroundings
from veza_nb.vocabulary import Annotation, Level, WorkloadKind
from veza_nb.words import count, listing, one_line

__all__ = [
    "Change",
    "Guard",
    "Plan",
    "Refusal",
    "in_effect",
    "make_plan",
    "template_changes",
    "undo_patch",
]


_BREAKABLE = ("change-freeze", "locked")
"""Guards that block unless the operator says why not."""


@dataclass(frozen=True, slots=True)
class Plan:
    """What will be done, pinned by the target's template.

    Attributes:
        id: "p-" and 12 hex digits; the same plan has the same id.
        incident: id of the incident.
        service: name in the catalogue.
        namespace: of the workload.
        workload: its name.
        uid: its uid as planned: the patch tests it.
        generation: its generation as planned: the patch tests it.
        replicas: asked for when the plan was made.
        from_revision: number of the live template, 0 where it has none.
        to_revision: number of the target today.
        template: the target's raw pod template, without the hash label.
        template_hash: the target's hash label.
        images_before: container name to image, live.
        images_after: container name to image, target.
        changes: every difference between the live template and the target.
        guards: what speaks against it, blocks first.
        not_restored: what the undo will not bring back.
        command: kubectl command that does the same by hand.
        patch: the JSON patch with its preconditions.
        noop: the live template already is the target.
        reasons: why this target.
        from_replicaset: name of the live template's ReplicaSet (or ControllerRevision), ""
            where it has none.
        from_hash: its hash label.
        to_replicaset: name of the target's ReplicaSet (or ControllerRevision).
        asked: what the operator named, as it was typed; "" where nothing was.
        from_template: the live raw pod template, without the hash label.
        kind: of the workload.
        pauses: what is paused before the undo, so that it is not taken back.
        migrate_down: migrations of the database that are taken back before the undo.
    """

    id: str
    incident: str
    service: str
    namespace: str
    workload: str
    uid: str
    generation: int
    replicas: int
    from_revision: int
    to_revision: int
    template: PodTemplate
    template_hash: str
    images_before: Mapping[str, str]
    images_after: Mapping[str, str]
    changes: tuple[Change, ...]
    guards: tuple[Guard, ...]
    not_restored: tuple[str, ...]
    command: str
    patch: tuple[Mapping[str, object], ...]
    noop: bool
    reasons: tuple[str, ...]
    from_replicaset: str = ""
    from_hash: str = ""
    to_replicaset: str = ""
    asked: str = ""
    from_template: PodTemplate = field(default_factory=dict)
    kind: WorkloadKind = WorkloadKind.DEPLOYMENT
    pauses: tuple[Pause, ...] = ()
    migrate_down: int = 0

    @property
    def blockers(self) -> tuple[Guard, ...]:
        """Guards that stop this plan."""
        return tuple(guard for guard in self.guards if guard.level is Level.BLOCK)

    @property
    def broken(self) -> tuple[str, ...]:
        """Names of the guards that would block, were there no reason given to break them."""
        warned = {guard.name for guard in self.guards if guard.level is Level.WARN}
        return tuple(name for name in _BREAKABLE if name in warned)


@dataclass(frozen=True, slots=True)
class Refusal:
    """Why there is no plan.

    Attributes:
        what: the reason, one sentence.
        next_step: what to do now, one sentence.
        guards: those that were found on the way.
    """

    what: str
    next_step: str
    guards: tuple[Guard, ...]


def make_plan(
    workload: Workload,
    history: History,
    diagnosis: Diagnosis,
    order: Order,
    *,
    pinned: int = 0,
    denied: Sequence[str] = (),
    around: Surroundings = NOTHING_SEEN,
) -> Plan | Refusal:
    """The plan to go back, or why there is none.

    Args:
        workload: what is to go back, with what belongs to it.
        history: its history.
        diagnosis: what detection said.
        order: what is asked for, and by whom.
        pinned: number of the revision that this incident has sent already; it is the target
            then, but nobody named it.
        denied: permissions that are missing, e.g. "patch deployments".
        around: what stands around it.
    """
    choice = order.choice
    target = _target(history, choice, pinned)
    if target is None:
        return _refusal(workload, history, choice)
    deployment = workload.deployment
    metadata, spec = deployment.metadata, deployment.spec
    case = Case(workload, target, diagnosis, order, denied=denied, around=around)
    cause, pauses = _change_cause(target, order), () if case.noop else _pauses(order, around)
    return Plan(
        id=_plan_id(deployment, target, order, pauses),
        incident=order.incident,
        service=order.service,
        namespace=metadata.namespace,
        workload=metadata.name,
        uid=metadata.uid,
        generation=metadata.generation,
        replicas=spec.replicas,
        from_revision=history.current.number if history.current else 0,
        to_revision=target.number,
        template=target.template,
        template_hash=target.template_hash,
        images_before=images(spec.template),
        images_after=target.images,
        changes=template_changes(spec.template, target.template),
        guards=all_guards(case),
        not_restored=_not_restored(deployment, target, order.migrate_down),
        migrate_down=order.migrate_down,
        command=_undo_command(deployment, target.number),
        patch=() if case.noop else undo_patch(deployment, target.template, change_cause=cause),
        noop=case.noop,
        from_replicaset=history.current.replicaset if history.current else "",
        from_hash=history.current.template_hash if history.current else "",
        to_replicaset=target.replicaset,
        from_template=without_hash(spec.template),
        kind=deployment.kind,
        asked=choice.said,
        pauses=pauses,
        reasons=_named(target) if choice.named else history.reasons,
    )


def in_effect(live: Deployment, plan: Plan) -> bool:
    """Whether the plan's target is live: it is pinned by its template, not by a number."""
    return live.metadata.uid == plan.uid and same_template(live.spec.template, plan.template)


def undo_patch(
    deployment: Deployment, template: PodTemplate, *, change_cause: str
) -> tuple[Mapping[str, object], ...]:
    """The JSON patch of an undo: test uid and generation, replace the template, say why.

    The workload's other annotations stay, also those added since that revision.

    Args:
        deployment: as planned; another uid or generation makes the server refuse the patch.
        template: the target's raw pod template, without the hash label.
        change_cause: one line for `kubectl rollout history`.
    """
    metadata = deployment.metadata
    key = str(Annotation.CHANGE_CAUSE)
    said: Mapping[str, object] = (
        {"op": "add", "path": f"/metadata/annotations/{_pointer(key)}", "value": change_cause}
        if metadata.annotations
        else {"op": "add", "path": "/metadata/annotations", "value": {key: change_cause}}
    )
    return (
        {"op": "test", "path": "/metadata/uid", "value": metadata.uid},
        {"op": "test", "path": "/metadata/generation", "value": metadata.generation},
        {"op": "replace", "path": "/spec/template", "value": template},
        said,
    )


def _pointer(key: str) -> str:
    """A key as one part of a JSON pointer (RFC 6901)."""
    return key.replace("~", "~0").replace("/", "~1")


def _pauses(order: Order, around: Surroundings) -> tuple[Pause, ...]:
    return tuple(
        pause_of(one, incident=order.incident, operator=order.operator)
        for one in around.reconcilers
        if one.will_pause
    )


def _plan_id(
    deployment: Deployment, target: Revision, order: Order, pauses: Sequence[Pause]
) -> str:
    """The same workload, target and options make the same id: an approval names it."""
    metadata, choice, migrations = deployment.metadata, order.choice, order.migrate_down
    asked = [choice.to_revision, str(choice.as_of or ""), choice.image]
    parts = [metadata.uid, metadata.generation, template_digest(target.template), *asked]
    parts += [str(one.handle) for one in pauses]
    parts += [f"migrate down {migrations}"] * bool(migrations)
    parts += ["break glass"] * bool(order.break_glass.strip())
    parts += ["force lock"] * bool(order.force_lock.strip())
    return "p-" + sha256(json.dumps(parts).encode()).hexdigest()[:12]


def _change_cause(target: Revision, order: Order) -> str:
    who = f"rollback to revision {target.number} by {order.operator} (incident {order.incident})"
    return one_line(f"{who}: {order.reason}" if order.reason.strip() else who)


def _named(target: Revision) -> tuple[str, ...]:
    return (f"The operator named revision {target.number}: {'; '.join(target.reasons)}.",)


def _undo_command(deployment: Deployment, number: int) -> str:
    namespace = deployment.metadata.namespace
    return kubectl(namespace, "rollout", "undo", deployment.ref, f"--to-revision={number}")


def _not_restored(deployment: Deployment, target: Revision, migrations: int) -> tuple[str, ...]:
    """What going back to a pod template leaves as it is."""
    sources = named_sources(target.template)
    content = f": {listing(sources, limit=9)}" if sources else ""
    kind = deployment.kind
    kept = f"Replicas stay {deployment.spec.replicas}; strategy and limits of the {kind} stay."
    if kind is WorkloadKind.DAEMON_SET:
        kept = f"Nodes and their taints stay; update strategy and limits of the {kind} stay."
    return (
        kept,
        f"ConfigMaps, Secrets and volumes keep their content of today{content}.",
        f"Data that the {count(migrations, 'migration')} taken back drop is gone; only a backup "
        "brings it back."
        if migrations
        else "Databases keep their schema and data: migrations of the release are not undone.",
        "Services, Ingresses and whatever else the release changed stay.",
    )


def _target(history: History, choice: Choice, pinned: int) -> Revision | None:
    if choice.named:
        return find_chosen(history, choice)
    return find_revision(history, pinned) if pinned else history.recommended


def _refusal(workload: Workload, history: History, choice: Choice) -> Refusal:
    metadata, ref = workload.deployment.metadata, workload.deployment.ref
    look = kubectl(metadata.namespace, "rollout", "history", ref)
    earlier = [revision for revision in history.revisions if revision is not history.current]
    if choice.named:
        return Refusal(
            what=why_none(history, choice),
            next_step=f"Name one of these with to_revision; see `{look}`.",
            guards=(),
        )
    if earlier:
        numbers = listing((str(r.number) for r in earlier if r.number), limit=9)
        return Refusal(
            what="No revision can be recommended. " + " ".join(history.reasons),
            next_step=f"Choose one of {numbers} and name it with to_revision; see `{look}`.",
            guards=(),
        )
    limit = history.revision_history_limit
    why = " (revisionHistoryLimit is 0: Kubernetes keeps none)" if limit == 0 else ""
    return Refusal(
        what=f"{metadata.name} has no earlier revision to go back to{why}.",
        next_step="Repair forward: deploy an image that worked, e.g. `"
        + kubectl(metadata.namespace, "set", "image", ref, "CONTAINER=IMAGE")
        + "`.",
        guards=(),
    )
