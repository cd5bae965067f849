"""Namespaces: what every one is born with, and how everything in it goes when it goes."""

from __future__ import annotations

from collections.abc import Sequence

from veza_nb.sandbox.apimachinery.kinds import RESOURCES
from veza_nb.sandbox.apimachinery.status import ApiError, Json
from veza_nb.sandbox.apiserver.client import Client
from veza_nb.sandbox.clock import Clock
from veza_nb.sandbox.controllers.base import Controller
from veza_nb.sandbox.controllers.informer import Informer, Key, key_of

_LOOK_AGAIN_SECONDS = 0.1
ROOT_CA = "kube-root-ca.crt"


def contents() -> Sequence[str]:
    """The resources that live in namespaces and can be deleted, owners first."""
    names = [
        item.plural
        for item in RESOURCES
        if item.namespaced and {"list", "delete"} <= set(item.verbs)
    ]
    return sorted(set(names), key=lambda name: (name == "pods", name == "replicasets", name))


class NamespaceController(Controller):
    """Empties namespaces that are being deleted; furnishes new ones."""

    def __init__(
        self, client: Client, clock: Clock, namespaces: Informer, root_certificate: str = ""
    ) -> None:
        super().__init__(clock)
        self._client = client
        self._namespaces = namespaces
        self._certificate = root_certificate
        self._resources = contents()
        namespaces.on_change(self._changed)

    def sync(self, key: Key) -> None:
        """Furnish one namespace, or take one step of its deletion."""
        item = self._namespaces.get(*key)
        if item is None:
            return
        if "deletionTimestamp" in item["metadata"]:
            self._empty(item)
        else:
            self._furnish(item["metadata"]["name"])

    def _furnish(self, namespace: str) -> None:
        account = {"apiVersion": "v1", "kind": "ServiceAccount", "metadata": {"name": "default"}}
        self._ensure("serviceaccounts", namespace, account)
        if self._certificate:
            config = {"apiVersion": "v1", "kind": "ConfigMap", "metadata": {"name": ROOT_CA}}
            self._ensure("configmaps", namespace, {**config, "data": {"ca.crt": self._certificate}})

    def _ensure(self, resource: str, namespace: str, body: Json) -> None:
        try:
            self._client.create(resource, namespace, body)
        except ApiError as error:
            if error.reason != "AlreadyExists":
                raise

    def _empty(self, item: Json) -> None:
        namespace = item["metadata"]["name"]
        left = 0
        for resource in self._resources:
            for found in self._client.list(resource, namespace):
                left += 1
                if "deletionTimestamp" not in found["metadata"]:
                    self._delete(resource, found)
        if left:
            self.queue.add_after(key_of(item), _LOOK_AGAIN_SECONDS)
            return
        finished = {**item, "spec": {**item.get("spec", {}), "finalizers": []}}
        self._client.update("namespaces", None, namespace, finished, subresource="finalize")

    def _delete(self, resource: str, item: Json) -> None:
        namespace, name = key_of(item)
        try:
            self._client.delete(resource, namespace, name, propagation="Background")
        except ApiError as error:
            if error.code != 404:
                raise

    def _changed(self, old: Json | None, new: Json | None) -> None:
        if new is not None and (old is None or "deletionTimestamp" in new["metadata"]):
            self.queue.add(key_of(new))
