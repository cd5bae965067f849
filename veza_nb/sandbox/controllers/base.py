"""What every controller has in common: a queue of keys, one sync per key, retries."""

from __future__ import annotations

import asyncio
import logging
from abc import ABC, abstractmethod
from dataclasses import dataclass, fields

from veza_nb.sandbox.apimachinery.status import ApiError, Json
from veza_nb.sandbox.apiserver.client import Client
from veza_nb.sandbox.clock import Clock
from veza_nb.sandbox.controllers.informer import (
    Informer,
    Key,
    by_controller,
    by_namespace,
    by_owner,
    orphaned,
)
from veza_nb.sandbox.controllers.queue import GATHER_SECONDS, WorkQueue

_log = logging.getLogger(__name__)


SERVICE_LABEL = "kubernetes.io/service-name"
_OWNED = {
    "controller": by_controller,
    "namespace": by_namespace,
    "orphan": orphaned,
    "owner": by_owner,
}
_PLAIN = {"namespace": by_namespace, "owner": by_owner}


@dataclass(frozen=True, slots=True)
class Informers:
    """The shared views of the kinds that controllers work on, owners before what they own."""

    namespaces: Informer
    nodes: Informer
    services: Informer
    deployments: Informer
    replica_sets: Informer
    pods: Informer
    endpoints: Informer
    endpoint_slices: Informer
    cron_jobs: Informer
    stateful_sets: Informer
    daemon_sets: Informer
    jobs: Informer
    controller_revisions: Informer
    claims: Informer
    config_maps: Informer
    secrets: Informer
    autoscalers: Informer
    budgets: Informer
    quotas: Informer
    cluster_roles: Informer

    @classmethod
    def of(cls, client: Client) -> Informers:
        """Views that read through `client`, empty until primed."""
        return cls(
            namespaces=Informer(client, "namespaces"),
            nodes=Informer(client, "nodes"),
            services=Informer(client, "services", _PLAIN),
            deployments=Informer(client, "deployments", _PLAIN),
            replica_sets=Informer(client, "replicasets", _OWNED),
            pods=Informer(client, "pods", _OWNED),
            endpoints=Informer(client, "endpoints", _PLAIN),
            endpoint_slices=Informer(client, "endpointslices", {**_PLAIN, "service": by_service}),
            cron_jobs=Informer(client, "cronjobs", _PLAIN),
            stateful_sets=Informer(client, "statefulsets", _PLAIN),
            daemon_sets=Informer(client, "daemonsets", _PLAIN),
            jobs=Informer(client, "jobs", _PLAIN),
            controller_revisions=Informer(client, "controllerrevisions", _OWNED),
            claims=Informer(client, "persistentvolumeclaims", _PLAIN),
            config_maps=Informer(client, "configmaps", _PLAIN),
            secrets=Informer(client, "secrets", _PLAIN),
            autoscalers=Informer(client, "horizontalpodautoscalers", _PLAIN),
            budgets=Informer(client, "poddisruptionbudgets", _PLAIN),
            quotas=Informer(client, "resourcequotas", _PLAIN),
            cluster_roles=Informer(client, "clusterroles", _PLAIN),
        )

    def every(self) -> list[Informer]:
        """All of them."""
        return [getattr(self, field.name) for field in fields(self)]

    def owning(self) -> list[Informer]:
        """Those whose objects own or are owned."""
        plain = {self.namespaces.resource, self.nodes.resource}
        return [informer for informer in self.every() if informer.resource not in plain]


def by_service(item: Json) -> tuple[str, ...]:
    """Index for EndpointSlices: namespace and name of their Service."""
    metadata = item["metadata"]
    name = metadata.get("labels", {}).get(SERVICE_LABEL)
    return (f"{metadata['namespace']}/{name}",) if name else ()


class Controller(ABC):
    """Works off keys one by one; each sync looks at the whole state of one object."""

    def __init__(self, clock: Clock, gather_seconds: float = GATHER_SECONDS) -> None:
        self.clock = clock
        self.queue: WorkQueue[Key] = WorkQueue(clock, gather_seconds)

    @abstractmethod
    def sync(self, key: Key) -> None:
        """Bring one object nearer to what it should be; an ApiError means: again, later."""

    async def run(self) -> None:
        """Work until cancelled."""
        while True:
            for key in await self.queue.batch():
                self._attempt(key)
                await asyncio.sleep(0)

    def _attempt(self, key: Key) -> None:
        try:
            self.sync(key)
        except ApiError as error:
            _log.debug("%s %s: %s", type(self).__name__, "/".join(key), error)
            self.queue.retry(key)
        except Exception:
            # One object that trips a controller must not stop the work on all others.
            _log.exception("%s %s", type(self).__name__, "/".join(key))
            self.queue.retry(key)
        else:
            self.queue.succeeded(key)
