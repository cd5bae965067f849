"""What a server does to its sockets and connections below HTTP, and the date that it sends."""

from __future__ import annotations

import asyncio
import socket
import ssl
import struct
from collections.abc import Callable
from datetime import datetime
from email.utils import formatdate

from aiohttp import web

_ROUNDS = 3


class HttpDate:
    """The Date header, made once a second."""

    def __init__(self) -> None:
        self._second = 0
        self._text = ""

    def text(self, now: datetime) -> str:
        """Return a date as HTTP writes it."""
        second = int(now.timestamp())
        if second != self._second:
            self._second, self._text = second, formatdate(second, usegmt=True)
        return self._text


class Gate:
    """An address on loopback where connections are accepted, or refused for a while.

    Args:
        connection: Makes the protocol of a new connection.
        context: Makes the TLS settings.

    Attributes:
        port: Of the address.
        shut: Whether connections are refused just now.
    """

    def __init__(
        self, connection: Callable[[], asyncio.Protocol], context: Callable[[], ssl.SSLContext]
    ) -> None:
        self._connection = connection
        self._context = context
        self._server: asyncio.Server | None = None
        self._held: socket.socket | None = None
        self._turn = asyncio.Lock()
        self.port = 0

    @property
    def shut(self) -> bool:
        """Whether connections are refused just now."""
        return self._server is None

    async def open(self, port: int = 0) -> None:
        """Accept connections; port 0 takes a free one.

        Raises:
            OSError: The port is taken.
        """
        self._held = _bound(port)
        self.port = self._held.getsockname()[1]
        await self.reopen()

    async def reopen(self) -> None:
        """Accept connections again."""
        async with self._turn:
            if self._held is None:
                return
            held, self._held = self._held, None
            loop = asyncio.get_running_loop()
            context = self._context()
            self._server = await loop.create_server(self._connection, sock=held, ssl=context)

    async def refuse(self) -> None:
        """Refuse connections; the address stays ours."""
        async with self._turn:
            if await self._deafen():
                # Bound without listening: connections are refused, and nobody else takes the port.
                self._held = _bound(self.port)

    async def close(self) -> None:
        """Give the address up."""
        async with self._turn:
            await self._deafen()
            if self._held is not None:
                self._held.close()
                self._held = None

    async def _deafen(self) -> bool:
        """Stop accepting; say whether it was going on."""
        server, self._server = self._server, None
        if server is None:
            return False
        for each in server.sockets:
            asyncio.get_running_loop().remove_reader(each.fileno())
        # What is accepted already has to reach its protocol: a server that has gone would lose it.
        for _ in range(_ROUNDS):
            await asyncio.sleep(0)
        server.close()
        return True


def _bound(port: int) -> socket.socket:
    """Return a socket that has an address of this machine's own, and does not listen yet."""
    made = socket.socket(socket.AF_INET, socket.SOCK_STREAM)
    made.setsockopt(socket.SOL_SOCKET, socket.SO_REUSEADDR, 1)
    try:
        made.bind(("127.0.0.1", port))
    except OSError:
        made.close()
        raise
    return made


def reset(request: web.BaseRequest) -> None:
    """Cut a connection in the hard way, so that its client sees it reset."""
    if request.transport is None:
        return
    plain = request.transport.get_extra_info("socket")
    if plain is not None:
        # Not to linger means to reset.
        plain.setsockopt(socket.SOL_SOCKET, socket.SO_LINGER, struct.pack("ii", 1, 0))
    request.transport.abort()
