"""`veza-nb sandbox`: the training cluster."""

import shlex

import click

from veza_nb.errors import UsageError
from veza_nb.sandbox import lifecycle, scenarios


def load_scenario(name: str) -> scenarios.Scenario:
    """The scenario of that name.

    Raises:
        UsageError: there is none, or its file is broken.
    """
    try:
        return scenarios.load(name)
    except scenarios.ScenarioError as error:
        raise UsageError(f"{error}") from error


@click.group()
def command() -> None:
    """The training cluster: a Kubernetes API on loopback, with Veza in it."""


@command.command()
@click.option("--scenario", default=None, help="Which fault; default: none, all is well.")
def up(scenario: str | None) -> None:
    """Start it and print how to reach it."""
    if scenario:
        load_scenario(scenario)
    running = lifecycle.up(scenario=scenario)
    click.echo(f"Training cluster at {running.url}, context {running.context}")
    click.echo(f"Kubeconfig: {running.kubeconfig}")
    click.echo("For this shell:")
    click.echo(f"  export KUBECONFIG={shlex.quote(str(running.kubeconfig))}")
    click.echo(f"  export VEZA_CATALOG={shlex.quote(str(running.catalog))}")


@command.command()
def status() -> None:
    """Say whether it runs, and where."""
    running = lifecycle.status()
    if running is None:
        click.echo("No training cluster is running. Start one with `veza-nb sandbox up`.")
        return
    click.echo(f"Running at {running.url}, scenario {running.scenario or 'none'}.")
    click.echo(f"export KUBECONFIG={shlex.quote(str(running.kubeconfig))}")


@command.command()
def down() -> None:
    """End it and remove what it left."""
    stopped = lifecycle.down()
    click.echo("Stopped." if stopped else "No training cluster was running.")
