"""Versions and pages of lists: which state is listed, and how a list goes on."""

from __future__ import annotations

import base64
import json
from collections.abc import Mapping
from dataclasses import dataclass
from typing import Any

from veza_nb.sandbox.apimachinery import status
from veza_nb.sandbox.apimachinery.status import ApiError, Cause

Json = dict[str, Any]
_TOKEN_VERSION = "meta.k8s.io/v1"
_TOO_OLD = (
    "The provided continue parameter is too old to display a consistent list result. You can start "
    "a new list without the continue parameter, or use the continue token in this response to "
    "retrieve the remainder of the results. Continuing with the provided token results in an "
    "inconsistent list - objects that were created, modified, or deleted between the time the "
    "first chunk was returned and now may show up in the list."
)

_LARGEST = 2**63 - 1


@dataclass(frozen=True, slots=True)
class Token:
    """Where a list goes on: the version listed (-1: the present), and the first key."""

    version: int
    start: str

    def encode(self, prefix: str = "") -> str:
        """Return the token as text for a URL; keys of most resources have a "/" in front."""
        body = {"v": _TOKEN_VERSION, "rv": self.version, "start": prefix + self.start}
        text = json.dumps(body, separators=(",", ":")).encode()
        return base64.urlsafe_b64encode(text).decode().rstrip("=")


def decode_token(text: str) -> Token:
    """Return the token that a client sent back.

    Raises:
        ApiError: 400 when it is none of ours.
    """
    try:
        body = json.loads(base64.urlsafe_b64decode(text + "=" * (-len(text) % 4)))
        token = Token(int(body["rv"]), str(body["start"]).lstrip("/"))
    except (ValueError, KeyError, TypeError) as error:
        raise status.bad_request(f"continue key is not valid: {error}") from error
    if body.get("v") != _TOKEN_VERSION or not token.start:
        raise status.bad_request("continue key is not valid: incorrect encoded version or start")
    return token


def token_expired(token: Token) -> ApiError:
    """Return the 410 about a token, with one inside that goes on without consistency."""
    return status.expired(_TOO_OLD, {"continue": Token(-1, token.start).encode()})


@dataclass(frozen=True, slots=True)
class ListOptions:
    """The options of a list or a watch that have to do with versions and pages.

    Attributes:
        limit: Items a page; 0: all.
        token: Where to go on, or None.
        version: The resourceVersion asked for; None: the newest.
        match: "", "Exact" or "NotOlderThan".
    """

    limit: int
    token: Token | None
    version: int | None
    match: str


def parse(query: Mapping[str, str]) -> ListOptions:
    """Read the options.

    Raises:
        ApiError: 400 or 422 when they make no sense.
    """
    asked, match = query.get("resourceVersion", ""), query.get("resourceVersionMatch", "")
    token = decode_token(query["continue"]) if query.get("continue") else None
    if token and asked not in ("", "0"):
        raise status.bad_request("specifying resource version is not allowed when using continue")
    if match and not asked and not query.get("sendInitialEvents"):
        why = "Forbidden: resourceVersionMatch is forbidden unless resourceVersion is provided"
        raise _refused(Cause("FieldValueForbidden", why, "resourceVersionMatch"))
    if match not in ("", "Exact", "NotOlderThan"):
        why = f'Unsupported value: "{match}": supported values: "Exact", "NotOlderThan"'
        raise _refused(Cause("FieldValueNotSupported", why, "resourceVersionMatch"))
    if match == "Exact" and asked == "0":
        why = 'Forbidden: resourceVersionMatch "exact" is forbidden for resourceVersion "0"'
        raise _refused(Cause("FieldValueForbidden", why, "resourceVersionMatch"))
    return ListOptions(_limit(query), token, _version(asked), match)


def _refused(cause: Cause) -> ApiError:
    return status.invalid("ListOptions", "meta.k8s.io", "", [cause])


def _limit(query: Mapping[str, str]) -> int:
    text = query.get("limit", "") or "0"
    try:
        limit = int(text)
    except ValueError as error:
        why = f'strconv.ParseInt: parsing "{text}": invalid syntax'
        raise status.bad_request(why) from error
    if abs(limit) > _LARGEST:
        raise status.bad_request(f'strconv.ParseInt: parsing "{text}": value out of range')
    return max(0, limit)


def _version(asked: str) -> int | None:
    if asked in ("", "0"):
        return None
    if not (asked.isascii() and asked.isdigit()):
        raise bad_version(asked)
    return int(asked)


def bad_version(asked: str) -> ApiError:
    """Return the 500 that the server really answers to a version that is no number."""
    why = f'strconv.ParseUint: parsing "{asked}": invalid syntax'
    return ApiError(500, "", f'resourceVersion: Invalid value: "{asked}": {why}')
