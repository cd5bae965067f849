"""The ResourceQuota controller: how much of each quota is used."""

from __future__ import annotations

from collections.abc import Iterable

from veza_nb.sandbox.apimachinery.kinds import Resource
from veza_nb.sandbox.apimachinery.status import Json
from veza_nb.sandbox.apiserver import quotas
from veza_nb.sandbox.apiserver.client import Client
from veza_nb.sandbox.clock import Clock
from veza_nb.sandbox.controllers.base import Controller, Informers
from veza_nb.sandbox.controllers.informer import Key, key_of
from veza_nb.sandbox.controllers.podstates import is_finished

_GATHER_SECONDS, _CHECK_SECONDS, _RESYNC_SECONDS = 0.05, 1.0, 300.0


class ResourceQuotaController(Controller):
    """Keeps every quota's status."""

    def __init__(self, client: Client, clock: Clock, informers: Informers) -> None:
        super().__init__(clock)
        self._client = client
        self._informers = informers
        informers.quotas.on_change(self._quota_changed)
        informers.pods.on_change(self._pod_changed)

    def sync(self, key: Key) -> None:
        """Count what one quota counts."""
        quota = self._informers.quotas.get(*key)
        if quota is None or "deletionTimestamp" in quota["metadata"]:
            return
        hard = dict(quota["spec"].get("hard") or {})
        used = quotas.texts(quotas.measured(quota, hard, lambda each: self._present(each, key[0])))
        status: Json = {name: value for name, value in (("hard", hard), ("used", used)) if value}
        if status != quota.get("status", {}):
            body = {**quota, "status": status}
            written = self._client.update("resourcequotas", *key, body, subresource="status")
            self._informers.quotas.observe(written)
        self.queue.add_after(key, _RESYNC_SECONDS)

    def _present(self, resource: Resource, namespace: str) -> Iterable[Json]:
        if resource.kind == "Pod":
            return self._informers.pods.select("namespace", namespace)
        return self._client.list(resource.plural, namespace)

    def _quota_changed(self, old: Json | None, new: Json | None) -> None:
        """A new limit counts at once; what admission booked is checked a little later."""
        if new is None:
            return
        if old is None or old["spec"] != new["spec"]:
            self.queue.add(key_of(new))
        elif old.get("status") != new.get("status"):
            self.queue.add_after(key_of(new), _CHECK_SECONDS)

    def _pod_changed(self, old: Json | None, new: Json | None) -> None:
        """A pod that is gone or has ended makes room."""
        if not len(self._informers.quotas) or old is None:
            return
        if new is None or (is_finished(new) and not is_finished(old)):
            for quota in self._informers.quotas.select("namespace", old["metadata"]["namespace"]):
                self.queue.add_after(key_of(quota), _GATHER_SECONDS)
