"""Who may import what, beyond the order of layers that import-linter keeps."""

import grimp
import pytest


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
        ("urllib3", {"cluster", "probes"}),
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


def test_the_pure_middle_has_no_clock_and_no_input_or_output(graph: grimp.ImportGraph) -> None:
    pure = ("revisions", "rollout", "findings", "plans", "checks", "guards", "podtemplates")
    edge = {"time", "random", "os", "pathlib", "socket", "subprocess", "threading", "open"}

    for room in pure:
        assert graph.find_modules_directly_imported_by(f"veza_nb.{room}") & edge == set(), room
