"""`veza-nb history`: the revisions there are, and what differs between two of them; reads only."""

import click

from veza_nb import render
from veza_nb.choices import Choice, why_none
from veza_nb.cli.options import catalog_of, cluster_options, service_argument
from veza_nb.cli.printing import fit_terminal, say, say_difference
from veza_nb.cluster import Cluster
from veza_nb.errors import RefusedError, UsageError
from veza_nb.history import history
from veza_nb.podtemplates import template_changes
from veza_nb.revisions import History, Revision, find_revision
from veza_nb.vocabulary import ExitCode
from veza_nb.yamldiff import yaml_diff

EPILOG = """\b
Examples:
  veza-nb history veza-backend-api
  veza-nb history veza-backend-api --all
  veza-nb history veza-backend-api --diff 42 41   (what going back from 42 to 41 changes)
"""


@click.command(epilog=EPILOG)
@service_argument
@cluster_options
@click.option("--all", "everything", is_flag=True, help="The older revisions too.")
@click.option(
    "--diff",
    nargs=2,
    type=int,
    default=None,
    metavar="FROM TO",
    help="What differs between two revisions, also as YAML.",
)
def command(
    *,
    service: str,
    namespace: str,
    context: str,
    kubeconfig: str,
    catalog: str,
    timeout: float,
    everything: bool,
    diff: tuple[int, int] | None,
) -> int:
    """Show the revisions of SERVICE with the evidence for and against each. Changes nothing."""
    chosen = catalog_of(catalog).service(service, namespace=namespace)
    cluster = Cluster.connect(
        kubeconfig=kubeconfig, context=context, namespace=chosen.namespace, timeout=timeout
    )
    fit_terminal()
    found = history(cluster, chosen)
    if diff is not None:
        before, after = (_named(found, number) for number in diff)
        say_difference(_difference(before, after))
    else:
        say(render.history(found, now=cluster.now(), everything=everything))
    return int(ExitCode.RECOVERED)


def _named(found: History, number: int) -> Revision:
    if number <= 0:
        raise UsageError(
            f"There is no revision {number}.", next_step="Give numbers from `veza-nb history`."
        )
    revision = find_revision(found, number)
    if revision is None:
        raise RefusedError(
            why_none(found, Choice(to_revision=number)), next_step="See `veza-nb history`."
        )
    return revision


def _difference(before: Revision, after: Revision) -> render.Rendered:
    return render.template_difference(
        template_changes(before.template, after.template),
        yaml_diff(before.template, after.template),
        before=f"revision {before.number}",
        after=f"revision {after.number}",
    )
