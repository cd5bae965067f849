"""The application: created once, then released and undone as people and pipelines do it."""

from __future__ import annotations

import json

from veza_nb.sandbox.apimachinery.status import Json
from veza_nb.sandbox.apiserver.client import Client, PatchType
from veza_nb.sandbox.controllers.revisions import (
    HASH_LABEL,
    LAST_APPLIED,
    NOT_COPIED,
    revision_of,
)
from veza_nb.sandbox.plane import ControlPlane
from veza_nb.sandbox.scenarios import Fault, PastRelease, ScenarioError, manifest
from veza_nb.sandbox.seeding.machines import ADMIN

NAMESPACE = "veza-production"
ON_CALL = "veza:on-call"
PIPELINE = "deploy-bot"
_ANNOTATES = "kubectl-annotate"
CAUSE = "kubernetes.io/change-cause"


def create_application(plane: ControlPlane) -> dict[str, Json]:
    """Create everything of the application but its Deployments; return those by name."""
    admin = plane.client(ADMIN, "kubectl-client-side-apply")
    deployments = {}
    for item in manifest():
        if item["kind"] == "Deployment":
            deployments[item["metadata"]["name"]] = item
            continue
        namespace = item["metadata"].get("namespace")
        admin.create(_PLURALS[item["kind"]], namespace, _as_applied(item))
    return deployments


_PLURALS = {
    "Namespace": "namespaces",
    "ConfigMap": "configmaps",
    "Secret": "secrets",
    "Role": "roles",
    "RoleBinding": "rolebindings",
    "Service": "services",
}


def _as_applied(item: Json) -> Json:
    """An object as `kubectl apply` creates it, with the annotation that later applies need."""
    metadata = item["metadata"]
    noted = {**item, "metadata": {**metadata, "annotations": metadata.get("annotations", {})}}
    text = json.dumps(noted, sort_keys=True, separators=(",", ":")) + "\n"
    annotations = {**metadata.get("annotations", {}), LAST_APPLIED: text}
    return {**item, "metadata": {**metadata, "annotations": annotations}}


def create_deployment(plane: ControlPlane, item: Json, first: PastRelease) -> None:
    """Create a Deployment with its first release, as its manifest has it."""
    body = json.loads(json.dumps(item))
    body["spec"]["template"]["spec"]["containers"][0]["image"] = first.image
    admin = plane.client(ADMIN, "kubectl-client-side-apply")
    admin.create("deployments", NAMESPACE, _as_applied(body))
    _annotate(plane.client(ADMIN, _ANNOTATES), item["metadata"]["name"], first.cause)


def release(plane: ControlPlane, service: str, fault: Fault) -> None:
    """Roll out an image as a pipeline does: set the image, then note the cause."""
    client = _client(plane, fault.user, fault.agent)
    current = client.get("deployments", NAMESPACE, service)
    container = current["spec"]["template"]["spec"]["containers"][0]["name"]
    patch = {"spec": {"template": _with_image(fault.template, container, fault.image)}}
    client.patch("deployments", NAMESPACE, service, patch, kind=PatchType.STRATEGIC)
    _annotate(_client(plane, fault.user, _ANNOTATES), service, fault.cause)


def _client(plane: ControlPlane, user: str, agent: str) -> Client:
    """The pipeline has a role of its own; whoever else releases is on call."""
    return Client(plane.api, user, agent, groups=None if user == PIPELINE else (ON_CALL,))


def _with_image(template: Json, container: str, image: str) -> Json:
    """A patch of a pod template that sets an image besides; one patch is one revision."""
    patch: Json = json.loads(json.dumps(template))
    containers = patch.setdefault("spec", {}).setdefault("containers", [])
    ours = next((one for one in containers if one["name"] == container), None)
    if ours is None:
        containers.append({"name": container, "image": image})
    else:
        ours["image"] = image
    return patch


def undo(plane: ControlPlane, service: str, image: str) -> None:
    """Go back to an image as `kubectl rollout undo --to-revision` does.

    Raises:
        ScenarioError: no revision with that image is kept.
    """
    client = plane.client(ADMIN, "kubectl-rollout")
    current = client.get("deployments", NAMESPACE, service)
    owned = plane.informers.replica_sets.select("controller", current["metadata"]["uid"])
    with_image = [item for item in owned if image_of(item) == image]
    if not with_image:
        raise ScenarioError(f"history: {service} cannot go back to {image}: not kept any more")
    found = max(with_image, key=revision_of)
    template = json.loads(json.dumps(found["spec"]["template"]))
    del template["metadata"]["labels"][HASH_LABEL]
    ours, theirs = (item["metadata"].get("annotations", {}) for item in (current, found))
    annotations = {key: value for key, value in ours.items() if key in NOT_COPIED}
    annotations |= {key: value for key, value in theirs.items() if key not in NOT_COPIED}
    patch = [
        {"op": "replace", "path": "/spec/template", "value": template},
        {"op": "replace", "path": "/metadata/annotations", "value": annotations},
    ]
    client.patch("deployments", NAMESPACE, service, patch, kind=PatchType.JSON)


def _annotate(client: Client, service: str, cause: str) -> None:
    patch = {"metadata": {"annotations": {CAUSE: cause}}}
    client.patch("deployments", NAMESPACE, service, patch)


def image_of(owner: Json) -> str:
    """The image of a Deployment or ReplicaSet."""
    image: str = owner["spec"]["template"]["spec"]["containers"][0]["image"]
    return image
