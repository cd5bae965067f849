"""What a rollback must be allowed to do, what helps it, and the Role that says so."""

from collections.abc import Iterable
from dataclasses import dataclass

from veza_nb.vocabulary import WorkloadKind

RBAC = "rbac.authorization.k8s.io"


@dataclass(frozen=True, slots=True)
class Permission:
    """A verb on a resource, as RBAC spells them.

    Attributes:
        name: of the one object that it is about, so that roles bound to names count; "" asks
            for all of them.
    """

    verb: str
    group: str
    resource: str
    subresource: str = ""
    name: str = ""

    def __str__(self) -> str:
        resource = f"{self.resource}.{self.group}" if self.group else self.resource
        return f"{self.verb} {resource}" + (f"/{self.subresource}" if self.subresource else "")


def needed_for(*kinds: WorkloadKind) -> tuple[Permission, ...]:
    """What a run needs at least for workloads of these kinds; asked before anything is changed."""
    of_kinds = [Permission(v, "apps", k.resource) for k in kinds for v in ("get", "list", "patch")]
    of_kinds += [Permission("list", "apps", k.revisions) for k in kinds]
    return (*dict.fromkeys(of_kinds), *_ALWAYS_NEEDED)


def helpful_for(*kinds: WorkloadKind) -> tuple[Permission, ...]:
    """What makes a run see or say more; it works without."""
    # Without a watch the same is listed every second.
    of_kinds = [Permission("watch", "apps", k.resource) for k in kinds]
    of_kinds += [Permission("watch", "apps", k.revisions) for k in kinds]
    # Word for the next operator.
    of_kinds += [Permission("patch", "apps", k.revisions) for k in kinds]
    return (*dict.fromkeys(of_kinds), *_ALWAYS_HELPFUL)


_ALWAYS_NEEDED = (
    Permission("list", "", "pods"),
    Permission("get", "coordination.k8s.io", "leases"),
    Permission("create", "coordination.k8s.io", "leases"),
    Permission("update", "coordination.k8s.io", "leases"),
)
_ALWAYS_HELPFUL = (
    Permission("watch", "", "pods"),
    # Events explain what pods decide.
    Permission("list", "", "events"),
    # Logs too.
    Permission("get", "", "pods", "log"),
    # What pods take, against what they may take.
    Permission("list", "metrics.k8s.io", "pods"),
    # What around the workload would keep a plan from working.
    Permission("list", "autoscaling", "horizontalpodautoscalers"),
    Permission("list", "", "resourcequotas"),
    Permission("get", "", "configmaps"),
    Permission("get", "", "secrets"),
    Permission("get", "", "persistentvolumeclaims"),
    Permission("get", "", "serviceaccounts"),
)
NEEDED = needed_for(WorkloadKind.DEPLOYMENT)
HELPFUL = helpful_for(WorkloadKind.DEPLOYMENT)
BACKING = {
    "deployment": Permission("get", "apps", "deployments"),
    "statefulset": Permission("get", "apps", "statefulsets"),
    "daemonset": Permission("get", "apps", "daemonsets"),
    "service": Permission("list", "discovery.k8s.io", "endpointslices"),
}
"""Kind of what a service needs to what shows how it is; helpful, in that one's namespace."""
CLUSTER_WIDE = (
    # Whether it is the node that is in trouble.
    Permission("get", "", "nodes"),
    # Whether one of them has the target's image.
    Permission("list", "", "nodes"),
    # What around the workload would keep a plan from working.
    Permission("get", "scheduling.k8s.io", "priorityclasses"),
)
"""Helpful too, and of no namespace: a Role cannot give it."""
MIGRATING = (
    Permission("create", "batch", "jobs"),
    Permission("get", "batch", "jobs"),
    # The schema's version is what a Job prints.
    Permission("get", "", "pods", "log"),
)
"""What taking a database back needs, besides what the undo does."""
TIDYING = (Permission("delete", "batch", "jobs"),)
"""Without it Jobs that only read stay for a day."""
PAUSING_ARGO = (
    Permission("get", "argoproj.io", "applications"),
    Permission("patch", "argoproj.io", "applications"),
)
"""What pausing Argo CD takes, where its Applications are."""
PAUSING_FLUX = (
    Permission("get", "kustomize.toolkit.fluxcd.io", "kustomizations"),
    Permission("patch", "kustomize.toolkit.fluxcd.io", "kustomizations"),
    Permission("get", "helm.toolkit.fluxcd.io", "helmreleases"),
    Permission("patch", "helm.toolkit.fluxcd.io", "helmreleases"),
)
"""The same for Flux."""


def role(name: str, namespace: str, permissions: Iterable[Permission]) -> dict[str, object]:
    """A Role with these permissions, verbs of one resource in one rule.

    Args:
        name: of the Role.
        namespace: where it holds.
        permissions: in the order in which they are to be read.
    """
    about = {"name": name, "namespace": namespace}
    return {**_headed("Role", about), "rules": _rules(permissions)}


def cluster_role(name: str, permissions: Iterable[Permission]) -> dict[str, object]:
    """The same for what is in no namespace."""
    return {**_headed("ClusterRole", {"name": name}), "rules": _rules(permissions)}


def role_binding(
    name: str, namespace: str, subject: tuple[str, str], *, home: str = ""
) -> dict[str, object]:
    """A RoleBinding of the Role of that name.

    Args:
        name: of both.
        namespace: where it holds.
        subject: its kind ("User", "Group", "ServiceAccount") and its name.
        home: where a ServiceAccount is; "" takes that namespace.
    """
    return {
        **_headed("RoleBinding", {"name": name, "namespace": namespace}),
        "roleRef": {"apiGroup": RBAC, "kind": "Role", "name": name},
        "subjects": [_subject(*subject, home or namespace)],
    }


def cluster_role_binding(name: str, subject: tuple[str, str], *, home: str) -> dict[str, object]:
    """The same for the ClusterRole of that name."""
    return {
        **_headed("ClusterRoleBinding", {"name": name}),
        "roleRef": {"apiGroup": RBAC, "kind": "ClusterRole", "name": name},
        "subjects": [_subject(*subject, home)],
    }


def _headed(kind: str, metadata: dict[str, str]) -> dict[str, object]:
    return {"apiVersion": f"{RBAC}/v1", "kind": kind, "metadata": metadata}


def _rules(permissions: Iterable[Permission]) -> list[dict[str, list[str]]]:
    """Verbs of one resource in one rule."""
    verbs: dict[tuple[str, str], list[str]] = {}
    for one in permissions:
        resource = f"{one.resource}/{one.subresource}" if one.subresource else one.resource
        verbs.setdefault((one.group, resource), []).append(one.verb)
    return [
        {"apiGroups": [group], "resources": [resource], "verbs": allowed}
        for (group, resource), allowed in verbs.items()
    ]


def _subject(kind: str, who: str, home: str) -> dict[str, str]:
    """An account is found by its namespace, people by who says who they are."""
    found_by = {"namespace": home} if kind == "ServiceAccount" else {"apiGroup": RBAC}
    return {"kind": kind, "name": who, **found_by}
