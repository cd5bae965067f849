"""The HTTPS face of the API: sockets, TLS, encoding, streams. Everything else is in `api`."""

from __future__ import annotations

import asyncio
import contextlib
import functools
import gzip
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
from veza_nb.sandbox.apiserver.messages import Request, Response, Session
from veza_nb.sandbox.apiserver.watching import Subscription, WatchEvent
from veza_nb.sandbox.clock import Clock
from veza_nb.sandbox.faults.answers import storage_timeout
from veza_nb.sandbox.faults.edge import Edge
from veza_nb.sandbox.serving import listening
from veza_nb.sandbox.serving.connections import Gate, HttpDate, reset
from veza_nb.sandbox.serving.credentials import Credentials
from veza_nb.sandbox.serving.fanout import Encoder, Turns
from veza_nb.sandbox.serving.listening import BODY_SECONDS, HEAD_SECONDS, Listener
from veza_nb.sandbox.streaming.serving import Streaming

_BATCH = 200
_BOOKMARK_SECONDS = 60.0
# Before a watch ends by its timeout, the client learns the version it may go on from.
_LAST_BOOKMARK_SECONDS = 2.0
_WATCH_SECONDS = 3600.0
_SWITCHES = ("watch", "follow", "verbose")
_REPEATED = ("command", "ports")
_GZIP_FROM = 128 * 1024


class Server:
    """Serves an API on loopback.

    Args:
        api: What to serve.
        credentials: Certificate of the server.
        clock: Of the cluster, for a fault to shift.
        head_seconds: How long the head of a connection's first request may take.
        body_seconds: How long a body may take.

    Attributes:
        edge: Where requests meet faults.
        streaming: Holds conversations with containers; None: there are none.
    """

    def __init__(
        self,
        api: Api,
        credentials: Credentials,
        clock: Clock | None = None,
        *,
        head_seconds: float = HEAD_SECONDS,
        body_seconds: float = BODY_SECONDS,
    ) -> None:
        self._api = api
        self._head_seconds, self._body_seconds = head_seconds, body_seconds
        self._credentials = credentials
        self._encoder, self._turns = Encoder(), Turns()
        self._date = HttpDate()
        self.streaming: Streaming | None = None
        self.edge = Edge(api, clock)
        self.edge.door = self
        self._runner: web.ServerRunner | None = None
        self._listener: Listener
        self._gate: Gate
        self._streams: set[asyncio.Task[Any]] = set()
        self.url = ""

    @property
    def connections(self) -> int:
        """How many there are."""
        return len(self._listener.sockets)

    async def start(self, port: int = 0) -> str:
        """Listen on 127.0.0.1 and return the URL; port 0 takes a free one."""
        self._listener = Listener(self._handle, self._head_seconds)
        self._runner = web.ServerRunner(self._listener, shutdown_timeout=0.2)
        await self._runner.setup()
        self._gate = Gate(self._listener, self._credentials.server_context)
        await self._gate.open(port)
        self.url = f"https://127.0.0.1:{self._gate.port}"
        return self.url

    async def stop(self) -> None:
        """End every stream and connection, and stop listening."""
        self.edge.close()
        for task in tuple(self._streams):
            task.cancel()
        if self._runner is None:
            return
        await self._gate.close()
        # Before the orderly end, which a TLS connection does not survive well enough to be aborted.
        await self._listener.abort()
        await self._runner.cleanup()
        self._runner = None
        await self._listener.abort()

    async def shut(self) -> None:
        """Cut every connection and refuse new ones; the address stays ours."""
        await self._gate.refuse()
        await self._listener.abort()

    async def reopen(self) -> None:
        """Accept connections again, at the same address."""
        await self._gate.reopen()

    async def _handle(self, request: web.BaseRequest) -> web.StreamResponse:
        listening.greeted(request)
        body = await _read(request, self._body_seconds)
        asked = Request(
            request.method,
            unquote(request.rel_url.raw_path),
            _query(request),
            _headers(request),
            body or b"",
            certificate=_certificate(request),
            repeated=_repeated(request),
        )
        edge = self.edge
        if body is None:
            response: Response | None = self._api.handle(asked, instead=storage_timeout())
        else:
            response = await edge.handle(asked) if edge.active else self._api.handle(asked)
        if response is None or self._gate.shut:
            reset(request)
            return web.Response()
        response.headers.setdefault("Cache-Control", "no-cache, private")
        response.headers.setdefault("Date", self._date.text(self._api.core.clock.now()))
        if response.watch is not None:
            with edge.watching(asked, response.watch, functools.partial(reset, request)):
                return await self._stream(request, response, self._watch_lines(response.watch))
        if response.stream is not None:
            return await self._stream(request, response, response.stream)
        if response.session is not None:
            return await self._converse(request, response.session)
        plain = _plain_response(response, request)
        if body is None or len(body) > MAX_BODY:
            # The rest of the body is still to come, and nobody will read it.
            plain.force_close()
        return plain

    async def _converse(self, request: web.BaseRequest, session: Session) -> web.StreamResponse:
        if self.streaming is None:
            return web.Response(status=501, text="there are no containers behind this server")
        task = asyncio.current_task()
        assert task is not None
        self._streams.add(task)
        try:
            return await self.streaming.serve(request, session)
        finally:
            self._streams.discard(task)

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
        watch.turn = self._turns.take
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
                yield self._encoder.lines(batch)
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


async def _read(request: web.BaseRequest, seconds: float) -> bytes | None:
    """Return the body, of one that is too long a part too long as well; None: it never came."""
    pieces, length = [], 0
    try:
        async with asyncio.timeout(seconds):
            async for piece in request.content.iter_any():
                length += len(piece)
                pieces.append(piece)
                if length > MAX_BODY:
                    break
    except TimeoutError:
        return None
    return b"".join(pieces)


def _headers(request: web.BaseRequest) -> dict[str, str]:
    """Return headers by lower-case name; those that may come more than once have lines."""
    found = {name.lower(): _clean(value) for name, value in request.headers.items()}
    for name in found:
        if name.startswith("impersonate-"):
            found[name] = "\n".join(map(_clean, request.headers.getall(name)))
    return found


def _certificate(request: web.BaseRequest) -> bytes:
    """Return the certificate that a client showed, in DER; empty when it has none."""
    if request.transport is None:
        return b""
    tls = request.transport.get_extra_info("ssl_object")
    return (tls and tls.getpeercert(binary_form=True)) or b""


def _repeated(request: web.BaseRequest) -> dict[str, list[str]]:
    """Return every value of the parameters that may be given more than once."""
    query = request.rel_url.query
    return {
        name: list(map(_clean, query.getall(name))) for name in _REPEATED if query and name in query
    }


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
