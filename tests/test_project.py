"""Promises of the project about itself: lists that must not drift, imports that must stay cheap."""

import inspect
import subprocess
import sys
import tomllib
from pathlib import Path

import yaml

import veza_nb
from veza_nb import errors
from veza_nb.cli import COMMANDS
from veza_nb.notebooks import notebook_path, parameters_of
from veza_nb.sandbox import scenarios
from veza_nb.vocabulary import ExitCode

ROOT = Path(__file__).parent.parent
README = (ROOT / "README.md").read_text(encoding="utf-8")
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


def test_readme_names_every_scenario_and_every_command() -> None:
    assert [one for one in COMMANDS if f"veza-nb {one}" not in README] == ["lab"]
    assert "make lab" in README
    assert [one for one in scenarios.names() if one not in README] == []


def test_error_tree_is_drawn_completely_in_its_module() -> None:
    classes = [
        name
        for name, found in inspect.getmembers(errors, inspect.isclass)
        if issubclass(found, errors.VezaError)
    ]

    assert [name for name in classes if name not in (errors.__doc__ or "")] == []
