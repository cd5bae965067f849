"""The port that a Prometheus reads: pages of pods, of the cluster's objects, and the discovery."""

from __future__ import annotations

import asyncio
from collections.abc import Iterator

import msgspec
from aiohttp import web

from veza_nb.sandbox.metrics import scraping
from veza_nb.sandbox.metrics.exposition import CONTENT_TYPE
from veza_nb.sandbox.metrics.measures import Measures

_TEXT = "text/plain; charset=utf-8"
# Lines that are rendered before others get their turn.
_PIECE = 400


class MetricsPort:
    """Serves what a cluster measures on loopback, without a password, as inside a cluster.

    Args:
        measures: what there is to tell.
    """

    def __init__(self, measures: Measures) -> None:
        self._measures = measures
        self._handler: web.Server | None = None
        self._server: asyncio.Server | None = None
        self.address = ""

    @property
    def url(self) -> str:
        """Such as "http://127.0.0.1:40123"; empty before the start."""
        return f"http://{self.address}" if self.address else ""

    async def start(self) -> None:
        """Listen on a free port."""
        loop = asyncio.get_running_loop()
        self._handler = web.Server(self._serve, access_log=None)
        self._server = await loop.create_server(self._handler, "127.0.0.1", 0)
        self.address = f"127.0.0.1:{self._server.sockets[0].getsockname()[1]}"

    async def stop(self) -> None:
        """Stop listening and end all connections."""
        if self._server is None or self._handler is None:
            return
        self._server.close()
        await self._handler.shutdown(timeout=0.2)
        await self._server.wait_closed()
        self._server = self._handler = None

    async def _serve(self, request: web.BaseRequest) -> web.StreamResponse:
        if request.method not in ("GET", "HEAD"):
            return _text(405, "only GET\n")
        long = {
            "/kube-state/metrics": self._measures.state,
            "/containers/metrics": self._measures.containers,
        }
        if request.path in long:
            return await _streamed(request, long[request.path]())
        return self._answer(request.path.split("/")[1:])

    def _answer(self, path: list[str]) -> web.Response:
        match path:
            case ["pods", namespace, pod, "metrics"]:
                return self._pod(namespace, pod)
            case ["targets"]:
                body = msgspec.json.encode(self._measures.targets(self.address))
                return web.Response(body=body, content_type="application/json")
            case ["prometheus.yml"]:
                return _text(200, scraping.configuration(self.address))
            case [""]:
                return _text(200, _INDEX)
        return _text(404, "404 page not found\n")

    def _pod(self, namespace: str, name: str) -> web.Response:
        try:
            page = self._measures.pod(namespace, name)
        except LookupError as error:
            return _text(404, f"{error.args[0]}\n")
        if page is None:
            return _text(503, f"nothing runs in the pod {namespace}/{name}\n")
        return _text(200, page, CONTENT_TYPE)


async def _streamed(request: web.BaseRequest, lines: Iterator[str]) -> web.StreamResponse:
    response = web.StreamResponse(headers={"Content-Type": CONTENT_TYPE})
    await response.prepare(request)
    for piece in _pieces(lines):
        await response.write(piece)
        await asyncio.sleep(0)
    await response.write_eof()
    return response


_INDEX = """Metrics of the training cluster.

/pods/NAMESPACE/POD/metrics  what a pod tells of itself
/kube-state/metrics          what the objects of the cluster say
/containers/metrics          what nodes measure of their containers
/targets                     HTTP service discovery for a Prometheus
/prometheus.yml              a configuration for a Prometheus of your own
"""


def _pieces(lines: Iterator[str]) -> Iterator[bytes]:
    piece: list[str] = []
    for line in lines:
        piece.append(line)
        if len(piece) == _PIECE:
            yield "".join(piece).encode()
            piece.clear()
    if piece:
        yield "".join(piece).encode()


def _text(status: int, body: str, content_type: str = _TEXT) -> web.Response:
    headers = {"Content-Type": content_type}
    return web.Response(status=status, body=body.encode(), headers=headers)
