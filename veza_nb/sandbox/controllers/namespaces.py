"""Namespaces: what every one is born with, and how everything in it goes when it goes."""

from __future__ import annotations

from collections import Counter
from collections.abc import Iterable, Mapping, Sequence

from veza_nb.sandbox.apimachinery.kinds import RESOURCES, Resource
from veza_nb.sandbox.apimachinery.status import ApiError, Json
from veza_nb.sandbox.apiserver.client import Client
from veza_nb.sandbox.clock import Clock, timestamp
from veza_nb.sandbox.controllers.base import Controller
from veza_nb.sandbox.controllers.conditions import get_condition
from veza_nb.sandbox.controllers.informer import Informer, Key, key_of

_LOOK_AGAIN_SECONDS = 0.1
ROOT_CA = "kube-root-ca.crt"


def contents() -> Sequence[Resource]:
    """The resources that live in namespaces and can be deleted, owners first."""
    found: dict[str, Resource] = {}
    for item in RESOURCES:
        if item.namespaced and {"list", "delete"} <= set(item.verbs):
            # Of two faces of the same objects, such as events have, the first is enough.
            found.setdefault(item.plural, item)
    return sorted(
        found.values(),
        key=lambda item: (item.kind == "Pod", item.kind == "ReplicaSet", item.plural),
    )


def deletion_conditions(
    left: Mapping[str, int], held: Mapping[str, int]
) -> list[tuple[str, bool, str, str]]:
    """What the status of a namespace says on its way out: type, value, reason, message.

    Args:
        left: how many objects of each resource, such as "deployments.apps" or "pods.", are there.
        held: how many of them wait for each finalizer.
    """
    remaining = False, "ContentRemoved", "All content successfully removed"
    if left:
        shown = ", ".join(f"{name} has {left[name]} resource instances" for name in sorted(left))
        remaining = True, "SomeResourcesRemain", f"Some resources are remaining: {shown}"
    finalizers = False, "ContentHasNoFinalizers", "All content-preserving finalizers finished"
    if held:
        shown = ", ".join(f"{name} in {held[name]} resource instances" for name in sorted(held))
        text = f"Some content in the namespace has finalizers remaining: {shown}"
        finalizers = True, "SomeFinalizersRemain", text
    prefix, content = "NamespaceDeletion", "All content successfully deleted"
    return [
        (
            f"{prefix}DiscoveryFailure",
            False,
            "ResourcesDiscovered",
            "All resources successfully discovered",
        ),
        (
            f"{prefix}GroupVersionParsingFailure",
            False,
            "ParsedGroupVersions",
            "All legacy kube types successfully parsed",
        ),
        (
            f"{prefix}ContentFailure",
            False,
            "ContentDeleted",
            f"{content}, may be waiting on finalization",
        ),
        ("NamespaceContentRemaining", *remaining),
        ("NamespaceFinalizersRemaining", *finalizers),
    ]


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
        left: Counter[str] = Counter()
        held: Counter[str] = Counter()
        for resource in self._resources:
            for found in self._client.list(resource.plural, namespace):
                if "deletionTimestamp" in found["metadata"] or not self._delete(resource, found):
                    left[f"{resource.plural}.{resource.group}"] += 1
                    held.update(found["metadata"].get("finalizers") or ())
        item = self._tell(item, deletion_conditions(left, held))
        if left:
            self.queue.add_after(key_of(item), _LOOK_AGAIN_SECONDS)
            return
        finished = {**item, "spec": {**item.get("spec", {}), "finalizers": []}}
        self._client.update("namespaces", None, namespace, finished, subresource="finalize")

    def _tell(self, item: Json, said: Iterable[tuple[str, bool, str, str]]) -> Json:
        """Write the conditions; the time of one moves only where its value does."""
        before, now = item.get("status", {}), timestamp(self.clock.now())
        conditions = []
        for kind, value, reason, message in said:
            known = get_condition(before, kind)
            same = known is not None and known["status"] == str(value)
            since = known["lastTransitionTime"] if known is not None and same else now
            conditions.append(
                {
                    "type": kind,
                    "status": str(value),
                    "lastTransitionTime": since,
                    "reason": reason,
                    "message": message,
                }
            )
        if conditions == before.get("conditions"):
            return item
        body = {**item, "status": {**before, "conditions": conditions}}
        name = item["metadata"]["name"]
        written = self._client.update("namespaces", None, name, body, subresource="status")
        self._namespaces.observe(written)
        return written

    def _delete(self, resource: Resource, item: Json) -> bool:
        """Delete an object; say whether it is gone at once."""
        namespace, name = key_of(item)
        try:
            left = self._client.delete(resource.plural, namespace, name, propagation="Background")
        except ApiError as error:
            if error.code != 404:
                raise
            return True
        return "deletionTimestamp" not in left.get("metadata", {})

    def _changed(self, old: Json | None, new: Json | None) -> None:
        if new is not None and (old is None or "deletionTimestamp" in new["metadata"]):
            self.queue.add(key_of(new))
