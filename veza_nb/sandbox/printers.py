"""The cells of every kind's row in a Table, as kubectl users know them."""

from __future__ import annotations

from collections.abc import Iterable
from datetime import UTC, datetime
from typing import Any

from . import selectors

Json = dict[str, Any]
NONE = "<none>"
UNKNOWN = "<unknown>"
UNSET = "<unset>"
_SHOWN_ENDPOINTS = 3


# Up to a bound in seconds: the unit shown, and the smaller one that is shown with it, if any.
_MINUTE, _HOUR, _DAY, _YEAR = 60, 3600, 86400, 365 * 86400
_STEPS: tuple[tuple[float, int, str, int, str], ...] = (
    (120, 1, "s", 0, ""),
    (10 * _MINUTE, _MINUTE, "m", 1, "s"),
    (180 * _MINUTE, _MINUTE, "m", 0, ""),
    (8 * _HOUR, _HOUR, "h", _MINUTE, "m"),
    (48 * _HOUR, _HOUR, "h", 0, ""),
    (8 * _DAY, _DAY, "d", _HOUR, "h"),
    (2 * _YEAR, _DAY, "d", 0, ""),
    (8 * _YEAR, _YEAR, "y", _DAY, "d"),
    (float("inf"), _YEAR, "y", 0, ""),
)


def duration(seconds: float) -> str:
    """Return a length of time in at most two units, such as "3m20s" or "5d"."""
    whole = int(seconds)
    if whole < 0:
        return "0s" if whole == -1 else "<invalid>"
    _, large, unit, small, small_unit = next(step for step in _STEPS if whole < step[0])
    rest = whole % large // small if small else 0
    shown = f"{whole // large}{unit}"
    return f"{shown}{rest}{small_unit}" if rest else shown


def parse_time(stamp: str) -> datetime:
    """Return the time of an API timestamp."""
    return datetime.fromisoformat(stamp).astimezone(UTC)


def since(stamp: str | None, now: datetime) -> str:
    """Return the time since a timestamp, or "<unknown>"."""
    return duration((now - parse_time(stamp)).total_seconds()) if stamp else UNKNOWN


def _age(document: Json, now: datetime) -> str:
    return since(document["metadata"].get("creationTimestamp"), now)


def _name(document: Json) -> str:
    return str(document["metadata"]["name"])


def _status(document: Json) -> Json:
    return document.get("status") or {}


def _containers(spec: Json) -> tuple[str, str]:
    containers = spec.get("containers") or ()
    names = ",".join(each["name"] for each in containers)
    return names, ",".join(each.get("image", "") for each in containers)


def _selector(chosen: Json | None) -> str:
    return selectors.format_object(chosen) or NONE


def _or_none(items: Iterable[str]) -> str:
    return ",".join(items) or NONE


def created(document: Json, _now: datetime) -> list[Any]:
    """Cells of kinds that show when they were made."""
    return [_name(document), document["metadata"].get("creationTimestamp")]


def deployment(document: Json, now: datetime) -> list[Any]:
    """Cells of a Deployment."""
    spec, state = document["spec"], _status(document)
    return [
        _name(document),
        f"{state.get('readyReplicas', 0)}/{spec.get('replicas', 0)}",
        state.get("updatedReplicas", 0),
        state.get("availableReplicas", 0),
        _age(document, now),
        *_containers(spec["template"]["spec"]),
        _selector(spec.get("selector")),
    ]


def replica_set(document: Json, now: datetime) -> list[Any]:
    """Cells of a ReplicaSet."""
    spec, state = document["spec"], _status(document)
    return [
        _name(document),
        spec.get("replicas", 0),
        state.get("replicas", 0),
        state.get("readyReplicas", 0),
        _age(document, now),
        *_containers(spec["template"]["spec"]),
        _selector(spec.get("selector")),
    ]


def stateful_set(document: Json, now: datetime) -> list[Any]:
    """Cells of a StatefulSet."""
    spec, state = document["spec"], _status(document)
    ready = f"{state.get('readyReplicas', 0)}/{spec.get('replicas', 0)}"
    return [_name(document), ready, _age(document, now), *_containers(spec["template"]["spec"])]


