"""Nobody gives rights that they do not have: the check on writing roles and bindings."""

from __future__ import annotations

import itertools
import json
from collections.abc import Iterable, Iterator
from typing import Any

from veza_nb.sandbox.apimachinery import status
from veza_nb.sandbox.apiserver import rbac
from veza_nb.sandbox.apiserver.access import Access, Attributes, User
from veza_nb.sandbox.apiserver.store import Store

Json = dict[str, Any]
_ROLES = {"Role": "roles", "ClusterRole": "clusterroles"}
_BINDINGS = ("RoleBinding", "ClusterRoleBinding")
_PARTS = (
    ("apiGroups", "APIGroups"),
    ("resources", "Resources"),
    ("nonResourceURLs", "NonResourceURLs"),
    ("resourceNames", "ResourceNames"),
    ("verbs", "Verbs"),
)


def check(access: Access, store: Store, user: User, old: Json | None, new: Json) -> None:
    """Refuse a role or a binding that would give what its writer does not have.

    Args:
        access: Knows what the writer has.
        store: Where the roles are.
        user: The writer.
        old: The object before, None for a new one.
        new: The object; kinds that give no rights pass.

    Raises:
        ApiError: 403; 404 for a binding to a role that is not there.
    """
    kind = new["kind"]
    if user.unlimited or (kind not in _ROLES and kind not in _BINDINGS):
        return
    plural = _ROLES.get(kind, f"{kind.lower()}s")
    metadata = new["metadata"]
    namespace, name = metadata.get("namespace", ""), metadata["name"]
    if kind in _ROLES:
        if old is not None and (old.get("rules") or []) == (new.get("rules") or []):
            return
        rules = new.get("rules") or []
        need = Attributes("escalate", rbac.GROUP, plural, namespace=namespace, name=name)
    else:
        if old is not None and _gives(old) == _gives(new):
            return
        reference = new["roleRef"]
        rules, role = _bound_rules(store, reference, namespace), _ROLES[reference["kind"]]
        need = Attributes("bind", rbac.GROUP, role, namespace=namespace, name=reference["name"])
    if access.allowed(store, user, need):
        return
    held = access.rules(store, user, namespace)
    missing = _uncovered(rules, [*held.resources, *held.paths])
    if missing:
        groups = " ".join(map(json.dumps, user.groups))
        why = f'user "{user.name}" (groups=[{groups}]) is attempting to grant RBAC permissions not '
        why += "currently held:\n" + "\n".join(sorted(map(_shown, _compacted(missing))))
        raise status.forbidden(plural, rbac.GROUP, name, why)


def _gives(binding: Json) -> tuple[object, object]:
    return binding.get("roleRef"), binding.get("subjects") or []


def _bound_rules(store: Store, reference: Json, namespace: str) -> list[Json]:
    rules = rbac.role_rules(store, reference, namespace)
    if rules is None:
        raise status.not_found(_ROLES[reference["kind"]], rbac.GROUP, reference["name"])
    return rules


def _uncovered(rules: Iterable[Json], held: list[Json]) -> list[Json]:
    pieces = (piece for rule in rules for piece in _pieces(rule))
    return [piece for piece in pieces if not any(_covers(each, piece) for each in held)]


def _pieces(rule: Json) -> Iterator[Json]:
    """Yield the single permissions of a rule: one verb on one resource or path."""
    verbs = rule.get("verbs") or ()
    groups, resources = rule.get("apiGroups") or (), rule.get("resources") or ()
    for group, resource, verb in itertools.product(groups, resources, verbs):
        piece = {"apiGroups": [group], "resources": [resource], "verbs": [verb]}
        names = rule.get("resourceNames") or ()
        yield from [{**piece, "resourceNames": [name]} for name in names] or [piece]
    for path, verb in itertools.product(rule.get("nonResourceURLs") or (), verbs):
        yield {"nonResourceURLs": [path], "verbs": [verb]}


def _covers(held: Json, piece: Json) -> bool:
    """Return whether a rule contains a single permission."""
    if not _has(held, "verbs", piece):
        return False
    if "nonResourceURLs" in piece:
        (path,) = piece["nonResourceURLs"]
        return any(rbac.url_fits(each, path) for each in held.get("nonResourceURLs") or ())
    names = held.get("resourceNames")
    wanted = piece.get("resourceNames")
    return (
        _has(held, "apiGroups", piece)
        and _has_resource(held, piece["resources"][0])
        and (not names or (wanted is not None and wanted[0] in names))
    )


def _has(held: Json, part: str, piece: Json) -> bool:
    values = held.get(part) or ()
    return "*" in values or piece[part][0] in values


def _has_resource(held: Json, resource: str) -> bool:
    values = held.get("resources") or ()
    below = f"*/{resource.partition('/')[2]}" if "/" in resource else ""
    return "*" in values or resource in values or below in values


def _compacted(pieces: Iterable[Json]) -> list[Json]:
    """Join permissions that differ only in their verb."""
    joined: dict[str, Json] = {}
    for piece in pieces:
        rest = {part: value for part, value in piece.items() if part != "verbs"}
        key = json.dumps(rest, sort_keys=True)
        whole = joined.setdefault(key, {**rest, "verbs": []})
        whole["verbs"].extend(verb for verb in piece["verbs"] if verb not in whole["verbs"])
    return list(joined.values())


def _shown(rule: Json) -> str:
    parts = (
        f"{title}:[{' '.join(map(json.dumps, rule[part]))}]"
        for part, title in _PARTS
        if rule.get(part)
    )
    return "{" + ", ".join(parts) + "}"
