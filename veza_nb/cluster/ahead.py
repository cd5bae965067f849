"""Asking ahead: what was answered a moment before its turn is not asked again.

Which logs, events and nodes a look needs stands in the pods, and those are known only when they
are listed: two rounds, one after the other. But pods seldom change between two looks. So what the
last look needed is asked for while the pods are listed, and the look that follows finds most of
it answered. What it needs besides is asked as ever; an older look decides nothing.
"""

from collections.abc import Callable, Mapping
from datetime import datetime

import urllib3

from veza_nb.cluster.transport import JSON, Transport
from veza_nb.errors import VezaError


class AskedOnce(Transport):
    """Requests over another transport, the same GET only once, whatever became of it.

    Args:
        through: what carries them.
    """

    def __init__(self, through: Transport) -> None:
        self._through = through
        self._known: dict[tuple[object, ...], bytes | VezaError] = {}

    def server_now(self) -> datetime | None:
        """As the other tells it."""
        return self._through.server_now()

    def read(
        self, path: str, query: Mapping[str, str] | None = None, *, accept: str = JSON
    ) -> bytes:
        """GET, repeated where the other repeats it."""
        return self._once(
            path, query, accept, lambda: self._through.read(path, query, accept=accept)
        )

    def send(
        self,
        method: str,
        path: str,
        *,
        query: Mapping[str, str] | None = None,
        body: object = None,
        content_type: str = JSON,
        accept: str = JSON,
    ) -> bytes:
        """Send one request; only what is no GET is sent each time."""

        def ask() -> bytes:
            return self._through.send(
                method, path, query=query, body=body, content_type=content_type, accept=accept
            )

        return self._once(path, query, accept, ask) if method == "GET" else ask()

    def stream(
        self, path: str, query: Mapping[str, str], *, timeout: float
    ) -> urllib3.BaseHTTPResponse:
        """GET whose answer is read as it comes, each time anew."""
        return self._through.stream(path, query, timeout=timeout)

    def _once(
        self,
        path: str,
        query: Mapping[str, str] | None,
        accept: str,
        ask: Callable[[], bytes],
    ) -> bytes:
        key = (path, tuple((query or {}).items()), accept)
        found = self._known.get(key)
        if found is None:
            try:
                found = ask()
            except VezaError as error:
                found = error
            self._known[key] = found
        if isinstance(found, VezaError):
            raise found
        return found
