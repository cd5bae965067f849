"""`veza-nb lab`: the notebooks in JupyterLab."""

import os
import sys

import click

from veza_nb.cli.options import records_root
from veza_nb.notebooks import notebook_path


@click.command(context_settings={"ignore_unknown_options": True})
@click.argument("jupyter_arguments", nargs=-1, type=click.UNPROCESSED)
def command(jupyter_arguments: tuple[str, ...]) -> None:
    """Open JupyterLab on 00-start; further arguments go to `jupyter lab`."""
    start = notebook_path("00-start")
    os.environ["VEZA_RECORDS"] = str(records_root(""))
    arguments = [f"--ServerApp.root_dir={start.parent}", *jupyter_arguments]
    # This process becomes JupyterLab: signals and exit code are its own.
    os.execv(sys.executable, [sys.executable, "-m", "jupyterlab", *arguments, str(start)])
