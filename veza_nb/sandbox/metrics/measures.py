"""All measuring in one place: what a control plane holds, and what its ports and APIs ask."""

from __future__ import annotations

from collections.abc import Iterator

from veza_nb.sandbox.apimachinery.status import Json
from veza_nb.sandbox.clock import Clock
from veza_nb.sandbox.controllers.base import Informers
from veza_nb.sandbox.metrics import containers, exposition, state, targets
from veza_nb.sandbox.metrics.api import MetricsApi
from veza_nb.sandbox.metrics.pods import Pages
from veza_nb.sandbox.metrics.processes import Processes
from veza_nb.sandbox.metrics.traffic import Traffic
from veza_nb.sandbox.nodes.behaviors import Behavior
from veza_nb.sandbox.nodes.kubelet import Kubelet


class Measures:
    """What a cluster measures.

    Args:
        clock: the cluster's time.
        informers: where its objects are seen.
        kubelet: knows how images behave, and is asked whatever pods are asked.

    Attributes:
        api: `metrics.k8s.io`.
    """

    def __init__(self, clock: Clock, informers: Informers, kubelet: Kubelet) -> None:
        self._informers = informers
        self._kubelet = kubelet
        self._traffic = Traffic(clock, informers)
        self._processes = Processes(clock, self._traffic, self._behavior)
        self._pages = Pages(self._traffic, self._processes)
        self.api = MetricsApi(clock, informers, self._processes)
        kubelet.endpoints.on_request(self._traffic.observe)
        kubelet.endpoints.own_page("/metrics", self._own_page)

    def pod(self, namespace: str, name: str) -> str | None:
        """A pod's page as text; None while nothing runs in it.

        Raises:
            LookupError: There is no such pod.
        """
        found = self._informers.pods.get(namespace, name)
        if found is None:
            raise LookupError(f"no pod {namespace}/{name}")
        page = self._pages.page(found)
        return None if page is None else exposition.text(page)

    def state(self) -> Iterator[str]:
        """The page about the cluster's objects, line by line."""
        return exposition.lines(state.families(self._informers))

    def containers(self) -> Iterator[str]:
        """The page about all containers, line by line."""
        pods = self._informers.pods.list()
        return exposition.lines(containers.families(pods, self._processes))

    def targets(self, address: str) -> list[Json]:
        """Which pods to scrape, when the pages are at that address."""
        return targets.targets(self._informers, address)

    def _behavior(self, image: str) -> Behavior:
        # Asked afresh each time: an exercise may give an image another behaviour.
        return self._kubelet.releases.acting(image)

    def _own_page(self, uid: str) -> tuple[str, str]:
        pod = self._traffic.pod(uid)
        page = self._pages.page(pod) if pod is not None else None
        return exposition.CONTENT_TYPE, exposition.text(page or [])
