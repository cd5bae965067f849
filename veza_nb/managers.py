"""Tools that own a workload and would take a manual undo back: who, and what to tell them."""

from dataclasses import dataclass

from veza_nb.evidence import kubectl
from veza_nb.objects import Deployment, ObjectMeta

ARGO_CD, FLUX, HELM = "Argo CD", "Flux", "Helm"
ARGO_NAMESPACE = "argocd"
"""Where Argo CD keeps its Applications unless it was installed otherwise."""
_ARGO_PREFIX = "argocd.argoproj.io/"
_ARGO_LABEL = "argocd.argoproj.io/instance"
_ARGO_TRACKING = "argocd.argoproj.io/tracking-id"
_FLUX_KUSTOMIZE = "kustomize.toolkit.fluxcd.io/name"
_FLUX_HELM = "helm.toolkit.fluxcd.io/name"
_HELM_RELEASE = "meta.helm.sh/release-name"
_HELM_NAMESPACE = "meta.helm.sh/release-namespace"
_HELM_CHART = "helm.sh/chart"
_MANAGED_BY = "app.kubernetes.io/managed-by"
_INSTANCE = "app.kubernetes.io/instance"


@dataclass(frozen=True, slots=True)
class Handle:
    """Where a tool keeps the object that stands for what it deploys.

    Attributes:
        kind: "Application", "Kustomization" or "HelmRelease".
        group_version: such as "argoproj.io/v1alpha1".
        resource: plural, as in the API's paths.
        namespace: of the object.
        name: of the object.
    """

    kind: str
    group_version: str
    resource: str
    namespace: str
    name: str

    def __str__(self) -> str:
        return f"{self.kind} {self.namespace}/{self.name}"

    @property
    def key(self) -> tuple[str, str, str]:
        """Which object, whatever version of its API is spoken."""
        return self.kind, self.namespace, self.name

    @property
    def group(self) -> str:
        """API group."""
        return self.group_version.partition("/")[0]

    @property
    def kubectl_name(self) -> str:
        """As kubectl takes it, with its group: other tools have Applications too."""
        return f"{self.resource}.{self.group}/{self.name}"


@dataclass(frozen=True, slots=True)
class Owner:
    """A tool that writes this workload.

    Attributes:
        tool: its name.
        sign: the label, annotation or field manager that gives it away.
        effect: what it will do to a manual undo.
        remedy: what to run instead or first.
        handle: the object in which it can be paused; None where there is none, or its name is
            not known.
    """

    tool: str
    sign: str
    effect: str
    remedy: str
    handle: Handle | None = None


def owners_of(metadata: ObjectMeta, argocd_namespace: str = ARGO_NAMESPACE) -> tuple[Owner, ...]:
    """The tools that manage a workload, by its labels, annotations and field managers.

    Args:
        metadata: the workload's.
        argocd_namespace: where Applications are, as far as the workload does not tell.
    """
    argo, flux = _argo_cd(metadata, argocd_namespace), _flux(metadata)
    # Flux' HelmReleases and Argo CD's charts look like Helm's: `helm rollback` is no way there.
    rendered = argo is not None and _HELM_RELEASE not in metadata.annotations
    helm = None if flux is not None or rendered else _helm(metadata)
    found = (argo, flux, helm, _operator(metadata))
    return tuple(owner for owner in found if owner is not None)


def _argo_cd(metadata: ObjectMeta, namespace: str) -> Owner | None:
    tracking = metadata.annotations.get(_ARGO_TRACKING, "")
    notes = sorted(key for key in metadata.annotations if key.startswith(_ARGO_PREFIX))
    sign = _first_sign(
        metadata,
        annotations=(_ARGO_TRACKING, *notes),
        labels=(_ARGO_LABEL,),
        managers=("argocd-controller", "argocd-application-controller"),
    )
    if not sign:
        return None
    labels = metadata.labels
    named = tracking.partition(":")[0] or labels.get(_ARGO_LABEL) or labels.get(_INSTANCE) or ""
    # Applications outside of Argo CD's own namespace are tracked as NAMESPACE_NAME.
    place, _, rest = named.partition("_")
    namespace, app = (place, rest) if rest else (namespace, named)
    handle = Handle("Application", "argoproj.io/v1alpha1", "applications", namespace, app)
    app = f"{place}/{rest}" if rest else app or "APP"
    return Owner(
        tool=ARGO_CD,
        sign=sign,
        effect="with self-heal on it brings the bad release back within seconds",
        remedy=f"Run `argocd app set {app} --sync-policy none` first, or roll back there: "
        f"`argocd app rollback {app}`.",
        handle=handle if handle.name else None,
    )


