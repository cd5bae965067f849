"""delete and deletecollection: preconditions, grace, finalizers."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from datetime import datetime, timedelta
from typing import Any

from veza_nb.sandbox.apimachinery import status
from veza_nb.sandbox.apimachinery.conversion import from_storage
from veza_nb.sandbox.apiserver.calls import Call, Core, timestamp
from veza_nb.sandbox.apiserver.messages import Response
from veza_nb.sandbox.apiserver.reading import Reader, Selection, item
from veza_nb.sandbox.apiserver.store import key_of
from veza_nb.sandbox.apiserver.writing import Writer

Json = dict[str, Any]
_POLICIES = ("Background", "Foreground", "Orphan")
# Deletes of these answer with the object even when it is gone at once.
_RETURN_OBJECT = frozenset(
    ("pods", "services", "serviceaccounts", "persistentvolumeclaims", "resourcequotas")
)
_IMMORTAL = ("default", "kube-system", "kube-public")
FOREGROUND = "foregroundDeletion"
ORPHAN = "orphan"


@dataclass(frozen=True, slots=True)
class DeleteOptions:
    """How to delete: grace in seconds (None: the object's own), preconditions, policy."""

    grace: int | None
    uid: str
    version: str
    policy: str
    dry_run: bool


def _options(call: Call) -> DeleteOptions:
    call.check_options("DeleteOptions")
    body = _body(call)
    given = body | {
        name: call.query[name]
        for name in ("propagationPolicy", "gracePeriodSeconds")
        if name in call.query
    }
    preconditions = given.get("preconditions") or {}
    policy = given.get("propagationPolicy") or ("Orphan" if given.get("orphanDependents") else "")
    if policy and policy not in _POLICIES:
        shown = ", ".join(f'"{each}"' for each in (*_POLICIES, "nil"))
        cause = status.Cause(
            "FieldValueNotSupported",
            f'Unsupported value: "{policy}": supported values: {shown}',
            "propagationPolicy",
        )
        raise status.invalid("DeleteOptions", "meta.k8s.io", "", [cause])
    return DeleteOptions(
        _grace(given.get("gracePeriodSeconds")),
        str(preconditions.get("uid") or ""),
        str(preconditions.get("resourceVersion") or ""),
        policy or "Background",
        call.dry_run or given.get("dryRun") == ["All"],
    )


def _body(call: Call) -> Json:
    if call.request.document is None and not call.request.body:
        return {}
    body = call.read_body("meta.v1.DeleteOptions")
    if not isinstance(body, Mapping):
        raise status.bad_request("DeleteOptions cannot be decoded")
    if not isinstance(body.get("preconditions") or {}, Mapping):
        raise status.bad_request(
            "json: cannot unmarshal into Go struct field DeleteOptions.preconditions"
        )
    return dict(body)


def _grace(value: object) -> int | None:
    if value in (None, ""):
        return None
    try:
        return max(0, int(str(value)))
    except ValueError as error:
        raise status.bad_request(f'strconv.ParseInt: parsing "{value}": invalid syntax') from error


class Deleter:
    """Deletes objects, or marks them where something still holds them."""

    def __init__(self, core: Core, reader: Reader, writer: Writer) -> None:
        self._core = core
        self._reader = reader
        self._writer = writer

    def delete(self, call: Call) -> Response:
        """Delete one object."""
        options = _options(call)
        stored = self._reader.stored(call)
        self._check(call, stored, options)
        left, gone = self.discard(call, stored, options)
        if gone and call.resource.plural not in _RETURN_OBJECT:
            said = status.details(call.target.name, call.resource.group, call.resource.plural)
            said["uid"] = stored["metadata"]["uid"]
            return Response(200, document=status.success(said))
        return self._reader.render_one(call, left)

    def delete_collection(self, call: Call) -> Response:
        """Delete every object that the selectors match."""
        options, selection = _options(call), Selection(call)
        table = self._core.store.table(call.resource.key)
        doomed = list(selection.present(table))
        left = [self.discard(call, entry, options)[0] for entry in doomed]
        return Response(
            document={
                "kind": f"{call.resource.kind}List",
                "apiVersion": call.resource.api_version,
                "metadata": {"resourceVersion": str(self._core.store.version)},
                "items": [item(from_storage(call.resource, entry)) for entry in left],
            }
        )

    def _check(self, call: Call, stored: Json, options: DeleteOptions) -> None:
        resource, metadata = call.resource, stored["metadata"]
        if resource.kind == "Namespace" and call.target.name in _IMMORTAL:
            why = "this namespace may not be deleted"
            raise status.forbidden("namespaces", "", call.target.name, why)
        mismatch = ""
        if options.uid and options.uid != metadata["uid"]:
            mismatch = (
                f"the UID in the precondition ({options.uid}) does not match the UID in record "
                f"({metadata['uid']}). The object might have been deleted and then recreated"
            )
        elif options.version and options.version != metadata["resourceVersion"]:
            mismatch = (
                f"the ResourceVersion in the precondition ({options.version}) does not match the "
                f"ResourceVersion in record ({metadata['resourceVersion']}). The object might have "
                "been modified"
            )
        if mismatch:
            raise status.conflict(resource.kind, resource.group, metadata["name"], mismatch)

    def discard(self, call: Call, stored: Json, options: DeleteOptions) -> tuple[Json, bool]:
        """Delete or mark one object; return its state, and whether it is gone."""
        marked = self._marked(stored, options)
        dry = options.dry_run
        if marked is None:
            if dry:
                return stored, True
            if stored["kind"] == "Pod":
                self._core.logs.drop(stored["metadata"]["uid"])
                # Pods are seen without grace for a moment before they are seen to be gone.
                stored = self._core.store.put(call.resource.key, self._doomed(stored, 0))
            return self._core.store.remove(call.resource.key, *key_of(stored)), True
        if marked is stored or dry:
            return marked, False
        return self._core.store.put(call.resource.key, marked), False

    def _marked(self, stored: Json, options: DeleteOptions) -> Json | None:
        """Return the object as it waits for its end, or None when nothing holds it."""
        metadata = dict(stored["metadata"])
        finalizers = _finalizers(metadata.get("finalizers") or [], options.policy)
        grace = _grace_period(stored, options)
        if stored["kind"] == "Namespace":
            return self._marked_namespace(stored, metadata)
        if not finalizers and not grace:
            return None
        going, left = "deletionTimestamp" in metadata, metadata.get("deletionGracePeriodSeconds", 0)
        if going and grace >= left and finalizers == (metadata.get("finalizers") or []):
            return stored
        doomed = self._doomed(stored, grace)
        if finalizers:
            doomed["metadata"]["finalizers"] = finalizers
        else:
            doomed["metadata"].pop("finalizers", None)
        return {**doomed, "metadata": _in_order(doomed["metadata"])}

    def _doomed(self, stored: Json, grace: int) -> Json:
        """Return an object that is to go when its grace is over, counted from the first wish."""
        metadata = dict(stored["metadata"])
        wished = self._core.clock.now()
        if metadata.get("deletionTimestamp"):
            before = timedelta(seconds=metadata.get("deletionGracePeriodSeconds", 0))
            wished = datetime.fromisoformat(metadata["deletionTimestamp"]) - before
        elif metadata.get("generation"):
            metadata["generation"] += 1
        metadata["deletionTimestamp"] = timestamp(wished + timedelta(seconds=grace))
        metadata["deletionGracePeriodSeconds"] = grace
        return {**stored, "metadata": _in_order(metadata)}

    def _marked_namespace(self, stored: Json, metadata: Json) -> Json | None:
        if not (stored.get("spec") or {}).get("finalizers") and not metadata.get("finalizers"):
            return None
        if metadata.get("deletionTimestamp"):
            return stored
        metadata["deletionTimestamp"] = self._core.stamp()
        ending = {**(stored.get("status") or {}), "phase": "Terminating"}
        return {**stored, "metadata": _in_order(metadata), "status": ending}


def _finalizers(present: list[str], policy: str) -> list[str]:
    kept = [each for each in present if each not in (FOREGROUND, ORPHAN)]
    added = {"Foreground": [FOREGROUND], "Orphan": [ORPHAN]}.get(policy, [])
    return kept + added


def _grace_period(stored: Json, options: DeleteOptions) -> int:
    """Return the seconds that a Pod on a node has left; everything else has none."""
    if stored["kind"] != "Pod" or not stored["spec"].get("nodeName"):
        return 0
    if (stored.get("status") or {}).get("phase") in ("Succeeded", "Failed"):
        return 0
    if options.grace is not None:
        return options.grace
    return int(stored["spec"].get("terminationGracePeriodSeconds", 30))


_ORDER = [
    "name",
    "generateName",
    "namespace",
    "selfLink",
    "uid",
    "resourceVersion",
    "generation",
    "creationTimestamp",
    "deletionTimestamp",
    "deletionGracePeriodSeconds",
    "labels",
    "annotations",
    "ownerReferences",
    "finalizers",
    "managedFields",
]


def _in_order(metadata: Json) -> Json:
    return {name: metadata[name] for name in _ORDER if name in metadata}
