"""What admission adds to a new object, by kind: addresses, tokens, tolerations, first status."""

from __future__ import annotations

import secrets
from collections.abc import Callable
from typing import Any

from veza_nb.sandbox.apimachinery.selectors import LabelSelector
from veza_nb.sandbox.apiserver.calls import Core

Json = dict[str, Any]
# Letters and digits that cannot spell a word.
_SUFFIX_ALPHABET = "bcdfghjklmnpqrstvwxz2456789"


def complete(core: Core, document: Json) -> None:
    """Add to a new object what its kind gets; changes it in place."""
    add = _BY_KIND.get(document["kind"])
    if add is not None:
        add(core, document)


def touches(kind: str) -> bool:
    """Return whether a kind gets anything."""
    return kind in _BY_KIND


def random_suffix(length: int = 5) -> str:
    """Return letters and digits as generated names end with; none can spell a word."""
    return "".join(secrets.choice(_SUFFIX_ALPHABET) for _ in range(length))


def _complete_namespace(_core: Core, document: Json) -> None:
    document["spec"] = {"finalizers": ["kubernetes"]}
    document["status"] = {"phase": "Active"}


_TOKEN_MOUNT = "/var/run/secrets/kubernetes.io/serviceaccount"
_TOLERATIONS = [
    {
        "key": f"node.kubernetes.io/{trouble}",
        "operator": "Exists",
        "effect": "NoExecute",
        "tolerationSeconds": 300,
    }
    for trouble in ("not-ready", "unreachable")
]


def _complete_pod(core: Core, document: Json) -> None:
    spec = document["spec"]
    spec.setdefault("serviceAccountName", "default")
    spec["serviceAccount"] = spec["serviceAccountName"]
    if spec.get("automountServiceAccountToken") is not False:
        _mount_token(spec)
    present = {entry.get("key") for entry in spec.get("tolerations") or ()}
    missing = [dict(entry) for entry in _TOLERATIONS if entry["key"] not in present]
    spec["tolerations"] = [*(spec.get("tolerations") or ()), *missing]
    _set_priority(core, spec)
    document["status"] = {"phase": "Pending", "qosClass": qos_class(spec)}


def _set_priority(core: Core, spec: Json) -> None:
    name = spec.get("priorityClassName", "")
    table = core.store.table("priorityclasses.scheduling.k8s.io")
    found = table.get("", name) if name else None
    spec["priority"] = found["value"] if found else 0
    spec.setdefault("preemptionPolicy", "PreemptLowerPriority")


def _mount_token(spec: Json) -> None:
    name = f"kube-api-access-{random_suffix()}"
    namespace = {"apiVersion": "v1", "fieldPath": "metadata.namespace"}
    sources = [
        {"serviceAccountToken": {"expirationSeconds": 3607, "path": "token"}},
        {"configMap": {"name": "kube-root-ca.crt", "items": [{"key": "ca.crt", "path": "ca.crt"}]}},
        {"downwardAPI": {"items": [{"path": "namespace", "fieldRef": namespace}]}},
    ]
    volume = {"name": name, "projected": {"sources": sources, "defaultMode": 420}}
    spec["volumes"] = [*(spec.get("volumes") or ()), volume]
    mount = {"name": name, "readOnly": True, "mountPath": _TOKEN_MOUNT}
    for container in [*(spec.get("initContainers") or ()), *(spec.get("containers") or ())]:
        container["volumeMounts"] = [*(container.get("volumeMounts") or ()), mount]


def qos_class(spec: Json) -> str:
    """Return "Guaranteed", "Burstable" or "BestEffort" for the spec of a Pod."""
    containers = [*(spec.get("initContainers") or ()), *(spec.get("containers") or ())]
    resources = [container.get("resources") or {} for container in containers]
    if not any(each.get("limits") or each.get("requests") for each in resources):
        return "BestEffort"
    full = all(
        {"cpu", "memory"} <= set(each.get("limits") or {})
        and all(
            (each.get("requests") or {}).get(name) == amount
            for name, amount in each["limits"].items()
        )
        for each in resources
    )
    return "Guaranteed" if full else "Burstable"


