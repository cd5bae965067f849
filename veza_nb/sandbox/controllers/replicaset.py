"""The ReplicaSet controller: as many pods as `spec.replicas` says, and a status that counts."""

from __future__ import annotations

import copy
from collections.abc import Sequence
from datetime import datetime, timedelta

from veza_nb.sandbox.apimachinery.selectors import from_object
from veza_nb.sandbox.apimachinery.status import ApiError, Json
from veza_nb.sandbox.apiserver.client import Client
from veza_nb.sandbox.clock import Clock, parse_timestamp, timestamp
from veza_nb.sandbox.controllers import ranking
from veza_nb.sandbox.controllers.base import Controller, Informers
from veza_nb.sandbox.controllers.conditions import get_condition, remove_condition
from veza_nb.sandbox.controllers.deployment_status import REPLICA_FAILURE
from veza_nb.sandbox.controllers.events import NORMAL, WARNING, EventRecorder, reference
from veza_nb.sandbox.controllers.informer import Key, controller_of, key_of
from veza_nb.sandbox.controllers.owners import claim
from veza_nb.sandbox.controllers.revisions import owner_reference
from veza_nb.sandbox.controllers.rollout import replicas_of

_REACT_SECONDS = 0.002
# Quicker than a Deployment takes its next step: pods that must go are on their way before pods
# that replace them are made.
_COUNT_FIRST_SECONDS, _COUNT_SECONDS, _COUNT_SECONDS_PER_POD = 0.003, 0.010, 100e-6
# As in recorded watches, the first pods of a new ReplicaSet are counted at once, and all other
# changes later than a Deployment's next step, which therefore still sees the counts of before.
# The more pods, the more changes are counted together.
BURST = 50
"""Pods created or deleted in one go; the rest follows after others had their turn."""


def is_active(pod: Json) -> bool:
    """Whether a pod counts: not finished, not being deleted."""
    phase = pod.get("status", {}).get("phase")
    return phase not in ("Succeeded", "Failed") and "deletionTimestamp" not in pod["metadata"]


def is_available(pod: Json, min_ready_seconds: int, now: datetime) -> bool:
    """Whether a pod is ready and has been for long enough."""
    ready = get_condition(pod.get("status", {}), "Ready")
    if ready is None or ready["status"] != "True":
        return False
    since = parse_timestamp(ready["lastTransitionTime"])
    return min_ready_seconds == 0 or since + timedelta(seconds=min_ready_seconds) <= now


def calculate_status(
    replica_set: Json, pods: Sequence[Json], failure: Json | None, now: datetime
) -> Json:
    """The status for these active pods; `failure` is the condition to show, None for none."""
    minimum = replica_set["spec"].get("minReadySeconds", 0)
    labels = from_object({"matchLabels": replica_set["spec"]["template"]["metadata"]["labels"]})
    counts = {
        "fullyLabeledReplicas": sum(labels.matches(pod["metadata"].get("labels")) for pod in pods),
        "readyReplicas": sum(is_available(pod, 0, now) for pod in pods),
        "availableReplicas": sum(is_available(pod, minimum, now) for pod in pods),
        "observedGeneration": replica_set["metadata"].get("generation", 0),
    }
    status: Json = {"replicas": len(pods), **{key: n for key, n in counts.items() if n}}
    conditions = copy.deepcopy(replica_set.get("status", {}).get("conditions", []))
    if conditions:
        status["conditions"] = conditions
    if failure is None:
        remove_condition(status, REPLICA_FAILURE)
    elif get_condition(status, REPLICA_FAILURE) is None:
        status.setdefault("conditions", []).append(failure)
    return status


def build_pod(replica_set: Json) -> Json:
    """A pod from the ReplicaSet's template; the API completes its name."""
    template = replica_set["spec"]["template"]
    metadata: Json = {
        "generateName": f"{replica_set['metadata']['name']}-",
        "namespace": replica_set["metadata"]["namespace"],
        "labels": dict(template["metadata"].get("labels", {})),
        "ownerReferences": [owner_reference(replica_set, "apps/v1", "ReplicaSet")],
    }
    if template["metadata"].get("annotations"):
        metadata["annotations"] = dict(template["metadata"]["annotations"])
    spec = copy.deepcopy(template["spec"])
    return {"apiVersion": "v1", "kind": "Pod", "metadata": metadata, "spec": spec}