def daemon_set(document: Json, now: datetime) -> list[Any]:
    """Cells of a DaemonSet."""
    spec, state = document["spec"], _status(document)
    nodes = spec["template"]["spec"].get("nodeSelector") or {}
    return [
        _name(document),
        state.get("desiredNumberScheduled", 0),
        state.get("currentNumberScheduled", 0),
        state.get("numberReady", 0),
        state.get("updatedNumberScheduled", 0),
        state.get("numberAvailable", 0),
        _or_none(f"{key}={value}" for key, value in sorted(nodes.items())),
        _age(document, now),
        *_containers(spec["template"]["spec"]),
        _selector(spec.get("selector")),
    ]


def controller_revision(document: Json, now: datetime) -> list[Any]:
    """Cells of a ControllerRevision."""
    owners = document["metadata"].get("ownerReferences") or ()
    owner = next((each for each in owners if each.get("controller")), None)
    shown = NONE
    if owner:
        group = owner["apiVersion"].rpartition("/")[0]
        kind = owner["kind"].lower() + (f".{group}" if group else "")
        shown = f"{kind}/{owner['name']}"
    return [_name(document), shown, document["revision"], _age(document, now)]


def job(document: Json, now: datetime) -> list[Any]:
    """Cells of a Job."""
    spec, state = document["spec"], _status(document)
    done, wanted = state.get("succeeded", 0), spec.get("completions")
    if wanted is not None:
        completions = f"{done}/{wanted}"
    elif spec.get("parallelism", 1) > 1:
        completions = f"{done}/1 of {spec['parallelism']}"
    else:
        completions = f"{done}/1"
    start, end = state.get("startTime"), state.get("completionTime")
    took = since(start, parse_time(end) if end else now) if start else ""
    return [
        _name(document),
        _job_status(document),
        completions,
        took,
        _age(document, now),
        *_containers(spec["template"]["spec"]),
        _selector(spec.get("selector")),
    ]


def _job_status(document: Json) -> str:
    conditions = {
        each["type"]: each["status"] for each in _status(document).get("conditions") or ()
    }
    for kind in ("Complete", "Failed"):
        if conditions.get(kind) == "True":
            return kind
    if document["metadata"].get("deletionTimestamp"):
        return "Terminating"
    for kind, shown in (
        ("Suspended", "Suspended"),
        ("FailureTarget", "FailureTarget"),
        ("SuccessCriteriaMet", "SuccessCriteriaMet"),
    ):
        if conditions.get(kind) == "True":
            return shown
    return "Running"


def cron_job(document: Json, now: datetime) -> list[Any]:
    """Cells of a CronJob."""
    spec, state = document["spec"], _status(document)
    last = state.get("lastScheduleTime")
    template = spec["jobTemplate"]["spec"]
    return [
        _name(document),
        spec.get("schedule", ""),
        spec.get("timeZone") or NONE,
        str(bool(spec.get("suspend"))),
        len(state.get("active") or ()),
        since(last, now) if last else NONE,
        _age(document, now),
        *_containers(template["template"]["spec"]),
        _selector(template.get("selector")),
    ]


def pod(document: Json, now: datetime) -> list[Any]:
    """Cells of a Pod."""
    spec, state = document["spec"], _status(document)
    ready, total, restarts = _pod_counts(document, now)
    return [
        _name(document),
        f"{ready}/{total}",
        pod_reason(document),
        restarts,
        _age(document, now),
        state.get("podIP") or NONE,
        spec.get("nodeName") or NONE,
        state.get("nominatedNodeName") or NONE,
        _gates(document),
    ]


def _pod_counts(document: Json, now: datetime) -> tuple[int, int, str]:
    """Return how many containers are ready, how many there are, and the restarts as shown."""
    states = _status(document).get("containerStatuses") or ()
    ready = sum(
        bool(each.get("ready") and (each.get("state") or {}).get("running")) for each in states
    )
    initial = _status(document).get("initContainerStatuses") or ()
    counted = initial if _initializing(document) else states
    restarts = sum(each.get("restartCount", 0) for each in counted)
    ended = [
        (each.get("lastState") or {}).get("terminated", {}).get("finishedAt") for each in counted
    ]
    last = max((stamp for stamp in ended if stamp), default=None)
    shown = f"{restarts} ({since(last, now)} ago)" if restarts and last else str(restarts)
    return ready, len(document["spec"].get("containers") or ()), shown


