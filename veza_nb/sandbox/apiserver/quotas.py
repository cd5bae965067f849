"""ResourceQuota: what a new Pod may not exceed."""

from __future__ import annotations

from collections.abc import Iterable
from decimal import Decimal
from typing import Any

from veza_nb.sandbox.apimachinery import status
from veza_nb.sandbox.apimachinery.quantity import canonical, parse
from veza_nb.sandbox.apiserver.store import Store

Json = dict[str, Any]
_ENDED = ("Succeeded", "Failed")


def check_pod(store: Store, pod: Json) -> None:
    """Refuse a Pod that a quota of its namespace has no room for.

    Raises:
        ApiError: 403.
    """
    namespace = pod["metadata"]["namespace"]
    for quota in store.table("resourcequotas").in_namespace(namespace):
        hard = (quota.get("spec") or {}).get("hard") or {}
        asked = {name: _usage(name, pod) for name in sorted(hard)}
        asked = {name: amount for name, amount in asked.items() if amount}
        used = usage(store, namespace, asked)
        over = [name for name in asked if used[name] + asked[name] > parse(hard[name])]
        if over:
            shown = ", ".join(
                f"{label}: " + ",".join(f"{name}={amounts[name]}" for name in over)
                for label, amounts in (
                    ("requested", _texts(asked)),
                    ("used", _texts(used)),
                    ("limited", hard),
                )
            )
            why = f"exceeded quota: {quota['metadata']['name']}, {shown}"
            raise status.forbidden("pods", "", pod["metadata"]["name"], why)


def usage(store: Store, namespace: str, names: Iterable[str]) -> dict[str, Decimal]:
    """Return what the Pods of a namespace use of each counted thing."""
    pods = [
        pod
        for pod in store.table("pods").in_namespace(namespace)
        if (pod.get("status") or {}).get("phase") not in _ENDED
    ]
    return {name: sum((_usage(name, pod) for pod in pods), Decimal(0)) for name in names}


def _texts(amounts: dict[str, Decimal]) -> dict[str, str]:
    return {name: canonical(format(amount, "f")) for name, amount in amounts.items()}


def _usage(name: str, pod: Json) -> Decimal:
    """Return what one Pod counts for: itself, or its containers' requests or limits."""
    if name in ("pods", "count/pods"):
        return Decimal(1)
    kind, _, resource = name.partition(".")
    if not resource and name in ("cpu", "memory"):
        kind, resource = "requests", name
    if kind not in ("requests", "limits"):
        return Decimal(0)
    containers = pod["spec"].get("containers") or ()
    amounts = ((each.get("resources") or {}).get(kind) or {} for each in containers)
    return sum((parse(each[resource]) for each in amounts if resource in each), Decimal(0))
