"""What `rollback` and `drill` share: the main notebook without a person, and its last words."""

from collections.abc import Mapping
from contextlib import suppress
from typing import Any

import click

from veza_nb.cli.options import catalog_of, login_name, records_root
from veza_nb.clock import SystemClock
from veza_nb.errors import ForbiddenError, UsageError
from veza_nb.kernel.early import EarlyKernel
from veza_nb.notebooks import notebook_path, typed_parameters
from veza_nb.records import Record, absolute, new_incident_id
from veza_nb.runner import Finished, run
from veza_nb.terminal import Terminal
from veza_nb.vocabulary import Outcome

NOTEBOOK = "10-rollback"
_HAVE_OPTIONS = {
    "service": "the argument SERVICE",
    "services": "the arguments SERVICE",
    "incident_id": "--incident",
    "records": "--records",
}


def roll_back(
    kernel: EarlyKernel,
    service: str,
    *,
    catalog: str,
    records: str,
    incident: str = "",
    extra: Mapping[str, str] | None = None,
    notebook: str = NOTEBOOK,
    **parameters: Any,
) -> Finished:
    """Run the notebook for one service.

    Args:
        kernel: already booting.
        service: name in the catalogue.
        catalog: path of the catalogue, "" for the usual one.
        records: the records folder, "" for the usual one.
        incident: id of the incident to continue, "" for a new one.
        extra: further parameters as text, checked against the notebook.
        notebook: which of them.
        parameters: further parameters with their types.

    Raises:
        UsageError: a name or a value is wrong; nothing was begun.
    """
    catalog_of(catalog).service(service)
    return run_notebook(
        kernel,
        notebook,
        service,
        catalog=catalog,
        records=records,
        incident=incident or new_incident_id(service, SystemClock().now()),
        extra=extra or {},
        service=service,
        **parameters,
    )


def run_notebook(
    kernel: EarlyKernel,
    name: str,
    subject: str,
    /,
    *,
    catalog: str,
    records: str,
    incident: str,
    extra: Mapping[str, str],
    **parameters: Any,
) -> Finished:
    """Run one of the runbook's notebooks.

    Args:
        kernel: already booting.
        name: of the notebook.
        subject: the service, or several of them, for the record.
        catalog: path of the catalogue, "" for the usual one.
        records: the records folder, "" for the usual one.
        incident: its id.
        extra: further parameters as text, checked against the notebook.
        parameters: further parameters with their types.

    Raises:
        UsageError: a name or a value is wrong; nothing was begun.
    """
    notebook = notebook_path(name)
    more = typed_parameters(notebook, extra)
    _refuse_twice(more)
    root = records_root(records)
    given = {
        **parameters,
        "catalog": absolute(catalog, "VEZA_CATALOG"),
        "kubeconfig": absolute(parameters.get("kubeconfig", ""), "KUBECONFIG"),
        "operator": parameters.get("operator") or login_name(),
        "incident_id": incident,
        "records": str(root),
        **more,
    }
    return run(
        notebook,
        given,
        root=root,
        incident_id=incident,
        service=subject,
        kernel=kernel,
        on_output=Terminal(),
    )


def _refuse_twice(extra: Mapping[str, Any]) -> None:
    """These name the record: the notebook and its runner must mean the same one."""
    for name, option in _HAVE_OPTIONS.items():
        if name in extra:
            raise UsageError(
                f"The parameter {name} cannot be given with -p.", next_step=f"Use {option}."
            )


def report(finished: Finished) -> int:
    """Print the last lines a person reads: how it ended, why, where the record is.

    Returns:
        The exit code that goes with it.
    """
    with suppress(OSError):  # nobody may be listening any more; the exit code still counts
        _say(finished)
    return int(finished.record.outcome.exit_code)


def _say(finished: Finished) -> None:
    record = finished.record
    good = record.outcome is Outcome.RECOVERED
    click.secho(f"\n{record.service}: {record.outcome}", bold=True, fg="green" if good else "red")
    if record.errors and not good:
        last = record.errors[-1]
        for line in (last["what"], _missing(record), last.get("state"), last.get("next_step")):
            if line:
                click.echo(f"  {line}", err=True)
    for problem in finished.problems:
        click.echo(f"  Not written: {problem}", err=True)
    click.echo(f"  Record: {finished.folder}")
    if not good:
        click.echo(f"  Continue with: veza-nb rollback --resume {record.incident_id}")


def _missing(record: Record) -> str:
    """Every right that is missing where one was: asked for one by one they take all night."""
    missing = [str(one["right"]) for one in record.preflight if not one["allowed"]]
    forbidden = record.errors[-1]["error"] == ForbiddenError.__name__
    return f"You lack: {', '.join(missing)}." if forbidden and missing else ""
