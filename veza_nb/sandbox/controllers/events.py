"""Events: what a component says about an object, counted instead of repeated.

The same words again raise the count of the event that is there. More than ten different texts of
one reason within ten minutes are combined into one; an object that chatters is cut short.
"""

from __future__ import annotations

from collections import OrderedDict
from contextlib import suppress
from dataclasses import dataclass, field
from datetime import datetime, timedelta
from typing import TypeVar

from veza_nb.sandbox.apimachinery.status import ApiError, Json
from veza_nb.sandbox.apiserver.client import Client
from veza_nb.sandbox.clock import Clock, micro_timestamp, timestamp

K = TypeVar("K")
V = TypeVar("V")

TIME_TO_LIVE = timedelta(hours=1)
NORMAL, WARNING = "Normal", "Warning"
_API_VERSIONS = {
    "CronJob": "batch/v1",
    "DaemonSet": "apps/v1",
    "Deployment": "apps/v1",
    "HorizontalPodAutoscaler": "autoscaling/v2",
    "Job": "batch/v1",
    "PodDisruptionBudget": "policy/v1",
    "ReplicaSet": "apps/v1",
    "StatefulSet": "apps/v1",
}
_REMEMBERED = 4096
_COMBINE_ABOVE = 10
_COMBINE_WINDOW = timedelta(minutes=10)
_BURST, _REFILL_SECONDS = 25, 300.0
_COMBINED = "(combined from similar events): "


def reference(item: Json, kind: str, field_path: str = "") -> Json:
    """The reference to an object by which an event names what it is about."""
    metadata = item["metadata"]
    result: Json = {"kind": kind}
    if "namespace" in metadata:
        result["namespace"] = metadata["namespace"]
    result |= {
        "name": metadata["name"],
        "uid": metadata["uid"],
        "apiVersion": _API_VERSIONS.get(kind, "v1"),
        "resourceVersion": metadata.get("resourceVersion", ""),
    }
    if field_path:
        result["fieldPath"] = field_path
    return result


@dataclass(slots=True)
class _Known:
    """An event that exists in the API."""

    name: str
    count: int


@dataclass(slots=True)
class _Similar:
    """Texts seen lately for one object and reason."""

    since: datetime
    texts: dict[str, None] = field(default_factory=dict)


@dataclass(slots=True)
class _Allowance:
    """How many events an object may still cause."""

    left: float
    at: float


class EventRecorder:
    """Writes one component's events through the API.

    Args:
        client: acts as that component.
        clock: the cluster's time.
        component: such as "deployment-controller".
        host: the node, for events of a kubelet.
    """

    def __init__(self, client: Client, clock: Clock, component: str, host: str = "") -> None:
        self._client = client
        self._clock = clock
        self._component = component
        self._host = host
        self._known: OrderedDict[tuple[str, ...], _Known] = OrderedDict()
        self._similar: OrderedDict[tuple[str, ...], _Similar] = OrderedDict()
        self._allowances: OrderedDict[str, _Allowance] = OrderedDict()

    def event(self, about: Json, kind: str, reason: str, message: str) -> None:
        """Record an event about a `reference`; `kind` is Normal or Warning.

        An event that the API refuses is dropped: events must never stop the one who records them.
        """
        about_key = (about["uid"], about.get("fieldPath", ""), kind, reason)
        text, key = self._combine(about_key, message)
        if not self._allowed(about["uid"]):
            return
        known = self._known.get(key)
        if known is None or not self._count_up(about, known, text):
            self._create(about, kind, reason, text, key)

    def once(self, about: Json, kind: str, reason: str, message: str, action: str) -> None:
        """Record an event in the newer form, which says what was being done and is not counted."""
        now = self._clock.now()
        body: Json = {
            "metadata": self._metadata(about, now),
            "eventTime": micro_timestamp(now),
            "reportingController": self._component,
            "reportingInstance": f"{self._component}-0",
            "action": action,
            "reason": reason,
            "regarding": about,
            "note": message,
            "type": kind,
        }
        with suppress(ApiError):
            self._client.create("events.events.k8s.io", body["metadata"]["namespace"], body)

    def _combine(self, about_key: tuple[str, ...], message: str) -> tuple[str, tuple[str, ...]]:
        now = self._clock.now()
        similar = self._similar.get(about_key)
        if similar is None or now - similar.since > _COMBINE_WINDOW:
            similar = _Similar(now)
        similar.since = now
        similar.texts[message] = None
        _remember(self._similar, about_key, similar)
        if len(similar.texts) < _COMBINE_ABOVE:
            return message, (*about_key, message)
        del similar.texts[message]
        return _COMBINED + message, about_key

    def _allowed(self, uid: str) -> bool:
        now = self._clock.monotonic()
        allowance = self._allowances.get(uid) or _Allowance(_BURST, now)
        refilled = allowance.left + (now - allowance.at) / _REFILL_SECONDS
        allowance.left, allowance.at = min(refilled, _BURST), now
        _remember(self._allowances, uid, allowance)
        if allowance.left < 1:
            return False
        allowance.left -= 1
        return True

    def _count_up(self, about: Json, known: _Known, text: str) -> bool:
        """Raise the count of an event; False when it is no longer there."""
        last = timestamp(self._clock.now())
        patch = {"count": known.count + 1, "lastTimestamp": last, "message": text}
        try:
            self._client.patch("events", about.get("namespace", "default"), known.name, patch)
        except ApiError:
            return False
        known.count += 1
        return True

    def _create(self, about: Json, kind: str, reason: str, text: str, key: tuple[str, ...]) -> None:
        body = self._body(about, kind, reason, text)
        if self._write(body):
            _remember(self._known, key, _Known(body["metadata"]["name"], 1))

    def _write(self, body: Json) -> bool:
        try:
            self._client.create("events", body["metadata"]["namespace"], body)
        except ApiError:
            return False
        return True

    def _body(self, about: Json, kind: str, reason: str, text: str) -> Json:
        now = self._clock.now()
        source = {"component": self._component}
        if self._host:
            source["host"] = self._host
        return {
            "apiVersion": "v1",
            "kind": "Event",
            "metadata": self._metadata(about, now),
            "involvedObject": about,
            "reason": reason,
            "message": text,
            "source": source,
            "firstTimestamp": timestamp(now),
            "lastTimestamp": timestamp(now),
            "count": 1,
            "type": kind,
            "eventTime": None,
            "reportingComponent": "" if text.startswith(_COMBINED) else self._component,
            "reportingInstance": self._host,
        }

    def _metadata(self, about: Json, now: datetime) -> Json:
        # Names carry the time in nanoseconds; the last three digits keep them apart.
        nanoseconds = int(now.timestamp() * 1e6) * 1000 + self._clock.serial() % 1000
        name = f"{about['name']}.{nanoseconds:x}"
        return {"name": name, "namespace": about.get("namespace", "default")}


def _remember(memory: OrderedDict[K, V], key: K, value: V) -> None:
    """Put an entry at the fresh end and drop the stalest one beyond the limit."""
    memory[key] = value
    memory.move_to_end(key)
    if len(memory) > _REMEMBERED:
        memory.popitem(last=False)


def expire_events(client: Client, clock: Clock) -> None:
    """Delete the events that last happened more than an hour ago, as a real server forgets them."""
    oldest = timestamp(clock.now() - TIME_TO_LIVE)
    for item in list(client.list("events")):
        seen = item.get("lastTimestamp") or item.get("eventTime") or oldest
        if seen < oldest:
            metadata = item["metadata"]
            with suppress(ApiError):
                client.delete("events", metadata["namespace"], metadata["name"])
