"""Kubernetes' channel protocol: several streams in one WebSocket, each message with its number."""

from __future__ import annotations

import base64
import contextlib
from collections.abc import AsyncIterator

from aiohttp import WSMessage, WSMsgType, web

STDIN, STDOUT, STDERR, ERROR, RESIZE, CLOSE = 0, 1, 2, 3, 4, 255
# The newest first; v4 says how it ended as a Status, v5 can end single streams as well.
COMMAND_PROTOCOLS = (
    "v5.channel.k8s.io",
    "v4.channel.k8s.io",
    "v4.base64.channel.k8s.io",
    "channel.k8s.io",
    "base64.channel.k8s.io",
)
TUNNEL = "SPDY/3.1+portforward.k8s.io"
PORT_PROTOCOLS = (
    TUNNEL,
    "v4.channel.k8s.io",
    "v4.base64.channel.k8s.io",
    "channel.k8s.io",
    "base64.channel.k8s.io",
)
_LARGEST = 4 * 1024 * 1024


class Channels:
    """The streams of one upgraded connection.

    Args:
        protocols: Those that may be spoken.
    """

    def __init__(self, protocols: tuple[str, ...]) -> None:
        self._socket = web.WebSocketResponse(
            protocols=protocols, max_msg_size=_LARGEST, autoping=True, timeout=2.0
        )

    async def open(self, request: web.BaseRequest) -> web.WebSocketResponse:
        """Shake hands; return what a handler returns in the end."""
        await self._socket.prepare(request)
        return self._socket

    @property
    def tells_status(self) -> bool:
        """Whether the protocol carries a Status at the end."""
        return (self._socket.ws_protocol or "").startswith(("v4.", "v5."))

    @property
    def _encoded(self) -> bool:
        return "base64" in (self._socket.ws_protocol or "")

    async def send(self, channel: int, data: bytes) -> None:
        """Write to a stream; to nobody when the client is gone."""
        with contextlib.suppress(ConnectionError):
            if self._encoded:
                await self._socket.send_str(str(channel) + base64.b64encode(data).decode())
            else:
                await self._socket.send_bytes(bytes([channel]) + data)

    async def messages(self) -> AsyncIterator[tuple[int, bytes]]:
        """Yield what the client writes, as channel and data, until it goes away."""
        async for message in self._socket:
            found = self._taken_apart(message)
            if found is None:
                return
            yield found

    async def close(self) -> None:
        """Say goodbye."""
        with contextlib.suppress(ConnectionError):
            await self._socket.close()

    def _taken_apart(self, message: WSMessage) -> tuple[int, bytes] | None:
        """Return channel and data; None for what is no message of this protocol."""
        if message.type is WSMsgType.BINARY and message.data:
            return message.data[0], message.data[1:]
        if message.type is WSMsgType.TEXT and message.data[:1].isdecimal():
            text = message.data[1:]
            try:
                return int(message.data[0]), (
                    base64.b64decode(text, validate=True) if self._encoded else text.encode()
                )
            except ValueError:
                return None
        return None
