"""The StatefulSet controller: numbered pods that come, go and change one after another."""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from dataclasses import dataclass

from veza_nb.sandbox.apimachinery.status import ApiError, Json
from veza_nb.sandbox.apiserver.client import Client
from veza_nb.sandbox.clock import Clock
from veza_nb.sandbox.controllers import statefulset_pods as numbered
from veza_nb.sandbox.controllers.base import Controller, Informers
from veza_nb.sandbox.controllers.controllerrevisions import History, Resolved, template_in
from veza_nb.sandbox.controllers.events import NORMAL, WARNING, EventRecorder, reference
from veza_nb.sandbox.controllers.informer import Key, key_of
from veza_nb.sandbox.controllers.owners import claim
from veza_nb.sandbox.controllers.podcontrol import delete_pod, owners_of_change
from veza_nb.sandbox.controllers.podstates import is_finished, is_terminating

_HASH_LABEL = "controller.kubernetes.io/hash"
_KIND = "StatefulSet"


@dataclass(frozen=True, slots=True)
class _View:
    """A StatefulSet and its place in its history."""

    item: Json
    history: Resolved
    current: Json

    @property
    def update(self) -> str:
        """Name of the revision of the template."""
        name: str = self.history.revision["metadata"]["name"]
        return name

    def revision_for(self, ordinal: int) -> Json:
        """The revision that a new pod of that number is made from."""
        rolling = numbered.is_rolling(self.item)
        bound = numbered.first_ordinal(self.item) + numbered.partition_of(self.item)
        return self.current if rolling and ordinal < bound else self.history.revision


