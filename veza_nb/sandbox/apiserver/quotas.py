"""ResourceQuota: what counts, how much is used, and what a new object may not exceed.

The amounts used are in the quota's status, kept by its controller. What admission lets in is added
there at once, so that objects created in one moment cannot share the same room.
"""

from __future__ import annotations

from collections.abc import Callable, Iterable, Iterator, Mapping
from decimal import Decimal
from typing import Any

from veza_nb.sandbox.apimachinery import status
from veza_nb.sandbox.apimachinery.kinds import RESOURCES, Resource
from veza_nb.sandbox.apimachinery.quantity import canonical, parse
from veza_nb.sandbox.apiserver.store import Store

Json = dict[str, Any]
Amounts = dict[str, Decimal]
_ENDED = ("Succeeded", "Failed")
_BY_NAME = ("configmaps", "persistentvolumeclaims", "pods", "resourcequotas", "secrets", "services")
_REQUIRED = frozenset(
    f"{prefix}{resource}"
    for prefix in ("", "requests.", "limits.")
    for resource in ("cpu", "memory")
)


def admit(store: Store, resource: Resource, document: Json, *, dry_run: bool) -> None:
    """Refuse a new object that a quota of its namespace has no room for; book the others.

    Raises:
        ApiError: 403.
    """
    namespace = document["metadata"].get("namespace", "")
    if not namespace:
        return
    booked = []
    for quota in store.table("resourcequotas").in_namespace(namespace):
        if not in_scope(quota, document):
            continue
        missing = _unspecified(resource, document, _hard(quota))
        if missing:
            name = quota["metadata"]["name"]
            raise _forbidden(resource, document, f"failed quota: {name}: must specify {missing}")
        asked = charges(resource, document, _hard(quota))
        if asked:
            booked.append(_checked(store, quota, resource, document, asked))
    for charged in booked:
        if charged is not None and not dry_run:
            store.put("resourcequotas", charged)


def _hard(quota: Json) -> Mapping[str, str]:
    hard: Mapping[str, str] = (quota.get("spec") or {}).get("hard") or {}
    return hard


def _checked(
    store: Store, quota: Json, resource: Resource, document: Json, asked: Amounts
) -> Json | None:
    """Return the quota with the new object booked; None where its status is not kept yet."""
    hard, name = _hard(quota), quota["metadata"]["name"]
    noted = (quota.get("status") or {}).get("used") or {}
    known = all(each in noted for each in asked)
    used = {each: parse(noted[each]) for each in asked} if known else _live(store, quota, asked)
    over = [each for each in sorted(asked) if used[each] + asked[each] > parse(hard[each])]
    if over:
        shown = ", ".join(
            f"{label}: " + ",".join(f"{each}={amounts[each]}" for each in over)
            for label, amounts in (
                ("requested", texts(asked)),
                ("used", texts(used)),
                ("limited", hard),
            )
        )
        raise _forbidden(resource, document, f"exceeded quota: {name}, {shown}")
    if not known:
        return None
    total = texts({each: used[each] + asked[each] for each in asked})
    return {**quota, "metadata": dict(quota["metadata"]), "status": _with_used(quota, total)}


def _with_used(quota: Json, used: Mapping[str, str]) -> Json:
    return {**quota["status"], "used": {**quota["status"]["used"], **used}}


def _forbidden(resource: Resource, document: Json, why: str) -> status.ApiError:
    name = document["metadata"].get("name", "")
    return status.forbidden(resource.plural, resource.group, name, why)


def _live(store: Store, quota: Json, names: Iterable[str]) -> Amounts:
    """Return what is used, counted now."""
    namespace = quota["metadata"]["namespace"]
    wanted = {name: "" for name in names}
    return measured(quota, wanted, lambda entry: store.table(entry.key).in_namespace(namespace))


def measured(
    quota: Json, names: Iterable[str], present: Callable[[Resource], Iterable[Json]]
) -> Amounts:
    """Return what the objects of a quota's namespace use of each counted thing.

    Args:
        quota: Whose scopes count.
        names: Such as "pods", "requests.cpu", "count/deployments.apps".
        present: Gives the objects of a resource in the quota's namespace.
    """
    wanted = list(names)
    total = dict.fromkeys(wanted, Decimal(0))
    for resource in counted_resources(wanted):
        for document in present(resource):
            if in_scope(quota, document):
                for name, amount in charges(resource, document, wanted).items():
                    total[name] += amount
    return total


def counted_resources(names: Iterable[str]) -> Iterator[Resource]:
    """Yield the resources of which objects count towards one of the names."""
    wanted = set(names)
    # Of two versions of one resource either counts, and only once.
    for resource in {entry.key: entry for entry in RESOURCES}.values():
        if not resource.namespaced or not resource.stored:
            continue
        counts = {resource.plural} if resource.plural in _BY_NAME and not resource.group else set()
        counts.add(f"count/{resource.key}")
        more = resource.kind in _AMOUNTS and any(map(_AMOUNTS[resource.kind][0], wanted))
        if wanted & counts or more:
            yield resource


