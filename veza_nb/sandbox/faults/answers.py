"""What a Kubernetes API server says when it is in trouble; the wording is the wire's."""

from __future__ import annotations

import json

from veza_nb.sandbox.apimachinery import status
from veza_nb.sandbox.apiserver.messages import Response
from veza_nb.sandbox.faults.rules import Json, Rule

REQUEST_SECONDS = 60.0
"""After these a server gives up a request that is no watch."""
_TEXT = "text/plain; charset=utf-8"
_NOSNIFF = {"X-Content-Type-Options": "nosniff"}
_TOO_MANY = "Too many requests, please try again later."
_TIMEOUT = "Timeout: request did not complete within the allotted timeout"
_MESSAGES = {
    500: "etcdserver: request timed out",
    502: "bad gateway",
    503: "apiserver is shutting down",
    504: _TIMEOUT,
}
# A failing storage is passed on without a reason.
_REASONS = {500: "", 502: "", 503: "ServiceUnavailable"}


def error_answer(rule: Rule) -> Response:
    """Return the answer of an error fault."""
    if rule.code == 429:
        after = 1 if rule.retry_after is None else rule.retry_after
        headers = {"Content-Type": _TEXT, "Retry-After": str(after), **_NOSNIFF}
        return Response(429, headers, text=f"{rule.message or _TOO_MANY}\n")
    if rule.code == 504:
        response = storage_timeout(rule.message)
    else:
        message = rule.message or _MESSAGES[rule.code]
        error = status.ApiError(rule.code, _REASONS[rule.code], message)
        response = Response(rule.code, document=error.document())
    if rule.retry_after is not None:
        response.headers["Retry-After"] = str(rule.retry_after)
    return response


def storage_timeout(message: str = "") -> Response:
    """Return the answer to a request that its storage did not let finish: a Status as text."""
    body: Json = {
        "metadata": {},
        "status": "Failure",
        "message": message or _TIMEOUT,
        "reason": "Timeout",
        "details": {},
        "code": 504,
    }
    text = json.dumps(body, separators=(",", ":")) + "\n"
    return Response(504, {"Content-Type": _TEXT}, text=text)