def _initializing(document: Json) -> bool:
    return _init_reason(document) is not None


def _init_reason(document: Json) -> str | None:
    """Return what an unfinished init container shows, or None."""
    states = _status(document).get("initContainerStatuses") or ()
    total = len(document["spec"].get("initContainers") or ())
    for number, each in enumerate(states):
        state = each.get("state") or {}
        terminated, waiting = state.get("terminated"), state.get("waiting")
        if terminated:
            if terminated.get("exitCode") == 0:
                continue
            return "Init:" + _terminated(terminated)
        if waiting and waiting.get("reason") not in (None, "", "PodInitializing"):
            return f"Init:{waiting['reason']}"
        return f"Init:{number}/{total}"
    return None


def _terminated(terminated: Json) -> str:
    if terminated.get("reason"):
        return str(terminated["reason"])
    if terminated.get("signal"):
        return f"Signal:{terminated['signal']}"
    return f"ExitCode:{terminated.get('exitCode', 0)}"


def pod_reason(document: Json) -> str:
    """Return what the STATUS column says of a Pod."""
    state = _status(document)
    reason = state.get("reason") or state.get("phase", "")
    initial = _init_reason(document)
    reason = _main_reason(document, reason) if initial is None else initial
    if document["metadata"].get("deletionTimestamp"):
        if state.get("reason") == "NodeLost":
            return "Unknown"
        if state.get("phase") not in ("Failed", "Succeeded"):
            return "Terminating"
    return str(reason)


def _main_reason(document: Json, reason: str) -> str:
    running = False
    for each in reversed(_status(document).get("containerStatuses") or ()):
        state = each.get("state") or {}
        waiting, terminated = state.get("waiting"), state.get("terminated")
        if waiting and waiting.get("reason"):
            reason = waiting["reason"]
        elif terminated:
            reason = _terminated(terminated)
        elif each.get("ready") and state.get("running"):
            running = True
    if reason == "Completed" and running:
        conditions = _status(document).get("conditions") or ()
        ready = any(each["type"] == "Ready" and each["status"] == "True" for each in conditions)
        return "Running" if ready else "NotReady"
    return reason


def _gates(document: Json) -> str:
    gates = document["spec"].get("readinessGates") or ()
    if not gates:
        return NONE
    conditions = {
        each["type"]: each["status"] for each in _status(document).get("conditions") or ()
    }
    open_gates = sum(conditions.get(each["conditionType"]) == "True" for each in gates)
    return f"{open_gates}/{len(gates)}"


def event(document: Json, now: datetime) -> list[Any]:
    """Cells of an Event, in either of its two forms."""
    about = document.get("involvedObject") or document.get("regarding") or {}
    first = since(_either(document, "firstTimestamp") or document.get("eventTime"), now)
    last = _either(document, "lastTimestamp")
    seen, count = since(last, now) if last else first, _either(document, "count") or 1
    series = document.get("series")
    if series:
        seen, count = since(series.get("lastObservedTime"), now), series.get("count", 0)
    target = about.get("kind", "").lower()
    if about.get("name"):
        target = f"{target}/{about['name']}"
    message = document.get("message") or document.get("note") or ""
    return [
        seen,
        document.get("type", ""),
        document.get("reason", ""),
        target,
        about.get("fieldPath", ""),
        _event_source(document),
        message.strip(),
        first,
        count,
        _name(document),
    ]


def _either(document: Json, name: str) -> Any:
    old = f"deprecated{name[0].upper()}{name[1:]}"
    return document.get(name) if name in document else document.get(old)


def _event_source(document: Json) -> str:
    source = _either(document, "source") or {}
    reporting = document.get("reportingComponent") or document.get("reportingController")
    component = source.get("component") or reporting or ""
    host = source.get("host") or document.get("reportingInstance") or ""
    return f"{component}, {host}" if host else component


