"""Connections that speak SPDY after their upgrade, and the same conversations over them."""

from __future__ import annotations

import asyncio
import contextlib
from collections.abc import AsyncIterator, Callable
from typing import Any

from aiohttp import WSMsgType, web

from veza_nb.sandbox.apiserver.messages import Session
from veza_nb.sandbox.streaming.channels import CLOSE, ERROR, RESIZE, STDERR, STDIN, STDOUT
from veza_nb.sandbox.streaming.spdy import Spdy, SpdyError, Stream

COMMAND, PORT = "v4.channel.k8s.io", "portforward.k8s.io"
_VERSION = "X-Stream-Protocol-Version"
_NUMBERS = {"stdin": STDIN, "stdout": STDOUT, "stderr": STDERR, "error": ERROR, "resize": RESIZE}
_PATIENCE_SECONDS = 30.0


class _Feed:
    """Stands in the place of the HTTP parser once a connection is upgraded."""

    def __init__(self, spdy: Spdy, hang_up: Callable[[], object]) -> None:
        self._spdy = spdy
        self._hang_up = hang_up

    def feed_data(self, data: bytes) -> tuple[bool, bytes]:
        try:
            self._spdy.feed(data)
        except SpdyError:
            self._hang_up()
        return False, b""

    def feed_eof(self) -> None:
        self._spdy.end()


async def upgrade(request: web.BaseRequest, protocol: str) -> tuple[web.StreamResponse, Spdy]:
    """Take a connection over; return what a handler returns in the end, and the connection."""
    offered = [
        each.strip() for line in request.headers.getall(_VERSION, []) for each in line.split(",")
    ]
    if protocol not in offered:
        said = f"client supports {' '.join(offered)}, server accepts {protocol}"
        why = f"unable to upgrade: unable to negotiate protocol: {said}"
        return web.Response(status=403, text=why), Spdy(lambda _: None)
    headers = {"Connection": "Upgrade", "Upgrade": "SPDY/3.1", _VERSION: protocol}
    response = web.StreamResponse(status=101, headers=headers)
    response.force_close()
    await response.prepare(request)
    transport = request.transport
    if transport is None:
        raise ConnectionResetError("the client is gone")
    spdy = Spdy(transport.write)
    feed: Any = _Feed(spdy, transport.close)
    request.protocol.set_parser(feed)
    return response, spdy


async def tunnel(socket: web.WebSocketResponse) -> tuple[Spdy, asyncio.Task[None]]:
    """Speak SPDY inside a WebSocket; return the connection, and the task that carries it."""
    waiting: asyncio.Queue[bytes] = asyncio.Queue()
    spdy = Spdy(waiting.put_nowait)

    async def send() -> None:
        with contextlib.suppress(ConnectionError):
            while True:
                await socket.send_bytes(await waiting.get())

    async def carry() -> None:
        sending = asyncio.ensure_future(send())
        try:
            async for message in socket:
                if message.type is not WSMsgType.BINARY:
                    break
                spdy.feed(message.data)
        except SpdyError:
            pass
        finally:
            spdy.end()
            sending.cancel()
            await asyncio.gather(sending, return_exceptions=True)

    return spdy, asyncio.ensure_future(carry())


class SpdyChannels:
    """The streams of a command, with the face of `Channels`.

    Args:
        spdy: The connection.
        session: Tells which streams there will be.
    """

    tells_status = True

    def __init__(self, spdy: Spdy, session: Session) -> None:
        self._spdy = spdy
        self._streams: dict[int, Stream] = {}
        self._expected = 1 + session.stdin + session.stdout
        self._expected += session.tty or session.stderr

    async def gather(self) -> bool:
        """Wait until the client has opened its streams; False: it did not."""
        try:
            async with asyncio.timeout(_PATIENCE_SECONDS):
                while len(self._streams) < self._expected:
                    stream = await self._spdy.opened.get()
                    if stream is None:
                        return False
                    number = _NUMBERS.get(stream.headers.get("streamtype", ""), CLOSE)
                    self._streams[number] = stream
        except TimeoutError:
            return False
        return True

    async def send(self, channel: int, data: bytes) -> None:
        """Write to a stream."""
        if channel in self._streams:
            self._streams[channel].write(data)

    async def messages(self) -> AsyncIterator[tuple[int, bytes]]:
        """Yield what the client types, until it goes away."""
        if STDIN in self._streams:
            while data := await self._streams[STDIN].received.get():
                yield STDIN, data
            yield CLOSE, bytes([STDIN])
        while await self._spdy.opened.get() is not None:
            pass

    async def close(self) -> None:
        """Say goodbye on every stream."""
        for stream in self._streams.values():
            stream.close()
