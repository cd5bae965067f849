"""Objects of Argo CD and Flux, read and patched raw: their kinds are not Kubernetes' own."""

from dataclasses import replace
from functools import partial
from typing import Any

from veza_nb.cluster.client import FIELD_MANAGER, Cluster, concurrently, decode
from veza_nb.errors import NotFoundError, UnreachableError, VezaError
from veza_nb.gitops import Operation, Reconciler, read_reconciler
from veza_nb.managers import FLUX, Handle, Owner, owners_of
from veza_nb.objects import Deployment
from veza_nb.permissions import Permission
from veza_nb.vocabulary import PatchType

_EARLIER = {
    "kustomizations": ("kustomize.toolkit.fluxcd.io/v1beta2",),
    "helmreleases": ("helm.toolkit.fluxcd.io/v2beta2", "helm.toolkit.fluxcd.io/v2beta1"),
}
"""Versions of the API that are asked where the newest is not served."""


def reconcilers_of(
    cluster: Cluster, workload: Deployment, *, argocd_namespace: str, pause: bool
) -> tuple[Reconciler, ...]:
    """What looks after a workload, as its labels and annotations name it; mostly nothing.

    Args:
        cluster: where.
        workload: whose.
        argocd_namespace: where Applications are, as far as the workload does not tell.
        pause: whether this kit is to pause them; asks for the right only then.

    Raises:
        UnreachableError: the server does not answer at all.
    """
    found = [one for one in owners_of(workload.metadata, argocd_namespace) if one.handle]
    about = (workload.metadata.namespace, workload.metadata.name)
    return concurrently(*(partial(_reconciler, cluster, one, about, pause) for one in found))


def read_object(cluster: Cluster, handle: Handle) -> dict[str, Any]:
    """The object, raw.

    Raises:
        VezaError: it is not there, or cannot be read.
    """
    return decode(cluster.transport.read(_path(cluster, handle)), dict[str, Any])


def patch_object(cluster: Cluster, handle: Handle, operations: tuple[Operation, ...]) -> None:
    """Send a JSON patch, once."""
    cluster.transport.send(
        "PATCH",
        _path(cluster, handle),
        query={"fieldManager": FIELD_MANAGER},
        body=operations,
        content_type=PatchType.JSON,
    )


def _reconciler(cluster: Cluster, owner: Owner, about: tuple[str, str], pause: bool) -> Reconciler:
    handle = owner.handle
    if handle is None:
        raise ValueError(f"{owner.tool} names no object")
    seen: Reconciler
    seen, allowed = concurrently(
        lambda: _read(cluster, owner.tool, handle, about),
        lambda: _may_patch(cluster, handle) if pause else None,
    )
    return replace(seen, may_pause=allowed)


def _may_patch(cluster: Cluster, handle: Handle) -> bool:
    asked = Permission("patch", handle.group, handle.resource, name=handle.name)
    return not cluster.at(handle.namespace).denied([asked])


def _read(cluster: Cluster, tool: str, handle: Handle, about: tuple[str, str]) -> Reconciler:
    for version in (handle.group_version, *_EARLIER.get(handle.resource, ())):
        spoken = replace(handle, group_version=version)
        try:
            return read_reconciler(tool, spoken, read_object(cluster, spoken), about=about)
        except UnreachableError:
            raise
        except NotFoundError:
            continue
        except VezaError as error:
            return Reconciler(tool, handle, unseen=error.what.rstrip("."))
    # Flux says on the workload where its object is; Argo CD may be installed anywhere.
    elsewhere = "" if tool == FLUX else f"not found in namespace {handle.namespace}"
    return Reconciler(tool, handle, exists=bool(elsewhere), unseen=elsewhere)


def _path(cluster: Cluster, handle: Handle) -> str:
    return cluster.at(handle.namespace).path(handle.group_version, handle.resource, handle.name)
