"""What the server refuses with 422, and in which words."""

from __future__ import annotations

import json
import re
from collections.abc import Iterator
from typing import Any

from . import selectors, status
from .kinds import Resource
from .status import Cause

Json = dict[str, Any]

_SUBDOMAIN = re.compile(r"[a-z0-9]([-a-z0-9]*[a-z0-9])?(\.[a-z0-9]([-a-z0-9]*[a-z0-9])?)*")
_LABEL = re.compile(r"[a-z0-9]([-a-z0-9]*[a-z0-9])?")
_SERVICE = re.compile(r"[a-z]([-a-z0-9]*[a-z0-9])?")
_SUBDOMAIN_RULE = (
    "a lowercase RFC 1123 subdomain must consist of lower case alphanumeric characters, '-' or "
    "'.', and must start and end with an alphanumeric character (e.g. 'example.com', regex used "
    "for validation is '[a-z0-9]([-a-z0-9]*[a-z0-9])?(\\.[a-z0-9]([-a-z0-9]*[a-z0-9])?)*')"
)
_LABEL_RULE = (
    "a lowercase RFC 1123 label must consist of lower case alphanumeric characters or '-', and "
    "must start and end with an alphanumeric character (e.g. 'my-name',  or '123-abc', regex used "
    "for validation is '[a-z0-9]([-a-z0-9]*[a-z0-9])?')"
)
_SERVICE_RULE = (
    "a DNS-1035 label must consist of lower case alphanumeric characters or '-', start with an "
    "alphabetic character, and end with an alphanumeric character (e.g. 'my-name',  or 'abc-123', "
    "regex used for validation is '[a-z]([-a-z0-9]*[a-z0-9])?')"
)
_PATH_NAMED = frozenset(("Role", "RoleBinding", "ClusterRole", "ClusterRoleBinding"))


def bad(field: str, value: object, why: str) -> Cause:
    """Return the cause "Invalid value" of a field; the value is spelled as Go spells it."""
    return Cause("FieldValueInvalid", f"Invalid value: {go_value(value)}: {why}", field)


def required(field: str, why: str = "") -> Cause:
    """Return the cause "Required value" of a field."""
    return Cause("FieldValueRequired", "Required value" + (f": {why}" if why else ""), field)


def unsupported(field: str, value: object, offered: tuple[str, ...]) -> Cause:
    """Return the cause "Unsupported value" of a field."""
    shown = ", ".join(f'"{each}"' for each in offered)
    message = f"Unsupported value: {go_value(value)}: supported values: {shown}"
    return Cause("FieldValueNotSupported", message, field)


def go_value(value: object) -> str:
    """Return a value as the server prints it in messages."""
    if isinstance(value, bool):
        return str(value).lower()
    if isinstance(value, str):
        return json.dumps(value, ensure_ascii=False)
    if isinstance(value, dict):
        inner = ", ".join(f"{go_value(key)}:{go_value(value[key])}" for key in sorted(value))
        return f"map[string]string{{{inner}}}"
    return "null" if value is None else str(value)


def check_create(resource: Resource, document: Json) -> None:
    """Refuse a new object that is not valid.

    Raises:
        ApiError: 422.
    """
    causes = [*_metadata(resource, document["metadata"]), *_kind(resource, document)]
    _raise(resource, document["metadata"].get("name", ""), causes)


def check_update(resource: Resource, subresource: str, old: Json, new: Json) -> None:
    """Refuse a change that makes an object invalid or touches what may not change.

    Raises:
        ApiError: 422.
    """
    causes = list(_metadata_parts(new["metadata"]))
    if subresource != "status":
        if (
            old.get("spec") is not new.get("spec") and old.get("spec") != new.get("spec")
        ) or "spec" not in new:
            causes += _kind(resource, new)
        causes += _immutable(resource, old, new)
    _raise(resource, new["metadata"]["name"], causes)


def check_identity(resource: Resource, old: Json, new: Json) -> None:
    """Refuse another uid, and take over the right one where none was sent.

    Raises:
        ApiError: 422.
    """
    if not new.get("uid"):
        new["uid"] = old["uid"]
    if new["uid"] != old["uid"]:
        cause = bad("metadata.uid", new["uid"], "field is immutable")
        # The server checks twice and lists it twice.
        raise status.invalid(resource.kind, resource.group, old["name"], [cause, cause])