class StatefulSetController(Controller):
    """Keeps every StatefulSet's pods, history and status."""

    def __init__(self, client: Client, clock: Clock, informers: Informers) -> None:
        super().__init__(clock)
        self._client = client
        self._informers = informers
        self._recorder = EventRecorder(client, clock, "statefulset-controller")
        self._history = History(client, informers.controller_revisions, _KIND, _HASH_LABEL)
        informers.stateful_sets.on_change(self._changed)
        informers.pods.on_change(self._pod_changed)

    def sync(self, key: Key) -> None:
        """Take the steps with one StatefulSet that can be taken now."""
        item = self._informers.stateful_sets.get(*key)
        if item is None or "deletionTimestamp" in item["metadata"]:
            return
        history = self._history.resolve(item)
        current = history.named(item.get("status", {}).get("currentRevision", ""))
        view = _View(item, history, current)
        pods, error = self._claim(item), None
        try:
            self._work(view, pods)
        except ApiError as refused:
            error = refused
        left = self._owned(item)
        status = self._write_status(view, left)
        live = {status["currentRevision"], status["updateRevision"]}
        live |= {numbered.revision_of(pod) for pod in left}
        self._history.truncate(item, history.every, live)
        if error is not None:
            raise error

    def _work(self, view: _View, pods: Sequence[Json]) -> None:
        """Fill the gaps, then take surplus pods away, then bring in the newest revision."""
        by_ordinal = dict(self._by_ordinal(view.item, pods))
        wanted = numbered.ordinals(view.item)
        surplus = sorted(set(by_ordinal) - set(wanted), reverse=True)
        if not self._fill(view, by_ordinal, wanted):
            return
        if not self._shrink(view, [by_ordinal[ordinal] for ordinal in surplus], by_ordinal):
            return
        if numbered.is_rolling(view.item):
            self._roll(view, by_ordinal, wanted)

    def _by_ordinal(self, item: Json, pods: Sequence[Json]) -> Iterator[tuple[int, Json]]:
        for pod in pods:
            ordinal = numbered.ordinal_of(item, pod)
            if ordinal is not None:
                yield ordinal, pod

    def _fill(self, view: _View, by_ordinal: dict[int, Json], wanted: range) -> bool:
        """See to it that every number has its pod; False: wait before doing anything else."""
        parallel = numbered.is_parallel(view.item)
        for ordinal in wanted:
            pod = by_ordinal.get(ordinal)
            if pod is None:
                by_ordinal[ordinal] = self._create(view, ordinal)
                settled = False
            elif is_finished(pod) and not is_terminating(pod):
                self._replace_finished(view.item, pod)
                settled = False
            else:
                settled = self._serves(view, pod)
            if not settled and not parallel:
                return False
        return True

    def _shrink(self, view: _View, surplus: Sequence[Json], by_ordinal: dict[int, Json]) -> bool:
        """Delete surplus pods, the highest number first; False: wait for them to go."""
        parallel = numbered.is_parallel(view.item)
        broken = [n for n in sorted(by_ordinal) if not self._serves(view, by_ordinal[n])]
        for pod in surplus:
            if is_terminating(pod):
                if not parallel:
                    return False
                continue
            healthy = self._serves(view, pod)
            first_broken = bool(broken) and pod is by_ordinal[broken[0]]
            if not parallel and not healthy and not first_broken:
                return False
            self._delete(view.item, pod)
            if not parallel:
                return False
        return True

    def _roll(self, view: _View, by_ordinal: dict[int, Json], wanted: range) -> None:
        """Delete the highest pod of an older revision, once all above it serve."""
        lowest = wanted.start + numbered.partition_of(view.item)
        for ordinal in range(wanted.stop - 1, lowest - 1, -1):
            pod = by_ordinal[ordinal]
            old = numbered.revision_of(pod) != view.update
            if old and not is_terminating(pod):
                self._delete(view.item, pod)
                return
            if not self._serves(view, pod):
                return

    def _serves(self, view: _View, pod: Json) -> bool:
        return numbered.serves(view.item, pod, self.clock.now(), self.clock.rate)

    # -- pods -------------------------------------------------------------------------------

    def _create(self, view: _View, ordinal: int) -> Json:
        item, revision = view.item, view.revision_for(ordinal)
        for body in numbered.build_claims(item, ordinal):
            self._ensure_claim(item, ordinal, body)
        name = revision["metadata"]["name"]
        body = numbered.build_pod(item, template_in(revision), ordinal, name)
        try:
            pod = self._client.create("pods", item["metadata"]["namespace"], body)
        except ApiError as error:
            self._tell_failure(item, "create", body["metadata"]["name"], error)
            raise
        self._informers.pods.observe(pod)
        self._tell(item, "create", pod["metadata"]["name"])
        return pod

    def _ensure_claim(self, item: Json, ordinal: int, body: Json) -> None:
        namespace, name = key_of(body)
        if self._informers.claims.get(namespace, name) is not None:
            return
        try:
            written = self._client.create("persistentvolumeclaims", namespace, body)
        except ApiError as error:
            if error.reason == "AlreadyExists":
                return
            raise
        self._informers.claims.observe(written)
        owner = item["metadata"]["name"]
        message = f"create Claim {name} Pod {owner}-{ordinal} in StatefulSet {owner} success"
        self._recorder.event(reference(item, _KIND), NORMAL, "SuccessfulCreate", message)

    def _delete(self, item: Json, pod: Json) -> None:
        name = pod["metadata"]["name"]
        try:
            gone = delete_pod(self._client, self._informers.pods, pod)
        except ApiError as error:
            self._tell_failure(item, "delete", name, error)
            raise
        if gone:
            self._tell(item, "delete", name)

    def _replace_finished(self, item: Json, pod: Json) -> None:
        failed = pod["status"]["phase"] == "Failed"
        namespace, name = key_of(item)
        word, reason = ("failed", "RecreatingFailedPod")
        if not failed:
            word, reason = ("terminated", "RecreatingTerminatedPod")
        message = (
            f"StatefulSet {namespace}/{name} is recreating {word} Pod {pod['metadata']['name']}"
        )
        kind = WARNING if failed else NORMAL
        self._recorder.event(reference(item, _KIND), kind, reason, message)
        self._delete(item, pod)

    def _tell(self, item: Json, verb: str, pod: str) -> None:
        message = f"{verb} Pod {pod} in StatefulSet {item['metadata']['name']} successful"
        reason = f"Successful{verb.title()}"
        self._recorder.event(reference(item, _KIND), NORMAL, reason, message)

    def _tell_failure(self, item: Json, verb: str, pod: str, error: ApiError) -> None:
        owner = item["metadata"]["name"]
        message = f"{verb} Pod {pod} in StatefulSet {owner} failed error: {error.message}"
        self._recorder.event(reference(item, _KIND), WARNING, f"Failed{verb.title()}", message)

    # -- looking and telling ----------------------------------------------------------------

    def _claim(self, item: Json) -> list[Json]:
        return claim(
            self._client,
            self._informers.pods,
            item,
            "apps/v1",
            _KIND,
            may_adopt=lambda pod: numbered.ordinal_of(item, pod) is not None,
        )

    def _owned(self, item: Json) -> list[Json]:
        return list(self._informers.pods.select("controller", item["metadata"]["uid"]))

    def _write_status(self, view: _View, pods: Sequence[Json]) -> Json:
        item, now = view.item, self.clock.now()
        current = view.current["metadata"]["name"]
        status = numbered.calculate_status(item, pods, (current, view.update), now, self.clock.rate)
        status["collisionCount"] = view.history.collisions
        before = item.get("status", {})
        if "conditions" in before:
            status["conditions"] = before["conditions"]
        if status != before:
            body = {**item, "status": status}
            written = self._client.update("statefulsets", *key_of(item), body, subresource="status")
            self._informers.stateful_sets.observe(written)
        minimum = item["spec"].get("minReadySeconds", 0)
        if minimum and status["availableReplicas"] != status.get("readyReplicas", 0):
            self.queue.add_after(key_of(item), minimum)
        return status

    def _changed(self, _old: Json | None, new: Json | None) -> None:
        if new is not None:
            self.queue.add(key_of(new))

    def _pod_changed(self, old: Json | None, new: Json | None) -> None:
        for key in owners_of_change(_KIND, old, new):
            self.queue.add(key)
