"""`veza-nb plan`: detection, history and plan on the terminal; reads only."""

from pathlib import Path

import click

from veza_nb import render
from veza_nb.choices import read_choice
from veza_nb.cli import planfile
from veza_nb.cli.options import (
    catalog_of,
    choice_options,
    cluster_options,
    login_name,
    service_argument,
)
from veza_nb.cli.printing import fit_terminal, say, say_difference
from veza_nb.cluster import Cluster
from veza_nb.detect import detect_settled
from veza_nb.errors import RefusedError
from veza_nb.locks import Lock
from veza_nb.orders import Order
from veza_nb.plans import Plan, Refusal
from veza_nb.preflight import preflight
from veza_nb.prepare import prepare
from veza_nb.vocabulary import ExitCode

NO_INCIDENT = "none yet"
EPILOG = """\b
Examples:
  veza-nb plan veza-backend-api
  veza-nb plan veza-backend-api --to-revision 41
  veza-nb plan veza-backend-api --diff   (the templates as YAML too)
  veza-nb plan veza-backend-api -o json | jq .plan.images_after
  veza-nb plan veza-backend-api -o plan.json   (for another one to approve and run)

\b
Exit codes: 0 a plan that may be approved; 3 none, or a guard blocks it.
"""


@click.command(epilog=EPILOG)
@service_argument
@cluster_options
@choice_options
@click.option("--output", "-o", type=planfile.OUTPUT, default="text", show_default=True)
@click.option("--diff", is_flag=True, help="Also what differs line by line, as YAML.")
def command(
    *,
    service: str,
    namespace: str,
    context: str,
    kubeconfig: str,
    catalog: str,
    timeout: float,
    to_revision: int,
    as_of: str,
    image: str,
    break_glass: str,
    force_lock: str,
    output: str,
    diff: bool,
) -> int:
    """Show what a rollback of SERVICE would do. Changes nothing."""
    book = catalog_of(catalog)
    chosen = book.service(service, namespace=namespace)
    who = login_name()
    cluster = Cluster.connect(
        kubeconfig=kubeconfig,
        context=context,
        namespace=chosen.namespace,
        timeout=timeout,
        kind=chosen.kind,
    )
    rights = preflight(cluster, chosen)
    seen = detect_settled(
        cluster,
        chosen,
        settings=book.verify,
        monitoring=book.monitoring,
        hints=book.hints,
        show=lambda _: None,
    )
    now = cluster.now()
    order = Order(
        service=service,
        incident=NO_INCIDENT,
        operator=who,
        choice=read_choice(to_revision=to_revision, as_of=as_of, image=image, now=now),
        freeze=book.frozen(now),
        break_glass=break_glass,
        force_lock=force_lock,
    )
    made = prepare(
        cluster,
        chosen,
        seen.diagnosis,
        order,
        lock=Lock(cluster, chosen.workload, who, NO_INCIDENT, ""),
        denied=rights.denied,
    )
    choice = order.choice
    asked = planfile.Asked(
        namespace=namespace,
        to_revision=choice.to_revision,
        as_of=choice.as_of.isoformat() if choice.as_of else "",
        image=choice.image,
        break_glass=break_glass,
        force_lock=force_lock,
    )
    text = planfile.document(asked, diagnosis=seen.diagnosis, history=seen.history, plan=made)
    if output == "json":
        click.echo(text)
    else:
        fit_terminal()
        say(render.diagnosis(seen.diagnosis, now=seen.now))
        click.echo()
        say(render.history(seen.history, now=seen.now))
        if isinstance(made, Plan):
            click.echo()
            say(render.plan(made))
            _say_whole(made, wanted=diff)
    if output not in ("text", "json"):
        planfile.write(Path(output), text)
        click.echo(f"Written to {output}. Run it with: veza-nb rollback --plan {output}")
    if isinstance(made, Refusal):
        raise RefusedError(made.what, next_step=made.next_step)
    return int(ExitCode.REFUSED if made.blockers else ExitCode.RECOVERED)


def _say_whole(made: Plan, *, wanted: bool) -> None:
    """The templates as YAML where they are wanted, else how to see them."""
    whole = render.whole_difference(made)
    if not whole.lines:
        return
    if wanted:
        names = {"before": "live", "after": f"revision {made.to_revision}"}
        say_difference(render.yaml_difference(whole, **names))
    else:
        click.echo(f"\nAs YAML ({whole.counted}): the same command with --diff.")
