"""A Job's pods and what they mean for it: who has ended, who is missing, whether it is over.

Pure: Jobs and pods as plain dicts in, decisions and new dicts out.
"""

from __future__ import annotations

import copy
from collections.abc import Sequence
from dataclasses import dataclass
from datetime import datetime

from veza_nb.sandbox.apimachinery.status import Json
from veza_nb.sandbox.clock import parse_timestamp, span, timestamp
from veza_nb.sandbox.controllers.conditions import get_condition, is_true
from veza_nb.sandbox.controllers.job_pods import (
    format_indexes,
    index_of,
    is_counted,
    is_indexed,
    parse_indexes,
)
from veza_nb.sandbox.controllers.job_policies import FAIL_JOB, IGNORE, ruling
from veza_nb.sandbox.controllers.podstates import is_finished, is_terminating, phase_of

_FIRST_BACK_OFF, _LAST_BACK_OFF, _MOST_DOUBLINGS = 10.0, 600.0, 16


@dataclass(frozen=True, slots=True)
class Verdict:
    """Why a Job is over: a condition that is set at once, and one that follows its last pod."""

    early: str
    final: str
    reason: str
    message: str


SUCCESS = Verdict(
    "SuccessCriteriaMet",
    "Complete",
    "CompletionsReached",
    "Reached expected number of succeeded pods",
)


def failure(reason: str, message: str) -> Verdict:
    """That a Job has failed, and why."""
    return Verdict("FailureTarget", "Failed", reason, message)


TOO_MANY_FAILURES = failure("BackoffLimitExceeded", "Job has reached the specified backoff limit")
TOO_LATE = failure("DeadlineExceeded", "Job was active longer than specified deadline")


def decided(job: Json) -> Verdict | None:
    """The verdict that was given before and waits for pods to go."""
    status = job.get("status", {})
    if get_condition(status, SUCCESS.early) is not None:
        return SUCCESS
    found = get_condition(status, TOO_LATE.early)
    return None if found is None else failure(found["reason"], found["message"])


def is_over(job: Json) -> bool:
    """Whether a Job is complete or has failed."""
    status = job.get("status", {})
    return is_true(status, "Complete") or is_true(status, "Failed")


class Tally:
    """A Job's pods at one moment.

    Attributes:
        active: pods that work and stay.
        succeeded: pods that ended well and are not counted yet.
        failed: pods that failed, or are being deleted, and are not counted yet.
        terminating: how many are being deleted and have not ended.

    Args:
        job: whose pods they are.
        pods: all that it controls.
        now: aware UTC.
        rate: the clock's.
    """

    def __init__(self, job: Json, pods: Sequence[Json], now: datetime, rate: float = 1.0) -> None:
        self._job = job
        self._pods = pods
        self._now = now
        self._rate = rate
        wait_for_end = job["spec"].get("podReplacementPolicy") == "Failed"
        self.active = [pod for pod in pods if not is_finished(pod) and not is_terminating(pod)]
        self.succeeded = [
            pod for pod in pods if phase_of(pod) == "Succeeded" and not is_counted(pod)
        ]
        self.failed = [
            pod
            for pod in pods
            if not is_counted(pod)
            and phase_of(pod) != "Succeeded"
            and (phase_of(pod) == "Failed" or (is_terminating(pod) and not wait_for_end))
        ]
        going = [pod for pod in pods if is_terminating(pod)]
        self.terminating = sum(not is_finished(pod) for pod in going)
        # Pods that must have ended before others may take their places.
        self.blocking = self.terminating if wait_for_end else 0

    def failures(self) -> int:
        """Failed pods, the newest included."""
        known: int = self._job.get("status", {}).get("failed", 0)
        return known + sum(ruling(self._job, pod).action != IGNORE for pod in self.failed)

    def completed(self) -> set[int]:
        """Numbers of the completions reached, of an indexed Job."""
        known = parse_indexes(self._job.get("status", {}).get("completedIndexes", ""))
        total = self._job["spec"].get("completions") or 0
        fresh = {index_of(pod) for pod in self.succeeded}
        return known | {index for index in fresh if index is not None and index < total}

    def successes(self) -> int:
        """Completions, the newest included."""
        if is_indexed(self._job):
            return len(self.completed())
        known: int = self._job.get("status", {}).get("succeeded", 0)
        return known + len(self.succeeded)

    def ready(self) -> int:
        """How many active pods are ready."""
        return sum(is_true(pod.get("status", {}), "Ready") for pod in self.active)

    def verdict(self) -> Verdict | None:
        """Whether the Job is over now."""
        spec, limit = self._job["spec"], self._job["spec"].get("backoffLimit", 6)
        for said in (ruling(self._job, pod) for pod in self.failed):
            if said.action == FAIL_JOB:
                return failure("PodFailurePolicy", said.message)
        if self.failures() > limit or self._restarts_exceed(limit):
            return TOO_MANY_FAILURES
        left = seconds_to_deadline(self._job, self._now, self._rate)
        if left is not None and left <= 0:
            return TOO_LATE
        wanted = spec.get("completions")
        if wanted is None:
            done = self.successes() > 0 and not self.active
            return SUCCESS if done else None
        return SUCCESS if self.successes() >= wanted else None

    def _restarts_exceed(self, limit: int) -> bool:
        """Whether containers that are restarted in place failed too often."""
        if self._job["spec"]["template"]["spec"].get("restartPolicy") != "OnFailure":
            return False
        restarts = sum(
            container.get("restartCount", 0)
            for pod in self.active
            for container in pod.get("status", {}).get("containerStatuses", ())
        )
        exceeds: bool = restarts > 0 if limit == 0 else restarts >= limit
        return exceeds

    def missing(self) -> int:
        """How many pods to create; negative: how many to delete."""
        spec, active = self._job["spec"], len(self.active)
        parallelism: int = spec.get("parallelism", 1)
        completions = spec.get("completions")
        if completions is None:
            wanted = min(parallelism, active) if self.successes() else parallelism
        else:
            wanted = min(parallelism, completions - self.successes())
        lacking: int = wanted - active
        return max(lacking - self.blocking, 0) if lacking > 0 else lacking

    def free_indexes(self) -> list[int]:
        """Numbers that no pod works on and that are not done, lowest first."""
        taken = self.completed() | {index_of(pod) for pod in self.active}
        total = self._job["spec"].get("completions") or 0
        return [index for index in range(total) if index not in taken]

    def back_off(self) -> float:
        """Seconds to wait before failed pods are replaced; doubles with each failure in a row."""
        good, bad = self._ends("Succeeded"), self._ends("Failed")
        ends = [end for end in bad if not good or end > max(good)]
        if not ends:
            return 0.0
        doublings = min(len(ends) - 1, _MOST_DOUBLINGS)
        wait = min(_FIRST_BACK_OFF * 2.0**doublings, _LAST_BACK_OFF)
        return max(0.0, _left(max(ends), wait, self._now, self._rate))

    def _ends(self, phase: str) -> list[datetime]:
        return [_ended_at(pod, self._now) for pod in self._pods if phase_of(pod) == phase]


