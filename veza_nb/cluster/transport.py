"""Bytes to and from the API server, with this kit's errors instead of the vendor's.

The official client brings kubeconfig, credentials, TLS and connections; its generated
methods and models stay out of the way: they cost a second to import and drop the fields
they do not know.

What may be repeated is repeated here (reads, a few times, with back-off); a write is sent
once, and whoever sent it finds out by looking whether a lost answer was a yes.
"""

import random
from collections.abc import Iterator, Mapping
from datetime import datetime
from email.utils import parsedate_to_datetime
from functools import partial
from typing import Any
from urllib.parse import urlencode

import msgspec
import urllib3
from kubernetes.client.rest import RESTClientObject
from urllib3 import exceptions as http_errors

from veza_nb import __version__, errors
from veza_nb.clock import Clock, Deadline
from veza_nb.cluster.kubeconfig import Access
from veza_nb.cluster.servertime import ServerTime
from veza_nb.objects import Status
from veza_nb.typed import decode_json

TRIES = 3
"""How often a read is sent at most."""
FIRST_PAUSE = 0.2
"""Seconds before the second try; doubled before each further one, with jitter."""
LONGEST_PAUSE = 5.0
"""Seconds of any pause at most, whatever a Retry-After says: this is an incident."""
JSON = "application/json"
CONNECTIONS = 32
"""Kept open at most: a look asks many questions at once."""
PIECE = 65536
"""Bytes read from an answer at once at most."""


class Transport:
    """Requests to one API server.

    Args:
        access: where and as whom.
        clock: for the pauses between tries.
        timeout: seconds for one request, from connection to the last byte. It is looked at
            after each piece of the answer, so that a server which hangs in the middle of one
            may take up to that long once more.
    """

    def __init__(self, access: Access, *, clock: Clock, timeout: float) -> None:
        self._access = access
        self._clock = clock
        self._timeout = timeout
        self._server_time = ServerTime(clock)
        # Connections beyond that would be closed after one answer, with a warning.
        access.configuration.connection_pool_maxsize = CONNECTIONS
        self._pool: urllib3.PoolManager = RESTClientObject(access.configuration).pool_manager

    def server_now(self) -> datetime | None:
        """The server's time by its newest answer, give or take 1 s; None where it told none."""
        return self._server_time.now()

    def read(
        self, path: str, query: Mapping[str, str] | None = None, *, accept: str = JSON
    ) -> bytes:
        """GET, as `ask` does it."""
        return self.ask("GET", path, query=query, accept=accept)

    def ask(self, method: str, path: str, **options: Any) -> bytes:
        """`send` what keeps nothing: a read, a review, a dry run.

        Repeated where the server asks for patience or the connection broke.
        """
        for attempt in range(1, TRIES):
            try:
                return self.send(method, path, **options)
            except errors.ServerError as error:
                if error.code not in {429, 500, 502, 503, 504}:
                    raise
                self._clock.sleep(min(error.retry_after or pause(attempt), LONGEST_PAUSE))
            except BrokenConnectionError:
                self._clock.sleep(pause(attempt))
        return self.send(method, path, **options)

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
        """Send one request once; the whole answer comes back.

        Raises:
            VezaError: the leaf of the tree that fits what went wrong.
        """
        deadline = Deadline.after(self._clock, self._timeout)
        content = None if body is None else msgspec.json.encode(body)
        response = self._open(
            method,
            path,
            query,
            content=content,
            content_type=content_type,
            accept=accept,
            timeout=self._timeout,
        )
        data = self._whole(response, deadline)
        self._refuse(response, data, method, path)
        return data

    def stream(
        self, path: str, query: Mapping[str, str], *, timeout: float
    ) -> urllib3.BaseHTTPResponse:
        """GET whose answer is read as it comes; `timeout` is between two pieces of it."""
        response = self._open("GET", path, query, timeout=timeout)
        if response.status >= 400:
            data = self._whole(response, Deadline.after(self._clock, self._timeout))
            self._refuse(response, data, "WATCH", path)
        return response

    def _whole(self, response: urllib3.BaseHTTPResponse, deadline: Deadline) -> bytes:
        """The answer to its last byte; the connection is given back."""
        read = bytearray()
        try:
            for piece in pieces(response):
                read += piece
                if deadline.passed:
                    # What is still to come must not be read as the next answer.
                    response.close()
                    raise self._unreachable(http_errors.TimeoutError())
        except http_errors.HTTPError as error:
            raise self._unreachable(error) from error
        finally:
            response.release_conn()
        return bytes(read)

    def _open(
        self,
        method: str,
        path: str,
        query: Mapping[str, str] | None,
        *,
        content: bytes | None = None,
        content_type: str = "",
        accept: str = JSON,
        timeout: float,
    ) -> urllib3.BaseHTTPResponse:
        url = f"{self._access.server.rstrip('/')}{path}"
        if query:
            url += f"?{urlencode(query)}"
        try:
            response = self._pool.request(
                method,
                url,
                body=content,
                headers=self._headers(content_type if content is not None else "", accept),
                timeout=urllib3.Timeout(total=timeout, connect=min(5.0, timeout)),
                retries=False,
                redirect=False,
                preload_content=False,
            )
        except http_errors.HTTPError as error:
            raise self._unreachable(error) from error
        except ValueError:
            # Without its cause: the vendor's message would print the token.
            raise errors.KubeconfigError(
                f"Server or credentials of context {self._access.context!r} are no usable ones.",
                next_step="Look for line breaks in the token and typing errors in the URL.",
            ) from None
        self._server_time.learn(response.headers.get("Date", ""))
        return response

    def _headers(self, content_type: str, accept: str) -> dict[str, str]:
        headers = {"Accept": accept, "User-Agent": f"veza-nb/{__version__}"}
        if content_type:
            headers["Content-Type"] = content_type
        settings: Mapping[str, Any] = self._access.configuration.auth_settings()
        for setting in settings.values():
            if setting["in"] == "header" and setting["value"]:
                headers[setting["key"]] = setting["value"]
        return headers

    def _unreachable(self, error: Exception) -> errors.UnreachableError:
        kind = errors.UnreachableError
        server = self._access.server
        if isinstance(error, http_errors.SSLError):
            what = f"The certificate of {server} is not trusted: {_short(error)}."
            hint = "Check the context's certificate-authority, and that this is your cluster."
        elif isinstance(error, http_errors.NameResolutionError):
            what = f"The name of {server} does not resolve."
            hint = "Check network, VPN and DNS."
        elif isinstance(error, http_errors.NewConnectionError):
            kind = BrokenConnectionError
            what = f"The API server {server} does not accept connections: {_short(error)}."
            hint = "Check network, VPN and that the control plane runs."
        elif isinstance(error, http_errors.TimeoutError):
            what = f"The API server {server} did not answer within {self._timeout:g} s."
            hint = "It may hang or be far away; try again, or give more time with --timeout."
        else:
            kind = BrokenConnectionError
            what = f"The connection to {server} broke: {_short(error)}."
            hint = "Try again."
        unreachable = kind(what, next_step=hint)
        unreachable.sent = not isinstance(error, _NEVER_CONNECTED)
        return unreachable

    def _refuse(
        self, response: urllib3.BaseHTTPResponse, data: bytes, method: str, path: str
    ) -> None:
        """Raise what an answer of 300 and above means."""
        code = response.status
        if code < 300:
            return
        message = _message(data) or f"HTTP {code}"
        verb = _VERBS.get(method, method.lower())
        match code:
            case 401:
                raise errors.UnauthorizedError(
                    f"The API server does not accept these credentials: {message}.",
                    next_step="Log in again; the token may have expired.",
                )
            case 403:
                raise errors.ForbiddenError(
                    f"Not allowed: {message}.",
                    next_step="Ask for this right, or use a context that has it.",
                    data={"verb": verb, "path": path},
                )
            case 404:
                raise errors.NotFoundError(f"Not found: {message}.", next_step="Check the name.")
            case 409:
                raise errors.ConflictError(f"{message}.", next_step="Plan again.")
            case 422:
                raise errors.InvalidError(f"{message}.", next_step="Plan again.")
            case _:
                raise errors.ServerError(
                    f"The API server answered {code} to {verb} {path}: {message}.",
                    next_step="Try again; if it stays, the control plane itself is in trouble.",
                    code=code,
                    retry_after=_retry_after(response),
                )


