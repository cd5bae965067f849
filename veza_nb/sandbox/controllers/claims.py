"""The PersistentVolumeClaim controller: binds every claim, as if volumes were always at hand.

No volumes exist behind them; the claims say what kubectl users and StatefulSets look for.
"""

from __future__ import annotations

from veza_nb.sandbox.apimachinery.status import Json
from veza_nb.sandbox.apiserver.client import Client
from veza_nb.sandbox.clock import Clock
from veza_nb.sandbox.controllers.base import Controller, Informers
from veza_nb.sandbox.controllers.informer import Key, key_of

_NOTES = {
    "pv.kubernetes.io/bind-completed": "yes",
    "pv.kubernetes.io/bound-by-controller": "yes",
}


class ClaimController(Controller):
    """Binds claims."""

    def __init__(self, client: Client, clock: Clock, informers: Informers) -> None:
        super().__init__(clock)
        self._client = client
        self._claims = informers.claims
        self._claims.on_change(self._changed)

    def sync(self, key: Key) -> None:
        """Bind one claim: first its spec names the volume, then its status tells of it."""
        claim = self._claims.get(*key)
        if claim is None or "deletionTimestamp" in claim["metadata"]:
            return
        if not claim["spec"].get("volumeName"):
            claim = self._name_volume(claim)
        status: Json = {"phase": "Bound"}
        if claim["spec"].get("accessModes"):
            status["accessModes"] = claim["spec"]["accessModes"]
        storage = (claim["spec"].get("resources", {}).get("requests") or {}).get("storage")
        if storage:
            status["capacity"] = {"storage": storage}
        if status != claim.get("status"):
            self._write({**claim, "status": status}, "status")

    def _name_volume(self, claim: Json) -> Json:
        metadata = claim["metadata"]
        annotations = {**metadata.get("annotations", {}), **_NOTES}
        volume = f"pvc-{metadata['uid']}"
        return self._write(
            {
                **claim,
                "metadata": {**metadata, "annotations": annotations},
                "spec": {**claim["spec"], "volumeName": volume},
            }
        )

    def _write(self, body: Json, subresource: str = "") -> Json:
        written = self._client.update(
            "persistentvolumeclaims", *key_of(body), body, subresource=subresource
        )
        self._claims.observe(written)
        return written

    def _changed(self, _old: Json | None, new: Json | None) -> None:
        if new is not None and new.get("status", {}).get("phase") != "Bound":
            self.queue.add(key_of(new))
