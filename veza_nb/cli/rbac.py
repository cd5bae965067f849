"""`veza-nb rbac`: the Role with which a rollback works, for whoever hands out rights."""

import click
import yaml

from veza_nb.catalog import Catalog
from veza_nb.cli.options import catalog_of
from veza_nb.permissions import (
    BACKING,
    CLUSTER_WIDE,
    MIGRATING,
    PAUSING_ARGO,
    PAUSING_FLUX,
    TIDYING,
    Permission,
    cluster_role,
    cluster_role_binding,
    helpful_for,
    needed_for,
    role,
    role_binding,
)
from veza_nb.vocabulary import WorkloadKind

EPILOG = """\b
Examples:
  veza-nb rbac --group on-call | kubectl apply -f -
  veza-nb rbac --least --user deploy-bot

\b
Without --user, --group or --service-account only the Role is printed. Secrets: `get` reads only
their metadata here, but RBAC cannot say so; leave that rule out where it is too much. What is in
no namespace (nodes, PriorityClasses) takes a ClusterRole, which comes last; leave it out likewise.
Where the catalogue lets an undo pause Argo CD or Flux, that takes a Role in their namespaces.
"""


@click.command(epilog=EPILOG)
@click.option("--namespace", "-n", default="", help="Default: every namespace of the catalogue.")
@click.option("--catalog", default="", type=click.Path(), help="Default: $VEZA_CATALOG, or Veza's.")
@click.option("--name", default="veza-nb-rollback", show_default=True, help="Of Role and binding.")
@click.option("--least", is_flag=True, help="Only what a rollback cannot do without.")
@click.option("--user", default="", help="Bind it to this user.")
@click.option("--group", default="", help="Bind it to this group.")
@click.option("--service-account", default="", help="Bind it to this ServiceAccount.")
def command(
    *,
    namespace: str,
    catalog: str,
    name: str,
    least: bool,
    user: str,
    group: str,
    service_account: str,
) -> None:
    """Print the Role that a rollback needs, as YAML. Talks to no cluster.

    It allows what the catalogue's kinds of workloads need, and nothing of other kinds.
    """
    book = catalog_of(catalog)
    given = {"User": user, "Group": group, "ServiceAccount": service_account}
    subjects = [one for one in given.items() if one[1]]
    documents: list[dict[str, object]] = []
    places, backing = sorted(_places(book, namespace).items()), _backing(book, namespace)
    for place, kinds in places:
        needs = needed_for(*kinds)
        if _migrates(book, namespace, place):
            needs = (*needs, *MIGRATING, *(() if least else TIDYING))
        more = () if least else (*helpful_for(*kinds), *backing.pop(place, ()))
        documents.append(role(name, place, dict.fromkeys((*needs, *more))))
        documents += [role_binding(name, place, one) for one in subjects]
    for place, permissions in _pausing(book, namespace).items():
        documents.append(role(f"{name}-gitops", place, permissions))
        home = places[0][0]
        documents += [role_binding(f"{name}-gitops", place, one, home=home) for one in subjects]
    if not least:
        documents += _elsewhere(name, subjects, backing, home=places[0][0])
    click.echo(yaml.safe_dump_all(documents, sort_keys=False), nl=False)


def _places(book: Catalog, namespace: str) -> dict[str, tuple[WorkloadKind, ...]]:
    """Which kinds of workloads there are in which namespace."""
    found: dict[str, set[WorkloadKind]] = {}
    for name in book.services:
        service = book.service(name, namespace=namespace)
        found.setdefault(service.namespace, set()).add(service.kind)
    return {place: tuple(k for k in WorkloadKind if k in kinds) for place, kinds in found.items()}


def _migrates(book: Catalog, namespace: str, place: str) -> bool:
    """Whether a database of that namespace may go back with its service."""
    found = (book.service(name, namespace=namespace) for name in book.services)
    return any(one.namespace == place and one.migration is not None for one in found)


def _pausing(book: Catalog, namespace: str) -> dict[str, tuple[Permission, ...]]:
    """What pausing Argo CD and Flux takes, where the catalogue allows it, by namespace."""
    found: dict[str, dict[Permission, None]] = {}
    for name in book.services:
        gitops = book.service(name, namespace=namespace).gitops
        if gitops is not None and gitops.pause:
            found.setdefault(gitops.argocd_namespace, {}).update(dict.fromkeys(PAUSING_ARGO))
            found.setdefault(gitops.flux_namespace, {}).update(dict.fromkeys(PAUSING_FLUX))
    return {place: tuple(permissions) for place, permissions in found.items()}


def _backing(book: Catalog, namespace: str) -> dict[str, tuple[Permission, ...]]:
    """What shows how databases and the like are, by their namespace."""
    found: dict[str, dict[Permission, None]] = {}
    for name in book.services:
        for one in book.service(name, namespace=namespace).nearby:
            if one.role == "needed":
                found.setdefault(one.namespace, {})[BACKING[one.kind]] = None
    return {place: tuple(permissions) for place, permissions in found.items()}


def _elsewhere(
    name: str,
    subjects: list[tuple[str, str]],
    backing: dict[str, tuple[Permission, ...]],
    *,
    home: str,
) -> list[dict[str, object]]:
    """What is helpful outside the services' own namespaces."""
    documents: list[dict[str, object]] = []
    for place, permissions in sorted(backing.items()):
        documents.append(role(name, place, permissions))
        documents += [role_binding(name, place, one, home=home) for one in subjects]
    documents.append(cluster_role(name, CLUSTER_WIDE))
    return documents + [cluster_role_binding(name, one, home=home) for one in subjects]
