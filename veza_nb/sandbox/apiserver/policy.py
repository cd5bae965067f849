"""The roles that every cluster begins with, and how roles are put together from others."""

from __future__ import annotations

from collections.abc import Iterable, Iterator
from typing import Any

from veza_nb.sandbox.apimachinery import selectors
from veza_nb.sandbox.apiserver.identities import (
    AUTHENTICATED,
    MASTERS,
    SERVICE_ACCOUNTS,
    UNAUTHENTICATED,
)

Json = dict[str, Any]
_GROUP = "rbac.authorization.k8s.io"
_LABELS = {"kubernetes.io/bootstrapping": "rbac-defaults"}
_ANNOTATIONS = {"rbac.authorization.kubernetes.io/autoupdate": "true"}
_AGGREGATE = f"{_GROUP}/aggregate-to-"
_READ = ("get", "list", "watch")
_WRITE = ("create", "delete", "deletecollection", "patch", "update")
_SCALED = ("deployments", "replicasets", "statefulsets")

# Group to what of it people may see.
_SEEN: tuple[tuple[str, str], ...] = (
    (
        "",
        "configmaps endpoints persistentvolumeclaims persistentvolumeclaims/status pods "
        "replicationcontrollers replicationcontrollers/scale serviceaccounts services "
        "services/status",
    ),
    (
        "",
        "bindings events limitranges namespaces/status pods/log pods/status "
        "replicationcontrollers/status resourcequotas resourcequotas/status",
    ),
    ("", "namespaces"),
    ("discovery.k8s.io", "endpointslices"),
    (
        "apps",
        "controllerrevisions daemonsets daemonsets/status "
        + " ".join(f"{each} {each}/scale {each}/status" for each in _SCALED),
    ),
    ("autoscaling", "horizontalpodautoscalers horizontalpodautoscalers/status"),
    ("batch", "cronjobs cronjobs/status jobs jobs/status"),
    ("policy", "poddisruptionbudgets poddisruptionbudgets/status"),
    ("networking.k8s.io", "ingresses ingresses/status networkpolicies"),
    ("metrics.k8s.io", "pods nodes"),
)
# Group to what of it those who work in a namespace may change.
_CHANGED: tuple[tuple[str, str], ...] = (
    ("", "pods pods/attach pods/exec pods/portforward pods/proxy"),
    (
        "",
        "configmaps events persistentvolumeclaims replicationcontrollers "
        "replicationcontrollers/scale secrets serviceaccounts services services/proxy",
    ),
    (
        "apps",
        "daemonsets " + " ".join(f"{each} {each}/scale" for each in _SCALED),
    ),
    ("autoscaling", "horizontalpodautoscalers"),
    ("batch", "cronjobs jobs"),
    ("policy", "poddisruptionbudgets"),
    ("networking.k8s.io", "ingresses networkpolicies"),
)
_HEALTH = ("/healthz", "/livez", "/readyz", "/version", "/version/")
_DISCOVERY = (
    *("/api", "/api/*", "/apis", "/apis/*", "/healthz", "/livez"),
    *("/openapi", "/openapi/*", "/readyz", "/version", "/version/"),
)


def _rule(verbs: Iterable[str], group: str, resources: str) -> Json:
    return {"verbs": list(verbs), "apiGroups": [group], "resources": resources.split()}


def _paths(paths: Iterable[str]) -> Json:
    return {"verbs": ["get"], "nonResourceURLs": list(paths)}


def _view() -> list[Json]:
    return [_rule(_READ, group, resources) for group, resources in _SEEN]


def _edit() -> list[Json]:
    return [
        _rule(
            _READ, "", "pods/attach pods/exec pods/portforward pods/proxy secrets services/proxy"
        ),
        _rule(["impersonate"], "", "serviceaccounts"),
        _rule(["create"], "", "pods/eviction serviceaccounts/token"),
        *(_rule(_WRITE, group, resources) for group, resources in _CHANGED),
        _rule((*_WRITE, *_READ), "coordination.k8s.io", "leases"),
    ]


def _admin() -> list[Json]:
    return [
        _rule(["create"], "authorization.k8s.io", "localsubjectaccessreviews"),
        _rule((*_WRITE, *_READ), _GROUP, "roles rolebindings"),
    ]


