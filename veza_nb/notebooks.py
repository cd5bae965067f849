"""The runbook's notebooks: where they are, and which parameters they take.

Parameters are read from the source with Python's own parser: no papermill needed to refuse
an unknown one in time.
"""

import ast
import json
from collections.abc import Callable, Mapping
from pathlib import Path
from typing import Any

from veza_nb.errors import UsageError
from veza_nb.words import listing

_INSTALLED = Path(__file__).with_name("_notebooks")
_READERS: dict[type, Callable[[str], object]] = {int: int, float: float}
_CHECKOUT = Path(__file__).parent.parent / "notebooks"


def notebook_path(name: str) -> Path:
    """The notebook of that name ("10-rollback"), from the package or from a checkout.

    Raises:
        UsageError: there is no such notebook.
    """
    folder = _INSTALLED if _INSTALLED.is_dir() else _CHECKOUT
    path = folder / f"{name}.ipynb"
    if not path.is_file():
        known = listing(sorted(one.stem for one in folder.glob("*.ipynb")), limit=12)
        raise UsageError(f"There is no notebook {name!r}.", next_step=f"There are: {known}.")
    return path


def parameters_of(path: Path) -> dict[str, Any]:
    """The notebook's parameters with their defaults, in the order of its `parameters` cell."""
    cells = json.loads(path.read_text(encoding="utf-8"))["cells"]
    tagged = (c for c in cells if "parameters" in c["metadata"].get("tags", ()))
    source = "".join(next(tagged)["source"])
    assigned = (node for node in ast.parse(source).body if isinstance(node, ast.AnnAssign))
    return {
        node.target.id: ast.literal_eval(node.value)
        for node in assigned
        if isinstance(node.target, ast.Name) and node.value is not None
    }


def typed_parameters(path: Path, given: Mapping[str, str]) -> dict[str, Any]:
    """Parameters given as text, with the types that the notebook's defaults have.

    Raises:
        UsageError: the notebook has no such parameter, or the text is no such value.
    """
    known = parameters_of(path)
    unknown = [name for name in given if name not in known]
    if unknown:
        raise UsageError(
            f"The notebook {path.stem} has no parameter {unknown[0]!r}.",
            next_step=f"It has: {', '.join(known)}.",
        )
    return {name: _typed(name, text, known[name]) for name, text in given.items()}


def _typed(name: str, text: str, default: object) -> object:
    kind = type(default)
    try:
        return _READERS.get(kind, str)(text)
    except ValueError as error:
        raise UsageError(
            f"The parameter {name} takes a value of type {kind.__name__}, not {text!r}.",
            next_step="Correct it.",
        ) from error
