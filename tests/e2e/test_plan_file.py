"""A plan file is run exactly as it was approved, or not at all."""

import json
from pathlib import Path

import pytest

from tests.e2e.conftest import VEZA_NB as COMMAND
from tests.e2e.conftest import Application, run_command
from veza_nb.vocabulary import RolloutPhase


@pytest.fixture
def file(broken: Application, tmp_path: Path) -> Path:
    path = tmp_path / "plan.json"
    done = broken.veza_nb("plan", "-o", str(path))

    assert done.code == 0, done.stderr
    assert f"Written to {path}" in done.stdout
    return path


def run(seen: Application, *arguments: str) -> tuple[int, str]:
    """`veza-nb rollback` without a SERVICE."""
    done = run_command(
        COMMAND, "rollback", "--kubeconfig", str(seen.kubeconfig), "--context", seen.context,
        "--catalog", str(seen.catalog), "--records", str(seen.records), *arguments,
    )  # fmt: skip
    return done.code, " ".join(done.stderr.split())


def test_the_plan_that_was_approved_is_run(broken: Application, file: Path) -> None:
    code, said = run(broken, "--plan", str(file), "--approved-by", "bob", "--operator", "alice")

    assert code == 0, said
    assert broken.image == broken.images.good
    approval = broken.record()["approval"]
    assert (approval["approver"], approval["method"]) == ("bob", "plan id")
    assert approval["plan"] == json.loads(file.read_text())["plan"]["id"]


def test_a_deployment_that_changed_since_is_refused(broken: Application, file: Path) -> None:
    body = {"spec": {"minReadySeconds": 1}}
    broken.apps.patch_namespaced_deployment("veza-e2e", broken.namespace, body)
    broken.wait_for(RolloutPhase.STUCK)

    code, said = run(broken, "--plan", str(file), "--approved-by", "bob")

    assert code == 3
    assert "The confirmation is for another plan" in said
    assert broken.image == broken.images.bad


def test_what_was_named_is_named_again(broken: Application, tmp_path: Path) -> None:
    path = tmp_path / "named.json"
    broken.veza_nb("plan", "--image", broken.images.other, "-o", str(path))

    code, said = run(broken, "--plan", str(path), "--approved-by", "bob")

    assert code == 0, said
    assert broken.image == broken.images.other


@pytest.mark.parametrize(
    ("arguments", "said"),
    [
        (["--plan", "FILE"], "--plan and --approved-by go together"),
        (["--approved-by", "bob"], "--plan and --approved-by go together"),
        (["--plan", "FILE", "--approved-by", "b", "--image", "v1"], "leave out: image"),
        (["--plan", "FILE", "--approved-by", "b", "--confirm", "x"], "leave out: confirm"),
        (["other", "--plan", "FILE", "--approved-by", "b"], "leave out: SERVICE"),
        (["--plan", "/nowhere/plan.json", "--approved-by", "b"], "cannot be read"),
        ([], "Name the SERVICE"),
    ],
)
def test_half_or_doubled_instructions_are_wrong_usage(
    application: Application, tmp_path: Path, arguments: list[str], said: str
) -> None:
    path = tmp_path / "plan.json"
    plan = {"id": "p-0123456789ab", "service": "veza-e2e"}
    path.write_text(json.dumps({"format": 1, "asked": {}, "plan": plan}))

    code, told = run(application, *(str(path) if one == "FILE" else one for one in arguments))

    assert code == 2
    assert said in told


@pytest.mark.parametrize(
    ("text", "said"),
    [
        ("", "holds no plan"),
        ("{", "holds no plan"),
        ('{"format": 1, "asked": {}, "plan": {"what": "refused"}}', "holds no plan"),
        ('{"format": 1, "asked": {"cluster": "x"}, "plan": {}}', "holds no plan"),
        ('{"format": 2, "asked": {}, "plan": {"id": "p", "service": "s"}}', "has format 2"),
    ],
)
def test_a_file_that_holds_no_plan_is_refused(
    application: Application, tmp_path: Path, text: str, said: str
) -> None:
    path = tmp_path / "plan.json"
    path.write_text(text)

    code, told = run(application, "--plan", str(path), "--approved-by", "bob")

    assert code == 2
    assert said in told


def test_a_file_that_cannot_be_written_is_one_clear_line(broken: Application) -> None:
    done = broken.veza_nb("plan", "-o", "/nowhere/plan.json")

    assert done.code == 2
    assert "/nowhere/plan.json cannot be written: No such file" in done.stderr
