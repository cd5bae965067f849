"""Asking as somebody else: what the Impersonate- headers want, and what that takes."""

from __future__ import annotations

from collections.abc import Iterator, Mapping
from dataclasses import dataclass
from urllib.parse import unquote

from veza_nb.sandbox.apimachinery.status import ApiError
from veza_nb.sandbox.apiserver.identities import (
    ANONYMOUS,
    AUTHENTICATED,
    UNAUTHENTICATED,
    Attributes,
    User,
    as_service_account,
    service_account_groups,
)

_USER, _GROUP, _UID = "impersonate-user", "impersonate-group", "impersonate-uid"
_EXTRA = "impersonate-extra-"
_VERB = "impersonate"
_AUTHENTICATION = "authentication.k8s.io"


@dataclass(frozen=True, slots=True)
class Wanted:
    """Somebody to act as, and the rights that it takes."""

    user: User
    needs: tuple[Attributes, ...]


def wanted(headers: Mapping[str, str]) -> Wanted | None:
    """Return whom a request wants to act as, or None.

    Args:
        headers: Names in lower case; several values of one name are lines.

    Raises:
        ApiError: 500 when there are groups and no user.
    """
    name = headers.get(_USER, "")
    groups = tuple(_lines(headers.get(_GROUP, "")))
    uid = headers.get(_UID, "")
    extra = {
        unquote(header.removeprefix(_EXTRA)): tuple(_lines(value))
        for header, value in headers.items()
        if header.startswith(_EXTRA)
    }
    if not name:
        if groups or uid or extra:
            raise _without_user()
        return None
    needs = [_user_need(name), *_other_needs(groups, uid, extra)]
    return Wanted(User(name, _all_groups(name, groups), uid, extra), tuple(needs))


def _lines(text: str) -> list[str]:
    return [line for line in text.split("\n") if line]


def _without_user() -> ApiError:
    text = "Internal Server Error: impersonation of groups needs a user\n"
    return ApiError(500, "InternalError", text.strip(), plain=text)


def _user_need(name: str) -> Attributes:
    account = as_service_account(name)
    if account is None:
        return Attributes(_VERB, "", "users", name=name)
    return Attributes(_VERB, "", "serviceaccounts", namespace=account[0], name=account[1])


def _other_needs(
    groups: tuple[str, ...], uid: str, extra: Mapping[str, tuple[str, ...]]
) -> Iterator[Attributes]:
    for group in groups:
        yield Attributes(_VERB, "", "groups", name=group)
    if uid:
        yield Attributes(_VERB, _AUTHENTICATION, "uids", name=uid)
    for key, values in extra.items():
        for value in values:
            yield Attributes(_VERB, _AUTHENTICATION, "userextras", key, name=value)


def _all_groups(name: str, groups: tuple[str, ...]) -> tuple[str, ...]:
    """Return the groups asked for, and those that everybody of that name is in."""
    account = as_service_account(name)
    if account is not None and not groups:
        return service_account_groups(account[0])
    everybody = UNAUTHENTICATED if name == ANONYMOUS.name else AUTHENTICATED
    if AUTHENTICATED in groups or UNAUTHENTICATED in groups:
        return groups
    return (*groups, everybody)
