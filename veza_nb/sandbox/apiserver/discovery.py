"""What the server says about itself: version, health, groups, resources, OpenAPI."""

from __future__ import annotations

import base64
import functools
import hashlib
from collections.abc import Mapping
from typing import Any

from veza_nb.sandbox.apimachinery import kinds, status
from veza_nb.sandbox.apimachinery.kinds import CHANGE_VERBS, Resource
from veza_nb.sandbox.apiserver import openapi
from veza_nb.sandbox.apiserver.messages import Request, Response

Json = dict[str, Any]
_AGGREGATED = "APIGroupDiscoveryList"
_AGGREGATED_GROUP = "apidiscovery.k8s.io"
# What a server of this version says that it checks, in its order.
_HOOKS = (
    *("start-apiserver-admission-initializer", "generic-apiserver-start-informers"),
    *("priority-and-fairness-config-consumer", "priority-and-fairness-filter"),
    *("storage-object-count-tracker-hook", "start-apiextensions-informers"),
    *("start-apiextensions-controllers", "crd-informer-synced"),
    *("start-system-namespaces-controller", "start-cluster-authentication-info-controller"),
    "start-kube-apiserver-identity-lease-controller",
    "start-kube-apiserver-identity-lease-garbage-collector",
    *("start-legacy-token-tracking-controller", "start-service-ip-repair-controllers"),
    *("rbac/bootstrap-roles", "scheduling/bootstrap-system-priority-classes"),
    *("priority-and-fairness-config-producer", "bootstrap-controller"),
    *("aggregator-reload-proxy-client-cert", "start-kube-aggregator-informers"),
    "apiservice-status-local-available-controller",
    "apiservice-status-remote-available-controller",
    *("apiservice-registration-controller", "apiservice-wait-for-first-sync"),
    *("apiservice-discovery-controller", "kube-apiserver-autoregistration"),
    *("", "apiservice-openapi-controller", "apiservice-openapiv3-controller"),
)
_STARTED = tuple(f"poststarthook/{hook}" if hook else "autoregister-completion" for hook in _HOOKS)
_CHECKS = {
    "healthz": ("ping", "log", "etcd", *_STARTED),
    "livez": ("ping", "log", "etcd", *_STARTED),
    "readyz": ("ping", "log", "informer-sync", *_STARTED, "shutdown"),
}
# Subresource: verbs, and group, version and kind of its body where they are not the resource's.
_SUBRESOURCES: Mapping[str, tuple[tuple[str, ...], tuple[str, str, str] | None]] = {
    "binding": (("create",), ("", "v1", "Binding")),
    "eviction": (("create",), ("policy", "v1", "Eviction")),
    "finalize": (("update",), None),
    "log": (("get",), None),
    "attach": (("create", "get"), ("", "v1", "PodAttachOptions")),
    "exec": (("create", "get"), ("", "v1", "PodExecOptions")),
    "portforward": (("create", "get"), ("", "v1", "PodPortForwardOptions")),
    "scale": (CHANGE_VERBS, ("autoscaling", "v1", "Scale")),
    "status": (CHANGE_VERBS, None),
    "token": (("create",), ("authentication.k8s.io", "v1", "TokenRequest")),
}


