"""Kubernetes' way to say no: Status bodies and the one exception that carries them.

Everything below the server raises `ApiError`; only the API turns it into an answer. The wording is
the wire's, because kubectl and people's scripts match on it.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field
from typing import Any

Json = dict[str, Any]


@dataclass(frozen=True, slots=True)
class Cause:
    """One thing wrong with one field, as `details.causes` lists it."""

    reason: str
    message: str
    field: str

    def document(self) -> Json:
        """Return the JSON of this cause; empty parts are left out."""
        parts = {"reason": self.reason, "message": self.message, "field": self.field}
        return {key: value for key, value in parts.items() if value}


@dataclass(eq=False)
class ApiError(Exception):
    """A refused request.

    Attributes:
        code: HTTP status.
        reason: Kubernetes' reason, such as "NotFound"; empty where the wire has none.
        message: The text a kubectl user reads.
        details: `details` of the Status; None leaves the member out, `{}` keeps it empty.
        metadata: `metadata` of the Status; a new continue token travels there.
        headers: Additional headers of the answer.
        plain: The answer is this text instead of a Status.
    """

    code: int
    reason: str
    message: str
    details: Json | None = None
    metadata: Json = field(default_factory=dict)
    headers: Mapping[str, str] = field(default_factory=dict)
    plain: str | None = None

    def __str__(self) -> str:
        return self.message

    def document(self) -> Json:
        """Return the Status body."""
        body: Json = {
            "kind": "Status",
            "apiVersion": "v1",
            "metadata": self.metadata,
            "status": "Failure",
            "message": self.message,
        }
        if self.reason:
            body["reason"] = self.reason
        if self.details is not None:
            body["details"] = self.details
        body["code"] = self.code
        return body


def success(details: Json) -> Json:
    """Return the Status that answers a delete which took effect at once."""
    return {
        "kind": "Status",
        "apiVersion": "v1",
        "metadata": {},
        "status": "Success",
        "details": details,
    }


def details(name: str, group: str, kind: str) -> Json:
    """Return `details` in the wire's order, empty members left out."""
    parts = {"name": name, "group": group, "kind": kind}
    return {key: value for key, value in parts.items() if value}


def qualified(resource: str, group: str) -> str:
    """Return "deployments.apps", or the bare name in the core group."""
    return f"{resource}.{group}" if group else resource


def bad_request(message: str) -> ApiError:
    """400: the request cannot be understood."""
    return ApiError(400, "BadRequest", message)


def unauthorized() -> ApiError:
    """401: a token was sent and nobody knows it."""
    return ApiError(401, "Unauthorized", "Unauthorized")


def forbidden(
    resource: str, group: str, name: str, why: str, causes: Sequence[Cause] = ()
) -> ApiError:
    """403 about a resource, for reasons of access or of admission."""
    subject = qualified(resource, group) + (f' "{name}"' if name else "")
    said = details(name, group, resource)
    if causes:
        said["causes"] = [cause.document() for cause in causes]
    return ApiError(403, "Forbidden", f"{subject} is forbidden: {why}", said)


def not_found(resource: str, group: str, name: str) -> ApiError:
    """404: no object of that name."""
    message = f'{qualified(resource, group)} "{name}" not found'
    return ApiError(404, "NotFound", message, details(name, group, resource))


def no_such_resource() -> ApiError:
    """404: the path belongs to the API, but names nothing that is served."""
    message = "the server could not find the requested resource"
    return ApiError(404, "NotFound", message, {})


def no_such_page() -> ApiError:
    """404 as the web server itself says it, in plain text."""
    return ApiError(404, "NotFound", "404 page not found", plain="404 page not found\n")


def method_not_allowed() -> ApiError:
    """405: the resource has no such verb."""
    message = "the server does not allow this method on the requested resource"
    return ApiError(405, "MethodNotAllowed", message, {})


def not_acceptable(offered: str) -> ApiError:
    """406: no representation that the client would take."""
    message = f"406: Not Acceptable\n\nAvailable representations: {offered}"
    return ApiError(406, "NotAcceptable", message, {})


def already_exists(resource: str, group: str, name: str) -> ApiError:
    """409: create of a name that is taken."""
    message = f'{qualified(resource, group)} "{name}" already exists'
    return ApiError(409, "AlreadyExists", message, details(name, group, resource))


MODIFIED = (
    "the object has been modified; please apply your changes to the latest version and try again"
)


def conflict(resource: str, group: str, name: str, why: str = MODIFIED) -> ApiError:
    """409: the object is not the one that the request was written for."""
    message = f'Operation cannot be fulfilled on {qualified(resource, group)} "{name}": {why}'
    return ApiError(409, "Conflict", message, details(name, group, resource))


def apply_conflict(message: str, causes: Sequence[Cause]) -> ApiError:
    """409: a server-side apply would take fields that others manage."""
    return ApiError(409, "Conflict", message, {"causes": [cause.document() for cause in causes]})


def expired(message: str, metadata: Json | None = None) -> ApiError:
    """410: the history asked for is no longer kept."""
    return ApiError(410, "Expired", message, metadata=metadata or {})


def too_large() -> ApiError:
    """413: more body than the server reads."""
    message = "Request entity too large: limit is 3145728"
    return ApiError(413, "RequestEntityTooLarge", message, {})


def unsupported_media_type() -> ApiError:
    """415: a body in a format that this verb does not take."""
    return ApiError(415, "UnsupportedMediaType", "415: Unsupported Media Type", {})


def invalid(kind: str, group: str, name: str, causes: Sequence[Cause]) -> ApiError:
    """422: understood, and wrong; one cause a field."""
    texts = list(dict.fromkeys(f"{cause.field}: {cause.message}" for cause in causes))
    told = texts[0] if len(texts) == 1 else "[" + ", ".join(texts) + "]"
    said = details(name, group, kind)
    said["causes"] = [cause.document() for cause in causes]
    message = f'{qualified(kind, group)} "{name}" is invalid: {told}'
    return ApiError(422, "Invalid", message, said)


def rejected() -> ApiError:
    """422 without a word why: a JSON patch that does not hold or does not fit."""
    message = "the server rejected our request due to an error in our request"
    return ApiError(422, "Invalid", message, {})


def too_many_requests(message: str, causes: Sequence[Cause] = ()) -> ApiError:
    """429: not now."""
    said: Json = {"causes": [cause.document() for cause in causes]} if causes else {}
    return ApiError(429, "TooManyRequests", message, said)


def internal(message: str) -> ApiError:
    """500: something that should not happen."""
    said = {"causes": [{"message": message}]}
    return ApiError(500, "InternalError", f"Internal error occurred: {message}", said)


def version_in_future(asked: int, current: int) -> ApiError:
    """504: a list not older than a version that is not reached."""
    said = {
        "causes": [{"reason": "ResourceVersionTooLarge", "message": "Too large resource version"}],
        "retryAfterSeconds": 1,
    }
    message = f"Timeout: Too large resource version: {asked}, current: {current}"
    return ApiError(504, "Timeout", message, said, headers={"Retry-After": "1"})
