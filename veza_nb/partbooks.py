"""The notebook of one service of a group, as if it had been run alone: same cells, its outputs.

So a group's record holds for each service what a run of `10-rollback` would have left, and that
notebook can be run again by itself: its parameters are those of the service's own incident.
"""

import json
from collections.abc import Mapping, Sequence
from typing import Any

from veza_nb.notebooks import notebook_path
from veza_nb.redact import Redactor, redact_notebook
from veza_nb.render.page import Showable

NOTEBOOK = "rollback.ipynb"
SOURCE = "10-rollback"


def part_notebook(
    parameters: Mapping[str, object], pages: Mapping[str, Sequence[Showable]], errors: Sequence[str]
) -> str:
    """The notebook as text.

    Args:
        parameters: of this service's run; others keep the notebook's defaults.
        pages: cell id to what that cell showed.
        errors: what ended the last step, line by line; empty where it went well.

    Returns:
        JSON, redacted.
    """
    notebook: dict[str, Any] = json.loads(notebook_path(SOURCE).read_text("utf-8"))
    cells: list[dict[str, Any]] = []
    for cell in notebook["cells"]:
        shown = pages.get(cell["id"], ())
        cells.append({**cell, "outputs": [_output(page) for page in shown]} if shown else cell)
        if "parameters" in cell["metadata"].get("tags", ()):
            cells.append(_injected(parameters))
    if errors:
        cells.append(_ended(errors))
    whole = redact_notebook({**notebook, "cells": cells}, Redactor())
    return json.dumps(whole, indent=1, ensure_ascii=False) + "\n"


def _injected(parameters: Mapping[str, object]) -> dict[str, Any]:
    lines = [f"{name} = {value!r}\n" for name, value in parameters.items()]
    return {
        "cell_type": "code",
        "id": "injected-parameters",
        "metadata": {"tags": ["injected-parameters"]},
        "execution_count": None,
        "outputs": [],
        "source": ["# Parameters\n", *lines],
    }


def _output(page: Showable) -> dict[str, Any]:
    data = {"text/plain": page.text, "text/html": page.html}
    return {"output_type": "display_data", "metadata": {}, "data": data}


def _ended(errors: Sequence[str]) -> dict[str, Any]:
    said = "".join(f"> {line}\n>\n" for line in errors)
    return {
        "cell_type": "markdown",
        "id": "ended",
        "metadata": {},
        "source": f"**The last step ended early.**\n\n{said}",
    }
