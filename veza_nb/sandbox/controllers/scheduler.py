"""The scheduler: gives each pod a node, in turn, among those that may take it."""

from __future__ import annotations

from collections.abc import Callable
from contextlib import suppress

from veza_nb.sandbox.apimachinery.status import ApiError, Json
from veza_nb.sandbox.apiserver.client import Client
from veza_nb.sandbox.clock import Clock, timestamp
from veza_nb.sandbox.controllers.base import Controller, Informers
from veza_nb.sandbox.controllers.events import NORMAL, WARNING, EventRecorder, reference
from veza_nb.sandbox.controllers.fitting import NodeBooks, explain, fitting, need_of, room_of
from veza_nb.sandbox.controllers.informer import Key, key_of
from veza_nb.sandbox.controllers.neighbours import Neighbours, minds_neighbours, terms

_RETRY_SECONDS = 300.0


class Scheduler(Controller):
    """Binds pods without a node."""

    def __init__(self, client: Client, clock: Clock, informers: Informers) -> None:
        super().__init__(clock)
        self._client = client
        self._informers = informers
        self._recorder = EventRecorder(client, clock, "default-scheduler")
        self._turn = 0
        self._books = NodeBooks()
        self._refused: dict[Key, tuple[str, float]] = {}
        # Pods that keep others away from where they are.
        self._particular: set[str] = set()
        informers.pods.on_change(self._pod_changed)
        informers.nodes.on_change(self._node_changed)

    def sync(self, key: Key) -> None:
        """Bind one pod, or say why it cannot be bound."""
        pod = self._informers.pods.get(*key)
        if pod is None or not _is_waiting(pod):
            self._refused.pop(key, None)
            return
        need = need_of(pod)
        nodes, others = list(self._informers.nodes.list()), self._neighbours(pod)
        told = others.obstacle if others is not None else None
        names, obstacles = fitting(pod, need, nodes, self._books.load, told)
        if not names:
            self._refuse(pod, explain(obstacles))
            return
        self._turn += 1
        node = names[self._turn % len(names)]
        # Booked before it is seen, so that the next pod does not take the same room.
        self._books.place(pod, node, need)
        try:
            self._bind(pod, node)
        except ApiError as error:
            self._books.remove(pod["metadata"]["uid"])
            if error.code not in (404, 409):
                raise
        self._refused.pop(key, None)
        if others is not None:
            self._see(key)

    def _neighbours(self, pod: Json) -> Neighbours | None:
        """The pods around, where they matter to this pod or it to them."""
        if not self._particular and not minds_neighbours(pod):
            return None
        nodes = {node["metadata"]["name"]: node for node in self._informers.nodes.list()}
        placed = [each for each in self._informers.pods.list() if each["spec"].get("nodeName")]
        return Neighbours(pod, nodes, placed)

    def _see(self, key: Key) -> None:
        """Look at a pod that was just bound, so that the next one knows of its neighbour."""
        with suppress(ApiError):
            self._informers.pods.observe(self._client.get("pods", *key))

    def _bind(self, pod: Json, node: str) -> None:
        namespace, name = key_of(pod)
        binding = {
            "apiVersion": "v1",
            "kind": "Binding",
            "metadata": {"name": name, "namespace": namespace, "uid": pod["metadata"]["uid"]},
            "target": {"kind": "Node", "name": node},
        }
        self._client.create("pods", namespace, binding, name=name, subresource="binding")
        message = f"Successfully assigned {namespace}/{name} to {node}"
        self._recorder.once(reference(pod, "Pod"), NORMAL, "Scheduled", message, "Binding")

    def _refuse(self, pod: Json, message: str) -> None:
        """Say why a pod cannot be bound; the same words only once in a while."""
        key, now = key_of(pod), self.clock.monotonic()
        told, since = self._refused.get(key, ("", now))
        if told != message or now - since >= _RETRY_SECONDS:
            about = reference(pod, "Pod")
            self._recorder.once(about, WARNING, "FailedScheduling", message, "Scheduling")
            since = now
        self._refused[key] = message, since
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
        self._note(old, new)
        if self._books.changed(new, old):
            self._try_all()
        elif self._refused and _is_arrival(old, new):
            self._try_all(minds_neighbours)
        if old is None and new is not None and _is_waiting(new):
            self.queue.add(key_of(new))

    def _note(self, old: Json | None, new: Json | None) -> None:
        if old is None and new is not None and terms(new, "podAntiAffinity"):
            self._particular.add(new["metadata"]["uid"])
        elif new is None and old is not None:
            self._particular.discard(old["metadata"]["uid"])
            self._refused.pop(key_of(old), None)

    def _node_changed(self, old: Json | None, new: Json | None) -> None:
        """A new or changed node may take those who wait; a heartbeat changes nothing."""
        if old is None or new is None or room_of(old) != room_of(new):
            self._try_all()

    def _try_all(self, chosen: Callable[[Json], bool] = bool) -> None:
        for key in self._refused:
            pod = self._informers.pods.get(*key)
            if pod is not None and chosen(pod):
                self.queue.add(key)


def _is_arrival(old: Json | None, new: Json | None) -> bool:
    """Whether a pod has just got its node."""
    had = old is not None and bool(old["spec"].get("nodeName"))
    return new is not None and bool(new["spec"].get("nodeName")) and not had


def _is_waiting(pod: Json) -> bool:
    ours = pod["spec"].get("schedulerName", "default-scheduler") == "default-scheduler"
    waiting = not pod["spec"].get("nodeName") and "deletionTimestamp" not in pod["metadata"]
    return ours and waiting
