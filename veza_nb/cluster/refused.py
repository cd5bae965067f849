"""Why pods do not come, where no condition says so: StatefulSets and DaemonSets tell in events."""

from msgspec.structs import replace

from veza_nb.clock import Deadline
from veza_nb.cluster.client import Cluster
from veza_nb.errors import VezaError
from veza_nb.objects import Event, Workload
from veza_nb.vocabulary import WorkloadKind

PAUSE = 3.0
"""Seconds for which what was read holds; asked only while pods are missing."""


class Refused:
    """The events of one workload, added to what is seen of it while pods are missing.

    Args:
        cluster: where.
        name: of the workload.
    """

    def __init__(self, cluster: Cluster, name: str) -> None:
        self._cluster = cluster
        self._name = name
        self._events: tuple[Event, ...] = ()
        self._fresh: Deadline | None = None

    def told(self, workload: Workload) -> Workload:
        """The same look, with the events that may explain it."""
        deployment = workload.deployment
        missing = len(workload.pods) < deployment.spec.replicas
        if deployment.kind is WorkloadKind.DEPLOYMENT or not missing:
            return workload
        if self._fresh is None or self._fresh.passed:
            self._read()
        return replace(workload, events=self._events)

    def _read(self) -> None:
        self._fresh = Deadline.after(self._cluster.clock, PAUSE)
        try:
            self._events = self._cluster.events([self._name])
        except VezaError:
            self._events = ()  # events explain; pods decide