def _left(since: datetime, seconds: float, now: datetime, rate: float) -> float:
    """How many of so many cluster seconds since a date are left."""
    return (since + span(seconds, rate) - now).total_seconds() * rate


def _ended_at(pod: Json, now: datetime) -> datetime:
    ends = [
        state["terminated"]["finishedAt"]
        for container in pod.get("status", {}).get("containerStatuses", ())
        if (state := container.get("state", {})).get("terminated", {}).get("finishedAt")
    ]
    return parse_timestamp(max(ends)) if ends else now


def seconds_to_deadline(job: Json, now: datetime, rate: float = 1.0) -> float | None:
    """Seconds that a Job has left; None where it has no deadline or has not started."""
    limit, start = job["spec"].get("activeDeadlineSeconds"), job.get("status", {}).get("startTime")
    if limit is None or not start or job["spec"].get("suspend"):
        return None
    return _left(parse_timestamp(start), limit, now, rate)


def seconds_to_live(job: Json, now: datetime, rate: float = 1.0) -> float | None:
    """Seconds until a finished Job is deleted; None where it stays."""
    limit = job["spec"].get("ttlSecondsAfterFinished")
    if limit is None:
        return None
    for kind in ("Complete", "Failed"):
        condition = get_condition(job.get("status", {}), kind)
        if condition is not None and condition["status"] == "True":
            return _left(parse_timestamp(condition["lastTransitionTime"]), limit, now, rate)
    return None


def condition(kind: str, value: str, reason: str, message: str, now: datetime) -> Json:
    """A condition of a Job."""
    stamp = timestamp(now)
    return {
        "type": kind,
        "status": value,
        "lastProbeTime": stamp,
        "lastTransitionTime": stamp,
        "reason": reason,
        "message": message,
    }


def with_conditions(status: Json, *added: Json) -> Json:
    """A status with these conditions, in place of others of their types."""
    kinds = {each["type"] for each in added}
    kept = [each for each in status.get("conditions", ()) if each["type"] not in kinds]
    return {**status, "conditions": [*kept, *added]}


def counted_status(job: Json, tally: Tally) -> Json:
    """The status in which the newest ends are counted; conditions and times as they were."""
    before = copy.deepcopy(job.get("status", {}))
    counts = {
        "active": len(tally.active),
        "succeeded": tally.successes(),
        "failed": tally.failures(),
    }
    status = {name: value for name, value in before.items() if name not in counts}
    status |= {name: count for name, count in counts.items() if count}
    if is_indexed(job) and tally.completed():
        status["completedIndexes"] = format_indexes(tally.completed())
    return {
        **status,
        "terminating": tally.terminating,
        "uncountedTerminatedPods": {},
        "ready": tally.ready(),
    }
