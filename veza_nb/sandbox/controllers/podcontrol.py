"""Pods that a controller makes from a template and takes away again, with the events about it."""

from __future__ import annotations

from veza_nb.sandbox.apimachinery.status import ApiError, Json
from veza_nb.sandbox.apiserver.client import Client
from veza_nb.sandbox.controllers.events import NORMAL, WARNING, EventRecorder, reference
from veza_nb.sandbox.controllers.informer import Informer, Key, key_of
from veza_nb.sandbox.controllers.revisions import owner_reference


def owners_of_change(kind: str, old: Json | None, new: Json | None) -> list[Key]:
    """The controllers of that kind that a change of an object may matter to, maybe twice."""
    # Asked by every controller after every change of every pod: as short as can be.
    return [
        (state["metadata"]["namespace"], owner["name"])
        for state in (old, new)
        if state is not None
        for owner in state["metadata"].get("ownerReferences", ())
        if owner["kind"] == kind and owner.get("controller")
    ]


def pod_from_template(owner: Json, template: Json, api_version: str, kind: str) -> Json:
    """A pod that `owner` controls; the API completes its name.

    The spec may be changed on its first level; what is below is the template's own.
    """
    given = template.get("metadata", {})
    metadata: Json = {
        "generateName": f"{owner['metadata']['name']}-",
        "namespace": owner["metadata"]["namespace"],
        "labels": dict(given.get("labels", {})),
        "ownerReferences": [owner_reference(owner, api_version, kind)],
    }
    if given.get("annotations"):
        metadata["annotations"] = dict(given["annotations"])
    if given.get("finalizers"):
        metadata["finalizers"] = list(given["finalizers"])
    # Thousands of pods are made from one template: what stays the same is not copied.
    spec = dict(template["spec"])
    return {"apiVersion": "v1", "kind": "Pod", "metadata": metadata, "spec": spec}


class PodControl:
    """Creates and deletes pods for the controllers of one kind.

    Args:
        client: acts as the controller.
        pods: where the pods are seen.
        recorder: tells the events about the owners.
        kind: of the owners.
    """

    def __init__(self, client: Client, pods: Informer, recorder: EventRecorder, kind: str) -> None:
        self._client = client
        self._pods = pods
        self._recorder = recorder
        self._kind = kind

    def create(self, owner: Json, body: Json) -> Json:
        """Create a pod and tell it of its owner.

        Raises:
            ApiError: it was refused; this is told, too.
        """
        about = reference(owner, self._kind)
        try:
            pod = self._client.create("pods", owner["metadata"]["namespace"], body)
        except ApiError as error:
            message = f"Error creating: {error.message}"
            self._recorder.event(about, WARNING, "FailedCreate", message)
            raise
        self._pods.observe(pod)
        message = f"Created pod: {pod['metadata']['name']}"
        self._recorder.event(about, NORMAL, "SuccessfulCreate", message)
        return pod

    def delete(self, owner: Json, pod: Json) -> None:
        """Delete a pod and tell it of its owner; one that is gone already is no news.

        Raises:
            ApiError: it was refused; this is told, too.
        """
        about, name = reference(owner, self._kind), pod["metadata"]["name"]
        try:
            gone = delete_pod(self._client, self._pods, pod)
        except ApiError as error:
            message = f"Error deleting: {error.message}"
            self._recorder.event(about, WARNING, "FailedDelete", message)
            raise
        if gone:
            self._recorder.event(about, NORMAL, "SuccessfulDelete", f"Deleted pod: {name}")


def delete_pod(client: Client, pods: Informer, pod: Json) -> bool:
    """Delete a pod and note its new state; False when it was gone or another one already."""
    namespace, name = key_of(pod)
    try:
        left = client.delete("pods", namespace, name, uid=pod["metadata"]["uid"])
    except ApiError as error:
        if error.code in (404, 409):
            return False
        raise
    if "deletionTimestamp" in left["metadata"]:
        pods.observe(left)
    else:
        pods.forget(left)
    return True
