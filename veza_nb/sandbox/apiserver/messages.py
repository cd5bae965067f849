"""What goes into the API and what comes out; no sockets, no encoding."""

from __future__ import annotations

from collections.abc import AsyncIterator, Mapping
from dataclasses import dataclass, field
from typing import TYPE_CHECKING

from veza_nb.sandbox.apiserver.access import User

if TYPE_CHECKING:
    from veza_nb.sandbox.apiserver.watching import Subscription


@dataclass(frozen=True, slots=True)
class Request:
    """One request.

    Attributes:
        method: HTTP method.
        path: Path, decoded, without the query.
        query: Query parameters.
        headers: Header names in lower case.
        body: From the wire.
        document: Already decoded body of an in-process client, used instead of `body`.
        user: Set by in-process clients; else whoever the Authorization header names.
    """

    method: str
    path: str
    query: Mapping[str, str] = field(default_factory=dict)
    headers: Mapping[str, str] = field(default_factory=dict)
    body: bytes = b""
    document: object = None
    user: User | None = None


@dataclass(slots=True)
class Response:
    """One answer.

    Attributes:
        status: HTTP status.
        headers: Headers besides length and date.
        document: JSON to encode.
        text: Plain text, instead of a document.
        watch: To be streamed, one JSON line an event.
        stream: Pieces of a log that is followed.
    """

    status: int = 200
    headers: dict[str, str] = field(default_factory=dict)
    document: object = None
    text: str | bytes | None = None
    watch: Subscription | None = None
    stream: AsyncIterator[bytes] | None = None
