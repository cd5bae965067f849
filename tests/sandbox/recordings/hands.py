"""What kubectl sends for `set image` and `rollout undo`, for the many times that nobody looks."""

from __future__ import annotations

import json
from typing import Any

from tests.sandbox.recordings import places
from tests.sandbox.recordings.stage import Stage
from veza_nb.sandbox.apiserver.client import PatchType

Json = dict[str, Any]
_DEPLOYMENT = f"{places.APPS}/deployments/veza-backend-api"
_REVISION = "deployment.kubernetes.io/revision"
_KEPT = ("deployment.kubernetes.io/", "kubectl.kubernetes.io/last-applied-configuration")


def set_image(stage: Stage, program: str, image: str) -> None:
    """Change the image, as a kubectl of that name does."""
    containers = [{"name": "backend-api", "image": image}]
    change = {"spec": {"template": {"spec": {"containers": containers}}}}
    _patch(stage, program, "?fieldManager=kubectl-set", change, PatchType.STRATEGIC)


def undo(stage: Stage, program: str) -> None:
    """Go back to the revision before, as a kubectl of that name does."""
    deployment = stage.get(_DEPLOYMENT)
    found = stage.get(f"{places.APPS}/replicasets?labelSelector=app%3Dveza-backend-api")["items"]
    [target] = sorted(found, key=_revision)[-2:-1]
    template = json.loads(json.dumps(target["spec"]["template"]))
    del template["metadata"]["labels"]["pod-template-hash"]
    theirs = {name: value for name, value in _annotations(target) if not name.startswith(_KEPT)}
    ours = {name: value for name, value in _annotations(deployment) if name.startswith(_KEPT)}
    change = [
        {"op": "replace", "path": "/spec/template", "value": template},
        {"op": "replace", "path": "/metadata/annotations", "value": ours | theirs},
    ]
    _patch(stage, program, "", change, PatchType.JSON)


def _annotations(item: Json) -> list[tuple[str, str]]:
    return list(item["metadata"]["annotations"].items())


def _revision(replica_set: Json) -> int:
    return int(replica_set["metadata"]["annotations"][_REVISION])


def _patch(stage: Stage, program: str, query: str, change: object, kind: PatchType) -> None:
    headers = {"Content-Type": kind.value, "User-Agent": f"{program}/v1.32.4 (linux/amd64)"}
    answer = stage.ask("PATCH", _DEPLOYMENT + query, json.dumps(change), **headers)
    assert answer.status_code == 200, answer.text
