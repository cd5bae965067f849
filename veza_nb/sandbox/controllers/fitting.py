"""Whether a node may take a pod, and in which words it may not. Pure but for `NodeBooks`.

The questions are asked in the order of a real scheduler; the first kind of obstacle answers.
"""

from __future__ import annotations

import functools
from collections import Counter
from collections.abc import Callable, Iterable, Mapping, Sequence
from dataclasses import dataclass, field
from decimal import ROUND_CEILING

from veza_nb.sandbox.apimachinery.quantity import parse
from veza_nb.sandbox.apimachinery.selectors import Requirement
from veza_nb.sandbox.apimachinery.status import Json
from veza_nb.sandbox.controllers.podstates import is_finished

UNSCHEDULABLE_TAINT = "node.kubernetes.io/unschedulable"
_CORDONED: Json = {"key": UNSCHEDULABLE_TAINT, "effect": "NoSchedule"}
_BLOCKING = ("NoSchedule", "NoExecute")
_OPERATORS = {
    "In": "in",
    "NotIn": "notin",
    "Exists": "exists",
    "DoesNotExist": "!",
    "Gt": "gt",
    "Lt": "lt",
}
_UNHELPFUL, _NO_VICTIMS = (
    "Preemption is not helpful for scheduling",
    "No preemption victims found for incoming pod",
)
NO_NODES = "no nodes available to schedule pods"

Amounts = Mapping[str, int]
"""Resources in thousandths: "cpu" in millicores, "memory" in thousandths of a byte."""
Port = tuple[str, str, int]
"""Address, protocol and number of a host port."""


@dataclass(frozen=True, slots=True)
class Need:
    """What a pod asks of a node."""

    amounts: Amounts
    ports: tuple[Port, ...] = ()


@dataclass(slots=True)
class Load:
    """What the pods of one node take already."""

    amounts: Counter[str] = field(default_factory=Counter)
    ports: Counter[Port] = field(default_factory=Counter)
    pods: int = 0

    def add(self, need: Need, sign: int = 1) -> None:
        """Book a pod in, or out with a `sign` of -1."""
        self.pods += sign
        for name, amount in need.amounts.items():
            self.amounts[name] += sign * amount
        for port in need.ports:
            self.ports[port] += sign


@dataclass(frozen=True, slots=True)
class Obstacle:
    """Why a node cannot take a pod.

    Attributes:
        texts: in the scheduler's words; resources may be short in several ways.
        lasting: whether no other pod's end could change it.
    """

    texts: tuple[str, ...]
    lasting: bool = True


@functools.lru_cache(maxsize=4096)
def thousandths(quantity: str) -> int:
    """A quantity in thousandths, rounded up."""
    return int((parse(quantity) * 1000).to_integral_value(rounding=ROUND_CEILING))


def need_of(pod: Json) -> Need:
    """What a pod requests: the sum of its containers, or its largest init container if larger."""
    spec = pod["spec"]
    amounts: Counter[str] = Counter()
    ports: list[Port] = []
    for container in spec.get("containers", ()):
        for name, quantity in _requests(container).items():
            amounts[name] += thousandths(quantity)
        ports += [_port(port) for port in container.get("ports") or () if port.get("hostPort")]
    for container in spec.get("initContainers") or ():
        for name, quantity in _requests(container).items():
            amounts[name] = max(amounts[name], thousandths(quantity))
    for name, quantity in (spec.get("overhead") or {}).items():
        amounts[name] += thousandths(quantity)
    return Need(amounts, tuple(ports))


def _requests(container: Json) -> Mapping[str, str]:
    requests: Mapping[str, str] = (container.get("resources") or {}).get("requests") or {}
    return requests


def _port(port: Json) -> Port:
    return port.get("hostIP") or "0.0.0.0", port.get("protocol", "TCP"), port["hostPort"]


def tolerates(tolerations: Iterable[Json], taint: Json) -> bool:
    """Whether one of the tolerations covers a taint."""
    return any(covers(each, taint) for each in tolerations)


def covers(toleration: Json, taint: Json) -> bool:
    """Whether a toleration covers a taint: by effect, key and value, where it names them."""
    if toleration.get("effect") not in (None, "", taint["effect"]):
        return False
    key = toleration.get("key", "")
    if key and key != taint["key"]:
        return False
    if toleration.get("operator", "Equal") == "Exists":
        return True
    return bool(key) and toleration.get("value", "") == taint.get("value", "")


def untolerated(pod_spec: Json, node: Json, effects: Sequence[str] = _BLOCKING) -> Json | None:
    """The first taint of a node that keeps the pod away, or None."""
    tolerations = pod_spec.get("tolerations") or ()
    for taint in node["spec"].get("taints") or ():
        if taint["effect"] in effects and not tolerates(tolerations, taint):
            found: Json = taint
            return found
    return None


def chooses(pod_spec: Json, node: Json) -> bool:
    """Whether a pod's `nodeSelector` and required node affinity allow a node."""
    labels = node["metadata"].get("labels") or {}
    if not (pod_spec.get("nodeSelector") or {}).items() <= labels.items():
        return False
    affinity = (pod_spec.get("affinity") or {}).get("nodeAffinity") or {}
    required = affinity.get("requiredDuringSchedulingIgnoredDuringExecution")
    if required is None:
        return True
    fields = {"metadata.name": node["metadata"]["name"]}
    return any(
        _all_match(term.get("matchExpressions"), labels)
        and _all_match(term.get("matchFields"), fields)
        for term in required.get("nodeSelectorTerms") or ()
        if term.get("matchExpressions") or term.get("matchFields")
    )


