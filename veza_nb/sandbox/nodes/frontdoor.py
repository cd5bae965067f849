"""The front door: one real HTTP address on loopback per Service, answered by its ready pods.

Requests go round the ready pods as a Service would spread them; the release in each pod decides
about status and latency. With no pod ready the answer is 503, as from a gateway.
"""

from __future__ import annotations

import asyncio
import functools
import itertools
import json
import math
from dataclasses import dataclass, field

from aiohttp import web

from veza_nb.sandbox.apimachinery.status import Json
from veza_nb.sandbox.apiserver.logs import LogStore
from veza_nb.sandbox.clock import Clock
from veza_nb.sandbox.controllers.base import Informers
from veza_nb.sandbox.controllers.endpoints import serving_pods
from veza_nb.sandbox.nodes.endpoint import REFUSED, Answer, Endpoints
from veza_nb.sandbox.nodes.kubelet import Kubelet
from veza_nb.sandbox.nodes.sites import SITES

_VISIT_SECONDS = 1.0
_GATEWAY_SECONDS = 60.0


@dataclass(slots=True)
class _Door:
    """One Service's listener."""

    server: asyncio.Server
    handler: web.Server
    url: str
    turns: itertools.count[int] = field(default_factory=itertools.count)


class FrontDoor:
    """The HTTP addresses behind which the Services of one namespace answer.

    Args:
        clock: the cluster's time.
        informers: where pods and Endpoints are seen.
        kubelet: knows what listens in the pods.
        logs: where pods print.
        namespace: of the Services.
    """

    def __init__(
        self,
        clock: Clock,
        informers: Informers,
        kubelet: Kubelet,
        logs: LogStore,
        namespace: str,
    ) -> None:
        self._clock = clock
        self._informers = informers
        self._endpoints: Endpoints = kubelet.endpoints
        self._logs = logs
        self._namespace = namespace
        self._doors: dict[str, _Door] = {}

    @property
    def urls(self) -> dict[str, str]:
        """The address of each Service, such as "http://127.0.0.1:40123"."""
        return {name: door.url for name, door in self._doors.items()}

    async def open(self) -> None:
        """Listen for every Service that has pages."""
        loop = asyncio.get_running_loop()
        for service in SITES:
            handler = web.Server(functools.partial(self._serve, service))
            server = await loop.create_server(handler, "127.0.0.1", 0)
            port = server.sockets[0].getsockname()[1]
            self._doors[service] = _Door(server, handler, f"http://127.0.0.1:{port}")

    async def close(self) -> None:
        """Stop listening and end all connections."""
        for door in self._doors.values():
            door.server.close()
            await door.handler.shutdown(timeout=0.2)
            await door.server.wait_closed()
        self._doors.clear()

    async def run(self) -> None:
        """Let users visit now and then, so that logs are alive; until cancelled."""
        while True:
            await self._clock.sleep(_VISIT_SECONDS)
            for service, pages in SITES.items():
                for path in pages:
                    self.visit(service, path)

    def visit(self, service: str, path: str, method: str = "GET") -> tuple[Answer, str]:
        """Ask a Service for a page; returns the answer and the name of the pod that gave it."""
        pod = self._next_pod(service)
        if pod is None:
            return _unavailable(service), ""
        given = self._endpoints.answer(pod["metadata"]["uid"], method, path)
        if given.status == REFUSED:
            return _unavailable(service), ""
        if given.seconds < math.inf and (given.status >= 500 or given.sampled):
            self._log(pod, method, path, given)
        return given, pod["metadata"]["name"]

    async def _serve(self, service: str, request: web.BaseRequest) -> web.Response:
        given, pod = self.visit(service, request.path, request.method)
        if given.seconds:
            await asyncio.sleep(min(given.seconds, _GATEWAY_SECONDS))
        headers = {"X-Served-By": pod} if pod else {}
        return web.Response(
            status=given.status, text=given.body, content_type=given.content_type, headers=headers
        )

    def _next_pod(self, service: str) -> Json | None:
        """The next ready pod in turn; pods that have just gone are passed over."""
        names = serving_pods(self._informers.endpoints.get(self._namespace, service))
        if not names:
            return None
        door = self._doors.get(service)
        first = next(door.turns) if door is not None else 0
        for offset in range(len(names)):
            pod = self._informers.pods.get(self._namespace, names[(first + offset) % len(names)])
            if pod is not None:
                return pod
        return None

    def _log(self, pod: Json, method: str, path: str, given: Answer) -> None:
        """Note a request in the log of the pod's first container."""
        now, uid = self._clock.now(), pod["metadata"]["uid"]
        container = pod["spec"]["containers"][0]["name"]
        statuses = pod.get("status", {}).get("containerStatuses", [])
        run = next((one["restartCount"] for one in statuses if one["name"] == container), 0)
        if given.error_line:
            self._logs.append(uid, container, run, given.error_line, now)
        milliseconds = round(given.seconds * 1000) + 3
        line = (
            f'level={"error" if given.status >= 500 else "info"} msg="request" method={method} '
            f"path={path} status={given.status} duration_ms={milliseconds}"
        )
        self._logs.append(uid, container, run, line, now)


def _unavailable(service: str) -> Answer:
    words = f'no endpoints available for service "{service}"'
    return Answer(503, body=json.dumps({"error": words}))
