"""`veza-nb sandbox clock` and `veza-nb sandbox snapshot`: its time, and its state in a file."""

from pathlib import Path
from typing import Any

import click

from veza_nb.cli.sandbox_line import ask

SAVE_SECONDS = 120.0
STEP_SECONDS = 600.0


@click.group()
def clock() -> None:
    """Its time: real, faster, or standing still until it is told to go on."""


@clock.command()
def show() -> None:
    """Print its date and how its time passes."""
    _say(ask("clock.show", {}))


@clock.command()
@click.argument("seconds", type=float)
def step(seconds: float) -> None:
    """Let a cluster that was started with --stepped live so many SECONDS."""
    _say(ask("clock.step", {"seconds": seconds}, STEP_SECONDS))


def _say(told: dict[str, Any]) -> None:
    way = "stands still until stepped" if told["stepped"] else f"speed {told['speed']:g}"
    click.echo(f"{told['now']}, {way}")


@click.group()
def snapshot() -> None:
    """Its whole state in one file, to start from later."""


@snapshot.command()
@click.argument("file", type=click.Path(dir_okay=False, path_type=Path))
def save(file: Path) -> None:
    """Write the state of the running cluster to FILE; `up --snapshot FILE` brings it back."""
    told = ask("snapshot.save", {"path": str(file.absolute())}, SAVE_SECONDS)
    click.echo(f"{told['objects']} objects in {told['path']} ({told['bytes']} bytes)")
