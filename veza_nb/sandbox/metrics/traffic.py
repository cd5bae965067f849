"""Who asked which pod for what: users' background traffic, and the requests that really came.

Background traffic costs nothing while it flows. Each Service has one integral, its users' interest
divided by the number of pods that share it, brought up to date only when that number changes. What
a pod got is the difference of the integral between its entering and its leaving the Endpoints.
"""

from __future__ import annotations

import math
from collections.abc import Iterator, Mapping
from dataclasses import dataclass, field
from typing import NamedTuple

from veza_nb.sandbox.apimachinery.status import Json
from veza_nb.sandbox.clock import Clock
from veza_nb.sandbox.controllers.base import Informers
from veza_nb.sandbox.controllers.informer import Key, key_of
from veza_nb.sandbox.metrics import rhythm
from veza_nb.sandbox.metrics.histogram import Histogram
from veza_nb.sandbox.metrics.profiles import profile

Asked = tuple[str, str, int]
"""Method, path, HTTP status."""
UNMATCHED = "unmatched"
"""The path of all requests for what there is not, or users would make up series."""
_MOST_PATHS = 40


class Mood(NamedTuple):
    """How a pod takes its requests for a while.

    Attributes:
        errors: share of them that it fails, 0 to 1.
        latency: seconds that its answers take more than usual.
        answers: whether it answers at all.
    """

    errors: float = 0.0
    latency: float = 0.0
    answers: bool = True


@dataclass(frozen=True, slots=True)
class Load:
    """What one Service sends to a pod.

    Attributes:
        service: its name.
        requests: so many since the container's start, with a fraction, by the mood they met.
        rate: requests per second right now; 0 while the pod is not ready.
    """

    service: str
    requests: Mapping[Mood, float]
    rate: float

    @property
    def total(self) -> float:
        """All requests since the container's start."""
        return sum(self.requests.values())


@dataclass(slots=True)
class _Service:
    """The integral of one Service's traffic per ready pod."""

    seed: str
    members: dict[str, Key] = field(default_factory=dict)
    each: float = 0.0
    counted: float = 0.0

    def advance(self, seconds: float) -> float:
        """Bring the integral up to a moment; returns it."""
        now = rhythm.integral(self.seed, seconds)
        if self.members:
            self.each += (now - self.counted) / len(self.members)
        self.counted = now
        return self.each


@dataclass(slots=True)
class _Stint:
    """What a pod got from one Service: settled by mood, and since when it has been getting more."""

    settled: dict[Mood, float] = field(default_factory=dict)
    since: float | None = None
    mood: Mood | None = None

    def settle(self, each: float, *, stays: bool) -> None:
        """Enter what has come since; nothing that comes later changes it."""
        if self.since is not None:
            mood = self.mood or Mood()
            self.settled[mood] = self.settled.get(mood, 0.0) + each - self.since
        self.since = each if stays else None

    def feel(self, mood: Mood, each: float) -> None:
        """Take what comes from now on in another mood."""
        if self.mood is not None and self.mood != mood:
            self.settle(each, stays=self.since is not None)
        self.mood = mood

    def totals(self, each: float) -> dict[Mood, float]:
        """All that has come, by mood."""
        if self.since is None:
            return self.settled
        mood = self.mood or Mood()
        return {**self.settled, mood: self.settled.get(mood, 0.0) + each - self.since}


@dataclass(slots=True)
class _Account:
    """One run of a pod's container."""

    run: int
    stints: dict[Key, _Stint] = field(default_factory=dict)
    visits: dict[Asked, int] = field(default_factory=dict)
    seconds: dict[tuple[str, str], Histogram] = field(default_factory=dict)


