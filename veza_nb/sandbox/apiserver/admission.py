"""From a decoded body to an object that may be stored: the steps between a client and the store.

The order is the server's: decode and default, check the namespace, give the fields to their
manager, let admission fill in, count the generation, validate.
"""

from __future__ import annotations

import uuid
from collections.abc import Callable
from typing import Any

from veza_nb.sandbox.apimachinery import status
from veza_nb.sandbox.apimachinery.decoding import DecodeError, Report, decode
from veza_nb.sandbox.apimachinery.kinds import Resource
from veza_nb.sandbox.apimachinery.schema import Struct, struct
from veza_nb.sandbox.apiserver import (
    completion,
    defaults,
    escalation,
    quotas,
    templates,
    validation,
)
from veza_nb.sandbox.apiserver.arranging import arranged, ordered, tidied
from veza_nb.sandbox.apiserver.calls import Call, Core
from veza_nb.sandbox.apiserver.ownership import Managers

Json = dict[str, Any]
# Works a change (managers, before, after) into the managers.
Recorder = Callable[[Managers, Json | None, Json], None]
_MAX_GENERATED = 63 - 5
_HEAD = ("kind", "apiVersion", "metadata")
# Kept from the stored object, whatever a client sends.
# Kept from the stored object by an update of the status.
_STATUS_KEEPS = {"Deployment": ("labels",), "Pod": ("ownerReferences",)}
_SYSTEM_FIELDS = (
    "creationTimestamp",
    "deletionTimestamp",
    "deletionGracePeriodSeconds",
    "selfLink",
)


def decode_body(call: Call, body: object) -> Json:
    """Return a body as a canonical object with its defaults, without `managedFields`.

    Raises:
        ApiError: 400 when the body is not of this kind, or has unknown fields under Strict.
    """
    resource = call.resource
    if not isinstance(body, dict):
        raise _not_of_kind(resource, "cannot unmarshal into an object")
    _check_kind(resource, body)
    report = Report()
    try:
        document = decoded(call, body, report)
    except DecodeError as error:
        raise _not_of_kind(resource, str(error)) from error
    problems = strict_problems(call, report)
    if problems and call.field_validation == "Strict":
        raise _not_of_kind(resource, strict_problem(problems))
    note_problems(call, problems)
    return document


def decoded(call: Call, body: Json, report: Report | None = None, old: Json | None = None) -> Json:
    """Return a body as a canonical object with its defaults, without `managedFields`.

    Of a body for the status only the status and the metadata are read; the rest stays as stored.

    Args:
        call: The request.
        body: As the client sent it, or as its patch left it.
        report: Collects unknown fields.
        old: The stored object; parts of the body that are its very parts are not read again.

    Raises:
        DecodeError: A value has the wrong type.
    """
    resource, shape = call.resource, struct(call.resource.schema)
    wanted = {**body, "metadata": _unmanaged(body.get("metadata"))}
    of_status = call.target.subresource == "status"
    if of_status:
        wanted = {part: wanted[part] for part in ("metadata", "status") if part in wanted}
    if old is None and resource.kind == "Pod" and not of_status:
        document = templates.read_pod(wanted, report or Report())
    else:
        document = _decoded_anew(shape, wanted, report, old or {})
        if not of_status:
            # What is stored has its defaults, so that its parts are left as they are.
            defaults.apply(resource.kind, document)
    document["kind"], document["apiVersion"] = resource.kind, resource.api_version
    return document


def _decoded_anew(shape: Struct, wanted: Json, report: Report | None, stored: Json) -> Json:
    """Return a decoded body; what are the very parts of the stored object is not read again."""
    rest, same = _told_apart(wanted, stored)
    metadata: Json = {}
    if isinstance(rest.get("metadata"), dict) and "metadata" in stored:
        rest["metadata"], metadata = _told_apart(rest["metadata"], stored["metadata"])
    document = decode(shape, rest, report)
    document.update(same)
    document["metadata"].update(metadata)
    return document


def _told_apart(wanted: Json, stored: Json) -> tuple[Json, Json]:
    """Return the members that are new, and those that are stored ones."""
    same = {name: each for name, each in wanted.items() if each is stored.get(name, _ABSENT)}
    return {name: each for name, each in wanted.items() if name not in same}, same


_ABSENT = object()


def _unmanaged(metadata: object) -> object:
    if not isinstance(metadata, dict):
        return metadata
    return {name: value for name, value in metadata.items() if name != "managedFields"}


