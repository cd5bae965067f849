"""Looking around a Deployment: what scales it, what limits it, what its target points at.

Of ConfigMaps and Secrets only the metadata is read, never the content. Nothing here is needed
for an undo: what this user may not read, or the server does not tell, is named as not seen.
"""

from collections.abc import Callable
from functools import partial
from typing import Any, TypeVar

from veza_nb.cluster.client import Cluster, concurrently, decode
from veza_nb.errors import NotFoundError, UnreachableError, VezaError
from veza_nb.objects import (
    Deployment,
    HorizontalPodAutoscaler,
    ObjectMeta,
    PartialObject,
    PodTemplate,
    ResourceQuota,
)
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


def look_around(cluster: Cluster, deployment: Deployment, template: PodTemplate) -> Surroundings:
    """What stands around this Deployment when it goes back to that template.

    Raises:
        UnreachableError: the server does not answer at all.
    """
    wanted = references(template)
    looks: list[Callable[[], tuple[Any, str]]] = [
        partial(_look, "autoscalers", lambda: _autoscalers(cluster, deployment)),
        partial(_look, "quotas", lambda: _quotas(cluster)),
    ]
    looks += [
        partial(_look, str(one), partial(_referred, cluster, one))
        for one in wanted[:MOST_REFERENCES]
    ]
    (scalers, _), (quotas, _), *found = answers = concurrently(*looks)
    unseen = [why for _, why in answers if why]
    unseen += [f"{len(wanted) - MOST_REFERENCES} more references"] * (len(wanted) > MOST_REFERENCES)
    return Surroundings(
        autoscalers=scalers or (),
        shortages=shortages(deployment, template, quotas or ()),
        referred=tuple(one for one, _ in found if one is not None),
        unseen=tuple(unseen),
    )


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
    about = deployment.metadata.name
    return tuple(
        Autoscaler(
            name=one.metadata.name,
            owner="KEDA" if _owned_by_keda(one.metadata) else "",
            minimum=one.spec.min_replicas,
            maximum=one.spec.max_replicas,
        )
        for one in found
        if (one.spec.scale_target_ref.kind, one.spec.scale_target_ref.name) == ("Deployment", about)
    )


def _owned_by_keda(metadata: ObjectMeta) -> bool:
    return any(owner.kind == _KEDA for owner in metadata.owner_references)


def _quotas(cluster: Cluster) -> tuple[ResourceQuota, ...]:
    return cluster.list_all("v1", "resourcequotas", ResourceQuota, {})[0]


def _referred(cluster: Cluster, reference: Reference) -> Referred:
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
