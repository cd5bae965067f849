"""`veza-nb rollback`: the main notebook, headless."""

from pathlib import Path
from typing import Any

import click

from veza_nb.cli.options import choice_options, cluster_options, optional_service_argument
from veza_nb.kernel.early import early_kernel

EPILOG = """\b
Examples:
  veza-nb rollback veza-backend-api --confirm veza-backend-api
  veza-nb rollback veza-backend-api --to-revision 41 --confirm veza-backend-api
  veza-nb rollback veza-backend-api --confirm p-1a2b3c4d5e6f:alice
  veza-nb rollback veza-backend-api --incident 20260102-031500-veza-backend-api-7f3a \\
      --confirm veza-backend-api      (continues that incident; never repeats a change)
"""


@click.command(epilog=EPILOG)
@optional_service_argument
@cluster_options
@choice_options
@click.option("--plan", default="", type=click.Path(), help="Run this plan file, or refuse.")
@click.option("--approved-by", default="", help="Who approved the plan file.")
@click.option("--confirm", default="", help="The service's name, or PLAN-ID:APPROVER.")
@click.option("--reason", default="", help="For the change cause and the record.")
@click.option("--operator", default="", help="Default: your login name.")
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
    service: str,
    plan: str,
    approved_by: str,
    extra: tuple[tuple[str, str], ...],
    **given: Any,
) -> int:
    """Roll back SERVICE through the notebook 10-rollback and leave a record.

    Nothing changes without --confirm, or --plan and --approved-by. A run that was cut off is
    continued with --incident.
    """
    with early_kernel() as kernel:
        from veza_nb.cli.headless import report, roll_back  # noqa: PLC0415 - while it boots

        if plan or approved_by:
            service, given = _as_planned(plan, approved_by, service, given)
        if not service:
            raise click.UsageError("Name the SERVICE, or give a --plan.")
        return report(roll_back(kernel, service, extra=dict(extra), **given))


def _as_planned(
    plan: str, approved_by: str, service: str, given: dict[str, Any]
) -> tuple[str, dict[str, Any]]:
    """The service and the parameters that a plan file stands for."""
    import msgspec  # noqa: PLC0415 - while the kernel boots

    from veza_nb.cli import planfile  # noqa: PLC0415 - while the kernel boots

    if not (plan and approved_by):
        raise click.UsageError("--plan and --approved-by go together.")
    found = planfile.read(Path(plan))
    asked: dict[str, Any] = msgspec.to_builtins(found.asked)
    named = [name for name in (*asked, "confirm") if given.get(name)]
    if service not in ("", found.plan.service):
        named.append("SERVICE")
    if named:
        raise click.UsageError(f"The plan file says it all; leave out: {', '.join(named)}.")
    return found.plan.service, {**given, **asked, "confirm": f"{found.plan.id}:{approved_by}"}
