"""`/log`: which container of a pod is meant, which of its runs, and which lines of that."""

from __future__ import annotations

import json
from collections.abc import Mapping
from datetime import datetime, timedelta
from typing import Any

from veza_nb.sandbox.apimachinery import status
from veza_nb.sandbox.apimachinery.status import Cause
from veza_nb.sandbox.apiserver.calls import Call, Core
from veza_nb.sandbox.apiserver.logs import LogQuery
from veza_nb.sandbox.apiserver.messages import Response

Json = dict[str, Any]

_LEAST = {"tailLines": 0, "limitBytes": 1, "sinceSeconds": 1}
_ONE_START = "at most one of `sinceTime` or `sinceSeconds` may be specified"
_WHY_WAITING = {
    "ImagePullBackOff": "trying and failing to pull image",
    "ErrImagePull": "image can't be pulled",
}


def answer(core: Core, call: Call, pod: Json) -> Response:
    """Answer what a container of a pod printed.

    Raises:
        ApiError: 400 when there is no such container or run, 422 for impossible options.
    """
    query = _query(core, call)
    container = container_of(pod, call.query.get("container", ""))
    headers = {"Content-Type": "text/plain"}
    if not pod["spec"].get("nodeName"):
        return Response(204, headers, text=b"")
    run = _run(pod, container, previous=_flag(call.query, "previous"))
    uid = pod["metadata"]["uid"]
    if _flag(call.query, "follow"):
        return Response(200, headers, stream=core.logs.follow(uid, container, run, query))
    return Response(200, headers, text=core.logs.read(uid, container, run, query))


def container_of(pod: Json, name: str) -> str:
    """The container that is meant, by name, or as the only one.

    Raises:
        ApiError: 400 when there is none of that name, or several and none named.
    """
    spec, pod_name = pod["spec"], pod["metadata"]["name"]
    names = {
        kind: [each["name"] for each in spec.get(kind) or ()]
        for kind in ("containers", "initContainers", "ephemeralContainers")
    }
    if name:
        if not any(name in group for group in names.values()):
            raise status.bad_request(f"container {name} is not valid for pod {pod_name}")
        return name
    if len(names["containers"]) == 1:
        return str(names["containers"][0])
    said = f"a container name must be specified for pod {pod_name}"
    said += f", choose one of: [{' '.join(names['containers'])}]"
    for kind, words in (("initContainers", "init"), ("ephemeralContainers", "ephemeral")):
        if names[kind]:
            said += f" or one of the {words} containers: [{' '.join(names[kind])}]"
    raise status.bad_request(said)


def _run(pod: Json, container: str, *, previous: bool) -> int:
    """The run of a container whose log is meant.

    Raises:
        ApiError: 400 when there is no such run.
    """
    which = f'container "{container}" in pod "{pod["metadata"]["name"]}"'
    state = _status_of(pod, container)
    if state is None:
        raise status.bad_request(f"{which} is not available")
    run, now = state.get("restartCount", 0), state.get("state") or {}
    last, waiting = (state.get("lastState") or {}).get("terminated"), now.get("waiting")
    if previous and not last:
        raise status.bad_request(f"previous terminated {which} not found")
    if previous:
        return int(run if waiting else max(0, run - 1))
    if waiting and not last:
        reason = waiting.get("reason", "")
        why = _WHY_WAITING.get(reason, reason)
        raise status.bad_request(f"{which} is waiting to start: {why}")
    if not now and not last:
        raise status.bad_request(f"{which} is waiting to start - no logs yet")
    return int(run)


def _status_of(pod: Json, container: str) -> Json | None:
    given = pod.get("status") or {}
    known = [*(given.get("initContainerStatuses") or ()), *(given.get("containerStatuses") or ())]
    return next((each for each in known if each["name"] == container), None)


def _query(core: Core, call: Call) -> LogQuery:
    """The lines that are meant.

    Raises:
        ApiError: 400 for what is no number or time, 422 for what cannot be.
    """
    query = call.query
    numbers = {name: _number(query.get(name)) for name in _LEAST}
    causes = [
        Cause(
            "FieldValueInvalid",
            f"Invalid value: {value}: must be greater than or equal to {_LEAST[name]}",
            name,
        )
        for name, value in numbers.items()
        if value is not None and value < _LEAST[name]
    ]
    since, ago = _time(query.get("sinceTime", "")), numbers["sinceSeconds"]
    if since is not None and ago is not None:
        causes.append(Cause("FieldValueForbidden", f"Forbidden: {_ONE_START}", ""))
    if causes:
        raise status.invalid("PodLogOptions", "", call.target.name, causes)
    if ago is not None:
        since = core.clock.now() - timedelta(seconds=ago)
    stamped = _flag(query, "timestamps")
    return LogQuery(numbers["tailLines"], numbers["limitBytes"], since, stamped)


def _flag(query: Mapping[str, str], name: str) -> bool:
    """Whether an option is given; only "false" and "0" deny it."""
    return name in query and query[name].lower() not in ("false", "0")


def _number(text: str | None) -> int | None:
    if not text:
        return None
    try:
        return int(text)
    except ValueError as error:
        why = f"strconv.ParseInt: parsing {json.dumps(text)}: invalid syntax"
        raise status.bad_request(why) from error


def _time(text: str) -> datetime | None:
    if not text:
        return None
    try:
        at = datetime.fromisoformat(text)
    except ValueError:
        at = datetime.min
    if at.tzinfo is None:
        shown, layout = json.dumps(text), "2006-01-02T15:04:05Z07:00"
        raise status.bad_request(
            f'parsing time {shown} as "{layout}": cannot parse {shown} as "2006"'
        )
    return at
