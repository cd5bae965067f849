"""What hangs below an object: scale, eviction, binding, finalize, log."""

from __future__ import annotations

import json
from collections.abc import Mapping
from datetime import datetime, timedelta
from typing import Any

from veza_nb.sandbox.apimachinery import selectors, status
from veza_nb.sandbox.apimachinery.decoding import DecodeError, decode
from veza_nb.sandbox.apimachinery.schema import struct
from veza_nb.sandbox.apimachinery.status import Cause
from veza_nb.sandbox.apiserver.calls import Call, Core
from veza_nb.sandbox.apiserver.deleting import DeleteOptions, Deleter
from veza_nb.sandbox.apiserver.logs import LogQuery
from veza_nb.sandbox.apiserver.messages import Response
from veza_nb.sandbox.apiserver.reading import Reader
from veza_nb.sandbox.apiserver.routes import TRUE
from veza_nb.sandbox.apiserver.writing import Writer, patched_document

Json = dict[str, Any]


class Subresources:
    """Answers requests for subresources other than status."""

    def __init__(self, core: Core, reader: Reader, writer: Writer, deleter: Deleter) -> None:
        self._core = core
        self._reader = reader
        self._writer = writer
        self._deleter = deleter

    def handle(self, call: Call) -> Response:
        """Answer a request.

        Raises:
            ApiError: 405 for a verb that the subresource does not have, and all the rest.
        """
        answers = {
            ("scale", "get"): self.get_scale,
            ("scale", "update"): self.put_scale,
            ("scale", "patch"): self.patch_scale,
            ("eviction", "create"): self.evict,
            ("binding", "create"): self.bind,
            ("finalize", "update"): self.finalize,
            ("log", "get"): self.log,
        }
        answer = answers.get((call.target.subresource, call.target.verb))
        if answer is None:
            raise status.method_not_allowed()
        return answer(call)

    def get_scale(self, call: Call) -> Response:
        """Answer the Scale of a workload."""
        return Response(document=_scale(self._reader.stored(call)))

    def put_scale(self, call: Call) -> Response:
        """Set the replicas of a workload from a Scale."""
        call.check_options("UpdateOptions")
        return self._set_scale(call, call.read_body("autoscaling.v1.Scale"))

    def patch_scale(self, call: Call) -> Response:
        """Set the replicas of a workload from a patched Scale."""
        call.check_options("PatchOptions")
        present = _scale(self._reader.stored(call))
        return self._set_scale(
            call, patched_document(call, present, struct("autoscaling.v1.Scale"))
        )

    def _set_scale(self, call: Call, body: object) -> Response:
        stored, resource = self._reader.stored(call), call.resource
        try:
            scale = decode(struct("autoscaling.v1.Scale"), body)
        except DecodeError as error:
            known = 'Scale in version "v1" cannot be handled as a Scale'
            raise status.bad_request(f"{known}: {error}") from error
        version = scale["metadata"].get("resourceVersion")
        if version and version != stored["metadata"]["resourceVersion"]:
            raise status.conflict(resource.plural, resource.group, call.target.name)
        replicas = scale["spec"].get("replicas", 0)
        if replicas < 0:
            why = f"Invalid value: {replicas}: must be greater than or equal to 0"
            cause = Cause("FieldValueInvalid", why, "spec.replicas")
            raise status.invalid("Scale", "autoscaling", call.target.name, [cause])
        wanted = {**stored, "metadata": dict(stored["metadata"])}
        wanted["spec"] = {**stored["spec"], "replicas": replicas}
        if replicas != stored["spec"].get("replicas"):
            wanted["metadata"]["generation"] = stored["metadata"].get("generation", 0) + 1
        return Response(document=_scale(self._writer.commit(call, stored, wanted)))

    def evict(self, call: Call) -> Response:
        """Delete a Pod if its disruption budget allows."""
        pod = self._reader.stored(call)
        body = call.read_body("policy.v1.Eviction")
        given = body.get("deleteOptions") if isinstance(body, Mapping) else None
        options = given if isinstance(given, Mapping) else {}
        for budget in self._core.store.table("poddisruptionbudgets.policy").in_namespace(
            call.target.namespace
        ):
            self._check_budget(budget, pod)
        grace = options.get("gracePeriodSeconds")
        self._deleter.discard(
            call,
            pod,
            DeleteOptions(
                grace if isinstance(grace, int) else None, "", "", "Background", call.dry_run
            ),
        )
        return _created()

    def _check_budget(self, budget: Json, pod: Json) -> None:
        chosen = budget["spec"].get("selector")
        if chosen is None or not selectors.from_object(chosen).matches(
            pod["metadata"].get("labels")
        ):
            return
        pods = self._core.store.table("pods").select(
            pod["metadata"]["namespace"], selectors.from_object(chosen)
        )
        ready = [is_ready(each) for each in pods]
        needed = _needed(budget["spec"], len(ready))
        if is_ready(pod) and sum(ready) - 1 < needed:
            why = f"The disruption budget {budget['metadata']['name']} needs {needed} healthy pods"
            why += f" and has {sum(ready)} currently"
            raise status.too_many_requests(
                "Cannot evict pod as it would violate the pod's disruption budget.",
                [Cause("DisruptionBudget", why, "")],
            )

    def bind(self, call: Call) -> Response:
        """Put a Pod on a node."""
        body = call.read_body("core.v1.Binding")
        target = body.get("target") if isinstance(body, Mapping) else None
        node = target.get("name") if isinstance(target, Mapping) else None
        pod = self._reader.stored(call)
        if not isinstance(node, str) or not node:
            cause = Cause("FieldValueRequired", "Required value", "target.name")
            raise status.invalid("Binding", "", call.target.name, [cause])
        if pod["spec"].get("nodeName"):
            why = f'pod {call.target.name} is already assigned to node "{pod["spec"]["nodeName"]}"'
            raise status.conflict("pods/binding", "", call.target.name, why)
        scheduled = {
            "type": "PodScheduled",
            "status": "True",
            "lastProbeTime": None,
            "lastTransitionTime": self._core.stamp(),
        }
        others = pod["status"].get("conditions") or ()
        conditions = [each for each in others if each["type"] != "PodScheduled"]
        bound = {
            **pod,
            "metadata": dict(pod["metadata"]),
            "spec": _spec_on(pod["spec"], node),
            "status": {**pod["status"], "conditions": [*conditions, scheduled]},
        }
        if not call.dry_run:
            self._core.store.put(call.resource.key, bound)
        return _created()

    def finalize(self, call: Call) -> Response:
        """Set the finalizers of a namespace; without any, one that is being deleted goes."""
        stored, body = self._reader.stored(call), call.read_body()
        try:
            sent = decode(struct("core.v1.Namespace"), body)
        except DecodeError as error:
            known = 'Namespace in version "v1" cannot be handled as a Namespace'
            raise status.bad_request(f"{known}: {error}") from error
        version = sent["metadata"].get("resourceVersion")
        if version and version != stored["metadata"]["resourceVersion"]:
            raise status.conflict("namespaces", "", call.target.name)
        wanted = {**stored, "metadata": dict(stored["metadata"]), "spec": sent["spec"]}
        return Response(document=self._writer.commit(call, stored, wanted))

    def log(self, call: Call) -> Response:
        """Answer what a container printed."""
        pod = self._reader.stored(call)
        container = _container(pod, call.query.get("container", ""))
        run = _run(pod, container, previous=call.query.get("previous", "") in TRUE)
        query = self._log_query(call)
        uid = pod["metadata"]["uid"]
        headers = {"Content-Type": "text/plain"}
        if call.query.get("follow", "") in TRUE:
            stream = self._core.logs.follow(uid, container, run, query)
            return Response(200, headers, stream=stream)
        return Response(200, headers, text=self._core.logs.read(uid, container, run, query))

    def _log_query(self, call: Call) -> LogQuery:
        query, causes = call.query, []
        numbers: dict[str, int | None] = {}
        for name, least in (("tailLines", 0), ("limitBytes", 1), ("sinceSeconds", 1)):
            text = query.get(name)
            try:
                numbers[name] = int(text) if text else None
            except ValueError as error:
                why = f'strconv.ParseInt: parsing "{text}": invalid syntax'
                raise status.bad_request(why) from error
            value = numbers[name]
            if value is not None and value < least:
                why = f"Invalid value: {value}: must be greater than or equal to {least}"
                causes.append(Cause("FieldValueInvalid", why, name))
        if causes:
            raise status.invalid("PodLogOptions", "", call.target.name, causes)
        since = _since(query.get("sinceTime", ""))
        if numbers["sinceSeconds"] is not None:
            since = self._core.clock.now() - timedelta(seconds=numbers["sinceSeconds"])
        return LogQuery(
            numbers["tailLines"], numbers["limitBytes"], since, query.get("timestamps", "") in TRUE
        )


