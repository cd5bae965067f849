"""Workloads and Jobs end up as the same objects as on a real control plane (recordings 25)."""

from __future__ import annotations

import json
from typing import Any

import pytest

from tests.sandbox.conftest import RECORDINGS
from tests.sandbox.planes import SPACE, Stage, play
from tests.sandbox.test_controllers_jobs import releases
from veza_nb.sandbox.apiserver.client import PatchType

Json = dict[str, Any]
_VARYING = frozenset(
    (
        "completionTime",
        "creationTimestamp",
        "currentRevision",
        "lastProbeTime",
        "lastTransitionTime",
        "name",
        "namespace",
        "resourceVersion",
        "startTime",
        "time",
        "uid",
        "updateRevision",
    )
)
# Long enough for a rollout, and late in a second, so that a quick one ends in another second than
# it began in, as a real one does: entries of the same second stand in the order of their names.
_ROLLOUT_SECONDS = 20.4
_HASHES = ("controller-revision-hash", "controller.kubernetes.io/hash")


def recorded(name: str) -> Json:
    loaded: Json = json.loads((RECORDINGS / "objects" / name).read_text("utf-8"))
    return loaded


def normalised(value: Any) -> Any:
    """Without what differs from run to run; the members' order stays."""
    if isinstance(value, dict):
        kept = {key: each for key, each in value.items() if key not in _VARYING}
        return {
            _without_uid(key): "HASH" if key in _HASHES else normalised(each)
            for key, each in kept.items()
        }
    if isinstance(value, list):
        return [normalised(each) for each in value]
    return value


def _without_uid(key: str) -> str:
    return 'k:{"uid"}' if key.startswith('k:{"uid":') else key


def text(document: Json) -> str:
    """The object as text, its creator's manager left out: that is whoever made it."""
    shown = normalised({name: document[name] for name in ("metadata", "spec", "status")})
    for entry in shown["metadata"]["managedFields"]:
        if entry["manager"] in ("tests", "python-urllib3"):
            entry["manager"] = "CREATOR"
    return json.dumps(shown, indent=1)


@pytest.mark.parametrize("plural", ["statefulsets", "daemonsets"])
def test_a_workload_is_the_recorded_one_after_a_rollout_and_its_undo(plural: str) -> None:
    async def story(stage: Stage) -> None:
        expected = recorded(f"25-{plural}.json")
        name, labels = expected["metadata"]["name"], expected["metadata"]["labels"]
        body = {"metadata": {"name": name, "labels": labels}, "spec": expected["spec"]}
        stage.admin.create(plural, SPACE, body)
        await stage.pass_time(_ROLLOUT_SECONDS)
        container = expected["spec"]["template"]["spec"]["containers"][0]
        kubectl = stage.plane.client("admin", "kubectl")
        for tag in ("v2", "v1"):
            image = container["image"].rpartition(":")[0] + f":{tag}"
            containers = [{"name": container["name"], "image": image}]
            patch = {"spec": {"template": {"spec": {"containers": containers}}}}
            kubectl.patch(plural, SPACE, name, patch, kind=PatchType.STRATEGIC)
            await stage.pass_time(_ROLLOUT_SECONDS)

        assert text(stage.admin.get(plural, SPACE, name)) == text(expected)
        mine = stage.admin.list("controllerrevisions", SPACE)
        real = [
            item
            for item in recorded("25-controllerrevisions.json")["items"]
            if item["metadata"]["name"].startswith(name)
        ]
        for items in (mine, real):
            items.sort(key=lambda item: item["revision"])
        assert json.dumps(normalised(mine)) == json.dumps(normalised(real))

    play(story)


@pytest.mark.parametrize(
    ("name", "tag"), [("migrate-ok", "v1-done"), ("migrate-broken", "v1-fail")]
)
def test_a_job_ends_as_the_recorded_one(name: str, tag: str) -> None:
    async def story(stage: Stage) -> None:
        items = recorded("25-jobs.json")["items"]
        [expected] = [item for item in items if item["metadata"]["name"] == name]
        container = {"name": "m", "image": f"registry.veza.example/migrate:{tag}"}
        template = {"spec": {"restartPolicy": "Never", "containers": [container]}}
        body = {"metadata": {"name": name}, "spec": {"backoffLimit": 1, "template": template}}
        stage.admin.create("jobs", SPACE, body)
        await stage.pass_time(60)
        mine = stage.admin.get("jobs", SPACE, name)

        assert json.dumps(normalised(mine["status"])) == json.dumps(normalised(expected["status"]))
        fields = [
            [(entry["operation"], entry["fieldsV1"]) for entry in each["metadata"]["managedFields"]]
            for each in (mine, expected)
        ]
        assert fields[0] == fields[1]
        assert set(mine["metadata"]["labels"]) == set(expected["metadata"]["labels"])
        assert set(mine["spec"]) == set(expected["spec"])

    play(story, releases())
