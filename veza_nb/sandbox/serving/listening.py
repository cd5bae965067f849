"""Connections as the server holds them: patient, but not without end, and calm about nonsense."""

from __future__ import annotations

import asyncio
import contextlib
import socket
from typing import Any, cast

from aiohttp import web
from aiohttp.web_protocol import RequestHandler

HEAD_SECONDS = 32.0
"""How long a new connection may take to send the head of its first request."""
BODY_SECONDS = 60.0
"""How long a body may take to arrive."""
IDLE_SECONDS = 600.0
"""How long a connection may stay open between two requests."""
# To see the end of a socket, to close the transport, and to say so to its protocol.
_ROUNDS = 5


class Listener(web.Server):
    """Makes a `Connection` for whoever comes.

    Args:
        handle: Answers requests.
        head_seconds: How long the head of a first request may take.

    Attributes:
        sockets: Of all connections, also those that only wait for their peer's farewell.
    """

    def __init__(self, handle: Any, head_seconds: float = HEAD_SECONDS) -> None:
        self._settings: dict[str, Any] = {"access_log": None, "keepalive_timeout": IDLE_SECONDS}
        super().__init__(handle, handler_cancellation=True, **self._settings)
        self._head_seconds = head_seconds
        self.sockets: dict[asyncio.Transport, socket.socket] = {}

    def __call__(self) -> RequestHandler:
        """Return what will hold a new connection."""
        return Connection(self, self._head_seconds, self.sockets, self._settings)

    async def abort(self) -> None:
        """End every connection now; a TLS connection would wait for its peer's farewell."""
        for transport, plain in tuple(self.sockets.items()):
            transport.abort()
            # One that is being closed is deaf to that, but not to the end of its socket.
            with contextlib.suppress(OSError):
                plain.shutdown(socket.SHUT_RDWR)
        for _ in range(_ROUNDS):
            await asyncio.sleep(0)


class Connection(RequestHandler):
    """One connection.

    Args:
        manager: Where it is counted.
        head_seconds: How long the head of its first request may take.
        sockets: Where its transport and its socket are noted while there are any.
        settings: Of the base class.
    """

    def __init__(
        self,
        manager: web.Server,
        head_seconds: float,
        sockets: dict[asyncio.Transport, socket.socket],
        settings: dict[str, Any],
    ) -> None:
        super().__init__(manager, loop=asyncio.get_running_loop(), **settings)
        self._head_seconds = head_seconds
        self._sockets = sockets
        self._mine: asyncio.Transport | None = None
        self._awaited: asyncio.TimerHandle | None = None

    def connection_made(self, transport: asyncio.BaseTransport) -> None:
        """Begin to wait for a request."""
        super().connection_made(transport)
        self._mine = cast(asyncio.Transport, transport)
        self._sockets[self._mine] = self._mine.get_extra_info("socket")
        loop = asyncio.get_running_loop()
        self._awaited = loop.call_later(self._head_seconds, self._mine.abort)

    def connection_lost(self, exc: BaseException | None) -> None:
        """Forget everything."""
        self.greeted()
        if self._mine is not None:
            self._sockets.pop(self._mine, None)
            self._mine = None
        super().connection_lost(exc)

    def greeted(self) -> None:
        """Know that a request has come: from now on the idle time counts."""
        if self._awaited is not None:
            self._awaited.cancel()
            self._awaited = None

    def handle_error(
        self,
        request: web.BaseRequest,
        status: int = 500,
        exc: BaseException | None = None,
        message: str | None = None,
    ) -> web.StreamResponse:
        """Answer what is no HTTP in few words; it is the client's mistake and no news here."""
        if status != web.HTTPBadRequest.status_code:
            return super().handle_error(request, status, exc, message)
        refused = web.Response(status=status, text="400 Bad Request")
        refused.force_close()
        return refused


def greeted(request: web.BaseRequest) -> None:
    """Tell a request's connection that it has come."""
    protocol = request.protocol
    if isinstance(protocol, Connection):
        protocol.greeted()
