"""`veza-nb completion`: the script that teaches a shell this command line."""

import click
from click.shell_completion import get_completion_class


@click.command()
@click.argument("shell", type=click.Choice(["bash", "zsh", "fish"]))
@click.pass_context
def command(ctx: click.Context, shell: str) -> None:
    """Print the completion script for SHELL.

    Bash, for example: veza-nb completion bash > ~/.local/share/bash-completion/completions/veza-nb
    """
    kind = get_completion_class(shell)
    if kind is None:
        raise click.UsageError(f"No completion for {shell}.")
    root = ctx.find_root().command
    click.echo(kind(root, {}, "veza-nb", "_VEZA_NB_COMPLETE").source())
