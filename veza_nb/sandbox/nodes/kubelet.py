"""The kubelet of every node: brings pods to life and lets them behave as their release does.

There are no tasks per pod, only timers on the cluster's clock: a pod that runs well costs nothing.
"""

from __future__ import annotations

import logging
from collections.abc import Callable
from dataclasses import dataclass, field
from datetime import datetime

from veza_nb.sandbox.apimachinery.status import ApiError, Json
from veza_nb.sandbox.apiserver.client import Client
from veza_nb.sandbox.apiserver.logs import LogStore
from veza_nb.sandbox.clock import Clock, Timer, timestamp
from veza_nb.sandbox.controllers.base import Informers
from veza_nb.sandbox.controllers.events import NORMAL, WARNING, EventRecorder, reference
from veza_nb.sandbox.controllers.informer import key_of
from veza_nb.sandbox.nodes import podstatus
from veza_nb.sandbox.nodes.podstatus import Container
from veza_nb.sandbox.nodes.releases import Releases, tag_of

_log = logging.getLogger(__name__)

STOP_SECONDS = 0.3
"""How long a container takes to stop; the pod's grace period is its limit, not its habit."""
_FIRST_RESTART_SECONDS = 0.2
_PULL_SECONDS = 0.1
_SHOW_ERROR_SECONDS = 0.4
_FIRST_PROBE_SECONDS = 0.5
_PROBE_SECONDS = 10
_RETRY_SECONDS = 0.5


@dataclass(slots=True)
class _Pod:
    """A pod on a node, as its kubelet knows it."""

    item: Json
    containers: list[Container]
    address: str = ""
    started_at: str = ""
    conditions: list[Json] = field(default_factory=list)
    timers: list[Timer] = field(default_factory=list)
    stopping: bool = False

    @property
    def uid(self) -> str:
        uid: str = self.item["metadata"]["uid"]
        return uid

    @property
    def restart_policy(self) -> str:
        policy: str = self.item["spec"].get("restartPolicy", "Always")
        return policy


