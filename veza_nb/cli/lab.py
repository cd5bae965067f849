"""`veza-nb lab`: the notebooks in JupyterLab."""

import os
import sys
from pathlib import Path

import click

from veza_nb.cli.options import records_root
from veza_nb.notebooks import notebook_path

CONFIG = Path(__file__).parent.parent / "data" / "jupyter"
"""No news, no update check: nothing may pop up over an incident."""


@click.command(context_settings={"ignore_unknown_options": True})
@click.argument("jupyter_arguments", nargs=-1, type=click.UNPROCESSED)
def command(jupyter_arguments: tuple[str, ...]) -> None:
    """Open JupyterLab on 00-start; further arguments go to `jupyter lab`."""
    start = notebook_path("00-start")
    os.environ["VEZA_RECORDS"] = str(records_root(""))
    paths = (str(CONFIG), os.environ.get("JUPYTER_CONFIG_PATH", ""))
    os.environ["JUPYTER_CONFIG_PATH"] = os.pathsep.join(filter(None, paths))
    settings = {
        "--ServerApp.root_dir": start.parent,
        "--LabApp.default_url": f"/lab/tree/{start.name}",
    }
    given = {argument.partition("=")[0] for argument in jupyter_arguments}
    ours = [f"{name}={value}" for name, value in settings.items() if name not in given]
    # This process becomes JupyterLab: signals and exit code are its own.
    os.execv(sys.executable, [sys.executable, "-m", "jupyterlab", *ours, *jupyter_arguments])
