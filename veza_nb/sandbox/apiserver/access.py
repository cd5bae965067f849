"""Who may do what: users by token or certificate, and roles evaluated from what is stored."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, field
from datetime import datetime
from typing import Any, Protocol

from veza_nb.sandbox.apimachinery.status import ApiError, forbidden, unauthorized
from veza_nb.sandbox.apiserver import rbac
from veza_nb.sandbox.apiserver.identities import (
    ANONYMOUS,
    AUTHENTICATED,
    MASTERS,
    UNAUTHENTICATED,
    Attributes,
    Identity,
    User,
    system_user,
)
from veza_nb.sandbox.apiserver.impersonation import Wanted, wanted
from veza_nb.sandbox.apiserver.store import Store
from veza_nb.sandbox.apiserver.tokens import ServiceTokens

__all__ = [
    "ANONYMOUS",
    "AUTHENTICATED",
    "MASTERS",
    "UNAUTHENTICATED",
    "Access",
    "Attributes",
    "Authority",
    "Identity",
    "Rules",
    "User",
    "system_user",
]

Json = dict[str, Any]


class Authority(Protocol):
    """Knows the users of client certificates."""

    def user(self, certificate: bytes, now: datetime) -> User | None:
        """Return whose certificate (DER) that is; None when it is not good, or no longer."""
        ...


# What every known user may do in a cluster that has no roles of its own, as `auth can-i --list`
# shows it.
_REVIEWS: list[Json] = [
    {
        "verbs": ["create"],
        "apiGroups": ["authorization.k8s.io"],
        "resources": ["selfsubjectaccessreviews", "selfsubjectrulesreviews"],
    },
    {
        "verbs": ["create"],
        "apiGroups": ["authentication.k8s.io"],
        "resources": ["selfsubjectreviews"],
    },
]
_HEALTH = ["/healthz", "/livez", "/readyz", "/version", "/version/"]
_DISCOVERY = ["/api", "/api/*", "/apis", "/apis/*", "/healthz", "/livez", "/openapi"]
_DISCOVERY += ["/openapi/*", "/readyz", "/version", "/version/"]
_PATHS: list[Json] = [
    {"verbs": ["get"], "nonResourceURLs": _DISCOVERY},
    {"verbs": ["get"], "nonResourceURLs": ["/.well-known", "/.well-known/*"]},
    {"verbs": ["get"], "nonResourceURLs": _HEALTH},
]
_EVERYTHING: Json = {"verbs": ["*"], "apiGroups": ["*"], "resources": ["*"]}
_EVERY_PATH: Json = {"verbs": ["*"], "nonResourceURLs": ["*"]}
_MASTER_RULES = [_EVERYTHING, *_REVIEWS, _EVERY_PATH, *_PATHS]
_KNOWN_RULES = [*_REVIEWS, *_PATHS]
_ANYBODYS_RULES: list[Json] = [{"verbs": ["get"], "nonResourceURLs": _HEALTH}]


@dataclass(frozen=True, slots=True)
class Rules:
    """What one user may do in one namespace."""

    resources: list[Json] = field(default_factory=list)
    paths: list[Json] = field(default_factory=list)

    @classmethod
    def of(cls, rules: list[Json]) -> Rules:
        """Sort rules into those about resources and those about paths."""
        paths = [rule for rule in rules if rule.get("nonResourceURLs")]
        return cls([rule for rule in rules if not rule.get("nonResourceURLs")], paths)


class Access:
    """Authentication by certificate or bearer token, authorization by stored roles.

    Args:
        tokens: Token to user.
        authority: Knows the users of client certificates; without it they count for nothing.

    Attributes:
        service_tokens: The tokens of ServiceAccounts.
    """

    def __init__(
        self, tokens: Mapping[str, User] | None = None, authority: Authority | None = None
    ) -> None:
        self._tokens = dict(tokens or {})
        self._authority = authority
        self.service_tokens = ServiceTokens()

    def add_token(self, token: str, user: User) -> None:
        """Let a token stand for a user."""
        self._tokens[token] = user

    def drop_token(self, token: str) -> None:
        """Let a token stand for nobody from now on."""
        self._tokens.pop(token, None)

    def identify(
        self, store: Store, now: datetime, headers: Mapping[str, str], certificate: bytes = b""
    ) -> Identity:
        """Return whose rights a request has; impersonation is asked for by headers.

        Args:
            store: Where ServiceAccounts and roles are.
            now: The cluster's time.
            headers: Names in lower case; several values of one name are lines.
            certificate: Of the client, in DER; empty when it sent none.

        Raises:
            ApiError: 401 for credentials that are not good, 403 for who may not impersonate.
        """
        user = self._authenticate(store, now, headers, certificate)
        asked = wanted(headers)
        if asked is None:
            return Identity(user)
        return Identity(self._impersonated(store, user, asked), user)

    def _authenticate(
        self, store: Store, now: datetime, headers: Mapping[str, str], certificate: bytes
    ) -> User:
        refused = False
        if certificate and self._authority is not None:
            known = self._authority.user(certificate, now)
            if known is not None:
                return known
            refused = True
        token = _bearer(headers)
        if token:
            user = self.token_user(store, now, token)
            if user is not None:
                return user
            refused = True
        if refused:
            raise unauthorized()
        return ANONYMOUS

    def token_user(self, store: Store, now: datetime, token: str) -> User | None:
        """Return who a bearer token stands for, or None."""
        return self._tokens.get(token) or self.service_tokens.user(store, now, token)

    def _impersonated(self, store: Store, user: User, asked: Wanted) -> User:
        for need in asked.needs:
            self.check(store, user, need)
        return asked.user

    def rules(self, store: Store, user: User, namespace: str) -> Rules:
        """Return every rule that holds for a user in a namespace ("" is the cluster)."""
        bound = [grant.rule for grant in rbac.grants(store, user, namespace)]
        return Rules.of([*self._built_in(store, user), *bound])

    def allowed(self, store: Store, user: User, asked: Attributes) -> bool:
        """Return whether a user may do this."""
        return self.reason(store, user, asked) is not None

    def reason(self, store: Store, user: User, asked: Attributes) -> str | None:
        """Return why a user may do this ("" needs no reason), or None when they may not."""
        if user.unlimited:
            return ""
        if any(rbac.allows(rule, asked) for rule in self._built_in(store, user)):
            return ""
        found = rbac.grants(store, user, asked.namespace)
        return next((grant.reason for grant in found if rbac.allows(grant.rule, asked)), None)

    def _built_in(self, store: Store, user: User) -> list[Json]:
        """Return what holds without a binding."""
        if _has_own_roles(store):
            return []
        if user.unlimited:
            return _MASTER_RULES
        return _KNOWN_RULES if AUTHENTICATED in user.groups else _ANYBODYS_RULES

    def check(self, store: Store, user: User, asked: Attributes) -> None:
        """Refuse what a user may not do.

        Raises:
            ApiError: 403.
        """
        if not self.allowed(store, user, asked):
            raise _refusal(user, asked)


def _has_own_roles(store: Store) -> bool:
    """Whether the roles that a cluster begins with are stored."""
    return store.table(f"clusterroles.{rbac.GROUP}").get("", "cluster-admin") is not None


def _bearer(headers: Mapping[str, str]) -> str:
    scheme, _, token = headers.get("authorization", "").partition(" ")
    return token.strip() if scheme.lower() == "bearer" else ""


def _refusal(user: User, asked: Attributes) -> ApiError:
    headers = {"X-Content-Type-Options": "nosniff"}
    if asked.path:
        message = f'forbidden: User "{user.name}" cannot {asked.verb} path "{asked.path}"'
        return ApiError(403, "Forbidden", message, {}, headers=headers)
    scope = f'in the namespace "{asked.namespace}"' if asked.namespace else "at the cluster scope"
    why = f'User "{user.name}" cannot {asked.verb} resource "{asked.full_resource}" in API group '
    error = forbidden(asked.resource, asked.group, asked.name, f'{why}"{asked.group}" {scope}')
    error.headers = headers
    return error
