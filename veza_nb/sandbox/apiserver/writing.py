"""create, update and patch."""

from __future__ import annotations

import json
from dataclasses import replace
from typing import Any

from veza_nb.sandbox.apimachinery import status
from veza_nb.sandbox.apimachinery.conversion import from_storage, to_storage
from veza_nb.sandbox.apimachinery.decoding import DecodeError, Report
from veza_nb.sandbox.apimachinery.kinds import CUSTOM
from veza_nb.sandbox.apimachinery.schema import struct
from veza_nb.sandbox.apimachinery.status import ApiError, Cause
from veza_nb.sandbox.apiserver import admission, applying, patches
from veza_nb.sandbox.apiserver.admission import Admission, Recorder
from veza_nb.sandbox.apiserver.calls import Call, Core, check_length, parse_json, parse_yaml
from veza_nb.sandbox.apiserver.patches import PatchType
from veza_nb.sandbox.apiserver.reading import Reader
from veza_nb.sandbox.apiserver.store import key_of

Json = dict[str, Any]


class Writer:
    """Changes objects. Every method returns the object in its served form and an HTTP status."""

    def __init__(self, core: Core, reader: Reader, admit: Admission) -> None:
        self._core = core
        self._reader = reader
        self._admit = admit

    def create(self, call: Call) -> tuple[Json, int]:
        """Create the object in the body."""
        call.check_options("CreateOptions")
        document = admission.decode_body(call, call.read_body())
        return self.insert(call, document), 201

    def insert(self, call: Call, document: Json, record: Recorder | None = None) -> Json:
        """Admit and store a new object.

        Raises:
            ApiError: 409 when the name is taken, or whatever is wrong with it.
        """
        resource = call.resource
        done = self._admit.create(call, document, record)
        namespace, name = key_of(done)
        if self._core.store.table(resource.key).get(namespace, name) is not None:
            raise status.already_exists(resource.plural, resource.group, name)
        return self._put(call, done)

    def update(self, call: Call) -> tuple[Json, int]:
        """Replace an object by the one in the body."""
        call.check_options("UpdateOptions")
        body = call.read_body()
        document = admission.decode_body(call, body)
        check_names(call, document["metadata"])
        uid = document["metadata"].get("uid", "")
        if self._is_new(call):
            _check_uid(call, "", uid)
            self._core.access.check(
                self._core.store, call.user, replace(call.target, verb="create").attributes
            )
            return self.insert(call, document), 201
        old = self._served(call)
        _check_uid(call, old["metadata"]["uid"], uid)
        self._check_version(call, old, document["metadata"].get("resourceVersion", ""), put=True)
        return self.commit(call, old, document, _managed(body)), 200

    def _is_new(self, call: Call) -> bool:
        """Return whether an update is of an object that is not there, and makes it."""
        resource = call.resource
        if resource.kind not in _MADE_BY_UPDATE or call.target.subresource:
            return False
        namespace = call.target.namespace if resource.namespaced else ""
        return self._core.store.table(resource.key).get(namespace, call.target.name) is None

    def patch(self, call: Call) -> tuple[Json, int]:
        """Change an object as the body says."""
        call.check_options("PatchOptions")
        if call.content_type == PatchType.APPLY:
            return self._apply(call)
        old = self._served(call)
        patched = patched_document(call, old, struct(call.resource.schema))
        document = self._decode_patched(call, patched, old)
        check_names(call, document["metadata"])
        self._check_version(call, old, document["metadata"].get("resourceVersion", ""), put=False)
        return self.commit(call, old, document, _managed(patched)), 200

    def _apply(self, call: Call) -> tuple[Json, int]:
        """Server-side apply: make the fields of the body so, and manage them from now on."""
        applied = applying.read(call, apply_body(call))
        resource, namespace = (
            call.resource,
            call.target.namespace if call.resource.namespaced else "",
        )
        stored = self._core.store.table(resource.key).get(namespace, call.target.name)
        record = applied.recorder(self._core.stamp())
        if stored is None and call.target.subresource:
            raise call.not_found()
        if stored is None:
            document = self._decode_patched(call, applied.config, None)
            check_names(call, document["metadata"])
            _check_no_uid(call, document["metadata"].get("uid", ""))
            return self.insert(call, document, record), 201
        old = from_storage(resource, stored)
        document = self._decode_patched(call, applied.merged(old), old)
        check_names(call, document["metadata"])
        version = str(applied.config["metadata"].get("resourceVersion") or "")
        self._check_version(call, old, version, put=False)
        return self.commit(call, old, document, None, record), 200

    def commit(
        self,
        call: Call,
        old: Json,
        new: Json,
        managed: object = None,
        record: Recorder | None = None,
    ) -> Json:
        """Admit and store a changed object; without a difference nothing is stored.

        Args:
            call: The request.
            old: The served form of what is stored.
            new: The canonical object that is wanted.
            managed: `managedFields` that the client sent.
            record: Works the change into the managers, where that is special.
        """
        done = self._admit.update(call, old, new, managed, record)
        if same(old, done):
            return old
        if is_gone(done):
            return self.remove(call, done)
        return self._put(call, done)

    def _put(self, call: Call, done: Json) -> Json:
        if call.dry_run:
            return done
        stored = self._core.store.put(call.resource.key, to_storage(call.resource, done))
        return from_storage(call.resource, stored)

    def remove(self, call: Call, last: Json) -> Json:
        """Remove an object whose last finalizer is gone."""
        if not call.dry_run:
            store, key = self._core.store, call.resource.key
            store.put(key, to_storage(call.resource, last))
            store.remove(key, *key_of(last))
        return last

    def _served(self, call: Call) -> Json:
        return from_storage(call.resource, self._reader.stored(call))

    def _check_version(self, call: Call, old: Json, version: str, *, put: bool) -> None:
        resource = call.resource
        if put and not version and resource.kind == "Lease":
            cause = Cause(
                "FieldValueInvalid",
                "Invalid value: 0x0: must be specified for an update",
                "metadata.resourceVersion",
            )
            raise status.invalid(resource.kind, resource.group, call.target.name, [cause])
        if version and version != old["metadata"]["resourceVersion"]:
            raise status.conflict(resource.plural, resource.group, call.target.name)

    def _decode_patched(self, call: Call, patched: Json, old: Json | None) -> Json:
        report = Report()
        try:
            document = admission.decoded(call, patched, report, old)
        except DecodeError as error:
            raise _bad_patch(call, patched, str(error)) from error
        problems = admission.strict_problems(call, report)
        if problems and call.field_validation == "Strict":
            raise _bad_patch(call, patched, admission.strict_problem(problems))
        admission.note_problems(call, problems)
        return document


