"""`veza-nb doctor`: would a rollback work from here, now."""

import importlib.util
import os
import sys
from collections.abc import Callable, Iterator
from dataclasses import dataclass
from pathlib import Path

import click

from veza_nb.catalog import Catalog
from veza_nb.cli.options import catalog_of, cluster_options, records_root
from veza_nb.cluster import Cluster
from veza_nb.errors import ForbiddenError, VezaError
from veza_nb.prepare import needed
from veza_nb.vocabulary import ExitCode

PACKAGES = ("papermill", "jupyterlab", "ipykernel", "ipywidgets", "kubernetes", "pandas")
OLDEST_PYTHON = (3, 11)


@dataclass(frozen=True, slots=True)
class Finding:
    """One line of the answer; `remedy` is empty where all is well."""

    good: bool
    text: str
    remedy: str = ""
    code: ExitCode = ExitCode.USAGE


@click.command()
@cluster_options
@click.option("--records", default="", type=click.Path(), help="Default: $VEZA_RECORDS, ./records.")
def command(
    *, namespace: str, context: str, kubeconfig: str, catalog: str, timeout: float, records: str
) -> int:
    """Check environment, kubeconfig and permissions. Changes nothing."""

    def connect() -> Cluster:
        return Cluster.connect(
            kubeconfig=kubeconfig, context=context, namespace=namespace, timeout=timeout
        )

    worst = ExitCode.RECOVERED
    for finding in _examine(connect, catalog, namespace, records_root(records)):
        mark, colour = ("ok  ", "green") if finding.good else ("FAIL", "red")
        click.echo(f"{click.style(mark, fg=colour, bold=True)}  {finding.text}")
        if finding.remedy:
            click.echo(f"      {finding.remedy}")
        if not finding.good and worst is ExitCode.RECOVERED:
            worst = finding.code
    good = worst is ExitCode.RECOVERED
    click.echo("All good: a rollback would work from here." if good else "Not ready.")
    return int(worst)


def _examine(
    connect: Callable[[], Cluster], catalog: str, namespace: str, root: Path
) -> Iterator[Finding]:
    yield from _environment()
    yield _records(root)
    try:
        book = catalog_of(catalog)
    except VezaError as error:
        yield _failed(error)
        return
    yield Finding(True, f"Catalogue {book.source}: {len(book.services)} services.")
    try:
        cluster = connect()
        yield Finding(True, f"Kubeconfig: context {cluster.context}, server {cluster.server}.")
        version, user = cluster.version(), cluster.whoami()
        yield Finding(True, f"The API server answers: Kubernetes {version}; you are {user}.")
    except VezaError as error:
        yield _failed(error)
        return
    yield from _services(cluster, book, namespace)


def _environment() -> Iterator[Finding]:
    version = ".".join(map(str, sys.version_info[:3]))
    good = sys.version_info >= OLDEST_PYTHON
    yield Finding(good, f"Python {version}.", "" if good else "Needs Python 3.11 or newer.")
    missing = [name for name in PACKAGES if importlib.util.find_spec(name) is None]
    text = f"Packages: missing {', '.join(missing)}." if missing else "Packages: all there."
    yield Finding(not missing, text, "Run `make` again." if missing else "")


def _records(root: Path) -> Finding:
    above = next(one for one in (root, *root.parents) if one.exists())
    good = above.is_dir() and os.access(above, os.W_OK | os.X_OK)
    text = f"Records go to {root}."
    if good:
        return Finding(True, text)
    return Finding(False, f"{text} {above} is not writable.", "Choose another with --records.")


def _services(cluster: Cluster, book: Catalog, namespace: str) -> Iterator[Finding]:
    for name in book.services:
        service = book.service(name, namespace=namespace)
        here = cluster.at(service.namespace).of(service.kind)
        yield _rights(here, name, service.workload)
        try:
            here.deployment(service.workload)
        except VezaError as error:
            yield _failed(error, about=f"{name}: ")
        else:
            yield Finding(True, f"{name}: {service.kind} {service.workload} is there.")


def _rights(cluster: Cluster, name: str, workload: str) -> Finding:
    asked = needed(workload, cluster.kind)
    try:
        denied = cluster.denied(asked)
    except VezaError as error:
        return _failed(error, about=f"{name}: ")
    where = f"{name}: rights in namespace {cluster.namespace}"
    if not denied:
        return Finding(True, f"{where}: all {len(asked)} that a rollback needs.")
    names = ", ".join(map(str, denied))
    return Finding(
        False,
        f"{where}: missing {names}.",
        "Ask for these, or use a context that has them.",
        ExitCode.REFUSED,
    )


def _failed(error: VezaError, about: str = "") -> Finding:
    code = ExitCode.REFUSED if isinstance(error, ForbiddenError) else ExitCode(error.exit_code)
    return Finding(False, about + error.what, error.next_step, code)