def node(document: Json, now: datetime) -> list[Any]:
    """Cells of a Node."""
    state, info = _status(document), _status(document).get("nodeInfo") or {}
    ready = [each for each in state.get("conditions") or () if each["type"] == "Ready"]
    shown = ["Ready" if ready[0]["status"] == "True" else "NotReady"] if ready else ["Unknown"]
    if document["spec"].get("unschedulable"):
        shown.append("SchedulingDisabled")
    prefix = "node-role.kubernetes.io/"
    labels = document["metadata"].get("labels") or {}
    roles = sorted(key.removeprefix(prefix) for key in labels if key.startswith(prefix))
    addresses = {each["type"]: each["address"] for each in state.get("addresses") or ()}
    return [
        _name(document),
        ",".join(shown),
        _or_none(roles),
        _age(document, now),
        info.get("kubeletVersion", ""),
        addresses.get("InternalIP", NONE),
        addresses.get("ExternalIP", NONE),
        info.get("osImage") or UNKNOWN,
        info.get("kernelVersion") or UNKNOWN,
        info.get("containerRuntimeVersion") or UNKNOWN,
    ]


def service(document: Json, now: datetime) -> list[Any]:
    """Cells of a Service."""
    spec = document["spec"]
    address = spec.get("clusterIP") or NONE
    ports = _or_none(
        f"{port['port']}:{port['nodePort']}/{port['protocol']}"
        if port.get("nodePort")
        else f"{port['port']}/{port['protocol']}"
        for port in spec.get("ports") or ()
    )
    chosen = spec.get("selector") or {}
    return [
        _name(document),
        spec.get("type", ""),
        address,
        _external(document),
        ports,
        _age(document, now),
        _or_none(f"{key}={value}" for key, value in sorted(chosen.items())),
    ]


def _external(document: Json) -> str:
    spec = document["spec"]
    if spec.get("type") == "ExternalName":
        return str(spec.get("externalName", ""))
    addresses = list(spec.get("externalIPs") or ())
    if spec.get("type") == "LoadBalancer":
        ingress = (_status(document).get("loadBalancer") or {}).get("ingress") or ()
        addresses = [each.get("ip") or each.get("hostname") or "" for each in ingress] + addresses
        return ",".join(addresses) or "<pending>"
    return _or_none(addresses)


def endpoints(document: Json, now: datetime) -> list[Any]:
    """Cells of Endpoints."""
    found = []
    for subset in document.get("subsets") or ():
        ports = subset.get("ports") or ()
        for address in subset.get("addresses") or ():
            found += [f"{address['ip']}:{port['port']}" for port in ports] or [address["ip"]]
    return [_name(document), _first_few(found, NONE), _age(document, now)]


def _first_few(found: list[str], nothing: str) -> str:
    if not found:
        return nothing
    shown = ",".join(found[:_SHOWN_ENDPOINTS])
    rest = len(found) - _SHOWN_ENDPOINTS
    return f"{shown} + {rest} more..." if rest > 0 else shown


def endpoint_slice(document: Json, now: datetime) -> list[Any]:
    """Cells of an EndpointSlice."""
    ports = [str(port.get("port", "*")) for port in document.get("ports") or ()]
    addresses = [
        address
        for each in document.get("endpoints") or ()
        for address in each.get("addresses") or ()
    ]
    return [
        _name(document),
        document.get("addressType", ""),
        _first_few(ports, UNSET),
        _first_few(addresses, UNSET),
        _age(document, now),
    ]


def config_map(document: Json, now: datetime) -> list[Any]:
    """Cells of a ConfigMap."""
    size = len(document.get("data") or ()) + len(document.get("binaryData") or ())
    return [_name(document), size, _age(document, now)]


def secret(document: Json, now: datetime) -> list[Any]:
    """Cells of a Secret."""
    kind, size = document.get("type", ""), len(document.get("data") or ())
    return [_name(document), kind, size, _age(document, now)]


def service_account(document: Json, now: datetime) -> list[Any]:
    """Cells of a ServiceAccount."""
    return [_name(document), len(document.get("secrets") or ()), _age(document, now)]


def namespace(document: Json, now: datetime) -> list[Any]:
    """Cells of a Namespace."""
    return [_name(document), _status(document).get("phase", ""), _age(document, now)]


