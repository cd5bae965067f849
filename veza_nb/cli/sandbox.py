"""`veza-nb sandbox`: the training cluster."""

import shlex
from pathlib import Path

import click
from click.shell_completion import CompletionItem

from veza_nb.cli import sandbox_audit, sandbox_faults, sandbox_time, sandbox_users
from veza_nb.errors import UsageError
from veza_nb.sandbox import detached, scenarios


def load_scenario(name: str) -> scenarios.Scenario:
    """The scenario of that name.

    Raises:
        UsageError: there is none, or its file is broken.
    """
    try:
        return scenarios.load(name)
    except scenarios.ScenarioError as error:
        raise UsageError(f"{error}") from error


def start(
    scenario: str | None,
    directory: Path | None = None,
    *,
    prometheus: bool = False,
    prometheus_port: int = 0,
    speed: float = 1.0,
    stepped: bool = False,
    snapshot: Path | None = None,
) -> detached.Running:
    """Start a training cluster.

    Raises:
        UsageError: another one is running, or it cannot start; says why.
    """
    try:
        return detached.up(
            scenario=scenario,
            directory=directory,
            prometheus=prometheus,
            prometheus_port=prometheus_port,
            speed=speed,
            stepped=stepped,
            snapshot=snapshot,
        )
    except detached.ClusterError as error:
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
@click.option(
    "--prometheus",
    is_flag=True,
    help="With a real Prometheus and Alertmanager that watch it.",
)
@click.option(
    "--prometheus-port",
    type=click.IntRange(0, 65535),
    default=0,
    show_default="a free one",
    help="Where that Prometheus listens; implies --prometheus.",
)
@click.option("--speed", default=1.0, show_default=True, help="Cluster seconds per second.")
@click.option("--stepped", is_flag=True, help="Its time stands still until `clock step`.")
@click.option(
    "--snapshot",
    type=click.Path(exists=True, dir_okay=False, path_type=Path),
    help="Bring back what `snapshot save` wrote, instead of a scenario.",
)
def up(
    *,
    scenario: str | None,
    prometheus: bool,
    prometheus_port: int,
    speed: float,
    stepped: bool,
    snapshot: Path | None,
) -> None:
    """Start it and print how to reach it."""
    if scenario:
        load_scenario(scenario)
    running = start(
        scenario,
        prometheus=prometheus or bool(prometheus_port),
        prometheus_port=prometheus_port,
        speed=speed,
        stepped=stepped,
        snapshot=snapshot,
    )
    click.echo(f"Training cluster at {running.url}, context {running.context}")
    click.echo(f"Kubeconfig: {running.kubeconfig}")
    _say_monitoring(running)
    click.echo("For this shell:")
    click.echo(f"  export KUBECONFIG={shlex.quote(str(running.kubeconfig))}")
    click.echo(f"  export VEZA_CATALOG={shlex.quote(str(running.catalog))}")


@command.command()
def status() -> None:
    """Say whether it runs, and where."""
    running = detached.status()
    if running is None:
        click.echo("No training cluster is running. Start one with `veza-nb sandbox up`.")
        return
    click.echo(f"Running at {running.url}, scenario {running.scenario or 'none'}.")
    _say_monitoring(running)
    click.echo(f"export KUBECONFIG={shlex.quote(str(running.kubeconfig))}")


def _say_monitoring(running: detached.Running) -> None:
    click.echo(f"Metrics: {running.metrics}")
    if running.prometheus:
        click.echo(f"Prometheus: {running.prometheus}")
        click.echo(f"Alertmanager: {running.alertmanager}")


@command.command()
def down() -> None:
    """End it and remove what it left."""
    stopped = detached.down()
    click.echo("Stopped." if stopped else "No training cluster was running.")


command.add_command(sandbox_faults.fault)
command.add_command(sandbox_faults.inject)
command.add_command(sandbox_audit.audit)
command.add_command(sandbox_users.user)
command.add_command(sandbox_time.clock)
command.add_command(sandbox_time.snapshot)
