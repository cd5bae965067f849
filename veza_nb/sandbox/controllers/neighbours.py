"""Which nodes a pod's neighbours leave to it: affinity to pods, and topology spread. Pure."""

from __future__ import annotations

from collections import Counter
from collections.abc import Callable, Iterable, Iterator, Mapping, Sequence

from veza_nb.sandbox.apimachinery.selectors import LabelSelector, from_object
from veza_nb.sandbox.apimachinery.status import Json
from veza_nb.sandbox.controllers.fitting import Obstacle, chooses
from veza_nb.sandbox.controllers.podstates import is_finished, is_terminating

_REQUIRED = "requiredDuringSchedulingIgnoredDuringExecution"
_REPELLED = Obstacle(("node(s) didn't match pod anti-affinity rules",), lasting=False)
_UNWELCOME = Obstacle(("node(s) didn't satisfy existing pods anti-affinity rules",), lasting=False)
_ALONE = Obstacle(("node(s) didn't match pod affinity rules",))
_UNEVEN = Obstacle(("node(s) didn't match pod topology spread constraints",), lasting=False)
_UNLABELED = Obstacle(
    ("node(s) didn't match pod topology spread constraints (missing required label)",)
)

Place = tuple[str, str]
"""A topology key and its value, such as ("topology.kubernetes.io/zone", "a")."""


def terms(pod: Json, kind: str) -> Sequence[Json]:
    """The required terms of a pod's `podAffinity` or `podAntiAffinity`."""
    affinity = (pod["spec"].get("affinity") or {}).get(kind) or {}
    found: Sequence[Json] = affinity.get(_REQUIRED) or ()
    return found


def spreads(pod: Json) -> list[Json]:
    """The topology spread constraints that a pod insists on."""
    constraints = pod["spec"].get("topologySpreadConstraints") or ()
    return [each for each in constraints if each.get("whenUnsatisfiable") == "DoNotSchedule"]


def minds_neighbours(pod: Json) -> bool:
    """Whether it matters to a pod which others are where."""
    kinds = ("podAffinity", "podAntiAffinity")
    return any(terms(pod, kind) for kind in kinds) or bool(spreads(pod))


class Neighbours:
    """The pods that a pod would live with.

    Args:
        pod: to be placed.
        nodes: all of them, by name.
        pods: those that have a node.
    """

    def __init__(self, pod: Json, nodes: Mapping[str, Json], pods: Iterable[Json]) -> None:
        self._pod = pod
        self._nodes = nodes
        self._pods = [each for each in pods if not is_finished(each)]
        self._repelling = self._taken(terms(pod, "podAntiAffinity"))
        self._inviting = [(term, self._taken([term])) for term in terms(pod, "podAffinity")]
        self._refusing = set(self._refused_by_others())
        self._spreads = [(each, self._counts(each)) for each in spreads(pod)]

    def obstacle(self, node: Json) -> Obstacle | None:
        """Why the neighbours keep the pod from a node; None when they do not."""
        uneven = self._uneven(node)
        if uneven is not None:
            return uneven
        places = set((node["metadata"].get("labels") or {}).items())
        for term, taken in self._inviting:
            if not places & taken and not self._is_first(term, taken, node):
                return _ALONE
        if places & self._repelling:
            return _REPELLED
        return _UNWELCOME if places & self._refusing else None

    def _taken(self, wanted: Iterable[Json]) -> set[Place]:
        """The places of pods that one of the terms is about."""
        return {
            place
            for term in wanted
            for other in self._about(term, self._pod)
            for place in self._place(term["topologyKey"], other)
        }

    def _about(self, term: Json, owner: Json) -> Iterator[Json]:
        matches = _matcher(term, owner)
        return (other for other in self._pods if matches(other))

    def _place(self, key: str, pod: Json) -> Iterator[Place]:
        node = self._nodes.get(pod["spec"]["nodeName"])
        labels = (node["metadata"].get("labels") or {}) if node is not None else {}
        if key in labels:
            yield key, labels[key]

    def _is_first(self, term: Json, taken: set[Place], node: Json) -> bool:
        """Whether nobody is there yet whom the pod asks for, and it would do itself."""
        labeled = term["topologyKey"] in (node["metadata"].get("labels") or {})
        return labeled and not taken and _matcher(term, self._pod)(self._pod)

    def _refused_by_others(self) -> Iterator[Place]:
        for other in self._pods:
            for term in terms(other, "podAntiAffinity"):
                if _matcher(term, other)(self._pod):
                    yield from self._place(term["topologyKey"], other)

    def _counts(self, constraint: Json) -> Counter[str]:
        """How many pods each place has that the pod spreads with."""
        key, matches = constraint["topologyKey"], _matcher(constraint, self._pod)
        counts: Counter[str] = Counter()
        for node in self._nodes.values():
            labels = node["metadata"].get("labels") or {}
            if key in labels and chooses(self._pod["spec"], node):
                counts[labels[key]] += 0
        for other in self._pods:
            if matches(other) and not is_terminating(other):
                for _, value in self._place(key, other):
                    counts[value] += value in counts
        return counts

    def _uneven(self, node: Json) -> Obstacle | None:
        labels = node["metadata"].get("labels") or {}
        for constraint, counts in self._spreads:
            value = labels.get(constraint["topologyKey"])
            if value is None:
                return _UNLABELED
            own = _matcher(constraint, self._pod)(self._pod)
            least = min(counts.values(), default=0)
            if counts[value] + own - least > constraint.get("maxSkew", 1):
                return _UNEVEN
        return None


def _matcher(term: Json, owner: Json) -> Callable[[Json], bool]:
    """Tells whether a pod is one that a term of `owner` is about."""
    chosen = term.get("labelSelector")
    if chosen is None:
        return lambda _pod: False
    labels = owner["metadata"].get("labels") or {}
    same = {key: labels[key] for key in term.get("matchLabelKeys") or () if key in labels}
    selector: LabelSelector = from_object(chosen)
    spaces = set(term.get("namespaces") or ())
    everywhere = term.get("namespaceSelector") == {}
    if not spaces:
        spaces = {owner["metadata"].get("namespace", "")}

    def matches(pod: Json) -> bool:
        metadata = pod["metadata"]
        if not everywhere and metadata.get("namespace", "") not in spaces:
            return False
        given = metadata.get("labels") or {}
        return same.items() <= given.items() and selector.matches(given)

    return matches
