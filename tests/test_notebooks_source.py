"""The notebooks as source: what every reader may rely on."""

import ast
import json
from pathlib import Path
from typing import Any

import pytest

FOLDER = Path(__file__).parent.parent / "notebooks"
NOTEBOOKS = sorted(FOLDER.glob("*.ipynb"))
LONGEST_CELL = 12
LONGEST_LIST = 20


def cells(path: Path) -> list[dict[str, Any]]:
    return json.loads(path.read_text(encoding="utf-8"))["cells"]  # type: ignore[no-any-return]


def code(path: Path) -> list[dict[str, Any]]:
    return [cell for cell in cells(path) if cell["cell_type"] == "code"]


def source(cell: dict[str, Any]) -> str:
    return "".join(cell["source"])


def test_the_main_notebooks_are_there() -> None:
    assert {"00-start", "10-rollback"} <= {path.stem for path in NOTEBOOKS}


@pytest.mark.parametrize("path", NOTEBOOKS, ids=lambda path: path.stem)
class TestEveryNotebook:
    def test_is_stored_without_outputs_and_counts(self, path: Path) -> None:
        assert [c["id"] for c in code(path) if c["outputs"] or c["execution_count"]] == []

    def test_has_readable_unique_cell_ids(self, path: Path) -> None:
        ids = [cell["id"] for cell in cells(path)]

        assert len(ids) == len(set(ids))
        assert [one for one in ids if not one.replace("-", "").isalpha()] == []

    def test_runs_on_the_plain_python_kernel(self, path: Path) -> None:
        metadata = json.loads(path.read_text(encoding="utf-8"))["metadata"]

        assert metadata["kernelspec"]["name"] == "python3"

    def test_has_one_parameters_cell_first_with_explained_literals_only(self, path: Path) -> None:
        tagged = [c for c in code(path) if "parameters" in c["metadata"].get("tags", [])]
        lines = source(tagged[0]).splitlines()

        assert [cell["id"] for cell in tagged] == ["parameters"]
        assert code(path)[0]["id"] == "parameters"
        for line in lines:
            (statement,) = ast.parse(line).body
            assert isinstance(statement, ast.AnnAssign), line
            assert statement.value is not None
            ast.literal_eval(statement.value)
            assert "  # " in line

    def test_keeps_its_cells_short_and_free_of_logic(self, path: Path) -> None:
        forbidden = (
            ast.FunctionDef, ast.AsyncFunctionDef, ast.ClassDef, ast.Lambda, ast.For, ast.While,
            ast.If, ast.Try, ast.With, ast.ListComp, ast.DictComp, ast.GeneratorExp,
        )  # fmt: skip
        for cell in code(path):
            text = source(cell)
            # A list of values is read line by line; code has to be understood as a whole.
            longest = LONGEST_LIST if cell["id"] == "parameters" else LONGEST_CELL
            assert len(text.splitlines()) <= longest, cell["id"]
            assert not any(line.lstrip().startswith(("%", "!")) for line in text.splitlines())
            found = [node for node in ast.walk(ast.parse(text)) if isinstance(node, forbidden)]
            assert found == [], cell["id"]

    def test_has_prose_above_every_code_cell(self, path: Path) -> None:
        every = cells(path)
        for above, cell in zip([None, *every], every, strict=False):
            if cell["cell_type"] == "code":
                assert above is not None
                assert above["cell_type"] == "markdown", cell["id"]
                text = source(above)
                for word in ("**What**", "**Why**", "**Expect**"):
                    assert word in text, cell["id"]

    def test_imports_only_this_kit(self, path: Path) -> None:
        nodes = [node for cell in code(path) for node in ast.walk(ast.parse(source(cell)))]
        modules = [n.module for n in nodes if isinstance(n, ast.ImportFrom)]
        modules += [a.name for n in nodes if isinstance(n, ast.Import) for a in n.names]

        assert set(modules) <= {"veza_nb"}


def test_no_code_cell_is_repeated_across_notebooks() -> None:
    texts = [
        source(cell) for path in NOTEBOOKS for cell in code(path) if cell["id"] != "parameters"
    ]

    assert len(texts) == len(set(texts))


def test_main_notebook_has_the_cells_of_the_design_in_order() -> None:
    ids = [cell["id"] for cell in code(FOLDER / "10-rollback.ipynb")]

    assert ids == [
        "parameters", "open", "detect", "history", "plan", "approve", "undo", "verify", "further",
        "close",
    ]  # fmt: skip
