"""Typed readers over API JSON: only the fields this kit reads, decoded straight from bytes.

Full typed models drop the fields they do not know; these are never written back. What goes
back to the server (pod templates) stays raw JSON: `PodTemplate` is a plain dict.
Field names follow Kubernetes', in snake case.
"""

from datetime import datetime
from typing import Any

import msgspec

from veza_nb.vocabulary import WorkloadKind

PodTemplate = dict[str, Any]
"""A pod template exactly as the server sent it."""


class _Reader(msgspec.Struct, frozen=True, rename="camel", kw_only=True):
    """Base: immutable, camelCase on the wire, unknown fields ignored."""


class OwnerReference(_Reader, frozen=True):
    """metadata.ownerReferences[]."""

    kind: str = ""
    name: str = ""
    uid: str = ""
    controller: bool = False


class ManagedField(_Reader, frozen=True):
    """metadata.managedFields[] without the field set."""

    manager: str = ""
    operation: str = ""
    subresource: str = ""
    time: datetime | None = None


class ObjectMeta(_Reader, frozen=True):
    """metadata."""

    name: str = ""
    namespace: str = ""
    uid: str = ""
    generation: int = 0
    resource_version: str = ""
    creation_timestamp: datetime | None = None
    deletion_timestamp: datetime | None = None
    labels: dict[str, str] = msgspec.field(default_factory=dict)
    annotations: dict[str, str] = msgspec.field(default_factory=dict)
    owner_references: tuple[OwnerReference, ...] = ()
    managed_fields: tuple[ManagedField, ...] = ()


class OwnedField(ManagedField, frozen=True):
    """The same with the field set: whose each field is."""

    fields_v1: dict[str, Any] = msgspec.field(default_factory=dict)


class WorkloadMeta(ObjectMeta, frozen=True):
    """metadata of a workload: there it matters who wrote the template."""

    managed_fields: tuple[OwnedField, ...] = ()


class Condition(_Reader, frozen=True):
    """status.conditions[] of any kind."""

    type: str = ""
    status: str = ""
    reason: str = ""
    message: str = ""
    last_update_time: datetime | None = None
    last_transition_time: datetime | None = None


class LabelSelector(_Reader, frozen=True):
    """spec.selector."""

    match_labels: dict[str, str] = msgspec.field(default_factory=dict)
    match_expressions: list[dict[str, Any]] = msgspec.field(default_factory=list)


class RollingUpdate(_Reader, frozen=True):
    """spec.strategy.rollingUpdate: an int or a percentage; the partition is a StatefulSet's."""

    max_surge: int | str = "25%"
    max_unavailable: int | str = "25%"
    partition: int = 0


class Strategy(_Reader, frozen=True):
    """spec.strategy; "OnDelete" only where the kind is another."""

    type: str = "RollingUpdate"
    rolling_update: RollingUpdate | None = None


class Ordinals(_Reader, frozen=True):
    """spec.ordinals of a StatefulSet."""

    start: int = 0


class DeploymentSpec(_Reader, frozen=True):
    """Deployment spec; the last two are a StatefulSet's."""

    template: PodTemplate = msgspec.field(default_factory=dict)
    selector: LabelSelector = LabelSelector()
    replicas: int = 1
    strategy: Strategy = Strategy()
    paused: bool = False
    min_ready_seconds: int = 0
    progress_deadline_seconds: int = 600
    revision_history_limit: int = 10
    pod_management_policy: str = ""
    ordinals: Ordinals = Ordinals()


class DeploymentStatus(_Reader, frozen=True):
    """Deployment status."""

    observed_generation: int = 0
    replicas: int = 0
    updated_replicas: int = 0
    ready_replicas: int = 0
    available_replicas: int = 0
    unavailable_replicas: int = 0
    conditions: tuple[Condition, ...] = ()


class Deployment(_Reader, frozen=True):
    """apps/v1 Deployment, or another `kind` in its terms (see `controllerrevisions`)."""

    metadata: WorkloadMeta
    kind: WorkloadKind = WorkloadKind.DEPLOYMENT
    spec: DeploymentSpec = DeploymentSpec()
    status: DeploymentStatus = DeploymentStatus()

    @property
    def ref(self) -> str:
        """As kubectl takes it: `deployment/api`."""
        return f"{self.kind.word}/{self.metadata.name}"


class ReplicaSetSpec(_Reader, frozen=True):
    """ReplicaSet spec."""

    template: PodTemplate = msgspec.field(default_factory=dict)
    replicas: int = 1


class ReplicaSetStatus(_Reader, frozen=True):
    """ReplicaSet status."""

    observed_generation: int = 0
    replicas: int = 0
    fully_labeled_replicas: int = 0
    ready_replicas: int = 0
    available_replicas: int = 0
    conditions: tuple[Condition, ...] = ()


