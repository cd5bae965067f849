"""A container in its pod: what those who work on it share."""

from __future__ import annotations

from collections.abc import Callable
from typing import Protocol

from veza_nb.sandbox.apimachinery.status import Json
from veza_nb.sandbox.nodes.containers import Container, Role
from veza_nb.sandbox.nodes.host import Host, Timers, container_spec


class Pod(Protocol):
    """The pod of a container, as far as its containers see it."""

    item: Json
    address: str

    def connect(self) -> None:
        """See that the pod has an address."""

    def publish(self) -> None:
        """Write the pod's status."""

    def started(self, container: Container) -> None:
        """A container has started, as far as its startup probe goes."""

    def ended(self, container: Container) -> None:
        """A run of a container is over."""


class Context:
    """One container with its pod and the ground they stand on.

    Attributes:
        host: what all pods share.
        pod: of the container.
        container: its state.
        timers: cancelled together when a run ends.
    """

    __slots__ = ("container", "host", "pod", "timers")

    def __init__(self, host: Host, pod: Pod, container: Container) -> None:
        self.host = host
        self.pod = pod
        self.container = container
        self.timers = Timers(host.clock)

    @property
    def uid(self) -> str:
        """Of the pod."""
        uid: str = self.pod.item["metadata"]["uid"]
        return uid

    @property
    def spec(self) -> Json:
        """The part of the pod's spec that describes the container."""
        return container_spec(self.pod.item, self.container.name)

    def later(self, seconds: float, action: Callable[[], object]) -> None:
        """Do something after so many seconds, unless the run ends before."""
        self.timers.later(seconds, action)

    def wait(self, reason: str, message: str) -> None:
        """Let the container wait, and say why."""
        self.container.wait(reason, message)
        self.pod.publish()

    def event(self, kind: str, reason: str, message: str) -> None:
        """Say something about the container."""
        group = "containers" if self.container.role is Role.MAIN else "initContainers"
        path = f"spec.{group}{{{self.container.name}}}"
        self.host.event(self.pod.item, path, kind, reason, message)

    def print(self, lines: tuple[str, ...]) -> None:
        """Print lines of the catalogue, filled in."""
        self.host.print(self.pod.item, self.container.name, self.container.restarts, lines)

    def print_line(self, line: str) -> None:
        """Print a line as it is."""
        now, run = self.host.clock.now(), self.container.restarts
        self.host.logs.append(self.uid, self.container.name, run, line, now)
