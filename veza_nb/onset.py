"""When the trouble began, as far as anything still tells, and whether that was with a rollout."""

from collections.abc import Iterable, Iterator
from dataclasses import dataclass
from datetime import datetime, timedelta

from veza_nb.objects import ContainerStatus, Pod, Workload
from veza_nb.replicasets import condition, live_since, owned_replicasets
from veza_nb.revisions import PROVEN_AFTER
from veza_nb.rollout import RolloutState
from veza_nb.troubles import container_statuses
from veza_nb.words import clock_time, span, utc

AT_ONCE = timedelta(minutes=1)
"""Two things that began no further apart began together: clocks and conditions are that coarse."""
SUSPECT = timedelta(minutes=30)
"""Where no sign is left of when it began, a rollout that lately is sign enough."""
_FIRST_BACK_OFF, _LONGEST_BACK_OFF = timedelta(seconds=10), timedelta(minutes=5)
_ROUGHLY = 1.5
"""Crashes take that many times as long as their pauses alone, at most: the rest is starting."""


@dataclass(frozen=True, slots=True)
class Onset:
    """When it began, beside when the rollout did.

    Attributes:
        at: the first sign that is left; None where nothing tells.
        rolled_out_at: when the live template came; None where that is not known.
        release_at: when the template came that was the live one as it began; None where one of
            the two is not known.
    """

    at: datetime | None
    rolled_out_at: datetime | None
    release_at: datetime | None = None

    @property
    def told(self) -> str:
        """`It began 2026-11-24 11:56:10 UTC, 10 s after the rollout.`; "" where nothing tells."""
        if self.at is None:
            return ""
        if self.rolled_out_at is None:
            return f"It began {clock_time(self.at)}; when the rollout began is not known."
        between = self.at - self.rolled_out_at
        side = "before" if between < timedelta() else "after"
        return f"It began {clock_time(self.at)}, {span(abs(between))} {side} the rollout."

    def follows(self, moment: datetime | None, margin: timedelta = AT_ONCE) -> bool:
        """Whether it began after that moment, or about then; False where one is not known."""
        return self.at is not None and moment is not None and utc(moment) - self.at <= margin

    def with_rollout(self, now: datetime) -> bool | None:
        """Whether it began with a rollout; None where that cannot be told.

        A template that ran long enough to count as proven and failed only then was good until
        something else happened.
        """
        if self.at is not None:
            known = self.release_at is not None
            return self.at - self.release_at <= PROVEN_AFTER if known and self.release_at else None
        if self.rolled_out_at is None:
            return None
        return True if utc(now) - self.rolled_out_at <= SUSPECT else None


NEVER = Onset(None, None)
"""Where nothing tells."""


def read_onset(workload: Workload, rollout: RolloutState, signs: Iterable[datetime] = ()) -> Onset:
    """When pods in trouble stopped being ready, or the Deployment being available.

    A pod that never was ready has counted as not ready since it was made.

    Args:
        workload: what was seen.
        rollout: of the same look.
        signs: when others noticed; they count where pods tell nothing.
    """
    since = live_since(workload)
    at = min(_of_objects(workload, rollout), default=None)
    at = at if at is not None else min(map(utc, signs), default=None)
    came = [rs.metadata.creation_timestamp for rs in owned_replicasets(workload)]
    releases = [utc(one) for one in (*came, since) if one is not None]
    before = [one for one in releases if at is not None and one - at <= AT_ONCE]
    return Onset(at, utc(since) if since else None, max(before, default=None))


def _of_objects(workload: Workload, rollout: RolloutState) -> Iterator[datetime]:
    troubled = {trouble.pod for trouble in rollout.troubles}
    for pod in workload.pods:
        yield from (at for one in container_statuses(pod) if (at := _first_crash(pod, one)))
        if pod.metadata.name in troubled:
            yield from _unready(pod)
    available = condition(workload.deployment.status.conditions, "Available")
    if available is not None and available.status == "False" and available.last_transition_time:
        yield utc(available.last_transition_time)


def _unready(pod: Pod) -> Iterator[datetime]:
    ready = condition(pod.status.conditions, "Ready")
    if ready is not None and ready.status != "True" and ready.last_transition_time:
        yield utc(ready.last_transition_time)


def _first_crash(pod: Pod, status: ContainerStatus) -> datetime | None:
    """When a container that crashes again and again began to, judged by what its crashes took.

    Its pod may have been ready between two of them, so that Ready tells only of the last one.
    """
    ended = status.last_state.terminated
    if ended is None or not ended.exit_code or not status.restart_count or not ended.finished_at:
        return None
    end, begin = utc(ended.finished_at), ended.started_at
    ran = max(timedelta(), end - utc(begin)) if begin else timedelta()
    pauses = sum(map(_pause, range(status.restart_count - 1)), timedelta())
    try:
        began = end - _ROUGHLY * (pauses + ran * status.restart_count)
    except OverflowError:
        return None
    started = pod.status.start_time
    return max(utc(started), began) if started else began


def _pause(number: int) -> timedelta:
    """Before the restart after so many; Kubernetes doubles them up to five minutes."""
    return min(_LONGEST_BACK_OFF, _FIRST_BACK_OFF * (1 << min(number, 5)))
