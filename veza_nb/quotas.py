"""Whether a quota leaves room for the pods that a rollout adds on top."""

import math
from collections.abc import Iterator, Mapping
from dataclasses import dataclass
from decimal import Decimal
from typing import Any

from veza_nb.objects import Deployment, PodTemplate, ResourceQuota

_SUFFIXES = {
    "n": Decimal("1e-9"), "u": Decimal("1e-6"), "m": Decimal("1e-3"), "": Decimal(1),
    "k": Decimal(10**3), "M": Decimal(10**6), "G": Decimal(10**9), "T": Decimal(10**12),
    "P": Decimal(10**15), "E": Decimal(10**18),
    "Ki": Decimal(2**10), "Mi": Decimal(2**20), "Gi": Decimal(2**30), "Ti": Decimal(2**40),
    "Pi": Decimal(2**50), "Ei": Decimal(2**60),
}  # fmt: skip
_BEYOND_ALL = Decimal("1e30")
"""Larger than whatever a cluster has of anything."""


@dataclass(frozen=True, slots=True)
class Shortage:
    """A quota that the rollout would run into.

    Attributes:
        quota: its name.
        resource: as the quota spells it: "pods", "requests.cpu", …
        left: what it still allows, in the quota's own spelling of quantities.
        needed: what the additional pods ask for.
        pods: how many pods are added at the peak of the rollout.
    """

    quota: str
    resource: str
    left: str
    needed: str
    pods: int


def amount(text: object) -> Decimal | None:
    """A Kubernetes quantity as a number; None where it is none, or none that can be meant."""
    said = str(text).strip()
    digits = said.rstrip("numkKMGTPEi")
    factor = _SUFFIXES.get(said[len(digits) :])
    try:
        # 1e3 and 1E3: an exponent instead of a suffix.
        value = Decimal(said) if factor is None else Decimal(digits) * factor
    except ArithmeticError:
        return None
    return value if value.is_finite() and abs(value) < _BEYOND_ALL else None


def added_pods(deployment: Deployment) -> int:
    """Pods that a rollout from here has on top of today's, at its peak."""
    spec = deployment.spec
    if spec.strategy.type == "Recreate":
        return max(0, spec.replicas - deployment.status.replicas)
    rolling = spec.strategy.rolling_update
    surge = _share(rolling.max_surge if rolling else "25%", spec.replicas)
    return max(0, spec.replicas + surge - deployment.status.replicas)


def shortages(
    deployment: Deployment, template: PodTemplate, quotas: tuple[ResourceQuota, ...]
) -> tuple[Shortage, ...]:
    """Where the rollout to that template needs more than a quota leaves.

    Quotas that count only some pods (scopes) are left out: which ones is not known here.
    """
    pods = added_pods(deployment)
    if not pods:
        return ()
    needs = {name: value * pods for name, value in per_pod(template).items()}
    plain = (quota for quota in quotas if not quota.spec.scopes and not quota.spec.scope_selector)
    return tuple(one for quota in plain for one in _short(quota, needs, pods))


def _short(quota: ResourceQuota, needs: Mapping[str, Decimal], pods: int) -> Iterator[Shortage]:
    for resource, limit in quota.status.hard.items():
        needed = needs.get(_LONG.get(resource, resource))
        hard, used = amount(limit), amount(quota.status.used.get(resource, "0"))
        if needed is None or hard is None or used is None or needed <= hard - used:
            continue
        left = max(hard - used, Decimal(0))
        yield Shortage(quota.metadata.name, resource, spelled(left), spelled(needed), pods)


_LONG = {"cpu": "requests.cpu", "memory": "requests.memory", "count/pods": "pods"}


def per_pod(template: PodTemplate) -> dict[str, Decimal]:
    """What one pod counts for: itself, its requests and its limits."""
    spec = template.get("spec")
    containers = spec.get("containers") if isinstance(spec, dict) else None
    found: dict[str, Decimal] = {"pods": Decimal(1)}
    for container in containers if isinstance(containers, list) else []:
        for side, resource, value in _asked(container):
            name = f"{side}.{resource}"
            found[name] = found.get(name, Decimal(0)) + value
    return found


def _asked(container: object) -> Iterator[tuple[str, str, Decimal]]:
    resources = container.get("resources") if isinstance(container, dict) else None
    sides: Mapping[str, Any] = resources if isinstance(resources, dict) else {}
    for side in ("requests", "limits"):
        values = sides.get(side)
        for resource, text in (values if isinstance(values, dict) else {}).items():
            value = amount(text)
            if value is not None:
                yield side, resource, value


def _share(given: int | str, whole: int) -> int:
    """An absolute number, or a percentage rounded up, as Kubernetes rounds a surge."""
    if isinstance(given, int):
        return given
    digits = given.removesuffix("%")
    return math.ceil(whole * int(digits) / 100) if digits.isdigit() else 0


def spelled(value: Decimal) -> str:
    """Whole numbers as they are, parts in thousandths, large ones in binary units."""
    if value != value.to_integral_value():
        return f"{value * 1000:.0f}m"
    for suffix in ("Gi", "Mi", "Ki"):
        if value >= _SUFFIXES[suffix] and value % _SUFFIXES[suffix] == 0:
            return f"{value / _SUFFIXES[suffix]:.0f}{suffix}"
    return f"{value:.0f}"
