"""Promises of the project about itself: lists that must not drift, imports that must stay cheap."""

import ast
import inspect
import re
import subprocess
import sys
import tomllib
from collections.abc import Iterator
from pathlib import Path

import msgspec
import pytest
import yaml

import veza_nb
from veza_nb import catalog, errors
from veza_nb.byhand import CAUSES
from veza_nb.cli import COMMANDS
from veza_nb.notebooks import notebook_path, parameters_of
from veza_nb.vocabulary import ExitCode

ROOT = Path(__file__).parent.parent
README = (ROOT / "README.md").read_text(encoding="utf-8")
CATALOGUE = (ROOT / "docs" / "catalogue.md").read_text(encoding="utf-8")
GUARDS = (ROOT / "docs" / "guards.md").read_text(encoding="utf-8")
PAGES = (ROOT / "README.md", *sorted((ROOT / "docs").rglob("*.md")))
UV = Path(sys.executable).with_name("uv")


def test_conda_users_get_the_locked_set_through_the_one_list() -> None:
    project = tomllib.loads((ROOT / "pyproject.toml").read_text())["project"]
    environment = yaml.safe_load((ROOT / "environment.yml").read_text())
    python, pip, by_pip = environment["dependencies"]

    assert python == f"python{project['requires-python']}"
    assert pip == "pip"
    assert by_pip == {"pip": ["-r requirements.txt", "-e ."]}


def test_requirements_are_the_lock_as_pip_reads_it() -> None:
    exported = subprocess.run(
        [
            UV,
            "export",
            "--locked",
            "--quiet",
            "--no-dev",
            "--no-emit-project",
            "--no-hashes",
            "--no-header",
            "--no-annotate",
            "--offline",
        ],
        cwd=ROOT,
        check=True,
        capture_output=True,
        text=True,
    ).stdout

    assert exported == (ROOT / "requirements.txt").read_text()


def test_importing_the_package_costs_nothing() -> None:
    probe = (
        "import sys, veza_nb, veza_nb.cli; "
        "heavy = {'kubernetes', 'pandas', 'papermill', 'IPython', 'ipywidgets', 'nbformat'}; "
        "print(sorted(heavy & set(sys.modules)))"
    )
    answer = subprocess.run(
        [sys.executable, "-c", probe], check=True, capture_output=True, text=True
    )

    assert answer.stdout == "[]\n"


def test_public_names_are_those_the_readme_lists() -> None:
    line = next(x for x in README.splitlines() if x.startswith("The public API"))

    assert veza_nb.__all__ == sorted(veza_nb.__all__)
    for name in veza_nb.__all__:
        assert f"`{name}`" in line
        assert getattr(veza_nb, name)


def test_readme_lists_every_parameter_of_the_main_notebook() -> None:
    section = README.partition("### Parameters")[2].partition("##")[0]

    missing = [n for n in parameters_of(notebook_path("10-rollback")) if f"`{n}`" not in section]
    assert missing == []


def test_readme_lists_every_exit_code() -> None:
    section = README.partition("## Exit codes")[2].partition("##")[0]

    assert [code for code in ExitCode if f"| {code.value} |" not in section] == []


def test_readme_leads_to_the_scenarios_and_names_every_command() -> None:
    assert [one for one in COMMANDS if f"veza-nb {one}" not in README] == []
    assert "make lab" in README
    assert "(docs/scenarios.md)" in README


def test_error_tree_is_drawn_completely_in_its_module() -> None:
    classes = [
        name
        for name, found in inspect.getmembers(errors, inspect.isclass)
        if issubclass(found, errors.VezaError)
    ]

    assert [name for name in classes if name not in (errors.__doc__ or "")] == []


SECTIONS: dict[str, tuple[type[msgspec.Struct], ...]] = {
    "The file": (catalog.Catalog,),
    "A service": (catalog.Service,),
    "endpoints": (catalog.Endpoint,),
    "metrics": (catalog.Measure,),
    "backing": (catalog.Backing,),
    "schema": (catalog.SchemaNeeds, catalog.SchemaHas),
    "migration": (catalog.Migration,),
    "verify": (catalog.Verify,),
    "smoke": (catalog.Smoke,),
    "monitoring": (catalog.Monitoring,),
    "freeze": (catalog.Freeze,),
    "approval": (catalog.Approving,),
    "hints": (catalog.Hint,),
    "gitops": (catalog.GitOps,),
}
"""Heading in docs/catalogue.md to what is read there."""
FILLED_IN = {"nearby", "source"}
"""Fields that no file may give."""