class ReplicaSet(_Reader, frozen=True):
    """apps/v1 ReplicaSet, or a ControllerRevision in its terms (see `controllerrevisions`).

    `returned_at` is when a ControllerRevision got its number, where that was later than it was
    made: unlike a ReplicaSet's, its earlier numbers are not kept.
    """

    metadata: ObjectMeta
    spec: ReplicaSetSpec = ReplicaSetSpec()
    status: ReplicaSetStatus = ReplicaSetStatus()
    returned_at: datetime | None = None


class SetRollingUpdate(_Reader, frozen=True):
    """spec.updateStrategy.rollingUpdate: a partition in StatefulSets, a surge in DaemonSets."""

    max_surge: int | str = 0
    max_unavailable: int | str = 1
    partition: int = 0


class UpdateStrategy(_Reader, frozen=True):
    """spec.updateStrategy of StatefulSets and DaemonSets."""

    type: str = "RollingUpdate"
    rolling_update: SetRollingUpdate | None = None


class StatefulSetSpec(_Reader, frozen=True):
    """StatefulSet spec."""

    template: PodTemplate = msgspec.field(default_factory=dict)
    selector: LabelSelector = LabelSelector()
    replicas: int = 1
    update_strategy: UpdateStrategy = UpdateStrategy()
    pod_management_policy: str = "OrderedReady"
    ordinals: Ordinals = Ordinals()
    min_ready_seconds: int = 0
    revision_history_limit: int = 10


class StatefulSet(_Reader, frozen=True):
    """apps/v1 StatefulSet; its status counts as a Deployment's does."""

    metadata: WorkloadMeta
    spec: StatefulSetSpec = StatefulSetSpec()
    status: DeploymentStatus = DeploymentStatus()


class DaemonSetSpec(_Reader, frozen=True):
    """DaemonSet spec."""

    template: PodTemplate = msgspec.field(default_factory=dict)
    selector: LabelSelector = LabelSelector()
    update_strategy: UpdateStrategy = UpdateStrategy()
    min_ready_seconds: int = 0
    revision_history_limit: int = 10


class DaemonSetStatus(_Reader, frozen=True):
    """DaemonSet status: counts of nodes."""

    observed_generation: int = 0
    desired_number_scheduled: int = 0
    current_number_scheduled: int = 0
    updated_number_scheduled: int = 0
    number_ready: int = 0
    number_available: int = 0
    number_unavailable: int = 0
    conditions: tuple[Condition, ...] = ()


class DaemonSet(_Reader, frozen=True):
    """apps/v1 DaemonSet."""

    metadata: WorkloadMeta
    spec: DaemonSetSpec = DaemonSetSpec()
    status: DaemonSetStatus = DaemonSetStatus()


class ControllerRevision(_Reader, frozen=True):
    """apps/v1 ControllerRevision: a revision of a StatefulSet or a DaemonSet.

    `data` is the patch that brings its pod template back, raw.
    """

    metadata: ObjectMeta
    revision: int = 0
    data: dict[str, Any] = msgspec.field(default_factory=dict)


class ContainerStateWaiting(_Reader, frozen=True):
    """A container that does not run yet, or not at the moment."""

    reason: str = ""
    message: str = ""


class ContainerStateRunning(_Reader, frozen=True):
    """A container that runs."""

    started_at: datetime | None = None


class ContainerStateTerminated(_Reader, frozen=True):
    """A container that ended."""

    exit_code: int = 0
    signal: int = 0
    reason: str = ""
    message: str = ""
    started_at: datetime | None = None
    finished_at: datetime | None = None


class ContainerState(_Reader, frozen=True):
    """At most one of three."""

    waiting: ContainerStateWaiting | None = None
    running: ContainerStateRunning | None = None
    terminated: ContainerStateTerminated | None = None


class ContainerStatus(_Reader, frozen=True):
    """status.containerStatuses[] and initContainerStatuses[]."""

    name: str = ""
    image: str = ""
    image_id: str = msgspec.field(name="imageID", default="")
    ready: bool = False
    started: bool | None = None
    restart_count: int = 0
    state: ContainerState = ContainerState()
    last_state: ContainerState = ContainerState()


class Resources(_Reader, frozen=True):
    """resources of a container: resource to quantity."""

    limits: dict[str, str | int | float] = msgspec.field(default_factory=dict)
    requests: dict[str, str | int | float] = msgspec.field(default_factory=dict)


class Container(_Reader, frozen=True):
    """spec.containers[] of a pod, as far as it is read."""

    name: str = ""
    resources: Resources = Resources()


class PodSpec(_Reader, frozen=True):
    """Pod spec, as far as it is read."""

    node_name: str = ""
    containers: tuple[Container, ...] = ()


class PodStatus(_Reader, frozen=True):
    """Pod status."""

    phase: str = ""
    reason: str = ""
    message: str = ""
    start_time: datetime | None = None
    conditions: tuple[Condition, ...] = ()
    container_statuses: tuple[ContainerStatus, ...] = ()
    init_container_statuses: tuple[ContainerStatus, ...] = ()


class Pod(_Reader, frozen=True):
    """v1 Pod."""

    metadata: ObjectMeta
    spec: PodSpec = PodSpec()
    status: PodStatus = PodStatus()


