"""Eviction: which PodDisruptionBudget a Pod is under, and whether it may go."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from typing import Any

from veza_nb.sandbox.apimachinery import selectors, status
from veza_nb.sandbox.apimachinery.status import Cause
from veza_nb.sandbox.apiserver.calls import Core

Json = dict[str, Any]
REFUSAL = "Cannot evict pod as it would violate the pod's disruption budget."
ALLOWED, SUFFICIENT, INSUFFICIENT = "DisruptionAllowed", "SufficientPods", "InsufficientPods"
_FREE = ("Pending", "Succeeded", "Failed")
_KEY = "poddisruptionbudgets.policy"


@dataclass(frozen=True, slots=True)
class Health:
    """The numbers of a budget: Pods that are healthy, must be, are expected, and may be evicted."""

    current: int
    desired: int
    expected: int

    @property
    def allowed(self) -> int:
        """Return how many Pods may be evicted now."""
        return max(0, self.current - self.desired) if self.expected > 0 else 0

    def document(self) -> Json:
        """Return the numbers as a budget's status has them."""
        return {
            "disruptionsAllowed": self.allowed,
            "currentHealthy": self.current,
            "desiredHealthy": self.desired,
            "expectedPods": self.expected,
        }


def needs_scale(spec: Mapping[str, Any]) -> bool:
    """Return whether a budget's numbers depend on the size that the Pods' owners should have."""
    return spec.get("maxUnavailable") is not None or isinstance(spec.get("minAvailable"), str)


def health(spec: Mapping[str, Any], current: int, pods: int, scale: int) -> Health:
    """Return the numbers of a budget.

    Args:
        spec: The budget's.
        current: How many Pods are healthy.
        pods: How many Pods the budget is for.
        scale: How many there should be, as their owners say.
    """
    least, most = spec.get("minAvailable"), spec.get("maxUnavailable")
    if most is not None:
        return Health(current, max(0, scale - _share(most, scale)), scale)
    if isinstance(least, str):
        return Health(current, _share(least, scale), scale)
    return Health(current, least or 0, pods)


def _share(amount: int | str, total: int) -> int:
    """Return a number, or a percentage of a total, rounded up."""
    if isinstance(amount, int):
        return amount
    digits = amount.rstrip("%")
    return -(-total * int(digits) // 100) if digits.isdigit() else 0


def is_ready(pod: Json) -> bool:
    """Return whether a Pod serves."""
    conditions = (pod.get("status") or {}).get("conditions") or ()
    return any(each["type"] == "Ready" and each["status"] == "True" for each in conditions)


def is_healthy(pod: Json) -> bool:
    """Return whether a Pod serves and stays."""
    return is_ready(pod) and not pod["metadata"].get("deletionTimestamp")


def permit(core: Core, pod: Json, *, dry_run: bool) -> None:
    """Let a Pod be evicted, and note it in the budget that it is under.

    Raises:
        ApiError: 429 when the budget does not allow it, 500 when there are several budgets.
    """
    phase = (pod.get("status") or {}).get("phase")
    if phase in _FREE or pod["metadata"].get("deletionTimestamp"):
        return
    budgets = list(_budgets_of(core, pod))
    if not budgets:
        return
    if len(budgets) > 1:
        several = "This pod has more than one PodDisruptionBudget, which the eviction subresource"
        raise status.ApiError(500, "", f"{several} does not support.")
    budget = _current(core, budgets[0])
    if not is_ready(pod) and _frees_unready(budget):
        return
    taken = _taken(core, budget, pod)
    if not dry_run:
        core.store.put(_KEY, taken)


def _budgets_of(core: Core, pod: Json) -> Sequence[Json]:
    labels = pod["metadata"].get("labels")
    return [
        budget
        for budget in core.store.table(_KEY).in_namespace(pod["metadata"]["namespace"])
        if (chosen := budget["spec"].get("selector")) is not None
        and selectors.from_object(chosen).matches(labels)
    ]


def _current(core: Core, budget: Json) -> Json:
    """Return a budget with numbers; those of one that was just made are worked out here."""
    given = budget.get("status") or {}
    if given.get("observedGeneration", 0) >= budget["metadata"].get("generation", 1):
        return budget
    chosen = selectors.from_object(budget["spec"]["selector"])
    pods = list(core.store.table("pods").select(budget["metadata"]["namespace"], chosen))
    numbers = health(budget["spec"], sum(map(is_healthy, pods)), len(pods), len(pods))
    return {**budget, "status": {**given, **numbers.document()}}


def _frees_unready(budget: Json) -> bool:
    """Return whether a Pod that does not serve may go without being counted."""
    if budget["spec"].get("unhealthyPodEvictionPolicy") == "AlwaysAllow":
        return True
    given = budget["status"]
    return bool(given["currentHealthy"] >= given["desiredHealthy"] > 0)


def _taken(core: Core, budget: Json, pod: Json) -> Json:
    """Return a budget with one eviction less.

    Raises:
        ApiError: 429 when there is none left.
    """
    given, name = budget["status"], budget["metadata"]["name"]
    if given["disruptionsAllowed"] <= 0:
        needed, healthy = given["desiredHealthy"], given["currentHealthy"]
        why = (
            f"The disruption budget {name} needs {needed} healthy pods and has {healthy} currently"
        )
        raise status.too_many_requests(REFUSAL, [Cause("DisruptionBudget", why, "")])
    gone = {**(given.get("disruptedPods") or {}), pod["metadata"]["name"]: core.stamp()}
    allowed = given["disruptionsAllowed"] - 1
    left: Json = {"disruptedPods": gone, "disruptionsAllowed": allowed}
    if not allowed and given.get("conditions"):
        left["conditions"] = [_used_up(each, core.stamp()) for each in given["conditions"]]
    return {**budget, "metadata": dict(budget["metadata"]), "status": {**given, **left}}


def _used_up(condition: Json, now: str) -> Json:
    """Return the condition as it is once no more evictions are allowed."""
    if condition["type"] != ALLOWED or condition["status"] == "False":
        return condition
    changed = {"status": "False", "reason": INSUFFICIENT, "lastTransitionTime": now}
    return {**condition, **changed}
