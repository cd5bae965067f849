"""The pods of a DaemonSet: on which nodes they should be, and which of them come or go next.

Pure: DaemonSets, nodes and pods as plain dicts in, decisions out.
"""

from __future__ import annotations

import copy
from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass, field
from datetime import datetime

from veza_nb.sandbox.apimachinery.status import Json
from veza_nb.sandbox.controllers.fitting import chooses, untolerated
from veza_nb.sandbox.controllers.podcontrol import pod_from_template
from veza_nb.sandbox.controllers.podstates import is_finished, is_terminating
from veza_nb.sandbox.controllers.replicaset import is_available
from veza_nb.sandbox.controllers.rollout import created, resolve

HASH_LABEL = "controller-revision-hash"
GENERATION_LABEL = "pod-template-generation"
GENERATION = "deprecated.daemonset.template.generation"
_REQUIRED = "requiredDuringSchedulingIgnoredDuringExecution"
_TOLERATED = (
    ("not-ready", "NoExecute"),
    ("unreachable", "NoExecute"),
    ("disk-pressure", "NoSchedule"),
    ("memory-pressure", "NoSchedule"),
    ("pid-pressure", "NoSchedule"),
    ("unschedulable", "NoSchedule"),
)

ByNode = Mapping[str, Sequence[Json]]
"""The DaemonSet's pods by the name of their node."""


@dataclass(slots=True)
class Steps:
    """What to do next: on which nodes a pod is missing, and which pods must go."""

    create_on: list[str] = field(default_factory=list)
    delete: list[Json] = field(default_factory=list)


def build_pod(daemon_set: Json, node: str, suffix: str) -> Json:
    """The pod for a node; `suffix` is the hash of the template."""
    body = pod_from_template(daemon_set, daemon_set["spec"]["template"], "apps/v1", "DaemonSet")
    generation = daemon_set["metadata"].get("annotations", {}).get(GENERATION, "1")
    body["metadata"]["labels"] |= {HASH_LABEL: suffix, GENERATION_LABEL: generation}
    spec = body["spec"]
    spec["affinity"] = _bound_to(spec.get("affinity"), node)
    spec["tolerations"] = tolerations(spec)
    return body


def tolerations(pod_spec: Json) -> list[Json]:
    """A pod's own tolerations and those that every pod of a DaemonSet has."""
    named = [
        {"key": f"node.kubernetes.io/{trouble}", "operator": "Exists", "effect": effect}
        for trouble, effect in _TOLERATED
    ]
    own = list(pod_spec.get("tolerations") or ())
    return own + [each for each in named if each not in own]


def _bound_to(affinity: Json | None, node: str) -> Json:
    """Affinity that allows nothing but one node."""
    result = copy.deepcopy(affinity or {})
    name = {"key": "metadata.name", "operator": "In", "values": [node]}
    required = {"nodeSelectorTerms": [{"matchFields": [name]}]}
    result.setdefault("nodeAffinity", {})[_REQUIRED] = required
    return result


def node_of(pod: Json) -> str:
    """The node that a pod is on, or meant for; empty when it is meant for none."""
    spec = pod["spec"]
    if spec.get("nodeName"):
        return str(spec["nodeName"])
    affinity = (spec.get("affinity") or {}).get("nodeAffinity") or {}
    for term in (affinity.get(_REQUIRED) or {}).get("nodeSelectorTerms") or ():
        for entry in term.get("matchFields") or ():
            if entry["key"] == "metadata.name" and len(entry.get("values") or ()) == 1:
                return str(entry["values"][0])
    return ""


def group_by_node(pods: Iterable[Json]) -> dict[str, list[Json]]:
    """Pods by node, the oldest first."""
    found: dict[str, list[Json]] = {}
    for pod in sorted(pods, key=created):
        found.setdefault(node_of(pod), []).append(pod)
    return found


def belongs(daemon_set: Json, node: Json) -> tuple[bool, bool]:
    """Whether a node should get a pod, and whether one that is there may stay."""
    spec = {**daemon_set["spec"]["template"]["spec"]}
    if spec.get("nodeName") and spec["nodeName"] != node["metadata"]["name"]:
        return False, False
    if not chooses(spec, node):
        return False, False
    spec["tolerations"] = tolerations(spec)
    may_come = untolerated(spec, node) is None
    return may_come, untolerated(spec, node, ("NoExecute",)) is None


