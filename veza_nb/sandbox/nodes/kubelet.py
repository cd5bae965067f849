"""The kubelet of every node: takes in the pods that are bound to it, lets them go at their end.

There are no tasks per pod, only timers on the cluster's clock: a pod that runs well costs nothing.
"""

from __future__ import annotations

from veza_nb.sandbox.apimachinery.status import Json
from veza_nb.sandbox.apiserver.client import Client
from veza_nb.sandbox.apiserver.logs import LogStore
from veza_nb.sandbox.clock import Clock
from veza_nb.sandbox.controllers.base import Informers
from veza_nb.sandbox.nodes.adoption import has_begun
from veza_nb.sandbox.nodes.endpoint import Endpoints
from veza_nb.sandbox.nodes.host import Host
from veza_nb.sandbox.nodes.podstatus import FINISHED
from veza_nb.sandbox.nodes.podworker import PodWorker
from veza_nb.sandbox.nodes.programs import Process
from veza_nb.sandbox.nodes.releases import Releases


class Kubelet:
    """Runs the pods of all nodes.

    Args:
        client: acts as the nodes' kubelets.
        clock: the cluster's time.
        informers: where pods and nodes are seen.
        releases: how images behave.
        logs: where containers print.
    """

    def __init__(
        self,
        client: Client,
        clock: Clock,
        informers: Informers,
        releases: Releases,
        logs: LogStore,
    ) -> None:
        self._host = Host(client, clock, informers, releases, logs)
        self._pods: dict[str, PodWorker] = {}
        informers.pods.on_change(self._changed)

    @property
    def endpoints(self) -> Endpoints:
        """What listens in the pods: every request to a pod passes there."""
        return self._host.endpoints

    @property
    def releases(self) -> Releases:
        """How images behave."""
        return self._host.releases

    @releases.setter
    def releases(self, releases: Releases) -> None:
        self._host.learn(releases)

    def process(self, pod_uid: str, container: str) -> Process | None:
        """The real program that runs in a container, if one does."""
        pod = self._pods.get(pod_uid)
        workers = () if pod is None else pod.workers
        found = (worker.process for worker in workers if worker.container.name == container)
        return next(found, None)

    async def close(self) -> None:
        """Forget all pods and their timers; every program is ended and waited for."""
        for uid in list(self._pods):
            self._drop(uid)
        await self._host.close()

    def _changed(self, old: Json | None, new: Json | None) -> None:
        if new is None:
            if old is not None:
                self._drop(old["metadata"]["uid"])
            return
        pod = self._pods.get(new["metadata"]["uid"])
        if pod is None:
            if new["spec"].get("nodeName"):
                self._admit(new)
            return
        pod.item = new
        if "deletionTimestamp" in new["metadata"]:
            pod.stop(_grace(new))

    def _admit(self, item: Json) -> None:
        leaving = "deletionTimestamp" in item["metadata"]
        if not leaving and item.get("status", {}).get("phase") in FINISHED:
            return
        pod = PodWorker(self._host, item)
        self._pods[pod.uid] = pod
        if leaving:
            pod.stop(_grace(item))
        elif has_begun(item):
            pod.adopt()
        else:
            pod.start()

    def _drop(self, uid: str) -> None:
        pod = self._pods.pop(uid, None)
        if pod is not None:
            pod.drop()


def _grace(item: Json) -> float:
    return float(item["metadata"].get("deletionGracePeriodSeconds") or 0)
