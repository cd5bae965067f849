"""SPDY/3.1 as kubectl speaks it: streams with headers, in frames, over one connection.

Only what such streams need: no flow control, no priorities, no push. All numbers are big-endian.
"""

from __future__ import annotations

import asyncio
import struct
import zlib
from collections.abc import Callable, Mapping
from dataclasses import dataclass, field

_VERSION = 0x8003
_SYN_STREAM, _SYN_REPLY, _RST_STREAM, _PING, _GOAWAY = 1, 2, 3, 6, 7
_FIN = 0x01
_HEAD = 8
_LONGEST_FRAME = 4 * 1024 * 1024
_PIECE = 32 * 1024
# The draft's dictionary for header blocks: names with their lengths, then a run of common values.
_WORDS = (
    "options head post put delete trace accept accept-charset accept-encoding accept-language "
    "accept-ranges age allow authorization cache-control connection content-base "
    "content-encoding content-language content-length content-location content-md5 "
    "content-range content-type date etag expect expires from host if-match if-modified-since "
    "if-none-match if-range if-unmodified-since last-modified location max-forwards pragma "
    "proxy-authenticate proxy-authorization range referer retry-after server te trailer "
    "transfer-encoding upgrade user-agent vary via warning www-authenticate method get status"
)
_LAST = "version HTTP/1.1 url public set-cookie keep-alive origin"
_NAMES = (*_WORDS.split(), "200 OK", *_LAST.split())
_RUN = (
    "100101201202205206300302303304305306307402405406407408409410411412413414415416417502504505"
    "203 Non-Authoritative Information204 No Content301 Moved Permanently400 Bad Request"
    "401 Unauthorized403 Forbidden404 Not Found500 Internal Server Error501 Not Implemented"
    "503 Service UnavailableJan Feb Mar Apr May Jun Jul Aug Sept Oct Nov Dec 00:00:00 Mon, Tue, "
    "Wed, Thu, Fri, Sat, Sun, GMTchunked,text/html,image/png,image/jpg,image/gif,"
    "application/xml,application/xhtml+xml,text/plain,text/javascript,publicprivatemax-age="
    "gzip,deflate,sdchcharset=utf-8charset=iso-8859-1,utf-,*,enq=0."
)
DICTIONARY = b"".join(len(name).to_bytes(4) + name.encode() for name in _NAMES) + _RUN.encode()


class SpdyError(Exception):
    """What came is no SPDY; the connection is of no more use."""


@dataclass(eq=False, slots=True)
class Stream:
    """One stream.

    Attributes:
        connection: That carries it.
        number: Its id.
        headers: With which it was opened, names in lower case.
        received: What the client writes; None at its end.
        closed: Whether nothing more can be written.
    """

    connection: Spdy
    number: int
    headers: Mapping[str, str]
    received: asyncio.Queue[bytes | None] = field(default_factory=asyncio.Queue)
    closed: bool = False

    def write(self, data: bytes) -> None:
        """Send bytes."""
        for start in range(0, len(data) if not self.closed else 0, _PIECE):
            self.connection.send_data(self.number, data[start : start + _PIECE], 0)

    def close(self) -> None:
        """Say that nothing more comes."""
        if not self.closed:
            self.closed = True
            self.connection.send_data(self.number, b"", _FIN)


class Spdy:
    """The server's end of a connection.

    Args:
        write: Sends bytes.

    Attributes:
        opened: Streams that the client has opened; None at the end of all.
    """

    def __init__(self, write: Callable[[bytes], object]) -> None:
        self.opened: asyncio.Queue[Stream | None] = asyncio.Queue()
        self._write = write
        self._streams: dict[int, Stream] = {}
        self._kept = b""
        self._inflate = zlib.decompressobj(zdict=DICTIONARY)
        self._deflate = zlib.compressobj(zdict=DICTIONARY)

    def feed(self, data: bytes) -> None:
        """Take bytes.

        Raises:
            SpdyError: They make no sense.
        """
        self._kept += data
        while len(self._kept) >= _HEAD:
            word, rest = struct.unpack(">II", self._kept[:_HEAD])
            flags, length = rest >> 24, rest & 0xFFFFFF
            if length > _LONGEST_FRAME:
                raise SpdyError("the frame is too long")
            if len(self._kept) < _HEAD + length:
                return
            body, self._kept = self._kept[_HEAD : _HEAD + length], self._kept[_HEAD + length :]
            if word >> 31:
                self._control(word, flags, body)
            else:
                self._data(word, flags, body)

    def end(self) -> None:
        """Nothing more comes: every stream ends."""
        for stream in self._streams.values():
            stream.received.put_nowait(None)
        self._streams.clear()
        self.opened.put_nowait(None)

    def send_data(self, number: int, data: bytes, flags: int) -> None:
        """Send a data frame."""
        self._write(struct.pack(">II", number, flags << 24 | len(data)) + data)

    def _control(self, word: int, flags: int, body: bytes) -> None:
        version, kind = word >> 16, word & 0xFFFF
        if version != _VERSION:
            raise SpdyError("this is another version of SPDY")
        if kind == _SYN_STREAM and len(body) >= 10:
            self._open(body, flags)
        elif kind == _RST_STREAM and len(body) >= 8:
            self._finish(struct.unpack(">I", body[:4])[0])
        elif kind == _PING:
            self._write(_control_frame(_PING, body))
        elif kind == _GOAWAY:
            self.end()

    def _open(self, body: bytes, flags: int) -> None:
        number = struct.unpack(">I", body[:4])[0] & 0x7FFFFFFF
        stream = Stream(self, number, self._headers(body[10:]))
        self._streams[number] = stream
        nothing = self._deflate.compress(bytes(4)) + self._deflate.flush(zlib.Z_SYNC_FLUSH)
        self._write(_control_frame(_SYN_REPLY, struct.pack(">I", number) + nothing))
        self.opened.put_nowait(stream)
        if flags & _FIN:
            self._finish(number)

    def _headers(self, block: bytes) -> dict[str, str]:
        try:
            plain = self._inflate.decompress(block, _LONGEST_FRAME)
            texts, place = [], 4
            (count,) = struct.unpack_from(">I", plain)
            for _ in range(min(count, len(plain)) * 2):
                (size,) = struct.unpack_from(">I", plain, place)
                texts.append(plain[place + 4 : place + 4 + size].decode("utf-8", "replace"))
                place += 4 + size
        except (zlib.error, struct.error) as error:
            raise SpdyError("the headers cannot be read") from error
        return {name.lower(): value for name, value in zip(texts[::2], texts[1::2], strict=True)}

    def _data(self, number: int, flags: int, body: bytes) -> None:
        stream = self._streams.get(number)
        if stream is not None and body:
            stream.received.put_nowait(body)
        if flags & _FIN:
            self._finish(number)

    def _finish(self, number: int) -> None:
        stream = self._streams.pop(number, None)
        if stream is not None:
            stream.received.put_nowait(None)


def _control_frame(kind: int, body: bytes, flags: int = 0) -> bytes:
    return struct.pack(">HHI", _VERSION, kind, flags << 24 | len(body)) + body