def _flux(metadata: ObjectMeta) -> Owner | None:
    sign = _first_sign(
        metadata,
        labels=(_FLUX_KUSTOMIZE, _FLUX_HELM),
        managers=("kustomize-controller", "helm-controller"),
    )
    if not sign:
        return None
    labels = metadata.labels
    helm = _FLUX_HELM in labels or sign.endswith("helm-controller")
    kind, prefix = ("helmrelease", _FLUX_HELM) if helm else ("kustomization", _FLUX_KUSTOMIZE)
    name = labels.get(prefix, "")
    namespace = labels.get(prefix.replace("/name", "/namespace"), metadata.namespace)
    handle = (
        Handle("HelmRelease", "helm.toolkit.fluxcd.io/v2", "helmreleases", namespace, name)
        if helm
        else Handle(
            "Kustomization", "kustomize.toolkit.fluxcd.io/v1", "kustomizations", namespace, name
        )
    )
    return Owner(
        tool=FLUX,
        sign=sign,
        effect="its next reconciliation brings the bad release back",
        remedy=f"Run `flux suspend {kind} {name or 'NAME'} -n {namespace}` first.",
        handle=handle if name else None,
    )


def _helm(metadata: ObjectMeta) -> Owner | None:
    by_label = metadata.labels.get(_MANAGED_BY) == "Helm"
    sign = _first_sign(metadata, annotations=(_HELM_RELEASE,), managers=("helm", "Helm"))
    if _HELM_CHART in metadata.labels and not sign:
        sign = f"label {_HELM_CHART}"
    if by_label and not sign:
        sign = f"label {_MANAGED_BY}=Helm"
    if not sign:
        return None
    release = metadata.annotations.get(_HELM_RELEASE) or metadata.labels.get(_INSTANCE, "RELEASE")
    namespace = metadata.annotations.get(_HELM_NAMESPACE, metadata.namespace)
    return Owner(
        tool=HELM,
        sign=sign,
        effect="its next upgrade brings the bad release back, and its own history does not show "
        "the undo",
        remedy=f"Consider `helm rollback {release} -n {namespace}`, or tell whoever runs the next "
        "`helm upgrade`.",
    )


def _operator(metadata: ObjectMeta) -> Owner | None:
    """Something in the cluster that made the workload and looks after it."""
    owner = next((one for one in metadata.owner_references if one.controller), None)
    if owner is None:
        return None
    name = f"{owner.kind.lower()}/{owner.name}"
    return Owner(
        tool=f"The {owner.kind} {owner.name}",
        sign="owner reference",
        effect="its controller may set the template again at any moment",
        remedy=f"Change it there: `{kubectl(metadata.namespace, 'get', name, '-o', 'yaml')}`.",
    )


def _first_sign(
    metadata: ObjectMeta,
    *,
    annotations: tuple[str, ...] = (),
    labels: tuple[str, ...] = (),
    managers: tuple[str, ...] = (),
) -> str:
    """The first sign that is there, in words, or ""."""
    signs = [f"annotation {key}" for key in annotations if key in metadata.annotations]
    signs += [f"label {key}" for key in labels if key in metadata.labels]
    writers = {field.manager for field in metadata.managed_fields}
    signs += [f"field manager {name}" for name in managers if name in writers]
    return next(iter(signs), "")


def show_command(owner: Deployment) -> str:
    """The command that shows labels, annotations and field managers."""
    namespace = owner.metadata.namespace
    return kubectl(namespace, "get", owner.ref, "-o", "yaml", "--show-managed-fields")
