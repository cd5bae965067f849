"""Argo CD and Flux, as far as a rollback meets them: they bring back what Git says.

Git is a ConfigMap `git-NAME` beside the Application, Kustomization or HelmRelease of that name;
each of its values is the manifest of a Deployment, or a part of one, as YAML. A change of it is a
commit.

- Argo CD's Application: with `spec.syncPolicy.automated` a commit is applied, with `selfHeal` also
  whatever differs from Git, at once, and at most every 5 s. Its status tells Synced or OutOfSync.
- Flux' Kustomization: a commit is applied, and everything again every `spec.interval`, unless
  `spec.suspend` is set. A HelmRelease does the latter only with drift detection.
"""

from __future__ import annotations

import hashlib
import re
from collections.abc import Iterator, Mapping
from dataclasses import dataclass
from typing import Any

import yaml

from veza_nb.sandbox.apimachinery.status import Json
from veza_nb.sandbox.apiserver.client import Client, PatchType
from veza_nb.sandbox.clock import Clock
from veza_nb.sandbox.controllers.base import Controller, Informers
from veza_nb.sandbox.controllers.informer import Informer, Key, key_of

GIT = "git-"
_SELF_HEAL_SECONDS = 5.0
_REFRESH_SECONDS = 180.0
_NOTICE_SECONDS = 0.2
_PART = re.compile(r"(\d+(?:\.\d+)?)(h|m|s)")
_UNITS = {"h": 3600.0, "m": 60.0, "s": 1.0}


@dataclass(frozen=True, slots=True)
class Tool:
    """A kind of object that brings the cluster to what Git says.

    Attributes:
        resource: its plural.
        agent: field manager of what it writes.
        in_status: whether its status is a subresource.
    """

    resource: str
    agent: str
    in_status: bool


TOOLS = (
    Tool("applications", "argocd-controller", in_status=False),
    Tool("kustomizations", "kustomize-controller", in_status=True),
    Tool("helmreleases", "helm-controller", in_status=True),
)


def seconds_of(interval: object) -> float:
    """The length of "10m" or "1m30s"; ten minutes where it is none."""
    found = _PART.findall(str(interval))
    return sum(float(number) * _UNITS[unit] for number, unit in found) or 600.0


def differs(wanted: Any, live: Any) -> bool:
    """Whether anything that is wanted is not so; what nobody asked for may be there."""
    if isinstance(wanted, Mapping):
        known = live if isinstance(live, Mapping) else {}
        return any(differs(value, known.get(key)) for key, value in wanted.items())
    if isinstance(wanted, list) and wanted and all(_named(each) for each in wanted):
        known = {each.get("name"): each for each in live or () if isinstance(each, Mapping)}
        return any(differs(each, known.get(each["name"])) for each in wanted)
    return bool(wanted != live)


def _named(value: object) -> bool:
    return isinstance(value, Mapping) and "name" in value


