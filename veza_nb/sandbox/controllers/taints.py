"""Taints: the one that a cordon puts on a node, and the pods that a NoExecute taint drives off."""

from __future__ import annotations

from collections.abc import Iterable

from veza_nb.sandbox.apimachinery.status import ApiError, Json
from veza_nb.sandbox.apiserver.client import Client
from veza_nb.sandbox.clock import Clock, parse_timestamp, timestamp
from veza_nb.sandbox.controllers.base import Controller, Informers
from veza_nb.sandbox.controllers.events import NORMAL, EventRecorder, reference
from veza_nb.sandbox.controllers.fitting import UNSCHEDULABLE_TAINT, covers, tolerates
from veza_nb.sandbox.controllers.informer import Key, key_of
from veza_nb.sandbox.controllers.podcontrol import delete_pod
from veza_nb.sandbox.controllers.podstates import is_terminating

_NO_SCHEDULE, _NO_EXECUTE = "NoSchedule", "NoExecute"


def with_cordon(node: Json, now: str) -> list[Json]:
    """The taints that a node should have, given whether it is cordoned."""
    taints: list[Json] = node["spec"].get("taints") or []
    others = [taint for taint in taints if taint["key"] != UNSCHEDULABLE_TAINT]
    if not node["spec"].get("unschedulable"):
        return others
    if len(others) < len(taints):
        return taints
    return [*others, {"effect": _NO_SCHEDULE, "key": UNSCHEDULABLE_TAINT, "timeAdded": now}]


def seconds_to_stay(pod: Json, taints: Iterable[Json]) -> float | None:
    """How long a pod may stay on a node with these NoExecute taints; None: as long as it likes."""
    tolerations = pod["spec"].get("tolerations") or ()
    limits: list[float] = []
    for taint in taints:
        if not tolerates(tolerations, taint):
            return 0.0
        limits += [
            float(each["tolerationSeconds"])
            for each in tolerations
            if each.get("tolerationSeconds") is not None and covers(each, taint)
        ]
    return min(limits, default=None)


class TaintController(Controller):
    """Marks cordoned nodes, and deletes pods that do not tolerate where they are."""

    def __init__(self, client: Client, clock: Clock, informers: Informers) -> None:
        super().__init__(clock)
        self._client = client
        self._informers = informers
        self._recorder = EventRecorder(client, clock, "taint-eviction-controller")
        informers.nodes.on_change(self._node_changed)
        informers.pods.on_change(self._pod_changed)

    def sync(self, key: Key) -> None:
        """Look after one node."""
        node = self._informers.nodes.get(*key)
        if node is None:
            return
        wanted = with_cordon(node, timestamp(self.clock.now()))
        if wanted != (node["spec"].get("taints") or []):
            patch = {
                "metadata": {"resourceVersion": node["metadata"]["resourceVersion"]},
                "spec": {"taints": wanted or None},
            }
            self._informers.nodes.observe(self._client.patch("nodes", None, key[1], patch))
        driving = [taint for taint in wanted if taint["effect"] == _NO_EXECUTE]
        if driving:
            self._drive_off(node, driving)

    def _drive_off(self, node: Json, taints: list[Json]) -> None:
        name = node["metadata"]["name"]
        for pod in list(self._informers.pods.list()):
            if pod["spec"].get("nodeName") != name or is_terminating(pod):
                continue
            stay = seconds_to_stay(pod, taints)
            if stay is None:
                continue
            left = self._left(taints, stay) if stay else 0.0
            if left > 0:
                self.queue.add_after(key_of(node), left)
            else:
                self._evict(pod)

    def _left(self, taints: Iterable[Json], stay: float) -> float:
        """Seconds that are left of a stay that began with the newest taint."""
        since = max((taint.get("timeAdded", "") for taint in taints), default="")
        now, rate = self.clock.now(), self.clock.rate
        begun = parse_timestamp(since) if since else now
        return (begun + self.clock.span(stay) - now).total_seconds() * rate

    def _evict(self, pod: Json) -> None:
        namespace, name = key_of(pod)
        message = f"Marking for deletion Pod {namespace}/{name}"
        about = reference(pod, "Pod")
        self._recorder.event(about, NORMAL, "TaintManagerEviction", message)
        try:
            delete_pod(self._client, self._informers.pods, pod)
        except ApiError as error:
            if error.code != 404:
                raise

    def _node_changed(self, old: Json | None, new: Json | None) -> None:
        if new is not None and (old is None or old["spec"] != new["spec"]):
            self.queue.add(key_of(new))

    def _pod_changed(self, old: Json | None, new: Json | None) -> None:
        """A pod that comes to a node which drives pods off must go, too."""
        name = new["spec"].get("nodeName") if new is not None else None
        if not name or (old is not None and old["spec"].get("nodeName") == name):
            return
        node = self._informers.nodes.get("", name)
        taints = node["spec"].get("taints") if node is not None else None
        if any(taint["effect"] == _NO_EXECUTE for taint in taints or ()):
            self.queue.add(("", name))
