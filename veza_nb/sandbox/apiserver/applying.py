"""Server-side apply: merge a configuration into an object, field by field, with owners.

Whoever applies owns exactly the fields of the configuration. Fields that it applied before and
left out now go, unless somebody else owns them too. Changing what somebody else owns is a conflict,
unless forced.
"""

from __future__ import annotations

import json
from collections.abc import Iterator
from dataclasses import dataclass
from typing import Any

from veza_nb.sandbox.apimachinery import status
from veza_nb.sandbox.apimachinery.decoding import DecodeError, Report, decode
from veza_nb.sandbox.apimachinery.schema import ListOf, MapOf, Node, Struct, struct
from veza_nb.sandbox.apimachinery.status import Cause
from veza_nb.sandbox.apiserver.admission import Recorder, manager_entry
from veza_nb.sandbox.apiserver.calls import Call
from veza_nb.sandbox.apiserver.fieldsets import (
    FieldSet,
    difference,
    insert,
    intersection,
    is_member,
    item_key,
    paths,
    union,
)
from veza_nb.sandbox.apiserver.ownership import UNOWNED, Comparison, Managers
from veza_nb.sandbox.apiserver.patches import interleave
from veza_nb.sandbox.apiserver.routes import TRUE

Json = dict[str, Any]
_CLIENT_SIDE = "kubectl-client-side-apply"
_LAST_APPLIED = "kubectl.kubernetes.io/last-applied-configuration"


def read(call: Call, body: object) -> Application:
    """Return the application that a request means.

    Raises:
        ApiError: 400, 422 or 500 when the configuration is no good.
    """
    if not call.query.get("fieldManager"):
        why = "Required value: is required for apply patch"
        cause = Cause("FieldValueRequired", why, "fieldManager")
        raise status.invalid("PatchOptions", "meta.k8s.io", "", [cause])
    if not isinstance(body, dict):
        raise status.bad_request("error decoding YAML: cannot unmarshal into an object")
    if not isinstance(body.get("metadata"), dict):
        body = {**body, "metadata": {}}
    if body["metadata"].get("managedFields"):
        raise status.bad_request("metadata.managedFields must be nil")
    _check_version(call, body)
    _check_types(call, body)
    body["metadata"].setdefault("name", call.target.name)
    return Application(call, body)


def _check_version(call: Call, body: Json) -> None:
    wanted, sent = call.resource.api_version, body.get("apiVersion")
    if sent != wanted or body.get("kind") != call.resource.kind:
        raise status.bad_request(
            f"Incorrect version specified in apply patch. Specified patch version: {sent}, "
            f"expected: {wanted}"
        )


def _check_types(call: Call, body: Json) -> None:
    report, name = Report(), call.target.name
    where = f"{call.target.namespace}/{name}" if call.resource.namespaced else name
    resource = call.resource
    gvk = f"{resource.api_version}, Kind={resource.kind}"
    if not resource.group:
        gvk = f"/{gvk}"
    problem = ""
    try:
        decode(struct(resource.schema), body, report)
    except DecodeError as error:
        problem = str(error)
    if report.unknown:
        problem = f".{report.unknown[0]}: field not declared in schema"
    if problem:
        why = f"failed to create typed patch object ({where}; {gvk}): {problem}"
        raise status.ApiError(500, "", why)


