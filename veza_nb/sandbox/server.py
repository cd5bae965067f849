"""The HTTPS face of the API: sockets, TLS, encoding, streams. Everything else is in `api`."""

from __future__ import annotations

import asyncio
import contextlib
import gzip
from collections import OrderedDict
from collections.abc import AsyncIterator
from typing import Any
from urllib.parse import unquote

import msgspec
import yaml
from aiohttp import web

from veza_nb.sandbox.apimachinery import status
from veza_nb.sandbox.apiserver import negotiation
from veza_nb.sandbox.apiserver.api import Api
from veza_nb.sandbox.apiserver.calls import MAX_BODY
from veza_nb.sandbox.apiserver.messages import Request, Response
from veza_nb.sandbox.apiserver.watching import Subscription, WatchEvent
from veza_nb.sandbox.credentials import Credentials

_ENCODED_KEPT = 512
_BATCH = 200
_BOOKMARK_SECONDS = 60.0
# Before a watch ends by its timeout, the client learns the version it may go on from.
_LAST_BOOKMARK_SECONDS = 2.0
_WATCH_SECONDS = 3600.0
_SWITCHES = ("watch", "follow", "verbose")
_GZIP_FROM = 128 * 1024


class Encoder:
    """JSON of objects; what many watchers get is encoded once."""

    def __init__(self) -> None:
        self._kept: OrderedDict[int, tuple[object, bytes]] = OrderedDict()

    def line(self, event: WatchEvent) -> bytes:
        """Return one line of a watch."""
        key = id(event.object)
        found = self._kept.get(key)
        if found is None or found[0] is not event.object:
            found = self._kept[key] = (event.object, msgspec.json.encode(event.object))
            if len(self._kept) > _ENCODED_KEPT:
                self._kept.popitem(last=False)
        return b'{"type":"%s","object":%s}\n' % (event.type.encode(), found[1])


class Server:
    """Serves an API on loopback.

    Args:
        api: What to serve.
        credentials: Certificate of the server.
    """

    def __init__(self, api: Api, credentials: Credentials) -> None:
        self._api = api
        self._credentials = credentials
        self._encoder = Encoder()
        self._runner: web.ServerRunner | None = None
        self._streams: set[asyncio.Task[Any]] = set()
        self.url = ""

    async def start(self, port: int = 0) -> str:
        """Listen on 127.0.0.1 and return the URL; port 0 takes a free one."""
        handler = web.Server(
            self._handle, handler_cancellation=True, access_log=None, keepalive_timeout=600.0
        )
        self._runner = web.ServerRunner(handler, shutdown_timeout=0.2)
        await self._runner.setup()
        context = self._credentials.server_context()
        site = web.TCPSite(self._runner, "127.0.0.1", port, ssl_context=context)
        await site.start()
        self.url = f"https://127.0.0.1:{self._runner.addresses[0][1]}"
        return self.url

    async def stop(self) -> None:
        """End every stream and connection, and stop listening."""
        for task in tuple(self._streams):
            task.cancel()
        if self._runner is None or self._runner.server is None:
            return
        transports = [each.transport for each in self._runner.server.connections]
        await self._runner.cleanup()
        self._runner = None
        for transport in transports:
            # A TLS connection would wait for its peer's farewell; nobody is there to see it.
            if transport is not None:
                transport.abort()
        # One round to abort, one to close the socket.
        await asyncio.sleep(0)
        await asyncio.sleep(0)

    async def _handle(self, request: web.BaseRequest) -> web.StreamResponse:
        try:
            body = await _read(request)
        except status.ApiError as error:
            refused = _plain_response(Response(error.code, document=error.document()), request)
            refused.force_close()
            return refused
        response = self._api.handle(
            Request(
                request.method,
                unquote(request.rel_url.raw_path),
                _query(request),
                {name.lower(): _clean(value) for name, value in request.headers.items()},
                body,
            )
        )
        if response.watch is not None:
            return await self._stream(request, response, self._watch_lines(response.watch))
        if response.stream is not None:
            return await self._stream(request, response, response.stream)
        return _plain_response(response, request)

    async def _stream(
        self, request: web.BaseRequest, response: Response, pieces: AsyncIterator[bytes]
    ) -> web.StreamResponse:
        headers = {"Content-Type": "application/json", "Cache-Control": "no-cache, private"}
        stream = web.StreamResponse(status=response.status, headers=headers | response.headers)
        stream.enable_chunked_encoding()
        task = asyncio.current_task()
        assert task is not None
        self._streams.add(task)
        try:
            await stream.prepare(request)
            async with contextlib.aclosing(pieces) as each:  # type: ignore[type-var]
                async for piece in each:
                    await stream.write(piece)
            await stream.write_eof()
        except (TimeoutError, ConnectionError):
            # The client went away, which is its right.
            stream.force_close()
        finally:
            self._streams.discard(task)
        return stream

    async def _watch_lines(self, watch: Subscription) -> AsyncIterator[bytes]:
        loop = asyncio.get_running_loop()
        end = loop.time() + (watch.timeout or _WATCH_SECONDS)
        bookmark = min(loop.time() + _BOOKMARK_SECONDS, end - _LAST_BOOKMARK_SECONDS)
        try:
            while (now := loop.time()) < end:
                if now >= bookmark:
                    bookmark = _next_bookmark(now, end)
                    if (note := watch.bookmark()) is not None:
                        yield self._encoder.line(note)
                batch = await _next(watch, min(end, bookmark))
                if batch is None:
                    continue
                if not batch:
                    return
                yield b"".join(map(self._encoder.line, batch))
        finally:
            watch.close()