def _in_order(resource: Resource, document: Json) -> Json:
    """Return a new object with its members in the wire's order."""
    shape = struct(resource.schema)
    if resource.kind == "Pod":
        return arranged(shape, tidied(shape, document))
    touched = defaults.touches(resource.kind) or completion.touches(resource.kind)
    if touched or "status" in shape.index:
        return ordered(shape, document)
    return arranged(shape, document)


def strict_problems(call: Call, report: Report) -> list[str]:
    """Return what strict decoding minds: fields that are there twice, or are not known."""
    return [*call.doubled(), *(f'unknown field "{path}"' for path in report.unknown)]


def strict_problem(problems: list[str]) -> str:
    """Return the message under Strict."""
    return "strict decoding error: " + ", ".join(problems)


def note_problems(call: Call, problems: list[str]) -> None:
    """Tell the client of them, unless it does not want to know."""
    if call.field_validation == "Warn":
        call.warnings.extend(problems)


def _not_of_kind(resource: Resource, why: str) -> status.ApiError:
    known = f'{resource.kind} in version "{resource.version}" cannot be handled as a '
    return status.bad_request(f"{known}{resource.kind}: {why}")


def _check_kind(resource: Resource, body: Json) -> None:
    version, kind = body.get("apiVersion"), body.get("kind")
    if version and version != resource.api_version:
        raise status.bad_request(
            f"the API version in the data ({version}) does not match the expected API version "
            f"({resource.api_version})"
        )
    if kind and kind != resource.kind:
        raise status.bad_request(
            f'{kind} in version "{resource.version}" cannot be handled as a {resource.kind}: '
            f"converting ({resource.version}.{kind}) to ({resource.version}.{resource.kind}): "
            "unknown conversion"
        )


