"""The control port: a cluster's operations over HTTP on loopback, for whoever knows the token."""

from __future__ import annotations

import hmac
import json
import logging
import secrets
from typing import Any

from aiohttp import web

from veza_nb.sandbox.steering.control import Control, ControlError, Json

_log = logging.getLogger(__name__)
_MAX_BODY = 4 * 1024 * 1024


class ControlPort:
    """Serves a `Control` on a free port of 127.0.0.1.

    Attributes:
        url: Where; empty before `start`.
        token: What opens it; new for each port, kept only in the private state file.
    """

    def __init__(self, control: Control) -> None:
        self._control = control
        self._runner: web.AppRunner | None = None
        self.token = secrets.token_hex(24)
        self.url = ""

    async def start(self) -> str:
        """Listen; return the URL."""
        application = web.Application(client_max_size=_MAX_BODY)
        application.router.add_post("/{operation}", self._handle)
        self._runner = web.AppRunner(application, access_log=None, shutdown_timeout=0.2)
        await self._runner.setup()
        site = web.TCPSite(self._runner, "127.0.0.1", 0)
        await site.start()
        self.url = f"http://127.0.0.1:{self._runner.addresses[0][1]}"
        return self.url

    async def stop(self) -> None:
        """Stop listening; safe when it never did."""
        if self._runner is not None:
            await self._runner.cleanup()
            self._runner = None

    async def _handle(self, request: web.Request) -> web.Response:
        scheme, _, token = request.headers.get("Authorization", "").partition(" ")
        known = hmac.compare_digest(token.encode("utf-8", "replace"), self.token.encode())
        if scheme != "Bearer" or not known:
            return _error(401, "the control port needs the token of this cluster's state file")
        try:
            arguments = _arguments(await request.read())
            result = await self._control.perform(request.match_info["operation"], arguments)
            return web.json_response({"result": result})
        except ControlError as error:
            return _error(422, str(error))
        except web.HTTPRequestEntityTooLarge:
            return _error(413, f"more than {_MAX_BODY} bytes of arguments")
        except Exception as error:
            _log.exception("unexpected error in %s", request.path)
            return _error(500, f"unexpected error: {type(error).__name__}: {error}")


def _arguments(body: bytes) -> Json:
    try:
        given: Any = json.loads(body or b"{}")
    except (ValueError, RecursionError) as error:
        raise ControlError(f"the arguments are no JSON: {error}") from error
    if not isinstance(given, dict):
        raise ControlError("the arguments must be a JSON object")
    return given


def _error(code: int, message: str) -> web.Response:
    return web.json_response({"error": message}, status=code)
