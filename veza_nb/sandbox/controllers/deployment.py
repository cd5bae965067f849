"""The Deployment controller: carries out what `rollout` and `revisions` decide.

Every step is one write through the API followed by a fresh look, as in a real control plane, so
that watchers see the same intermediate states.
"""

from __future__ import annotations

import copy
from collections.abc import Sequence
from dataclasses import replace

from veza_nb.sandbox.apimachinery.status import ApiError, Json
from veza_nb.sandbox.apiserver.client import Client
from veza_nb.sandbox.clock import Clock, timestamp
from veza_nb.sandbox.controllers import deployment_status as progress
from veza_nb.sandbox.controllers import revisions, rollout
from veza_nb.sandbox.controllers.base import Controller, Informers
from veza_nb.sandbox.controllers.conditions import (
    deployment_condition,
    get_condition,
    set_condition,
)
from veza_nb.sandbox.controllers.deployment_status import Reason, View
from veza_nb.sandbox.controllers.events import NORMAL, WARNING, EventRecorder, reference
from veza_nb.sandbox.controllers.informer import Key, controller_of, key_of
from veza_nb.sandbox.controllers.owners import claim
from veza_nb.sandbox.controllers.podstates import is_finished
from veza_nb.sandbox.controllers.rollout import Scale


class DeploymentController(Controller):
    """Keeps every Deployment's ReplicaSets, revisions and status."""

    def __init__(self, client: Client, clock: Clock, informers: Informers) -> None:
        super().__init__(clock)
        self._client = client
        self._informers = informers
        self._recorder = EventRecorder(client, clock, "deployment-controller")
        informers.deployments.on_change(self._deployment_changed)
        informers.replica_sets.on_change(self._replica_set_changed)
        informers.pods.on_change(self._pod_changed)

    def sync(self, key: Key) -> None:
        """Take one step with one Deployment."""
        deployment = self._informers.deployments.get(*key)
        if deployment is None:
            return
        if "deletionTimestamp" in deployment["metadata"]:
            self._write_counts(self._view(deployment, self._owned(deployment)))
            return
        owned = claim(
            self._client, self._informers.replica_sets, deployment, "apps/v1", "Deployment"
        )
        if self._note_pause(deployment):
            return
        view = self._resolve(self._view(deployment, owned))
        if view is None:
            return
        if deployment["spec"].get("paused") or rollout.scaling_asked(deployment, owned):
            self._resize(view)
        elif rollout.is_rolling(deployment):
            self._roll(view if view.new is not None else self._create_new(view))
        else:
            self._recreate(view)

    # -- the ways to go on ------------------------------------------------------------------

    def _resize(self, view: View) -> None:
        """Follow a change of size (or, when paused, do no more than that)."""
        scales = rollout.scale_in_proportion(view.deployment, view.old, view.new)
        scaled = self._scale(view, scales)
        if view.deployment["spec"].get("paused"):
            self._clean_up(scaled)
        self._write_counts(view)

    def _roll(self, view: View) -> None:
        if view.new is None:
            return
        scales = rollout.reconcile_new(view.deployment, view.every, view.new)
        scales = scales or rollout.reconcile_old(view.deployment, view.old, view.new)
        self._finish_step(view, scales)

    def _recreate(self, view: View) -> None:
        scales = [Scale(item, 0) for item in view.old if rollout.replicas_of(item) > 0]
        if not scales and not self._old_pods_left(view):
            view = view if view.new is not None else self._create_new(view)
            if view.new is None:
                return
            total = rollout.replicas_of(view.deployment)
            if rollout.replicas_of(view.new) != total:
                scales = [Scale(view.new, total)]
        self._finish_step(view, scales)

    def _finish_step(self, view: View, scales: Sequence[Scale]) -> None:
        """Carry out the scaling decided on, tidy up after a completed rollout, tell the status.

        The status is that of the sizes before, as a real control plane tells it.
        """
        if scales:
            self._scale(view, scales)
        elif progress.is_complete(view.deployment, view.deployment.get("status", {})):
            self._clean_up(view)
        if view.told:
            return
        status = progress.rollout_status(view)
        if status != view.deployment.get("status", {}):
            self._write_status(view.deployment, status)
            return
        seconds = progress.seconds_to_deadline(view, status)
        if seconds is not None:
            self.queue.add_after(key_of(view.deployment), seconds)

    # -- revisions --------------------------------------------------------------------------

    def _resolve(self, view: View) -> View | None:
        """Bring the number of the newest ReplicaSet up to date; none is created.

        None means that it was just renumbered, and that everything else waits for the next step.
        """
        if view.new is None:
            return view
        annotations = view.new["metadata"].get("annotations", {})
        revision = revisions.next_revision(view.old)
        wanted = revisions.new_annotations(view.deployment, annotations, revision)
        ready_after = view.deployment["spec"].get("minReadySeconds", 0)
        if wanted == annotations and ready_after == view.new["spec"].get("minReadySeconds", 0):
            return self._note_found(view)
        changed = copy.deepcopy(view.new)
        changed["metadata"]["annotations"] = wanted
        changed["spec"]["minReadySeconds"] = ready_after
        self._write_replica_set(changed)
        return None

    def _note_found(self, view: View) -> View:
        """Give the Deployment the number of the ReplicaSet that it stands at."""
        assert view.new is not None
        deployment, status = view.deployment, view.deployment.get("status", {})
        number = view.new["metadata"].get("annotations", {}).get(revisions.REVISION)
        missing = get_condition(status, progress.PROGRESSING) is None
        if missing and progress.has_deadline(deployment):
            name = view.new["metadata"]["name"]
            message = f'Found new replica set "{name}"'
            written = self._write_progress(view, number, Reason.FOUND, message)
        elif number is None or _number(deployment) == number:
            return view
        else:
            written = self._write_status(deployment, status, revision=number)
        return replace(view, deployment=written, told=True)

    def _create_new(self, view: View) -> View:
        deployment = view.deployment
        revision = revisions.next_revision(view.old)
        body = revisions.build_replica_set(deployment, revision)
        size = rollout.new_replicas(deployment, [*view.old, body], body)
        body["spec"]["replicas"] = size
        name, namespace = body["metadata"]["name"], body["metadata"]["namespace"]
        try:
            new = self._client.create("replicasets", namespace, body)
        except ApiError as error:
            return self._not_created(view, body, error)
        self._informers.replica_sets.observe(new)
        if size > 0:
            self._scaled(deployment, "up", name, 0, size)
        message = f'Created new replica set "{name}"'
        deployment = self._write_progress(view, str(revision), Reason.CREATED, message)
        return replace(view, deployment=deployment, new=new, told=True)

    def _not_created(self, view: View, body: Json, error: ApiError) -> View:
        """A hash that clashes is counted up; any other refusal is told and tried again."""
        deployment, name = view.deployment, body["metadata"]["name"]
        if error.reason == "AlreadyExists":
            status = copy.deepcopy(deployment.get("status", {}))
            status["collisionCount"] = status.get("collisionCount", 0) + 1
            self._write_status(deployment, status)
            raise error
        if _namespace_is_going(error):
            return view
        message = f'Failed to create new replica set "{name}": {error.message}'
        about = reference(deployment, "Deployment")
        self._recorder.event(about, WARNING, Reason.CREATE_ERROR.value, message)
        self._write_progress(view, _number(deployment), Reason.CREATE_ERROR, message)
        raise error

    def _clean_up(self, view: View) -> None:
        for item in revisions.to_clean_up(view.deployment, view.old):
            metadata = item["metadata"]
            self._client.delete(
                "replicasets", metadata["namespace"], metadata["name"], uid=metadata["uid"]
            )

    # -- writing ----------------------------------------------------------------------------

    def _scale(self, view: View, scales: Sequence[Scale]) -> View:
        """Write new sizes; the view comes back with the ReplicaSets as they are now."""
        written: dict[str, Json] = {}
        wanted = revisions.size_annotations(view.deployment)
        for scale in scales:
            item, size = scale.replica_set, rollout.replicas_of(scale.replica_set)
            annotations = {**item["metadata"].get("annotations", {}), **wanted}
            if size == scale.replicas and annotations == item["metadata"].get("annotations"):
                continue
            changed = copy.deepcopy(item)
            changed["metadata"]["annotations"] = annotations
            changed["spec"]["replicas"] = scale.replicas
            written[item["metadata"]["uid"]] = self._write_replica_set(changed)
            if size != scale.replicas:
                direction = "up" if scale.replicas > size else "down"
                name = item["metadata"]["name"]
                self._scaled(view.deployment, direction, name, size, scale.replicas)
        old = [written.get(item["metadata"]["uid"], item) for item in view.old]
        new = view.new and written.get(view.new["metadata"]["uid"], view.new)
        return replace(view, old=old, new=new)

    def _scaled(self, deployment: Json, direction: str, name: str, size: int, now: int) -> None:
        message = f"Scaled {direction} replica set {name} from {size} to {now}"
        about = reference(deployment, "Deployment")
        self._recorder.event(about, NORMAL, "ScalingReplicaSet", message)

    def _write_replica_set(self, body: Json) -> Json:
        namespace, name = key_of(body)
        written = self._client.update("replicasets", namespace, name, body)
        self._informers.replica_sets.observe(written)
        return written

    def _write_counts(self, view: View) -> None:
        if view.told:
            return
        status = progress.calculate(view)
        if status != view.deployment.get("status", {}):
            self._write_status(view.deployment, status)

    def _write_progress(self, view: View, number: str | None, reason: Reason, message: str) -> Json:
        """Write the revision number and, where there is a deadline, a Progressing condition."""
        status = copy.deepcopy(view.deployment.get("status", {}))
        if progress.has_deadline(view.deployment):
            value = "False" if reason is Reason.CREATE_ERROR else "True"
            condition = deployment_condition(
                progress.PROGRESSING, value, reason.value, message, view.stamp
            )
            set_condition(status, condition)
        return self._write_status(view.deployment, status, revision=number)

    def _write_status(self, deployment: Json, status: Json, revision: str | None = None) -> Json:
        body = {**deployment, "status": status}
        if revision is not None:
            metadata = deployment["metadata"]
            annotations = {**metadata.get("annotations", {}), revisions.REVISION: revision}
            body["metadata"] = {**metadata, "annotations": annotations}
        namespace, name = key_of(deployment)
        written = self._client.update("deployments", namespace, name, body, subresource="status")
        self._informers.deployments.observe(written)
        return written

    def _note_pause(self, deployment: Json) -> bool:
        """Note a pause or its end in the conditions; say whether there was something to note."""
        now = timestamp(self.clock.now())
        condition = progress.paused_condition(deployment, now)
        if condition is None:
            return False
        status = copy.deepcopy(deployment.get("status", {}))
        set_condition(status, condition)
        self._write_status(deployment, status)
        return True

    # -- looking ----------------------------------------------------------------------------

    def _view(self, deployment: Json, owned: Sequence[Json]) -> View:
        new = revisions.find_new(deployment, owned)
        old, clock = revisions.others(new, owned), self.clock
        return View(deployment, old, new, clock.now(), rate=clock.rate)

    def _owned(self, deployment: Json) -> list[Json]:
        uid = deployment["metadata"]["uid"]
        return list(self._informers.replica_sets.select("controller", uid))

    def _old_pods_left(self, view: View) -> bool:
        uids = [item["metadata"]["uid"] for item in view.old]
        return any(
            not is_finished(pod)
            for uid in uids
            for pod in self._informers.pods.select("controller", uid)
        )

    def _deployment_changed(self, _old: Json | None, new: Json | None) -> None:
        if new is not None:
            self.queue.add(key_of(new))

    def _replica_set_changed(self, old: Json | None, new: Json | None) -> None:
        item = new or old
        owner = controller_of(item) if item is not None else None
        if item is not None and owner is not None:
            self.queue.add((item["metadata"]["namespace"], owner["name"]))

    def _pod_changed(self, old: Json | None, new: Json | None) -> None:
        """A pod that is gone may be the last one that a Recreate waited for."""
        owner = controller_of(old) if old is not None and new is None else None
        if old is None or owner is None or owner["kind"] != "ReplicaSet":
            return
        item = self._informers.replica_sets.get(old["metadata"]["namespace"], owner["name"])
        if item is not None:
            self._replica_set_changed(None, item)


def _number(deployment: Json) -> str | None:
    number: str | None = deployment["metadata"].get("annotations", {}).get(revisions.REVISION)
    return number


def _namespace_is_going(error: ApiError) -> bool:
    causes = (error.details or {}).get("causes", [])
    return any(cause.get("reason") == "NamespaceTerminating" for cause in causes)