def charges(resource: Resource, document: Json, names: Iterable[str]) -> Amounts:
    """Return what one object counts for, of these names; nothing is left out but zeros."""
    if resource.kind == "Pod" and (document.get("status") or {}).get("phase") in _ENDED:
        return {name: Decimal(1) for name in names if name == "count/pods"}
    _, amount_of = _AMOUNTS.get(resource.kind, (None, None))
    found: Amounts = {}
    for name in names:
        plain = name == resource.plural and not resource.group and name in _BY_NAME
        if plain or name == f"count/{resource.key}":
            found[name] = Decimal(1)
        elif amount_of is not None and (amount := amount_of(name, document)):
            found[name] = amount
    return found


def texts(amounts: Mapping[str, Decimal]) -> dict[str, str]:
    """Return amounts as quantities."""
    return {name: canonical(format(amount, "f")) for name, amount in amounts.items()}


# -- how much ----------------------------------------------------------------------------------


def _compute(name: str) -> tuple[str, str] | None:
    """Return ("requests", "cpu") of "requests.cpu" or "cpu", None of other names."""
    kind, _, resource = name.partition(".")
    if not resource and name in ("cpu", "memory", "ephemeral-storage"):
        return "requests", name
    if kind in ("requests", "limits") and resource and resource != "storage":
        return kind, resource
    return None


def _pod_amount(name: str, pod: Json) -> Decimal:
    found = _compute(name)
    if found is None:
        return Decimal(0)
    spec = pod["spec"]
    running = sum((_of(each, found) for each in spec.get("containers") or ()), Decimal(0))
    first = max((_of(each, found) for each in spec.get("initContainers") or ()), default=Decimal(0))
    return max(running, first)


def _of(container: Json, found: tuple[str, str]) -> Decimal:
    kind, resource = found
    amounts = (container.get("resources") or {}).get(kind) or {}
    return parse(amounts[resource]) if resource in amounts else Decimal(0)


def _claim_amount(name: str, claim: Json) -> Decimal:
    if name != "requests.storage":
        return Decimal(0)
    requests = (claim["spec"].get("resources") or {}).get("requests") or {}
    return parse(requests.get("storage", "0"))


def _service_amount(name: str, service: Json) -> Decimal:
    kind, ports = service["spec"].get("type"), service["spec"].get("ports") or ()
    if name == "services.loadbalancers":
        return Decimal(kind == "LoadBalancer")
    if name == "services.nodeports":
        return Decimal(len(ports) if kind in ("NodePort", "LoadBalancer") else 0)
    return Decimal(0)


_AMOUNTS: dict[str, tuple[Callable[[str], bool], Callable[[str, Json], Decimal]]] = {
    "Pod": (lambda name: _compute(name) is not None, _pod_amount),
    "PersistentVolumeClaim": (lambda name: name == "requests.storage", _claim_amount),
    "Service": (lambda name: name.startswith("services."), _service_amount),
}


def _unspecified(resource: Resource, document: Json, hard: Iterable[str]) -> str:
    """Return what containers must say and do not, such as "limits.cpu for: c"; empty: nothing."""
    if resource.kind != "Pod":
        return ""
    spec = document["spec"]
    missing: dict[str, list[str]] = {}
    for container in [*(spec.get("containers") or ()), *(spec.get("initContainers") or ())]:
        for name in hard:
            found = _compute(name) if name in _REQUIRED else None
            given = (container.get("resources") or {}).get(found[0]) or {} if found else {}
            if found and found[1] not in given:
                missing.setdefault(name, []).append(container["name"])
    return "; ".join(f"{name} for: {','.join(sorted(missing[name]))}" for name in sorted(missing))


# -- scopes ------------------------------------------------------------------------------------


def in_scope(quota: Json, document: Json) -> bool:
    """Return whether a quota's scopes take an object in; scopes are about Pods."""
    spec = quota.get("spec") or {}
    selector = (spec.get("scopeSelector") or {}).get("matchExpressions") or ()
    scopes = [{"scopeName": name, "operator": "Exists"} for name in spec.get("scopes") or ()]
    demanded = [*scopes, *selector]
    if not demanded:
        return True
    is_pod = "containers" in (document.get("spec") or {})
    return is_pod and all(_scope_takes(each, document) for each in demanded)


def _scope_takes(scope: Json, pod: Json) -> bool:
    name, spec = scope["scopeName"], pod["spec"]
    if name in ("Terminating", "NotTerminating"):
        return bool((spec.get("activeDeadlineSeconds") is not None) == (name == "Terminating"))
    if name in ("BestEffort", "NotBestEffort"):
        best = (pod.get("status") or {}).get("qosClass", "BestEffort") == "BestEffort"
        return bool(best == (name == "BestEffort"))
    if name == "PriorityClass":
        given, values = spec.get("priorityClassName", ""), scope.get("values") or ()
        tests = {
            "In": given in values,
            "NotIn": given not in values,
            "Exists": bool(given),
            "DoesNotExist": not given,
        }
        return bool(tests[scope["operator"]])
    return True
