"""What hangs below an object: scale, eviction, binding, finalize, log, exec and the like."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

from veza_nb.sandbox.apimachinery import selectors, status
from veza_nb.sandbox.apimachinery.decoding import DecodeError, decode
from veza_nb.sandbox.apimachinery.schema import struct
from veza_nb.sandbox.apimachinery.status import Cause
from veza_nb.sandbox.apiserver import evictions, podlogs, sessions, tokenrequests
from veza_nb.sandbox.apiserver.admission import Recorder, manager_entry
from veza_nb.sandbox.apiserver.calls import Call, Core
from veza_nb.sandbox.apiserver.deleting import DeleteOptions, Deleter
from veza_nb.sandbox.apiserver.messages import Response
from veza_nb.sandbox.apiserver.ownership import Managers
from veza_nb.sandbox.apiserver.reading import Reader
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
            ("attach", "get"): self.converse,
            ("attach", "create"): self.converse,
            ("exec", "get"): self.converse,
            ("exec", "create"): self.converse,
            ("portforward", "get"): self.converse,
            ("portforward", "create"): self.converse,
            ("token", "create"): self.token,
        }
        answer = answers.get((call.target.subresource, call.target.verb))
        if answer is None:
            raise status.method_not_allowed()
        return answer(call)

    def converse(self, call: Call) -> Response:
        """Agree to a conversation with a container of a Pod."""
        return sessions.answer(call, self._reader.stored(call))

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
        record = _scale_recorder(call)
        return Response(document=_scale(self._writer.commit(call, stored, wanted, record=record)))

    def evict(self, call: Call) -> Response:
        """Delete a Pod if its disruption budget allows."""
        pod = self._reader.stored(call)
        body = call.read_body("policy.v1.Eviction")
        given = body.get("deleteOptions") if isinstance(body, Mapping) else None
        options = given if isinstance(given, Mapping) else {}
        evictions.permit(self._core, pod, dry_run=call.dry_run)
        grace = options.get("gracePeriodSeconds")
        self._deleter.discard(
            call,
            pod,
            DeleteOptions(
                grace if isinstance(grace, int) else None, "", "", "Background", call.dry_run
            ),
        )
        return _created()

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

    def token(self, call: Call) -> Response:
        """Answer with a token of a ServiceAccount."""
        return tokenrequests.answer(self._core, call, self._reader.stored(call))

    def log(self, call: Call) -> Response:
        """Answer what a container printed."""
        return podlogs.answer(self._core, call, self._reader.stored(call))


def _scale_recorder(call: Call) -> Recorder:
    """Return what gives `replicas` to who scales, in an entry without a time.

    A Scale that says 0 leaves the number out, so that there is no field to manage; and where nobody
    has managed it, nobody does from now on.
    """
    shape, entry = struct(call.resource.schema), manager_entry(call)

    def record(managers: Managers, old: Json | None, new: Json) -> None:
        if not any("f:replicas" in each["fieldsV1"].get("f:spec", {}) for each in managers.entries):
            return
        managers.record_update(old, new, shape, entry, "")
        if not new["spec"]["replicas"]:
            managers.release({"f:spec": {"f:replicas": {}}})

    return record


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


def _spec_on(spec: Json, node: str) -> Json:
    """Return a Pod's spec with the node in its place of the wire's order."""
    bound: Json = {}
    for name, value in spec.items():
        if name in ("hostNetwork", "securityContext") and "nodeName" not in bound:
            bound["nodeName"] = node
        bound[name] = value
    bound.setdefault("nodeName", node)
    return bound
