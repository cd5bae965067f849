"""The resources this server knows: names, scope, verbs and traits, in one table."""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import dataclass
from functools import cached_property

ALL_VERBS = ("create", "delete", "deletecollection", "get", "list", "patch", "update", "watch")
CHANGE_VERBS = ("get", "patch", "update")


@dataclass(frozen=True)
class Resource:
    """One resource of one group and version.

    Attributes:
        group: API group; "" is the core group.
        version: Such as "v1".
        plural: Name in the path.
        kind: Kind of its objects.
        schema: Name of its type in the field tables.
        namespaced: Whether its objects live in a namespace.
        short_names: What kubectl users type.
        categories: Such as "all".
        subresources: Of the subresources served: the names.
        verbs: What it can do; reviews can only be created.
        generation: Whether a change of the spec counts up `metadata.generation`.
        storage: Key of the store; the two event groups share one.
    """

    group: str
    version: str
    plural: str
    kind: str
    schema: str
    namespaced: bool = True
    short_names: tuple[str, ...] = ()
    categories: tuple[str, ...] = ()
    subresources: tuple[str, ...] = ()
    verbs: tuple[str, ...] = ALL_VERBS
    generation: bool = False
    storage: str = ""

    @cached_property
    def api_version(self) -> str:
        """Return "apps/v1", or "v1" in the core group."""
        return f"{self.group}/{self.version}" if self.group else self.version

    @cached_property
    def singular(self) -> str:
        """Return the lower-case name of one."""
        return self.kind.lower()

    @cached_property
    def key(self) -> str:
        """Return the name under which the store keeps the objects."""
        return self.storage or (f"{self.plural}.{self.group}" if self.group else self.plural)

    @cached_property
    def stored(self) -> bool:
        """Return whether objects are kept; reviews are answered and forgotten."""
        return "get" in self.verbs

    @cached_property
    def path(self) -> str:
        """Return "/api/v1" or "/apis/apps/v1"."""
        return f"/apis/{self.api_version}" if self.group else f"/api/{self.version}"


CUSTOM = "custom.v1.Object"
"""Type of custom resources: any spec, any status; no strategic merge patch."""
_RBAC = "rbac.authorization.k8s.io"
_WORKLOAD = ("scale", "status")

