"""Which cluster, as whom: kubeconfig, context and namespace, read with the official client."""

import os
from collections.abc import Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import yaml
from kubernetes.client.configuration import Configuration
from kubernetes.config import ConfigException, load_incluster_config
from kubernetes.config.kube_config import KubeConfigLoader, KubeConfigMerger

from veza_nb.errors import KubeconfigError

IN_CLUSTER = "in-cluster"


@dataclass(frozen=True, slots=True)
class Access:
    """A way into one cluster.

    Attributes:
        configuration: the official client's settings: host, TLS, credentials.
        context: the kubeconfig's context, or "in-cluster".
        namespace: the context's namespace, "" where it names none.
        server: the API server's URL.
        user: the name that the kubeconfig gives these credentials.
    """

    configuration: Configuration
    context: str
    namespace: str
    server: str
    user: str


def load_access(kubeconfig: str = "", context: str = "") -> Access:
    """Read the kubeconfig and choose a context in it.

    Args:
        kubeconfig: path; "" takes $KUBECONFIG, then ~/.kube/config, then the pod's own
            ServiceAccount where there is one.
        context: "" takes the current one.

    Raises:
        KubeconfigError: no file, a broken one, or no such context.
    """
    paths = kubeconfig or os.environ.get("KUBECONFIG", "")
    if not paths and not _default().exists() and "KUBERNETES_SERVICE_HOST" in os.environ:
        return _in_cluster()
    return _from_file(paths or str(_default()), context)


def _default() -> Path:
    return Path("~/.kube/config").expanduser()


def _from_file(paths: str, context: str) -> Access:
    _refuse_missing(paths)
    try:
        merged = KubeConfigMerger(paths).config
        if merged is None:
            raise KubeconfigError(f"The kubeconfig {paths} is empty.", next_step=_MEND)
        _refuse_unknown_context(paths, merged, context)
        loader = KubeConfigLoader(
            config_dict=merged, active_context=context or None, config_base_path=None
        )
        configuration = Configuration()
        loader.load_and_set(configuration)
    except (ConfigException, OSError, yaml.YAMLError, ValueError, LookupError, TypeError) as error:
        # The vendor's loader lets whatever a broken file provokes through.
        raise KubeconfigError(
            f"The kubeconfig {paths} cannot be used: {_one_line(error)}.", next_step=_MEND
        ) from error
    chosen = loader.current_context
    details: Mapping[str, Any] = chosen.get("context") or {}
    return Access(
        configuration=configuration,
        context=str(chosen.get("name", "")),
        namespace=str(details.get("namespace") or ""),
        server=configuration.host,
        user=str(details.get("user", "")),
    )


_MEND = "Check it with `kubectl config view`, or name another with --kubeconfig."


def _refuse_missing(paths: str) -> None:
    files = [Path(part).expanduser() for part in paths.split(os.pathsep) if part]
    if not any(file.is_file() for file in files):
        raise KubeconfigError(
            f"There is no kubeconfig at {paths}.",
            next_step="Name one with --kubeconfig or $KUBECONFIG.",
        )


def _refuse_unknown_context(paths: str, merged: Any, context: str) -> None:
    contexts = merged.safe_get("contexts") or []
    names = [str(entry["name"]) for entry in contexts]
    wanted = context or merged.safe_get("current-context") or ""
    if not wanted:
        raise KubeconfigError(
            f"The kubeconfig {paths} has no current context.",
            next_step=f"Name one with --context; it has: {', '.join(names) or 'none'}.",
        )
    if wanted not in names:
        raise KubeconfigError(
            f"The kubeconfig {paths} has no context {wanted!r}.",
            next_step=f"It has: {', '.join(names) or 'none'}.",
        )


def _in_cluster() -> Access:
    configuration = Configuration()
    try:
        load_incluster_config(client_configuration=configuration)
    except ConfigException as error:
        raise KubeconfigError(
            f"This pod's ServiceAccount cannot be used: {_one_line(error)}.", next_step=_MEND
        ) from error
    return Access(configuration, IN_CLUSTER, "", configuration.host, "ServiceAccount")


def _one_line(error: Exception) -> str:
    text = getattr(error, "strerror", None) or str(error) or type(error).__name__
    return " ".join(text.split()).rstrip(".")
