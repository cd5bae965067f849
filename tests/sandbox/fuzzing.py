"""Requests without end: right ones, nearly right ones and wrong ones, from a seed.

The same seed gives the same requests. What could not be undone within a test is left out: whole
namespaces are only deleted if they are the generator's own, and nothing is scaled to a crowd.
"""

from __future__ import annotations

import copy
import json
import random
from collections.abc import Callable
from dataclasses import dataclass, field
from typing import Any
from urllib.parse import quote, urlencode

import yaml

from veza_nb.sandbox.apimachinery import kinds

Json = dict[str, Any]
OWN = "fuzz"
"""A namespace that the requests may tear down."""
_MOST = 3
_COUNTS = ("replicas", "parallelism", "completions", "minReplicas", "maxReplicas", "value")

_SPACES = ["veza-production"] * 4 + [OWN] * 12 + ["default", "kube-system", "no-such"]
_ODD = ["", "..", "%2e%2e", "..%2f..%2fsecrets", "%00", "a%20b", "UPPER", "ü", "x" * 300, "-", "*"]
_NAMES = [
    *("veza-backend-api", "veza-frontend", "veza-stream-server", "veza-node-1", "default"),
    *("web", "one", "two"),
    *("web", "one", "two"),
]
_OFTEN = ("pods", "deployments", "replicasets", "configmaps", "jobs", "services", "leases")
_SUBRESOURCES = [
    *("status", "scale", "log", "eviction", "binding", "finalize", "exec", "attach"),
    *("portforward", "proxy", "token", "ephemeralcontainers", "rollback", "approval", "a/b/c"),
]
_PATHS = [
    *("/", "//", "/api", "/apis", "/api/", "/apis/", "/api/v1", "/apis/apps/v1", "/apis/apps"),
    *("/version", "/healthz", "/livez?verbose", "/readyz/ping", "/metrics", "/openapi/v2"),
    *("/openapi/v3", "/openapi/v3/apis/apps/v1", "/openapi/v3/api/v1", "/openapi/v3/nothing"),
    *("/api/v2/pods", "/apis/nothing/v1/things", "/apis/apps/v9/deployments", "/favicon.ico"),
    *("/api//v1///pods", "/apis/apps/v1//namespaces", "/api/v1/namespaces//pods"),
    *("/api/v1/namespaces/veza-production/pods/..%2f..%2fsecrets", "/%2e%2e/%2e%2e/etc/passwd"),
    *("/api/v1/watch/pods", "/api/v1/namespaces/default/pods/%ff", "/apis/metrics.k8s.io/v1beta1"),
    *("/apis/metrics.k8s.io/v1beta1/nodes", "/api/v1/nodes/veza-node-1/proxy/metrics", "*"),
    "/" + "a/" * 500,
]
_QUERIES: dict[str, list[str]] = {
    "labelSelector": [
        *("app=veza-frontend", "app", "!app", "app in (a,b)", "app notin (a", "a==b,", "=", "((("),
        *("a" * 400, "app=ü", "app in ()", "x>1", "a/b/c=d", "app!=b,c=d"),
    ],
    "fieldSelector": [
        *("metadata.name=web", "status.phase=Running", "spec.nothing=1", "metadata.name!=", "==="),
        *("metadata.namespace=default,metadata.name=a", "involvedObject.name=web", "\x00"),
    ],
    "limit": ["1", "0", "-1", "x", "99999999999999999999", "2"],
    "continue": ["", "x", "eyJ2IjoibWV0YS5rOHMuaW8vdjEiLCJydiI6MX0", "e30", "=", "é"],
    "resourceVersion": ["0", "1", "", "x", "-1", "99999999", "0x10", " 5"],
    "resourceVersionMatch": ["Exact", "NotOlderThan", "x", ""],
    "timeoutSeconds": ["0", "1", "x", "-5"],
    "dryRun": ["All", "all", "", "x"],
    "fieldManager": ["me", "", "x" * 200, "\x01", "ü"],
    "fieldValidation": ["Strict", "Warn", "Ignore", "x"],
    "force": ["true", "false", "x"],
    "propagationPolicy": ["Foreground", "Background", "Orphan", "x"],
    "gracePeriodSeconds": ["0", "1", "-1", "x"],
    "orphanDependents": ["true", "x"],
    "pretty": ["true", "x"],
    "tailLines": ["1", "0", "-1", "x"],
    "limitBytes": ["1", "0", "x"],
    "sinceSeconds": ["1", "0", "-1", "x"],
    "sinceTime": ["2026-01-01T00:00:00Z", "x", "2026"],
    "container": ["main", "frontend", "x", ""],
    "previous": ["true", "x"],
    "timestamps": ["true"],
    "allowWatchBookmarks": ["true", "x"],
    "sendInitialEvents": ["true", "false", "x"],
    "command": ["ls", ""],
    "ports": ["8080", "x", "99999"],
    "": ["x"],
    "nothing": ["1"],
}
_ACCEPT = [
    *["application/json"] * 8,
    *("*/*", "", "application/yaml", "text/html", "application/*", "x", "application/json;q=x"),
    "application/json;as=Table;v=v1;g=meta.k8s.io,application/json",
    "application/json;as=Table;v=v9;g=meta.k8s.io",
    "application/json;as=PartialObjectMetadata;v=v1;g=meta.k8s.io",
    "application/json;as=PartialObjectMetadataList;v=v1;g=meta.k8s.io",
    "application/vnd.kubernetes.protobuf",
    "application/json;g=apidiscovery.k8s.io;v=v2;as=APIGroupDiscoveryList",
]
_PATCH_TYPES = [
    "application/strategic-merge-patch+json",
    "application/merge-patch+json",
    "application/json-patch+json",
    "application/apply-patch+yaml",
]
_TYPES = [
    *("application/json", "application/yaml", "application/vnd.kubernetes.protobuf", "", "x"),
    *("text/plain", "application/json; charset=utf-8", "application/json-patch+json;x=y"),
]
_METHODS = ["GET"] * 8 + ["POST"] * 5 + ["PUT"] * 3 + ["PATCH"] * 6 + ["DELETE"] * 2
_WHOLE = {"GET": 0.55, "POST": 0.95}
"""How often a method is about the whole of a collection."""
_RARE_METHODS = ["HEAD", "OPTIONS", "BREW", "TRACE", "CONNECT", "get", "LOCK"]
_JUNK: list[Any] = [
    *(None, True, 0, 1, 2, 3.5, 1e300, "", "x", "ü\u0000\ud800", "9" * 50, "1Gi", "-1", [], {}),
    *([None], [[]], {"": None}, {"a": {"b": []}}, "25%", "x" * 3000, ["a", 1]),
    {"$patch": "delete"},
]


