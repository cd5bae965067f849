"""The DaemonSet controller: one pod on every node that should have one."""

from __future__ import annotations

from veza_nb.sandbox.apimachinery.status import ApiError, Json
from veza_nb.sandbox.apiserver.client import Client
from veza_nb.sandbox.clock import Clock
from veza_nb.sandbox.controllers.base import Controller, Informers
from veza_nb.sandbox.controllers.controllerrevisions import History
from veza_nb.sandbox.controllers.daemonset_pods import (
    HASH_LABEL,
    Fleet,
    Steps,
    build_pod,
    node_of,
)
from veza_nb.sandbox.controllers.events import NORMAL, WARNING, EventRecorder, reference
from veza_nb.sandbox.controllers.informer import Key, key_of
from veza_nb.sandbox.controllers.owners import claim
from veza_nb.sandbox.controllers.podcontrol import PodControl, owners_of_change
from veza_nb.sandbox.controllers.podstates import is_finished

_KIND = "DaemonSet"


class DaemonSetController(Controller):
    """Keeps every DaemonSet's pods, history and status."""

    def __init__(self, client: Client, clock: Clock, informers: Informers) -> None:
        super().__init__(clock)
        self._client = client
        self._informers = informers
        self._recorder = EventRecorder(client, clock, "daemonset-controller")
        self._control = PodControl(client, informers.pods, self._recorder, _KIND)
        self._history = History(client, informers.controller_revisions, _KIND, HASH_LABEL)
        informers.daemon_sets.on_change(self._changed)
        informers.pods.on_change(self._pod_changed)
        informers.nodes.on_change(self._node_changed)

    def sync(self, key: Key) -> None:
        """Take one step with one DaemonSet."""
        item = self._informers.daemon_sets.get(*key)
        if item is None or "deletionTimestamp" in item["metadata"]:
            return
        history = self._history.resolve(item)
        suffix = history.revision["metadata"]["labels"][HASH_LABEL]
        claim(self._client, self._informers.pods, item, "apps/v1", _KIND)
        error = None
        try:
            self._work(item, suffix)
        except ApiError as refused:
            error = refused
        self._write_status(item, self._fleet(item, suffix), history.collisions)
        live = {
            revision["metadata"]["name"]
            for revision in history.every
            if revision["metadata"]["labels"].get(HASH_LABEL) in self._hashes(item) | {suffix}
        }
        self._history.truncate(item, history.every, live)
        if error is not None:
            raise error

    def _work(self, item: Json, suffix: str) -> None:
        self._carry_out(item, self._fleet(item, suffix).manage(), suffix)
        if item["spec"].get("updateStrategy", {}).get("type") == "RollingUpdate":
            self._carry_out(item, self._fleet(item, suffix).roll(), suffix)

    def _carry_out(self, item: Json, steps: Steps, suffix: str) -> None:
        for pod in steps.delete:
            if is_finished(pod):
                self._tell_finished(item, pod)
            self._control.delete(item, pod)
        for node in steps.create_on:
            self._control.create(item, build_pod(item, node, suffix))

    def _tell_finished(self, item: Json, pod: Json) -> None:
        word = pod["status"]["phase"]
        namespace, name = key_of(pod)
        verb = "kill" if word == "Failed" else "delete"
        message = (
            f"Found {word.lower()} daemon pod {namespace}/{name} on node {node_of(pod)}, "
            f"will try to {verb} it"
        )
        kind = WARNING if word == "Failed" else NORMAL
        self._recorder.event(reference(item, _KIND), kind, f"{word}DaemonPod", message)

    def _fleet(self, item: Json, suffix: str) -> Fleet:
        nodes = self._informers.nodes.list()
        pods, clock = self._owned(item), self.clock
        return Fleet(item, nodes, pods, suffix, now=clock.now(), rate=clock.rate)

    def _owned(self, item: Json) -> list[Json]:
        return list(self._informers.pods.select("controller", item["metadata"]["uid"]))

    def _hashes(self, item: Json) -> set[str]:
        labels = (pod["metadata"].get("labels", {}) for pod in self._owned(item))
        return {each.get(HASH_LABEL, "") for each in labels}

    def _write_status(self, item: Json, fleet: Fleet, collisions: int) -> None:
        status, before = fleet.status(), item.get("status", {})
        if collisions:
            status["collisionCount"] = collisions
        if "conditions" in before:
            status["conditions"] = before["conditions"]
        if status != before:
            body = {**item, "status": status}
            written = self._client.update("daemonsets", *key_of(item), body, subresource="status")
            self._informers.daemon_sets.observe(written)
        minimum = item["spec"].get("minReadySeconds", 0)
        if minimum and status["numberReady"] != status.get("numberAvailable", 0):
            self.queue.add_after(key_of(item), minimum)

    def _changed(self, _old: Json | None, new: Json | None) -> None:
        if new is not None:
            self.queue.add(key_of(new))

    def _pod_changed(self, old: Json | None, new: Json | None) -> None:
        for key in owners_of_change(_KIND, old, new):
            self.queue.add(key)

    def _node_changed(self, old: Json | None, new: Json | None) -> None:
        """Only what decides on which nodes pods belong matters, not every heartbeat."""
        if old is not None and new is not None and _placement(old) == _placement(new):
            return
        for item in self._informers.daemon_sets.list():
            self.queue.add(key_of(item))


def _placement(node: Json) -> tuple[object, object]:
    return node["metadata"].get("labels"), node["spec"]
