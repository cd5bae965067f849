"""Tables: what kubectl prints in columns, computed by the server."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass
from datetime import datetime
from typing import Any

from veza_nb.sandbox.apimachinery.kinds import Resource
from veza_nb.sandbox.apiserver.printing import others, pods, workloads

Json = dict[str, Any]
Cells = Callable[[Json, datetime], list[Any]]


@dataclass(frozen=True, slots=True)
class Column:
    """One column: its heading, the JSON type of its cells, and whether only `-o wide` shows it."""

    name: str
    type: str = "string"
    wide: bool = False

    def document(self) -> Json:
        """Return the column's definition."""
        return {
            "name": self.name,
            "type": self.type,
            "format": "name" if self.name == "Name" else "",
            "description": _DESCRIPTIONS.get(self.name, ""),
            "priority": int(self.wide),
        }


_DESCRIPTIONS = {
    "Name": "Name of the object, unique among its kind in its namespace.",
    "Age": "Time since the object was created.",
}


def _columns(text: str) -> tuple[Column, ...]:
    """Read columns from text: "#" after a name means integer, "<" before it wide."""
    names = [name.strip() for name in text.split(",")]
    return tuple(
        Column(name.strip("<#"), "integer" if name.endswith("#") else "string", name[0] == "<")
        for name in names
    )


_WORKLOAD = "<Containers, <Images, <Selector"
_BINDING = _columns("Name, Role, Age, <Users, <Groups, <ServiceAccounts")
_CREATED = _columns("Name, Created At")
_CUSTOM = (_columns("Name, Age"), others.custom)
_TABLES: dict[str, tuple[tuple[Column, ...], Cells]] = {
    **dict.fromkeys(("Application", "HelmRelease", "Kustomization"), _CUSTOM),
    "ClusterRole": (_CREATED, others.created),
    "ClusterRoleBinding": (_BINDING, others.binding),
    "ConfigMap": (_columns("Name, Data, Age"), others.config_map),
    "ControllerRevision": (
        _columns("Name, Controller, Revision, Age"),
        workloads.controller_revision,
    ),
    "CronJob": (
        _columns(f"Name, Schedule, Timezone, Suspend, Active#, Last Schedule, Age, {_WORKLOAD}"),
        workloads.cron_job,
    ),
    "DaemonSet": (
        _columns(
            "Name, Desired#, Current#, Ready#, Up-to-date#, Available#, Node Selector, Age"
            f", {_WORKLOAD}"
        ),
        workloads.daemon_set,
    ),
    "Deployment": (
        _columns(f"Name, Ready, Up-to-date, Available, Age, {_WORKLOAD}"),
        workloads.deployment,
    ),
    "EndpointSlice": (
        _columns("Name, AddressType, Ports, Endpoints, Age"),
        others.endpoint_slice,
    ),
    "Endpoints": (_columns("Name, Endpoints, Age"), others.endpoints),
    "Event": (
        _columns(
            "Last Seen, Type, Reason, Object, <Subobject, <Source, Message, <First Seen, <Count, "
            "<Name"
        ),
        pods.event,
    ),
    "HorizontalPodAutoscaler": (
        _columns("Name, Reference, Targets, MinPods, MaxPods, Replicas, Age"),
        workloads.autoscaler,
    ),
    "Job": (
        _columns(f"Name, Status, Completions, Duration, Age, {_WORKLOAD}"),
        workloads.job,
    ),
    "Lease": (_columns("Name, Holder, Age"), others.lease),
    "LimitRange": (_CREATED, others.created),
    "Namespace": (_columns("Name, Status, Age"), others.namespace),
    "Node": (
        _columns(
            "Name, Status, Roles, Age, Version"
            ", <Internal-IP, <External-IP, <OS-Image, <Kernel-Version, <Container-Runtime"
        ),
        others.node,
    ),
    "PersistentVolumeClaim": (
        _columns(
            "Name, Status, Volume, Capacity, Access Modes, StorageClass, VolumeAttributesClass, Age"
            ", <VolumeMode"
        ),
        others.claim,
    ),
    "Pod": (
        _columns(
            "Name, Ready, Status, Restarts, Age, <IP, <Node, <Nominated Node, <Readiness Gates"
        ),
        pods.pod,
    ),
    "PodDisruptionBudget": (
        _columns("Name, Min Available, Max Unavailable, Allowed Disruptions#, Age"),
        workloads.budget,
    ),
    "PriorityClass": (
        _columns("Name, Value#, Global-Default, Age, PreemptionPolicy"),
        others.priority_class,
    ),
    "ReplicaSet": (
        _columns(f"Name, Desired#, Current#, Ready#, Age, {_WORKLOAD}"),
        workloads.replica_set,
    ),
    "ResourceQuota": (_columns("Name, Request, Limit, Age"), others.quota),
    "Role": (_CREATED, others.created),
    "RoleBinding": (_BINDING, others.binding),
    "Secret": (_columns("Name, Type, Data, Age"), others.secret),
    "Service": (
        _columns("Name, Type, Cluster-IP, External-IP, Port(s), Age, <Selector"),
        others.service,
    ),
    "ServiceAccount": (_columns("Name, Secrets, Age"), others.service_account),
    "StatefulSet": (
        _columns("Name, Ready, Age, <Containers, <Images"),
        workloads.stateful_set,
    ),
}
_ANY: tuple[tuple[Column, ...], Cells] = (_CREATED, others.created)


def partial(document: Json, version: str) -> Json:
    """Return only the metadata of an object."""
    return {
        "kind": "PartialObjectMetadata",
        "apiVersion": f"meta.k8s.io/{version}",
        "metadata": document["metadata"],
    }


def table(
    resource: Resource,
    documents: list[Json],
    version: str,
    include: str,
    *,
    now: datetime,
    metadata: Json | None = None,
) -> Json:
    """Return a Table.

    Args:
        resource: Of the objects.
        documents: One row each, in their served form.
        version: "v1" or "v1beta1".
        include: What a row says besides its cells: "None", "Metadata" or "Object".
        now: Ages count from here.
        metadata: Of the list; of the single object when left out.
    """
    columns, cells = _TABLES.get(resource.kind, _ANY)
    if metadata is None:
        metadata = {"resourceVersion": documents[0]["metadata"].get("resourceVersion", "")}
    rows = []
    for document in documents:
        row: Json = {"cells": cells(document, now)}
        row["object"] = _object(document, version, include)
        rows.append(row)
    return {
        "kind": "Table",
        "apiVersion": f"meta.k8s.io/{version}",
        "metadata": metadata,
        "columnDefinitions": [column.document() for column in columns],
        "rows": rows,
    }


def _object(document: Json, version: str, include: str) -> Json | None:
    if include == "None":
        return None
    return document if include == "Object" else partial(document, version)
