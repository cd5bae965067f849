"""Options that several commands share, spelled once."""

import getpass
import os
from collections.abc import Callable
from pathlib import Path
from typing import TYPE_CHECKING, TypeVar

import click
from click.shell_completion import CompletionItem

from veza_nb.errors import VezaError

if TYPE_CHECKING:
    from veza_nb.catalog import Catalog

F = TypeVar("F", bound=Callable[..., object])


_CONTEXT = click.option("--context", default="", help="Of the kubeconfig; default: current.")
_KUBECONFIG = click.option(
    "--kubeconfig",
    default="",
    type=click.Path(),
    help="Default: $KUBECONFIG, then ~/.kube/config.",
)
_TIMEOUT = click.option(
    "--timeout",
    default=10.0,
    show_default=True,
    type=click.FloatRange(0.1, 600),
    help="Seconds for one request to the API server.",
)


def connection_options(command: F) -> F:
    """--context, --kubeconfig, --timeout: where the rest is known already."""
    return _CONTEXT(_KUBECONFIG(_TIMEOUT(command)))


def cluster_options(command: F) -> F:
    """--namespace, --context, --kubeconfig, --catalog, --timeout."""
    for option in reversed(
        (
            click.option("--namespace", "-n", default="", help="Instead of the catalogue's."),
            _CONTEXT,
            _KUBECONFIG,
            click.option(
                "--catalog",
                default="",
                type=click.Path(),
                help="Services file; default: $VEZA_CATALOG, then Veza's own.",
            ),
            _TIMEOUT,
        )
    ):
        command = option(command)
    return command


def choice_options(command: F) -> F:
    """--to-revision, --as-of, --image, --break-glass, --force-lock."""
    for option in reversed(
        (
            click.option("--to-revision", default=0, help="Default: the recommended one."),
            click.option("--as-of", default="", help="What was in service then: a time, or 2h."),
            click.option("--image", default="", help="The newest revision with this image or tag."),
            click.option("--break-glass", default="", help="Why, during a change freeze."),
            click.option("--force-lock", default="", help="Why, to take somebody else's lock."),
        )
    ):
        command = option(command)
    return command


def service_argument(command: F) -> F:
    """SERVICE, completed from the catalogue."""
    return click.argument("service", shell_complete=_services)(command)


def services_argument(command: F) -> F:
    """SERVICE, none or several of them, where something else may name it too."""
    argument = click.argument(
        "services", nargs=-1, metavar="[SERVICE]...", shell_complete=_services
    )
    return argument(command)


def _services(ctx: click.Context, _: click.Parameter, begun: str) -> list[CompletionItem]:
    try:
        names = catalog_of(str(ctx.params.get("catalog") or "")).services
    except VezaError:
        return []
    return [CompletionItem(name) for name in names if name.startswith(begun)]


def catalog_of(path: str) -> "Catalog":
    """The catalogue that was asked for."""
    from veza_nb.catalog import usual_catalog  # noqa: PLC0415 - lazy: a kernel may boot first

    return usual_catalog(path)


def records_root(given: str) -> Path:
    """The records folder, absolute: the kernel may run elsewhere."""
    return Path(given or os.environ.get("VEZA_RECORDS", "") or "records").expanduser().absolute()


def login_name() -> str:
    """Who is at the keyboard, as far as the operating system knows."""
    try:
        return getpass.getuser()
    except (KeyError, OSError):
        return f"uid-{os.getuid()}"