class BrokenConnectionError(errors.UnreachableError):
    """The connection broke before the whole answer was there."""


_NEVER_CONNECTED = (http_errors.NewConnectionError, http_errors.ConnectTimeoutError)
"""No connection, no request: whatever was asked was not begun."""
_VERBS = {"GET": "get", "POST": "create", "PUT": "update", "WATCH": "watch"}


def pieces(response: urllib3.BaseHTTPResponse) -> Iterator[bytes]:
    """An answer as it comes."""
    return iter(partial(response.read1, PIECE), b"")


def pause(attempt: int, first: float = FIRST_PAUSE) -> float:
    """Seconds to wait after so many attempts that failed: doubled each time, with jitter."""
    # Jitter keeps many kits from coming back in step; it decides nothing.
    return min(first * 2.0 ** min(attempt - 1, 10), LONGEST_PAUSE) * random.uniform(0.5, 1.0)


def _message(data: bytes) -> str:
    try:
        text = decode_json(data, Status).message
    except (msgspec.DecodeError, UnicodeDecodeError):
        text = data[:200].decode("utf-8", "replace")
    return " ".join(text.split()).rstrip(".")


def _retry_after(response: urllib3.BaseHTTPResponse) -> float | None:
    """Seconds, or a date (RFC 9110) by the server's own clock."""
    value = response.headers.get("Retry-After", "")
    if value.isdigit():
        return float(value)
    try:
        until, now = map(parsedate_to_datetime, (value, response.headers.get("Date", "")))
        return max((until - now).total_seconds(), 0.0)
    except (ValueError, TypeError):  # no date, or one with a zone and one without
        return None


def _short(error: Exception) -> str:
    text = str(error.args[-1] if error.args else error)
    return " ".join(text.rpartition(": ")[2].split()).rstrip(".") or type(error).__name__
