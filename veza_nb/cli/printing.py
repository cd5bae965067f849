"""Results on the terminal: as wide as it is, and in colour where it has any."""

import os
import re
import shutil
import sys

import click

from veza_nb.render import Rendered
from veza_nb.render.lines import fit_to

_HEAD = re.compile(r"^(?:---|\+\+\+) ")
_GOES = re.compile(r"^(?: {4}- |-)")
_COMES = re.compile(r"^(?: {4}\+ |\+)")


def fit_terminal() -> None:
    """Break lines where this terminal ends; elsewhere (a file, a pipe) at the usual width."""
    if sys.stdout.isatty():
        fit_to(shutil.get_terminal_size().columns)


def say(result: Rendered) -> None:
    """Print a result."""
    click.echo(result.text)


def say_difference(result: Rendered) -> None:
    """Print a difference: what goes in red, what comes in green, the signs beside them.

    The colours are left out where nobody sees them (no terminal), or wants them (`NO_COLOR`).
    """
    colour = None if not os.environ.get("NO_COLOR") else False
    for line in result.text.splitlines():
        click.echo(_painted(line), color=colour)


def _painted(line: str) -> str:
    if _HEAD.match(line):
        return click.style(line, bold=True)
    if _GOES.match(line):
        return click.style(line, fg="red")
    return click.style(line, fg="green") if _COMES.match(line) else line