def _scale(document: Json) -> Json:
    metadata = document["metadata"]
    names = ("name", "namespace", "uid", "resourceVersion", "creationTimestamp")
    return {
        "kind": "Scale",
        "apiVersion": "autoscaling/v1",
        "metadata": {name: metadata[name] for name in names if name in metadata},
        "spec": _nonzero({"replicas": document["spec"].get("replicas", 0)}),
        "status": {
            "replicas": (document.get("status") or {}).get("replicas", 0),
            "selector": selectors.format_object(document["spec"].get("selector")),
        },
    }


def _nonzero(values: Json) -> Json:
    return {name: value for name, value in values.items() if value}


def _created() -> Response:
    document = {
        "kind": "Status",
        "apiVersion": "v1",
        "metadata": {},
        "status": "Success",
        "code": 201,
    }
    return Response(201, document=document)


def is_ready(pod: Json) -> bool:
    """Return whether a Pod serves."""
    conditions = (pod.get("status") or {}).get("conditions") or ()
    return any(each["type"] == "Ready" and each["status"] == "True" for each in conditions)


def _needed(spec: Json, pods: int) -> int:
    least, most = spec.get("minAvailable"), spec.get("maxUnavailable")
    if least is not None:
        return _share(least, pods)
    return pods - _share(most, pods) if most is not None else 0