@dataclass(slots=True)
class Application:
    """One configuration that somebody applies.

    Attributes:
        call: The request.
        config: The configuration as sent, checked against the type.
    """

    call: Call
    config: Json

    @property
    def _shape(self) -> Struct:
        return struct(self.call.resource.schema)

    def fields(self) -> FieldSet:
        """Return the fields of the configuration."""
        owned: FieldSet = {}
        metadata = {
            name: value for name, value in self.config["metadata"].items() if name not in UNOWNED
        }
        rest = {
            part: value for part, value in self.config.items() if part not in ("kind", "apiVersion")
        }
        if metadata:
            rest["metadata"] = metadata
        else:
            rest.pop("metadata")
        if "status" in self.call.resource.subresources and not self.call.target.subresource:
            rest.pop("status", None)
        _collect(owned, rest, self._shape, ())
        return owned

    def merged(self, live: Json) -> Json:
        """Return the live object with the configuration in it and dropped fields gone."""
        merged = _merge(live, self.config, self._shape)
        managers = Managers(live["metadata"])
        entry = manager_entry(self.call, "Apply")
        before = managers.find(entry)
        if before is not None:
            kept = self.fields()
            for other in managers.entries:
                if other is not before:
                    kept = union(kept, other["fieldsV1"])
            merged = _pruned(merged, difference(before["fieldsV1"], kept), kept, self._shape)
        merged = self._noted(merged)
        return {**merged, "kind": live["kind"], "apiVersion": live["apiVersion"]}

    def _noted(self, merged: Json) -> Json:
        """Return the object with kubectl's note of what was applied last, if it carries one."""
        annotations = merged["metadata"].get("annotations") or {}
        if self.call.manager != "kubectl" or _LAST_APPLIED not in annotations:
            return merged
        text = json.dumps(self.config, separators=(",", ":"), sort_keys=True, ensure_ascii=False)
        return _with_note(merged, text + "\n")

    def recorder(self, now: str) -> Recorder:
        """Return what works the application into the managers; refuses conflicts."""
        entry, fields = manager_entry(self.call, "Apply"), self.fields()
        force = self.call.query.get("force", "").lower() in TRUE

        def record(managers: Managers, old: Json | None, new: Json) -> None:
            told = _as_noted(old, new) if self.call.manager == "kubectl" else new
            changed = Comparison(old, told, self._shape)
            if old is not None:
                self._resolve(managers, changed, old, entry, force=force)
            before = managers.find(entry)
            same = before is not None and before["fieldsV1"] == fields
            if not (same and not changed.taken and not changed.removed):
                managers.put(entry, fields, now)

        return record

    def _resolve(
        self, managers: Managers, changed: Comparison, old: Json, entry: Json, *, force: bool
    ) -> None:
        """Take changed fields from other managers, or refuse.

        Raises:
            ApiError: 409.
        """
        own = managers.find(entry)
        conflicts: list[tuple[Json, tuple[str, ...]]] = []
        for other in [each for each in managers.entries if each is not own]:
            claimed = intersection(other["fieldsV1"], changed.taken)
            if not self._superseded(other, old):
                conflicts += [(other, path) for path in paths(claimed)]
        if conflicts and not force:
            raise _conflict(conflicts)
        managers.release(union(changed.taken, changed.removed), keep=own)

    def _superseded(self, other: Json, old: Json) -> bool:
        """Return whether kubectl replaces its own earlier client-side apply."""
        annotations = old["metadata"].get("annotations") or {}
        return (
            self.call.manager == "kubectl"
            and other["manager"] == _CLIENT_SIDE
            and _LAST_APPLIED in annotations
        )


def _with_note(document: Json, text: str) -> Json:
    annotations = document["metadata"]["annotations"] | {_LAST_APPLIED: text}
    return {**document, "metadata": {**document["metadata"], "annotations": annotations}}


def _as_noted(old: Json | None, new: Json) -> Json:
    """Return the new state with the old note: the server's own upkeep of it takes no ownership."""
    before = ((old or new)["metadata"].get("annotations") or {}).get(_LAST_APPLIED)
    after = (new["metadata"].get("annotations") or {}).get(_LAST_APPLIED)
    return _with_note(new, before) if before is not None and after is not None else new


def _collect(owned: FieldSet, value: Json, node: Struct | MapOf, path: tuple[str, ...]) -> None:
    for name, each in value.items():
        here = (*path, f"f:{name}")
        child: Node | None
        if isinstance(node, Struct):
            entry = node.index.get(name)
            child = None if entry is None or entry.atomic else entry.node
        else:
            child = node.value
            insert(owned, here)
        _collect_value(owned, each, child, here)


def _collect_value(owned: FieldSet, value: Any, node: Node | None, path: tuple[str, ...]) -> None:
    composite = isinstance(node, Struct | MapOf) and not node.atomic and isinstance(value, dict)
    if composite and value and isinstance(node, Struct | MapOf):
        _collect(owned, value, node, path)
    elif isinstance(node, ListOf) and not node.atomic and isinstance(value, list) and value:
        for each in value:
            here = (*path, item_key(each, node))
            insert(owned, here)
            if not node.is_set:
                _collect_value(owned, each, node.item, here)
    else:
        insert(owned, path)


