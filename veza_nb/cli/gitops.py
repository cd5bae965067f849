"""`veza-nb gitops resume`: end the pause of Argo CD or Flux that an incident has made."""

import socket

import click

from veza_nb.cli.options import connection_options, login_name, records_root
from veza_nb.cluster import Cluster
from veza_nb.errors import RefusedError
from veza_nb.gitops import resume_command
from veza_nb.journal import Journal
from veza_nb.locks import Lock
from veza_nb.logbook import Logbook
from veza_nb.occupancy import WRITER, occupy, vacate
from veza_nb.pauses import Paused, open_pauses
from veza_nb.pausing import git_has_what_runs, resume
from veza_nb.records import Folder, Record, find_folder
from veza_nb.vocabulary import ExitCode, JournalEvent, Step, WorkloadKind

EPILOG = """\b
Examples:
  veza-nb gitops resume 20261124-0312-veza-backend-api-3f2a
  veza-nb gitops resume INCIDENT --git-is-right

\b
As long as Git holds the bad release, resuming brings it back. So correct Git first. Where Argo CD
says that Git has what runs, that is enough; where nobody says so, `--git-is-right` is your word for
it, and is recorded.

\b
Exit codes: 0 resumed, or nothing was paused; 3 refused, nothing changed.
"""


@click.group()
def command() -> None:
    """Argo CD and Flux: end what an incident has paused."""


@command.command("resume", epilog=EPILOG)
@click.argument("incident")
@connection_options
@click.option("--records", default="", type=click.Path(), help="Default: $VEZA_RECORDS.")
@click.option("--git-is-right", is_flag=True, help="You checked that Git has what is to run.")
def resume_them(
    *,
    incident: str,
    context: str,
    kubeconfig: str,
    timeout: float,
    records: str,
    git_is_right: bool,
) -> int:
    """Put back what INCIDENT has paused, once Git no longer holds the bad release."""
    folder, record = find_folder(records_root(records), incident)
    cluster = _connect(record, context=context, kubeconfig=kubeconfig, timeout=timeout)
    occupy(folder.path, WRITER, actor=login_name(), clock=cluster.clock)
    try:
        journal = folder.open_journal(actor=login_name(), clock=cluster.clock)
        try:
            _end_all(cluster, folder, record, journal, sure=git_is_right)
        finally:
            journal.close()
    finally:
        vacate(folder.path, WRITER)
    return int(ExitCode.RECOVERED)


def _connect(record: Record, *, context: str, kubeconfig: str, timeout: float) -> Cluster:
    """Where the incident was, unless another way there is given."""
    then = record.parameters
    cluster = Cluster.connect(
        kubeconfig=kubeconfig or str(then.get("kubeconfig") or ""),
        context=context or str(then.get("context") or ""),
        namespace=record.namespace,
        timeout=timeout,
        kind=WorkloadKind(record.kind),
    )
    if record.cluster.server and cluster.server != record.cluster.server:
        raise RefusedError(
            f"The incident is about the cluster {record.cluster.server}, not {cluster.server}.",
            next_step="Give the --context or --kubeconfig of that one.",
        )
    return cluster


def _end_all(
    cluster: Cluster, folder: Folder, record: Record, journal: Journal, *, sure: bool
) -> None:
    left = open_pauses(journal.lines)
    if not left:
        click.echo(f"Incident {record.incident_id} has paused nothing that is not resumed.")
        return
    if not sure:
        for one in left:
            _refuse_early(cluster, one, record)
    lock = Lock(
        cluster,
        record.workload,
        holder=f"{login_name()}@{socket.gethostname()}",
        incident=record.incident_id,
        reason=resume_command(record.incident_id),
    )
    lock.acquire()
    try:
        journal.append(Step.GITOPS, JournalEvent.NOTE, {"git is right": "said" if sure else "seen"})
        for one in left:
            click.echo(resume(cluster, one, record.incident_id, journal))
    finally:
        lock.release()
        _write_down(folder, record, journal)


def _refuse_early(cluster: Cluster, one: Paused, record: Record) -> None:
    """Resumed while Git holds the bad release, it brings that back."""
    said = git_has_what_runs(cluster, one, record.workload)
    if said:
        return
    why = (
        f"{one.tool} says that Git does not have what runs: {one} resumed now brings the bad "
        "release back."
        if said is False
        else f"Nobody says whether Git has what runs: {one} resumed too early brings the bad "
        "release back."
    )
    raise RefusedError(
        why,
        next_step="Correct Git first. If you checked that it is right: "
        f"{resume_command(record.incident_id)} --git-is-right",
    )


def _write_down(folder: Folder, record: Record, journal: Journal) -> None:
    """Into the record, and sealed again."""
    book = Logbook(folder, journal, record, resumed=True)
    command = resume_command(record.incident_id)
    todo = record.left_to_do
    if not open_pauses(journal.lines):
        todo = tuple(one for one in todo if command not in one)
    book.update(left_to_do=todo)
    folder.seal()