def _raise(resource: Resource, name: str, causes: list[Cause]) -> None:
    if causes:
        raise status.invalid(resource.kind, resource.group, name, causes)


def _metadata(resource: Resource, metadata: Json) -> Iterator[Cause]:
    name = metadata.get("name", "")
    if not name:
        yield required("metadata.name", "name or generateName is required")
    else:
        yield from _name(resource, name)
    yield from _metadata_parts(metadata)


def _name(resource: Resource, name: str) -> Iterator[Cause]:
    if resource.kind in _PATH_NAMED:
        if "/" in name or "%" in name or name in (".", ".."):
            yield bad("metadata.name", name, "may not contain '/'")
        return
    pattern, rule, limit = _SUBDOMAIN, _SUBDOMAIN_RULE, 253
    if resource.kind == "Namespace":
        pattern, rule, limit = _LABEL, _LABEL_RULE, 63
    elif resource.kind == "Service":
        pattern, rule, limit = _SERVICE, _SERVICE_RULE, 63
    if not pattern.fullmatch(name):
        yield bad("metadata.name", name, rule)
    if len(name) > limit:
        yield bad("metadata.name", name, f"must be no more than {limit} bytes")


def _metadata_parts(metadata: Json) -> Iterator[Cause]:
    yield from labels("metadata.labels", metadata.get("labels"))
    for key in metadata.get("annotations") or ():
        if not selectors.valid_label_key(key):
            yield bad(
                "metadata.annotations",
                key,
                "name part must consist of alphanumeric characters, "
                "'-', '_' or '.', and must start and end with an alphanumeric character "
                "(e.g. 'MyName',  or 'my.name',  or '123-abc', regex used for validation is "
                "'([A-Za-z0-9][-A-Za-z0-9_.]*)?[A-Za-z0-9]')",
            )
    size = sum(len(key) + len(value) for key, value in (metadata.get("annotations") or {}).items())
    if size > 256 * 1024:
        yield Cause(
            "FieldValueTooLong",
            "Too long: may not be more than 262144 bytes",
            "metadata.annotations",
        )


def labels(field: str, given: Json | None) -> Iterator[Cause]:
    """Yield what is wrong with a map of labels."""
    for key, value in (given or {}).items():
        if not selectors.valid_label_key(key):
            yield bad(field, key, selectors.LABEL_NAME_RULE)
        if not selectors.valid_label_value(value):
            yield bad(field, value, selectors.LABEL_VALUE_RULE)


def _kind(resource: Resource, document: Json) -> Iterator[Cause]:
    check = _BY_KIND.get(resource.kind)
    if check is not None:
        yield from check(document)


def _not_negative(field: str, value: int | None) -> Iterator[Cause]:
    if value is not None and value < 0:
        yield bad(field, value, "must be greater than or equal to 0")


def _workload(document: Json) -> Iterator[Cause]:
    spec = document["spec"]
    yield from _not_negative("spec.replicas", spec.get("replicas"))
    yield from _not_negative("spec.minReadySeconds", spec.get("minReadySeconds"))
    yield from _selector(document)
    yield from template(spec["template"], "spec.template", ("Always",))


def _selector(document: Json) -> Iterator[Cause]:
    spec = document["spec"]
    chosen = spec.get("selector")
    if not chosen:
        yield (
            required("spec.selector")
            if chosen is None
            else bad(
                "spec.selector", LABEL_SELECTOR_EMPTY, "empty selector is invalid for deployment"
            )
        )
        return
    problems = list(label_selector("spec.selector", chosen))
    yield from problems
    given = spec["template"]["metadata"].get("labels")
    if not problems and not selectors.from_object(chosen).matches(given):
        yield bad(
            "spec.template.metadata.labels",
            given or {},
            "`selector` does not match template `labels`",
        )


class _Raw:
    """A value whose Go spelling is known."""

    def __init__(self, text: str) -> None:
        self._text = text

    def __str__(self) -> str:
        return self._text