@pytest.mark.parametrize("heading", SECTIONS)
def test_every_catalogue_key_is_on_its_page_with_its_default(heading: str) -> None:
    rows = re.findall(r"^\| `(\w+)` \| (.*?) \|", _section(CATALOGUE, heading), re.MULTILINE)
    fields = [field for kind in SECTIONS[heading] for field in msgspec.structs.fields(kind)]
    keys = [one.encode_name for one in fields if one.encode_name not in FILLED_IN]

    assert sorted(key for key, _ in rows if key != "extends") == sorted(keys)
    said = dict(rows)
    for field in fields:
        if field.encode_name in keys:
            assert _default(field, said[field.encode_name]), field.encode_name


def test_every_section_of_the_catalogue_is_on_its_page() -> None:
    known = {kind for kinds in SECTIONS.values() for kind in kinds}
    # The two halves of `schema`, and what is filled in from the whole file.
    apart = {catalog.Schema, catalog.Nearby}
    sections = {
        found
        for _, found in inspect.getmembers(catalog, inspect.isclass)
        if issubclass(found, msgspec.Struct) and found.__module__ == catalog.__name__
    }

    assert {one for one in sections - known - apart if not one.__name__.startswith("_")} == set()


@pytest.mark.parametrize("page", ["README.md", "docs/catalogue.md"])
def test_catalogues_that_are_shown_can_be_loaded(page: str, tmp_path: Path) -> None:
    shown = re.findall(r"```yaml\n(.*?)```", (ROOT / page).read_text("utf-8"), re.DOTALL)

    assert shown != []
    for number, text in enumerate(shown):
        file = tmp_path / f"{number}.yaml"
        file.write_text(text, "utf-8")
        assert catalog.load_catalog(file).services


def test_every_guard_is_on_its_page() -> None:
    names = set(CAUSES)
    kit = ROOT / "veza_nb"
    for path in (*sorted((kit / "guards").glob("*.py")), kit / "prepare.py"):
        names |= set(_guards_of(path))

    assert len(names) > len(CAUSES)
    assert [name for name in sorted(names) if f"| `{name}" not in GUARDS] == []


@pytest.mark.parametrize("page", PAGES, ids=lambda page: str(page.relative_to(ROOT)))
def test_links_lead_somewhere(page: Path) -> None:
    assert [link for link, _ in _links(page) if not _leads_somewhere(page, link)] == []


def test_every_page_can_be_reached_from_the_readme() -> None:
    seen, todo = set(), [ROOT / "README.md"]
    while todo:
        page = todo.pop()
        seen.add(page)
        todo += [one for _, one in _links(page) if one in PAGES and one not in seen]

    assert sorted(set(PAGES) - seen) == []


def _section(page: str, heading: str) -> str:
    """What stands below a heading, up to the next one."""
    found = re.search(rf"^##+ {re.escape(heading)}\n(.*?)(?=^##|\Z)", page, re.M | re.S)
    assert found is not None, heading
    return found[1]


def _default(field: "msgspec.structs.FieldInfo", said: str) -> bool:
    """Whether the page says of a key what the code does."""
    if field.required:
        return said == "required"
    if field.default is None:
        return said == "none"
    made = field.default_factory
    default = made() if made is not msgspec.NODEFAULT else field.default
    if isinstance(default, msgspec.Struct):
        return said == f"[below](#{field.encode_name})"
    plain = msgspec.json.decode(msgspec.json.encode(default))
    return bool(yaml.safe_load(said.strip("`")) == plain)


def _guards_of(path: Path) -> Iterator[str]:
    """The names of the guards that a module makes, as far as they are written out."""
    for node in ast.walk(ast.parse(path.read_text("utf-8"))):
        if isinstance(node, ast.Call) and getattr(node.func, "id", "") == "Guard" and node.args:
            name = node.args[0]
            first = name.values[0] if isinstance(name, ast.JoinedStr) else name
            if isinstance(first, ast.Constant):
                yield str(first.value)


def _links(page: Path) -> list[tuple[str, Path]]:
    """Links and pictures of a page that stay in this project: as written, and what they name."""
    text = re.sub(r"```.*?```", "", page.read_text("utf-8"), flags=re.DOTALL)
    text = re.sub(r"`[^`\n]*`(?!\]\()", "", text)
    found = re.findall(r"\]\(([^)\s]+)\)", text)
    inside = [link for link in found if not re.match(r"[a-z]+:", link)]
    return [
        (link, (page.parent / (link.partition("#")[0] or page.name)).resolve()) for link in inside
    ]


def _leads_somewhere(page: Path, link: str) -> bool:
    file, _, anchor = link.partition("#")
    target = (page.parent / (file or page.name)).resolve()
    if not target.exists():
        return False
    return not anchor or anchor in _anchors(target.read_text("utf-8"))


def _anchors(text: str) -> set[str]:
    """The anchors of a page's headings, as they are made of them."""
    heads = re.findall(r"^#+ (.+)$", text, re.MULTILINE)
    return {re.sub(r"[^\w\- ]", "", head.lower()).replace(" ", "-") for head in heads}
