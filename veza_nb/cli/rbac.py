"""`veza-nb rbac`: the Role with which a rollback works, for whoever hands out rights."""

import click
import yaml

from veza_nb.cli.options import catalog_of
from veza_nb.permissions import HELPFUL, NEEDED, role, role_binding

EPILOG = """\b
Examples:
  veza-nb rbac --group on-call | kubectl apply -f -
  veza-nb rbac --least --user deploy-bot

\b
Without --user, --group or --service-account only the Role is printed. Secrets: `get` reads only
their metadata here, but RBAC cannot say so; leave that rule out where it is too much.
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
    """Print the Role that a rollback needs, as YAML. Talks to no cluster."""
    permissions = NEEDED if least else (*NEEDED, *HELPFUL)
    subjects = {"User": user, "Group": group, "ServiceAccount": service_account}
    documents: list[dict[str, object]] = []
    for place in [namespace] if namespace else _namespaces(catalog):
        documents.append(role(name, place, permissions))
        documents += [role_binding(name, place, one) for one in subjects.items() if one[1]]
    click.echo(yaml.safe_dump_all(documents, sort_keys=False), nl=False)


def _namespaces(catalog: str) -> list[str]:
    book = catalog_of(catalog)
    return sorted({book.service(name).namespace for name in book.services})
