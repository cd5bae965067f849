"""`/exec`, `/attach` and `/portforward`: what is asked for, before any bytes flow."""

from __future__ import annotations

from typing import Any

from veza_nb.sandbox.apimachinery import status
from veza_nb.sandbox.apimachinery.status import ApiError, Cause
from veza_nb.sandbox.apiserver.calls import Call
from veza_nb.sandbox.apiserver.messages import Response, Session
from veza_nb.sandbox.apiserver.podlogs import container_of

Json = dict[str, Any]
WEBSOCKET, SPDY = "websocket", "spdy/3.1"
_TRUE = ("true", "1")


def answer(call: Call, pod: Json) -> Response:
    """Agree to a conversation with a container of a pod.

    Raises:
        ApiError: 400 when it makes no sense or the container does not run.
    """
    kind = call.target.subresource
    session = _ports(call, pod) if kind == "portforward" else _streams(call, pod)
    if call.request.headers.get("upgrade", "").lower() not in (WEBSOCKET, SPDY):
        raise status.bad_request("Upgrade request required")
    return Response(101, session=session)


def _streams(call: Call, pod: Json) -> Session:
    query, kind = call.query, call.target.subresource
    container = container_of(pod, query.get("container", ""))
    command = tuple(call.request.repeated.get("command", ()))
    stdin, stdout, stderr, tty = (
        query.get(name, "") in _TRUE for name in ("stdin", "stdout", "stderr", "tty")
    )
    if not (stdin or stdout or stderr):
        raise status.bad_request("you must specify at least one of stdin, stdout, stderr")
    if kind == "exec" and not command:
        options = "PodExecOptions"
        cause = Cause("FieldValueRequired", "Required value", "command")
        raise status.invalid(options, "", call.target.name, [cause])
    _check_assigned(pod)
    entry = _entry(pod, container)
    if entry is None or "running" not in (entry.get("state") or {}):
        raise ApiError(404, "NotFound", "", plain=f'container not found ("{container}")')
    run = int(entry.get("restartCount", 0))
    return Session(kind, pod, container, run, command, stdin, stdout, stderr, tty)


def _ports(call: Call, pod: Json) -> Session:
    ports = []
    for text in ",".join(call.request.repeated.get("ports", ())).split(","):
        if not text:
            continue
        if not text.isdecimal() or not 0 < int(text) < 65536:
            raise status.bad_request(f'unable to parse port "{text}"')
        ports.append(int(text))
    _check_assigned(pod)
    if (pod.get("status") or {}).get("phase") != "Running":
        phase = (pod.get("status") or {}).get("phase", "Pending")
        raise status.bad_request(f"pod is not running: current phase is {phase}")
    return Session("portforward", pod, ports=tuple(ports))


def _check_assigned(pod: Json) -> None:
    name = pod["metadata"]["name"]
    if not pod["spec"].get("nodeName"):
        raise status.bad_request(f"pod {name} does not have a host assigned")


def _entry(pod: Json, container: str) -> Json | None:
    given = pod.get("status") or {}
    lists = ("containerStatuses", "initContainerStatuses", "ephemeralContainerStatuses")
    known = (each for name in lists for each in given.get(name) or ())
    return next((each for each in known if each["name"] == container), None)
