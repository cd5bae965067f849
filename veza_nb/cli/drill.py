"""`veza-nb drill`: a bad release on a training cluster, rolled back with the real notebook."""

import tempfile
import time
from collections.abc import Mapping
from pathlib import Path
from typing import Any

import click

from veza_nb.cli.headless import report, roll_back
from veza_nb.cli.sandbox import complete_scenario, load_scenario, start
from veza_nb.cluster import Cluster
from veza_nb.kernel.early import early_kernel
from veza_nb.runner import Finished
from veza_nb.sandbox import lifecycle, scenarios
from veza_nb.sandbox.scenarios import Scenario
from veza_nb.sandbox.serving.credentials import context
from veza_nb.vocabulary import ExitCode, Outcome

DEFAULT = "crash-loop"


@click.command()
@click.argument("scenario", default=DEFAULT, shell_complete=complete_scenario)
@click.option("--to-revision", default=0, help="Go back to that one; default: the recommended.")
@click.option("--max-steps", default=0, help="Undos at most; default: the catalogue's number.")
@click.option("--records", default="", type=click.Path(), help="Default: $VEZA_RECORDS, ./records.")
@click.option("--list", "listed", is_flag=True, help="Say which scenarios there are, and stop.")
def command(scenario: str, to_revision: int, max_steps: int, records: str, *, listed: bool) -> int:
    """Practise SCENARIO on a training cluster of its own (default: crash-loop).

    Exit code 0: the run ended as the scenario says it should, which for a healthy service is to
    refuse.
    """
    if listed:
        _list()
        return int(ExitCode.RECOVERED)
    exercise = load_scenario(scenario)
    asked = {"to_revision": to_revision, "max_steps": max_steps}
    named = {name: value for name, value in asked.items() if value}
    with tempfile.TemporaryDirectory(prefix="veza-nb-drill-") as folder:
        click.secho(f"Drill {exercise.name}: {exercise.title}", bold=True)
        begun = time.monotonic()
        running = start(scenario, Path(folder))
        try:
            click.echo(f"Training cluster at {running.url}; the fault is in.\n")
            finished = _run(exercise, running, records, named)
            live = _live_image(exercise.service, running)
        finally:
            lifecycle.down(directory=Path(folder))
    report(finished)
    ends = Outcome.RECOVERED if to_revision else Outcome(exercise.kit.ends)
    return _judge(exercise, ends, finished, live, time.monotonic() - begun)


def _list() -> None:
    for name in scenarios.names():
        click.echo(f"{name:26} {scenarios.load(name).title}")


def _run(
    exercise: Scenario, running: lifecycle.Running, records: str, named: Mapping[str, int]
) -> Finished:
    given: dict[str, Any] = {
        "confirm": exercise.service,
        "reason": f"drill: {running.scenario}",
        "context": context(exercise.user),
        "kubeconfig": str(running.kubeconfig),
        **exercise.options,
        **named,
    }
    catalog = str(running.catalog)
    with early_kernel() as kernel:
        return roll_back(kernel, exercise.service, catalog=catalog, records=records, **given)


def _live_image(service: str, running: lifecycle.Running) -> str:
    cluster = Cluster.connect(kubeconfig=str(running.kubeconfig), context=running.context)
    containers = cluster.deployment(service).spec.template["spec"]["containers"]
    return str(containers[0]["image"])


def _judge(exercise: Scenario, ends: Outcome, finished: Finished, live: str, seconds: float) -> int:
    """Say whether the run ended as it should; exit code 0 if so."""
    outcome, wanted = finished.record.outcome, exercise.good_image
    reached = wanted is None or outcome is not Outcome.RECOVERED or live == wanted
    right = outcome is ends and reached
    click.secho(
        f"\nDrill {'passed' if right else 'FAILED'} in {seconds:.1f} s: right was "
        f"{_right(exercise)}; the run ended {outcome}, live is {live}.",
        bold=True,
        fg="green" if right else "red",
    )
    if right:
        if exercise.kit.why and outcome is not Outcome.RECOVERED:
            click.echo(f"  {exercise.kit.why}")
        return int(ExitCode.RECOVERED)
    return int(outcome.exit_code) or int(ExitCode.NOT_RECOVERED)


def _right(exercise: Scenario) -> str:
    return f"a rollback to {exercise.good_image}" if exercise.good_image else "no rollback"
