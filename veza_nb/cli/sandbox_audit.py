"""`veza-nb sandbox audit`: who asked the training cluster for what, and what was answered."""

import collections
import json
import time
from collections.abc import Iterator
from fnmatch import fnmatchcase
from pathlib import Path
from typing import Any, TextIO

import click

from veza_nb.errors import UsageError
from veza_nb.sandbox import detached

_LOOK_SECONDS = 0.2
_SELECTED = ("verb", "resource", "namespace", "name", "user", "agent", "code")


@click.command()
@click.option("--verb", help="get, list, watch, create, update, patch, delete, …")
@click.option("--resource", help="Plural, or a path.")
@click.option("--namespace", "-n", help="Pattern, as the others: 'veza-*'.")
@click.option("--name", help="Of the object.")
@click.option("--user", help="Who asked.")
@click.option("--agent", help="User-Agent, such as 'kubectl*'.")
@click.option("--code", help="Status, such as 403 or '5*'.")
@click.option("--all", "everybody", is_flag=True, help="The cluster's own parts, too.")
@click.option("--tail", type=click.IntRange(min=1), help="Only the newest so many.")
@click.option("--follow", "-f", is_flag=True, help="Go on with what comes.")
@click.option("--json", "as_json", is_flag=True, help="Lines as they are in the file.")
@click.option("--path", "only_path", is_flag=True, help="Only say where the file is.")
def audit(
    *,
    everybody: bool,
    tail: int | None,
    follow: bool,
    as_json: bool,
    only_path: bool,
    **chosen: str | None,
) -> None:
    """Tell who asked for what, and the answer's code, oldest first.

    Reads the log of the cluster that runs, or of the one that ran last.
    """
    file = detached.default_directory() / detached.AUDIT
    if only_path:
        click.echo(file)
        return
    patterns = {name: pattern for name, pattern in chosen.items() if pattern}
    for line, entry in _entries(file, tail, patterns, everybody=everybody, follow=follow):
        click.echo(line if as_json else _shown(entry))


def _entries(
    file: Path, tail: int | None, patterns: dict[str, str], *, everybody: bool, follow: bool
) -> Iterator[tuple[str, dict[str, Any]]]:
    try:
        source = file.open(encoding="utf-8")
    except OSError as error:
        raise UsageError(
            f"There is no audit log at {file}: {error.strerror}.",
            next_step="Start a training cluster with `veza-nb sandbox up`.",
        ) from error

    def selected(lines: Iterator[str]) -> Iterator[tuple[str, dict[str, Any]]]:
        for line in lines:
            entry = json.loads(line)
            if _is_meant(entry, patterns, everybody=everybody):
                yield line.rstrip("\n"), entry

    with source:
        yield from collections.deque(selected(_whole(source)), maxlen=tail)
        while follow:
            time.sleep(_LOOK_SECONDS)
            yield from selected(_whole(source))


def _whole(source: TextIO) -> Iterator[str]:
    """The lines that are there; one that is still being written is left for the next time."""
    while True:
        place = source.tell()
        line = source.readline()
        if not line.endswith("\n"):
            source.seek(place)
            return
        yield line


def _is_meant(entry: dict[str, Any], patterns: dict[str, str], *, everybody: bool) -> bool:
    if not everybody and _is_internal(entry):
        return False
    return all(fnmatchcase(str(entry.get(name, "")), each) for name, each in patterns.items())


def _is_internal(entry: dict[str, Any]) -> bool:
    """Whether a part of the cluster itself asked; these send no requests over the network."""
    return not entry.get("id") and str(entry.get("user", "")).startswith("system:")


def _shown(entry: dict[str, Any]) -> str:
    at = str(entry["at"])[:19].replace("T", " ")
    user = entry["user"] or "(unknown)"
    if entry.get("impersonator"):
        user = f"{entry['impersonator']} as {user}"
    what = _object(entry)
    notes = [entry["reason"]] if entry.get("reason") else []
    notes += ["dry run"] if entry.get("dry_run") else []
    notes += [f"met {entry['fault']}"] if entry.get("fault") else []
    agent = entry["agent"].partition(" ")[0]
    return "  ".join(
        [at, f"{entry['code']}", f"{entry['verb']:<6}", what, f"by {user} ({agent})", *notes]
    )


def _object(entry: dict[str, Any]) -> str:
    resource = entry["resource"]
    if entry["subresource"]:
        resource = f"{resource}/{entry['subresource']}"
    name = f"{resource} {entry['name']}" if entry["name"] else resource
    return f"{name} in {entry['namespace']}" if entry["namespace"] else name
