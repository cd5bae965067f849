"""The Job controller: pods that run to their end, as often as asked for, with back-off.

Every pod carries a finalizer until its end is in the Job's numbers, so that none is ever missed.
"""

from __future__ import annotations

from collections.abc import Sequence

from veza_nb.sandbox.apimachinery.status import ApiError, Json
from veza_nb.sandbox.apiserver.client import Client
from veza_nb.sandbox.clock import Clock, timestamp
from veza_nb.sandbox.controllers import job_status as jobs
from veza_nb.sandbox.controllers.base import Controller, Informers
from veza_nb.sandbox.controllers.conditions import get_condition, is_true
from veza_nb.sandbox.controllers.events import NORMAL, WARNING, EventRecorder, reference
from veza_nb.sandbox.controllers.informer import Informer, Key, controller_of, key_of
from veza_nb.sandbox.controllers.job_pods import TRACKING, build_pod, is_counted, is_indexed
from veza_nb.sandbox.controllers.job_status import Tally, Verdict
from veza_nb.sandbox.controllers.owners import claim
from veza_nb.sandbox.controllers.podcontrol import PodControl, owners_of_change

_KIND = "Job"
_BURST = 50
"""Pods created in one go; the rest follows after others had their turn."""


class JobController(Controller):
    """Keeps every Job's pods and status, and deletes finished ones that are past their time."""

    def __init__(self, client: Client, clock: Clock, informers: Informers) -> None:
        super().__init__(clock)
        self._client = client
        self._informers = informers
        self._recorder = EventRecorder(client, clock, "job-controller")
        self._control = PodControl(client, informers.pods, self._recorder, _KIND)
        informers.jobs.on_change(self._changed)
        informers.pods.on_change(self._pod_changed)

    def sync(self, key: Key) -> None:
        """Take one step with one Job."""
        item = self._informers.jobs.get(*key)
        if item is None or item["spec"].get("managedBy"):
            return
        if jobs.is_over(item):
            self._expire(item)
            return
        item = self._note_start(item)
        pods = claim(self._client, self._informers.pods, item, "batch/v1", _KIND)
        tally = self._tally(item, pods)
        verdict = jobs.decided(item) or tally.verdict()
        error = None
        if "deletionTimestamp" not in item["metadata"]:
            try:
                self._manage(item, tally, verdict)
            except ApiError as refused:
                error = refused
        self._count(item, verdict)
        if error is not None:
            raise error

    def _manage(self, item: Json, tally: Tally, verdict: Verdict | None) -> None:
        """Create or delete pods."""
        if verdict is not None or item["spec"].get("suspend"):
            for pod in tally.active:
                self._control.delete(item, pod)
            return
        missing = tally.missing()
        for pod in tally.active[: max(-missing, 0)]:
            self._control.delete(item, pod)
        if missing <= 0:
            return
        wait = tally.back_off()
        if wait > 0:
            self.queue.add_after(key_of(item), wait)
            return
        for index in self._indexes(item, tally, min(missing, _BURST)):
            self._control.create(item, build_pod(item, index))
        if missing > _BURST:
            self.queue.add(key_of(item))

    def _indexes(self, item: Json, tally: Tally, count: int) -> Sequence[int | None]:
        if is_indexed(item):
            return tally.free_indexes()[:count]
        return [None] * count

    # -- status -----------------------------------------------------------------------------

    def _count(self, item: Json, verdict: Verdict | None) -> None:
        """Take ended pods into the numbers, then let them go, and say whether the Job is over."""
        tally = self._tally(item, self._owned(item))
        status = self._concluded(item, jobs.counted_status(item, tally), tally, verdict)
        ended = [*tally.succeeded, *tally.failed]
        if ended:
            item = self._write_status(item, self._uncounted(item, tally))
            for pod in ended:
                let_go(self._client, self._informers.pods, pod)
        if status != item.get("status", {}):
            item = self._write_status(item, status)
        if jobs.is_over(item) and verdict is not None:
            self._tell_end(item, verdict)
            return
        left = jobs.seconds_to_deadline(item, self.clock.now(), self.clock.rate)
        if left is not None and verdict is None:
            self.queue.add_after(key_of(item), left)

    def _uncounted(self, item: Json, tally: Tally) -> Json:
        """The status that names the pods which are about to be counted."""
        groups = {"succeeded": tally.succeeded, "failed": tally.failed}
        uids = {
            name: [pod["metadata"]["uid"] for pod in pods] for name, pods in groups.items() if pods
        }
        return {**item.get("status", {}), "uncountedTerminatedPods": uids}

    def _concluded(self, item: Json, status: Json, tally: Tally, verdict: Verdict | None) -> Json:
        """The status with what the verdict says: half of it at once, the rest after all pods."""
        if verdict is None:
            return self._with_suspension(item, status)
        now = self.clock.now()
        said = verdict.reason, verdict.message
        if not is_true(status, verdict.early):
            status = jobs.with_conditions(status, jobs.condition(verdict.early, "True", *said, now))
        if tally.active or tally.terminating:
            return status
        if verdict is jobs.SUCCESS:
            status["completionTime"] = timestamp(now)
        return jobs.with_conditions(status, jobs.condition(verdict.final, "True", *said, now))

    def _with_suspension(self, item: Json, status: Json) -> Json:
        suspended = bool(item["spec"].get("suspend"))
        noted = get_condition(status, "Suspended")
        if suspended == (noted is not None and noted["status"] == "True"):
            return status
        now, word = self.clock.now(), "suspended" if suspended else "resumed"
        event = reference(item, _KIND), NORMAL, word.title(), f"Job {word}"
        self._recorder.event(*event)
        if suspended:
            status.pop("startTime", None)
        value = str(suspended)
        said = jobs.condition("Suspended", value, f"Job{word.title()}", f"Job {word}", now)
        return jobs.with_conditions(status, said)

    def _note_start(self, item: Json) -> Json:
        if item.get("status", {}).get("startTime") or item["spec"].get("suspend"):
            return item
        status = {**item.get("status", {}), "startTime": timestamp(self.clock.now())}
        # Written together with the first counts; until then only this step knows it.
        return {**item, "status": status}

    def _tell_end(self, item: Json, verdict: Verdict) -> None:
        about = reference(item, _KIND)
        if verdict is jobs.SUCCESS:
            self._recorder.event(about, NORMAL, "Completed", "Job completed")
        else:
            self._recorder.event(about, WARNING, verdict.reason, verdict.message)

    def _write_status(self, item: Json, status: Json) -> Json:
        body = {**item, "status": status}
        written = self._client.update("jobs", *key_of(item), body, subresource="status")
        self._informers.jobs.observe(written)
        return written

    # -- the end ----------------------------------------------------------------------------

    def _expire(self, item: Json) -> None:
        """Let the last pods go, and delete the Job when its time is over."""
        for pod in self._owned(item):
            if not is_counted(pod):
                let_go(self._client, self._informers.pods, pod)
        left = jobs.seconds_to_live(item, self.clock.now(), self.clock.rate)
        if left is None or "deletionTimestamp" in item["metadata"]:
            return
        if left > 0:
            self.queue.add_after(key_of(item), left)
            return
        uid = item["metadata"]["uid"]
        self._client.delete("jobs", *key_of(item), uid=uid, propagation="Foreground")

    def _tally(self, item: Json, pods: Sequence[Json]) -> Tally:
        return Tally(item, pods, self.clock.now(), self.clock.rate)

    def _owned(self, item: Json) -> list[Json]:
        return list(self._informers.pods.select("controller", item["metadata"]["uid"]))

    def _changed(self, _old: Json | None, new: Json | None) -> None:
        if new is not None:
            self.queue.add(key_of(new))

    def _pod_changed(self, old: Json | None, new: Json | None) -> None:
        for key in owners_of_change(_KIND, old, new):
            self.queue.add(key)


