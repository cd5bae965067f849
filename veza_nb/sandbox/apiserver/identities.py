"""Who asks, and what for: the two sides of every decision about access."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, field

MASTERS = "system:masters"
AUTHENTICATED = "system:authenticated"
UNAUTHENTICATED = "system:unauthenticated"
SERVICE_ACCOUNTS = "system:serviceaccounts"
_SERVICE_ACCOUNT = "system:serviceaccount:"
CREDENTIAL_ID = "authentication.kubernetes.io/credential-id"


@dataclass(frozen=True, slots=True)
class User:
    """Somebody who asks."""

    name: str
    groups: tuple[str, ...] = (AUTHENTICATED,)
    uid: str = ""
    extra: Mapping[str, tuple[str, ...]] = field(default_factory=dict)

    @property
    def unlimited(self) -> bool:
        """Whether no role is needed: administrators and the control plane itself."""
        return MASTERS in self.groups


ANONYMOUS = User("system:anonymous", (UNAUTHENTICATED,))


def system_user(name: str) -> User:
    """Return an in-process user of the control plane."""
    return User(name, (MASTERS, AUTHENTICATED))


@dataclass(frozen=True, slots=True)
class Identity:
    """Whose rights a request has, and who really sent it when that is another one."""

    user: User
    impersonator: User | None = None


@dataclass(frozen=True, slots=True)
class Attributes:
    """What is asked for: a verb on a resource, or on a path."""

    verb: str
    group: str = ""
    resource: str = ""
    subresource: str = ""
    namespace: str = ""
    name: str = ""
    path: str = ""

    @property
    def full_resource(self) -> str:
        """Return "deployments/scale", or the plain resource."""
        return f"{self.resource}/{self.subresource}" if self.subresource else self.resource


def service_account_name(namespace: str, name: str) -> str:
    """Return the user name of a ServiceAccount."""
    return f"{_SERVICE_ACCOUNT}{namespace}:{name}"


def service_account_groups(namespace: str) -> tuple[str, ...]:
    """Return the groups of every ServiceAccount of a namespace."""
    return (SERVICE_ACCOUNTS, f"{SERVICE_ACCOUNTS}:{namespace}", AUTHENTICATED)


def as_service_account(user: str) -> tuple[str, str] | None:
    """Return namespace and name of the ServiceAccount that a user name means, or None."""
    namespace, colon, name = user.removeprefix(_SERVICE_ACCOUNT).partition(":")
    if not user.startswith(_SERVICE_ACCOUNT) or not colon or not namespace or not name:
        return None
    return None if ":" in name else (namespace, name)