class Fleet:
    """A DaemonSet with its nodes and pods at one moment.

    Args:
        daemon_set: whose pods they are.
        nodes: all nodes of the cluster.
        pods: the DaemonSet's.
        suffix: hash of the newest template.
        now: aware UTC.
        rate: the clock's.
    """

    def __init__(
        self,
        daemon_set: Json,
        nodes: Iterable[Json],
        pods: Iterable[Json],
        suffix: str,
        *,
        now: datetime,
        rate: float = 1.0,
    ) -> None:
        self._set = daemon_set
        self._suffix = suffix
        self._now = now
        self._rate = rate
        self._by_node = group_by_node(pods)
        self._minimum: int = daemon_set["spec"].get("minReadySeconds", 0)
        self._may_come: list[str] = []
        self._may_stay: set[str] = set()
        for node in sorted(nodes, key=created):
            come, stay = belongs(daemon_set, node)
            name = node["metadata"]["name"]
            if come:
                self._may_come.append(name)
            if stay:
                self._may_stay.add(name)

    def manage(self) -> Steps:
        """Pods that are missing, finished, double, or where they should not be."""
        steps = Steps()
        for name in self._may_come:
            if not self._by_node.get(name):
                steps.create_on.append(name)
        for name, pods in self._by_node.items():
            staying = [pod for pod in pods if not is_terminating(pod)]
            if name not in self._may_stay:
                steps.delete += staying
                continue
            steps.delete += [pod for pod in staying if is_finished(pod)]
            alive = [pod for pod in staying if not is_finished(pod)]
            steps.delete += self._doubles(alive)
        return steps

    def _doubles(self, alive: Sequence[Json]) -> list[Json]:
        """Pods beyond one a node, or beyond one of each template while surging."""
        if len(alive) < 2:
            return []
        if self._surge() == 0:
            return list(alive[1:])
        new = [pod for pod in alive if self._is_new(pod)]
        old = [pod for pod in alive if not self._is_new(pod)]
        if new and self._is_available(new[0]):
            return [*new[1:], *old]
        return [*new[1:], *old[1:]]

    def roll(self) -> Steps:
        """What a rolling update does next within its bounds."""
        surge = self._surge()
        return self._roll_with_surge(surge) if surge else self._roll_in_place()

    def _roll_in_place(self) -> Steps:
        allowed: list[Json] = []
        candidates: list[Json] = []
        unavailable = 0
        for name in self._may_come:
            new, old = self._pair(name)
            if (new is None) == (old is None) or (new and not self._is_available(new)):
                unavailable += 1
            elif old is not None and not self._is_available(old):
                allowed.append(old)
                unavailable += 1
            elif old is not None:
                candidates.append(old)
        room = max(self._max_unavailable() - unavailable, 0)
        return Steps(delete=[*allowed, *candidates[:room]])

    def _roll_with_surge(self, surge: int) -> Steps:
        allowed: list[str] = []
        candidates: list[str] = []
        steps, doubled = Steps(), 0
        for name in self._may_come:
            new, old = self._pair(name)
            if old is None:
                continue
            if new is None:
                (candidates if self._is_available(old) else allowed).append(name)
                continue
            doubled += 1
            if self._is_available(new):
                steps.delete.append(old)
        steps.create_on = [*allowed, *candidates[: max(surge - doubled, 0)]]
        return steps

    def status(self) -> Json:
        """The counts, as the status has them; what is 0 there and may be left out is."""
        counts = dict.fromkeys(("current", "ready", "available", "updated"), 0)
        for name in self._may_come:
            pods = self._by_node.get(name)
            if not pods:
                continue
            counts["current"] += 1
            pod = next((each for each in pods if self._is_available(each)), pods[0])
            counts["ready"] += is_available(pod, 0, self._now)
            counts["available"] += self._is_available(pod)
            counts["updated"] += self._is_new(pod)
        desired = len(self._may_come)
        optional = {
            "observedGeneration": self._set["metadata"].get("generation", 0),
            "updatedNumberScheduled": counts["updated"],
            "numberAvailable": counts["available"],
            "numberUnavailable": desired - counts["available"],
        }
        misplaced = [name for name in self._by_node if name not in self._may_come]
        return {
            "currentNumberScheduled": counts["current"],
            "numberMisscheduled": len(misplaced),
            "desiredNumberScheduled": desired,
            "numberReady": counts["ready"],
            **{name: count for name, count in optional.items() if count},
        }

    def _pair(self, node: str) -> tuple[Json | None, Json | None]:
        """The node's pod of the newest template, and its pod of another one."""
        pods = [pod for pod in self._by_node.get(node, ()) if not is_terminating(pod)]
        new = next((pod for pod in pods if self._is_new(pod)), None)
        old = next((pod for pod in pods if not self._is_new(pod)), None)
        return new, old

    def _is_new(self, pod: Json) -> bool:
        return bool(pod["metadata"].get("labels", {}).get(HASH_LABEL) == self._suffix)

    def _is_available(self, pod: Json) -> bool:
        there = not is_terminating(pod)
        return there and is_available(pod, self._minimum, self._now, self._rate)

    def _rolling(self) -> Json:
        rolling: Json = self._set["spec"].get("updateStrategy", {}).get("rollingUpdate") or {}
        return rolling

    def _surge(self) -> int:
        return resolve(self._rolling().get("maxSurge"), len(self._may_come), round_up=True)

    def _max_unavailable(self) -> int:
        given = self._rolling().get("maxUnavailable", 1)
        return resolve(given, len(self._may_come), round_up=True)
