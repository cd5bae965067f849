"""Looking around a workload: what scales it, what limits it, what its target points at.

Of ConfigMaps and Secrets only the metadata is read, never the content. Nothing here is needed
for an undo: what this user may not read, or the server does not tell, is named as not seen.
"""

from collections.abc import Callable
from functools import partial
from typing import Any, TypeVar

from veza_nb.catalog import GitOps
from veza_nb.cluster.client import Cluster, concurrently, decode
from veza_nb.cluster.nodeimages import on_nodes
from veza_nb.cluster.reconcilers import reconcilers_of
from veza_nb.errors import NotFoundError, UnreachableError, VezaError
from veza_nb.gitops import Reconciler
from veza_nb.imagenames import full_name
from veza_nb.objects import (
    Deployment,
    HorizontalPodAutoscaler,
    ObjectMeta,
    PartialObject,
    PodTemplate,
    ResourceQuota,
    Workload,
)
from veza_nb.podtemplates import images
from veza_nb.quotas import shortages
from veza_nb.references import Reference, references
from veza_nb.surroundings import Autoscaler, Referred, Surroundings

MOST_REFERENCES = 40
"""Objects that are looked up at most: a template that points at more is told so."""
_METADATA_ONLY = "application/json;as=PartialObjectMetadata;g=meta.k8s.io;v=v1"
_KINDS = {
    "configmap": ("v1", "configmaps"),
    "secret": ("v1", "secrets"),
    "persistentvolumeclaim": ("v1", "persistentvolumeclaims"),
    "serviceaccount": ("v1", "serviceaccounts"),
    "priorityclass": ("scheduling.k8s.io/v1", "priorityclasses"),
}
_KEDA = "ScaledObject"

T = TypeVar("T")


def look_around(
    cluster: Cluster, workload: Workload, template: PodTemplate, gitops: GitOps
) -> Surroundings:
    """What stands around this workload when it goes back to that template.

    Args:
        cluster: where.
        workload: with its pods: an image that one of them runs need not be looked for.
        template: where it goes back to.
        gitops: what the catalogue says of the tool that owns it.

    Raises:
        UnreachableError: the server does not answer at all.
    """
    deployment, wanted = workload.deployment, references(template)
    unknown = _not_running(workload, template)
    looks: list[Callable[[], tuple[Any, str]]] = [
        partial(_look, "autoscalers", lambda: _autoscalers(cluster, deployment)),
        partial(_look, "quotas", lambda: _quotas(cluster)),
        partial(_look, "GitOps", lambda: _reconcilers(cluster, deployment, gitops)),
        partial(_look, "images on nodes", lambda: on_nodes(cluster, unknown) if unknown else None),
    ]
    looks += [
        partial(_look, str(one), partial(referred, cluster, one))
        for one in wanted[:MOST_REFERENCES]
    ]
    (scalers, _), (quotas, _), (owners, _), (nodes, _), *found = answers = concurrently(*looks)
    unseen = [why for _, why in answers if why]
    unseen += [f"{one.handle} ({one.unseen})" for one in owners or () if one.unseen]
    unseen += [f"{len(wanted) - MOST_REFERENCES} more references"] * (len(wanted) > MOST_REFERENCES)
    return Surroundings(
        autoscalers=scalers or (),
        shortages=shortages(deployment, template, quotas or ()),
        referred=tuple(one for one, _ in found if one is not None),
        reconcilers=owners or (),
        argocd_namespace=gitops.argocd_namespace,
        on_nodes=nodes,
        unseen=tuple(unseen),
    )


def _reconcilers(
    cluster: Cluster, deployment: Deployment, gitops: GitOps
) -> tuple[Reconciler, ...]:
    return reconcilers_of(
        cluster, deployment, argocd_namespace=gitops.argocd_namespace, pause=gitops.pause
    )


def _not_running(workload: Workload, template: PodTemplate) -> tuple[str, ...]:
    """Images of the template that no container of the workload's pods was started from."""
    running = {
        full_name(status.image)
        for pod in workload.pods
        for status in (*pod.status.container_statuses, *pod.status.init_container_statuses)
        if status.image_id or status.state.running or status.state.terminated
    }
    wanted = set(images(template).values())
    return tuple(sorted(one for one in wanted if full_name(one) not in running))


def _look(what: str, read: Callable[[], T]) -> tuple[T | None, str]:
    """The answer, or None and why."""
    try:
        return read(), ""
    except UnreachableError:
        raise
    except VezaError as error:
        return None, f"{what} ({error.what.rstrip('.')})"


def _autoscalers(cluster: Cluster, deployment: Deployment) -> tuple[Autoscaler, ...]:
    try:
        found, _ = cluster.list_all(
            "autoscaling/v2", "horizontalpodautoscalers", HorizontalPodAutoscaler, {}
        )
    except NotFoundError:
        return ()  # a control plane without autoscaling
    about = (deployment.kind, deployment.metadata.name)
    return tuple(
        Autoscaler(
            name=one.metadata.name,
            owner="KEDA" if _owned_by_keda(one.metadata) else "",
            minimum=one.spec.min_replicas,
            maximum=one.spec.max_replicas,
        )
        for one in found
        if (one.spec.scale_target_ref.kind, one.spec.scale_target_ref.name) == about
    )


def _owned_by_keda(metadata: ObjectMeta) -> bool:
    return any(owner.kind == _KEDA for owner in metadata.owner_references)


def _quotas(cluster: Cluster) -> tuple[ResourceQuota, ...]:
    return cluster.list_all("v1", "resourcequotas", ResourceQuota, {})[0]


def referred(cluster: Cluster, reference: Reference) -> Referred:
    """Whether that object is there, and when it was written last; its content is not read."""
    group_version, resource = _KINDS[reference.kind]
    path = cluster.path(group_version, resource, reference.name)
    if reference.kind == "priorityclass":
        path = f"/apis/{group_version}/{resource}/{reference.name}"
    try:
        data = cluster.transport.read(path, accept=_METADATA_ONLY)
    except NotFoundError:
        return Referred(reference, exists=False)
    metadata = decode(data, PartialObject).metadata
    written = [field.time for field in metadata.managed_fields if field.time]
    return Referred(
        reference,
        exists=True,
        changed_at=max(written, default=metadata.creation_timestamp),
    )