def cluster_roles() -> list[Json]:
    """The ClusterRoles that every cluster begins with."""
    everything = {"verbs": ["*"], "apiGroups": ["*"], "resources": ["*"]}
    reviews = [
        _rule(
            ["create"],
            "authorization.k8s.io",
            "selfsubjectaccessreviews selfsubjectrulesreviews",
        ),
        _rule(["create"], "authentication.k8s.io", "selfsubjectreviews"),
    ]
    roles = [
        _role("cluster-admin", [everything, {"verbs": ["*"], "nonResourceURLs": ["*"]}]),
        _role("system:aggregate-to-admin", _admin(), to="admin"),
        _role("system:aggregate-to-edit", _edit(), to="edit"),
        _role("system:aggregate-to-view", _view(), to="view"),
        _role("system:basic-user", reviews),
        _role("system:discovery", [_paths(_DISCOVERY)]),
        _role("system:issuer-discovery", [_paths(("/.well-known", "/.well-known/*"))]),
        _role("system:public-info-viewer", [_paths(_HEALTH)]),
        _role(
            "system:auth-delegator",
            [
                _rule(["create"], "authentication.k8s.io", "tokenreviews"),
                _rule(["create"], "authorization.k8s.io", "subjectaccessreviews"),
            ],
        ),
    ]
    roles += [_sum("view", to="edit"), _sum("edit", to="admin"), _sum("admin")]
    for role in roles:
        if "aggregationRule" in role:
            role["rules"] = aggregated(role, roles)
    return roles


def _role(name: str, rules: list[Json], to: str = "") -> Json:
    labels = {**_LABELS, **({f"{_AGGREGATE}{to}": "true"} if to else {})}
    metadata = {"name": name, "labels": labels, "annotations": dict(_ANNOTATIONS)}
    return {"metadata": metadata, "rules": rules}


def _sum(name: str, to: str = "") -> Json:
    """A role that is put together from all that are labelled for it."""
    chosen = {"clusterRoleSelectors": [{"matchLabels": {f"{_AGGREGATE}{name}": "true"}}]}
    return {**_role(name, [], to), "aggregationRule": chosen}


def cluster_role_bindings() -> list[Json]:
    """The ClusterRoleBindings that every cluster begins with."""
    return [
        _binding("cluster-admin", MASTERS),
        _binding("system:basic-user", AUTHENTICATED),
        _binding("system:discovery", AUTHENTICATED),
        _binding("system:issuer-discovery", AUTHENTICATED, SERVICE_ACCOUNTS),
        _binding("system:public-info-viewer", AUTHENTICATED, UNAUTHENTICATED),
    ]


def _binding(name: str, *groups: str) -> Json:
    metadata = {"name": name, "labels": dict(_LABELS), "annotations": dict(_ANNOTATIONS)}
    subjects = [{"kind": "Group", "apiGroup": _GROUP, "name": group} for group in groups]
    reference = {"apiGroup": _GROUP, "kind": "ClusterRole", "name": name}
    return {"metadata": metadata, "roleRef": reference, "subjects": subjects}


def aggregated(role: Json, roles: Iterable[Json]) -> list[Json]:
    """Return the rules of a ClusterRole that is put together from others.

    Args:
        role: One with an `aggregationRule`.
        roles: All ClusterRoles; parts that are sums themselves are added up, too.
    """
    found: list[Json] = []
    for part in _parts(role, sorted(roles, key=lambda each: str(each["metadata"]["name"])), set()):
        found.extend(rule for rule in part.get("rules") or () if rule not in found)
    return found


def _parts(role: Json, roles: list[Json], seen: set[str]) -> Iterator[Json]:
    """Yield the roles of which one is the sum, those that are no sums themselves."""
    seen.add(role["metadata"]["name"])
    chosen = role["aggregationRule"].get("clusterRoleSelectors") or ()
    wanted = [selectors.from_object(each) for each in chosen]
    for each in roles:
        labels = each["metadata"].get("labels")
        if each["metadata"]["name"] in seen or not any(one.matches(labels) for one in wanted):
            continue
        if each.get("aggregationRule"):
            yield from _parts(each, roles, seen)
        else:
            yield each