RESOURCES: tuple[Resource, ...] = (
    Resource("", "v1", "bindings", "Binding", "core.v1.Binding", verbs=("create",)),
    Resource("", "v1", "configmaps", "ConfigMap", "core.v1.ConfigMap", short_names=("cm",)),
    Resource("", "v1", "endpoints", "Endpoints", "core.v1.Endpoints", short_names=("ep",)),
    Resource("", "v1", "events", "Event", "core.v1.Event", short_names=("ev",), storage="events"),
    Resource("", "v1", "limitranges", "LimitRange", "core.v1.LimitRange", short_names=("limits",)),
    Resource(
        "",
        "v1",
        "namespaces",
        "Namespace",
        "core.v1.Namespace",
        namespaced=False,
        short_names=("ns",),
        subresources=("finalize", "status"),
        verbs=tuple(verb for verb in ALL_VERBS if verb != "deletecollection"),
    ),
    Resource(
        "",
        "v1",
        "nodes",
        "Node",
        "core.v1.Node",
        namespaced=False,
        short_names=("no",),
        subresources=("status",),
    ),
    Resource(
        "",
        "v1",
        "persistentvolumeclaims",
        "PersistentVolumeClaim",
        "core.v1.PersistentVolumeClaim",
        short_names=("pvc",),
        subresources=("status",),
    ),
    Resource(
        "",
        "v1",
        "pods",
        "Pod",
        "core.v1.Pod",
        short_names=("po",),
        categories=("all",),
        subresources=("attach", "binding", "eviction", "exec", "log", "portforward", "status"),
    ),
    Resource(
        "",
        "v1",
        "resourcequotas",
        "ResourceQuota",
        "core.v1.ResourceQuota",
        short_names=("quota",),
        subresources=("status",),
    ),
    Resource("", "v1", "secrets", "Secret", "core.v1.Secret"),
    Resource(
        "",
        "v1",
        "serviceaccounts",
        "ServiceAccount",
        "core.v1.ServiceAccount",
        short_names=("sa",),
        subresources=("token",),
    ),
    Resource(
        "",
        "v1",
        "services",
        "Service",
        "core.v1.Service",
        short_names=("svc",),
        categories=("all",),
        subresources=("status",),
    ),
    Resource(
        "apps", "v1", "controllerrevisions", "ControllerRevision", "apps.v1.ControllerRevision"
    ),
    Resource(
        "apps",
        "v1",
        "daemonsets",
        "DaemonSet",
        "apps.v1.DaemonSet",
        short_names=("ds",),
        categories=("all",),
        subresources=("status",),
        generation=True,
    ),
    Resource(
        "apps",
        "v1",
        "deployments",
        "Deployment",
        "apps.v1.Deployment",
        short_names=("deploy",),
        categories=("all",),
        subresources=_WORKLOAD,
        generation=True,
    ),
    Resource(
        "apps",
        "v1",
        "replicasets",
        "ReplicaSet",
        "apps.v1.ReplicaSet",
        short_names=("rs",),
        categories=("all",),
        subresources=_WORKLOAD,
        generation=True,
    ),
    Resource(
        "apps",
        "v1",
        "statefulsets",
        "StatefulSet",
        "apps.v1.StatefulSet",
        short_names=("sts",),
        categories=("all",),
        subresources=_WORKLOAD,
        generation=True,
    ),
    Resource(
        "authentication.k8s.io",
        "v1",
        "selfsubjectreviews",
        "SelfSubjectReview",
        "authentication.v1.SelfSubjectReview",
        namespaced=False,
        verbs=("create",),
    ),
    Resource(
        "authentication.k8s.io",
        "v1",
        "tokenreviews",
        "TokenReview",
        "authentication.v1.TokenReview",
        namespaced=False,
        verbs=("create",),
    ),
    Resource(
        "authorization.k8s.io",
        "v1",
        "localsubjectaccessreviews",
        "LocalSubjectAccessReview",
        "authorization.v1.LocalSubjectAccessReview",
        verbs=("create",),
    ),
    Resource(
        "authorization.k8s.io",
        "v1",
        "selfsubjectaccessreviews",
        "SelfSubjectAccessReview",
        "authorization.v1.SelfSubjectAccessReview",
        namespaced=False,
        verbs=("create",),
    ),
    Resource(
        "authorization.k8s.io",
        "v1",
        "selfsubjectrulesreviews",
        "SelfSubjectRulesReview",
        "authorization.v1.SelfSubjectRulesReview",
        namespaced=False,
        verbs=("create",),
    ),
    Resource(
        "authorization.k8s.io",
        "v1",
        "subjectaccessreviews",
        "SubjectAccessReview",
        "authorization.v1.SubjectAccessReview",
        namespaced=False,
        verbs=("create",),
    ),
    Resource(
        "autoscaling",
        "v2",
        "horizontalpodautoscalers",
        "HorizontalPodAutoscaler",
        "autoscaling.v2.HorizontalPodAutoscaler",
        short_names=("hpa",),
        categories=("all",),
        subresources=("status",),
    ),
    # After the newer version, so that the plural alone means that one.
    Resource(
        "autoscaling",
        "v1",
        "horizontalpodautoscalers",
        "HorizontalPodAutoscaler",
        "autoscaling.v1.HorizontalPodAutoscaler",
        short_names=("hpa",),
        categories=("all",),
        subresources=("status",),
    ),
    Resource(
        "batch",
        "v1",
        "cronjobs",
        "CronJob",
        "batch.v1.CronJob",
        short_names=("cj",),
        categories=("all",),
        subresources=("status",),
        generation=True,
    ),
    Resource(
        "batch",
        "v1",
        "jobs",
        "Job",
        "batch.v1.Job",
        categories=("all",),
        subresources=("status",),
        generation=True,
    ),
    Resource("coordination.k8s.io", "v1", "leases", "Lease", "coordination.v1.Lease"),
    Resource(
        "discovery.k8s.io",
        "v1",
        "endpointslices",
        "EndpointSlice",
        "discovery.v1.EndpointSlice",
        generation=True,
    ),
    Resource(
        "events.k8s.io",
        "v1",
        "events",
        "Event",
        "events.v1.Event",
        short_names=("ev",),
        storage="events",
    ),
    Resource(
        "policy",
        "v1",
        "poddisruptionbudgets",
        "PodDisruptionBudget",
        "policy.v1.PodDisruptionBudget",
        short_names=("pdb",),
        subresources=("status",),
        generation=True,
    ),
    Resource(
        _RBAC,
        "v1",
        "clusterrolebindings",
        "ClusterRoleBinding",
        "rbac.v1.ClusterRoleBinding",
        namespaced=False,
    ),
    Resource(_RBAC, "v1", "clusterroles", "ClusterRole", "rbac.v1.ClusterRole", namespaced=False),
    Resource(_RBAC, "v1", "rolebindings", "RoleBinding", "rbac.v1.RoleBinding"),
    Resource(_RBAC, "v1", "roles", "Role", "rbac.v1.Role"),
    Resource(
        "scheduling.k8s.io",
        "v1",
        "priorityclasses",
        "PriorityClass",
        "scheduling.v1.PriorityClass",
        namespaced=False,
        short_names=("pc",),
        generation=True,
    ),
    # Custom resources of GitOps tools, as if their definitions had been installed.
    Resource(
        "argoproj.io",
        "v1alpha1",
        "applications",
        "Application",
        CUSTOM,
        short_names=("app", "apps"),
        generation=True,
    ),
    Resource(
        "kustomize.toolkit.fluxcd.io",
        "v1",
        "kustomizations",
        "Kustomization",
        CUSTOM,
        short_names=("ks",),
        subresources=("status",),
        generation=True,
    ),
    Resource(
        "helm.toolkit.fluxcd.io",
        "v2",
        "helmreleases",
        "HelmRelease",
        CUSTOM,
        short_names=("hr",),
        subresources=("status",),
        generation=True,
    ),
)

