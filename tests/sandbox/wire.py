"""HTTPS by hand: what well-behaved clients never send, and what they get for it."""

from __future__ import annotations

import socket
import ssl
from collections.abc import Mapping
from dataclasses import dataclass, field
from types import TracebackType
from urllib.parse import urlsplit

_PATIENCE = 20.0
_NO_BODY = (204, 304)


class HungUpError(ConnectionError):
    """The server ended the connection where an answer was due."""


@dataclass(frozen=True)
class Answer:
    """What came back; header names in lower case."""

    status: int
    headers: Mapping[str, str] = field(default_factory=dict)
    body: bytes = b""
    version: str = "HTTP/1.1"

    @property
    def closes(self) -> bool:
        """Whether the connection is of no more use."""
        said = self.headers.get("connection", "").lower()
        return said == "close" or (self.version == "HTTP/1.0" and said != "keep-alive")


def message(
    method: str, target: str, headers: Mapping[str, str] | None = None, body: bytes = b""
) -> bytes:
    """A request as it goes over the wire; the length of the body is told where there is one."""
    lines = [f"{method} {target} HTTP/1.1", "Host: 127.0.0.1"]
    lines += [f"{name}: {value}" for name, value in (headers or {}).items()]
    if body or method in ("POST", "PUT", "PATCH"):
        lines.append(f"Content-Length: {len(body)}")
    return "\r\n".join([*lines, "", ""]).encode("utf-8", "surrogateescape") + body


class Wire:
    """One TLS connection to a server."""

    def __init__(self, url: str, context: ssl.SSLContext, patience: float = _PATIENCE) -> None:
        port = urlsplit(url).port
        raw = socket.create_connection(("127.0.0.1", port or 443), timeout=patience)
        raw.setsockopt(socket.IPPROTO_TCP, socket.TCP_NODELAY, 1)
        try:
            self.socket = context.wrap_socket(raw, server_hostname="127.0.0.1")
        except BaseException:
            raw.close()
            raise
        self._kept = b""

    def __enter__(self) -> Wire:
        return self

    def __exit__(
        self,
        kind: type[BaseException] | None,
        error: BaseException | None,
        trace: TracebackType | None,
    ) -> None:
        self.close()

    def close(self) -> None:
        """Hang up."""
        self.socket.close()

    def send(self, data: bytes) -> None:
        """Send bytes as they are."""
        self.socket.sendall(data)

    def ask(self, data: bytes, *, head: bool = False) -> Answer:
        """Send a request and return the answer."""
        self.send(data)
        return self.answer(head=head)

    def answer(self, *, head: bool = False) -> Answer:
        """Return the next answer; `head`: it has no body whatever its length says.

        Raises:
            HungUpError: None came.
        """
        given = self.head()
        if head or given.status in _NO_BODY:
            return given
        if given.headers.get("transfer-encoding") == "chunked":
            body = self._chunks()
        elif "content-length" in given.headers:
            body = self.exactly(int(given.headers["content-length"]))
        else:
            body = self.rest()
        return Answer(given.status, given.headers, body, given.version)

    def head(self) -> Answer:
        """Return the status and the headers of the next answer; its body is still to come."""
        lines = self._until(b"\r\n\r\n").decode("latin-1").split("\r\n")
        version, status = lines[0].split(" ", 2)[:2]
        pairs = (line.partition(":") for line in lines[1:] if line)
        headers = {name.lower(): value.strip() for name, _, value in pairs}
        return Answer(int(status), headers, b"", version)

    def rest(self) -> bytes:
        """Return everything until the server ends the connection."""
        while self._more():
            pass
        kept, self._kept = self._kept, b""
        return kept

    def _chunks(self) -> bytes:
        pieces = []
        while size := int(self._until(b"\r\n"), 16):
            pieces.append(self.exactly(size + 2)[:-2])
        self._until(b"\r\n")
        return b"".join(pieces)

    def _until(self, mark: bytes) -> bytes:
        while mark not in self._kept:
            self._need()
        found, _, self._kept = self._kept.partition(mark)
        return found

    def exactly(self, size: int) -> bytes:
        """Return so many bytes."""
        while len(self._kept) < size:
            self._need()
        found, self._kept = self._kept[:size], self._kept[size:]
        return found

    def _need(self) -> None:
        if not self._more():
            raise HungUpError(f"the server hung up after {self._kept[:200]!r}")

    def _more(self) -> bool:
        try:
            piece = self.socket.recv(65536)
        except (ssl.SSLError, ConnectionError):
            return False
        self._kept += piece
        return bool(piece)
