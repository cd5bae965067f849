"""`veza-nb rollback --resume INCIDENT`: go on where a run was cut off, as it was asked for then."""

from collections.abc import Mapping
from typing import Any

import click
from click.core import ParameterSource

from veza_nb.attempts import newest, read_attempts
from veza_nb.cli.options import records_root
from veza_nb.cluster.kubeconfig import IN_CLUSTER, load_access
from veza_nb.errors import RefusedError, UsageError
from veza_nb.journal import read_journal
from veza_nb.notebooks import notebook_path, parameters_of
from veza_nb.records import Folder, Record, find_folder
from veza_nb.runner import NOTEBOOK, PAGE

MAIN, SEVERAL, DATABASE = "10-rollback", "20-multi-service", "30-database"
_ANEW = frozenset(
    (
        *("service", "incident_id", "records", "operator", "confirm", "reason", "users_ok"),
        *("force_lock", "break_glass"),
    )
)
"""Whose a run is, its approval, a lock and a freeze broken are of one moment; the rest is kept."""
_TARGET = frozenset({"to_revision", "to_revisions", "as_of", "image"})


def as_recorded(
    notebook: str, incident: str, service: str, given: Mapping[str, Any]
) -> tuple[str, dict[str, Any]]:
    """The service and the parameters with which to go on.

    What is given on the command line now counts more than what was given then.

    Args:
        notebook: the one that is run.
        incident: its id.
        service: named on the command line, "" where it is not.
        given: the options of this command line.

    Raises:
        UsageError: there is no such incident, or it is about another service or cluster.
        RefusedError: it is finished.
    """
    folder, record = find_folder(records_root(str(given["records"])), incident)
    _refuse_another_service(record, service)
    if folder.finished and _has_its_page(folder):
        raise RefusedError(
            f"The incident {incident} is finished: {record.service} has recovered.",
            state="This run changed nothing.",
            next_step="Is it bad again? That is another story: "
            f"`veza-nb rollback {record.service}` begins a new incident.",
        )
    named = {name for name in given if _on_command_line(name)}
    kept = {
        name: value
        for name, value in record.parameters.items()
        if name in parameters_of(notebook_path(notebook)) and name not in _ANEW | named
    }
    if named & _TARGET or _sent(folder):
        kept = {name: value for name, value in kept.items() if name not in _TARGET}
    if not named & {"kubeconfig", "context"} and record.cluster.context != IN_CLUSTER:
        # What was the current context then need not be it now.
        kept["context"] = kept.get("context") or record.cluster.context
    merged = {**given, **kept, "incident": incident}
    _refuse_another_cluster(record, merged)
    return record.service, merged


def notebook_of(incident: str, given: Mapping[str, Any]) -> str:
    """The notebook that this incident was begun with."""
    _, record = find_folder(records_root(str(given["records"])), incident)
    if record.parts:
        return SEVERAL
    return DATABASE if record.parameters.get("migrate_down") else MAIN


def _on_command_line(name: str) -> bool:
    return click.get_current_context().get_parameter_source(name) is ParameterSource.COMMANDLINE


def _has_its_page(folder: Folder) -> bool:
    """A run through papermill is finished with its page; one by hand has neither."""
    return (folder.path / PAGE).exists() or not (folder.path / NOTEBOOK).exists()


def _sent(folder: Folder) -> bool:
    """Whether an undo is out: its target is pinned by its template, whatever was named."""
    return newest(read_attempts(read_journal(folder.journal_path).lines)) is not None


def _refuse_another_service(record: Record, service: str) -> None:
    if service not in ("", record.service):
        raise UsageError(
            f"The incident {record.incident_id} is about {record.service}, not {service}.",
            next_step="Leave the SERVICE out, or begin a new incident without --resume.",
        )


def _refuse_another_cluster(record: Record, given: Mapping[str, Any]) -> None:
    before = record.cluster.server
    now = load_access(str(given["kubeconfig"]), str(given["context"])).server
    if before and now != before:
        raise UsageError(
            f"The incident {record.incident_id} is about the cluster {before}, not {now}.",
            next_step=f"Give its --context (it was {record.cluster.context!r}) or --kubeconfig.",
        )