class CrossVersionObjectReference(_Reader, frozen=True):
    """spec.scaleTargetRef of an autoscaler."""

    kind: str = ""
    name: str = ""


class HorizontalPodAutoscalerSpec(_Reader, frozen=True):
    """HorizontalPodAutoscaler spec, as far as it is read."""

    scale_target_ref: CrossVersionObjectReference = CrossVersionObjectReference()
    min_replicas: int = 1
    max_replicas: int = 0


class HorizontalPodAutoscaler(_Reader, frozen=True):
    """autoscaling/v2 HorizontalPodAutoscaler."""

    metadata: ObjectMeta
    spec: HorizontalPodAutoscalerSpec = HorizontalPodAutoscalerSpec()


class ResourceQuotaSpec(_Reader, frozen=True):
    """ResourceQuota spec: which pods it counts."""

    scopes: tuple[str, ...] = ()
    scope_selector: dict[str, Any] = msgspec.field(default_factory=dict)


class ResourceQuotaStatus(_Reader, frozen=True):
    """ResourceQuota status: resource to quantity."""

    hard: dict[str, str] = msgspec.field(default_factory=dict)
    used: dict[str, str] = msgspec.field(default_factory=dict)


class ResourceQuota(_Reader, frozen=True):
    """v1 ResourceQuota."""

    metadata: ObjectMeta
    spec: ResourceQuotaSpec = ResourceQuotaSpec()
    status: ResourceQuotaStatus = ResourceQuotaStatus()


class NodeSpec(_Reader, frozen=True):
    """Node spec, as far as it is read."""

    unschedulable: bool = False


class ContainerImage(_Reader, frozen=True):
    """status.images[] of a Node: one image under all its names."""

    names: tuple[str, ...] | None = None


class NodeStatus(_Reader, frozen=True):
    """Node status, as far as it is read; a kubelet names 50 images at most."""

    conditions: tuple[Condition, ...] = ()
    images: tuple[ContainerImage, ...] = ()


class Node(_Reader, frozen=True):
    """v1 Node."""

    metadata: ObjectMeta
    spec: NodeSpec = NodeSpec()
    status: NodeStatus = NodeStatus()


class EndpointConditions(_Reader, frozen=True):
    """conditions of an endpoint; None counts as ready, as Kubernetes defines it."""

    ready: bool | None = None


class Endpoint(_Reader, frozen=True):
    """endpoints[] of an EndpointSlice."""

    conditions: EndpointConditions = EndpointConditions()


class EndpointSlice(_Reader, frozen=True):
    """discovery.k8s.io/v1 EndpointSlice; `endpoints` is null where there are none."""

    metadata: ObjectMeta
    endpoints: tuple[Endpoint, ...] | None = None


class ContainerMetrics(_Reader, frozen=True):
    """containers[] of PodMetrics: resource to quantity."""

    name: str = ""
    usage: dict[str, str | int | float] = msgspec.field(default_factory=dict)


class PodMetrics(_Reader, frozen=True):
    """metrics.k8s.io/v1beta1 PodMetrics."""

    metadata: ObjectMeta
    timestamp: datetime | None = None
    containers: tuple[ContainerMetrics, ...] = ()


class PartialObject(_Reader, frozen=True):
    """An object of any kind, by its metadata alone."""

    metadata: ObjectMeta


class ObjectReference(_Reader, frozen=True):
    """involvedObject of an Event."""

    kind: str = ""
    name: str = ""
    namespace: str = ""
    uid: str = ""


class EventSeries(_Reader, frozen=True):
    """Repetition as events.k8s.io counts it."""

    count: int = 0
    last_observed_time: datetime | None = None


class Event(_Reader, frozen=True):
    """v1 Event."""

    metadata: ObjectMeta
    involved_object: ObjectReference = ObjectReference()
    type: str = ""
    reason: str = ""
    message: str = ""
    count: int = 1
    first_timestamp: datetime | None = None
    last_timestamp: datetime | None = None
    event_time: datetime | None = None
    series: EventSeries | None = None

    @property
    def last_seen(self) -> datetime | None:
        """The newest time this event carries, whichever field its writer used."""
        series = self.series.last_observed_time if self.series else None
        return series or self.last_timestamp or self.event_time or self.first_timestamp


class ListMeta(_Reader, frozen=True):
    """metadata of a list: where to go on, and from where to watch."""

    resource_version: str = ""
    continue_: str = msgspec.field(name="continue", default="")
    remaining_item_count: int | None = None


class Status(_Reader, frozen=True):
    """metav1.Status: the answer to what went wrong."""

    status: str = ""
    message: str = ""
    reason: str = ""
    code: int = 0
    details: dict[str, Any] = msgspec.field(default_factory=dict)


class Workload(_Reader, frozen=True):
    """A Deployment with its ReplicaSets, its pods and their events: what one look saw.

    The other kinds are told in the same terms: `deployment.kind` says which it is.
    """

    deployment: Deployment
    replicasets: tuple[ReplicaSet, ...] = ()
    pods: tuple[Pod, ...] = ()
    events: tuple[Event, ...] = ()
