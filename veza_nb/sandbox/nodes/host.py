"""What all pods of a cluster share: the API as their kubelets use it, time, releases, logs."""

from __future__ import annotations

import asyncio
import logging
from collections.abc import Callable, Coroutine
from typing import Any

from veza_nb.sandbox.apimachinery.status import ApiError, Json
from veza_nb.sandbox.apiserver.client import Client
from veza_nb.sandbox.apiserver.logs import LogStore
from veza_nb.sandbox.clock import Clock, Timer
from veza_nb.sandbox.controllers.base import Informers
from veza_nb.sandbox.controllers.events import EventRecorder, reference
from veza_nb.sandbox.controllers.informer import key_of
from veza_nb.sandbox.nodes.endpoint import Endpoints
from veza_nb.sandbox.nodes.imagelists import ImageLists
from veza_nb.sandbox.nodes.releases import Releases, tag_of

_log = logging.getLogger(__name__)


class Host:
    """The ground on which pods run.

    Attributes:
        clock: the cluster's time.
        releases: how images behave.
        endpoints: what listens in the pods.
        logs: where containers print.
        images: what nodes say that they have of images.
    """

    def __init__(
        self,
        client: Client,
        clock: Clock,
        informers: Informers,
        releases: Releases,
        logs: LogStore,
    ) -> None:
        self.clock = clock
        self.endpoints = Endpoints(clock)
        self.learn(releases)
        self.logs = logs
        self.images = ImageLists(client, informers.nodes)
        self._client = client
        self._informers = informers
        self._recorders: dict[str, EventRecorder] = {}
        self._addresses: dict[str, int] = {}
        self._tasks: set[asyncio.Task[None]] = set()

    def learn(self, releases: Releases) -> None:
        """Images behave so from now on."""
        self.releases = releases
        self.endpoints.turned = {
            service: releases.behaviors[name] for service, name in releases.turned_to.items()
        }

    def read(self, resource: str, namespace: str, name: str) -> Json | None:
        """An object that a pod refers to; None when there is none."""
        try:
            return self._client.get(resource, namespace, name)
        except ApiError:
            return None

    def write_status(self, item: Json, status: Json) -> bool:
        """Write a pod's status; False: not now, try again."""
        namespace, name = key_of(item)
        body = {"metadata": {"uid": item["metadata"]["uid"]}, "status": status}
        try:
            written = self._client.patch("pods", namespace, name, body, subresource="status")
        except ApiError as error:
            return error.code in (404, 409, 422)
        self._informers.pods.observe(written)
        return True

    def remove(self, item: Json) -> bool:
        """Take a pod out of the API for good; False: not now, try again."""
        namespace, name = key_of(item)
        try:
            gone = self._client.delete(
                "pods", namespace, name, uid=item["metadata"]["uid"], grace=0
            )
        except ApiError as error:
            return error.code in (404, 409)
        if not gone["metadata"].get("finalizers"):
            self._informers.pods.forget(gone)
        return True

    def event(self, item: Json, field_path: str, kind: str, reason: str, message: str) -> None:
        """Say something about a pod; `field_path` names a part of it, or is empty."""
        node = item["spec"]["nodeName"]
        recorder = self._recorders.get(node)
        if recorder is None:
            recorder = EventRecorder(self._client, self.clock, "kubelet", host=node)
            self._recorders[node] = recorder
        recorder.event(reference(item, "Pod", field_path), kind, reason, message)

    def print(self, item: Json, name: str, run: int, lines: tuple[str, ...]) -> None:
        """Let a container print lines of the catalogue, filled in."""
        if not lines:
            return
        spec = container_spec(item, name)
        ports = spec.get("ports") or [{}]
        words = {
            "image": spec["image"],
            "tag": tag_of(spec["image"]),
            "service": item["metadata"].get("labels", {}).get("app", name),
            "port": ports[0].get("containerPort", 8080),
            "pod": item["metadata"]["name"],
            "run": run,
        }
        now = self.clock.now()
        for line in lines:
            self.logs.append(item["metadata"]["uid"], name, run, line.format(**words), now)

    def next_address(self, node: str) -> str:
        """A pod address in the node's range; ranges beyond the first when it has many pods."""
        number = self._addresses.get(node, 0)
        self._addresses[node] = number + 1
        known = self._informers.nodes.get("", node)
        cidr = known["spec"].get("podCIDR", "") if known is not None else ""
        third = cidr.split(".")[2] if cidr else "0"
        return f"10.{244 + number // 250 % 11}.{third}.{number % 250 + 4}"

    def take_address(self, node: str, address: str) -> None:
        """Note that a pod of that node has an address already."""
        _, second, _, fourth = (int(part) for part in address.split("."))
        number = (second - 244) * 250 + fourth - 4
        self._addresses[node] = max(self._addresses.get(node, 0), number + 1)

    def address_of(self, node: str) -> str:
        """The address of a node."""
        known = self._informers.nodes.get("", node)
        addresses = known.get("status", {}).get("addresses", []) if known is not None else []
        found = (item["address"] for item in addresses if item["type"] == "InternalIP")
        return next(found, "127.0.0.1")

    def spawn(self, work: Coroutine[Any, Any, None]) -> None:
        """Run something that `close` ends."""
        task = asyncio.get_running_loop().create_task(work)
        self._tasks.add(task)
        task.add_done_callback(self._done)

    def _done(self, task: asyncio.Task[None]) -> None:
        self._tasks.discard(task)
        if not task.cancelled() and task.exception() is not None:
            _log.error("a program's run", exc_info=task.exception())

    async def close(self) -> None:
        """End everything that was spawned and wait for it."""
        tasks = list(self._tasks)
        for task in tasks:
            task.cancel()
        await asyncio.gather(*tasks, return_exceptions=True)


def container_spec(item: Json, name: str) -> Json:
    """The part of a pod's spec that describes a container."""
    spec = item["spec"]
    every: list[Json] = [*spec["containers"], *(spec.get("initContainers") or ())]
    return next(each for each in every if each["name"] == name)


class Timers:
    """The timers of one pod or container, so that all can be cancelled at once."""

    __slots__ = ("_clock", "_pending")

    def __init__(self, clock: Clock) -> None:
        self._clock = clock
        self._pending: list[Timer] = []

    def later(self, seconds: float, action: Callable[[], object]) -> None:
        """Do something after so many seconds, unless cancelled by then."""
        self.at(self._clock.monotonic() + seconds, action)

    def at(self, due: float, action: Callable[[], object]) -> None:
        """Do something at a time as the clock's `monotonic` tells it."""

        def act() -> None:
            self._pending.remove(timer)
            try:
                action()
            except Exception:
                # One pod that trips the kubelet must not stop all others' timers.
                _log.exception("a pod's timer")

        timer = self._clock.call_at(due, act)
        self._pending.append(timer)

    def cancel(self) -> None:
        """Forget all that is pending."""
        for timer in self._pending:
            timer.cancel()
        self._pending.clear()
