"""The command line. Each command lives in a module of its own, imported when it is called."""

import importlib
import os
import sys
from io import TextIOWrapper
from typing import Any

import click

from veza_nb import __version__
from veza_nb.errors import VezaError
from veza_nb.vocabulary import ExitCode

COMMANDS = {
    "rollback": "Roll back one service, headless, and leave a record.",
    "plan": "Show what a rollback would do; reads only.",
    "history": "Show the revisions, or what differs between two; reads only.",
    "drill": "Practise: training cluster up, fault in, rollback, verdict, down.",
    "doctor": "Check environment, kubeconfig and permissions; says what is missing.",
    "rbac": "Print the Role that a rollback needs.",
    "gitops": "End what an incident has paused in Argo CD or Flux.",
    "sandbox": "The training cluster: up, status, down.",
    "lab": "Open the notebooks in JupyterLab.",
    "completion": "Print the completion script for your shell.",
}

EPILOG = """\b
Examples:
  veza-nb doctor
  veza-nb plan veza-backend-api
  veza-nb rollback veza-backend-api --confirm veza-backend-api --reason "5xx since 02:10"
  veza-nb drill crash-loop

\b
Exit codes: 0 recovered, 1 unexpected error, 2 wrong usage or configuration,
3 refused and nothing changed, 4 acted and not recovered, 5 acted and inconclusive,
6 partial, 130 interrupted.
"""


class LazyGroup(click.Group):
    """A group that knows its commands by name and imports one only to run it."""

    def list_commands(self, ctx: click.Context) -> list[str]:  # noqa: ARG002 - click's signature
        """The names, in the order people need them."""
        return list(COMMANDS)

    def get_command(self, ctx: click.Context, cmd_name: str) -> click.Command | None:  # noqa: ARG002
        """Import the command; with `--help` of the group only its line is shown."""
        if cmd_name not in COMMANDS:
            return None
        module = importlib.import_module(f"veza_nb.cli.{cmd_name}")
        command: click.Command = module.command
        return command

    def format_commands(self, ctx: click.Context, formatter: click.HelpFormatter) -> None:  # noqa: ARG002
        """The list of commands, without importing any."""
        with formatter.section("Commands"):
            formatter.write_dl(list(COMMANDS.items()))


@click.group(cls=LazyGroup, epilog=EPILOG, context_settings={"help_option_names": ["-h", "--help"]})
@click.version_option(__version__, prog_name="veza-nb")
def cli() -> None:
    """Roll back a bad release on Kubernetes, safely, and leave a record."""


def main(arguments: list[str] | None = None) -> None:
    """Run the command line; every way out has its exit code."""
    for stream in (sys.stdout, sys.stderr):
        if isinstance(stream, TextIOWrapper):
            # A terminal that knows no check mark shows a question mark, and goes on.
            stream.reconfigure(errors="replace")
    code = _run(arguments)
    try:
        sys.stdout.flush()
    except OSError:
        _to_nowhere()
    sys.exit(code)


def _run(arguments: list[str] | None) -> int:
    try:
        result: Any = cli.main(arguments, prog_name="veza-nb", standalone_mode=False)
    except click.ClickException as error:
        error.show()
        return int(ExitCode.USAGE)
    except VezaError as error:
        complain(error)
        return error.exit_code
    except (KeyboardInterrupt, click.Abort):
        click.echo("Interrupted.", err=True)
        return int(ExitCode.INTERRUPTED)
    except BrokenPipeError:
        _to_nowhere()
        return int(ExitCode.ERROR)
    except Exception as error:
        if os.environ.get("VEZA_NB_DEBUG"):
            raise
        click.echo(f"Unexpected error: {type(error).__name__}: {error}", err=True)
        click.echo("Set VEZA_NB_DEBUG=1 to see where, and please report it.", err=True)
        return int(ExitCode.ERROR)
    return result if isinstance(result, int) else int(ExitCode.RECOVERED)


def _to_nowhere() -> None:
    """Somebody closed the pipe (`| head`): no more output is wanted, also not at exit."""
    os.dup2(os.open(os.devnull, os.O_WRONLY), sys.stdout.fileno())


def complain(error: VezaError) -> None:
    """Say on stderr what happened, what state the cluster is in, and what to do next."""
    click.secho(f"Error: {error.what}", fg="red", bold=True, err=True)
    for line in (error.state, error.next_step):
        if line:
            click.echo(f"  {line}", err=True)
