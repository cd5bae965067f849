"""`veza-nb sandbox fault` and `veza-nb sandbox inject`: let something go wrong."""

import json
import time
from collections.abc import Callable
from typing import Any

import click
from click.shell_completion import CompletionItem

from veza_nb.cli.sandbox_line import ask
from veza_nb.errors import UsageError
from veza_nb.sandbox.faults.rules import Kind

INJECT_SECONDS = 90.0
_MEANINGS = {
    Kind.ERROR: "answers with --code, and with Retry-After if told",
    Kind.LATENCY: "answers come --seconds later",
    Kind.HANG: "no answer until the fault is over",
    Kind.RESET: "the connection is reset, nothing is done",
    Kind.LOSE_ANSWER: "the request is carried out, the connection cut before the answer",
    Kind.STORAGE_HANG: "the storage hangs: 504 after the request's timeout, or --seconds",
    Kind.DROP_WATCH: "watches break off, after so many --events or --after seconds",
    Kind.EXPIRE_WATCH: "watches end with 410 Expired, after --events or --after seconds",
    Kind.STALE: "reads with resourceVersion=0 see the past (--all: every read)",
    Kind.CLOCK_SKEW: "the cluster's clock is wrong by --seconds",
    Kind.OUTAGE: "connections are refused, --lasting so many seconds",
}
_KINDS = "\b\nKinds:\n" + "\n".join(f"  {kind:<13} {text}" for kind, text in _MEANINGS.items())
_OPTIONS = (
    click.option("--code", type=int, help="Of error: 429, 500, 502, 503 or 504."),
    click.option("--retry-after", type=int, help="Of error: seconds in Retry-After."),
    click.option("--message", help="Of error: instead of the usual one."),
    click.option("--seconds", type=float, help="How long, how old, or how far off."),
    click.option("--versions", type=int, help="Of stale: so many changes ago."),
    click.option("--all", "every_read", is_flag=True, default=None, help="Of stale: every read."),
    click.option("--after", type=float, help="Of watches: seconds until they are cut."),
    click.option("--events", type=int, help="Of watches: events told before they are cut."),
    click.option("--verb", "verbs", help="get,list,watch,create,update,patch,delete; read; write."),
    click.option("--resource", "resources", help="deploy, pods/log, …, or a path: /readyz, /api*."),
    click.option("--namespace", "-n", help="Pattern, as all the following."),
    click.option("--name", help="Of the object."),
    click.option("--user", help="Who asks."),
    click.option("--agent", help="User-Agent, such as 'kubectl*'."),
    click.option("--rate", type=float, help="Share of the requests, up to 1."),
    click.option("--seed", type=int, help="Of the dice of --rate."),
    click.option("--count", type=int, help="Only the first so many."),
    click.option("--lasting", type=float, help="Ends by itself after so many seconds."),
)


def _with_options(command: Callable[..., None]) -> Callable[..., None]:
    for option in reversed(_OPTIONS):
        command = option(command)
    return command


def complete_fault(_: click.Context, __: click.Parameter, begun: str) -> list[CompletionItem]:
    """Ids of the faults in force, for Tab."""
    try:
        found = [each["id"] for each in ask("faults.list", {})]
    except UsageError:
        return []
    return [CompletionItem(name) for name in found if name.startswith(begun)]


@click.group(invoke_without_command=True)
@click.pass_context
def fault(context: click.Context) -> None:
    """What goes wrong with the API server; without a command: what is in force.

    Only clients outside the cluster meet it, except a wrong clock.
    """
    if context.invoked_subcommand is None:
        context.invoke(list_faults)


@fault.command(epilog=_KINDS)
@click.argument("kind", type=click.Choice([str(kind) for kind in Kind]), metavar="KIND")
@_with_options
def add(kind: str, **rule: object) -> None:
    """Put a fault into force; KIND says what goes wrong."""
    told = ask("faults.add", {"kind": kind, **rule})
    click.echo(_line(told))


@fault.command("list")
@click.option("--json", "as_json", is_flag=True, help="For programs.")
def list_faults(as_json: bool = False) -> None:
    """Tell what is in force, and how many requests met it."""
    found = ask("faults.list", {})
    if as_json:
        click.echo(json.dumps(found))
        return
    if not found:
        click.echo("No fault is in force.")
    for each in found:
        click.echo(_line(each))


@fault.command()
@click.argument("names", nargs=-1, required=True, metavar="ID...", shell_complete=complete_fault)
def remove(names: tuple[str, ...]) -> None:
    """End faults by id."""
    for name in names:
        click.echo(f"ended {_line(ask('faults.remove', {'id': name}))}")


@fault.command()
def clear() -> None:
    """End all faults."""
    ended = ask("faults.clear", {})
    for each in ended:
        click.echo(f"ended {_line(each)}")
    if not ended:
        click.echo("No fault was in force.")


def _line(told: dict[str, Any]) -> str:
    rest = dict(told)
    head = f"{rest.pop('id')}  {rest.pop('kind')}"
    hits = rest.pop("hits")
    left = rest.pop("left", None)
    over = rest.pop("over", False)
    words = [f"{name}={_shown(value)}" for name, value in rest.items()]
    ending = [] if left is None else [f"{left:.1f} s left"]
    ending += ["spent"] if over else []
    return "  ".join([head, *words, f"hits={hits}", *ending])


def _shown(value: object) -> str:
    if isinstance(value, list):
        return ",".join(map(str, value))
    return f"{value:g}" if isinstance(value, float) else str(value)


@click.command()
@click.argument("scenario", required=False)
def inject(scenario: str | None) -> None:
    """Let the fault of the running scenario happen now, or that of another SCENARIO."""
    begun = time.monotonic()
    told = ask("inject", {"scenario": scenario}, INJECT_SECONDS)
    took = time.monotonic() - begun
    click.echo(f"{told['scenario']}: {told['image']} was deployed; it shows after {took:.1f} s.")
