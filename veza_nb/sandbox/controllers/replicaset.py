"""The ReplicaSet controller: as many pods as `spec.replicas` says, and a status that counts."""

from __future__ import annotations

import copy
from collections.abc import Sequence
from dataclasses import dataclass
from datetime import datetime

from veza_nb.sandbox.apimachinery.selectors import from_object
from veza_nb.sandbox.apimachinery.status import ApiError, Json
from veza_nb.sandbox.apiserver.client import Client
from veza_nb.sandbox.clock import Clock, parse_timestamp, span, timestamp
from veza_nb.sandbox.controllers import ranking
from veza_nb.sandbox.controllers.base import Controller, Informers
from veza_nb.sandbox.controllers.conditions import get_condition, remove_condition
from veza_nb.sandbox.controllers.deployment_status import REPLICA_FAILURE
from veza_nb.sandbox.controllers.events import EventRecorder
from veza_nb.sandbox.controllers.informer import Key, controller_of, key_of
from veza_nb.sandbox.controllers.owners import adopt, keep
from veza_nb.sandbox.controllers.podcontrol import PodControl, pod_from_template
from veza_nb.sandbox.controllers.rollout import replicas_of
from veza_nb.sandbox.controllers.tally import Counts, Tally, is_active

_KIND = "ReplicaSet"
_REACT_SECONDS = 0.002
# Quicker than a Deployment takes its next step: pods that must go are on their way before pods
# that replace them are made.
_COUNT_FIRST_SECONDS, _COUNT_SECONDS, _COUNT_SECONDS_PER_POD = 0.003, 0.010, 100e-6
# As in recorded watches, the first pods of a new ReplicaSet are counted at once, and all other
# changes later than a Deployment's next step, which therefore still sees the counts of before.
# The more pods, the more changes are counted together.
BURST = 50
"""Pods created or deleted in one go; the rest follows after others had their turn."""
_STRIDE = 10 * BURST
"""Pods created or deleted before all are counted again."""


@dataclass(slots=True)
class _Stride:
    """What is left of a decision about many pods, as long as the ReplicaSet stays as it was."""

    generation: int
    create: int
    delete: list[Json]


def is_available(pod: Json, min_ready_seconds: int, now: datetime, rate: float = 1.0) -> bool:
    """Whether a pod is ready and has been for long enough; `rate` is the clock's."""
    ready = get_condition(pod.get("status", {}), "Ready")
    if ready is None or ready["status"] != "True":
        return False
    if min_ready_seconds == 0:
        return True
    since = parse_timestamp(ready["lastTransitionTime"])
    return since + span(min_ready_seconds, rate) <= now


def calculate_status(
    replica_set: Json, counts: Counts, available: int, failure: Json | None
) -> Json:
    """The status for these counts; `failure` is the condition to show, None for none."""
    template = replica_set["spec"]["template"]
    numbers = {
        "fullyLabeledReplicas": counts.labeled(template["metadata"]["labels"].items()),
        "readyReplicas": counts.ready,
        "availableReplicas": available,
        "observedGeneration": replica_set["metadata"].get("generation", 0),
    }
    status: Json = {"replicas": counts.active, **{key: n for key, n in numbers.items() if n}}
    conditions = copy.deepcopy(replica_set.get("status", {}).get("conditions", []))
    if conditions:
        status["conditions"] = conditions
    if failure is None:
        remove_condition(status, REPLICA_FAILURE)
    elif get_condition(status, REPLICA_FAILURE) is None:
        status.setdefault("conditions", []).append(failure)
    return status


