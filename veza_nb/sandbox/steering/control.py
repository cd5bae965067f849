"""The private line to a running training cluster: named operations, JSON in, JSON out.

Inside the cluster's process operations are registered with a `Control`; `controlport` serves them
on loopback. From another process `ask` calls one. Light on imports, because commands that ask
should answer at once.
"""

from __future__ import annotations

import http.client
import inspect
import json
from collections.abc import Awaitable, Callable, Mapping
from typing import Any, Protocol
from urllib.parse import urlsplit

Json = dict[str, Any]
# Gets the arguments, returns what JSON can hold; runs inside the cluster's loop.
Handler = Callable[[Json], object | Awaitable[object]]
ASK_SECONDS = 15.0
_SHOWN = 200


class ControlError(Exception):
    """An operation was refused, or the cluster could not be asked; the message says why."""


class RefusedError(ControlError):
    """The cluster was asked and does not do it; the message is its answer."""


class Line(Protocol):
    """Where a cluster's control port is, and what opens it; `detached.Running` is one."""

    @property
    def control_url(self) -> str:
        """Such as "http://127.0.0.1:41234"; empty when there is no control port."""
        ...

    @property
    def control_token(self) -> str:
        """Secret of this cluster."""
        ...


class Control:
    """The operations that a running cluster offers, by name."""

    def __init__(self) -> None:
        self._handlers: dict[str, Handler] = {}

    def on(self, operation: str, handler: Handler) -> None:
        """Offer an operation.

        Args:
            operation: Such as "faults.add".
            handler: Gets the arguments as a dictionary and returns what JSON can hold, or an
                awaitable of it. Raises ValueError, or a `ControlError`, for what it refuses.

        Raises:
            ValueError: There is one of that name already.
        """
        if operation in self._handlers:
            raise ValueError(f"the operation {operation} is offered already")
        self._handlers[operation] = handler

    def names(self) -> list[str]:
        """Every operation, by name."""
        return sorted(self._handlers)

    async def perform(self, operation: str, arguments: Json) -> object:
        """Do one.

        Raises:
            RefusedError: There is no such operation, or it refuses.
        """
        handler = self._handlers.get(operation)
        if handler is None:
            known = ", ".join(self.names())
            raise RefusedError(f"unknown operation {operation!r}; known: {known}")
        try:
            answer = handler(arguments)
            return await answer if inspect.isawaitable(answer) else answer
        except RefusedError:
            raise
        except (ValueError, ControlError) as error:
            raise RefusedError(str(error)) from error


def ask(
    running: Line,
    operation: str,
    arguments: Mapping[str, object] | None = None,
    *,
    timeout: float = ASK_SECONDS,
) -> Any:
    """Let a running cluster do something, and return its answer.

    Args:
        running: What `detached.status` or `detached.up` returned.
        operation: Such as "faults.add".
        arguments: What JSON can hold.
        timeout: Seconds until the cluster counts as hanging.

    Raises:
        RefusedError: It does not do that.
        ControlError: It is gone, or it hangs.
    """
    address = urlsplit(running.control_url)
    if not address.hostname:
        raise ControlError("this training cluster has no control port; start it again")
    connection = http.client.HTTPConnection(address.hostname, address.port, timeout=timeout)
    headers = {
        "Authorization": f"Bearer {running.control_token}",
        "Content-Type": "application/json",
    }
    try:
        body = json.dumps(dict(arguments or {}))
        connection.request("POST", f"/{operation}", body, headers)
        answer = connection.getresponse()
        text = answer.read()
    except TimeoutError as error:
        why = f"the training cluster did not answer within {timeout:g} s; it may hang"
        raise ControlError(why) from error
    except (OSError, http.client.HTTPException) as error:
        why = f"the training cluster is gone: nothing answers at {running.control_url}"
        raise ControlError(f"{why} ({type(error).__name__}: {error})") from error
    finally:
        connection.close()
    return _result(answer.status, text)


def _result(code: int, text: bytes) -> Any:
    try:
        said = json.loads(text)
    except ValueError:
        said = None
    if not isinstance(said, dict) or ("result" in said) == ("error" in said):
        shown = text[:_SHOWN].decode("utf-8", "replace")
        raise ControlError(f"this is no answer of a training cluster ({code}): {shown}")
    if "error" in said:
        raise RefusedError(str(said["error"]))
    return said["result"]
