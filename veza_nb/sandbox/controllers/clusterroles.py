"""ClusterRoles that are sums of others, kept up to date."""

from __future__ import annotations

from veza_nb.sandbox.apimachinery.status import Json
from veza_nb.sandbox.apiserver.client import Client
from veza_nb.sandbox.apiserver.policy import aggregated
from veza_nb.sandbox.clock import Clock
from veza_nb.sandbox.controllers.base import Controller
from veza_nb.sandbox.controllers.informer import Informer, Key, key_of


class ClusterRoleController(Controller):
    """Gives aggregated ClusterRoles the rules of all that are labelled for them."""

    def __init__(self, client: Client, clock: Clock, roles: Informer) -> None:
        super().__init__(clock)
        self._client = client
        self._roles = roles
        roles.on_change(self._changed)

    def sync(self, key: Key) -> None:
        """Bring the rules of one role up to date."""
        role = self._roles.get(*key)
        if role is None or not role.get("aggregationRule"):
            return
        rules = aggregated(role, self._roles.list())
        if rules != (role.get("rules") or []):
            self._client.patch("clusterroles", None, key[1], {"rules": rules})

    def _changed(self, old: Json | None, new: Json | None) -> None:
        """Any role may have become, or ceased to be, a part of any sum."""
        if old is not None and new is not None and _seen_by_sums(old) == _seen_by_sums(new):
            return
        for each in self._roles.list():
            if each.get("aggregationRule"):
                self.queue.add(key_of(each))
        if new is not None and new.get("aggregationRule"):
            self.queue.add(key_of(new))


def _seen_by_sums(role: Json) -> tuple[object, ...]:
    return role["metadata"].get("labels"), role.get("rules"), role.get("aggregationRule")
