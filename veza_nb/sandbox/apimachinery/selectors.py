"""Label and field selectors: parsing as the server does, and matching."""

from __future__ import annotations

import re
from collections.abc import Callable, Iterator, Mapping, Sequence
from dataclasses import dataclass
from typing import Any

from veza_nb.sandbox.apimachinery.status import ApiError, bad_request

_TOKEN = re.compile(r"\s*(==|=|!=|!|,|\(|\)|>|<|[^\s=!,()<>]+)")
_SYMBOLS = frozenset(("==", "=", "!=", "!", ",", "(", ")", ">", "<"))
_OPERATORS = ("in", "notin", "=", "==", "!=", "gt", "lt")
_NAME = re.compile(r"[A-Za-z0-9]([-A-Za-z0-9_.]*[A-Za-z0-9])?")
_PREFIX = re.compile(r"[a-z0-9]([-a-z0-9]*[a-z0-9])?(\.[a-z0-9]([-a-z0-9]*[a-z0-9])?)*")
LABEL_VALUE_RULE = (
    "a valid label must be an empty string or consist of alphanumeric characters, '-', '_' or '.', "
    "and must start and end with an alphanumeric character (e.g. 'MyValue',  or 'my_value',  or "
    "'12345', regex used for validation is '(([A-Za-z0-9][-A-Za-z0-9_.]*)?[A-Za-z0-9])?')"
)
LABEL_NAME_RULE = (
    "name part must consist of alphanumeric characters, '-', '_' or '.', and must start and end "
    "with an alphanumeric character (e.g. 'MyName',  or 'my.name',  or '123-abc', regex used for "
    "validation is '([A-Za-z0-9][-A-Za-z0-9_.]*)?[A-Za-z0-9]')"
)


@dataclass(frozen=True, slots=True)
class Requirement:
    """One condition on one label: key, operator, values."""

    key: str
    operator: str
    values: tuple[str, ...] = ()

    def matches(self, labels: Mapping[str, str]) -> bool:
        """Return whether the labels fulfil this condition."""
        if self.operator == "in":
            return labels.get(self.key) in self.values
        return _TESTS[self.operator](labels.get(self.key), self.values)


def _compare(value: str | None, bound: str, *, greater: bool) -> bool:
    try:
        number, limit = int(value or "x"), int(bound)
    except ValueError:
        return False
    return number > limit if greater else number < limit


_TESTS: dict[str, Callable[[str | None, tuple[str, ...]], bool]] = {
    "in": lambda value, values: value in values,
    "notin": lambda value, values: value not in values,
    "exists": lambda value, _: value is not None,
    "!": lambda value, _: value is None,
    "gt": lambda value, values: _compare(value, values[0], greater=True),
    "lt": lambda value, values: _compare(value, values[0], greater=False),
}


@dataclass(frozen=True, slots=True)
class LabelSelector:
    """A conjunction of conditions; without any it matches everything."""

    requirements: tuple[Requirement, ...] = ()

    def matches(self, labels: Mapping[str, str] | None) -> bool:
        """Return whether the labels fulfil every condition."""
        given = labels or {}
        # A plain loop: asked of every object in every list and of every change in every watch.
        for requirement in self.requirements:  # noqa: SIM110
            if not requirement.matches(given):
                return False
        return True

    def equalities(self) -> Iterator[tuple[str, str]]:
        """Yield each (key, value) that every match must carry, for a look into an index."""
        for requirement in self.requirements:
            if requirement.operator == "in" and len(requirement.values) == 1:
                yield requirement.key, requirement.values[0]


def label_selector(text: str) -> LabelSelector:
    """Parse the `labelSelector` of a request.

    Raises:
        ApiError: 400 with the server's words.
    """
    return LabelSelector(tuple(_Parser(text).requirements()))


def from_object(selector: Mapping[str, Any] | None) -> LabelSelector:
    """Return the selector that a `spec.selector` object means; None and `{}` match everything."""
    given = selector or {}
    found = [
        Requirement(key, "in", (value,)) for key, value in (given.get("matchLabels") or {}).items()
    ]
    operators = {"In": "in", "NotIn": "notin", "Exists": "exists", "DoesNotExist": "!"}
    for entry in given.get("matchExpressions") or ():
        values = tuple(entry.get("values") or ())
        found.append(Requirement(entry["key"], operators[entry["operator"]], values))
    return LabelSelector(tuple(found))