class Discovery:
    """Answers paths that are not about a resource.

    Args:
        version: The version reported, such as "v1.32.13".
    """

    def __init__(self, version: str) -> None:
        self._version = version

    def answer(self, request: Request) -> Response:
        """Answer a path.

        Raises:
            ApiError: 404 for a path that there is not, 405 for a method other than GET.
        """
        parts = request.path.strip("/").split("/")
        if request.method not in ("GET", "HEAD"):
            raise status.method_not_allowed()
        if parts[0] in _CHECKS:
            return _health(parts, request)
        if parts[0] == "openapi":
            return self._openapi(parts[1:], request.headers.get("accept", ""))
        if parts in (["api"], ["apis"]) and (wanted := _aggregated(request)):
            return _aggregated_list(parts[0], wanted)
        document = self._document(parts)
        if document is None:
            raise status.no_such_page()
        return Response(document=document)

    def _document(self, parts: list[str]) -> Json | None:
        """Return the document of a path, or None."""
        if parts == [""]:
            return {"paths": _paths()}
        if parts == ["version"]:
            return version_document(self._version)
        return _core(parts[1:]) if parts[0] == "api" else _named(parts)

    def _openapi(self, parts: list[str], accept: str) -> Response:
        if parts == ["v2"]:
            return _swagger(self._version, accept)
        if parts == ["v3"]:
            return Response(document=openapi.index(self._version))
        if parts[:1] == ["v3"] and len(parts) > 2:
            group, version = ("", parts[2]) if parts[1] == "api" else (parts[2], parts[-1])
            if (group, version) in _served() and len(parts) == (3 if not group else 4):
                return Response(document=openapi.document(group, version, self._version))
        raise status.no_such_page()


def _swagger(version: str, accept: str) -> Response:
    """Answer the document of older clients, without types: they look into v3 for those."""
    if "openapi.spec.v2" in accept:
        headers = {"Content-Type": openapi.SWAGGER_PROTOBUF}
        return Response(200, headers, text=openapi.swagger_protobuf(version))
    info = {"title": "Kubernetes", "version": version}
    return Response(document={"swagger": "2.0", "info": info, "paths": {}, "definitions": {}})


def _core(rest: list[str]) -> Json | None:
    if not rest:
        return {"kind": "APIVersions", "versions": ["v1"], "serverAddressByClientCIDRs": []}
    return _resource_list("", rest[0]) if rest == ["v1"] else None


def _named(parts: list[str]) -> Json | None:
    match parts:
        case ["apis"]:
            groups = [_group(group) for group in _groups()]
            return {"kind": "APIGroupList", "apiVersion": "v1", "groups": groups}
        case ["apis", group] if group in _groups():
            return {"kind": "APIGroup", "apiVersion": "v1", **_group(group)}
        case ["apis", group, version] if group and (group, version) in _served():
            return _resource_list(group, version)
    return None


def _health(parts: list[str], request: Request) -> Response:
    checks = _CHECKS[parts[0]]
    if len(parts) > 1 and "/".join(parts[1:]) not in checks:
        raise status.no_such_page()
    headers = {"Content-Type": "text/plain; charset=utf-8", "X-Content-Type-Options": "nosniff"}
    if "verbose" not in request.query:
        return Response(200, headers, text="ok")
    lines = [f"[+]{check} ok" for check in checks] + [f"{parts[0]} check passed", ""]
    return Response(200, headers, text="\n".join(lines))


def version_document(version: str) -> Json:
    """Return the body of /version."""
    major, minor, *_ = version.removeprefix("v").split(".")
    return {
        "major": major,
        "minor": minor,
        "gitVersion": version,
        "gitCommit": hashlib.sha1(version.encode(), usedforsecurity=False).hexdigest(),
        "gitTreeState": "clean",
        "buildDate": "2026-01-01T00:00:00Z",
        "goVersion": "go1.24.4",
        "compiler": "gc",
        "platform": "linux/amd64",
    }


@functools.cache
def _served() -> frozenset[tuple[str, str]]:
    return frozenset(kinds.group_versions())


@functools.cache
def _groups() -> tuple[str, ...]:
    return tuple(sorted({group for group, _ in kinds.group_versions() if group}))


def _paths() -> list[str]:
    found = ["/api", "/apis", "/openapi/v3", "/version", *(f"/{name}" for name in _CHECKS)]
    for group, version in kinds.group_versions():
        found += [f"/apis/{group}", f"/apis/{group}/{version}"] if group else [f"/api/{version}"]
    return sorted(found)


def _group(group: str) -> Json:
    versions = [
        {"groupVersion": f"{group}/{version}", "version": version}
        for name, version in kinds.group_versions()
        if name == group
    ]
    return {"name": group, "versions": versions, "preferredVersion": versions[0]}