def _share(amount: int | str, pods: int) -> int:
    if isinstance(amount, int):
        return amount
    digits = amount.rstrip("%")
    return -(-pods * int(digits) // 100) if digits.isdigit() else 0


def _spec_on(spec: Json, node: str) -> Json:
    """Return a Pod's spec with the node in its place of the wire's order."""
    bound: Json = {}
    for name, value in spec.items():
        if name in ("hostNetwork", "securityContext") and "nodeName" not in bound:
            bound["nodeName"] = node
        bound[name] = value
    bound.setdefault("nodeName", node)
    return bound


def _container(pod: Json, name: str) -> str:
    spec, pod_name = pod["spec"], pod["metadata"]["name"]
    main = [each["name"] for each in spec["containers"]]
    init = [each["name"] for each in spec.get("initContainers") or ()]
    if name:
        if name not in (*main, *init):
            raise status.bad_request(f"container {name} is not valid for pod {pod_name}")
        return name
    if len(main) == 1 and not init:
        return str(main[0])
    said = (
        f"a container name must be specified for pod {pod_name}, choose one of: [{' '.join(main)}]"
    )
    if init:
        said += f" or one of the init containers: [{' '.join(init)}]"
    raise status.bad_request(said)


def _run(pod: Json, container: str, *, previous: bool) -> int:
    """Return the run of a container whose log is meant.

    Raises:
        ApiError: 400 when there is no such run.
    """
    name = pod["metadata"]["name"]
    if not pod["spec"].get("nodeName"):
        raise status.bad_request(f"pod {name} does not have a host assigned")
    state = _container_status(pod, container)
    if state is None:
        raise status.bad_request(f'container "{container}" in pod "{name}" is not available')
    run, now = state.get("restartCount", 0), state.get("state") or {}
    last = (state.get("lastState") or {}).get("terminated")
    waiting = now.get("waiting")
    if previous:
        if not last:
            raise status.bad_request(
                f'previous terminated container "{container}" in pod "{name}" not found'
            )
        return int(run if waiting else max(0, run - 1))
    if waiting and not last:
        why = _waiting(waiting)
        raise status.bad_request(
            f'container "{container}" in pod "{name}" is waiting to start: {why}'
        )
    return int(run)


def _waiting(waiting: Json) -> str:
    reason = waiting.get("reason", "")
    if reason == "ImagePullBackOff":
        return "trying and failing to pull image"
    if reason == "ErrImagePull":
        return "image can't be pulled"
    return reason or "PodInitializing"


def _container_status(pod: Json, container: str) -> Json | None:
    given = pod.get("status") or {}
    known = [*(given.get("initContainerStatuses") or ()), *(given.get("containerStatuses") or ())]
    return next((each for each in known if each["name"] == container), None)


def _since(text: str) -> datetime | None:
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