class ReplicaSetController(Controller):
    """Creates and deletes pods, and keeps every ReplicaSet's status."""

    def __init__(self, client: Client, clock: Clock, informers: Informers) -> None:
        super().__init__(clock, _REACT_SECONDS)
        self._client = client
        self._informers = informers
        recorder = EventRecorder(client, clock, "replicaset-controller")
        self._control = PodControl(client, informers.pods, recorder, _KIND)
        self._strides: dict[Key, _Stride] = {}
        self._tally = Tally(informers.pods, _KIND)
        informers.replica_sets.on_change(self._replica_set_changed)
        informers.pods.on_change(self._pod_changed)

    def sync(self, key: Key) -> None:
        """Take one step with one ReplicaSet."""
        item = self._informers.replica_sets.get(*key)
        if item is None:
            self._strides.pop(key, None)
            return
        if self._go_on(item):
            return
        counts, available = self._claim(item)
        error, failure = None, None
        if "deletionTimestamp" not in item["metadata"]:
            try:
                self._manage(item, counts.active)
            except ApiError as refused:
                error, failure = refused, self._failure(item, counts.active, refused)
        self._write_status(item, calculate_status(item, counts, available, failure))
        if error is not None:
            raise error

    def _claim(self, item: Json) -> tuple[Counts, int]:
        """Adopt and release; return the counts then, and how many pods are available."""
        pods, uid = self._informers.pods, item["metadata"]["uid"]
        unseen = self._tally.take_unseen(uid)
        found = [pod for key in unseen if (pod := pods.get(*key)) is not None]
        try:
            keep(self._client, pods, item, found)
        except ApiError:
            self._tally.put_back(uid, unseen)
            raise
        adopt(self._client, pods, item, "apps/v1", _KIND)
        counts = self._tally.counts(uid)
        minimum, now = item["spec"].get("minReadySeconds", 0), self.clock.now()
        if not minimum:
            return counts, counts.ready
        rate = self.clock.rate
        return counts, sum(is_available(pod, minimum, now, rate) for pod in self._active(item))

    def _active(self, item: Json) -> list[Json]:
        owned = self._informers.pods.select("controller", item["metadata"]["uid"])
        return [pod for pod in owned if is_active(pod)]

    def _manage(self, item: Json, present: int) -> None:
        missing = replicas_of(item) - present
        stride = _Stride(_generation(item), max(0, min(missing, _STRIDE)), [])
        if missing < 0:
            active = self._active(item)
            count, related = min(-missing, _STRIDE), self._related(item, active)
            stride.delete = ranking.pods_to_delete(active, count, related, self.clock.now())
        if abs(missing) > BURST:
            self._strides[key_of(item)] = stride
            self.queue.add(key_of(item))
        self._burst(item, stride)

    def _go_on(self, item: Json) -> bool:
        """Take the next part of what was decided; say whether there is more of it to come."""
        stride = self._strides.pop(key_of(item), None)
        if stride is None or stride.generation != _generation(item):
            return False
        if "deletionTimestamp" in item["metadata"] or not (stride.create or stride.delete):
            return False
        self._burst(item, stride)
        self._strides[key_of(item)] = stride
        self.queue.add(key_of(item))
        return True

    def _burst(self, item: Json, stride: _Stride) -> None:
        template = item["spec"]["template"]
        for _ in range(min(stride.create, BURST)):
            self._control.create(item, pod_from_template(item, template, "apps/v1", _KIND))
        stride.create = max(0, stride.create - BURST)
        for pod in stride.delete[:BURST]:
            self._control.delete(item, pod)
        del stride.delete[:BURST]

    def _related(self, item: Json, active: Sequence[Json]) -> list[Json]:
        """Active pods of all ReplicaSets that share this one's owner."""
        owner = controller_of(item)
        if owner is None:
            return list(active)
        siblings = self._informers.replica_sets.select("controller", owner["uid"])
        return [pod for sibling in siblings for pod in self._active(sibling)]

    def _failure(self, item: Json, present: int, error: ApiError) -> Json:
        creating = present < replicas_of(item)
        return {
            "type": REPLICA_FAILURE,
            "status": "True",
            "lastTransitionTime": timestamp(self.clock.now()),
            "reason": "FailedCreate" if creating else "FailedDelete",
            "message": error.message,
        }

    def _write_status(self, item: Json, status: Json) -> None:
        if status != item.get("status", {}):
            namespace, name = key_of(item)
            body = {**item, "status": status}
            written = self._client.update(
                "replicasets", namespace, name, body, subresource="status"
            )
            self._informers.replica_sets.observe(written)
        minimum = item["spec"].get("minReadySeconds", 0)
        waiting = status.get("readyReplicas", 0) != status.get("availableReplicas", 0)
        if minimum and waiting:
            self.queue.add_after(key_of(item), minimum)

    def _replica_set_changed(self, old: Json | None, new: Json | None) -> None:
        """A change of nothing but the status, by this controller itself, asks for nothing."""
        if new is not None and (old is None or _generation(old) != _generation(new)):
            self.queue.add(key_of(new))

    def _pod_changed(self, old: Json | None, new: Json | None) -> None:
        for pod in (old, new):
            owner = controller_of(pod) if pod is not None else None
            if pod is new and pod is not None and owner is None:
                self._orphan_seen(pod)
            if pod is None or owner is None or owner["kind"] != _KIND:
                continue
            key = (pod["metadata"]["namespace"], owner["name"])
            item = self._informers.replica_sets.get(*key)
            if item is not None:
                self.queue.add_after(key, _count_after(item))

    def _orphan_seen(self, pod: Json) -> None:
        """A pod without a controller may be one that a ReplicaSet is to adopt."""
        for item in self._informers.replica_sets.select("namespace", pod["metadata"]["namespace"]):
            if from_object(item["spec"]["selector"]).matches(pod["metadata"].get("labels")):
                self.queue.add(key_of(item))


def _count_after(item: Json) -> float:
    """Seconds until a ReplicaSet's changed pods are counted."""
    size = item.get("status", {}).get("replicas", 0)
    first = _COUNT_FIRST_SECONDS if _generation(item) == 1 and not size else _COUNT_SECONDS
    return float(first + size * _COUNT_SECONDS_PER_POD)


def _generation(item: Json) -> int:
    generation: int = item["metadata"].get("generation", 0)
    return generation