def format_object(selector: Mapping[str, Any] | None) -> str:
    """Return a `spec.selector` object as text, such as "app=web,tier in (a,b)"."""
    given = selector or {}
    parts = [(key, f"{key}={value}") for key, value in (given.get("matchLabels") or {}).items()]
    for entry in given.get("matchExpressions") or ():
        key, values = entry["key"], ",".join(sorted(entry.get("values") or ()))
        text = {
            "In": f"{key} in ({values})",
            "NotIn": f"{key} notin ({values})",
            "Exists": key,
            "DoesNotExist": f"!{key}",
        }[entry["operator"]]
        parts.append((key, text))
    return ",".join(text for _, text in sorted(parts))


class _Parser:
    """Reads a selector token by token; "" is the end."""

    def __init__(self, text: str) -> None:
        self._tokens = _TOKEN.findall(text)
        self._at = 0

    def requirements(self) -> list[Requirement]:
        found: list[Requirement] = []
        while self._peek():
            if self._peek() != "!" and self._peek() in _SYMBOLS:
                raise self._unexpected("!, identifier, or 'end of string'")
            found.append(self._requirement())
            if not self._peek():
                break
            if self._next() != ",":
                self._at -= 1
                raise self._unexpected("',' or 'end of string'")
            if self._peek() != "!" and (not self._peek() or self._peek() in _SYMBOLS):
                raise self._unexpected("identifier after ','")
        return found

    def _peek(self) -> str:
        return self._tokens[self._at] if self._at < len(self._tokens) else ""

    def _next(self) -> str:
        token = self._peek()
        self._at += 1
        return token

    def _unexpected(self, expected: str) -> ApiError:
        return bad_request(f"found '{self._peek()}', expected: {expected}")

    def _requirement(self) -> Requirement:
        absent = self._peek() == "!"
        if absent:
            self._next()
        if not self._peek() or self._peek() in _SYMBOLS:
            raise self._unexpected("identifier")
        key = self._next()
        check_label_key(key)
        if absent:
            return Requirement(key, "!")
        if self._peek() in ("", ","):
            return Requirement(key, "exists")
        operator = self._operator()
        values = self._values() if operator in ("in", "notin") else (self._exact_value(),)
        kind = {"=": "in", "==": "in", "!=": "notin", ">": "gt", "<": "lt"}.get(operator, operator)
        return _checked(Requirement(key, kind, values))

    def _operator(self) -> str:
        if self._peek() not in ("=", "==", "!=", ">", "<", "in", "notin"):
            raise self._unexpected(", ".join(_OPERATORS))
        return self._next()

    def _exact_value(self) -> str:
        if self._peek() in ("", ","):
            return ""
        if self._peek() in _SYMBOLS:
            raise self._unexpected("identifier")
        return self._next()

    def _values(self) -> tuple[str, ...]:
        if self._peek() != "(":
            raise bad_request(f"found '{self._peek()}' expected: '('")
        self._next()
        values: list[str] = []
        while True:
            if self._peek() in (",", ")"):
                values.append("")
            elif not self._peek() or self._peek() in _SYMBOLS:
                raise self._unexpected("',', ')' or identifier")
            else:
                values.append(self._next())
            token = self._next()
            if token == ")":
                return tuple(dict.fromkeys(values))
            if token != ",":
                self._at -= 1
                raise self._unexpected("',' or ')'")


def check_label_key(key: str) -> None:
    """Refuse what cannot be a label's key, with the server's words (400)."""
    prefix, _, name = key.rpartition("/")
    if not _NAME.fullmatch(name) or len(name) > 63:
        raise bad_request(
            f'unable to parse requirement: <nil>: Invalid value: "{key}": {LABEL_NAME_RULE}'
        )
    if prefix and not _PREFIX.fullmatch(prefix):
        why = "prefix part a lowercase RFC 1123 subdomain must consist of lower case characters"
        raise bad_request(f'unable to parse requirement: <nil>: Invalid value: "{key}": {why}')


def valid_label_value(value: str) -> bool:
    """Return whether a text can be the value of a label."""
    return not value or (len(value) <= 63 and _NAME.fullmatch(value) is not None)


def valid_label_key(key: str) -> bool:
    """Return whether a text can be the key of a label or an annotation."""
    try:
        check_label_key(key)
    except ApiError:
        return False
    return True


