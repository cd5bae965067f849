"""Where the recorded objects and watches are to be found: the paths of their requests."""

from __future__ import annotations

from tests.sandbox.recordings.index import Recording

SPACE = "veza-production"
APPS = f"/apis/apps/v1/namespaces/{SPACE}"
_UNDO = "30-undo-after-deadline-"
_NAMED = "fieldSelector=metadata.name%3D"


def path_of(recording: Recording) -> str:
    """The path of the request that a recorded object answers."""
    return f"/{recording.asked.lstrip('/')}" if recording.asked else _object(recording.name)


def _object(name: str) -> str:
    kind = name.rpartition(".")[2]
    return f"{APPS}/deployments/veza-backend-api" if kind == "deployment" else _list(kind)


def _list(kind: str) -> str:
    """The path of the backend's ReplicaSets or Pods."""
    home = f"/api/v1/namespaces/{SPACE}" if kind == "pods" else APPS
    return f"{home}/{kind}?labelSelector=app%3Dveza-backend-api"


def followed(path: str) -> str:
    """The path of the list in which an object, or a list, can be watched."""
    head, _, name = path.partition("/deployments/")
    return f"{head}/deployments?{_NAMED}{name}" if name else path


def watched(recording: Recording) -> str:
    """The path of the list that was watched."""
    name, _, kind = recording.name.partition(".")
    if name.startswith("32-"):
        return f"{APPS}/replicasets?labelSelector=app%3Dt-mid"
    if kind == "deployment":
        return f"{APPS}/deployments?{_NAMED}veza-backend-api"
    return _list(kind) if kind else f"{APPS}/deployments?{_NAMED}t-{name.removeprefix(_UNDO)}"
