"""The life of one pod: volumes, init containers, containers, deadline, end."""

from __future__ import annotations

from veza_nb.sandbox.apimachinery.status import Json
from veza_nb.sandbox.clock import parse_timestamp, timestamp
from veza_nb.sandbox.controllers.events import NORMAL, WARNING
from veza_nb.sandbox.nodes import adoption, environment, podstatus
from veza_nb.sandbox.nodes.backoff import SYNC_SECONDS
from veza_nb.sandbox.nodes.containers import INITIALIZING, Container, Role
from veza_nb.sandbox.nodes.containerworker import ContainerWorker
from veza_nb.sandbox.nodes.host import Host, Timers

STOP_SECONDS = 0.3
"""How long a pod takes to go; its grace period is its limit, not its habit."""
_RETRY_SECONDS = 0.5
_TOO_LONG = "Pod was active on the node longer than the specified deadline"


class PodWorker:
    """Works on one pod of a node.

    Attributes:
        item: the pod as the API has it; kept new by the kubelet.
        address: of the pod, empty until it has one.
        workers: of its init containers and its containers, in that order.
    """

    __slots__ = (
        "_conditions",
        "_grace",
        "_host",
        "_inits",
        "_is_stopped",
        "_mains",
        "_past_deadline",
        "_started_at",
        "_timers",
        "address",
        "item",
        "workers",
    )

    def __init__(self, host: Host, item: Json) -> None:
        self.item = item
        self.address = ""
        self._host = host
        self._timers = Timers(host.clock)
        self._started_at = ""
        self._conditions: list[Json] = []
        self._grace: float | None = None
        self._past_deadline = self._is_stopped = False
        spec = item["spec"]
        policy = spec.get("restartPolicy", "Always")
        inits = spec.get("initContainers") or ()
        self._inits = [self._init(each, policy) for each in inits]
        self._mains = [self._container(each, Role.MAIN, policy) for each in spec["containers"]]
        containers = (*self._inits, *self._mains)
        self.workers = tuple(ContainerWorker(host, self, each) for each in containers)

    @property
    def uid(self) -> str:
        """Of the pod."""
        uid: str = self.item["metadata"]["uid"]
        return uid

    @property
    def is_stopping(self) -> bool:
        """Whether its containers are being ended for good."""
        return self._grace is not None or self._past_deadline

    def start(self) -> None:
        """Begin to work on the pod, soon."""
        self._timers.later(0.0, self._begin)

    def adopt(self) -> None:
        """Go on with a pod that runs already, as its status tells; nothing is started anew."""
        status, now = self.item["status"], self._host.clock.now()
        self.address, self._started_at = status.get("podIP", ""), status["startTime"]
        if self.address:
            self._host.take_address(self.item["spec"]["nodeName"], self.address)
        known = adoption.entries(self.item)
        for worker in self.workers:
            if worker.container.name in known:
                worker.adopt(known[worker.container.name])
        seconds = self.item["spec"].get("activeDeadlineSeconds")
        if seconds is not None:
            passed = (now - parse_timestamp(self._started_at)).total_seconds()
            self._timers.later(max(seconds - passed * self._host.clock.rate, 0.0), self._expire)
        self._timers.later(0.0, self._resume)

    def _resume(self) -> None:
        """Begin with what has not begun."""
        if all(worker.is_fresh for worker in self.workers):
            self._mount()
            return
        for worker in self.workers:
            worker.resume()
            if worker.container.role is not Role.MAIN and not worker.container.is_initialized:
                return

    def drop(self) -> None:
        """The pod is gone: forget it, kill what runs."""
        self._timers.cancel()
        for worker in self.workers:
            worker.drop()
        self._host.endpoints.forget(self.uid)
        self._host.logs.drop(self.uid)

    # -- to life -------------------------------------------------------------------------------

    def _init(self, spec: Json, policy: str) -> Container:
        if spec.get("restartPolicy") == "Always":
            return self._container(spec, Role.SIDECAR, "Always")
        return self._container(spec, Role.INIT, "Never" if policy == "Never" else "OnFailure")

    def _container(self, spec: Json, role: Role, policy: str) -> Container:
        behavior = self._host.releases.of(spec["image"], task=policy != "Always")
        pushes = self._host.releases.pushes.get(spec["image"], 0)
        return Container(spec["name"], spec["image"], behavior, role, policy, pushes)

    def _begin(self) -> None:
        self._started_at = timestamp(self._host.clock.now())
        if self._inits:
            for container in (*self._inits, *self._mains):
                container.wait(INITIALIZING)
        self.publish()
        seconds = self.item["spec"].get("activeDeadlineSeconds")
        if seconds is not None:
            self._timers.later(seconds, self._expire)
        self._mount()

    def _mount(self) -> None:
        """Wait for the volumes, then begin with the containers."""
        missing = environment.missing_volume(self.item, self._host.read)
        if missing is not None:
            volume, why = missing
            message = f'MountVolume.SetUp failed for volume "{volume}" : {why}'
            self._host.event(self.item, "", WARNING, "FailedMount", message)
            self._timers.later(SYNC_SECONDS, self._mount)
            return
        self._go_on()

    def _go_on(self) -> None:
        """Begin with the next init container, or, after the last, with all containers."""
        for worker in self.workers:
            container = worker.container
            if container.role is Role.MAIN:
                break
            if not container.is_initialized:
                worker.begin()
                return
        for worker in self.workers:
            if worker.container.role is Role.MAIN:
                worker.begin()

    def connect(self) -> None:
        """See that the pod has an address."""
        if not self.address:
            self.address = self._host.next_address(self.item["spec"]["nodeName"])

    def started(self, container: Container) -> None:
        """A container has started: after a sidecar's first start the next one's turn comes."""
        first = container.role is Role.SIDECAR and container.runs == 1
        if first and not self.is_stopping:
            self._go_on()

    def ended(self, container: Container) -> None:
        """A run is over: what comes next depends on what the container is there for."""
        if self.is_stopping:
            self._check_stopped()
        elif not container.is_over and not (container.role is Role.SIDECAR and self._is_over):
            next(each for each in self.workers if each.container is container).restart()
        else:
            self.publish()
            if container.role is Role.INIT and container.is_initialized:
                self._go_on()
            elif container.role is Role.MAIN and self._is_over:
                self._stop_workers(self._spec_grace)

    # -- to the end ----------------------------------------------------------------------------

    def stop(self, grace: float) -> None:
        """Let the containers end within so many seconds, then take the pod out of the API."""
        if self._grace is not None and grace >= self._grace:
            return
        self._grace = grace
        self._timers.cancel()
        self._timers.later(0.0, self._stop_all)

    def _stop_all(self) -> None:
        grace = self._grace or 0.0
        seconds = self._stop_workers(grace)
        if seconds > STOP_SECONDS:
            # Whoever looks meanwhile must see that it does not serve any more.
            for worker in self.workers:
                worker.container.ready = False
            self.publish()
        if not any(worker.is_busy for worker in self.workers):
            self._timers.later(min(STOP_SECONDS, grace), self._remove)

    def _stop_workers(self, grace: float) -> float:
        return max((worker.stop(grace) for worker in self.workers), default=0.0)

    def _expire(self) -> None:
        """The pod has been active for too long."""
        if self._phase() in podstatus.FINISHED:
            return
        self._past_deadline = True
        self._host.event(self.item, "", NORMAL, "DeadlineExceeded", _TOO_LONG)
        self._stop_workers(self._spec_grace)
        self._check_stopped()

    def _check_stopped(self) -> None:
        if any(worker.is_busy for worker in self.workers):
            return
        if self._grace is None:
            self.publish()
            return
        self._is_stopped = True
        self.publish()
        self._remove()

    def _remove(self) -> None:
        if not self._host.remove(self.item):
            self._timers.later(_RETRY_SECONDS, self._remove)

    @property
    def _is_over(self) -> bool:
        """Whether all that the pod is there for is done."""
        return all(container.is_over for container in self._mains)

    @property
    def _spec_grace(self) -> float:
        return float(self.item["spec"].get("terminationGracePeriodSeconds", 30))

    # -- status --------------------------------------------------------------------------------

    def publish(self) -> None:
        """Write the pod's status."""
        if not self._host.write_status(self.item, self._status()):
            self._timers.later(_RETRY_SECONDS, self.publish)

    def _phase(self) -> str:
        if self._past_deadline:
            return "Failed"
        return podstatus.phase(self._inits, self._mains, is_stopped=self._is_stopped)

    def _status(self) -> Json:
        phase, now = self._phase(), self._host.clock.now()
        known = self.item.get("status", {}).get("conditions", [])
        before = [*known, *self._conditions]
        self._conditions = podstatus.conditions(
            self._inits, self._mains, phase, before, started=bool(self.address), now=now
        )
        host = self._host.address_of(self.item["spec"]["nodeName"])
        status: Json = {
            "phase": phase,
            "conditions": self._conditions,
            "hostIP": host,
            "hostIPs": [{"ip": host}],
            "startTime": self._started_at,
            "containerStatuses": [each.status(self.uid) for each in self._mains],
        }
        if self._inits:
            status["initContainerStatuses"] = [each.status(self.uid) for each in self._inits]
        if self.address:
            status |= {"podIP": self.address, "podIPs": [{"ip": self.address}]}
        if self._past_deadline:
            status |= {"reason": "DeadlineExceeded", "message": _TOO_LONG}
        return status
