"""Names, labels, annotations and selectors."""

from __future__ import annotations

import re
from collections.abc import Iterator
from typing import Any

from veza_nb.sandbox.apimachinery import selectors
from veza_nb.sandbox.apimachinery.kinds import Resource
from veza_nb.sandbox.apimachinery.status import Cause
from veza_nb.sandbox.apiserver.validation.causes import bad, required

Json = dict[str, Any]

_SUBDOMAIN = re.compile(r"[a-z0-9]([-a-z0-9]*[a-z0-9])?(\.[a-z0-9]([-a-z0-9]*[a-z0-9])?)*")


LABEL = re.compile(r"[a-z0-9]([-a-z0-9]*[a-z0-9])?")


_SERVICE = re.compile(r"[a-z]([-a-z0-9]*[a-z0-9])?")


_SUBDOMAIN_RULE = (
    "a lowercase RFC 1123 subdomain must consist of lower case alphanumeric characters, '-' or "
    "'.', and must start and end with an alphanumeric character (e.g. 'example.com', regex used "
    "for validation is '[a-z0-9]([-a-z0-9]*[a-z0-9])?(\\.[a-z0-9]([-a-z0-9]*[a-z0-9])?)*')"
)


LABEL_RULE = (
    "a lowercase RFC 1123 label must consist of lower case alphanumeric characters or '-', and "
    "must start and end with an alphanumeric character (e.g. 'my-name',  or '123-abc', regex used "
    "for validation is '[a-z0-9]([-a-z0-9]*[a-z0-9])?')"
)


_SERVICE_RULE = (
    "a DNS-1035 label must consist of lower case alphanumeric characters or '-', start with an "
    "alphabetic character, and end with an alphanumeric character (e.g. 'my-name',  or 'abc-123', "
    "regex used for validation is '[a-z]([-a-z0-9]*[a-z0-9])?')"
)


_PATH_NAMED = frozenset(("Role", "RoleBinding", "ClusterRole", "ClusterRoleBinding"))


def metadata(resource: Resource, metadata: Json) -> Iterator[Cause]:
    """Yield what is wrong with the metadata of a new object."""
    name = metadata.get("name", "")
    if not name:
        yield required("metadata.name", "name or generateName is required")
    else:
        yield from _name(resource, name)
    yield from metadata_parts(metadata)


def _name(resource: Resource, name: str) -> Iterator[Cause]:
    if resource.kind in _PATH_NAMED:
        if "/" in name or "%" in name or name in (".", ".."):
            yield bad("metadata.name", name, "may not contain '/'")
        return
    pattern, rule, limit = _SUBDOMAIN, _SUBDOMAIN_RULE, 253
    if resource.kind == "Namespace":
        pattern, rule, limit = LABEL, LABEL_RULE, 63
    elif resource.kind == "Service":
        pattern, rule, limit = _SERVICE, _SERVICE_RULE, 63
    if not pattern.fullmatch(name):
        yield bad("metadata.name", name, rule)
    if len(name) > limit:
        yield bad("metadata.name", name, f"must be no more than {limit} bytes")


def metadata_parts(metadata: Json) -> Iterator[Cause]:
    """Yield what is wrong with labels and annotations."""
    yield from labels("metadata.labels", metadata.get("labels"))
    for key in metadata.get("annotations") or ():
        if not selectors.valid_label_key(key):
            yield bad(
                "metadata.annotations",
                key,
                "name part must consist of alphanumeric characters, "
                "'-', '_' or '.', and must start and end with an alphanumeric character "
                "(e.g. 'MyName',  or 'my.name',  or '123-abc', regex used for validation is "
                "'([A-Za-z0-9][-A-Za-z0-9_.]*)?[A-Za-z0-9]')",
            )
    size = sum(len(key) + len(value) for key, value in (metadata.get("annotations") or {}).items())
    if size > 256 * 1024:
        yield Cause(
            "FieldValueTooLong",
            "Too long: may not be more than 262144 bytes",
            "metadata.annotations",
        )


def labels(field: str, given: Json | None) -> Iterator[Cause]:
    """Yield what is wrong with a map of labels."""
    for key, value in (given or {}).items():
        if not selectors.valid_label_key(key):
            yield bad(field, key, selectors.LABEL_NAME_RULE)
        if not selectors.valid_label_value(value):
            yield bad(field, value, selectors.LABEL_VALUE_RULE)


def label_selector(field: str, chosen: Json) -> Iterator[Cause]:
    """Yield what is wrong with a `selector` object."""
    yield from labels(f"{field}.matchLabels", chosen.get("matchLabels"))
    for number, entry in enumerate(chosen.get("matchExpressions") or ()):
        where, values = f"{field}.matchExpressions[{number}]", entry.get("values")
        if entry["operator"] in ("In", "NotIn"):
            if not values:
                yield required(
                    f"{where}.values", "must be specified when `operator` is 'In' or 'NotIn'"
                )
        elif entry["operator"] in ("Exists", "DoesNotExist"):
            if values:
                yield Cause(
                    "FieldValueForbidden",
                    "Forbidden: may not be specified when `operator` is 'Exists' or 'DoesNotExist'",
                    f"{where}.values",
                )
        else:
            yield bad(f"{where}.operator", entry["operator"], "not a valid selector operator")
        if not selectors.valid_label_key(entry["key"]):
            yield bad(f"{where}.key", entry["key"], selectors.LABEL_NAME_RULE)
