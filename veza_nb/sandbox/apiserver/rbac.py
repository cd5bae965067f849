"""Roles and bindings, evaluated from what is stored."""

from __future__ import annotations

from collections.abc import Iterator
from typing import Any, NamedTuple

from veza_nb.sandbox.apiserver.identities import Attributes, User, service_account_name
from veza_nb.sandbox.apiserver.store import Store

Json = dict[str, Any]
GROUP = "rbac.authorization.k8s.io"


class Grant(NamedTuple):
    """One rule that holds for a user, the binding that gives it and the subject it names."""

    rule: Json
    binding: Json
    subject: Json

    @property
    def reason(self) -> str:
        """Return why something is allowed, as reviews tell it."""
        metadata, reference = self.binding["metadata"], self.binding["roleRef"]
        namespace = metadata.get("namespace", "")
        kind = "RoleBinding" if namespace else "ClusterRoleBinding"
        name = f"{metadata['name']}/{namespace}" if namespace else metadata["name"]
        role = f'{reference["kind"]} "{reference["name"]}"'
        whom = _subject_shown(self.subject, namespace)
        return f'RBAC: allowed by {kind} "{name}" of {role} to {whom}'


def _subject_shown(subject: Json, namespace: str) -> str:
    name = subject["name"]
    if subject["kind"] == "ServiceAccount":
        name = f"{name}/{subject.get('namespace') or namespace}"
    return f'{subject["kind"]} "{name}"'


def grants(store: Store, user: User, namespace: str) -> Iterator[Grant]:
    """Yield what bindings give a user in a namespace ("" is the cluster)."""
    yield from _grants(store, user, "clusterrolebindings", "")
    if namespace:
        yield from _grants(store, user, "rolebindings", namespace)


def _grants(store: Store, user: User, plural: str, namespace: str) -> Iterator[Grant]:
    for binding in store.table(f"{plural}.{GROUP}").in_namespace(namespace):
        subject = next(
            (each for each in binding.get("subjects") or () if _is_meant(each, user, namespace)),
            None,
        )
        if subject is not None:
            for rule in role_rules(store, binding["roleRef"], namespace) or ():
                yield Grant(rule, binding, subject)


def role_rules(store: Store, reference: Json, namespace: str) -> list[Json] | None:
    """Return the rules of the role that a `roleRef` names; None when there is no such role."""
    plural = "clusterroles" if reference["kind"] == "ClusterRole" else "roles"
    space = "" if plural == "clusterroles" else namespace
    role = store.table(f"{plural}.{GROUP}").get(space, reference["name"])
    return None if role is None else role.get("rules") or []


def _is_meant(subject: Json, user: User, namespace: str) -> bool:
    kind, name = subject.get("kind"), subject.get("name")
    if kind == "User":
        return bool(name == user.name)
    if kind == "Group":
        return name in user.groups
    space = subject.get("namespace") or namespace
    return user.name == service_account_name(space, str(name))


def allows(rule: Json, asked: Attributes) -> bool:
    """Return whether a rule allows this."""
    if asked.path:
        return bool(rule.get("nonResourceURLs")) and _path_fits(rule, asked)
    return _resource_fits(rule, asked)


def _in(values: list[str] | None, wanted: str) -> bool:
    return bool(values) and ("*" in values or wanted in values)  # type: ignore[operator]


def _resource_fits(rule: Json, asked: Attributes) -> bool:
    names = rule.get("resourceNames")
    resources = rule.get("resources") or []
    below = f"*/{asked.subresource}" if asked.subresource else ""
    return (
        _in(rule.get("verbs"), asked.verb)
        and _in(rule.get("apiGroups"), asked.group)
        and (_in(resources, asked.full_resource) or below in resources)
        and (not names or asked.name in names)
    )


def _path_fits(rule: Json, asked: Attributes) -> bool:
    return _in(rule.get("verbs"), asked.verb) and any(
        url_fits(pattern, asked.path) for pattern in rule["nonResourceURLs"]
    )


def url_fits(pattern: str, path: str) -> bool:
    """Return whether a pattern of a rule is about a path, or about all that a pattern is about."""
    return path == pattern or (pattern.endswith("*") and path.startswith(pattern.rstrip("*")))