def _complete_service(core: Core, document: Json) -> None:
    spec = document["spec"]
    document["status"] = {"loadBalancer": {}}
    if spec["type"] == "ExternalName":
        return
    if not spec.get("clusterIP"):
        spec["clusterIP"] = _free_address(core)
    spec["clusterIPs"] = [spec["clusterIP"]]
    spec.setdefault("ipFamilies", ["IPv4"])
    spec.setdefault("ipFamilyPolicy", "SingleStack")
    if spec["type"] in ("NodePort", "LoadBalancer"):
        for port in spec.get("ports") or ():
            if not port.get("nodePort"):
                port["nodePort"] = 30000 + secrets.randbelow(2768)


def _free_address(core: Core) -> str:
    services = core.store.table("services").select(None, LabelSelector())
    taken = {service["spec"].get("clusterIP") for service in services}
    start = secrets.randbelow(250)
    found = (
        f"10.0.{block}.{(start + step) % 250 + 2}" for block in range(256) for step in range(250)
    )
    return next(address for address in found if address not in taken)


def _complete_job(_core: Core, document: Json) -> None:
    spec, name, uid = (
        document["spec"],
        document["metadata"].get("name", ""),
        document["metadata"]["uid"],
    )
    if spec.get("manualSelector"):
        return
    labels = spec["template"]["metadata"].setdefault("labels", {})
    labels.update(
        {
            "batch.kubernetes.io/controller-uid": uid,
            "batch.kubernetes.io/job-name": name,
            "controller-uid": uid,
            "job-name": name,
        }
    )
    if not document["metadata"].get("labels"):
        document["metadata"]["labels"] = dict(labels)
    spec["selector"] = {"matchLabels": {"batch.kubernetes.io/controller-uid": uid}}


_TEMPLATE_GENERATION = "deprecated.daemonset.template.generation"


def _complete_daemonset(_core: Core, document: Json) -> None:
    document["metadata"].setdefault("annotations", {})[_TEMPLATE_GENERATION] = "1"


def keep(old: Json, new: Json) -> None:
    """Add to a changed object what the server gave out and the client left out; in place."""
    if new["kind"] == "Namespace":
        held = (old.get("spec") or {}).get("finalizers")
        if held is not None:
            new["spec"] = {**(new.get("spec") or {}), "finalizers": held}
    elif new["kind"] == "Service":
        _keep_addresses(old["spec"], new["spec"])


def _keep_addresses(before: Json, after: Json) -> None:
    if "ExternalName" in (before["type"], after["type"]):
        return
    for name in ("clusterIP", "clusterIPs", "ipFamilies", "ipFamilyPolicy"):
        if not after.get(name) and name in before:
            after[name] = before[name]
    if "ClusterIP" not in (before["type"], after["type"]):
        given = {
            (port.get("protocol"), port["port"]): port.get("nodePort")
            for port in before.get("ports") or ()
        }
        for port in after.get("ports") or ():
            number = given.get((port.get("protocol"), port["port"]))
            if number and not port.get("nodePort"):
                port["nodePort"] = number


def follow(old: Json, new: Json) -> None:
    """Add to a changed object what the server itself counts there; changes `new` in place.

    Nobody manages these fields: this comes after the managers were told of the change.
    """
    if new["kind"] == "DaemonSet":
        before = (old["metadata"].get("annotations") or {}).get(_TEMPLATE_GENERATION, "1")
        changed = old["spec"]["template"] != new["spec"]["template"]
        annotations = dict(new["metadata"].get("annotations") or {})
        annotations[_TEMPLATE_GENERATION] = str(int(before) + changed)
        new["metadata"]["annotations"] = annotations


def _complete_claim(_core: Core, document: Json) -> None:
    document["status"] = {"phase": "Pending"}


_BY_KIND: dict[str, Callable[[Core, Json], None]] = {
    "DaemonSet": _complete_daemonset,
    "Job": _complete_job,
    "Namespace": _complete_namespace,
    "PersistentVolumeClaim": _complete_claim,
    "Pod": _complete_pod,
    "Service": _complete_service,
}
