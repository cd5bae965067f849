"""`veza-nb sandbox`: the training cluster."""

import shlex
from pathlib import Path

import click
from click.shell_completion import CompletionItem

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


def start(scenario: str | None, directory: Path | None = None) -> lifecycle.Running:
    """Start a training cluster.

    Raises:
        UsageError: another one is running, or it cannot start; says why.
    """
    try:
        return lifecycle.up(scenario=scenario, directory=directory)
    except lifecycle.ClusterError as error:
        raise UsageError(
            f"The training cluster did not start: {error}",
            next_step="`veza-nb sandbox down` ends one that runs.",
        ) from error


def complete_scenario(_: click.Context, __: click.Parameter, begun: str) -> list[CompletionItem]:
    """Names of scenarios, for Tab."""
    return [CompletionItem(name) for name in scenarios.names() if name.startswith(begun)]


@click.group()
def command() -> None:
    """The training cluster: a Kubernetes API on loopback, with Veza in it."""


@command.command()
@click.option(
    "--scenario",
    default=None,
    shell_complete=complete_scenario,
    help="Which fault; default: none, all is well.",
)
def up(scenario: str | None) -> None:
    """Start it and print how to reach it."""
    if scenario:
        load_scenario(scenario)
    running = start(scenario)
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
