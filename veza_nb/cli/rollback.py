"""`veza-nb rollback`: the main notebook, headless."""

from pathlib import Path
from typing import Any

import click

from veza_nb.cli.options import choice_options, cluster_options, services_argument
from veza_nb.cli.several import NOTEBOOK as SEVERAL
from veza_nb.cli.several import (
    is_several,
    roll_back_several,
    several_options,
    without_several,
)
from veza_nb.kernel.early import early_kernel

EPILOG = """\b
Examples:
  veza-nb rollback veza-backend-api --confirm veza-backend-api
  veza-nb rollback veza-backend-api --to-revision 41 --confirm veza-backend-api
  veza-nb rollback veza-backend-api --confirm p-1a2b3c4d5e6f:alice
  veza-nb rollback veza-backend-api --max-steps 2 --confirm veza-backend-api
      (where the revision before is bad too, one further back)
  veza-nb rollback veza-backend-api veza-frontend --confirm veza-backend-api,veza-frontend
  veza-nb rollback --resume 20260102-031500-veza-backend-api-7f3a
      (goes on after a crash, as it was asked for then; never repeats a change)
"""


DATABASE = "30-database"
_OF_DATABASES = frozenset({"migrate_down", "backup"})


@click.command(epilog=EPILOG)
@services_argument
@cluster_options
@choice_options
@several_options
@click.option("--plan", default="", type=click.Path(), help="Run this plan file, or refuse.")
@click.option("--approved-by", default="", help="Who approved the plan file.")
@click.option("--confirm", default="", help="The service's name, or PLAN-ID:APPROVER.")
@click.option(
    "--max-steps",
    default=0,
    type=click.IntRange(0, 20),
    help="Undos at most, the first included: more than 1 goes further back where the revision "
    "before is bad too.  [default: the catalogue's]",
)
@click.option(
    "--users-ok",
    default="",
    type=click.Choice(["", "yes", "no", "don't know"]),
    show_choices=False,
    help="Whether users can access the platform: yes, no or don't know.",
)
@click.option(
    "--migrate-down",
    default=0,
    type=click.IntRange(0, 1000),
    help="Take so many migrations of the database back first.",
)
@click.option("--backup", default="", help="With --migrate-down: which backup there is.")
@click.option("--reason", default="", help="For the change cause and the record.")
@click.option("--operator", default="", help="Default: your login name.")
@click.option("--resume", default="", metavar="INCIDENT", help="Go on with it, as it was begun.")
@click.option("--incident", default="", help="Continue this incident, or begin it under this id.")
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
    services: tuple[str, ...],
    plan: str,
    approved_by: str,
    resume: str,
    extra: tuple[tuple[str, str], ...],
    **given: Any,
) -> int:
    """Roll back SERVICE, or several, through the runbook's notebook and leave a record.

    Nothing changes without --confirm, or --plan and --approved-by. A run that was cut off is
    continued with --resume: its service, cluster and target come from its record, and an
    approval that is in its journal for this very change need not be given again.
    """
    with early_kernel() as kernel:
        from veza_nb.cli.headless import report, roll_back  # noqa: PLC0415 - while it boots

        if plan or approved_by:
            services, given = _as_planned(plan, approved_by, services, given)
        if resume:
            services, given = _resumed(resume, services, given)
        if is_several(services, given):
            return roll_back_several(kernel, services, extra=dict(extra), **given)
        if not services:
            raise click.UsageError("Name the SERVICE, or give a --plan, or --resume an INCIDENT.")
        alone = without_several(given)
        if not given["migrate_down"]:
            if given["backup"]:
                raise click.UsageError("--backup goes with --migrate-down: nothing else needs it.")
            alone = {name: value for name, value in alone.items() if name not in _OF_DATABASES}
            return report(roll_back(kernel, services[0], extra=dict(extra), **alone))
        if alone.pop("max_steps") > 1:
            raise click.UsageError("With --migrate-down it goes one step: leave --max-steps out.")
        database = {**alone, "notebook": DATABASE}
        return report(roll_back(kernel, services[0], extra=dict(extra), **database))


def _resumed(
    incident: str, services: tuple[str, ...], given: dict[str, Any]
) -> tuple[tuple[str, ...], dict[str, Any]]:
    """The services and the parameters of an incident that was cut off."""
    from veza_nb.cli.resume import as_recorded, notebook_of  # noqa: PLC0415 - while it boots

    if given["incident"]:
        raise click.UsageError("--resume names the incident; leave --incident out.")
    notebook = notebook_of(incident, given)
    service, asked = as_recorded(notebook, incident, ", ".join(services), given)
    if notebook != SEVERAL:
        return (service,), asked
    return tuple(part.strip() for part in asked.pop("services").split(",") if part.strip()), asked


def _as_planned(
    plan: str, approved_by: str, services: tuple[str, ...], given: dict[str, Any]
) -> tuple[tuple[str, ...], dict[str, Any]]:
    """The service and the parameters that a plan file stands for."""
    import msgspec  # noqa: PLC0415 - while the kernel boots

    from veza_nb.cli import planfile  # noqa: PLC0415 - while the kernel boots

    if not (plan and approved_by):
        raise click.UsageError("--plan and --approved-by go together.")
    found = planfile.read(Path(plan))
    asked: dict[str, Any] = msgspec.to_builtins(found.asked)
    named = [name for name in (*asked, "confirm") if given.get(name)]
    if services not in ((), (found.plan.service,)):
        named.append("SERVICE")
    if named:
        raise click.UsageError(f"The plan file says it all; leave out: {', '.join(named)}.")
    return (found.plan.service,), {**given, **asked, "confirm": f"{found.plan.id}:{approved_by}"}
