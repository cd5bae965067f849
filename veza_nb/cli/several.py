"""`veza-nb rollback A B C` and `--group`: the notebook for several services, headless."""

from collections.abc import Callable, Mapping, Sequence
from typing import Any, TypeVar

import click

from veza_nb.kernel.early import EarlyKernel

NOTEBOOK = "20-multi-service"
_OF_ONE = {
    "to_revision": "--to-revisions A=3,B=7",
    "image": "--to-revisions A=3,B=7",
    "max_steps": "one run a service for that",
    "migrate_down": "one run a service for that",
    "backup": "one run a service for that",
}
"""Options that mean one service, and what to use instead."""
_OF_SEVERAL = ("group", "to_revisions", "at_once", "failures", "on_failure")

F = TypeVar("F", bound=Callable[..., object])


def several_options(command: F) -> F:
    """--group, --to-revisions, --at-once, --failures, --on-failure."""
    for option in reversed(
        (
            click.option("--group", default="", help="A group of the catalogue."),
            click.option("--to-revisions", default="", help="Several: A=3,B=7; others stay."),
            click.option("--at-once", default="", help="Several: so many at a time, or 25%."),
            click.option("--failures", default=1, help="Several: stop after so many failures."),
            click.option(
                "--on-failure",
                default="stop",
                type=click.Choice(["stop", "continue", "put back"]),
                help="Several: what happens to the others then.",
            ),
        )
    ):
        command = option(command)
    return command


def is_several(services: Sequence[str], given: Mapping[str, Any]) -> bool:
    """Whether more than one service is meant.

    Raises:
        click.UsageError: an option means one service where several are named, or the other way.
    """
    several = len(services) > 1 or bool(given["group"])
    if several:
        for name, instead in _OF_ONE.items():
            if given.get(name):
                option = f"--{name.replace('_', '-')}"
                raise click.UsageError(f"{option} means one service; use {instead}.")
    elif given["to_revisions"]:
        raise click.UsageError("--to-revisions is for several services; use --to-revision.")
    return several


def without_several(given: Mapping[str, Any]) -> dict[str, Any]:
    """The options that the notebook for one service knows."""
    return {name: value for name, value in given.items() if name not in _OF_SEVERAL}


def roll_back_several(
    kernel: EarlyKernel, services: Sequence[str], *, extra: Mapping[str, str], **given: Any
) -> int:
    """Run the notebook for several services; return the exit code."""
    from veza_nb.cli.headless import report, run_notebook  # noqa: PLC0415 - while it boots
    from veza_nb.cli.options import catalog_of  # noqa: PLC0415 - while it boots
    from veza_nb.clock import SystemClock  # noqa: PLC0415 - while it boots
    from veza_nb.groupopening import chosen_services  # noqa: PLC0415 - while it boots
    from veza_nb.records import new_incident_id  # noqa: PLC0415 - while it boots

    named, group = ", ".join(services), given["group"]
    name, _ = chosen_services(named, group, catalog_of(given["catalog"]))
    incident = given.pop("incident") or new_incident_id(group or "services", SystemClock().now())
    for one in _OF_ONE:
        given.pop(one, None)
    return report(
        run_notebook(
            kernel, NOTEBOOK, name, incident=incident, extra=extra, services=named, **given
        )
    )