class ReplicaSetController(Controller):
    """Creates and deletes pods, and keeps every ReplicaSet's status."""

    def __init__(self, client: Client, clock: Clock, informers: Informers) -> None:
        super().__init__(clock, _REACT_SECONDS)
        self._client = client
        self._informers = informers
        self._recorder = EventRecorder(client, clock, "replicaset-controller")
        informers.replica_sets.on_change(self._replica_set_changed)
        informers.pods.on_change(self._pod_changed)

    def sync(self, key: Key) -> None:
        """Take one step with one ReplicaSet."""
        item = self._informers.replica_sets.get(*key)
        if item is None:
            return
        pods = self._informers.pods
        owned = claim(self._client, pods, item, "apps/v1", "ReplicaSet")
        active = [pod for pod in owned if is_active(pod)]
        error, failure = None, None
        if "deletionTimestamp" not in item["metadata"]:
            try:
                self._manage(item, active)
            except ApiError as refused:
                error, failure = refused, self._failure(item, active, refused)
        self._write_status(item, active, failure)
        if error is not None:
            raise error

    def _manage(self, item: Json, active: Sequence[Json]) -> None:
        missing = replicas_of(item) - len(active)
        if abs(missing) > BURST:
            self.queue.add(key_of(item))
        for _ in range(min(missing, BURST)):
            self._create_pod(item)
        if missing < 0:
            count = min(-missing, BURST)
            related = self._related(item, active)
            for pod in ranking.pods_to_delete(active, count, related, self.clock.now()):
                self._delete_pod(item, pod)

    def _create_pod(self, item: Json) -> None:
        namespace = item["metadata"]["namespace"]
        about = reference(item, "ReplicaSet")
        try:
            pod = self._client.create("pods", namespace, build_pod(item))
        except ApiError as error:
            message = f"Error creating: {error.message}"
            self._recorder.event(about, WARNING, "FailedCreate", message)
            raise
        self._informers.pods.observe(pod)
        message = f"Created pod: {pod['metadata']['name']}"
        self._recorder.event(about, NORMAL, "SuccessfulCreate", message)

    def _delete_pod(self, item: Json, pod: Json) -> None:
        namespace, name = key_of(pod)
        try:
            left = self._client.delete("pods", namespace, name, uid=pod["metadata"]["uid"])
        except ApiError as error:
            if error.code in (404, 409):
                return
            about = reference(item, "ReplicaSet")
            message = f"Error deleting: {error.message}"
            self._recorder.event(about, WARNING, "FailedDelete", message)
            raise
        if "deletionTimestamp" in left["metadata"]:
            self._informers.pods.observe(left)
        else:
            self._informers.pods.forget(left)
        about = reference(item, "ReplicaSet")
        self._recorder.event(about, NORMAL, "SuccessfulDelete", f"Deleted pod: {name}")

    def _related(self, item: Json, active: Sequence[Json]) -> list[Json]:
        """Active pods of all ReplicaSets that share this one's owner."""
        owner = controller_of(item)
        if owner is None:
            return list(active)
        siblings = self._informers.replica_sets.select("controller", owner["uid"])
        return [
            pod
            for sibling in siblings
            for pod in self._informers.pods.select("controller", sibling["metadata"]["uid"])
            if is_active(pod)
        ]

    def _failure(self, item: Json, active: Sequence[Json], error: ApiError) -> Json:
        creating = len(active) < replicas_of(item)
        return {
            "type": REPLICA_FAILURE,
            "status": "True",
            "lastTransitionTime": timestamp(self.clock.now()),
            "reason": "FailedCreate" if creating else "FailedDelete",
            "message": error.message,
        }

    def _write_status(self, item: Json, active: Sequence[Json], failure: Json | None) -> None:
        status = calculate_status(item, active, failure, self.clock.now())
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
            if pod is None or owner is None or owner["kind"] != "ReplicaSet":
                continue
            key = (pod["metadata"]["namespace"], owner["name"])
            item = self._informers.replica_sets.get(*key)
            if item is not None:
                self.queue.add_after(key, _count_after(item))


def _count_after(item: Json) -> float:
    """Seconds until a ReplicaSet's changed pods are counted."""
    size = item.get("status", {}).get("replicas", 0)
    first = _COUNT_FIRST_SECONDS if _generation(item) == 1 and not size else _COUNT_SECONDS
    return float(first + size * _COUNT_SECONDS_PER_POD)


def _generation(item: Json) -> int:
    generation: int = item["metadata"].get("generation", 0)
    return generation
