"""The HorizontalPodAutoscaler controller: a workload's size within bounds, by what it uses."""

from __future__ import annotations

from collections import deque
from dataclasses import dataclass, field

from veza_nb.sandbox.apimachinery.kinds import RESOURCES, Resource
from veza_nb.sandbox.apimachinery.selectors import label_selector
from veza_nb.sandbox.apimachinery.status import ApiError, Json
from veza_nb.sandbox.apiserver.client import Client
from veza_nb.sandbox.clock import Clock, timestamp
from veza_nb.sandbox.controllers.autoscaling_math import (
    MetricError,
    Proposal,
    Usage,
    bound,
    propose,
)
from veza_nb.sandbox.controllers.base import Controller, Informers
from veza_nb.sandbox.controllers.conditions import get_condition
from veza_nb.sandbox.controllers.events import NORMAL, WARNING, EventRecorder, reference
from veza_nb.sandbox.controllers.informer import Key, key_of

_PERIOD_SECONDS = 15.0
_STABLE_SECONDS = 300.0
_REMEMBERED = 256
_KIND = "HorizontalPodAutoscaler"
_SCALE_GOT = "the HPA controller was able to get the target's current scale"
_SCALE_UNKNOWN = "the HPA controller was unable to get the target's current scale"


@dataclass(slots=True)
class _Pass:
    """One look at an autoscaler: its target's scale, and the status that comes out of it."""

    item: Json
    now: str
    status: Json = field(default_factory=dict)
    scale: Json = field(default_factory=dict)
    reason: str = ""

    @property
    def current(self) -> int:
        """Replicas that the target should have now."""
        replicas: int = self.scale["spec"].get("replicas", 0)
        return replicas

    def say(self, kind: str, value: bool, reason: str, message: str) -> None:
        """Set a condition in its place; its time moves only where the value does."""
        conditions = self.status.setdefault("conditions", [])
        known = get_condition(self.status, kind)
        same = known is not None and known["status"] == str(value)
        said = {
            "type": kind,
            "status": str(value),
            "lastTransitionTime": known["lastTransitionTime"] if known and same else self.now,
            "reason": reason,
            "message": message,
        }
        if known is None:
            conditions.append(said)
        else:
            conditions[conditions.index(known)] = said


