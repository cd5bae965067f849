"""The runbook's nine lines: smoke tests, the users' page, and what a person says."""

import ast
import json
import sys
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest
import yaml

from tests.e2e.scenes import SERVICE, Scene, scene_of
from veza_nb import Incident
from veza_nb.errors import NotRecoveredError, UsageError
from veza_nb.plans import Plan

pytestmark = pytest.mark.powers

SMOKE = """
import os, pathlib, urllib.request
pathlib.Path("seen.txt").write_text(repr(dict(os.environ)))
with urllib.request.urlopen(os.environ["VEZA_URL"] + "/api/v1/tracks") as answer:
    print("tracks:", answer.status, "password=hunter2-not-for-the-record")
"""


@pytest.fixture
def scene(tmp_path: Path) -> Iterator[Scene]:
    yield from scene_of("crash-loop", tmp_path)


def smoke(scene: Scene, code: str, **more: Any) -> dict[str, Any]:
    path = scene.catalog.parent / "smoke.py"
    path.write_text(code)
    return {"name": "tracks", "command": [sys.executable, path.name], **more}


def undone(scene: Scene) -> tuple[Incident, Plan]:
    incident = scene.incident()
    incident.detect()
    plan = incident.plan()
    incident.approve(plan, confirm=SERVICE)
    incident.undo(plan)
    return incident, plan


def entries(scene: Scene) -> dict[str, str]:
    return {one["title"]: one["verdict"] for one in scene.record()["verification"]["entries"]}


def test_all_that_can_be_asked_is_asked_and_its_output_is_kept(scene: Scene) -> None:
    catalog = yaml.safe_load(scene.catalog.read_text())
    url = catalog["services"][SERVICE]["url"]
    catalog["services"][SERVICE]["external_url"] = f"{url}/api/v1/tracks"
    scene.catalog.write_text(yaml.safe_dump(catalog))
    scene.configure(smoke=[smoke(scene, SMOKE)])

    incident, plan = undone(scene)
    incident.verify()
    incident.further()
    incident.close()

    seen = entries(scene)
    assert [verdict for title, verdict in seen.items() if title.startswith(("metr", "monit"))] == [
        "inconclusive", "inconclusive",
    ]  # fmt: skip
    assert list(seen.values()).count("pass") == 7
    checks = {one["name"]: one for one in scene.record()["verification"]["checks"]}
    assert checks["smoke-tracks"]["verdict"] == "pass"
    kept = json.loads((scene.records / "incident/evidence/smoke-tracks.json").read_text())
    assert (kept["exit_code"], kept["output"].split()[:2]) == (0, ["tracks:", "200"])
    assert "hunter2" not in json.dumps(kept)
    environment = ast.literal_eval((scene.catalog.parent / "seen.txt").read_text())
    assert environment["VEZA_SERVICE"] == SERVICE
    assert environment["VEZA_REVISION"] == str(plan.to_revision)


def test_a_smoke_test_that_fails_is_no_recovery(scene: Scene) -> None:
    scene.configure(smoke=[smoke(scene, "raise SystemExit('no tracks in the answer')")])

    done = scene.rollback("--confirm", SERVICE)

    assert done.code == 4, done.stderr + done.stdout[-3000:]
    assert "no tracks in the answer" in done.stdout
    assert entries(scene)["critical endpoints responding"] == "fail"


def test_smoke_tests_wait_for_the_rollout_and_are_asked_of_their_service_only(
    scene: Scene,
) -> None:
    scene.configure(
        smoke=[
            smoke(scene, "raise SystemExit('must not be run')"),
            {"name": "other", "command": ["false"], "services": ["veza-frontend"]},
        ]
    )
    incident = scene.incident()
    incident.detect()
    incident.plan()  # and nothing done: the bad release is still live, and crashes

    incident.verify()

    checks = {one["name"]: one for one in scene.record()["verification"]["checks"]}
    assert checks["smoke-tracks"]["evidence"] == ["not run: the rollout is not complete"]
    assert "smoke-other" not in checks


def test_what_a_person_says_is_written_down_as_a_parameter_and_a_no_counts(scene: Scene) -> None:
    incident, _ = undone(scene)
    with pytest.raises(UsageError, match="'perhaps' is no answer"):
        incident.verify(users_ok="perhaps")
    incident.verify()
    assert entries(scene)["users can access the platform"] == "inconclusive"
    assert scene.record()["verification"]["verdict"] == "pass"

    incident.verify(users_ok="no")

    record = scene.record()
    assert record["parameters"]["users_ok"] == "no"
    checks = {one["name"]: one for one in record["verification"]["checks"]}
    assert checks["users"]["evidence"] == ["kim says: no"]
    with pytest.raises(NotRecoveredError):
        incident.close()


def test_where_the_catalogue_wants_a_word_on_users_silence_leaves_it_open(scene: Scene) -> None:
    scene.configure(require_users=True)

    silent = scene.rollback("--confirm", SERVICE, "--incident", "one")
    said = scene.rollback("--confirm", SERVICE, "--incident", "one", "--users-ok", "yes")

    assert (silent.code, said.code) == (5, 0), silent.stderr + said.stderr
    assert scene.undos == 1