def _resource_list(group: str, version: str) -> Json:
    resources = []
    for resource in kinds.of_group_version(group, version):
        resources.append(_api_resource(resource))
        for name in resource.subresources:
            resources.append(_api_subresource(resource, name))
    return {
        "kind": "APIResourceList",
        "apiVersion": "v1",
        "groupVersion": f"{group}/{version}" if group else version,
        "resources": resources,
    }


def _api_resource(resource: Resource) -> Json:
    document: Json = {
        "name": resource.plural,
        "singularName": resource.singular,
        "namespaced": resource.namespaced,
        "kind": resource.kind,
        "verbs": list(resource.verbs),
    }
    if resource.short_names:
        document["shortNames"] = list(resource.short_names)
    if resource.categories:
        document["categories"] = list(resource.categories)
    if resource.stored:
        document["storageVersionHash"] = _storage_hash(resource)
    return document


def _storage_hash(resource: Resource) -> str:
    stored = kinds.by_plural(resource.plural)
    text = (
        f"{stored.api_version}/{stored.kind}"
        if stored.group
        else f"/{stored.version}/{stored.kind}"
    )
    digest = hashlib.sha256(text.encode()).digest()[:8]
    return base64.b64encode(digest).decode()


def _api_subresource(resource: Resource, name: str) -> Json:
    verbs, other = _SUBRESOURCES[name]
    document: Json = {
        "name": f"{resource.plural}/{name}",
        "singularName": "",
        "namespaced": resource.namespaced,
    }
    if other is not None and other[0]:
        document |= {"group": other[0], "version": other[1]}
    document["kind"] = other[2] if other else resource.kind
    document["verbs"] = list(verbs)
    return document


def _aggregated(request: Request) -> str:
    """Return the version of aggregated discovery that the client takes, or ""."""
    for clause in request.headers.get("accept", "").split(","):
        given = dict(part.strip().partition("=")[::2] for part in clause.split(";")[1:])
        if given.get("as") == _AGGREGATED and given.get("g") == _AGGREGATED_GROUP:
            if given.get("v") in ("v2", "v2beta1"):
                return given["v"]
        elif not given.get("as"):
            return ""
    return ""


def _aggregated_list(root: str, version: str) -> Response:
    groups = ("",) if root == "api" else _groups()
    document = {
        "kind": _AGGREGATED,
        "apiVersion": f"{_AGGREGATED_GROUP}/{version}",
        "metadata": {},
        "items": [_aggregated_group(group) for group in groups],
    }
    form = f"application/json;g={_AGGREGATED_GROUP};v={version};as={_AGGREGATED}"
    return Response(200, {"Content-Type": form}, document=document)


def _aggregated_group(group: str) -> Json:
    metadata: Json = {"creationTimestamp": None}
    if group:
        metadata = {"name": group, **metadata}
    versions = [
        {
            "version": version,
            "resources": [
                _aggregated_resource(resource)
                for resource in kinds.of_group_version(group, version)
            ],
            "freshness": "Current",
        }
        for name, version in kinds.group_versions()
        if name == group
    ]
    return {"metadata": metadata, "versions": versions}


def _aggregated_resource(resource: Resource) -> Json:
    document: Json = {
        "resource": resource.plural,
        "responseKind": _gvk(resource.group, resource.version, resource.kind),
        "scope": "Namespaced" if resource.namespaced else "Cluster",
        "singularResource": resource.singular,
        "verbs": list(resource.verbs),
    }
    if resource.short_names:
        document["shortNames"] = list(resource.short_names)
    if resource.categories:
        document["categories"] = list(resource.categories)
    if resource.subresources:
        document["subresources"] = [
            _aggregated_subresource(resource, name) for name in resource.subresources
        ]
    return document


def _aggregated_subresource(resource: Resource, name: str) -> Json:
    verbs, other = _SUBRESOURCES[name]
    group, version, kind = other or (resource.group, resource.version, resource.kind)
    return {"subresource": name, "responseKind": _gvk(group, version, kind), "verbs": list(verbs)}


def _gvk(group: str, version: str, kind: str) -> Json:
    return {"group": group, "version": version, "kind": kind}
