"""What a change touches that may not change, by kind."""

from __future__ import annotations

from collections.abc import Callable, Iterator
from typing import Any

from veza_nb.sandbox.apimachinery.status import Cause
from veza_nb.sandbox.apiserver.validation import jobs, limits, pods, sets, workloads
from veza_nb.sandbox.apiserver.validation.causes import Raw, bad

Json = dict[str, Any]
Check = Callable[[Json, Json], Iterator[Cause]]


def immutable(kind: str, old: Json, new: Json) -> Iterator[Cause]:
    """Yield what a change touches that may not change."""
    check = _BY_KIND.get(kind)
    if check is not None:
        yield from check(old, new)


def _pod(old: Json, new: Json) -> Iterator[Cause]:
    yield from pods.pod_change(old["spec"], new["spec"])


def _role_reference(old: Json, new: Json) -> Iterator[Cause]:
    if old["roleRef"] != new["roleRef"]:
        yield bad("roleRef", Raw("rbac.RoleRef{}"), "cannot change roleRef")


def _service(old: Json, new: Json) -> Iterator[Cause]:
    before, after = old["spec"].get("clusterIP"), new["spec"].get("clusterIP")
    if before != after and new["spec"]["type"] != "ExternalName" and before not in (None, ""):
        shown = Raw(f'[]string{{"{after}"}}')
        yield bad("spec.clusterIPs[0]", shown, "may not change once set")


def _controller_revision(old: Json, new: Json) -> Iterator[Cause]:
    if old.get("data") != new.get("data"):
        yield bad("data", Raw("runtime.RawExtension{}"), "field is immutable")


def _settings(old: Json, new: Json) -> Iterator[Cause]:
    if not old.get("immutable"):
        return
    parts = ("data", "binaryData")
    changed = [part for part in parts if old.get(part) != new.get(part)]
    for part in [*([] if new.get("immutable") else ["immutable"]), *changed]:
        why = "Forbidden: field is immutable when `immutable` is set"
        yield Cause("FieldValueForbidden", why, part)


def _secret(old: Json, new: Json) -> Iterator[Cause]:
    if old.get("type") != new.get("type"):
        yield bad("type", new.get("type"), "field is immutable")
    yield from _settings(old, new)


_BY_KIND: dict[str, Check] = {
    "ClusterRoleBinding": _role_reference,
    "ConfigMap": _settings,
    "ControllerRevision": _controller_revision,
    "DaemonSet": workloads.same_selector,
    "Deployment": workloads.same_selector,
    "Job": jobs.job_change,
    "PersistentVolumeClaim": limits.claim_change,
    "Pod": _pod,
    "ReplicaSet": workloads.same_selector,
    "RoleBinding": _role_reference,
    "Secret": _secret,
    "Service": _service,
    "StatefulSet": sets.stateful_set_change,
}
