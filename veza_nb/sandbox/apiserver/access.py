"""Who may do what: users by token, and roles evaluated from what is stored."""

from __future__ import annotations

from collections.abc import Iterator, Mapping
from dataclasses import dataclass, field
from typing import Any

from veza_nb.sandbox.apimachinery.status import ApiError, forbidden, unauthorized
from veza_nb.sandbox.apiserver.store import Store

Json = dict[str, Any]
MASTERS = "system:masters"
AUTHENTICATED = "system:authenticated"
UNAUTHENTICATED = "system:unauthenticated"


@dataclass(frozen=True, slots=True)
class User:
    """Somebody who asks."""

    name: str
    groups: tuple[str, ...] = (AUTHENTICATED,)
    uid: str = ""

    @property
    def unlimited(self) -> bool:
        """Whether no role is needed: administrators and the control plane itself."""
        return MASTERS in self.groups


ANONYMOUS = User("system:anonymous", (UNAUTHENTICATED,))


def system_user(name: str) -> User:
    """Return an in-process user of the control plane."""
    return User(name, (MASTERS, AUTHENTICATED))


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


# What every known user may do without a binding, as `auth can-i --list` shows it.
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


@dataclass(frozen=True, slots=True)
class Rules:
    """What one user may do in one namespace."""

    resources: list[Json] = field(default_factory=list)
    paths: list[Json] = field(default_factory=list)


class Access:
    """Authentication by bearer token, authorization by stored roles.

    Args:
        tokens: Token to user.
    """

    def __init__(self, tokens: Mapping[str, User] | None = None) -> None:
        self._tokens = dict(tokens or {})

    def add_token(self, token: str, user: User) -> None:
        """Let a token stand for a user."""
        self._tokens[token] = user

    def authenticate(self, headers: Mapping[str, str]) -> User:
        """Return who sent these headers; nobody's token means the anonymous user.

        Raises:
            ApiError: 401 for a token that is not known.
        """
        scheme, _, token = headers.get("authorization", "").partition(" ")
        if scheme.lower() != "bearer" or not token.strip():
            return ANONYMOUS
        user = self._tokens.get(token.strip())
        if user is None:
            raise unauthorized()
        return user

    def rules(self, store: Store, user: User, namespace: str) -> Rules:
        """Return every rule that holds for a user in a namespace ("" is the cluster)."""
        if user.unlimited:
            return Rules([_EVERYTHING, *_REVIEWS], [_EVERY_PATH, *_PATHS])
        if AUTHENTICATED in user.groups:
            found = Rules(list(_REVIEWS), list(_PATHS))
        else:
            found = Rules([], [{"verbs": ["get"], "nonResourceURLs": _HEALTH}])
        for rule in _bound_rules(store, user, namespace):
            (found.paths if rule.get("nonResourceURLs") else found.resources).append(rule)
        return found

    def allowed(self, store: Store, user: User, asked: Attributes) -> bool:
        """Return whether a user may do this."""
        if user.unlimited:
            return True
        rules = self.rules(store, user, asked.namespace)
        if asked.path:
            return any(_path_fits(rule, asked) for rule in rules.paths)
        return any(_resource_fits(rule, asked) for rule in rules.resources)

    def check(self, store: Store, user: User, asked: Attributes) -> None:
        """Refuse what a user may not do.

        Raises:
            ApiError: 403.
        """
        if not self.allowed(store, user, asked):
            raise _refusal(user, asked)


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


def _bound_rules(store: Store, user: User, namespace: str) -> Iterator[Json]:
    for space, plural in (("", "clusterrolebindings"), (namespace, "rolebindings")):
        if plural == "rolebindings" and not namespace:
            continue
        for binding in _all(store, plural, space):
            if any(_is_subject(subject, user, space) for subject in binding.get("subjects") or ()):
                yield from _role_rules(store, binding["roleRef"], space)


def _all(store: Store, plural: str, namespace: str) -> Iterator[Json]:
    table = store.table(f"{plural}.rbac.authorization.k8s.io")
    yield from table.in_namespace(namespace)


def _role_rules(store: Store, reference: Json, namespace: str) -> list[Json]:
    plural = "clusterroles" if reference["kind"] == "ClusterRole" else "roles"
    space = "" if plural == "clusterroles" else namespace
    role = store.table(f"{plural}.rbac.authorization.k8s.io").get(space, reference["name"])
    return (role or {}).get("rules") or []


def _is_subject(subject: Json, user: User, namespace: str) -> bool:
    kind, name = subject.get("kind"), subject.get("name")
    if kind == "User":
        return bool(name == user.name)
    if kind == "Group":
        return name in user.groups
    space = subject.get("namespace") or namespace
    return user.name == f"system:serviceaccount:{space}:{name}"


def _in(values: list[str] | None, wanted: str) -> bool:
    return bool(values) and ("*" in values or wanted in values)  # type: ignore[operator]


def _resource_fits(rule: Json, asked: Attributes) -> bool:
    names = rule.get("resourceNames")
    resources = rule.get("resources") or []
    return (
        _in(rule.get("verbs"), asked.verb)
        and _in(rule.get("apiGroups"), asked.group)
        and (_in(resources, asked.full_resource) or f"*/{asked.subresource}" in resources)
        and (not names or asked.name in names)
    )


def _path_fits(rule: Json, asked: Attributes) -> bool:
    return _in(rule.get("verbs"), asked.verb) and any(
        asked.path == pattern or (pattern.endswith("*") and asked.path.startswith(pattern[:-1]))
        for pattern in rule["nonResourceURLs"]
    )