LABEL_SELECTOR_EMPTY = _Raw(
    "v1.LabelSelector{MatchLabels:map[string]string(nil), "
    "MatchExpressions:[]v1.LabelSelectorRequirement(nil)}"
)


def _selector_value(chosen: Json | None) -> _Raw:
    given = (chosen or {}).get("matchLabels")
    match_labels = go_value(given) if given else "map[string]string(nil)"
    expressions = (chosen or {}).get("matchExpressions")
    if not expressions:
        shown = "[]v1.LabelSelectorRequirement(nil)"
    else:
        shown = "[]v1.LabelSelectorRequirement{" + ", ".join(map(_expression, expressions)) + "}"
    return _Raw(f"v1.LabelSelector{{MatchLabels:{match_labels}, MatchExpressions:{shown}}}")


def _expression(entry: Json) -> str:
    values = entry.get("values")
    listed = ", ".join(go_value(value) for value in values or ())
    shown = f"[]string{{{listed}}}" if values else "[]string(nil)"
    key, operator = go_value(entry["key"]), go_value(entry["operator"])
    return f"v1.LabelSelectorRequirement{{Key:{key}, Operator:{operator}, Values:{shown}}}"


def label_selector(field: str, chosen: Json) -> Iterator[Cause]:
    """Yield what is wrong with a `selector` object."""
    yield from labels(f"{field}.matchLabels", chosen.get("matchLabels"))
    for number, entry in enumerate(chosen.get("matchExpressions") or ()):
        where, values = f"{field}.matchExpressions[{number}]", entry.get("values")
        if entry["operator"] in ("In", "NotIn"):
            if not values:
                yield required(
                    f"{where}.values", "must be specified when `operator` is 'In' or 'NotIn'"
                )
        elif entry["operator"] in ("Exists", "DoesNotExist"):
            if values:
                yield Cause(
                    "FieldValueForbidden",
                    "Forbidden: may not be specified when `operator` is 'Exists' or 'DoesNotExist'",
                    f"{where}.values",
                )
        else:
            yield bad(f"{where}.operator", entry["operator"], "not a valid selector operator")
        if not selectors.valid_label_key(entry["key"]):
            yield bad(f"{where}.key", entry["key"], selectors.LABEL_NAME_RULE)


def _deployment(document: Json) -> Iterator[Cause]:
    spec = document["spec"]
    yield from _not_negative("spec.replicas", spec.get("replicas"))
    yield from _not_negative("spec.minReadySeconds", spec.get("minReadySeconds"))
    yield from _selector(document)
    yield from template(spec["template"], "spec.template", ("Always",))
    yield from _strategy(spec["strategy"])
    yield from _not_negative("spec.revisionHistoryLimit", spec.get("revisionHistoryLimit"))
    deadline = spec.get("progressDeadlineSeconds")
    yield from _not_negative("spec.progressDeadlineSeconds", deadline)
    if deadline is not None and deadline <= spec.get("minReadySeconds", 0):
        yield bad("spec.progressDeadlineSeconds", deadline, "must be greater than minReadySeconds")


def _strategy(strategy: Json) -> Iterator[Cause]:
    kind, rolling = strategy.get("type"), strategy.get("rollingUpdate")
    if kind == "Recreate":
        if rolling is not None:
            why = "Forbidden: may not be specified when strategy `type` is 'Recreate'"
            yield Cause("FieldValueForbidden", why, "spec.strategy.rollingUpdate")
        return
    if kind != "RollingUpdate":
        yield unsupported("spec.strategy.type", kind or "", ("Recreate", "RollingUpdate"))
        return
    where = "spec.strategy.rollingUpdate"
    rolling = rolling or {}
    for name in ("maxUnavailable", "maxSurge"):
        yield from _amount(f"{where}.{name}", rolling.get(name))
    if _is_zero(rolling.get("maxUnavailable")) and _is_zero(rolling.get("maxSurge")):
        yield bad(
            f"{where}.maxUnavailable",
            rolling.get("maxUnavailable", 0),
            "may not be 0 when `maxSurge` is 0",
        )
    percent = _percent(rolling.get("maxUnavailable"))
    if percent is not None and percent > 100:
        yield bad(
            f"{where}.maxUnavailable", rolling["maxUnavailable"], "must not be greater than 100%"
        )


