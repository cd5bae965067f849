"""OpenAPI v3: one document per group and version, made from the field tables."""

from __future__ import annotations

import functools
import hashlib
from collections.abc import Iterator
from typing import Any

from veza_nb.sandbox.apimachinery import kinds, schema
from veza_nb.sandbox.apimachinery.kinds import Resource
from veza_nb.sandbox.apimachinery.schema import Field, ListOf, MapOf, Node, Scalar, Struct
from veza_nb.sandbox.apiserver.patches import PatchType

Json = dict[str, Any]
_META = "io.k8s.apimachinery.pkg.apis.meta.v1."
_SCALARS: dict[str, Json] = {
    "string": {"type": "string"},
    "int32": {"type": "integer", "format": "int32"},
    "int64": {"type": "integer", "format": "int64"},
    "bool": {"type": "boolean"},
    "float64": {"type": "number", "format": "double"},
    "bytes": {"type": "string", "format": "byte"},
    "Time": {"type": "string", "format": "date-time"},
    "MicroTime": {"type": "string", "format": "date-time"},
    "Duration": {"type": "string"},
    "Quantity": {"oneOf": [{"type": "string"}, {"type": "number"}]},
    "IntOrString": {"format": "int-or-string", "oneOf": [{"type": "integer"}, {"type": "string"}]},
    "any": {"type": "object"},
}


SWAGGER_PROTOBUF = "application/com.github.proto-openapi.spec.v2.v1.0+protobuf"


def swagger_protobuf(version: str) -> bytes:
    """Return an OpenAPI v2 document without paths, as the protobuf message that clients ask for."""
    info = _text(1, "Kubernetes") + _text(2, version)
    return _text(1, "2.0") + bytes((0x12, len(info))) + info


def _text(number: int, value: str) -> bytes:
    """Return a short text field of a protobuf message."""
    raw = value.encode()
    return bytes((number << 3 | 2, len(raw))) + raw


def index(version: str) -> Json:
    """Return the list of documents, with URLs that change when their content does."""
    paths = {}
    for group, served in kinds.group_versions():
        name = f"apis/{group}/{served}" if group else f"api/{served}"
        mark = hashlib.sha256(f"{version}/{name}/{len(kinds.RESOURCES)}".encode()).hexdigest()
        paths[name] = {"serverRelativeURL": f"/openapi/v3/{name}?hash={mark.upper()}"}
    return {"paths": paths}


@functools.cache
def document(group: str, served: str, version: str) -> Json:
    """Return the document of one group and version."""
    resources = kinds.of_group_version(group, served)
    paths: Json = {}
    structs: dict[str, Struct] = {}
    for resource in resources:
        paths.update(_paths(resource))
        for struct in schema.reachable(schema.struct(resource.schema)):
            structs[struct.name] = struct
    for name in ("meta.v1.DeleteOptions", "autoscaling.v1.Scale", "policy.v1.Eviction"):
        for struct in schema.reachable(schema.struct(name)):
            structs[struct.name] = struct
    components = {component(name): _schema(struct) for name, struct in structs.items()}
    for resource in resources:
        components[component(resource.schema)]["x-kubernetes-group-version-kind"] = [_gvk(resource)]
        components[component(resource.schema) + "List"] = _list_schema(resource)
    return {
        "openapi": "3.0.0",
        "info": {"title": "Kubernetes", "version": version},
        "paths": paths,
        "components": {"schemas": dict(sorted(components.items()))},
    }


def component(name: str) -> str:
    """Return the public name of a type, such as "io.k8s.api.apps.v1.Deployment"."""
    if name.startswith("meta.v1."):
        return _META + name.removeprefix("meta.v1.")
    return f"io.k8s.api.{name}"


def _gvk(resource: Resource) -> Json:
    return {"group": resource.group, "kind": resource.kind, "version": resource.version}


def _schema(struct: Struct) -> Json:
    properties = {entry.name: _property(entry) for entry in struct.fields}
    described: Json = {"type": "object", "properties": properties}
    required = [entry.name for entry in struct.fields if entry.required]
    if required:
        described["required"] = required
    if struct.atomic:
        described["x-kubernetes-map-type"] = "atomic"
    return described


