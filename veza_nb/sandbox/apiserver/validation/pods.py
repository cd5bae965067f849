"""Pods and their templates."""

from __future__ import annotations

from collections.abc import Iterator
from typing import Any

from veza_nb.sandbox.apimachinery.quantity import parse
from veza_nb.sandbox.apimachinery.status import Cause
from veza_nb.sandbox.apiserver.validation.causes import (
    bad,
    go_value,
    not_negative,
    required,
    unsupported,
)
from veza_nb.sandbox.apiserver.validation.metadata import LABEL, LABEL_RULE, labels

Json = dict[str, Any]


def template(given: Json, field: str, policies: tuple[str, ...]) -> Iterator[Cause]:
    """Yield what is wrong with a Pod template."""
    yield from labels(f"{field}.labels", given["metadata"].get("labels"))
    yield from pod_spec(given["spec"], f"{field}.spec")
    policy = given["spec"].get("restartPolicy")
    known = ("Always", "OnFailure", "Never")
    if policy in known and policy not in policies:
        yield unsupported(f"{field}.spec.restartPolicy", policy, policies)


def pod_spec(spec: Json, field: str) -> Iterator[Cause]:
    """Yield what is wrong with the spec of a Pod."""
    volumes = {volume.get("name") for volume in spec.get("volumes") or ()}
    if not spec.get("containers"):
        yield required(f"{field}.containers")
    names: set[str] = set()
    for part in ("initContainers", "containers"):
        for number, container in enumerate(spec.get(part) or ()):
            yield from _container(container, f"{field}.{part}[{number}]", names, volumes)
    policy = spec.get("restartPolicy")
    if policy not in ("Always", "OnFailure", "Never"):
        yield unsupported(f"{field}.restartPolicy", policy, ("Always", "OnFailure", "Never"))
    if spec.get("dnsPolicy") not in ("ClusterFirst", "ClusterFirstWithHostNet", "Default", "None"):
        offered = ("ClusterFirst", "ClusterFirstWithHostNet", "Default", "None")
        yield unsupported(f"{field}.dnsPolicy", spec.get("dnsPolicy"), offered)
    yield from not_negative(
        f"{field}.terminationGracePeriodSeconds", spec.get("terminationGracePeriodSeconds")
    )


def _container(container: Json, field: str, names: set[str], volumes: set[Any]) -> Iterator[Cause]:
    name = container.get("name", "")
    if not name:
        yield required(f"{field}.name")
    elif not LABEL.fullmatch(name) or len(name) > 63:
        yield bad(f"{field}.name", name, LABEL_RULE)
    elif name in names:
        yield Cause("FieldValueDuplicate", f'Duplicate value: "{name}"', f"{field}.name")
    names.add(name)
    image = container.get("image", "")
    if not image:
        yield required(f"{field}.image")
    elif image.strip() != image:
        yield bad(f"{field}.image", image, "must not have leading or trailing whitespace")
    yield from _ports(container, field)
    for number, variable in enumerate(container.get("env") or ()):
        if not variable.get("name"):
            yield required(f"{field}.env[{number}].name")
    for number, mount in enumerate(container.get("volumeMounts") or ()):
        if mount.get("name") not in volumes:
            where = f"{field}.volumeMounts[{number}].name"
            yield Cause(
                "FieldValueNotFound", f"Not found: {go_value(mount.get('name', ''))}", where
            )
        if not mount.get("mountPath"):
            yield required(f"{field}.volumeMounts[{number}].mountPath")
    policy = container.get("imagePullPolicy")
    if policy not in ("Always", "IfNotPresent", "Never"):
        offered = ("Always", "IfNotPresent", "Never")
        yield unsupported(f"{field}.imagePullPolicy", policy, offered)
    yield from _resources(container.get("resources") or {}, f"{field}.resources")


def _ports(container: Json, field: str) -> Iterator[Cause]:
    for number, port in enumerate(container.get("ports") or ()):
        if not port.get("containerPort"):
            yield required(f"{field}.ports[{number}].containerPort")
        elif not 0 < port["containerPort"] < 65536:
            yield bad(
                f"{field}.ports[{number}].containerPort",
                port["containerPort"],
                "must be between 1 and 65535, inclusive",
            )
        if port.get("protocol") not in ("TCP", "UDP", "SCTP"):
            yield unsupported(
                f"{field}.ports[{number}].protocol", port.get("protocol"), ("SCTP", "TCP", "UDP")
            )


def _resources(resources: Json, field: str) -> Iterator[Cause]:
    limits = resources.get("limits") or {}
    for name, amount in (resources.get("requests") or {}).items():
        if name in limits and parse(amount) > parse(limits[name]):
            yield bad(
                f"{field}.requests",
                amount,
                f"must be less than or equal to {name} limit of {limits[name]}",
            )


def pod(document: Json) -> Iterator[Cause]:
    """Yield what is wrong with a Pod."""
    yield from pod_spec(document["spec"], "spec")


_POD_MUTABLE = ("activeDeadlineSeconds", "tolerations", "schedulingGates")


_POD_RULE = (
    "Forbidden: pod updates may not change fields other than `spec.containers[*].image`,"
    "`spec.initContainers[*].image`,`spec.activeDeadlineSeconds`,`spec.tolerations` "
    "(only additions to existing tolerations),`spec.terminationGracePeriodSeconds` "
    "(allow it to be set to 1 if it was previously negative)"
)


def pod_change(old: Json, new: Json) -> Iterator[Cause]:
    """Yield what a change of a Pod's spec touches that may not change."""
    if old is new:
        return
    yield from _deadline_change(old.get("activeDeadlineSeconds"), new.get("activeDeadlineSeconds"))
    kept = [_untimed(each) for each in new.get("tolerations") or ()]
    if any(_untimed(each) not in kept for each in old.get("tolerations") or ()):
        why = "Forbidden: existing toleration can not be modified except its tolerationSeconds"
        yield Cause("FieldValueForbidden", why, "spec.tolerations")
    if _fixed(old, new) != _fixed(new, new):
        yield Cause("FieldValueForbidden", _POD_RULE, "spec")


def _deadline_change(old: int | None, new: int | None) -> Iterator[Cause]:
    if old is not None and new is None:
        why = "must not update from a positive integer to nil value"
        yield bad("spec.activeDeadlineSeconds", new, why)
    elif old is not None and new is not None and new > old:
        yield bad("spec.activeDeadlineSeconds", new, "must be less than or equal to previous value")


def _untimed(toleration: Json) -> Json:
    return {name: value for name, value in toleration.items() if name != "tolerationSeconds"}


def _fixed(spec: Json, new: Json) -> Json:
    """Return the part of a Pod's spec that may not change, if it is to become the new one."""
    kept = {name: value for name, value in spec.items() if name not in _POD_MUTABLE}
    if kept.get("terminationGracePeriodSeconds", 0) < 0:
        allowed = new.get("terminationGracePeriodSeconds") == 1
        kept["terminationGracePeriodSeconds"] = 1 if allowed else -1
    for part in ("containers", "initContainers"):
        if kept.get(part):
            kept[part] = [{**each, "image": ""} for each in kept[part]]
    return kept