def _percent(value: object) -> int | None:
    found = re.fullmatch(r"(\d+)%", value) if isinstance(value, str) else None
    return int(found[1]) if found else None


def _is_zero(value: object) -> bool:
    return value in (None, 0) or _percent(value) == 0


def _amount(field: str, value: object) -> Iterator[Cause]:
    if isinstance(value, str) and _percent(value) is None:
        yield bad(
            field,
            value,
            "a valid percent string must be a numeric string followed by an ending "
            "'%' (e.g. '1%',  or '93%', regex used for validation is '[0-9]+%')",
        )
    elif isinstance(value, int):
        yield from _not_negative(field, value)


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
    yield from _not_negative(
        f"{field}.terminationGracePeriodSeconds", spec.get("terminationGracePeriodSeconds")
    )


def _container(container: Json, field: str, names: set[str], volumes: set[Any]) -> Iterator[Cause]:
    name = container.get("name", "")
    if not name:
        yield required(f"{field}.name")
    elif not _LABEL.fullmatch(name) or len(name) > 63:
        yield bad(f"{field}.name", name, _LABEL_RULE)
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
    from .quantity import parse  # noqa: PLC0415

    limits = resources.get("limits") or {}
    for name, amount in (resources.get("requests") or {}).items():
        if name in limits and parse(amount) > parse(limits[name]):
            yield bad(
                f"{field}.requests",
                amount,
                f"must be less than or equal to {name} limit of {limits[name]}",
            )


def _pod(document: Json) -> Iterator[Cause]:
    yield from pod_spec(document["spec"], "spec")


def _job(document: Json) -> Iterator[Cause]:
    spec = document["spec"]
    for name in ("parallelism", "completions", "backoffLimit", "activeDeadlineSeconds"):
        yield from _not_negative(f"spec.{name}", spec.get(name))
    yield from template(spec["template"], "spec.template", ("OnFailure", "Never"))
    if spec["template"]["spec"].get("restartPolicy") == "Always":
        return


def _service(document: Json) -> Iterator[Cause]:
    spec = document["spec"]
    headless = spec.get("clusterIP") == "None"
    if not spec.get("ports") and not headless and spec.get("type") != "ExternalName":
        yield required("spec.ports")
    ports = spec.get("ports") or []
    for number, port in enumerate(ports):
        where = f"spec.ports[{number}]"
        if len(ports) > 1 and not port.get("name"):
            yield required(f"{where}.name")
        if not 0 < port.get("port", 0) < 65536:
            yield bad(
                f"{where}.port", port.get("port", 0), "must be between 1 and 65535, inclusive"
            )
    offered = ("ClusterIP", "ExternalName", "LoadBalancer", "NodePort")
    if spec.get("type") not in offered:
        yield unsupported("spec.type", spec.get("type"), offered)


def _lease(document: Json) -> Iterator[Cause]:
    seconds = document["spec"].get("leaseDurationSeconds")
    if seconds is not None and seconds <= 0:
        yield bad("spec.leaseDurationSeconds", seconds, "must be greater than 0")


def _budget(document: Json) -> Iterator[Cause]:
    spec = document["spec"]
    if spec.get("minAvailable") is not None and spec.get("maxUnavailable") is not None:
        yield bad(
            "spec",
            _Raw("policy.PodDisruptionBudgetSpec{}"),
            "minAvailable and maxUnavailable cannot be both set",
        )


def _autoscaler(document: Json) -> Iterator[Cause]:
    spec = document["spec"]
    if spec.get("maxReplicas", 0) < 1:
        yield bad("spec.maxReplicas", spec.get("maxReplicas", 0), "must be greater than 0")
    elif spec["maxReplicas"] < spec.get("minReplicas", 1):
        yield bad(
            "spec.maxReplicas",
            spec["maxReplicas"],
            "must be greater than or equal to `minReplicas`",
        )


