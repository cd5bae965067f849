"""The control plane: the API and everything that works behind it, in one loop, without sockets."""

from __future__ import annotations

import asyncio
import logging
from collections.abc import Coroutine
from pathlib import Path
from typing import Any

from veza_nb.sandbox.apiserver.access import Access
from veza_nb.sandbox.apiserver.api import Api
from veza_nb.sandbox.apiserver.audit import AuditLog
from veza_nb.sandbox.apiserver.client import Client
from veza_nb.sandbox.apiserver.logs import LogStore
from veza_nb.sandbox.clock import Clock
from veza_nb.sandbox.controllers.autoscaling import HorizontalController
from veza_nb.sandbox.controllers.base import Controller, Informers
from veza_nb.sandbox.controllers.claims import ClaimController
from veza_nb.sandbox.controllers.clusterroles import ClusterRoleController
from veza_nb.sandbox.controllers.cronjob import CronJobController
from veza_nb.sandbox.controllers.daemonset import DaemonSetController
from veza_nb.sandbox.controllers.deployment import DeploymentController
from veza_nb.sandbox.controllers.disruption import DisruptionController
from veza_nb.sandbox.controllers.endpoints import EndpointsController
from veza_nb.sandbox.controllers.events import expire_events
from veza_nb.sandbox.controllers.garbage import GarbageCollector
from veza_nb.sandbox.controllers.gitops import TOOLS, GitOpsController
from veza_nb.sandbox.controllers.job import JobController, JobPodReleaser
from veza_nb.sandbox.controllers.namespaces import NamespaceController
from veza_nb.sandbox.controllers.replicaset import ReplicaSetController
from veza_nb.sandbox.controllers.resourcequota import ResourceQuotaController
from veza_nb.sandbox.controllers.scheduler import Scheduler
from veza_nb.sandbox.controllers.statefulset import StatefulSetController
from veza_nb.sandbox.controllers.taints import TaintController
from veza_nb.sandbox.metrics.measures import Measures
from veza_nb.sandbox.nodes.kubelet import Kubelet
from veza_nb.sandbox.nodes.proxy import Proxy
from veza_nb.sandbox.nodes.releases import Releases, built_in

VERSION = "v1.32.13"
_MANAGER = "kube-controller-manager"
_EXPIRY_SECONDS = 300.0
_log = logging.getLogger(__name__)


class ControlPlane:
    """One cluster. Make it, `start` it inside a running loop, `stop` it there.

    Args:
        clock: the cluster's time.
        releases: how images behave; the built-in catalogue when left out.
        access: who may do what; nobody from outside when left out.
        version: what the server says it is.
        root_certificate: of the server, in PEM, for `kube-root-ca.crt`.
    """

    def __init__(
        self,
        *,
        clock: Clock,
        releases: Releases | None = None,
        access: Access | None = None,
        version: str = VERSION,
        root_certificate: str = "",
    ) -> None:
        self.clock = clock
        self.logs = LogStore()
        self.api = Api(
            clock=clock,
            logs=self.logs,
            access=access or Access(),
            audit=AuditLog(),
            version=version,
        )
        manager = self.client(f"system:{_MANAGER}", _MANAGER)
        self.informers = Informers.of(manager)
        kubelet = self.client("system:node", "kubelet")
        self.kubelet = Kubelet(kubelet, clock, self.informers, releases or built_in(), self.logs)
        scheduler = self.client("system:kube-scheduler", "kube-scheduler")
        self.autoscaler = HorizontalController(manager, clock, self.informers)
        self.controllers: list[Controller] = [
            NamespaceController(manager, clock, self.informers.namespaces, root_certificate),
            DeploymentController(manager, clock, self.informers),
            ReplicaSetController(manager, clock, self.informers),
            StatefulSetController(manager, clock, self.informers),
            DaemonSetController(manager, clock, self.informers),
            JobController(manager, clock, self.informers),
            JobPodReleaser(manager, clock, self.informers),
            CronJobController(manager, clock, self.informers),
            DisruptionController(manager, clock, self.informers),
            self.autoscaler,
            ClaimController(manager, clock, self.informers),
            TaintController(manager, clock, self.informers),
            ResourceQuotaController(manager, clock, self.informers),
            EndpointsController(manager, clock, self.informers),
            ClusterRoleController(manager, clock, self.informers.cluster_roles),
            GarbageCollector(manager, clock, self.informers.owning()),
            Scheduler(scheduler, clock, self.informers),
        ]
        gitops = [
            GitOpsController(
                tool, self.client(f"system:{tool.agent}", tool.agent), clock, self.informers
            )
            for tool in TOOLS
        ]
        self.controllers += gitops
        self._views = [*self.informers.every(), *(each.objects for each in gitops)]
        self.measures = Measures(clock, self.informers, self.kubelet)
        self.api.aggregation.register(self.measures.api)
        self.autoscaler.usage = self.measures.api.cores
        self.api.proxy = Proxy(self.informers, self.kubelet.endpoints).answer
        self._manager = manager
        self._tasks: list[asyncio.Task[None]] = []

    def client(self, user: str, agent: str) -> Client:
        """A client inside the cluster that acts as that user, by that program."""
        return Client(self.api, user=user, agent=agent)

    async def start(self) -> None:
        """Begin to work."""
        for informer in self._views:
            informer.prime()
            self.spawn(informer.run())
        for controller in self.controllers:
            self.spawn(controller.run())

    def audit_from_now_on(self, file: Path | None = None) -> None:
        """Begin a new audit log, so that it does not tell of the time before; maybe in a file."""
        self.api.audit.close()
        self.api.audit = AuditLog(file)

    def expire_events_from_now_on(self) -> None:
        """Drop events that are past their time, now and then again and again."""
        expire_events(self._manager, self.clock)
        self.spawn(self._expire())

    def spawn(self, work: Coroutine[Any, Any, None]) -> None:
        """Run something until the cluster stops."""
        task = asyncio.get_running_loop().create_task(work)
        task.add_done_callback(_complain)
        self._tasks.append(task)

    async def stop(self) -> None:
        """End all work; nothing is left running."""
        await self.kubelet.close()
        for task in self._tasks:
            task.cancel()
        await asyncio.gather(*self._tasks, return_exceptions=True)
        self._tasks.clear()
        self.api.audit.close()

    async def _expire(self) -> None:
        while True:
            await self.clock.sleep(_EXPIRY_SECONDS)
            expire_events(self._manager, self.clock)


def _complain(task: asyncio.Task[None]) -> None:
    if not task.cancelled() and task.exception() is not None:
        _log.error("a part of the cluster has died", exc_info=task.exception())
