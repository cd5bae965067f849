"""From an upgraded request to a conversation, and back to a handler's result."""

from __future__ import annotations

import asyncio
import functools
import json
from collections.abc import AsyncIterator
from typing import Any

from aiohttp import web

from veza_nb.sandbox.apiserver.messages import Session
from veza_nb.sandbox.apiserver.sessions import WEBSOCKET
from veza_nb.sandbox.nodes.endpoint import Endpoints
from veza_nb.sandbox.streaming import ports, upgraded
from veza_nb.sandbox.streaming.channels import (
    CLOSE,
    COMMAND_PROTOCOLS,
    ERROR,
    PORT_PROTOCOLS,
    STDERR,
    STDIN,
    STDOUT,
    TUNNEL,
    Channels,
)
from veza_nb.sandbox.streaming.containers import Containers
from veza_nb.sandbox.streaming.ports import HttpPort
from veza_nb.sandbox.streaming.spdy import Spdy, Stream
from veza_nb.sandbox.streaming.upgraded import SpdyChannels

Json = dict[str, Any]
_SWITCHED = 101
_NUMBERS = {"stdout": STDOUT, "stderr": STDERR}


class Streaming:
    """Holds the conversations of a server.

    Args:
        containers: Where programs run.
        endpoints: What listens at ports.
    """

    def __init__(self, containers: Containers, endpoints: Endpoints) -> None:
        self._containers = containers
        self._endpoints = endpoints

    async def serve(self, request: web.BaseRequest, session: Session) -> web.StreamResponse:
        """Hold one conversation to its end."""
        if request.headers.get("Upgrade", "").lower() != WEBSOCKET:
            return await self._serve_spdy(request, session)
        channels = Channels(PORT_PROTOCOLS if session.kind == "portforward" else COMMAND_PROTOCOLS)
        done = await channels.open(request)
        if session.kind != "portforward":
            await _Command(channels, session, self._containers).serve()
        elif done.ws_protocol == TUNNEL:
            spdy, carrying = await upgraded.tunnel(done)
            try:
                await _SpdyPorts(spdy, session, self._endpoints).serve()
            finally:
                carrying.cancel()
                await asyncio.gather(carrying, return_exceptions=True)
        else:
            await _Ports(channels, session, self._endpoints).serve()
        await channels.close()
        return done

    async def _serve_spdy(self, request: web.BaseRequest, session: Session) -> web.StreamResponse:
        if session.kind == "portforward":
            done, spdy = await upgraded.upgrade(request, upgraded.PORT)
            if done.status == _SWITCHED:
                await _SpdyPorts(spdy, session, self._endpoints).serve()
            return done
        done, spdy = await upgraded.upgrade(request, upgraded.COMMAND)
        channels = upgraded.SpdyChannels(spdy, session)
        if done.status == _SWITCHED and await channels.gather():
            await _Command(channels, session, self._containers).serve()
            await channels.close()
        return done


