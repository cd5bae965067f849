"""People who may come to a cluster: added while it runs, and given new credentials."""

from __future__ import annotations

import re
from collections.abc import Callable
from datetime import timedelta
from typing import Any

from veza_nb.sandbox.apiserver.access import AUTHENTICATED, Access, User
from veza_nb.sandbox.clock import Clock
from veza_nb.sandbox.serving.credentials import USERS, Credentials, context, new_token
from veza_nb.sandbox.steering.control import Control

Json = dict[str, Any]
_NAME = re.compile(r"[a-z0-9]([a-z0-9.-]{0,61}[a-z0-9])?")
_LONGEST_SECONDS = 10 * 365 * 86_400


class Users:
    """The users of a cluster that its kubeconfig knows.

    Args:
        made: What they show.
        access: Who recognises it.
        clock: Of the cluster, by which certificates expire.
        publish: Writes the kubeconfig anew.
    """

    def __init__(
        self, made: Credentials, access: Access, clock: Clock, publish: Callable[[], None]
    ) -> None:
        self._made = made
        self._access = access
        self._clock = clock
        self._publish = publish
        self._known = {name: USERS[name] for name in made.tokens}
        self._groups = {name: made.groups_of(name) for name in made.certificates}

    def listing(self) -> list[Json]:
        """Tell every user: its context in the kubeconfig, its name, and what it shows."""
        told = [
            {"context": context(name), "user": user.name, "by": "token"}
            for name, user in self._known.items()
        ]
        told += [
            {"context": context(name), "user": user, "by": "certificate"}
            for name, (user, _) in self._groups.items()
        ]
        return told

    def add(self, arguments: Json) -> Json:
        """Add a user with `name`, `groups`, `certificate` and `seconds`; tell its context.

        Raises:
            ValueError: What was said makes no sense, or the name is taken.
        """
        name, groups = _name(arguments.get("name")), _groups(arguments.get("groups") or [])
        if name in self._made.tokens or name in self._made.certificates:
            raise ValueError(f"there is a user {name!r} already")
        good_for = _seconds(arguments.get("seconds"))
        if arguments.get("certificate"):
            self._groups[name] = (name, groups)
            self._certify(name, good_for)
        elif good_for is not None:
            raise ValueError("only a certificate ends by itself; say certificate, too")
        else:
            self._known[name] = User(name, (*groups, AUTHENTICATED), f"uid-{name}")
            self._give_token(name)
        self._publish()
        return {"context": context(name)}

    def rotate(self, arguments: Json) -> Json:
        """Give a user of that `name` new credentials; an old token is dead, a certificate not.

        Raises:
            ValueError: There is no such user.
        """
        name = _name(arguments.get("name"))
        if name in self._made.tokens:
            self._access.drop_token(self._made.tokens[name])
            self._give_token(name)
        elif name in self._groups:
            self._certify(name, _seconds(arguments.get("seconds")))
        else:
            known = ", ".join([*self._made.tokens, *self._groups])
            raise ValueError(f"no user {name!r}; known: {known}")
        self._publish()
        return {"context": context(name)}

    def _give_token(self, name: str) -> None:
        token = self._made.tokens[name] = new_token(name)
        self._access.add_token(token, self._known[name])

    def _certify(self, name: str, good_for: timedelta | None) -> None:
        user, groups = self._groups[name]
        issue, now = self._made.authority.issue, self._clock.now()
        pair = issue(user, groups, now=now, **({} if good_for is None else {"good_for": good_for}))
        self._made.certificates[name] = pair


def offer_users(control: Control, users: Users) -> None:
    """Offer `users.list`, `users.add` and `users.rotate`."""
    control.on("users.list", lambda _: users.listing())
    control.on("users.add", users.add)
    control.on("users.rotate", users.rotate)


def _name(given: object) -> str:
    if not isinstance(given, str) or not _NAME.fullmatch(given):
        raise ValueError(f"a user's name is of a-z, 0-9, '.' and '-', not {given!r}")
    return given


def _groups(given: object) -> tuple[str, ...]:
    if not isinstance(given, list) or not all(isinstance(each, str) and each for each in given):
        raise ValueError(f"groups must be a list of names, not {given!r}")
    return tuple(given)


def _seconds(given: object) -> timedelta | None:
    if given is None:
        return None
    number = isinstance(given, int | float) and not isinstance(given, bool)
    if not number or not -_LONGEST_SECONDS <= given <= _LONGEST_SECONDS:  # type: ignore[operator]
        raise ValueError(f"seconds must be a number, at most ten years, not {given!r}")
    return timedelta(seconds=given)  # type: ignore[arg-type]
