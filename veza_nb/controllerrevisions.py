"""StatefulSets and DaemonSets in a Deployment's terms, so that the rules are written once.

Both keep their history in ControllerRevisions: one pod template each, as the patch that brings
it back. Here a ControllerRevision is told as a ReplicaSet, with the pods that carry its label
as its own, and the counts of a DaemonSet's nodes as replicas. What really differs (who replaces
which pod, and when) is in `byhand`.
"""

from collections.abc import Mapping, Sequence
from datetime import datetime

from msgspec.structs import replace

from veza_nb.objects import (
    ControllerRevision,
    DaemonSet,
    DaemonSetStatus,
    Deployment,
    DeploymentSpec,
    DeploymentStatus,
    Pod,
    PodTemplate,
    ReplicaSet,
    ReplicaSetSpec,
    ReplicaSetStatus,
    RollingUpdate,
    SetRollingUpdate,
    StatefulSet,
    Strategy,
    UpdateStrategy,
    Workload,
)
from veza_nb.replicasets import pods_of
from veza_nb.troubles import has_ended, is_ready, is_terminating
from veza_nb.vocabulary import Annotation, WorkloadKind
from veza_nb.words import utc

Owner = Deployment | StatefulSet | DaemonSet
Kept = ReplicaSet | ControllerRevision

READERS: Mapping[WorkloadKind, tuple[type[Owner], type[Kept]]] = {
    WorkloadKind.DEPLOYMENT: (Deployment, ReplicaSet),
    WorkloadKind.STATEFUL_SET: (StatefulSet, ControllerRevision),
    WorkloadKind.DAEMON_SET: (DaemonSet, ControllerRevision),
}
"""What a kind of workload is read as, and what keeps its revisions."""
_CONTROLLERS = "kube-controller-manager"
_DIRECTIVE = "$patch"


def as_deployment(owner: Owner) -> Deployment:
    """Any kind of workload in a Deployment's terms; a Deployment as it is."""
    if isinstance(owner, StatefulSet):
        return _stateful_set(owner)
    return _daemon_set(owner) if isinstance(owner, DaemonSet) else owner


def as_workload(
    deployment: Deployment, revisions: Sequence[Kept], pods: tuple[Pod, ...]
) -> Workload:
    """One look, put together; ControllerRevisions are told as ReplicaSets."""
    replicasets = tuple(
        _replicaset(one, deployment, pods) if isinstance(one, ControllerRevision) else one
        for one in revisions
    )
    return Workload(deployment=deployment, replicasets=replicasets, pods=pods)


def _stateful_set(owner: StatefulSet) -> Deployment:
    spec = owner.spec
    return Deployment(
        metadata=owner.metadata,
        kind=WorkloadKind.STATEFUL_SET,
        spec=DeploymentSpec(
            template=spec.template,
            selector=spec.selector,
            replicas=spec.replicas,
            strategy=_strategy(spec.update_strategy),
            min_ready_seconds=spec.min_ready_seconds,
            revision_history_limit=spec.revision_history_limit,
            pod_management_policy=spec.pod_management_policy,
            ordinals=spec.ordinals,
        ),
        status=owner.status,
    )


def _daemon_set(owner: DaemonSet) -> Deployment:
    spec = owner.spec
    return Deployment(
        metadata=owner.metadata,
        kind=WorkloadKind.DAEMON_SET,
        spec=DeploymentSpec(
            template=spec.template,
            selector=spec.selector,
            replicas=owner.status.desired_number_scheduled,
            strategy=_strategy(spec.update_strategy),
            min_ready_seconds=spec.min_ready_seconds,
            revision_history_limit=spec.revision_history_limit,
        ),
        status=_counts(owner.status),
    )


def _counts(status: DaemonSetStatus) -> DeploymentStatus:
    return DeploymentStatus(
        observed_generation=status.observed_generation,
        replicas=status.current_number_scheduled,
        updated_replicas=status.updated_number_scheduled,
        ready_replicas=status.number_ready,
        available_replicas=status.number_available,
        unavailable_replicas=status.number_unavailable,
        conditions=status.conditions,
    )


def _strategy(given: UpdateStrategy) -> Strategy:
    rolling = given.rolling_update or SetRollingUpdate()
    return Strategy(
        type=given.type,
        rolling_update=RollingUpdate(
            max_surge=rolling.max_surge,
            max_unavailable=rolling.max_unavailable,
            partition=rolling.partition,
        ),
    )


def _replicaset(
    revision: ControllerRevision, deployment: Deployment, pods: tuple[Pod, ...]
) -> ReplicaSet:
    metadata = revision.metadata
    numbered = {**metadata.annotations, Annotation.REVISION: str(revision.revision)}
    told = ReplicaSet(
        metadata=replace(metadata, annotations=numbered),
        spec=ReplicaSetSpec(template=_template(revision)),
        returned_at=_returned_at(revision),
    )
    mine = [pod for pod in pods_of(told, pods) if _stays(pod)]
    ready = sum(is_ready(pod) for pod in mine)
    others = sum(is_ready(pod) for pod in pods if _stays(pod)) - ready
    counted = ReplicaSetStatus(
        replicas=len(mine),
        ready_replicas=ready,
        available_replicas=_available(deployment, ready, others),
    )
    spec = ReplicaSetSpec(template=told.spec.template, replicas=len(mine))
    return replace(told, spec=spec, status=counted)


def _template(revision: ControllerRevision) -> PodTemplate:
    """The pod template that it keeps, without the directive that makes the rest a patch."""
    spec = revision.data.get("spec")
    template = spec.get("template") if isinstance(spec, dict) else None
    kept = template if isinstance(template, dict) else {}
    return {key: value for key, value in kept.items() if key != _DIRECTIVE}


def _returned_at(revision: ControllerRevision) -> datetime | None:
    """When it was given another number: the controllers write it then, and else only once."""
    created = revision.metadata.creation_timestamp
    written = [
        utc(field.time)
        for field in revision.metadata.managed_fields
        if field.time is not None and field.manager == _CONTROLLERS
    ]
    last = max(written, default=None)
    return last if last and created and last > utc(created) else None


def _available(deployment: Deployment, ready: int, others: int) -> int:
    """At least so many are available: with minReadySeconds only their sum is counted anywhere."""
    if deployment.spec.min_ready_seconds <= 0:
        return ready
    return max(0, min(ready, deployment.status.available_replicas - others))


def _stays(pod: Pod) -> bool:
    return not is_terminating(pod) and not has_ended(pod)