class HorizontalController(Controller):
    """Looks at every autoscaler again and again.

    Attributes:
        usage: the CPU cores that a pod uses; None while nothing measures.
    """

    def __init__(
        self, client: Client, clock: Clock, informers: Informers, usage: Usage | None = None
    ) -> None:
        super().__init__(clock)
        self.usage = usage
        self._client = client
        self._informers = informers
        self._recorder = EventRecorder(client, clock, "horizontal-pod-autoscaler")
        self._wishes: dict[Key, deque[tuple[float, int]]] = {}
        self._moves: dict[Key, deque[tuple[float, int]]] = {}
        informers.autoscalers.on_change(self._changed)

    def sync(self, key: Key) -> None:
        """Look at one autoscaler, and plan the next look."""
        item = self._informers.autoscalers.get(*key)
        if item is None:
            self._wishes.pop(key, None)
            self._moves.pop(key, None)
            return
        self.queue.add_after(key, _PERIOD_SECONDS)
        known = item.get("status", {})
        status = {**known, "conditions": list(known.get("conditions", ()))}
        view = _Pass(item, timestamp(self.clock.now()), status)
        self._look(view)
        self._write_status(view)

    def _look(self, view: _Pass) -> None:
        if not self._read_scale(view):
            return
        desired = self._desired(view)
        view.status["currentReplicas"] = view.scale["status"].get("replicas", 0)
        if desired is None:
            return
        view.status["desiredReplicas"] = desired
        if desired != view.current:
            self._rescale(view, desired)

    def _read_scale(self, view: _Pass) -> bool:
        target, namespace = view.item["spec"]["scaleTargetRef"], view.item["metadata"]["namespace"]
        try:
            resource = _resource_of(target)
            name = target["name"]
            view.scale = self._client.get(resource.plural, namespace, name, subresource="scale")
        except ApiError as error:
            about = reference(view.item, _KIND)
            self._recorder.event(about, WARNING, "FailedGetScale", error.message)
            text = f"{_SCALE_UNKNOWN}: {error.message}"
            view.say("AbleToScale", False, "FailedGetScale", text)
            return False
        view.say("AbleToScale", True, "SucceededGetScale", _SCALE_GOT)
        return True

    def _desired(self, view: _Pass) -> int | None:
        """Replicas that the target should get; None where that cannot be told."""
        spec, current = view.item["spec"], view.current
        least, most = spec.get("minReplicas", 1), spec["maxReplicas"]
        if current == 0 and least != 0:
            text = "scaling is disabled since the replica count of the target is zero"
            view.say("ScalingActive", False, "ScalingDisabled", text)
            return 0
        if current > most:
            view.reason = "Current number of replicas above Spec.MaxReplicas"
            return int(most)
        if current < least:
            view.reason = "Current number of replicas below Spec.MinReplicas"
            return int(least)
        proposal = self._by_metrics(view)
        if proposal is None:
            return None
        if proposal.replicas > current:
            view.reason = f"{proposal.name} above target"
        elif proposal.replicas < current:
            view.reason = "All metrics below target"
        return self._limited(view, proposal.replicas)

    def _by_metrics(self, view: _Pass) -> Proposal | None:
        """The highest proposal of all metrics; None, and it is said why, where there is none."""
        metrics = view.item["spec"].get("metrics") or []
        chosen = label_selector(view.scale["status"].get("selector", ""))
        namespace = view.item["metadata"]["namespace"]
        pods = [
            pod
            for pod in self._informers.pods.select("namespace", namespace)
            if chosen.matches(pod["metadata"].get("labels"))
        ]
        proposals: list[Proposal] = []
        errors: list[MetricError] = []
        view.status["currentMetrics"] = shown = []
        for metric in metrics:
            try:
                proposals.append(propose(metric, pods, self.usage, view.current))
                shown.append(proposals[-1].status)
            except MetricError as error:
                errors.append(error)
                shown.append({"type": ""})
                about = reference(view.item, _KIND)
                self._recorder.event(about, WARNING, error.reason, error.text)
        highest = max(proposals, key=lambda each: each.replicas, default=None)
        if errors and (highest is None or highest.replicas < view.current):
            self._say_invalid(view, errors, len(metrics))
            return None
        if highest is None:
            # There is no metric at all.
            return None
        text = "the HPA was able to successfully calculate a replica count from"
        view.say("ScalingActive", True, "ValidMetricFound", f"{text} {highest.name}")
        return highest

    def _say_invalid(self, view: _Pass, errors: list[MetricError], total: int) -> None:
        first = errors[0]
        text = f"the HPA was unable to compute the replica count: {first.text}"
        view.say("ScalingActive", False, first.reason, text)
        counted = f"invalid metrics ({len(errors)} invalid out of {total})"
        whole = f"{counted}, first error is: {first.whole}"
        about = reference(view.item, _KIND)
        self._recorder.event(about, WARNING, "FailedComputeMetricsReplicas", whole)

    def _limited(self, view: _Pass, wish: int) -> int:
        """The wish, no lower than those of the last minutes, and within the bounds."""
        stable = self._stabilized(view, wish)
        if stable == wish:
            text = "recommended size matches current size"
            view.say("AbleToScale", True, "ReadyForNewScale", text)
        else:
            text = "recent recommendations were higher than current one"
            text = f"{text}, applying the highest recent recommendation"
            view.say("AbleToScale", True, "ScaleDownStabilized", text)
        key = key_of(view.item)
        bounded = bound(
            stable, view.current, view.item["spec"], lambda seconds: self._moved(key, seconds)
        )
        view.say("ScalingLimited", bounded.limited, bounded.reason, bounded.message)
        return bounded.replicas

    def _stabilized(self, view: _Pass, wish: int) -> int:
        rules = (view.item["spec"].get("behavior") or {}).get("scaleDown") or {}
        window = rules.get("stabilizationWindowSeconds", _STABLE_SECONDS)
        now = self.clock.monotonic()
        # Before the first look the present size counts as a wish, too.
        wishes = self._wishes.setdefault(key_of(view.item), deque([(now, view.current)]))
        while wishes and wishes[0][0] < now - window:
            wishes.popleft()
        wishes.append((now, wish))
        return max(size for _, size in wishes)

    def _rescale(self, view: _Pass, desired: int) -> None:
        target, metadata = view.item["spec"]["scaleTargetRef"], view.item["metadata"]
        about = reference(view.item, _KIND)
        body = {**view.scale, "spec": {"replicas": desired}}
        plural = _resource_of(target).plural
        try:
            self._client.update(
                plural, metadata["namespace"], target["name"], body, subresource="scale"
            )
        except ApiError as error:
            said = f"New size: {desired}; reason: {view.reason}; error: {error.message}"
            self._recorder.event(about, WARNING, "FailedRescale", said)
            text = f"the HPA controller was unable to update the target scale: {error.message}"
            view.say("AbleToScale", False, "FailedUpdateScale", text)
            return
        text = f"the HPA controller was able to update the target scale to {desired}"
        view.say("AbleToScale", True, "SucceededRescale", text)
        said = f"New size: {desired}; reason: {view.reason}"
        self._recorder.event(about, NORMAL, "SuccessfulRescale", said)
        view.status["lastScaleTime"] = view.now
        moves = self._moves.setdefault(key_of(view.item), deque(maxlen=_REMEMBERED))
        moves.append((self.clock.monotonic(), desired - view.current))

    def _moved(self, key: Key, seconds: int) -> tuple[int, int]:
        """Replicas added and taken away lately."""
        since = self.clock.monotonic() - seconds
        recent = [change for moment, change in self._moves.get(key, ()) if moment >= since]
        return sum(each for each in recent if each > 0), -sum(each for each in recent if each < 0)

    def _write_status(self, view: _Pass) -> None:
        status = {"desiredReplicas": 0, "currentMetrics": None, **view.status}
        if status == view.item.get("status", {}):
            return
        namespace, name = key_of(view.item)
        body = {**view.item, "status": status}
        written = self._client.update(
            "horizontalpodautoscalers", namespace, name, body, subresource="status"
        )
        self._informers.autoscalers.observe(written)

    def _changed(self, _old: Json | None, new: Json | None) -> None:
        if new is not None:
            self.queue.add_after(key_of(new), _PERIOD_SECONDS)


def _resource_of(target: Json) -> Resource:
    """The resource that an autoscaler's target is.

    Raises:
        ApiError: there is none, or it has no scale.
    """
    for resource in RESOURCES:
        version = resource.api_version
        if (version, resource.kind) == (target.get("apiVersion", "v1"), target["kind"]):
            if "scale" in resource.subresources:
                return resource
            break
    group = target.get("apiVersion", "").rpartition("/")[0]
    why = f'no matches for kind "{target["kind"]}" in group "{group}"'
    raise ApiError(404, "NotFound", why)