class Kubelet:
    """Runs the pods of all nodes.

    Args:
        client: acts as the nodes' kubelets.
        clock: the cluster's time.
        informers: where pods and nodes are seen.
        releases: how images behave.
        logs: where containers print.
    """

    def __init__(
        self,
        client: Client,
        clock: Clock,
        informers: Informers,
        releases: Releases,
        logs: LogStore,
    ) -> None:
        self.releases = releases
        self._client = client
        self._clock = clock
        self._informers = informers
        self._logs = logs
        self._pods: dict[str, _Pod] = {}
        self._recorders: dict[str, EventRecorder] = {}
        self._addresses: dict[str, int] = {}
        informers.pods.on_change(self._changed)

    def close(self) -> None:
        """Forget all pods and their timers."""
        for uid in list(self._pods):
            self._drop(uid)

    # -- what happens to pods ------------------------------------------------------------------

    def _changed(self, old: Json | None, new: Json | None) -> None:
        if new is None:
            if old is not None:
                self._drop(old["metadata"]["uid"])
            return
        uid = new["metadata"]["uid"]
        pod = self._pods.get(uid)
        if pod is None:
            if new["spec"].get("nodeName") and not _is_finished(new):
                self._admit(new)
            return
        pod.item = new
        if "deletionTimestamp" in new["metadata"] and not pod.stopping:
            self._stop(pod)

    def _admit(self, item: Json) -> None:
        containers = [
            Container(spec["name"], spec["image"], self.releases.of(spec["image"]))
            for spec in item["spec"]["containers"]
        ]
        pod = _Pod(item, containers)
        self._pods[pod.uid] = pod
        if "deletionTimestamp" in item["metadata"]:
            self._stop(pod)
        else:
            self._later(pod, 0.0, self._begin)

    def _begin(self, pod: _Pod) -> None:
        pod.started_at = timestamp(self._clock.now())
        self._publish(pod)
        for container in pod.containers:
            self._pull(pod, container)

    def _stop(self, pod: _Pod) -> None:
        """Let the containers end, then take the pod out of the API for good."""
        pod.stopping = True
        for timer in pod.timers:
            timer.cancel()
        pod.timers.clear()
        grace = pod.item["metadata"].get("deletionGracePeriodSeconds", 0)
        self._later(pod, 0.0, self._announce_stop)
        self._later(pod, min(STOP_SECONDS, grace), self._remove)

    def _announce_stop(self, pod: _Pod) -> None:
        for container in pod.containers:
            if container.running:
                self._print(pod, container, ('level=info msg="shutting down" signal=SIGTERM',))
                message = f"Stopping container {container.name}"
                self._event(pod, container, NORMAL, "Killing", message)

    def _remove(self, pod: _Pod) -> None:
        namespace, name = key_of(pod.item)
        try:
            gone = self._client.delete("pods", namespace, name, uid=pod.uid, grace=0)
        except ApiError as error:
            if error.code not in (404, 409):
                self._later(pod, _RETRY_SECONDS, self._remove)
            return
        if not gone["metadata"].get("finalizers"):
            self._informers.pods.forget(gone)

    def _drop(self, uid: str) -> None:
        pod = self._pods.pop(uid, None)
        if pod is None:
            return
        for timer in pod.timers:
            timer.cancel()
        self._logs.drop(uid)

    # -- what happens to containers ----------------------------------------------------------

    def _pull(self, pod: _Pod, container: Container) -> None:
        image, behavior = container.image, container.behavior
        if behavior.pulls and behavior.pull_seconds == 0:
            message = f'Container image "{image}" already present on machine'
            self._event(pod, container, NORMAL, "Pulled", message)
            self._later_in(pod, container, behavior.start_seconds, self._start)
            return
        self._event(pod, container, NORMAL, "Pulling", f'Pulling image "{image}"')
        if behavior.pulls:
            self._later_in(pod, container, behavior.pull_seconds, self._pulled)
        else:
            self._later_in(pod, container, _PULL_SECONDS, self._not_pulled)

    def _pulled(self, pod: _Pod, container: Container) -> None:
        took = f"{container.behavior.pull_seconds:.3f}s"
        message = (
            f'Successfully pulled image "{container.image}" in {took} '
            f"({took} including waiting). Image size: 48210344 bytes."
        )
        self._event(pod, container, NORMAL, "Pulled", message)
        self._later_in(pod, container, container.behavior.start_seconds, self._start)

    def _not_pulled(self, pod: _Pod, container: Container) -> None:
        container.failures += 1
        error = podstatus.pull_error(container.image)
        message = f'Failed to pull image "{container.image}": {error}'
        self._event(pod, container, WARNING, "Failed", message)
        self._event(pod, container, WARNING, "Failed", "Error: ErrImagePull")
        container.wait("ErrImagePull", error)
        self._publish(pod)
        self._later_in(pod, container, _SHOW_ERROR_SECONDS, self._back_off_pull)

    def _back_off_pull(self, pod: _Pod, container: Container) -> None:
        words = f'Back-off pulling image "{container.image}"'
        self._event(pod, container, NORMAL, "BackOff", words)
        self._event(pod, container, WARNING, "Failed", "Error: ImagePullBackOff")
        error = podstatus.pull_error(container.image)
        container.wait("ImagePullBackOff", f"{words}: ErrImagePull: {error}")
        self._publish(pod)
        seconds = podstatus.back_off_seconds(container.failures)
        self._later_in(pod, container, seconds, self._pull)

    def _start(self, pod: _Pod, container: Container) -> None:
        now = self._clock.now()
        if not pod.address:
            pod.address = self._next_address(pod.item["spec"]["nodeName"])
        created = f"Created container: {container.name}"
        self._event(pod, container, NORMAL, "Created", created)
        started = f"Started container {container.name}"
        self._event(pod, container, NORMAL, "Started", started)
        container.run(now)
        behavior = container.behavior
        self._print(pod, container, behavior.startup)
        if behavior.ready_seconds == 0:
            container.ready = True
        self._publish(pod)
        if behavior.runs_seconds is not None:
            self._later_in(pod, container, behavior.runs_seconds, self._end)
        if behavior.ready_seconds:
            self._later_in(pod, container, behavior.ready_seconds, self._become_ready)
        elif behavior.ready_seconds is None:
            self._later_in(pod, container, _FIRST_PROBE_SECONDS, self._probe)

    def _become_ready(self, pod: _Pod, container: Container) -> None:
        if container.running:
            container.ready = True
            self._publish(pod)

    def _probe(self, pod: _Pod, container: Container) -> None:
        """Say that the readiness probe fails, again and again, while the container runs."""
        spec = _spec_of(pod.item, container.name).get("readinessProbe")
        if spec is None or not container.running:
            return
        message = f"Readiness probe failed: {container.behavior.probe_failure}"
        self._event(pod, container, WARNING, "Unhealthy", message)
        self._later_in(pod, container, spec.get("periodSeconds", _PROBE_SECONDS), self._probe)

    def _end(self, pod: _Pod, container: Container) -> None:
        """The process ends: restarted at once the first time, then with back-off."""
        self._print(pod, container, container.behavior.last_words)
        self._logs.end(pod.uid, container.name, container.restarts)
        container.end(pod.uid, self._clock.now())
        if not podstatus.may_restart(container, pod.restart_policy):
            self._publish(pod)
            return
        if container.failures == 0:
            container.failures = 1
            self._publish(pod)
            self._later_in(pod, container, _FIRST_RESTART_SECONDS, self._pull)
            return
        where = f"{pod.item['metadata']['name']}_{pod.item['metadata']['namespace']}({pod.uid})"
        message = f"Back-off restarting failed container {container.name} in pod {where}"
        self._event(pod, container, WARNING, "BackOff", message)
        nominal = podstatus.nominal_back_off(container.failures)
        container.wait(
            "CrashLoopBackOff",
            f"back-off {nominal} restarting failed container={container.name} pod={where}",
        )
        self._publish(pod)
        seconds = podstatus.back_off_seconds(container.failures)
        container.failures += 1
        self._later_in(pod, container, seconds, self._pull)

    # -- tools -------------------------------------------------------------------------------

    def _publish(self, pod: _Pod) -> None:
        """Write the pod's status."""
        now = self._clock.now()
        namespace, name = key_of(pod.item)
        try:
            written = self._client.patch(
                "pods", namespace, name, self._status(pod, now), subresource="status"
            )
        except ApiError as error:
            if error.code not in (404, 409, 422):
                self._later(pod, _RETRY_SECONDS, self._publish)
            return
        self._informers.pods.observe(written)

    def _status(self, pod: _Pod, now: datetime) -> Json:
        known = pod.item.get("status", {}).get("conditions", [])
        pod.conditions = podstatus.conditions(
            pod.containers, [*known, *pod.conditions], bool(pod.address), now
        )
        host = self._host_address(pod.item["spec"]["nodeName"])
        status: Json = {
            "phase": podstatus.phase(pod.containers, pod.restart_policy),
            "conditions": pod.conditions,
            "hostIP": host,
            "hostIPs": [{"ip": host}],
            "startTime": pod.started_at,
            "containerStatuses": [container.status(pod.uid) for container in pod.containers],
        }
        if pod.address:
            status |= {"podIP": pod.address, "podIPs": [{"ip": pod.address}]}
        return {"metadata": {"uid": pod.uid}, "status": status}

    def _event(self, pod: _Pod, container: Container, kind: str, reason: str, message: str) -> None:
        node = pod.item["spec"]["nodeName"]
        recorder = self._recorders.get(node)
        if recorder is None:
            recorder = EventRecorder(self._client, self._clock, "kubelet", host=node)
            self._recorders[node] = recorder
        about = reference(pod.item, "Pod", f"spec.containers{{{container.name}}}")
        recorder.event(about, kind, reason, message)

    def _print(self, pod: _Pod, container: Container, lines: tuple[str, ...]) -> None:
        if not lines:
            return
        ports = _spec_of(pod.item, container.name).get("ports") or [{}]
        words = {
            "image": container.image,
            "tag": tag_of(container.image),
            "service": pod.item["metadata"].get("labels", {}).get("app", container.name),
            "port": ports[0].get("containerPort", 8080),
            "pod": pod.item["metadata"]["name"],
            "run": container.restarts,
        }
        now = self._clock.now()
        for line in lines:
            text = line.format(**words)
            self._logs.append(pod.uid, container.name, container.restarts, text, now)

    def _later(self, pod: _Pod, seconds: float, action: Callable[[_Pod], None]) -> None:
        """Do something with a pod after so many seconds, unless it is gone by then."""

        def act() -> None:
            pod.timers.remove(timer)
            try:
                action(pod)
            except Exception:
                # One pod that trips the kubelet must not stop all others' timers.
                _log.exception("pod %s", pod.item["metadata"]["name"])

        timer = self._clock.call_later(seconds, act)
        pod.timers.append(timer)

    def _later_in(
        self,
        pod: _Pod,
        container: Container,
        seconds: float,
        action: Callable[[_Pod, Container], None],
    ) -> None:
        self._later(pod, seconds, lambda pod: action(pod, container))

    def _next_address(self, node: str) -> str:
        """A pod address in the node's range; ranges beyond the first when it has many pods."""
        number = self._addresses.get(node, 0)
        self._addresses[node] = number + 1
        known = self._informers.nodes.get("", node)
        cidr = known["spec"].get("podCIDR", "") if known is not None else ""
        third = cidr.split(".")[2] if cidr else "0"
        return f"10.{244 + number // 250 % 11}.{third}.{number % 250 + 4}"

    def _host_address(self, node: str) -> str:
        known = self._informers.nodes.get("", node)
        addresses = known.get("status", {}).get("addresses", []) if known is not None else []
        found = (item["address"] for item in addresses if item["type"] == "InternalIP")
        return next(found, "127.0.0.1")


def _is_finished(item: Json) -> bool:
    return item.get("status", {}).get("phase") in ("Succeeded", "Failed")


def _spec_of(item: Json, name: str) -> Json:
    found: Json = next(spec for spec in item["spec"]["containers"] if spec["name"] == name)
    return found
