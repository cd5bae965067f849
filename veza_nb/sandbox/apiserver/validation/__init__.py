"""What the server refuses with 422, and in which words."""

from __future__ import annotations

from collections.abc import Iterator
from typing import Any

from veza_nb.sandbox.apimachinery import status
from veza_nb.sandbox.apimachinery.kinds import Resource
from veza_nb.sandbox.apimachinery.status import Cause
from veza_nb.sandbox.apiserver.validation import (
    changes,
    jobs,
    limits,
    others,
    pods,
    sets,
    workloads,
)
from veza_nb.sandbox.apiserver.validation.causes import bad
from veza_nb.sandbox.apiserver.validation.metadata import metadata, metadata_parts

Json = dict[str, Any]


def check_create(resource: Resource, document: Json) -> None:
    """Refuse a new object that is not valid.

    Raises:
        ApiError: 422.
    """
    causes = [*metadata(resource, document["metadata"]), *_kind(resource, document)]
    _raise(resource, document["metadata"].get("name", ""), causes)


def check_update(resource: Resource, subresource: str, old: Json, new: Json) -> None:
    """Refuse a change that makes an object invalid or touches what may not change.

    Raises:
        ApiError: 422.
    """
    causes = list(metadata_parts(new["metadata"]))
    if subresource != "status":
        if "spec" not in new or old.get("spec") != new["spec"]:
            causes += _kind(resource, new)
        if subresource != "binding":
            causes += changes.immutable(resource.kind, old, new)
    _raise(resource, new["metadata"]["name"], causes)


def check_identity(resource: Resource, old: Json, new: Json) -> None:
    """Refuse another uid, and take over the right one where none was sent.

    Raises:
        ApiError: 422.
    """
    if not new.get("uid"):
        new["uid"] = old["uid"]
    if new["uid"] != old["uid"]:
        cause = bad("metadata.uid", new["uid"], "field is immutable")
        # The server checks twice and lists it twice.
        raise status.invalid(resource.kind, resource.group, old["name"], [cause, cause])


def _raise(resource: Resource, name: str, causes: list[Cause]) -> None:
    if causes:
        raise status.invalid(resource.kind, resource.group, name, causes)


def _kind(resource: Resource, document: Json) -> Iterator[Cause]:
    check = _BY_KIND.get(resource.kind)
    if check is not None:
        yield from check(document)


_BY_KIND = {
    "ClusterRoleBinding": others.role_binding,
    "ControllerRevision": others.controller_revision,
    "CronJob": jobs.cron_job,
    "DaemonSet": sets.daemon_set,
    "Deployment": workloads.deployment,
    "Event": others.event,
    "HorizontalPodAutoscaler": limits.autoscaler,
    "Job": jobs.job,
    "Lease": others.lease,
    "PersistentVolumeClaim": limits.claim,
    "Pod": pods.pod,
    "PodDisruptionBudget": limits.budget,
    "ReplicaSet": workloads.replica_set,
    "ResourceQuota": limits.quota,
    "RoleBinding": others.role_binding,
    "Service": others.service,
    "StatefulSet": sets.stateful_set,
}