class Admission:
    """Prepares objects for the store."""

    def __init__(self, core: Core) -> None:
        self._core = core

    def create(self, call: Call, document: Json, record: Recorder | None = None) -> Json:
        """Return a new object, complete but for its resourceVersion.

        Args:
            call: The request.
            document: The canonical object that the client wants.
            record: Works the change into the managers; an ordinary update when left out.

        Raises:
            ApiError: Whatever is wrong with it.
        """
        resource, metadata = call.resource, document["metadata"]
        self._name(call, metadata)
        self._check_namespace(call, metadata)
        if metadata.get("resourceVersion"):
            raise status.ApiError(
                500, "", "resourceVersion should not be set on objects to be created"
            )
        for name in ("uid", "generation", "deletionTimestamp", "deletionGracePeriodSeconds"):
            metadata.pop(name, None)
        metadata["creationTimestamp"] = None
        shape = struct(resource.schema)
        if "status" in resource.subresources and "status" in shape.index:
            document.pop("status", None)
        managers = Managers(None)
        (record or self._recorder(call))(managers, None, document)
        self._complete(resource, document)
        validation.check_create(resource, document)
        escalation.check(self._core.access, self._core.store, call.user, None, document)
        quotas.admit(self._core.store, resource, document, dry_run=call.dry_run)
        return _with_managers(_in_order(resource, document), managers)

    def _name(self, call: Call, metadata: Json) -> None:
        namespace = call.target.namespace if call.resource.namespaced else ""
        if metadata.get("namespace", namespace) != namespace:
            raise status.bad_request(
                "the namespace of the provided object does not match the namespace sent on the "
                "request"
            )
        if namespace:
            metadata["namespace"] = namespace
        if not metadata.get("name") and metadata.get("generateName"):
            metadata["name"] = (
                metadata["generateName"][:_MAX_GENERATED] + completion.random_suffix()
            )

    def _check_namespace(self, call: Call, metadata: Json) -> None:
        """Refuse what would live in a namespace that is not there or on its way out."""
        name = metadata.get("namespace")
        if not name:
            return
        found = self._core.store.table("namespaces").get("", name)
        if found is None:
            raise status.not_found("namespaces", "", name)
        if found["metadata"].get("deletionTimestamp"):
            gone = f"namespace {name} is being terminated"
            cause = status.Cause("NamespaceTerminating", gone, "metadata.namespace")
            why = f"unable to create new content in namespace {name} because it is being terminated"
            resource = call.resource
            raise status.forbidden(
                resource.plural, resource.group, metadata.get("name", ""), why, [cause]
            )

    def _complete(self, resource: Resource, document: Json) -> None:
        metadata = document["metadata"]
        metadata["uid"] = str(uuid.uuid4())
        metadata["creationTimestamp"] = self._core.stamp()
        if resource.generation:
            metadata["generation"] = 1
        completion.complete(self._core, document)

    def update(
        self,
        call: Call,
        old: Json,
        new: Json,
        managed: object = None,
        record: Recorder | None = None,
    ) -> Json:
        """Return the object as it will be after an update.

        Args:
            call: The request.
            old: The stored object.
            new: The canonical object that the client wants.
            managed: `managedFields` as the client sent them; None: not sent.
            record: Works the change into the managers; an ordinary update when left out.

        Raises:
            ApiError: Whatever is wrong with it.
        """
        resource, metadata = call.resource, new["metadata"]
        validation.check_identity(resource, old["metadata"], metadata)
        for name in _SYSTEM_FIELDS:
            _copy(old["metadata"], metadata, name)
        _copy(old["metadata"], metadata, "generation")
        metadata["resourceVersion"] = old["metadata"]["resourceVersion"]
        self._keep_other_side(call, old, new)
        if not call.target.subresource:
            completion.keep(old, new)
        for part, value in new.items():
            before = old.get(part)
            if value is not before and value == before:
                new[part] = before
        if resource.generation and self._counts(call, old, new):
            count = old["metadata"].get("generation", 0) + 1
            new["metadata"] = {**new["metadata"], "generation": count}
        validation.check_update(resource, call.target.subresource, old, new)
        escalation.check(self._core.access, self._core.store, call.user, old, new)
        managers = Managers(_sent_managers(managed) or old["metadata"])
        (record or self._recorder(call))(managers, old, new)
        completion.follow(old, new)
        shape = struct(resource.schema)
        defaulted = call.target.subresource != "status" and any(
            value is not old.get(part) for part, value in new.items() if part not in _HEAD
        )
        done = ordered(shape, new) if defaulted else arranged(shape, new)
        return _with_managers(done, managers)

    def _recorder(self, call: Call) -> Recorder:
        """Return what gives changed fields to whoever makes this request."""
        shape, entry, now = struct(call.resource.schema), manager_entry(call), self._core.stamp()

        def record(managers: Managers, old: Json | None, new: Json) -> None:
            managers.record_update(old, new, shape, entry, now)

        return record

    def _keep_other_side(self, call: Call, old: Json, new: Json) -> None:
        """Let an update of the object keep its status, and one of the status all the rest."""
        if "status" not in call.resource.subresources:
            return
        if call.target.subresource == "status":
            for part in [part for part in new if part not in ("metadata", "status")]:
                del new[part]
            for part, value in old.items():
                if part not in ("metadata", "status"):
                    new[part] = value
            for name in _STATUS_KEEPS.get(call.resource.kind, ()):
                _copy(old["metadata"], new["metadata"], name)
        elif "status" in old:
            new["status"] = old["status"]

    def _counts(self, call: Call, old: Json, new: Json) -> bool:
        """Return whether a change is one of those that `generation` counts."""
        if call.target.subresource == "status":
            return False
        if call.resource.kind == "EndpointSlice":
            return old != new
        if old.get("spec") != new.get("spec"):
            return True
        before, after = (each["metadata"].get("annotations") for each in (old, new))
        return call.resource.kind == "Deployment" and before != after


def _with_managers(document: Json, managers: Managers) -> Json:
    entries = managers.document()
    if entries:
        document["metadata"]["managedFields"] = entries
    return document


def _sent_managers(managed: object) -> Json | None:
    """Return metadata with the managers that a client sent, if they make sense; `[{}]` resets."""
    if not isinstance(managed, list):
        return None
    if managed in ([], [{}]):
        return {"managedFields": []}
    for entry in managed:
        known = isinstance(entry, dict) and isinstance(entry.get("fieldsV1"), dict)
        if (
            not known
            or not entry.get("manager")
            or entry.get("operation") not in ("Apply", "Update")
        ):
            return None
    return {"managedFields": managed}


def manager_entry(call: Call, operation: str = "Update") -> Json:
    """Return who will manage the fields that a request changes."""
    return {
        "manager": call.manager,
        "operation": operation,
        "apiVersion": call.resource.api_version,
        "subresource": call.target.subresource,
    }


def _copy(old: Json, new: Json, name: str) -> None:
    if name in old:
        new[name] = old[name]
    else:
        new.pop(name, None)