def _property(entry: Field) -> Json:
    described = dict(_node(entry.node))
    if isinstance(entry.node, ListOf):
        described |= _list_traits(entry.node)
        strategy = [
            name
            for name, there in (("merge", entry.node.merge), ("retainKeys", entry.retain_keys))
            if there
        ]
        if strategy:
            described["x-kubernetes-patch-strategy"] = ",".join(strategy)
        if entry.node.merge_key:
            described["x-kubernetes-patch-merge-key"] = entry.node.merge_key
    elif entry.retain_keys:
        described = {"allOf": [described], "x-kubernetes-patch-strategy": "retainKeys"}
    if isinstance(entry.node, MapOf) and entry.atomic:
        described["x-kubernetes-map-type"] = "atomic"
    return described


def _list_traits(node: ListOf) -> Json:
    if node.keys:
        return {"x-kubernetes-list-type": "map", "x-kubernetes-list-map-keys": list(node.keys)}
    return {"x-kubernetes-list-type": "set" if node.is_set else "atomic"}


def _node(node: Node) -> Json:
    if isinstance(node, Scalar):
        return _SCALARS[node.name]
    if isinstance(node, ListOf):
        return {"type": "array", "items": _node(node.item)}
    if isinstance(node, MapOf):
        return {"type": "object", "additionalProperties": _node(node.value)}
    return _reference(node.name)


def _reference(name: str) -> Json:
    return {"$ref": f"#/components/schemas/{component(name)}"}


def _list_schema(resource: Resource) -> Json:
    items = {"type": "array", "items": _reference(resource.schema)}
    return {
        "type": "object",
        "properties": {
            "apiVersion": {"type": "string"},
            "items": items,
            "kind": {"type": "string"},
            "metadata": {"type": "object"},
        },
        "required": ["items"],
        "x-kubernetes-group-version-kind": [
            {"group": resource.group, "kind": f"{resource.kind}List", "version": resource.version}
        ],
    }


def _paths(resource: Resource) -> Iterator[tuple[str, Json]]:
    prefix = resource.path + ("/namespaces/{namespace}" if resource.namespaced else "")
    collection = f"{prefix}/{resource.plural}"
    one = f"{collection}/{{name}}"
    yield collection, _operations(resource, {"get": "list", "post": "create"})
    if not resource.stored:
        return
    changes = {"get": "get", "put": "update", "patch": "patch", "delete": "delete"}
    yield one, _operations(resource, changes)
    if "status" in resource.subresources:
        yield (
            f"{one}/status",
            _operations(resource, {"get": "get", "put": "update", "patch": "patch"}),
        )
    if resource.namespaced:
        yield f"{resource.path}/{resource.plural}", _operations(resource, {"get": "list"})


def _operations(resource: Resource, methods: dict[str, str]) -> Json:
    return {
        method: _operation(resource, verb)
        for method, verb in methods.items()
        if verb in resource.verbs
    }


def _operation(resource: Resource, verb: str) -> Json:
    actions = {"create": "post", "update": "put"}
    answer = {
        "description": "OK",
        "content": {"application/json": {"schema": _body(resource, verb)}},
    }
    described: Json = {
        "tags": [f"{resource.group or 'core'}_{resource.version}"],
        "parameters": _parameters(verb),
        "responses": {"200": answer},
        "x-kubernetes-action": actions.get(verb, verb),
        "x-kubernetes-group-version-kind": _gvk(resource),
    }
    if verb in ("create", "update"):
        content = {"*/*": {"schema": _reference(resource.schema)}}
        described["requestBody"] = {"content": content, "required": True}
    elif verb == "patch":
        content = {kind.value: {"schema": {"type": "object"}} for kind in PatchType}
        described["requestBody"] = {"content": content, "required": True}
    return described


def _body(resource: Resource, verb: str) -> Json:
    if verb == "list":
        return {"$ref": f"#/components/schemas/{component(resource.schema)}List"}
    return _reference(resource.schema)


def _parameters(verb: str) -> list[Json]:
    names = {
        "create": ("dryRun", "fieldManager", "fieldValidation"),
        "update": ("dryRun", "fieldManager", "fieldValidation"),
        "patch": ("dryRun", "fieldManager", "fieldValidation", "force"),
        "delete": ("dryRun", "gracePeriodSeconds", "propagationPolicy"),
        "list": ("labelSelector", "fieldSelector", "limit", "continue", "watch"),
    }
    return [
        {"name": name, "in": "query", "schema": {"type": "string"}} for name in names.get(verb, ())
    ]