def _event(document: Json) -> Iterator[Cause]:
    about = document.get("involvedObject") or document.get("regarding") or {}
    namespace = document["metadata"].get("namespace", "")
    if about.get("namespace", "") != namespace and not (
        namespace == "default" and not about.get("namespace")
    ):
        yield bad(
            "involvedObject.namespace", about.get("namespace", ""), "does not match event.namespace"
        )


def _role_binding(document: Json) -> Iterator[Cause]:
    reference = document["roleRef"]
    offered = ("Role", "ClusterRole") if document["kind"] == "RoleBinding" else ("ClusterRole",)
    if reference.get("kind") not in offered:
        yield unsupported("roleRef.kind", reference.get("kind", ""), offered)
    if not reference.get("name"):
        yield required("roleRef.name")
    for number, subject in enumerate(document.get("subjects") or ()):
        if not subject.get("name"):
            yield required(f"subjects[{number}].name")


_BY_KIND = {
    "ClusterRoleBinding": _role_binding,
    "DaemonSet": _workload,
    "Deployment": _deployment,
    "Event": _event,
    "HorizontalPodAutoscaler": _autoscaler,
    "Job": _job,
    "Lease": _lease,
    "Pod": _pod,
    "PodDisruptionBudget": _budget,
    "ReplicaSet": _workload,
    "RoleBinding": _role_binding,
    "Service": _service,
    "StatefulSet": _workload,
}


def _immutable(resource: Resource, old: Json, new: Json) -> Iterator[Cause]:
    if resource.kind in ("Deployment", "ReplicaSet", "DaemonSet"):
        yield from _same_selector(old, new)
    elif resource.kind == "Job":
        yield from _same_selector(old, new)
        if old["spec"]["template"] != new["spec"]["template"]:
            yield bad("spec.template", _Raw("core.PodTemplateSpec{}"), "field is immutable")
    elif resource.kind == "Pod":
        yield from _pod_change(old["spec"], new["spec"])
    elif resource.kind in ("RoleBinding", "ClusterRoleBinding"):
        if old["roleRef"] != new["roleRef"]:
            yield bad("roleRef", _Raw("rbac.RoleRef{}"), "cannot change roleRef")
    elif resource.kind == "Service":
        before, after = old["spec"].get("clusterIP"), new["spec"].get("clusterIP")
        if before != after and new["spec"]["type"] != "ExternalName" and before not in (None, ""):
            yield bad("spec.clusterIPs[0]", [after], "may not change once set")
    elif resource.kind in ("ConfigMap", "Secret") and old.get("immutable"):
        for part in ("data", "binaryData"):
            if old.get(part) != new.get(part):
                yield Cause(
                    "FieldValueForbidden",
                    "Forbidden: field is immutable when `immutable` is set",
                    part,
                )


def _same_selector(old: Json, new: Json) -> Iterator[Cause]:
    if old["spec"].get("selector") != new["spec"].get("selector"):
        shown = _selector_value(new["spec"].get("selector"))
        yield bad("spec.selector", shown, "field is immutable")


_POD_MUTABLE = (
    "activeDeadlineSeconds",
    "tolerations",
    "terminationGracePeriodSeconds",
    "nodeName",
    "schedulingGates",
)
_POD_RULE = (
    "Forbidden: pod updates may not change fields other than `spec.containers[*].image`,"
    "`spec.initContainers[*].image`,`spec.activeDeadlineSeconds`,`spec.tolerations` "
    "(only additions to existing tolerations),`spec.terminationGracePeriodSeconds` "
    "(allow it to be set to 1 if it was previously negative)"
)


def _pod_change(old: Json, new: Json) -> Iterator[Cause]:
    if old is new or _fixed(old) == _fixed(new):
        return
    yield Cause("FieldValueForbidden", _POD_RULE, "spec")


def _fixed(spec: Json) -> Json:
    """Return the part of a Pod's spec that may not change."""
    kept = {name: value for name, value in spec.items() if name not in _POD_MUTABLE}
    for part in ("containers", "initContainers"):
        if kept.get(part):
            kept[part] = [{**each, "image": ""} for each in kept[part]]
    return kept
