"""Preflight: who am I, what may I do, and is what I want to work on there at all."""

from dataclasses import dataclass

from veza_nb.catalog import Service
from veza_nb.cluster import Cluster
from veza_nb.cluster.client import concurrently
from veza_nb.errors import ForbiddenError, NotFoundError
from veza_nb.permissions import MIGRATING, Permission, needed_for
from veza_nb.prepare import needed
from veza_nb.vocabulary import WorkloadKind
from veza_nb.words import listing


@dataclass(frozen=True, slots=True)
class Preflight:
    """What is true before anything is done.

    Attributes:
        user: as the API server sees it.
        version: the control plane's.
        denied: rights that a rollback needs and this user does not have.
        kind: of the workload that they are about.
        migrates: the catalogue says how the service's database goes back with it.
        not_migrating: rights that only that needs, and this user does not have.
    """

    user: str
    version: str
    denied: tuple[Permission, ...]
    kind: WorkloadKind = WorkloadKind.DEPLOYMENT
    migrates: bool = False
    not_migrating: tuple[Permission, ...] = ()

    @property
    def lines(self) -> tuple[dict[str, object], ...]:
        """One entry per right, for the record."""
        denied = {str(one) for one in (*self.denied, *self.not_migrating)}
        asked = (*needed_for(self.kind), *(MIGRATING if self.migrates else ()))
        rights = map(str, asked)
        return tuple({"right": right, "allowed": right not in denied} for right in rights)


def preflight(cluster: Cluster, service: Service) -> Preflight:
    """Ask the cluster, all questions at once.

    Raises:
        NotFoundError: no such namespace or workload; names what there is.
    """
    migrates = service.migration is not None
    version, user, denied, not_migrating, _ = concurrently(
        cluster.version,
        cluster.whoami,
        lambda: cluster.denied(needed(service.workload, cluster.kind)),
        lambda: cluster.denied(MIGRATING if migrates else ()),
        lambda: _refuse_missing(cluster, service),
    )
    return Preflight(
        user=user,
        version=version,
        denied=denied,
        kind=cluster.kind,
        migrates=migrates,
        not_migrating=not_migrating,
    )


def _refuse_missing(cluster: Cluster, service: Service) -> None:
    try:
        # More than needs to be known now: the first look at it goes by what was seen here.
        cluster.workload(service.workload, service.selector)
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
        f"There is no {cluster.kind} {service.workload!r} in namespace {cluster.namespace!r} "
        f"{where}.",
        next_step=f"It has: {names}. Check --namespace, --context and the catalogue.",
    )


def _names(cluster: Cluster) -> tuple[str, ...]:
    try:
        return cluster.deployment_names()
    except ForbiddenError:
        return ()
