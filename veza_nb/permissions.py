"""What a rollback must be allowed to do, what helps it, and the Role that says so."""

from collections.abc import Iterable
from dataclasses import dataclass

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


NEEDED = (
    Permission("get", "apps", "deployments"),
    Permission("list", "apps", "deployments"),
    Permission("patch", "apps", "deployments"),
    Permission("list", "apps", "replicasets"),
    Permission("list", "", "pods"),
    Permission("get", "coordination.k8s.io", "leases"),
    Permission("create", "coordination.k8s.io", "leases"),
    Permission("update", "coordination.k8s.io", "leases"),
)
"""What a run needs at least; asked before anything is changed."""

HELPFUL = (
    # Without a watch the same is listed every second.
    Permission("watch", "apps", "deployments"),
    Permission("watch", "apps", "replicasets"),
    Permission("watch", "", "pods"),
    # Events explain what pods decide.
    Permission("list", "", "events"),
    # Logs too.
    Permission("get", "", "pods", "log"),
    # Word for the next operator.
    Permission("patch", "apps", "replicasets"),
    # What around the Deployment would keep a plan from working.
    Permission("list", "autoscaling", "horizontalpodautoscalers"),
    Permission("list", "", "resourcequotas"),
    Permission("get", "", "configmaps"),
    Permission("get", "", "secrets"),
    Permission("get", "", "persistentvolumeclaims"),
    Permission("get", "", "serviceaccounts"),
)
"""What makes a run see or say more; it works without."""


def role(name: str, namespace: str, permissions: Iterable[Permission]) -> dict[str, object]:
    """A Role with these permissions, verbs of one resource in one rule.

    Args:
        name: of the Role.
        namespace: where it holds.
        permissions: in the order in which they are to be read.
    """
    verbs: dict[tuple[str, str], list[str]] = {}
    for one in permissions:
        resource = f"{one.resource}/{one.subresource}" if one.subresource else one.resource
        verbs.setdefault((one.group, resource), []).append(one.verb)
    rules = [
        {"apiGroups": [group], "resources": [resource], "verbs": allowed}
        for (group, resource), allowed in verbs.items()
    ]
    about = {"name": name, "namespace": namespace}
    return {"apiVersion": f"{RBAC}/v1", "kind": "Role", "metadata": about, "rules": rules}


def role_binding(name: str, namespace: str, subject: tuple[str, str]) -> dict[str, object]:
    """A RoleBinding of the Role of that name.

    Args:
        name: of both.
        namespace: where it holds.
        subject: its kind ("User", "Group", "ServiceAccount") and its name.
    """
    kind, who = subject
    bound: dict[str, object] = {"kind": kind, "name": who}
    # An account is found by its namespace, people by who says who they are.
    bound |= {"namespace": namespace} if kind == "ServiceAccount" else {"apiGroup": RBAC}
    return {
        "apiVersion": f"{RBAC}/v1",
        "kind": "RoleBinding",
        "metadata": {"name": name, "namespace": namespace},
        "roleRef": {"apiGroup": RBAC, "kind": "Role", "name": name},
        "subjects": [bound],
    }