def _next_bookmark(now: float, end: float) -> float:
    last = end - _LAST_BOOKMARK_SECONDS
    return min(now + _BOOKMARK_SECONDS, last) if now < last else end


async def _next(watch: Subscription, until: float) -> list[WatchEvent] | None:
    """Return the next events, `[]` when the watch is over, None when nothing came in time."""
    try:
        async with asyncio.timeout_at(until):
            return await watch.next_batch(_BATCH)
    except TimeoutError:
        return None


async def _read(request: web.BaseRequest) -> bytes:
    pieces, length = [], 0
    async for piece in request.content.iter_any():
        length += len(piece)
        if length > MAX_BODY:
            raise status.too_large()
        pieces.append(piece)
    return b"".join(pieces)


def _query(request: web.BaseRequest) -> dict[str, str]:
    found: dict[str, str] = {}
    for name, value in request.rel_url.query.items():
        # `?watch` alone means true, as `?watch=1` does.
        given = _clean(value) or ("true" if name in _SWITCHES else "")
        found.setdefault(_clean(name), given)
    return found


def _clean(value: str) -> str:
    """Return a header without the traces of bytes that are no text."""
    return value.encode("utf-8", "replace").decode()


def _plain_response(response: Response, request: web.BaseRequest) -> web.Response:
    headers = dict(response.headers)
    if response.text is not None:
        body = response.text.encode() if isinstance(response.text, str) else response.text
        headers.setdefault("Content-Type", "text/plain; charset=utf-8")
        return web.Response(status=response.status, headers=headers, body=body)
    accept = request.headers.get("Accept", "")
    if _wants_yaml(accept):
        body = yaml.safe_dump(response.document, sort_keys=False).encode()
        headers.setdefault("Content-Type", "application/yaml")
    else:
        body = msgspec.json.encode(response.document)
        headers.setdefault("Content-Type", "application/json")
    if len(body) > _GZIP_FROM and "gzip" in request.headers.get("Accept-Encoding", ""):
        body = gzip.compress(body, 1)
        headers |= {"Content-Encoding": "gzip", "Vary": "Accept-Encoding"}
    return web.Response(status=response.status, headers=headers, body=body)


def _wants_yaml(accept: str) -> bool:
    try:
        return negotiation.negotiate(accept).yaml
    except status.ApiError:
        return False
