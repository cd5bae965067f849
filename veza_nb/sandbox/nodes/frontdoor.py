"""The front door: one real HTTP address on loopback per Service, answered by its ready pods.

Requests go round the ready pods as a Service would spread them; the release in each pod decides
about status and latency. With no pod ready the answer is 503, as from a gateway.
"""

from __future__ import annotations

import asyncio
import functools
import itertools
import json
from collections.abc import Callable, Mapping
from dataclasses import dataclass, field

from aiohttp import web

from veza_nb.sandbox.apimachinery.status import Json
from veza_nb.sandbox.apiserver.logs import LogStore
from veza_nb.sandbox.clock import Clock
from veza_nb.sandbox.controllers.base import Informers
from veza_nb.sandbox.controllers.endpoints import serving_pods
from veza_nb.sandbox.nodes.kubelet import Kubelet
from veza_nb.sandbox.nodes.releases import Behavior, tag_of

HEALTH = "/health"
_LOG_EVERY = 20
_VISIT_SECONDS = 1.0
_JSON, _HTML = "application/json", "text/html"

Page = Callable[[str], tuple[str, str]]
"""A version in, content type and body out."""


def _json_page(**content: object) -> Page:
    return lambda version: (_JSON, json.dumps({**content, "version": version}))


def _html_page(version: str) -> tuple[str, str]:
    return _HTML, (
        "<!doctype html>\n"
        '<html lang="en"><head><meta charset="utf-8"><title>Veza</title>'
        f'<meta name="version" content="{version}"></head>'
        '<body><main id="app"><h1>Veza</h1><p>Music for everyone.</p></main></body></html>\n'
    )


_TRACKS = [
    {"id": 1, "title": "Harbour Lights", "artist": "Nadia Orel", "seconds": 214},
    {"id": 2, "title": "Slow Tide", "artist": "The Quay", "seconds": 187},
    {"id": 3, "title": "Night Ferry", "artist": "Nadia Orel", "seconds": 241},
]

SITES: Mapping[str, Mapping[str, Page]] = {
    "veza-backend-api": {
        HEALTH: _json_page(status="ok", service="veza-backend-api"),
        "/api/v1/tracks": _json_page(tracks=_TRACKS),
        "/api/v1/status": _json_page(status="ok", database="ok"),
    },
    "veza-frontend": {
        HEALTH: _json_page(status="ok", service="veza-frontend"),
        "/": _html_page,
    },
    "veza-stream-server": {
        HEALTH: _json_page(status="ok", service="veza-stream-server"),
        "/stream/ping": _json_page(pong=True, streams=12),
    },
}
"""The pages of each Service, by path."""


@dataclass(frozen=True, slots=True)
class Answer:
    """What a pod answers: status, content type, body, and how long it takes."""

    status: int
    content_type: str
    body: str
    seconds: float = 0.0


def answer(
    pages: Mapping[str, Page], path: str, behavior: Behavior, version: str, *, fails: bool
) -> Answer:
    """How a release answers one request; `fails` says whether this is one of its bad moments."""
    seconds = behavior.latency_seconds
    page = pages.get(path)
    if page is None:
        return Answer(404, _JSON, json.dumps({"error": "not found", "version": version}), seconds)
    if fails and path != HEALTH:
        body = json.dumps({"error": "internal server error", "version": version})
        return Answer(500, _JSON, body, seconds)
    content_type, text = page(version)
    return Answer(200, content_type, text, seconds)


@dataclass(slots=True)
class _Share:
    """Spreads failures evenly: a rate of 0.4 fails two of every five requests."""

    debt: float = 0.0
    requests: int = 0

    def take(self, rate: float) -> bool:
        """Count a request; say whether it fails."""
        self.requests += 1
        self.debt += rate
        if self.debt < 1:
            return False
        self.debt -= 1
        return True


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
        kubelet: knows how images behave.
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
        self._kubelet = kubelet
        self._logs = logs
        self._namespace = namespace
        self._doors: dict[str, _Door] = {}
        self._shares: dict[str, _Share] = {}
        informers.pods.on_change(self._pod_changed)

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

    def visit(self, service: str, path: str) -> tuple[Answer, str]:
        """Ask a Service for a page; returns the answer and the name of the pod that gave it."""
        pod = self._next_pod(service)
        if pod is None:
            body = json.dumps({"error": f'no endpoints available for service "{service}"'})
            return Answer(503, _JSON, body), ""
        container = pod["spec"]["containers"][0]
        behavior = self._kubelet.releases.of(container["image"])
        share = self._shares.setdefault(pod["metadata"]["uid"], _Share())
        fails = share.take(behavior.error_rate if path != HEALTH else 0)
        version = tag_of(container["image"])
        given = answer(SITES[service], path, behavior, version, fails=fails)
        # Errors always, of the rest a sample.
        if given.status >= 500 or share.requests % _LOG_EVERY == 1:
            self._log(pod, path, given, behavior.error_line)
        return given, pod["metadata"]["name"]

    async def _serve(self, service: str, request: web.BaseRequest) -> web.Response:
        given, pod = self.visit(service, request.path)
        if given.seconds:
            await asyncio.sleep(given.seconds)
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

    def _pod_changed(self, old: Json | None, new: Json | None) -> None:
        if old is not None and new is None:
            self._shares.pop(old["metadata"]["uid"], None)

    def _log(self, pod: Json, path: str, given: Answer, error_line: str) -> None:
        """Note a request in the log of the pod's first container."""
        now, uid = self._clock.now(), pod["metadata"]["uid"]
        container = pod["spec"]["containers"][0]["name"]
        statuses = pod.get("status", {}).get("containerStatuses", [])
        run = next((one["restartCount"] for one in statuses if one["name"] == container), 0)
        failed = given.status >= 500
        if failed and error_line:
            self._logs.append(uid, container, run, error_line, now)
        milliseconds = round(given.seconds * 1000) + 3
        line = (
            f'level={"error" if failed else "info"} msg="request" method=GET path={path} '
            f"status={given.status} duration_ms={milliseconds}"
        )
        self._logs.append(uid, container, run, line, now)
