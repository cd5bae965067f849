"""coordination.k8s.io Leases: the objects behind a lock."""

from collections.abc import Mapping
from datetime import datetime, timedelta
from typing import Any

import msgspec

from veza_nb.clock import timestamp
from veza_nb.cluster.client import FIELD_MANAGER, Cluster, decode
from veza_nb.errors import NotFoundError
from veza_nb.objects import ObjectMeta

GROUP_VERSION = "coordination.k8s.io/v1"


class LeaseSpec(msgspec.Struct, frozen=True, rename="camel", omit_defaults=True):
    """Who holds it, since when, and how long without a sign of life."""

    holder_identity: str = ""
    lease_duration_seconds: int = 0
    acquire_time: datetime | None = None
    renew_time: datetime | None = None
    lease_transitions: int = 0


class Lease(msgspec.Struct, frozen=True):
    """A Lease as it is read."""

    metadata: ObjectMeta
    spec: LeaseSpec = LeaseSpec()

    @property
    def expiry(self) -> datetime | None:
        """When it opens without another sign of life; None where it tells no time."""
        seen = self.spec.renew_time or self.spec.acquire_time
        return seen and seen + timedelta(seconds=self.spec.lease_duration_seconds)


def read_lease(cluster: Cluster, name: str) -> Lease | None:
    """The Lease of that name, or None."""
    try:
        data = cluster.transport.read(cluster.path(GROUP_VERSION, "leases", name))
    except NotFoundError:
        return None
    return decode(data, Lease)


def create_lease(
    cluster: Cluster, name: str, spec: LeaseSpec, annotations: Mapping[str, str]
) -> Lease:
    """Create it; a ConflictError where somebody was quicker."""
    return _send(cluster, "POST", "", _body(cluster, name, spec, annotations, version=""))


def replace_lease(
    cluster: Cluster, lease: Lease, spec: LeaseSpec, annotations: Mapping[str, str]
) -> Lease:
    """Replace exactly the version that was read; a ConflictError where it has changed since."""
    name, version = lease.metadata.name, lease.metadata.resource_version
    return _send(cluster, "PUT", name, _body(cluster, name, spec, annotations, version=version))


def _send(cluster: Cluster, method: str, name: str, body: Mapping[str, Any]) -> Lease:
    path = cluster.path(GROUP_VERSION, "leases", name)
    data = cluster.transport.send(method, path, query={"fieldManager": FIELD_MANAGER}, body=body)
    return decode(data, Lease)


def _body(
    cluster: Cluster, name: str, spec: LeaseSpec, annotations: Mapping[str, str], *, version: str
) -> dict[str, Any]:
    times = {"acquireTime": spec.acquire_time, "renewTime": spec.renew_time}
    return {
        "apiVersion": GROUP_VERSION,
        "kind": "Lease",
        "metadata": {
            "name": name,
            "namespace": cluster.namespace,
            "annotations": dict(annotations),
            **({"resourceVersion": version} if version else {}),
        },
        "spec": {
            "holderIdentity": spec.holder_identity,
            "leaseDurationSeconds": spec.lease_duration_seconds,
            "leaseTransitions": spec.lease_transitions,
            # A Lease's times need their microseconds, or the server refuses them.
            **{key: timestamp(at) for key, at in times.items() if at is not None},
        },
    }