@dataclass(frozen=True)
class Sent:
    """One request."""

    method: str
    target: str
    headers: dict[str, str] = field(default_factory=dict)
    body: bytes = b""

    @property
    def streams(self) -> bool:
        """Whether the answer may have no end."""
        return "watch=" in self.target or "follow=" in self.target or self.method == "CONNECT"

    def __str__(self) -> str:
        return f"{self.method} {self.target[:300]} {self.headers} {self.body[:600]!r}"


class Generator:
    """Makes requests.

    Args:
        seed: of all chances.
        tokens: of the users, by name.
        agent: how the requests name themselves.
    """

    def __init__(self, seed: int, tokens: dict[str, str], agent: str) -> None:
        self._random = random.Random(seed)
        self._tokens = tokens
        self._agent = agent
        self._resources = list(kinds.RESOURCES)
        self._often = [each for each in self._resources if each.plural in _OFTEN]

    def request(self) -> Sent:
        """Return the next request."""
        pick = self._random
        method = pick.choice(_METHODS) if pick.random() < 0.97 else pick.choice(_RARE_METHODS)
        if pick.random() < 0.06:
            return Sent(method, pick.choice(_PATHS), self._headers(method), b"")
        resource = pick.choice(self._often if pick.random() < 0.75 else self._resources)
        name = self._name(method)
        path, whole = self._path(resource, name), not name
        if method == "DELETE" and (whole or resource.plural == "namespaces"):
            method = "GET"
        body = self._body(method, resource, name) if method not in ("GET", "HEAD") else b""
        return Sent(method, path + self._query(method), self._headers(method), body)

    # -- where ---------------------------------------------------------------------------------

    def _name(self, method: str) -> str:
        chance = self._random.random()
        if chance < _WHOLE.get(method, 0.03):
            return ""
        return self._random.choice(_ODD if chance > 0.98 else _NAMES)

    def _path(self, resource: Any, name: str) -> str:
        pick = self._random
        group, version, plural = resource.group, resource.version, resource.plural
        if pick.random() < 0.03:
            group, version, plural = pick.choice(
                [("apps", "v1", "things"), (group, "v0", plural), ("no.such", version, plural)]
            )
        parts = ["api", version] if not group else ["apis", group, version]
        if resource.namespaced == (pick.random() < 0.97):
            space = pick.choice(_SPACES) if pick.random() < 0.97 else pick.choice(_ODD)
            parts += ["namespaces", space]
        parts.append(plural)
        if name:
            parts.append(quote(name, safe="%*"))
            if pick.random() < 0.15:
                known = list(resource.subresources) or _SUBRESOURCES
                parts.append(pick.choice(known if pick.random() < 0.6 else _SUBRESOURCES))
        return "/" + "/".join(parts)

    def _query(self, method: str) -> str:
        pick = self._random
        names = [name for name in _QUERIES if pick.random() < 0.012]
        pairs = [(name, pick.choice(_QUERIES[name])) for name in names]
        if method == "GET" and pick.random() < 0.03:
            pairs += [(pick.choice(["watch", "follow"]), "true"), ("timeoutSeconds", "1")]
        if not pairs:
            return "" if pick.random() < 0.98 else pick.choice(["?", "?&", "?%", "?a=%zz", "?=&=;"])
        return "?" + urlencode(pairs)

    # -- how -----------------------------------------------------------------------------------

    def _headers(self, method: str) -> dict[str, str]:
        pick, headers = self._random, {"User-Agent": self._agent, "Accept": "application/json"}
        chance = pick.random()
        if chance < 0.94:
            headers["Authorization"] = f"Bearer {self._tokens['admin']}"
        elif chance < 0.97:
            user = pick.choice(list(self._tokens))
            headers["Authorization"] = f"Bearer {self._tokens[user]}"
        elif chance < 0.99:
            wrong = ["Bearer wrong", "Bearer", "Basic YTpi", "Bearer " + "x" * 3000, "\udcff\udcfe"]
            headers["Authorization"] = pick.choice(wrong)
        if pick.random() < 0.15:
            headers["Accept"] = pick.choice(_ACCEPT)
        if method == "PATCH":
            headers["Content-Type"] = pick.choice(_PATCH_TYPES)
        elif method != "GET":
            headers["Content-Type"] = "application/json"
        if pick.random() < 0.06:
            headers["Content-Type"] = pick.choice([*_TYPES, *_PATCH_TYPES])
        if pick.random() < 0.01:
            headers["Impersonate-User"] = pick.choice(["nobody-user", "", "x"])
        return headers

    # -- what ----------------------------------------------------------------------------------

    def _body(self, method: str, resource: Any, name: str) -> bytes:
        pick = self._random
        document = self._document(method, resource, name or pick.choice(_NAMES))
        for _ in range(pick.choice([0, 0, 0, 0, 0, 1, 1, 2, 4])):
            document = self._changed(document)
        document = _modest(document)
        if pick.random() < 0.03:
            return _as_yaml(document)
        data = _encoded(document)
        return self._torn(data) if pick.random() < 0.06 else data

    def _document(self, method: str, resource: Any, name: str) -> Any:
        if method == "PATCH" and self._random.random() < 0.35:
            return [self._operation() for _ in range(self._random.choice([1, 1, 2, 5]))]
        if method == "DELETE":
            return {"kind": "DeleteOptions", "apiVersion": "v1", "gracePeriodSeconds": 0}
        made = copy.deepcopy(_SPECS.get(resource.kind, {}))
        head = {"apiVersion": resource.api_version, "kind": resource.kind}
        return {**head, "metadata": {"name": name, "labels": {"app": "web"}}, **made}

    def _operation(self) -> Any:
        pick = self._random
        places = ["/spec/replicas", "/metadata/labels", "/spec", "", "/", "/metadata/name", "/a/0"]
        places += ["/spec/template/spec/containers/0/image", "/metadata/labels/app", "x", "/data"]
        return {
            "op": pick.choice(["add", "remove", "replace", "test", "move", "copy", "x"]),
            "path": pick.choice(places),
            "from": pick.choice(places),
            "value": pick.choice([*_JUNK, 1, 2]),
        }

    def _changed(self, document: Any) -> Any:
        """The same with one thing else: taken away, replaced by junk, added, or nested deep."""
        pick = self._random
        places = list(_places(document))
        if not places:
            return pick.choice(_JUNK)
        holder, key = pick.choice(places)
        acts: list[Callable[[], object]] = [
            lambda: holder.pop(key),
            lambda: holder.__setitem__(key, copy.deepcopy(pick.choice(_JUNK))),
            lambda: holder.__setitem__(key, copy.deepcopy(pick.choice(_JUNK))),
            lambda: holder.__setitem__(key, [holder[key]]),
            lambda: holder.__setitem__(key, _nested(pick.choice([3, 60, 400]))),
        ]
        if isinstance(holder, dict):
            acts.append(lambda: holder.__setitem__(pick.choice(["x", "", "$patch", "ü"]), "y"))
            acts.append(lambda: holder.__setitem__(key, {"app": "other"}))
        pick.choice(acts)()
        return document

    def _torn(self, data: bytes) -> bytes:
        pick, cut = self._random, self._random.randrange(len(data) + 1)
        return pick.choice(
            [
                data[:cut],
                data[:cut] + bytes([pick.randrange(256)]) + data[cut:],
                b"k8s\x00" + data,
                b"k8s\x00\x0a\x0f\x0a\x02v1\x12\x09ConfigMap" + data[:cut],
                data + data,
                b"\xef\xbb\xbf" + data,
                b"[" * 5000,
                b"",
            ]
        )