def _merge(live: Any, config: Any, node: Node | None) -> Any:
    """Return the live value with the configured one in it."""
    if isinstance(config, dict) and isinstance(live, dict) and isinstance(node, Struct | MapOf):
        if node.atomic:
            return config
        merged = dict(live)
        for name, value in config.items():
            merged[name] = _merge(live.get(name), value, _child(node, name))
        return merged
    if isinstance(config, list) and isinstance(live, list) and isinstance(node, ListOf):
        return config if node.atomic else _merge_list(live, config, node)
    return config


def _child(node: Struct | MapOf, name: str) -> Node | None:
    if isinstance(node, MapOf):
        return node.value
    entry = node.index.get(name)
    return None if entry is None or entry.atomic else entry.node


def _merge_list(live: list[Any], config: list[Any], node: ListOf) -> list[Any]:
    def identity(item: Any) -> str:
        return item_key(item, node)

    present = {identity(item): item for item in live}
    fresh = {identity(item): item for item in config}
    merged = [
        _merge(item, fresh[key], node.item) if key in fresh else item
        for key, item in present.items()
    ]
    merged += [item for key, item in fresh.items() if key not in present]
    return interleave(merged, config, live, identity)


def _pruned(value: Any, gone: FieldSet, kept: FieldSet, node: Node | None) -> Any:
    """Return a value without the fields in `gone`, except where something below is in `kept`."""
    if not gone:
        return value
    if isinstance(value, dict):
        out = dict(value)
        for part, below in gone.items():
            name = part.removeprefix("f:")
            if part == "." or name not in out:
                continue
            if is_member(below) and part not in kept:
                del out[name]
            else:
                child = _child(node, name) if isinstance(node, Struct | MapOf) else None
                out[name] = _pruned(out[name], below, kept.get(part, {}), child)
        return out
    if isinstance(value, list) and isinstance(node, ListOf) and not node.atomic:
        return list(_pruned_items(value, gone, kept, node))
    return value


def _pruned_items(value: list[Any], gone: FieldSet, kept: FieldSet, node: ListOf) -> Iterator[Any]:
    for item in value:
        part = item_key(item, node)
        below = gone.get(part)
        if below is None:
            yield item
        elif not is_member(below) or part in kept:
            yield _pruned(item, below, kept.get(part, {}), node.item)


def _conflict(conflicts: list[tuple[Json, tuple[str, ...]]]) -> status.ApiError:
    causes = [
        Cause("FieldManagerConflict", f"conflict with {_manager(entry)}", show_path(path))
        for entry, path in conflicts
    ]
    if len(conflicts) == 1:
        told = f"1 conflict: {causes[0].message}: {causes[0].field}"
    else:
        by_manager: dict[str, list[str]] = {}
        for entry, path in conflicts:
            by_manager.setdefault(_manager(entry), []).append(f"- {show_path(path)}")
        parts = [
            f"conflicts with {name}:\n" + "\n".join(by_manager[name]) for name in sorted(by_manager)
        ]
        told = f"{len(conflicts)} conflicts: " + "\n".join(parts)
    return status.apply_conflict(f"Apply failed with {told}", causes)


def _manager(entry: Json) -> str:
    name = json.dumps(entry["manager"])
    if entry.get("subresource"):
        name += f' with subresource "{entry["subresource"]}"'
    return f"{name} using {entry['apiVersion']}" if entry["operation"] == "Update" else name


def show_path(path: tuple[str, ...]) -> str:
    """Return a field as messages name it, such as `.spec.containers[name="a"].image`."""
    shown = ""
    for part in path:
        kind, _, rest = part.partition(":")
        if kind == "f":
            shown += f".{rest}"
        elif kind == "v":
            shown += f"[={rest}]"
        else:
            keys = json.loads(rest)
            inner = ",".join(f"{key}={json.dumps(keys[key])}" for key in sorted(keys))
            shown += f"[{inner}]"
    return shown
