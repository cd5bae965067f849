"""The CronJob controller: a Job at every time of a schedule, and no more of them than wanted."""

from __future__ import annotations

import copy
from datetime import UTC, datetime, timedelta, tzinfo
from zoneinfo import ZoneInfo

from veza_nb.sandbox.apimachinery.status import ApiError, Json
from veza_nb.sandbox.apiserver.client import Client
from veza_nb.sandbox.clock import Clock, parse_timestamp, timestamp
from veza_nb.sandbox.controllers.base import Controller, Informers
from veza_nb.sandbox.controllers.conditions import is_true
from veza_nb.sandbox.controllers.events import NORMAL, WARNING, EventRecorder, reference
from veza_nb.sandbox.controllers.informer import Key, controller_of, key_of
from veza_nb.sandbox.controllers.job_status import is_over
from veza_nb.sandbox.controllers.revisions import owner_reference
from veza_nb.sandbox.controllers.rollout import created
from veza_nb.sandbox.controllers.schedules import Schedule, parse_schedule

SCHEDULED = "batch.kubernetes.io/cronjob-scheduled-timestamp"
_KIND = "CronJob"
_SECONDS_PER_MINUTE = 60


def zone_of(cron_job: Json) -> tzinfo:
    """The time zone in which the schedule is meant."""
    name = cron_job["spec"].get("timeZone")
    return ZoneInfo(name) if name else UTC


def build_job(cron_job: Json, when: datetime) -> Json:
    """The Job for one time of the schedule; its name tells the minute."""
    template, metadata = cron_job["spec"]["jobTemplate"], cron_job["metadata"]
    given = template.get("metadata", {})
    minute = int(when.timestamp()) // _SECONDS_PER_MINUTE
    zone = zone_of(cron_job)
    stamp = when.astimezone(zone).isoformat(timespec="seconds").replace("+00:00", "Z")
    return {
        "apiVersion": "batch/v1",
        "kind": "Job",
        "metadata": {
            "name": f"{metadata['name']}-{minute}",
            "namespace": metadata["namespace"],
            "labels": dict(given.get("labels", {})),
            "annotations": {**given.get("annotations", {}), SCHEDULED: stamp},
            "ownerReferences": [owner_reference(cron_job, "batch/v1", _KIND)],
        },
        "spec": copy.deepcopy(template["spec"]),
    }