class Traffic:
    """The requests to all pods.

    Args:
        clock: the cluster's time.
        informers: where pods and Endpoints are seen.
    """

    def __init__(self, clock: Clock, informers: Informers) -> None:
        self._clock = clock
        self._pods = informers.pods
        self._services: dict[Key, _Service] = {}
        self._accounts: dict[str, _Account] = {}
        self._keys: dict[str, Key] = {}
        informers.endpoints.on_change(self._endpoints_changed)
        informers.pods.on_change(self._pod_changed)

    def observe(self, uid: str, method: str, path: str, code: int, seconds: float) -> None:
        """Count a request that really came to a pod, and how long its answer took."""
        pod = self.pod(uid)
        if pod is None or not code or math.isinf(seconds):
            return
        account = self._account(uid, run_of(pod))
        known = (method, path) in account.seconds or len(account.seconds) < _MOST_PATHS
        if code == 404 or not known:
            path = UNMATCHED
        asked = (method, path, code)
        account.visits[asked] = account.visits.get(asked, 0) + 1
        account.seconds.setdefault((method, path), Histogram()).observe(seconds)

    def pod(self, uid: str) -> Json | None:
        """The pod of that uid."""
        key = self._keys.get(uid)
        found = self._pods.get(*key) if key is not None else None
        return found if found is not None and found["metadata"]["uid"] == uid else None

    def loads(self, pod: Json, mood: Mood) -> list[Load]:
        """What each Service sends to a pod, since the present run of its container began.

        Args:
            pod: which.
            mood: how it takes its requests from now on, and if nobody asked before: till now.
        """
        uid = pod["metadata"]["uid"]
        if uid not in self._accounts:
            return []
        account, now = self._account(uid, run_of(pod)), self._clock.monotonic()
        return [self._load(key, stint, uid, mood, now) for key, stint in account.stints.items()]

    def visits(self, pod: Json) -> dict[Asked, int]:
        """How often a pod was really asked, since the present run of its container began."""
        uid = pod["metadata"]["uid"]
        return self._account(uid, run_of(pod)).visits if uid in self._accounts else {}

    def durations(self, pod: Json) -> dict[tuple[str, str], Histogram]:
        """How long those answers took, by method and path."""
        uid = pod["metadata"]["uid"]
        return self._account(uid, run_of(pod)).seconds if uid in self._accounts else {}

    def _load(self, key: Key, stint: _Stint, uid: str, mood: Mood, now: float) -> Load:
        service, rate = self._services[key], profile(key[1]).rate
        each = service.advance(now)
        stint.feel(mood, each)
        requests = {mood: rate * total for mood, total in stint.totals(each).items()}
        flows = uid in service.members
        shared = rate * rhythm.level(service.seed, now) / len(service.members) if flows else 0.0
        return Load(key[1], requests, shared)

    def _account(self, uid: str, run: int) -> _Account:
        """The account of a run; that of an earlier run is closed and forgotten."""
        account = self._accounts.get(uid)
        if account is None:
            account = self._accounts[uid] = _Account(run)
        elif account.run != run:
            now = self._clock.monotonic()
            open_ = {
                key: _Stint(since=self._services[key].advance(now))
                for key, stint in account.stints.items()
                if stint.since is not None
            }
            account = self._accounts[uid] = _Account(run, open_)
        return account

    def _endpoints_changed(self, old: Json | None, new: Json | None) -> None:
        item = new if new is not None else old
        if item is None:
            return
        key = key_of(item)
        service = self._services.get(key)
        if service is None:
            service = self._services[key] = _Service("/".join(key))
            service.counted = rhythm.integral(service.seed, self._clock.monotonic())
        members = dict(_ready(new)) if new is not None else {}
        if members.keys() == service.members.keys():
            return
        each = service.advance(self._clock.monotonic())
        for uid in service.members.keys() - members.keys():
            self._leave(key, uid, each)
        for uid in members.keys() - service.members.keys():
            self._enter(key, uid, members[uid], each)
        service.members = members

    def _enter(self, key: Key, uid: str, pod_key: Key, each: float) -> None:
        pod = self._pods.get(*pod_key)
        if pod is not None and pod["metadata"]["uid"] == uid:
            account = self._account(uid, run_of(pod))
            account.stints.setdefault(key, _Stint()).since = each

    def _leave(self, key: Key, uid: str, each: float) -> None:
        account = self._accounts.get(uid)
        stint = account.stints.get(key) if account is not None else None
        if stint is not None:
            stint.settle(each, stays=False)

    def _pod_changed(self, old: Json | None, new: Json | None) -> None:
        if new is None and old is not None:
            self._accounts.pop(old["metadata"]["uid"], None)
            self._keys.pop(old["metadata"]["uid"], None)
        elif old is None and new is not None:
            self._keys[new["metadata"]["uid"]] = key_of(new)


def run_of(pod: Json) -> int:
    """How often the pod's first container has been restarted."""
    name = pod["spec"]["containers"][0]["name"]
    for status in pod.get("status", {}).get("containerStatuses", ()):
        if status["name"] == name:
            restarts: int = status["restartCount"]
            return restarts
    return 0


def _ready(endpoints: Json) -> Iterator[tuple[str, Key]]:
    for subset in endpoints.get("subsets") or ():
        for address in subset.get("addresses") or ():
            target = address.get("targetRef") or {}
            if target.get("kind") == "Pod" and "uid" in target:
                yield target["uid"], (target["namespace"], target["name"])
