"""The scheduler: gives each pod a node, in turn, among those that may take it."""

from __future__ import annotations

from collections.abc import Iterable, Sequence

from veza_nb.sandbox.apimachinery.status import ApiError, Json
from veza_nb.sandbox.apiserver.client import Client
from veza_nb.sandbox.clock import Clock, timestamp
from veza_nb.sandbox.controllers.base import Controller, Informers
from veza_nb.sandbox.controllers.events import NORMAL, WARNING, EventRecorder, reference
from veza_nb.sandbox.controllers.informer import Key, key_of

_RETRY_SECONDS = 5.0


def fitting_nodes(pod: Json, nodes: Iterable[Json]) -> list[str]:
    """Names of the nodes that are schedulable and carry the labels the pod asks for, sorted."""
    wanted = pod["spec"].get("nodeSelector", {}).items()
    return sorted(
        node["metadata"]["name"]
        for node in nodes
        if not node["spec"].get("unschedulable")
        and wanted <= node["metadata"].get("labels", {}).items()
    )


def why_unschedulable(pod: Json, nodes: Sequence[Json]) -> str:
    """What the scheduler says about a pod that no node can take."""
    cordoned = sum(1 for node in nodes if node["spec"].get("unschedulable"))
    other = len(nodes) - cordoned
    reasons = []
    if other and pod["spec"].get("nodeSelector"):
        reasons.append(f"{other} node(s) didn't match Pod's node affinity/selector")
    if cordoned:
        reasons.append(f"{cordoned} node(s) were unschedulable")
    if not reasons:
        return "no nodes available to schedule pods"
    helpless = f"{len(nodes)} Preemption is not helpful for scheduling"
    return (
        f"0/{len(nodes)} nodes are available: {', '.join(reasons)}. "
        f"preemption: 0/{len(nodes)} nodes are available: {helpless}."
    )


class Scheduler(Controller):
    """Binds pods without a node."""

    def __init__(self, client: Client, clock: Clock, informers: Informers) -> None:
        super().__init__(clock)
        self._client = client
        self._informers = informers
        self._recorder = EventRecorder(client, clock, "default-scheduler")
        self._turn = 0
        informers.pods.on_change(self._pod_changed)
        informers.nodes.on_change(self._node_changed)

    def sync(self, key: Key) -> None:
        """Bind one pod, or say why it cannot be bound."""
        pod = self._informers.pods.get(*key)
        if pod is None or not _is_waiting(pod):
            return
        nodes = list(self._informers.nodes.list())
        names = fitting_nodes(pod, nodes)
        if names:
            self._turn += 1
            self._bind(pod, names[self._turn % len(names)])
        else:
            self._refuse(pod, why_unschedulable(pod, nodes))

    def _bind(self, pod: Json, node: str) -> None:
        namespace, name = key_of(pod)
        binding = {
            "apiVersion": "v1",
            "kind": "Binding",
            "metadata": {"name": name, "namespace": namespace, "uid": pod["metadata"]["uid"]},
            "target": {"kind": "Node", "name": node},
        }
        try:
            self._client.create("pods", namespace, binding, name=name, subresource="binding")
        except ApiError as error:
            if error.code in (404, 409):
                return
            raise
        message = f"Successfully assigned {namespace}/{name} to {node}"
        self._recorder.once(reference(pod, "Pod"), NORMAL, "Scheduled", message, "Binding")

    def _refuse(self, pod: Json, message: str) -> None:
        about = reference(pod, "Pod")
        self._recorder.once(about, WARNING, "FailedScheduling", message, "Scheduling")
        condition = {
            "type": "PodScheduled",
            "status": "False",
            "reason": "Unschedulable",
            "message": message,
        }
        known = pod.get("status", {}).get("conditions", [])
        if not any(condition.items() <= item.items() for item in known):
            self._write_condition(pod, condition)
        self.queue.add_after(key_of(pod), _RETRY_SECONDS)

    def _write_condition(self, pod: Json, condition: Json) -> None:
        namespace, name = key_of(pod)
        condition |= {"lastProbeTime": None, "lastTransitionTime": timestamp(self.clock.now())}
        patch = {"status": {"conditions": [condition]}}
        written = self._client.patch("pods", namespace, name, patch, subresource="status")
        self._informers.pods.observe(written)

    def _pod_changed(self, old: Json | None, new: Json | None) -> None:
        if old is None and new is not None and _is_waiting(new):
            self.queue.add(key_of(new))

    def _node_changed(self, _old: Json | None, _new: Json | None) -> None:
        """A new or changed node may take those who wait."""
        for pod in self._informers.pods.list():
            if _is_waiting(pod):
                self.queue.add(key_of(pod))


def _is_waiting(pod: Json) -> bool:
    ours = pod["spec"].get("schedulerName", "default-scheduler") == "default-scheduler"
    waiting = not pod["spec"].get("nodeName") and "deletionTimestamp" not in pod["metadata"]
    return ours and waiting
