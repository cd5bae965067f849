"""Tools that own a Deployment and would take a manual undo back: who, and what to tell them."""

from collections.abc import Callable
from dataclasses import dataclass

from veza_nb.evidence import kubectl
from veza_nb.objects import ObjectMeta

_ARGO_LABEL = "argocd.argoproj.io/instance"
_ARGO_TRACKING = "argocd.argoproj.io/tracking-id"
_FLUX_KUSTOMIZE = "kustomize.toolkit.fluxcd.io/name"
_FLUX_HELM = "helm.toolkit.fluxcd.io/name"
_HELM_RELEASE = "meta.helm.sh/release-name"
_HELM_NAMESPACE = "meta.helm.sh/release-namespace"
_MANAGED_BY = "app.kubernetes.io/managed-by"
_INSTANCE = "app.kubernetes.io/instance"


@dataclass(frozen=True, slots=True)
class Owner:
    """A tool that writes this Deployment.

    Attributes:
        tool: its name.
        sign: the label, annotation or field manager that gives it away.
        effect: what it will do to a manual undo.
        remedy: what to run instead or first.
    """

    tool: str
    sign: str
    effect: str
    remedy: str


def owners_of(metadata: ObjectMeta) -> tuple[Owner, ...]:
    """The tools that manage a Deployment, by its labels, annotations and field managers."""
    found = (reader(metadata) for reader in _READERS)
    return tuple(owner for owner in found if owner is not None)


def _argo_cd(metadata: ObjectMeta) -> Owner | None:
    tracking = metadata.annotations.get(_ARGO_TRACKING, "")
    sign = _first_sign(
        metadata,
        annotations=(_ARGO_TRACKING,),
        labels=(_ARGO_LABEL,),
        managers=("argocd-controller", "argocd-application-controller"),
    )
    if not sign:
        return None
    labels = metadata.labels
    app = tracking.split(":")[0] or labels.get(_ARGO_LABEL) or labels.get(_INSTANCE) or "APP"
    return Owner(
        tool="Argo CD",
        sign=sign,
        effect="with self-heal on it brings the bad release back within seconds",
        remedy=f"Run `argocd app set {app} --sync-policy none` first, or roll back there: "
        f"`argocd app rollback {app}`.",
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
    name = labels.get(prefix, "NAME")
    namespace = labels.get(prefix.replace("/name", "/namespace"), metadata.namespace)
    return Owner(
        tool="Flux",
        sign=sign,
        effect="its next reconciliation brings the bad release back",
        remedy=f"Run `flux suspend {kind} {name} -n {namespace}` first.",
    )


def _helm(metadata: ObjectMeta) -> Owner | None:
    by_label = metadata.labels.get(_MANAGED_BY) == "Helm"
    sign = _first_sign(metadata, annotations=(_HELM_RELEASE,), managers=("helm",))
    if by_label and not sign:
        sign = f"label {_MANAGED_BY}=Helm"
    if not sign:
        return None
    release = metadata.annotations.get(_HELM_RELEASE) or metadata.labels.get(_INSTANCE, "RELEASE")
    namespace = metadata.annotations.get(_HELM_NAMESPACE, metadata.namespace)
    return Owner(
        tool="Helm",
        sign=sign,
        effect="its next upgrade brings the bad release back, and its own history does not show "
        "the undo",
        remedy=f"Consider `helm rollback {release} -n {namespace}`, or tell whoever runs the next "
        "`helm upgrade`.",
    )


_READERS: tuple[Callable[[ObjectMeta], Owner | None], ...] = (_argo_cd, _flux, _helm)


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


def show_command(metadata: ObjectMeta) -> str:
    """The command that shows labels, annotations and field managers."""
    name = f"deployment/{metadata.name}"
    return kubectl(metadata.namespace, "get", name, "-o", "yaml", "--show-managed-fields")