# An update of one of these that is not there creates it.
_MADE_BY_UPDATE = frozenset(
    (
        "ClusterRole",
        "ClusterRoleBinding",
        "Endpoints",
        "Event",
        "Lease",
        "LimitRange",
        "PriorityClass",
        "Role",
        "RoleBinding",
        "Service",
    )
)


def _check_uid(call: Call, present: str, uid: str) -> None:
    """Refuse an update that was written for another object of that name (409)."""
    if not uid or uid == present:
        return
    resource, target = call.resource, call.target
    place = "/".join(filter(None, (resource.plural, target.namespace, target.name)))
    why = (
        f"StorageError: invalid object, Code: 4, Key: /registry/{place}, ResourceVersion: 0, "
        f"AdditionalErrorMsg: Precondition failed: UID in precondition: {uid}, UID in object "
        f"meta: {present}"
    )
    raise status.conflict(resource.plural, resource.group, target.name, why)


def _check_no_uid(call: Call, uid: str) -> None:
    """Refuse to make an object by an apply that was written for one that is there (409)."""
    if uid:
        why = (
            f"uid mismatch: the provided object specified uid {uid}, and no existing object was "
            "found"
        )
        resource = call.resource
        raise status.conflict(resource.plural, resource.group, call.target.name, why)


def patched_document(call: Call, old: Json, shape: Any) -> Json:
    """Return an object after the patch in the body; not decoded yet.

    Args:
        call: The request.
        old: The object before.
        shape: Its type.

    Raises:
        ApiError: 400, 415 or 422.
    """
    kind = call.content_type
    if kind == PatchType.JSON:
        return patches.json_patch(old, _patch_body(call))
    if kind == PatchType.MERGE:
        merged = patches.merge_patch(old, _patch_body(call))
        if not isinstance(merged, dict):
            raise status.bad_request("error decoding patch: Invalid JSON Patch")
        return merged
    if kind == PatchType.STRATEGIC and call.resource.schema != CUSTOM:
        return patches.strategic_merge(old, _patch_body(call), shape)
    raise status.unsupported_media_type()