class _Command:
    """A program or a container, at one end of a connection."""

    def __init__(
        self, channels: Channels | SpdyChannels, session: Session, containers: Containers
    ) -> None:
        self._channels = channels
        self._session = session
        self._containers = containers
        self._typed: asyncio.Queue[bytes] = asyncio.Queue()
        self._printed: asyncio.Queue[tuple[int, bytes] | None] = asyncio.Queue()

    async def serve(self) -> None:
        """Talk until the program ends or the client goes."""
        # An empty message says that the streams are there.
        await self._channels.send(STDOUT if self._session.stdout else ERROR, b"")
        work = asyncio.ensure_future(self._work())
        listening = asyncio.ensure_future(self._listen())
        try:
            await asyncio.wait({work, listening}, return_when=asyncio.FIRST_COMPLETED)
        finally:
            for task in (work, listening):
                if not task.done():
                    task.cancel()
            ended = await asyncio.gather(work, listening, return_exceptions=True)
        if isinstance(ended[0], Exception):
            raise ended[0]

    async def _work(self) -> None:
        session, stdin = self._session, self._stdin() if self._session.stdin else None
        if session.kind == "attach":
            done = await self._containers.attach(session, stdin, self._show)
        else:
            done = await self._executed(stdin)
        if self._channels.tells_status:
            await self._channels.send(ERROR, json.dumps(done).encode())
        elif done["status"] != "Success":
            await self._channels.send(ERROR, done["message"].encode())

    async def _executed(self, stdin: AsyncIterator[bytes] | None) -> Json:
        showing = asyncio.ensure_future(self._show_printed())
        try:
            done = await self._containers.execute(self._session, stdin, self._print)
            self._printed.put_nowait(None)
            await showing
        finally:
            showing.cancel()
        return done

    def _print(self, stream: str, data: bytes) -> None:
        self._printed.put_nowait((_NUMBERS[stream], data))

    async def _show_printed(self) -> None:
        while (piece := await self._printed.get()) is not None:
            await self._write(*piece)

    async def _show(self, data: bytes) -> None:
        await self._write(STDOUT, data)

    async def _write(self, channel: int, data: bytes) -> None:
        if self._session.tty:
            # A terminal is one stream, and its lines end with a return as well.
            await self._channels.send(STDOUT, data.replace(b"\n", b"\r\n"))
        elif self._session.stdout if channel == STDOUT else self._session.stderr:
            await self._channels.send(channel, data)

    async def _stdin(self) -> AsyncIterator[bytes]:
        while data := await self._typed.get():
            yield data

    async def _listen(self) -> None:
        async for channel, data in self._channels.messages():
            if channel == STDIN and data:
                self._typed.put_nowait(data)
            elif channel == CLOSE and data[:1] == bytes([STDIN]):
                self._typed.put_nowait(b"")


class _Ports:
    """Ports of a pod, at one end of a connection: a channel each for data, another for errors."""

    def __init__(self, channels: Channels, session: Session, endpoints: Endpoints) -> None:
        self._channels = channels
        self._session = session
        self._endpoints = endpoints
        self._open: dict[int, HttpPort] = {}

    async def serve(self) -> None:
        """Talk until the client goes."""
        for number, port in enumerate(self._session.ports):
            for channel in (2 * number, 2 * number + 1):
                await self._channels.send(channel, port.to_bytes(2, "little"))
            if ports.listens(self._session.pod, port):
                write = functools.partial(self._channels.send, 2 * number)
                self._open[2 * number] = HttpPort(self._endpoints, self._session.pod, write)
            else:
                why = ports.refusal(self._session.pod, port)
                await self._channels.send(2 * number + 1, why.encode())
        async for channel, data in self._channels.messages():
            connection = self._open.get(channel)
            if connection is None or connection.closed:
                continue
            if not await connection.feed(data):
                return


class _SpdyPorts:
    """Ports of a pod over SPDY: each connection has two streams, which name its port."""

    def __init__(self, spdy: Spdy, session: Session, endpoints: Endpoints) -> None:
        self._spdy = spdy
        self._pod = session.pod
        self._endpoints = endpoints
        self._errors: dict[str, Stream] = {}

    async def serve(self) -> None:
        """Serve connections until the client goes."""
        async with asyncio.TaskGroup() as connections:
            while (stream := await self._spdy.opened.get()) is not None:
                request = stream.headers.get("requestid", "")
                if stream.headers.get("streamtype") == "error":
                    self._errors[request] = stream
                else:
                    error = self._errors.pop(request, None)
                    connections.create_task(self._connect(stream, error))

    async def _connect(self, stream: Stream, error: Stream | None) -> None:
        text = stream.headers.get("port", "")
        port = int(text) if text.isdecimal() else 0
        if ports.listens(self._pod, port):

            async def write(data: bytes) -> None:
                stream.write(data)

            connection = HttpPort(self._endpoints, self._pod, write)
            while (data := await stream.received.get()) and await connection.feed(data):
                pass
        elif error is not None:
            error.write(ports.refusal(self._pod, port).encode())
        stream.close()
        if error is not None:
            error.close()