class GitOpsController(Controller):
    """Looks after all objects of one tool.

    Attributes:
        objects: them, to be primed and run with the other views.
    """

    def __init__(self, tool: Tool, client: Client, clock: Clock, informers: Informers) -> None:
        super().__init__(clock)
        self._tool = tool
        self._client = client
        self._applied: dict[Key, float] = {}
        self.objects = Informer(client, tool.resource)
        self._git = informers.config_maps
        self._deployments = informers.deployments
        self.objects.on_change(self._object_changed)
        self._git.on_change(self._git_changed)
        if tool.resource == "applications":
            self._deployments.on_change(self._deployment_changed)

    def sync(self, key: Key) -> None:
        """Compare one object's part of Git with the cluster, and bring it back if it says so."""
        item = self.objects.get(*key)
        git = self._git.get(key[0], GIT + key[1])
        if item is None or git is None:
            return
        revision = _commit(git)
        wanted = list(self._manifests(item, git))
        drifted = [each for each in wanted if self._drifted(each)]
        news = revision != _revision(item)
        if drifted and self._may_apply(item, news=news):
            wait = 0.0 if news else self._wait(key)
            if wait > 0:
                self.queue.add_after(key, wait)
                return
            for each in drifted:
                self._apply(each)
            self._applied[key] = self.clock.monotonic()
            drifted = []
        self._report(item, wanted, drifted, _revision(item) if drifted else revision)
        self.queue.add_after(key, self._period(item))

    def _wait(self, key: Key) -> float:
        """Seconds until it may heal again."""
        last = self._applied.get(key)
        return 0.0 if last is None else last + _SELF_HEAL_SECONDS - self.clock.monotonic()

    def _may_apply(self, item: Json, *, news: bool) -> bool:
        spec = item.get("spec") or {}
        if self._tool.resource == "applications":
            automated = (spec.get("syncPolicy") or {}).get("automated")
            if not isinstance(automated, Mapping) or automated.get("enabled") is False:
                return False
            return news or automated.get("selfHeal") is True
        if spec.get("suspend") is True:
            return False
        corrects = (spec.get("driftDetection") or {}).get("mode") == "enabled"
        return news or corrects or self._tool.resource == "kustomizations"

    def _period(self, item: Json) -> float:
        if self._tool.resource == "applications":
            return _REFRESH_SECONDS
        return seconds_of((item.get("spec") or {}).get("interval"))

    def _manifests(self, item: Json, git: Json) -> Iterator[Json]:
        spec = item.get("spec") or {}
        place = (spec.get("destination") or {}).get("namespace") or spec.get("targetNamespace")
        for text in git.get("data", {}).values():
            body = yaml.safe_load(text)
            named = body["metadata"].get("namespace") or place or item["metadata"]["namespace"]
            wanted = {**body, "metadata": {**body["metadata"], "namespace": named}}
            yield {"metadata": {**wanted["metadata"], **self._marks(item, wanted)}, **_spec(wanted)}

    def _drifted(self, manifest: Json) -> bool:
        live = self._deployments.get(*key_of(manifest))
        return live is not None and differs(manifest, live)

    def _apply(self, manifest: Json) -> None:
        kind = PatchType.STRATEGIC
        written = self._client.patch("deployments", *key_of(manifest), manifest, kind=kind)
        self._deployments.observe(written)

    def _marks(self, item: Json, manifest: Json) -> Json:
        """What each tool leaves on what it owns."""
        (space, name), owner = key_of(manifest), item["metadata"]["name"]
        if self._tool.resource == "applications":
            tracked = f"{owner}:apps/Deployment:{space}/{name}"
            return {"annotations": {"argocd.argoproj.io/tracking-id": tracked}}
        prefix = "kustomize" if self._tool.resource == "kustomizations" else "helm"
        place = item["metadata"]["namespace"]
        group = f"{prefix}.toolkit.fluxcd.io"
        return {"labels": {f"{group}/name": owner, f"{group}/namespace": place}}

    def _report(self, item: Json, wanted: list[Json], drifted: list[Json], revision: str) -> None:
        """Tell in the status how Git and cluster stand."""
        status = _argo_status(wanted, drifted, revision)
        if self._tool.in_status:
            status = {"lastAppliedRevision": revision}
        if status == item.get("status"):
            return
        below = "status" if self._tool.in_status else ""
        written = self._client.patch(
            self._tool.resource, *key_of(item), {"status": status}, subresource=below
        )
        self.objects.observe(written)

    def _object_changed(self, old: Json | None, new: Json | None) -> None:
        if new is None:
            return
        if old is None or old.get("spec") != new.get("spec"):
            self._applied.pop(key_of(new), None)
            self.queue.add(key_of(new))

    def _git_changed(self, _old: Json | None, new: Json | None) -> None:
        if new is not None and new["metadata"]["name"].startswith(GIT):
            space, name = key_of(new)
            self.queue.add((space, name.removeprefix(GIT)))

    def _deployment_changed(self, old: Json | None, new: Json | None) -> None:
        """Argo CD watches what it owns; Flux comes by from time to time."""
        if new is None or old is None or old["spec"] == new["spec"]:
            return
        tracked = new["metadata"].get("annotations", {}).get("argocd.argoproj.io/tracking-id", "")
        for item in self.objects.list():
            if item["metadata"]["name"] == tracked.partition(":")[0]:
                self.queue.add_after(key_of(item), _NOTICE_SECONDS)


def _commit(git: Json) -> str:
    text = repr(sorted((git.get("data") or {}).items()))
    return "main@sha1:" + hashlib.sha1(text.encode(), usedforsecurity=False).hexdigest()


def _spec(manifest: Json) -> Json:
    return {"spec": manifest["spec"]} if "spec" in manifest else {}


def _revision(item: Json) -> str:
    """Of Git, as it was applied last; empty before the first time."""
    status = item.get("status") or {}
    found: str = status.get("lastAppliedRevision") or (status.get("sync") or {}).get("revision", "")
    return found


def _argo_status(wanted: list[Json], drifted: list[Json], revision: str) -> Json:
    away = [key_of(each) for each in drifted]
    resources = [
        {
            "group": "apps",
            "version": "v1",
            "kind": "Deployment",
            "namespace": each["metadata"]["namespace"],
            "name": each["metadata"]["name"],
            "status": "OutOfSync" if key_of(each) in away else "Synced",
        }
        for each in wanted
    ]
    state = "OutOfSync" if drifted else "Synced"
    return {"sync": {"status": state, "revision": revision}, "resources": resources}