class JobPodReleaser(Controller):
    """Takes the Job's finalizer off pods whose Job is gone."""

    def __init__(self, client: Client, clock: Clock, informers: Informers) -> None:
        super().__init__(clock)
        self._client = client
        self._informers = informers
        informers.pods.on_change(self._pod_changed)
        informers.jobs.on_change(self._job_changed)

    def sync(self, key: Key) -> None:
        """Look at one pod."""
        pod = self._informers.pods.get(*key)
        if pod is not None and not is_counted(pod) and self._is_orphan(pod):
            let_go(self._client, self._informers.pods, pod)

    def _is_orphan(self, pod: Json) -> bool:
        owner = controller_of(pod)
        if owner is None:
            return True
        found = self._informers.jobs.get(pod["metadata"]["namespace"], owner["name"])
        return found is None or found["metadata"]["uid"] != owner["uid"]

    def _pod_changed(self, _old: Json | None, new: Json | None) -> None:
        if new is not None and not is_counted(new) and self._is_orphan(new):
            self.queue.add(key_of(new))

    def _job_changed(self, old: Json | None, new: Json | None) -> None:
        if new is None and old is not None:
            for pod in self._informers.pods.select("controller", old["metadata"]["uid"]):
                self.queue.add(key_of(pod))


def let_go(client: Client, pods: Informer, pod: Json) -> None:
    """Take the Job's finalizer off a pod; one that is gone is let go already."""
    metadata = pod["metadata"]
    left = [each for each in metadata.get("finalizers", ()) if each != TRACKING]
    patch = {"metadata": {"uid": metadata["uid"], "finalizers": left or None}}
    try:
        written = client.patch("pods", *key_of(pod), patch)
    except ApiError as error:
        if error.code not in (404, 409, 422):
            raise
        return
    pods.observe(written)