_BY_PATH = {(entry.group, entry.version, entry.plural): entry for entry in RESOURCES}
_BY_PLURAL: dict[str, Resource] = {}
for _entry in RESOURCES:
    # The core group comes first in the table, so that "events" alone means core events, and
    # "events.events.k8s.io" the others.
    _BY_PLURAL.setdefault(_entry.plural, _entry)
    _BY_PLURAL.setdefault(f"{_entry.plural}.{_entry.group}", _entry)


def lookup(group: str, version: str, plural: str) -> Resource | None:
    """Return the resource that a path names, if it is served."""
    return _BY_PATH.get((group, version, plural))


def by_plural(plural: str) -> Resource:
    """Return the resource of a plural name, or of one with its group, as in "leases.GROUP".

    Raises:
        KeyError: No such resource is served.
    """
    return _BY_PLURAL[plural]


def group_versions() -> Iterator[tuple[str, str]]:
    """Yield every (group, version) served: by name, the core group first; the newest first."""
    found = {(entry.group, entry.version) for entry in RESOURCES}
    yield from sorted(found, key=lambda entry: (entry[0], -_major(entry[1])))


def _major(version: str) -> int:
    """Return 1 of "v1" and of "v1alpha1"."""
    return int(version.removeprefix("v").partition("alpha")[0])


def of_group_version(group: str, version: str) -> list[Resource]:
    """Return the resources of one group and version, by name."""
    found = [entry for entry in RESOURCES if (entry.group, entry.version) == (group, version)]
    return sorted(found, key=lambda entry: entry.plural)