def _all_match(expressions: Iterable[Json] | None, values: Mapping[str, str]) -> bool:
    return all(
        Requirement(
            each["key"], _OPERATORS[each["operator"]], tuple(each.get("values") or ())
        ).matches(values)
        for each in expressions or ()
    )


def obstacle(pod: Json, need: Need, node: Json, load: Load) -> Obstacle | None:
    """Why a node cannot take a pod now; None when it can."""
    spec = pod["spec"]
    if node["spec"].get("unschedulable") and not tolerates(
        spec.get("tolerations") or (), _CORDONED
    ):
        return Obstacle(("node(s) were unschedulable",))
    taint = untolerated(spec, node)
    if taint is not None:
        shown = f"{{{taint['key']}: {taint.get('value', '')}}}"
        return Obstacle((f"node(s) had untolerated taint {shown}",))
    if not chooses(spec, node):
        return Obstacle(("node(s) didn't match Pod's node affinity/selector",))
    if any(load.ports[port] for port in need.ports):
        text = "node(s) didn't have free ports for the requested pod ports"
        return Obstacle((text,), lasting=False)
    return _shortage(need, node, load)


def _shortage(need: Need, node: Json, load: Load) -> Obstacle | None:
    """What a node has too little of."""
    offered = node.get("status", {}).get("allocatable")
    if not offered:
        # A node that has not reported yet has no limits here, so that tests can do without.
        return None
    short = []
    if (load.pods + 1) * 1000 > thousandths(offered.get("pods", "0")):
        short.append("Too many pods")
    never = False
    for name, amount in need.amounts.items():
        total = thousandths(offered.get(name, "0"))
        if amount and load.amounts[name] + amount > total:
            short.append(f"Insufficient {name}")
            never = never or amount > total
    return Obstacle(tuple(short), lasting=never) if short else None


def explain(obstacles: Sequence[Obstacle]) -> str:
    """What the scheduler says of a pod that no node can take, one obstacle a node."""
    if not obstacles:
        return NO_NODES
    total = len(obstacles)
    why = _counted(text for each in obstacles for text in each.texts)
    help_ = _counted(_UNHELPFUL if each.lasting else _NO_VICTIMS for each in obstacles)
    head = f"0/{total} nodes are available: "
    return f"{head}{why}. preemption: {head}{help_}."


def _counted(texts: Iterable[str]) -> str:
    return ", ".join(sorted(f"{count} {text}" for text, count in Counter(texts).items()))


def room_of(node: Json) -> tuple[object, ...]:
    """Everything of a node that decides which pods it takes."""
    offered = node.get("status", {}).get("allocatable")
    return node["metadata"].get("labels"), node["spec"], offered


class NodeBooks:
    """What is taken on every node, kept as pods come, are bound, and end."""

    def __init__(self) -> None:
        self._loads: dict[str, Load] = {}
        self._placed: dict[str, tuple[str, Need]] = {}

    def load(self, node: str) -> Load:
        """What is taken on a node."""
        return self._loads.get(node) or Load()

    def place(self, pod: Json, node: str, need: Need | None = None) -> None:
        """Book a pod on a node, in place of where it was booked before."""
        uid = pod["metadata"]["uid"]
        if uid in self._placed:
            if self._placed[uid][0] == node:
                return
            self.remove(uid)
        booked = need or need_of(pod)
        self._placed[uid] = node, booked
        self._loads.setdefault(node, Load()).add(booked)

    def remove(self, uid: str) -> bool:
        """Free what a pod took; False when it had no place."""
        placed = self._placed.pop(uid, None)
        if placed is None:
            return False
        node, need = placed
        self._loads[node].add(need, -1)
        return True

    def changed(self, new: Json | None, old: Json | None) -> bool:
        """Follow a change of a pod; say whether it made room."""
        pod = new or old
        if pod is None:
            return False
        if new is None or is_finished(new):
            return self.remove(pod["metadata"]["uid"])
        if new["spec"].get("nodeName"):
            self.place(new, new["spec"]["nodeName"])
        return False


def fitting(
    pod: Json,
    need: Need,
    nodes: Iterable[Json],
    load: Callable[[str], Load],
    neighbours: Callable[[Json], Obstacle | None] | None = None,
) -> tuple[list[str], list[Obstacle]]:
    """Names of the nodes that can take a pod, sorted, and the obstacles of the others.

    Args:
        pod: to be placed.
        need: what it asks of a node.
        nodes: all of them.
        load: what is taken on the node of a name.
        neighbours: why other pods keep it from a node, where that matters.
    """
    names, obstacles = [], []
    for node in nodes:
        name = node["metadata"]["name"]
        found = obstacle(pod, need, node, load(name))
        if found is None and neighbours is not None:
            found = neighbours(node)
        if found is None:
            names.append(name)
        else:
            obstacles.append(found)
    return sorted(names), obstacles
