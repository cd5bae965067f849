"""The PodDisruptionBudget controller: how many of a budget's pods may be evicted now."""

from __future__ import annotations

from collections.abc import Iterable, Iterator, Sequence

from veza_nb.sandbox.apimachinery.selectors import from_object
from veza_nb.sandbox.apimachinery.status import Json
from veza_nb.sandbox.apiserver.client import Client
from veza_nb.sandbox.apiserver.evictions import (
    ALLOWED,
    INSUFFICIENT,
    SUFFICIENT,
    Health,
    health,
    is_healthy,
    needs_scale,
)
from veza_nb.sandbox.clock import Clock, parse_timestamp, timestamp
from veza_nb.sandbox.controllers.base import Controller, Informers
from veza_nb.sandbox.controllers.conditions import get_condition
from veza_nb.sandbox.controllers.events import NORMAL, EventRecorder, reference
from veza_nb.sandbox.controllers.informer import Informer, Key, controller_of, key_of
from veza_nb.sandbox.controllers.rollout import replicas_of

_EVICTION_SECONDS = 120.0
"""So long an evicted pod that is still there counts as gone."""
_GATHER_SECONDS, _GATHER_SECONDS_PER_POD = 0.02, 100e-6


class DisruptionController(Controller):
    """Keeps every budget's status."""

    def __init__(self, client: Client, clock: Clock, informers: Informers) -> None:
        super().__init__(clock)
        self._client = client
        self._informers = informers
        self._recorder = EventRecorder(client, clock, "controllermanager")
        self._owners: dict[str, Informer] = {
            "Deployment": informers.deployments,
            "ReplicaSet": informers.replica_sets,
            "StatefulSet": informers.stateful_sets,
        }
        informers.budgets.on_change(self._budget_changed)
        informers.pods.on_change(self._pod_changed)
        for informer in self._owners.values():
            informer.on_change(self._owner_changed)

    def sync(self, key: Key) -> None:
        """Work out one budget's numbers."""
        budget = self._informers.budgets.get(*key)
        if budget is None or "deletionTimestamp" in budget["metadata"]:
            return
        pods = list(self._pods_of(budget))
        if not pods:
            about = reference(budget, "PodDisruptionBudget")
            self._recorder.event(about, NORMAL, "NoPods", "No matching pods found")
        gone = self._still_disrupted(budget, pods)
        current = sum(is_healthy(pod) and pod["metadata"]["name"] not in gone for pod in pods)
        scale = self._scale(pods) if needs_scale(budget["spec"]) else 0
        numbers = health(budget["spec"], current, len(pods), scale)
        self._write_status(budget, numbers, gone)

    def _pods_of(self, budget: Json) -> Iterator[Json]:
        chosen = budget["spec"].get("selector")
        if chosen is None:
            return
        selector = from_object(chosen)
        for pod in self._informers.pods.select("namespace", budget["metadata"]["namespace"]):
            if selector.matches(pod["metadata"].get("labels")):
                yield pod

    def _still_disrupted(self, budget: Json, pods: Iterable[Json]) -> dict[str, str]:
        """Evicted pods that are on their way out; those that stay too long count again."""
        noted: dict[str, str] = budget.get("status", {}).get("disruptedPods") or {}
        if not noted:
            return {}
        oldest = self.clock.now() - self.clock.span(_EVICTION_SECONDS)
        present = {
            pod["metadata"]["name"] for pod in pods if "deletionTimestamp" not in pod["metadata"]
        }
        return {
            name: since
            for name, since in noted.items()
            if name in present and parse_timestamp(since) > oldest
        }

    def _scale(self, pods: Iterable[Json]) -> int:
        """How many pods the owners of these pods want, each owner counted once."""
        owners: dict[str, Json] = {}
        for pod in pods:
            owner = self._owner_of(pod)
            if owner is not None:
                owners[owner["metadata"]["uid"]] = owner
        return sum(map(replicas_of, owners.values()))

    def _owner_of(self, item: Json) -> Json | None:
        """The workload that says how many pods there should be."""
        owner = controller_of(item)
        informer = self._owners.get(owner["kind"]) if owner is not None else None
        if owner is None or informer is None:
            return None
        found = informer.get(item["metadata"]["namespace"], owner["name"])
        if found is None:
            return None
        return self._owner_of(found) or found

    def _write_status(self, budget: Json, numbers: Health, gone: dict[str, str]) -> None:
        before = budget.get("status", {})
        generation = budget["metadata"].get("generation", 0)
        status: Json = {"observedGeneration": generation, **numbers.document()}
        if gone:
            status["disruptedPods"] = gone
        status["conditions"] = [self._condition(before, numbers, generation)]
        if status != before:
            body = {**budget, "status": status}
            written = self._client.update(
                "poddisruptionbudgets", *key_of(budget), body, subresource="status"
            )
            self._informers.budgets.observe(written)
        if gone:
            self.queue.add_after(key_of(budget), _EVICTION_SECONDS)

    def _condition(self, before: Json, numbers: Health, generation: int) -> Json:
        value = str(numbers.allowed > 0)
        known = get_condition(before, ALLOWED)
        since = timestamp(self.clock.now())
        if known is not None and known["status"] == value:
            since = known["lastTransitionTime"]
        return {
            "type": ALLOWED,
            "status": value,
            "observedGeneration": generation,
            "lastTransitionTime": since,
            "reason": SUFFICIENT if numbers.allowed > 0 else INSUFFICIENT,
            "message": "",
        }

    # -- what happens -------------------------------------------------------------------------

    def _budget_changed(self, _old: Json | None, new: Json | None) -> None:
        if new is not None:
            self.queue.add(key_of(new))

    def _pod_changed(self, old: Json | None, new: Json | None) -> None:
        if not len(self._informers.budgets):
            return
        states = [state for state in (old, new) if state is not None]
        if len(states) == 2 and _relevant(states[0]) == _relevant(states[1]):
            return
        self._look_at(states[0]["metadata"]["namespace"], states)

    def _look_at(self, namespace: str, pods: Sequence[Json]) -> None:
        for budget in self._informers.budgets.select("namespace", namespace):
            chosen = budget["spec"].get("selector")
            labels = [pod["metadata"].get("labels") for pod in pods]
            if chosen is not None and any(map(from_object(chosen).matches, labels)):
                expected = budget.get("status", {}).get("expectedPods", 0)
                wait = _GATHER_SECONDS + expected * _GATHER_SECONDS_PER_POD
                self.queue.add_after(key_of(budget), wait)

    def _owner_changed(self, old: Json | None, new: Json | None) -> None:
        """A new size changes what budgets expect, before any pod comes or goes."""
        if new is None or old is None or replicas_of(old) == replicas_of(new):
            return
        for budget in self._informers.budgets.select("namespace", new["metadata"]["namespace"]):
            self.queue.add(key_of(budget))


def _relevant(pod: Json) -> tuple[object, ...]:
    return pod["metadata"].get("labels"), is_healthy(pod)
