"""How pods answer: the one place through which every request to a pod passes.

Probes ask here, users who come through a Service ask here, and who counts requests listens here.
The answer follows from the release in the container and from how long it has been running.
"""

from __future__ import annotations

import json
import math
from collections.abc import Callable, Mapping
from dataclasses import dataclass

from veza_nb.sandbox.clock import Clock
from veza_nb.sandbox.nodes.behaviors import Behavior
from veza_nb.sandbox.nodes.releases import service_of, tag_of
from veza_nb.sandbox.nodes.sites import JSON, LIVENESS_PATHS, READINESS_PATHS, page_of

REFUSED = 0
"""The status of an answer that nobody gave: there is no process that listens."""
# Timers are due at float times; a probe that is due when a release changes must see the change.
_GRAIN = 1e-6
_LOG_EVERY = 20

Observer = Callable[[str, str, str, int, float], None]
"""Told of every request: uid of the pod, method, path, status, seconds."""
OwnPage = Callable[[str], tuple[str, str]]
"""A page that depends on the pod: its uid in, content type and body out."""


@dataclass(frozen=True, slots=True)
class Answer:
    """What a pod answers.

    Attributes:
        status: HTTP status; `REFUSED` when the connection is refused.
        content_type: of the body.
        body: text.
        seconds: how long the answer takes; `math.inf` for one that never comes.
        sampled: whether an access log would show it: all errors, of the rest every twentieth.
        error_line: what the release prints besides, about an error.
    """

    status: int
    content_type: str = JSON
    body: str = ""
    seconds: float = 0.0
    sampled: bool = False
    error_line: str = ""


@dataclass(slots=True)
class Share:
    """Spreads failures evenly, the first at once: a rate of 0.4 fails two of every five."""

    debt: float = 0.0

    def take(self, rate: float) -> bool:
        """Count a request; say whether it fails."""
        self.debt += rate
        if self.debt < _GRAIN:
            return False
        self.debt -= 1
        return True


@dataclass(slots=True)
class _Process:
    """What runs in a container. A release's processes share its failures: users see them even."""

    service: str
    version: str
    behavior: Behavior
    since: float
    is_sidecar: bool
    share: Share
    requests: int = 0


class Endpoints:
    """What listens in the pods, and how it answers.

    Args:
        clock: the cluster's time; a release may change its mind after a while.

    Attributes:
        turned: how all programs of a service behave now, whatever their release.
    """

    def __init__(self, clock: Clock) -> None:
        self._clock = clock
        self._pods: dict[str, dict[str, _Process]] = {}
        self._shares: dict[str, Share] = {}
        self._observers: list[Observer] = []
        self._own: dict[str, OwnPage] = {}
        self.turned: Mapping[str, Behavior] = {}

    def on_request(self, observer: Observer) -> None:
        """Tell `observer` of every request from now on."""
        self._observers.append(observer)

    def own_page(self, path: str, page: OwnPage) -> None:
        """Let every running pod answer a path, such as "/metrics", with a page of its own."""
        self._own[path] = page

    def open(
        self,
        pod_uid: str,
        container: str,
        image: str,
        behavior: Behavior,
        age: float = 0.0,
        *,
        is_sidecar: bool = False,
    ) -> None:
        """A container's process begins to listen, or has been listening for so many seconds."""
        service, since = service_of(image), self._clock.monotonic() - age
        share = self._shares.setdefault(image, Share())
        process = _Process(service, tag_of(image), behavior, since, is_sidecar, share)
        self._pods.setdefault(pod_uid, {})[container] = process

    def close(self, pod_uid: str, container: str) -> None:
        """A container's process is gone; the pod is forgotten with its last one."""
        processes = self._pods.get(pod_uid, {})
        processes.pop(container, None)
        if not processes:
            self._pods.pop(pod_uid, None)

    def forget(self, pod_uid: str) -> None:
        """The pod is gone."""
        self._pods.pop(pod_uid, None)

    def age(self, pod_uid: str, container: str) -> float | None:
        """For how many seconds a container's process has been running; None if it is not."""
        process = self._pods.get(pod_uid, {}).get(container)
        return None if process is None else self._clock.monotonic() - process.since

    def answer(self, pod_uid: str, method: str, path: str, container: str = "") -> Answer:
        """Ask a pod.

        Args:
            pod_uid: which pod.
            method: such as "GET".
            path: without a query.
            container: which of its containers; when left out, the first that is no sidecar.
        """
        processes = self._pods.get(pod_uid, {})
        process = processes.get(container) if container else _first(processes)
        if process is None:
            given = Answer(REFUSED)
        elif path in self._own:
            given = Answer(200, *self._own[path](pod_uid))
        else:
            behavior = self.turned.get(process.service, process.behavior)
            age = self._clock.monotonic() - process.since
            given = _answer(process, behavior, method, path, age)
        for observer in self._observers:
            observer(pod_uid, method, path, given.status, given.seconds)
        return given


def _first(processes: Mapping[str, _Process]) -> _Process | None:
    every = sorted(processes.values(), key=lambda process: process.is_sidecar)
    return next(iter(every), None)


def _answer(process: _Process, behavior: Behavior, method: str, path: str, age: float) -> Answer:
    age += _GRAIN
    if behavior.hangs(age):
        return Answer(504, seconds=math.inf)
    page, error = page_of(process.service, path), _error(behavior, path, age)
    is_check = path in LIVENESS_PATHS or path in READINESS_PATHS
    fails = process.share.take(0.0 if is_check or error else behavior.error_rate)
    process.requests += 1
    sampled = fails or process.requests % _LOG_EVERY == 1
    if fails:
        error = 500, "internal server error"
    if error is None and page is not None:
        content_type, text = page(process.version)
        body = "" if method == "HEAD" else text
        return Answer(200, content_type, body, behavior.latency_seconds, sampled)
    status, words = error or (404, "not found")
    body = json.dumps({"error": words, "version": process.version})
    line = behavior.error_line if fails else ""
    return Answer(status, JSON, body, behavior.latency_seconds, sampled, line)


def _error(behavior: Behavior, path: str, age: float) -> tuple[int, str] | None:
    """What everything is answered with at an age, when the release is not well."""
    if behavior.is_broken(age):
        return 500, "broken"
    if path not in LIVENESS_PATHS and not behavior.is_ready(age):
        return 503, "not ready"
    return None
