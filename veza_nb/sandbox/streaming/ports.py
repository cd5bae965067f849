"""A port of a pod, as `port-forward` reaches it: HTTP in, and out what the release answers."""

from __future__ import annotations

import asyncio
from collections.abc import Awaitable, Callable
from dataclasses import dataclass, field
from http import HTTPStatus
from typing import Any

from veza_nb.sandbox.nodes.endpoint import REFUSED, Endpoints

Json = dict[str, Any]
Write = Callable[[bytes], Awaitable[None]]
_LONGEST_HEAD = 64 * 1024
_LONGEST_WAIT = 3600.0
_BAD = b"HTTP/1.1 400 Bad Request\r\nContent-Length: 0\r\nConnection: close\r\n\r\n"


@dataclass(slots=True)
class HttpPort:
    """One connection to a port of a pod.

    Attributes:
        endpoints: Asks the release.
        pod: The pod.
        write: Sends bytes back.
        closed: Whether the pod has hung up.
    """

    endpoints: Endpoints
    pod: Json
    write: Write
    closed: bool = False
    _kept: bytes = field(default=b"")
    _head: bytes = b""
    _skip: int = 0

    async def feed(self, data: bytes) -> bool:
        """Take bytes, answer each request whose head is complete; False: the pod has hung up."""
        self._kept += data
        while not self.closed and self._take_head():
            await self._answer(self._head)
        return not self.closed

    def _take_head(self) -> bool:
        """Cut the next head off; False: not yet."""
        passed = min(self._skip, len(self._kept))
        self._skip, self._kept = self._skip - passed, self._kept[passed:]
        head, found, rest = self._kept.partition(b"\r\n\r\n")
        if self._skip or not found:
            self.closed = self.closed or len(self._kept) > _LONGEST_HEAD
            return False
        self._head, self._kept = head, rest
        return True

    async def _answer(self, head: bytes) -> None:
        first, *lines = head.decode("latin-1").split("\r\n")
        words = first.split(" ")
        headers = {name.strip().lower(): value.strip() for name, _, value in map(_pair, lines)}
        length = headers.get("content-length", "0")
        if len(words) != 3 or not length.isdecimal() or "transfer-encoding" in headers:
            self.closed = True
            await self.write(_BAD)
            return
        self._skip = int(length)
        self.closed = headers.get("connection", "").lower() == "close" or words[2] == "HTTP/1.0"
        await self._ask(words[0], words[1].partition("?")[0])

    async def _ask(self, method: str, path: str) -> None:
        answer = self.endpoints.answer(self.pod["metadata"]["uid"], method, path)
        if answer.status == REFUSED:
            self.closed = True
            return
        await asyncio.sleep(min(answer.seconds, _LONGEST_WAIT))
        body = answer.body.encode()
        phrase = HTTPStatus(answer.status).phrase
        ending = "close" if self.closed else "keep-alive"
        head = (
            f"HTTP/1.1 {answer.status} {phrase}\r\nContent-Type: {answer.content_type}\r\n"
            f"Content-Length: {len(body)}\r\nConnection: {ending}\r\n\r\n"
        )
        await self.write(head.encode() + (b"" if method == "HEAD" else body))


def _pair(line: str) -> tuple[str, str, str]:
    return line.partition(":")


def refusal(pod: Json, port: int) -> str:
    """Return what a kubelet says of a port at which nobody listens."""
    uid = pod["metadata"]["uid"]
    return (
        f"error forwarding port {port} to pod {uid}, uid : failed to execute portforward in "
        f'network namespace "/var/run/netns/cni-{uid}": failed to connect to localhost:{port} '
        f'inside namespace "{uid}", IPv4: dial tcp4 127.0.0.1:{port}: connect: connection refused '
    )


def listens(pod: Json, port: int) -> bool:
    """Return whether a container of a pod listens at a port; without named ports, at any."""
    named = [
        each["containerPort"] for one in pod["spec"]["containers"] for each in one.get("ports", ())
    ]
    return port in named or not named