def _patch_body(call: Call) -> Any:
    request = call.request
    if request.document is not None:
        return request.document
    check_length(request.body)
    try:
        return parse_json(request.body)
    except ValueError as error:
        prefix = "" if call.content_type == PatchType.STRATEGIC else "error decoding patch: "
        raise status.bad_request(f"{prefix}{error}") from error


def apply_body(call: Call) -> Any:
    """Return the configuration that a server-side apply sends, JSON or YAML."""
    request = call.request
    if request.document is not None:
        return request.document
    check_length(request.body)
    try:
        return parse_json(request.body)
    except ValueError:
        return parse_yaml(request.body)


def _bad_patch(call: Call, patched: Json, why: str) -> ApiError:
    if call.content_type == PatchType.STRATEGIC:
        shown = go_map(call.request.document or parse_json(call.request.body))
    else:
        shown = json.dumps(patched, separators=(",", ":"), ensure_ascii=False)
    quoted = json.dumps(shown, ensure_ascii=False)
    cause = Cause("FieldValueInvalid", f"Invalid value: {quoted}: {why}", "patch")
    return status.invalid("", "", "", [cause])


def go_map(value: object) -> str:
    """Return a value as Go prints it with %v."""
    if isinstance(value, dict):
        return "map[" + " ".join(f"{key}:{go_map(value[key])}" for key in sorted(value)) + "]"
    if isinstance(value, list):
        return "[" + " ".join(map(go_map, value)) + "]"
    if value is None:
        return "<nil>"
    return str(value).lower() if isinstance(value, bool) else str(value)


def _managed(body: object) -> object:
    metadata = body.get("metadata") if isinstance(body, dict) else None
    return metadata.get("managedFields") if isinstance(metadata, dict) else None


def check_names(call: Call, metadata: Json) -> None:
    """Refuse a body whose name or namespace is not the path's (400)."""
    name, wanted = metadata.get("name", ""), call.target.name
    if not name:
        raise status.bad_request(
            "the name of the object (based on URL) was undeterminable: name must be provided"
        )
    if name != wanted:
        raise status.bad_request(
            f"the name of the object ({name}) does not match the name on the URL ({wanted})"
        )
    namespace = call.target.namespace if call.resource.namespaced else ""
    if metadata.get("namespace", namespace) != namespace:
        raise status.bad_request(
            "the namespace of the provided object does not match the namespace sent on the request"
        )
    if namespace:
        metadata["namespace"] = namespace


def same(old: Json, new: Json) -> bool:
    """Return whether two states differ in nothing but who manages what, and when."""
    for part in old.keys() | new.keys():
        if part == "metadata":
            continue
        if old.get(part) != new.get(part):
            return False
    before, after = _comparable(old["metadata"]), _comparable(new["metadata"])
    return before == after


def _comparable(metadata: Json) -> Json:
    kept = {name: value for name, value in metadata.items() if name != "managedFields"}
    kept["managedFields"] = [
        {name: value for name, value in entry.items() if name != "time"}
        for entry in metadata.get("managedFields") or ()
    ]
    return kept


def is_gone(document: Json) -> bool:
    """Return whether an object is being deleted and nothing holds it any more."""
    metadata = document["metadata"]
    if not metadata.get("deletionTimestamp") or metadata.get("finalizers"):
        return False
    if document["kind"] == "Namespace":
        return not (document.get("spec") or {}).get("finalizers")
    return not metadata.get("deletionGracePeriodSeconds")
