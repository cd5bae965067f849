"""`veza-nb sandbox user`: who may come to the training cluster."""

import click

from veza_nb.cli.sandbox_line import ask


@click.group(invoke_without_command=True)
@click.pass_context
def user(context: click.Context) -> None:
    """Who may come, each with a context in the kubeconfig; without a command: a list."""
    if context.invoked_subcommand is None:
        context.invoke(list_users)


@user.command("list")
def list_users() -> None:
    """Tell the contexts, whose they are and what they show."""
    for each in ask("users.list", {}):
        click.echo(f"{each['context']:<24} {each['user']}  by {each['by']}")


@user.command()
@click.argument("name")
@click.option("--group", "groups", multiple=True, help="May come more than once.")
@click.option("--certificate", is_flag=True, help="A client certificate instead of a token.")
@click.option("--seconds", type=float, help="Until the certificate expires; below 0: it has.")
def add(name: str, groups: tuple[str, ...], certificate: bool, seconds: float | None) -> None:
    """Add a user, who has no rights but those that bindings give."""
    said = {"name": name, "groups": list(groups), "certificate": certificate, "seconds": seconds}
    _say(ask("users.add", said))


@user.command()
@click.argument("name")
@click.option("--seconds", type=float, help="Until the new certificate expires.")
def rotate(name: str, seconds: float | None) -> None:
    """Give a user new credentials; an old token is dead at once."""
    _say(ask("users.rotate", {"name": name, "seconds": seconds}))


def _say(told: dict[str, str]) -> None:
    click.echo(f"The kubeconfig has new credentials in the context {told['context']}.")
