"""What goes into the API and what comes out; no sockets, no encoding."""

from __future__ import annotations

from collections.abc import AsyncIterator, Mapping, Sequence
from dataclasses import dataclass, field
from typing import TYPE_CHECKING, Any

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
        certificate: Of the client, in DER; empty when it sent none.
        as_of: Version of the cluster that a read is answered from; None: the present one.
        fault: Ids of the faults that it meets, for the audit log.
        repeated: Every value of the query parameters that may be given more than once.
    """

    method: str
    path: str
    query: Mapping[str, str] = field(default_factory=dict)
    headers: Mapping[str, str] = field(default_factory=dict)
    body: bytes = b""
    document: object = None
    user: User | None = None
    certificate: bytes = b""
    as_of: int | None = None
    fault: str = ""
    repeated: Mapping[str, Sequence[str]] = field(default_factory=dict)


@dataclass(frozen=True, slots=True)
class Session:
    """A conversation with a container, agreed upon.

    Attributes:
        kind: "exec", "attach" or "portforward".
        pod: The pod.
        container: Its container; empty for a port.
        run: Which run of the container.
        command: What to run, for exec.
        stdin, stdout, stderr, tty: Which streams there are.
        ports: Which ports, as far as the request names them.
    """

    kind: str
    pod: dict[str, Any]
    container: str = ""
    run: int = 0
    command: tuple[str, ...] = ()
    stdin: bool = False
    stdout: bool = False
    stderr: bool = False
    tty: bool = False
    ports: tuple[int, ...] = field(default=())


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
        session: A conversation to be held over the upgraded connection.
    """

    status: int = 200
    headers: dict[str, str] = field(default_factory=dict)
    document: object = None
    text: str | bytes | None = None
    watch: Subscription | None = None
    stream: AsyncIterator[bytes] | None = None
    session: Session | None = None
