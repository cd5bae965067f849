"""Preflight: who am I, what may I do, and is what I want to work on there at all."""

from dataclasses import dataclass

from veza_nb.catalog import Service
from veza_nb.cluster import Cluster
from veza_nb.cluster.client import concurrently
from veza_nb.errors import ForbiddenError, NotFoundError
from veza_nb.permissions import NEEDED, Permission
from veza_nb.prepare import needed
from veza_nb.words import listing


@dataclass(frozen=True, slots=True)
class Preflight:
    """What is true before anything is done.

    Attributes:
        user: as the API server sees it.
        version: the control plane's.
        denied: rights that a rollback needs and this user does not have.
    """

    user: str
    version: str
    denied: tuple[Permission, ...]

    @property
    def lines(self) -> tuple[dict[str, object], ...]:
        """One entry per right, for the record."""
        denied = {str(one) for one in self.denied}
        return tuple({"right": str(one), "allowed": str(one) not in denied} for one in NEEDED)


def preflight(cluster: Cluster, service: Service) -> Preflight:
    """Ask the cluster, all questions at once.

    Raises:
        NotFoundError: no such namespace or Deployment; names what there is.
    """
    version, user, denied, _ = concurrently(
        cluster.version,
        cluster.whoami,
        lambda: cluster.denied(needed(service.workload)),
        lambda: _refuse_missing(cluster, service),
    )
    return Preflight(user=user, version=version, denied=denied)


def _refuse_missing(cluster: Cluster, service: Service) -> None:
    try:
        cluster.deployment(service.workload)
    except ForbiddenError:
        return  # the permissions say so, with all others that are missing
    except NotFoundError as error:
        raise _missing(cluster, service) from error


def _missing(cluster: Cluster, service: Service) -> NotFoundError:
    where = f"of context {cluster.context!r} ({cluster.server})"
    if not cluster.namespace_exists():
        return NotFoundError(
            f"There is no namespace {cluster.namespace!r} in the cluster {where}.",
            next_step="Check --namespace and --context, or the catalogue.",
        )
    names = listing(_names(cluster), limit=12) or "none"
    return NotFoundError(
        f"There is no Deployment {service.workload!r} in namespace {cluster.namespace!r} {where}.",
        next_step=f"It has: {names}. Check --namespace, --context and the catalogue.",
    )


def _names(cluster: Cluster) -> tuple[str, ...]:
    try:
        return cluster.deployment_names()
    except ForbiddenError:
        return ()
