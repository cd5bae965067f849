"""`veza-nb drill`: a bad release on a training cluster, rolled back with the real notebook."""

import tempfile
import time
from pathlib import Path

import click

from veza_nb.cli.headless import report, roll_back
from veza_nb.cli.sandbox import complete_scenario, load_scenario, start
from veza_nb.cluster import Cluster
from veza_nb.kernel.early import early_kernel
from veza_nb.runner import Finished
from veza_nb.sandbox import lifecycle, scenarios
from veza_nb.vocabulary import ExitCode, Outcome

DEFAULT = "crash-loop"


@click.command()
@click.argument("scenario", default=DEFAULT, shell_complete=complete_scenario)
@click.option("--to-revision", default=0, help="Go back to that one; default: the recommended.")
@click.option("--records", default="", type=click.Path(), help="Default: $VEZA_RECORDS, ./records.")
def command(scenario: str, to_revision: int, records: str) -> int:
    """Practise SCENARIO on a training cluster of its own (default: crash-loop).

    Exit code 0: the runbook did the right thing, which for a healthy service is to refuse.
    """
    exercise = load_scenario(scenario)
    with tempfile.TemporaryDirectory(prefix="veza-nb-drill-") as folder:
        click.secho(f"Drill {exercise.name}: {exercise.title}", bold=True)
        begun = time.monotonic()
        running = start(scenario, Path(folder))
        try:
            click.echo(f"Training cluster at {running.url}; the fault is in.\n")
            finished = _run(exercise.service, running, records, to_revision)
            live = _live_image(exercise.service, running)
        finally:
            lifecycle.down(directory=Path(folder))
    report(finished)
    return _judge(exercise, finished, live, time.monotonic() - begun)


def _run(service: str, running: lifecycle.Running, records: str, to_revision: int) -> Finished:
    with early_kernel() as kernel:
        return roll_back(
            kernel,
            service,
            confirm=service,
            to_revision=to_revision,
            reason=f"drill: {running.scenario}",
            context=running.context,
            kubeconfig=str(running.kubeconfig),
            catalog=str(running.catalog),
            records=records,
        )


def _live_image(service: str, running: lifecycle.Running) -> str:
    cluster = Cluster.connect(kubeconfig=str(running.kubeconfig), context=running.context)
    containers = cluster.deployment(service).spec.template["spec"]["containers"]
    return str(containers[0]["image"])


def _judge(exercise: scenarios.Scenario, finished: Finished, live: str, seconds: float) -> int:
    wanted = exercise.good_image
    outcome = finished.record.outcome
    if wanted is None:
        right = outcome is Outcome.REFUSED
        told = "no rollback"
    else:
        right = outcome is Outcome.RECOVERED and live == wanted
        told = f"a rollback to {wanted}"
    click.secho(
        f"\nDrill {'passed' if right else 'FAILED'} in {seconds:.1f} s: "
        f"right was {told}; the run ended {outcome}, live is {live}.",
        bold=True,
        fg="green" if right else "red",
    )
    if right:
        return int(ExitCode.RECOVERED)
    return int(outcome.exit_code) or int(ExitCode.NOT_RECOVERED)