class CronJobController(Controller):
    """Starts Jobs on time, and clears away the old ones."""

    def __init__(self, client: Client, clock: Clock, informers: Informers) -> None:
        super().__init__(clock)
        self._client = client
        self._informers = informers
        self._recorder = EventRecorder(client, clock, "cronjob-controller")
        informers.cron_jobs.on_change(self._changed)
        informers.jobs.on_change(self._job_changed)

    def sync(self, key: Key) -> None:
        """Look at one CronJob: what has ended, what is due, what is too old."""
        item = self._informers.cron_jobs.get(*key)
        if item is None or "deletionTimestamp" in item["metadata"]:
            return
        jobs = sorted(self._jobs(item), key=created)
        status = self._followed(item, jobs)
        self._clear(item, [job for job in jobs if is_over(job)])
        if not item["spec"].get("suspend"):
            status = self._start(item, status)
        if status != item.get("status", {}):
            body = {**item, "status": status}
            written = self._client.update("cronjobs", *key, body, subresource="status")
            self._informers.cron_jobs.observe(written)

    def _jobs(self, item: Json) -> list[Json]:
        found = self._informers.jobs.select("owner", item["metadata"]["uid"])
        return [job for job in found if _is_ours(job, item)]

    def _followed(self, item: Json, jobs: list[Json]) -> Json:
        """The status in which Jobs that have ended are no longer active."""
        status: Json = copy.deepcopy(item.get("status", {}))
        present = {job["metadata"]["uid"]: job for job in jobs}
        active = []
        for entry in status.pop("active", ()):
            job = present.get(entry["uid"])
            if job is None:
                self._tell(item, NORMAL, "MissingJob", f"Active job went missing: {entry['name']}")
            elif is_over(job):
                self._note_end(item, job, status)
            else:
                active.append(entry)
        if active:
            status["active"] = active
        return status

    def _note_end(self, item: Json, job: Json, status: Json) -> None:
        word = "Complete" if is_true(job["status"], "Complete") else "Failed"
        name = job["metadata"]["name"]
        self._tell(item, NORMAL, "SawCompletedJob", f"Saw completed job: {name}, status: {word}")
        if word == "Complete":
            status["lastSuccessfulTime"] = job["status"]["completionTime"]

    def _clear(self, item: Json, ended: list[Json]) -> None:
        """Delete Jobs that ended longer ago than the history reaches."""
        spec = item["spec"]
        for good, limit in (
            (True, spec.get("successfulJobsHistoryLimit", 3)),
            (False, spec.get("failedJobsHistoryLimit", 1)),
        ):
            same = [job for job in ended if is_true(job["status"], "Complete") is good]
            for job in same[: max(len(same) - limit, 0)]:
                self._delete(item, job)

    def _delete(self, item: Json, job: Json) -> None:
        uid, name = job["metadata"]["uid"], job["metadata"]["name"]
        try:
            self._client.delete("jobs", *key_of(job), uid=uid, propagation="Background")
        except ApiError as error:
            if error.code != 404:
                raise
            return
        self._tell(item, NORMAL, "SuccessfulDelete", f"Deleted job {name}")

    def _start(self, item: Json, status: Json) -> Json:
        """Start the Job that is due, if one is; plan the next look."""
        zone, now = zone_of(item), self.clock.now()
        schedule = parse_schedule(item["spec"]["schedule"])
        since = status.get("lastScheduleTime") or item["metadata"]["creationTimestamp"]
        begin, local = parse_timestamp(since).astimezone(zone), now.astimezone(zone)
        deadline = item["spec"].get("startingDeadlineSeconds")
        if deadline is not None:
            begin = max(begin, local - timedelta(seconds=deadline))
        self._plan(item, schedule, begin, local)
        due = schedule.latest(begin, local)
        if due is None or not self._may_start(item, status):
            return status
        return self._create(item, status, due.astimezone(UTC))

    def _plan(self, item: Json, schedule: Schedule, begin: datetime, now: datetime) -> None:
        following = schedule.next_after(begin if schedule.every else now)
        if following is not None:
            wait = (following - now).total_seconds() * self.clock.rate
            self.queue.add_after(key_of(item), max(wait, 0.0) + 0.001)

    def _may_start(self, item: Json, status: Json) -> bool:
        """What the concurrency policy says, given the Jobs that are still running."""
        active, policy = status.get("active", ()), item["spec"].get("concurrencyPolicy")
        if policy == "Forbid" and active:
            running = "prior execution is running and concurrency policy is Forbid"
            self._tell(item, NORMAL, "JobAlreadyActive", f"Not starting job because {running}")
            return False
        if policy == "Replace":
            for entry in status.pop("active", ()):
                job = self._informers.jobs.get(item["metadata"]["namespace"], entry["name"])
                if job is not None:
                    self._delete(item, job)
        return True

    def _create(self, item: Json, status: Json, due: datetime) -> Json:
        body, namespace = build_job(item, due), item["metadata"]["namespace"]
        try:
            job = self._client.create("jobs", namespace, body)
        except ApiError as error:
            if error.reason == "AlreadyExists":
                return {**status, "lastScheduleTime": timestamp(due)}
            self._tell(item, WARNING, "FailedCreate", f"Error creating job: {error.message}")
            raise
        self._informers.jobs.observe(job)
        name = job["metadata"]["name"]
        self._tell(item, NORMAL, "SuccessfulCreate", f"Created job {name}")
        entry = reference(job, "Job")
        active = [*status.get("active", ()), entry]
        return {**status, "active": active, "lastScheduleTime": timestamp(due)}

    def _tell(self, item: Json, kind: str, reason: str, message: str) -> None:
        self._recorder.event(reference(item, _KIND), kind, reason, message)

    def _changed(self, old: Json | None, new: Json | None) -> None:
        if new is not None and (old is None or old["spec"] != new["spec"]):
            self.queue.add(key_of(new))

    def _job_changed(self, old: Json | None, new: Json | None) -> None:
        """A Job that ends, or that is gone, is news for who started it."""
        job = new or old
        owner = controller_of(job) if job is not None else None
        if job is None or owner is None or owner["kind"] != _KIND:
            return
        if new is None or is_over(new):
            self.queue.add((job["metadata"]["namespace"], owner["name"]))


def _is_ours(job: Json, cron_job: Json) -> bool:
    owner = controller_of(job)
    return owner is not None and owner["uid"] == cron_job["metadata"]["uid"]
