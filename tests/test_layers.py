"""Who may import what, beyond the order of layers that import-linter keeps."""

import ast
import re
from pathlib import Path

import grimp
import pytest

import veza_nb


@pytest.fixture(scope="module")
def graph() -> grimp.ImportGraph:
    return grimp.build_graph("veza_nb", include_external_packages=True)


def importers(graph: grimp.ImportGraph, package: str) -> set[str]:
    """The rooms that import this package directly."""
    found = graph.find_modules_that_directly_import(package)
    return {".".join(name.split(".")[1:2]) for name in found}


@pytest.mark.parametrize(
    ("package", "rooms"),
    [
        ("kubernetes", {"cluster"}),
        ("urllib3", {"cluster", "monitoring", "probes"}),
        ("papermill", {"runner", "engine"}),
        ("ipywidgets", {"widgets"}),
        ("aiohttp", {"sandbox"}),
    ],
)
def test_a_vendor_is_known_to_its_room_only(
    graph: grimp.ImportGraph, package: str, rooms: set[str]
) -> None:
    assert importers(graph, package) == rooms


def test_the_training_cluster_knows_nothing_of_the_kit(graph: grimp.ImportGraph) -> None:
    inside = {"veza_nb.sandbox", *graph.find_descendants("veza_nb.sandbox")}
    known = {
        imported
        for module in inside
        for imported in graph.find_modules_directly_imported_by(module)
        if imported.startswith("veza_nb.")
    }

    assert known - inside == set()


PURE = (
    *("rates", "checklist", "probechecks", "userchecks", "smokechecks", "monitorchecks"),
    *("approvals", "checks", "plans", "choices", "orders", "managers", "findings", "symptoms"),
    *("guards.case", "guards.basics", "guards.byhand", "guards.images", "guards.owners"),
    "guards.surroundings",
    *("reputation", "vitals", "surroundings", "quotas", "references"),
    *("yamldiff", "series", "timeline"),
    *("podsymptoms", "lateness", "scene", "evidence", "rollout", "revisions", "troubles"),
    *("replicasets", "podtemplates", "controllerrevisions", "byhand"),
)
EDGE = frozenset(
    {"time", "random", "secrets", "os", "pathlib", "socket", "subprocess", "threading"}
)
IMPURE_CALLS = re.compile(r"open|input|print|((date|datetime)\.)+(now|utcnow|today)|time\..*")


@pytest.mark.parametrize("room", PURE)
def test_the_pure_middle_has_no_clock_and_no_input_or_output(
    graph: grimp.ImportGraph, room: str
) -> None:
    imported = graph.find_modules_directly_imported_by(f"veza_nb.{room}")
    source = (Path(veza_nb.__file__).parent / f"{room.replace('.', '/')}.py").read_text()

    assert imported & EDGE == set()
    assert impure_calls(source) == []


@pytest.mark.parametrize(
    "source",
    ["open('x')", "x = datetime.now(UTC)", "datetime.datetime.utcnow()", "time.monotonic()",
     "[date.today() for _ in y]", "print(1)"],
)  # fmt: skip
def test_a_clock_or_a_file_in_the_middle_would_be_found(source: str) -> None:
    assert impure_calls(source)


def impure_calls(source: str) -> list[str]:
    """The calls that read a clock or touch the outside, as they are written."""
    calls = (node for node in ast.walk(ast.parse(source)) if isinstance(node, ast.Call))
    names = (ast.unparse(call.func) for call in calls)
    return [name for name in names if IMPURE_CALLS.fullmatch(name)]