def _checked(requirement: Requirement) -> Requirement:
    for number, value in enumerate(requirement.values):
        if not valid_label_value(value):
            where = f"values[{number}][{requirement.key}]"
            shown = f'{where}: Invalid value: "{value}"'
            raise bad_request(f"unable to parse requirement: {shown}: {LABEL_VALUE_RULE}")
    return requirement


@dataclass(frozen=True, slots=True)
class FieldRequirement:
    """One condition on one field: equal, or not equal."""

    field: str
    equal: bool
    value: str


def field_selector(text: str) -> list[FieldRequirement]:
    """Parse the `fieldSelector` of a request.

    Raises:
        ApiError: 400 with the server's words.
    """
    found = []
    for part in re.split(r"(?<!\\),", text):
        if not part:
            continue
        pair = re.match(r"([^=!]*)(!=|==|=)(.*)", part)
        if pair is None:
            raise bad_request(f"invalid selector: '{text}'; can't understand '{part}'")
        value = re.sub(r"\\([,=\\])", r"\1", pair[3])
        found.append(FieldRequirement(pair[1], pair[2] != "!=", value))
    return found


# What a field selector may name, by kind: "metadata.name" always, and these.
FIELDS: dict[str, tuple[str, ...]] = {
    "Pod": (
        "spec.nodeName",
        "spec.restartPolicy",
        "spec.schedulerName",
        "spec.serviceAccountName",
        "spec.hostNetwork",
        "status.phase",
        "status.podIP",
        "status.podIPs",
        "status.nominatedNodeName",
    ),
    "Event": (
        "involvedObject.kind",
        "involvedObject.namespace",
        "involvedObject.name",
        "involvedObject.uid",
        "involvedObject.apiVersion",
        "involvedObject.resourceVersion",
        "involvedObject.fieldPath",
        "reason",
        "reportingComponent",
        "source",
        "type",
    ),
    "Node": ("spec.unschedulable",),
    "Namespace": ("status.phase",),
    "ReplicaSet": ("status.replicas",),
    "Job": ("status.successful",),
    "Secret": ("type",),
    "Service": ("spec.clusterIP", "spec.type"),
}


# What the Events of events.k8s.io are selected by, and the fields that these are in core/v1.
_EVENT_FIELDS = {
    "reason": "reason",
    "reportingController": "reportingComponent",
    "type": "type",
    **{
        name.replace("involvedObject", "regarding"): name
        for name in FIELDS["Event"]
        if name.startswith("involvedObject.")
    },
}


def stored_fields(group: str, requirements: list[FieldRequirement]) -> list[FieldRequirement]:
    """Return requirements as they read for stored objects; of events.k8s.io they are renamed.

    Raises:
        ApiError: 400 for a field that this group's Events cannot be selected by.
    """
    if group != "events.k8s.io":
        return requirements
    found = []
    for each in requirements:
        name = each.field if each.field.startswith("metadata.") else _EVENT_FIELDS.get(each.field)
        if name is None:
            raise bad_request(f"field label not supported: {each.field}")
        found.append(FieldRequirement(name, each.equal, each.value))
    return found


def check_fields(kind: str, requirements: Sequence[FieldRequirement]) -> None:
    """Refuse fields that the kind cannot be selected by (400)."""
    more = FIELDS.get(kind, ())
    for requirement in requirements:
        if requirement.field in ("metadata.name", "metadata.namespace", *more):
            continue
        if more:
            raise bad_request(f"field label not supported: {requirement.field}")
        offered = 'only "metadata.name", "metadata.namespace"'
        raise bad_request(f'"{requirement.field}" is not a known field selector: {offered}')


def field_value(document: Mapping[str, Any], path: str) -> str:
    """Return the value of a selectable field as text; empty when it is not set."""
    if path == "source":
        return str((document.get("source") or {}).get("component") or "")
    if path == "status.successful":
        path = "status.succeeded"
    value: Any = document
    for part in path.split("."):
        value = value.get(part) if isinstance(value, Mapping) else None
    if value is None:
        defaults = {"spec.unschedulable": "false", "spec.hostNetwork": "false"}
        return defaults.get(path, "0" if path in ("status.replicas", "status.succeeded") else "")
    return str(value).lower() if isinstance(value, bool) else str(value)


def fields_match(document: Mapping[str, Any], requirements: Sequence[FieldRequirement]) -> bool:
    """Return whether an object fulfils every condition on its fields."""
    return all(
        (field_value(document, requirement.field) == requirement.value) == requirement.equal
        for requirement in requirements
    )