def lease(document: Json, now: datetime) -> list[Any]:
    """Cells of a Lease."""
    return [_name(document), document["spec"].get("holderIdentity", ""), _age(document, now)]


def binding(document: Json, now: datetime) -> list[Any]:
    """Cells of a RoleBinding or a ClusterRoleBinding."""
    role = document["roleRef"]
    by_kind: dict[str, list[str]] = {"User": [], "Group": [], "ServiceAccount": []}
    for each in document.get("subjects") or ():
        name = each["name"]
        if each["kind"] == "ServiceAccount":
            name = f"{each.get('namespace', '')}/{name}"
        by_kind.setdefault(each["kind"], []).append(name)
    subjects = [", ".join(by_kind[kind]) for kind in ("User", "Group", "ServiceAccount")]
    return [_name(document), f"{role['kind']}/{role['name']}", _age(document, now), *subjects]


def budget(document: Json, now: datetime) -> list[Any]:
    """Cells of a PodDisruptionBudget."""
    spec = document["spec"]
    least, most = spec.get("minAvailable"), spec.get("maxUnavailable")
    return [
        _name(document),
        "N/A" if least is None else str(least),
        "N/A" if most is None else str(most),
        _status(document).get("disruptionsAllowed", 0),
        _age(document, now),
    ]


def autoscaler(document: Json, now: datetime) -> list[Any]:
    """Cells of a HorizontalPodAutoscaler."""
    spec, state = document["spec"], _status(document)
    target = spec["scaleTargetRef"]
    return [
        _name(document),
        f"{target['kind']}/{target['name']}",
        _targets(spec.get("metrics") or [], state.get("currentMetrics") or []),
        str(spec.get("minReplicas", UNSET)),
        spec.get("maxReplicas", 0),
        state.get("currentReplicas", 0),
        _age(document, now),
    ]


def _targets(metrics: list[Json], current: list[Json]) -> str:
    shown = []
    for number, metric in enumerate(metrics):
        resource = metric.get("resource")
        if resource is None:
            shown.append(UNKNOWN)
            continue
        now = (
            (current[number].get("resource") or {}).get("current")
            if number < len(current)
            else None
        )
        target = resource["target"]
        if target.get("averageUtilization") is not None:
            value = (now or {}).get("averageUtilization")
            have = UNKNOWN if value is None else f"{value}%"
            shown.append(f"{resource['name']}: {have}/{target['averageUtilization']}%")
        else:
            have = (now or {}).get("averageValue", UNKNOWN)
            shown.append(f"{resource['name']}: {have}/{target.get('averageValue')}")
    return ", ".join(shown) or NONE


def quota(document: Json, now: datetime) -> list[Any]:
    """Cells of a ResourceQuota."""
    state = _status(document)
    used = state.get("used") or {}
    requests: list[str] = []
    limits: list[str] = []
    for name, hard in sorted((state.get("hard") or {}).items()):
        shown = f"{name}: {used.get(name, '0')}/{hard}"
        (limits if name.startswith("limits") else requests).append(shown)
    return [_name(document), ", ".join(requests), ", ".join(limits), _age(document, now)]


def priority_class(document: Json, now: datetime) -> list[Any]:
    """Cells of a PriorityClass."""
    return [
        _name(document),
        document.get("value", 0),
        bool(document.get("globalDefault")),
        _age(document, now),
        document.get("preemptionPolicy", ""),
    ]


def claim(document: Json, now: datetime) -> list[Any]:
    """Cells of a PersistentVolumeClaim."""
    spec, state = document["spec"], _status(document)
    short = {"ReadWriteOnce": "RWO", "ReadOnlyMany": "ROX", "ReadWriteMany": "RWX"}
    modes = ",".join(short.get(mode, mode) for mode in state.get("accessModes") or ())
    return [
        _name(document),
        state.get("phase", ""),
        spec.get("volumeName", ""),
        (state.get("capacity") or {}).get("storage", ""),
        modes,
        spec.get("storageClassName", ""),
        spec.get("volumeAttributesClassName") or UNSET,
        _age(document, now),
        spec.get("volumeMode") or UNSET,
    ]
