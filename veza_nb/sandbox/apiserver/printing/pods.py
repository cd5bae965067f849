"""The cells of Pods, and of the Events about them."""

from __future__ import annotations

from datetime import datetime
from typing import Any

from veza_nb.sandbox.apiserver.printing.text import NONE, age, name_of, since, status_of

Json = dict[str, Any]


def pod(document: Json, now: datetime) -> list[Any]:
    """Cells of a Pod."""
    spec, state = document["spec"], status_of(document)
    ready, total, restarts = _pod_counts(document, now)
    return [
        name_of(document),
        f"{ready}/{total}",
        pod_reason(document),
        restarts,
        age(document, now),
        state.get("podIP") or NONE,
        spec.get("nodeName") or NONE,
        state.get("nominatedNodeName") or NONE,
        _gates(document),
    ]


def _pod_counts(document: Json, now: datetime) -> tuple[int, int, str]:
    """Return how many containers are ready, how many there are, and the restarts as shown."""
    states = status_of(document).get("containerStatuses") or ()
    ready = sum(
        bool(each.get("ready")) and "running" in (each.get("state") or {}) for each in states
    )
    initial = status_of(document).get("initContainerStatuses") or ()
    counted = initial if _initializing(document) else states
    restarts = sum(each.get("restartCount", 0) for each in counted)
    ended = [
        ((each.get("lastState") or {}).get("terminated") or {}).get("finishedAt")
        for each in counted
    ]
    last = max((stamp for stamp in ended if stamp), default=None)
    shown = f"{restarts} ({since(last, now)} ago)" if restarts and last else str(restarts)
    return ready, len(document["spec"].get("containers") or ()), shown


def _initializing(document: Json) -> bool:
    return _init_reason(document) is not None


def _init_reason(document: Json) -> str | None:
    """Return what an unfinished init container shows, or None."""
    states = status_of(document).get("initContainerStatuses") or ()
    total = len(document["spec"].get("initContainers") or ())
    for number, each in enumerate(states):
        state = each.get("state") or {}
        terminated, waiting = state.get("terminated"), state.get("waiting")
        if terminated is not None:
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
    state = status_of(document)
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
    for each in reversed(status_of(document).get("containerStatuses") or ()):
        state = each.get("state") or {}
        waiting, terminated = state.get("waiting"), state.get("terminated")
        if waiting and waiting.get("reason"):
            reason = waiting["reason"]
        elif terminated is not None:
            reason = _terminated(terminated)
        elif each.get("ready") and "running" in state:
            running = True
    if reason == "Completed" and running:
        conditions = status_of(document).get("conditions") or ()
        ready = any(each["type"] == "Ready" and each["status"] == "True" for each in conditions)
        return "Running" if ready else "NotReady"
    return reason


def _gates(document: Json) -> str:
    gates = document["spec"].get("readinessGates") or ()
    if not gates:
        return NONE
    conditions = {
        each["type"]: each["status"] for each in status_of(document).get("conditions") or ()
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
        name_of(document),
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