def _places(document: Any) -> list[tuple[Any, Any]]:
    """Every key of every object and every index of every list, with what holds it."""
    found: list[tuple[Any, Any]] = []
    todo = [document]
    while todo:
        holder = todo.pop()
        if isinstance(holder, dict):
            found += [(holder, key) for key in holder]
            todo += holder.values()
        elif isinstance(holder, list):
            found += [(holder, index) for index in range(len(holder))]
            todo += holder
    return found


def _nested(depth: int) -> Any:
    made: Any = "x"
    for _ in range(depth):
        made = {"a": made}
    return made


def _modest(document: Any) -> Any:
    """The same without numbers that would call for a crowd of pods."""
    for holder, key in _places(document):
        if key in _COUNTS and type(holder[key]) in (int, float) and holder[key] > _MOST:
            holder[key] = _MOST
    return document


def _encoded(document: Any) -> bytes:
    return json.dumps(document).encode()


def _as_yaml(document: Any) -> bytes:
    # YAML has no halves of characters.
    plain = _encoded(document).replace(rb"\ud800", b"x")
    try:
        return yaml.safe_dump(json.loads(plain)).encode()
    except RecursionError:
        return plain


_TEMPLATE: Json = {
    "metadata": {"labels": {"app": "web"}},
    "spec": {
        "containers": [
            {
                "name": "main",
                "image": "registry.veza.example/web:v1",
                "ports": [{"name": "http", "containerPort": 8080}],
                "env": [{"name": "A", "value": "b"}],
                "resources": {"requests": {"cpu": "10m"}, "limits": {"memory": "64Mi"}},
                "readinessProbe": {"httpGet": {"path": "/health", "port": "http"}},
            }
        ]
    },
}
_SELECTED: Json = {"selector": {"matchLabels": {"app": "web"}}, "template": _TEMPLATE}
_SPECS: dict[str, Json] = {
    "Pod": {"spec": _TEMPLATE["spec"]},
    "Deployment": {"spec": {"replicas": 1, **_SELECTED}},
    "ReplicaSet": {"spec": {"replicas": 1, **_SELECTED}},
    "StatefulSet": {"spec": {"replicas": 1, "serviceName": "web", **_SELECTED}},
    "DaemonSet": {"spec": _SELECTED},
    "Job": {
        "spec": {"template": {**_TEMPLATE, "spec": {**_TEMPLATE["spec"], "restartPolicy": "Never"}}}
    },
    "Service": {"spec": {"selector": {"app": "web"}, "ports": [{"port": 80}]}},
    "ConfigMap": {"data": {"a": "b"}},
    "Secret": {"data": {"a": "Yg=="}, "type": "Opaque"},
    "Scale": {"spec": {"replicas": 1}},
    "Lease": {"spec": {"holderIdentity": "x", "renewTime": "2026-01-01T00:00:00.000000Z"}},
    "Role": {"rules": [{"apiGroups": [""], "resources": ["pods"], "verbs": ["get"]}]},
    "RoleBinding": {
        "subjects": [{"kind": "User", "name": "x", "apiGroup": "rbac.authorization.k8s.io"}],
        "roleRef": {"kind": "Role", "name": "one", "apiGroup": "rbac.authorization.k8s.io"},
    },
    "ResourceQuota": {"spec": {"hard": {"pods": "50"}}},
    "PodDisruptionBudget": {
        "spec": {"minAvailable": 1, "selector": {"matchLabels": {"app": "web"}}}
    },
    "HorizontalPodAutoscaler": {
        "spec": {
            "minReplicas": 1,
            "maxReplicas": 2,
            "scaleTargetRef": {"apiVersion": "apps/v1", "kind": "Deployment", "name": "web"},
        }
    },
    "SelfSubjectAccessReview": {
        "spec": {"resourceAttributes": {"verb": "get", "resource": "pods", "namespace": "default"}}
    },
    "SelfSubjectRulesReview": {"spec": {"namespace": "default"}},
    "Eviction": {},
    "Event": {
        "involvedObject": {"kind": "Pod", "name": "web", "namespace": OWN},
        "reason": "X",
        "message": "x",
        "type": "Normal",
    },
}
