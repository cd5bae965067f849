"""`veza-nb rollback`: the main notebook, headless."""

from pathlib import Path

import click

from veza_nb.cli.options import (
    catalog_of,
    cluster_options,
    login_name,
    records_root,
    service_argument,
)
from veza_nb.clock import SystemClock
from veza_nb.notebooks import notebook_path, typed_parameters
from veza_nb.records import new_incident_id
from veza_nb.runner import Finished, run
from veza_nb.terminal import Terminal
from veza_nb.vocabulary import Outcome

EPILOG = """\b
Examples:
  veza-nb rollback veza-backend-api --confirm veza-backend-api
  veza-nb rollback veza-backend-api --to-revision 41 --confirm veza-backend-api
  veza-nb rollback veza-backend-api --confirm p-1a2b3c4d5e6f:alice
  veza-nb rollback veza-backend-api --incident 20260102-031500-veza-backend-api-7f3a \\
      --confirm veza-backend-api      (continues that incident; never repeats a change)
"""


@click.command(epilog=EPILOG)
@service_argument
@cluster_options
@click.option("--to-revision", default=0, help="Default: the recommended one.")
@click.option("--confirm", default="", help="The service's name, or PLAN-ID:APPROVER.")
@click.option("--reason", default="", help="For the change cause and the record.")
@click.option("--operator", default="", help="Default: your login name.")
@click.option("--incident", default="", help="Continue this one instead of beginning a new one.")
@click.option("--records", default="", type=click.Path(), help="Default: $VEZA_RECORDS, ./records.")
@click.option(
    "--parameter",
    "-p",
    "extra",
    nargs=2,
    multiple=True,
    metavar="NAME VALUE",
    help="Any other parameter of the notebook.",
)
def command(
    *,
    service: str,
    catalog: str,
    incident: str,
    records: str,
    operator: str,
    extra: tuple[tuple[str, str], ...],
    **given: object,
) -> int:
    """Roll back SERVICE through the notebook 10-rollback and leave a record.

    Nothing changes without --confirm. A run that was cut off is continued with --incident.
    """
    catalog_of(catalog).service(service)
    notebook = notebook_path("10-rollback")
    more = typed_parameters(notebook, dict(extra))
    incident_id = incident or new_incident_id(service, SystemClock().now())
    root = records_root(records)
    parameters = {
        **given,
        "service": service,
        "catalog": _absolute(catalog),
        "kubeconfig": _absolute(str(given["kubeconfig"])),
        "operator": operator or login_name(),
        "incident_id": incident_id,
        "records": str(root),
        **more,
    }
    finished = run(
        notebook,
        parameters,
        root=root,
        incident_id=incident_id,
        service=service,
        on_output=Terminal(),
    )
    report(finished)
    return int(finished.record.outcome.exit_code)


def report(finished: Finished) -> None:
    """The last lines a person reads: how it ended, why, and where the record is."""
    record = finished.record
    good = record.outcome is Outcome.RECOVERED
    click.secho(f"\n{record.service}: {record.outcome}", bold=True, fg="green" if good else "red")
    if record.errors and not good:
        last = record.errors[-1]
        for line in (last["what"], last.get("state"), last.get("next_step")):
            if line:
                click.echo(f"  {line}", err=True)
    for problem in finished.problems:
        click.echo(f"  Not written: {problem}", err=True)
    click.echo(f"  Record: {finished.folder}")
    if not good:
        click.echo(f"  Continue with: --incident {record.incident_id}")


def _absolute(path: str) -> str:
    return str(Path(path).expanduser().absolute()) if path else ""
