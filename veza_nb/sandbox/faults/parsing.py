"""Fault rules as people write them: read, checked, and told back; one set of names everywhere."""

from __future__ import annotations

import dataclasses
import math
from collections.abc import Callable, Mapping
from typing import Any

from veza_nb.sandbox.apimachinery import kinds
from veza_nb.sandbox.faults.rules import STATES, Fault, Kind, Rule, Selector

Json = dict[str, Any]
CODES = (429, 500, 502, 503, 504)
_READS = ("get", "list", "watch")
_WRITES = ("create", "update", "patch", "delete", "deletecollection")
# Verbs, and what stands for several of them; for paths that are no resources: methods.
VERBS: Mapping[str, tuple[str, ...]] = {
    **{verb: (verb,) for verb in (*_READS, *_WRITES, "post", "put", "head", "options")},
    "read": _READS,
    "write": _WRITES,
}
_DAY = 86_400.0
_LONGEST_TEXT = 1000
# What every fault may say, but for those of the whole server.
_COMMON = ("verbs", "resources", "namespace", "name", "user", "agent", "rate", "seed", "count")
_OWN: Mapping[Kind, tuple[str, ...]] = {
    Kind.ERROR: ("code", "retry_after", "message"),
    Kind.LATENCY: ("seconds",),
    Kind.HANG: (),
    Kind.RESET: (),
    Kind.LOSE_ANSWER: (),
    Kind.STORAGE_HANG: ("seconds",),
    Kind.DROP_WATCH: ("after", "events"),
    Kind.EXPIRE_WATCH: ("after", "events"),
    Kind.STALE: ("seconds", "versions", "every_read"),
    Kind.CLOCK_SKEW: ("seconds",),
    Kind.OUTAGE: (),
}


def parse(given: Mapping[str, object]) -> Rule:
    """Read a rule from the names of `Rule` and `Selector`; what is None counts as not said.

    Raises:
        ValueError: It makes no sense; the message says what and how it would.
    """
    said = {name: value for name, value in given.items() if value is not None}
    kind = _kind(said.pop("kind", None))
    allowed = (*_OWN[kind], "lasting", *(() if kind in STATES else _COMMON))
    for name in said:
        if name not in allowed:
            raise ValueError(f"{kind} has no {name!r}; it takes: {', '.join(sorted(allowed))}")
    values = {name: _READERS[name](name, value) for name, value in said.items()}
    parts = {name: values.pop(name) for name in _SELECTS if name in values}
    rule = Rule(kind, Selector(**parts), **values)
    _check(rule, said)
    return rule


def describe(fault: Fault, now: float) -> Json:
    """Tell a fault: its id, hits and seconds left, and whatever its rule says."""
    rule, plain = fault.rule, Rule(fault.rule.kind)
    told: Json = {"id": fault.id, "kind": str(rule.kind), "hits": fault.hits}
    for field in dataclasses.fields(Rule):
        value = getattr(rule, field.name)
        if field.name not in ("kind", "where") and value != getattr(plain, field.name):
            told[field.name] = value
    if rule.kind is Kind.ERROR:
        told["code"] = rule.code
    for name in _SELECTS:
        value = getattr(rule.where, name)
        if value:
            told[name] = list(value) if isinstance(value, tuple) else value
    left = fault.left(now)
    if left is not None:
        told["left"] = round(left, 3)
    if fault.over(now):
        told["over"] = True
    return told


_SELECTS = tuple(field.name for field in dataclasses.fields(Selector))


def _kind(given: object) -> Kind:
    try:
        return Kind(given)  # type: ignore[arg-type]
    except ValueError as error:
        known = ", ".join(Kind)
        raise ValueError(f"unknown kind of fault {given!r}; known: {known}") from error


def _check(rule: Rule, said: Mapping[str, object]) -> None:
    """Refuse what is right part by part and wrong as a whole."""
    if rule.kind is Kind.LATENCY and rule.seconds <= 0:
        raise ValueError("latency needs seconds above 0")
    if rule.kind is Kind.CLOCK_SKEW and rule.seconds == 0:
        raise ValueError("a clock skew needs seconds, above or below 0")
    if rule.kind is not Kind.CLOCK_SKEW and rule.seconds < 0:
        raise ValueError(f"seconds of {rule.kind} must not be below 0, not {rule.seconds:g}")
    if rule.kind is Kind.STALE and (rule.seconds > 0) == (rule.versions > 0):
        raise ValueError("stale reads need either seconds or versions: how old the answers are")
    if rule.kind is Kind.OUTAGE and rule.lasting is None:
        raise ValueError("an outage needs lasting: seconds after which the server is back")
    if "seed" in said and rule.rate >= 1:
        raise ValueError("a seed is for a rate below 1")


def _seconds(name: str, value: object) -> float:
    number = isinstance(value, int | float) and not isinstance(value, bool)
    if not number or value in (math.inf, -math.inf) or value != value:  # noqa: PLR0124 - no NaN
        raise ValueError(f"{name} must be a number of seconds, not {value!r}")
    assert isinstance(value, int | float)
    if abs(value) > 400 * _DAY:
        raise ValueError(f"{name} must be at most 400 days")
    return float(value)


def _duration(name: str, value: object) -> float:
    seconds = _seconds(name, value)
    if seconds <= 0:
        raise ValueError(f"{name} must be above 0, not {seconds:g}")
    return seconds


def _pause(name: str, value: object) -> float:
    seconds = _seconds(name, value)
    if seconds < 0:
        raise ValueError(f"{name} must not be below 0, not {seconds:g}")
    return seconds


def _rate(name: str, value: object) -> float:
    if isinstance(value, bool) or not isinstance(value, int | float) or not 0 < value <= 1:
        raise ValueError(f"{name} must be above 0 and at most 1, not {value!r}")
    return float(value)


def _whole(least: int | None) -> Callable[[str, object], int]:
    def read(name: str, value: object) -> int:
        if isinstance(value, bool) or not isinstance(value, int) or abs(value) > 2**53:
            raise ValueError(f"{name} must be a whole number, not {value!r}")
        if least is not None and value < least:
            raise ValueError(f"{name} must be at least {least}, not {value}")
        return value

    return read


def _code(name: str, value: object) -> int:
    if isinstance(value, bool) or value not in CODES:
        known = ", ".join(map(str, CODES))
        raise ValueError(f"{name} must be one of {known}, not {value!r}")
    return int(value)


def _text(name: str, value: object) -> str:
    if not isinstance(value, str) or len(value) > _LONGEST_TEXT or not value.isprintable():
        raise ValueError(f"{name} must be a printable text of at most {_LONGEST_TEXT} characters")
    return value


def _flag(name: str, value: object) -> bool:
    if value is True or value is False:
        return value
    raise ValueError(f"{name} must be true or false, not {value!r}")


def _texts(name: str, value: object) -> list[str]:
    """A list of texts, or one text with commas."""
    pieces = value.split(",") if isinstance(value, str) else value
    if not isinstance(pieces, list | tuple) or not pieces:
        raise ValueError(f"{name} must be a list of texts, not {value!r}")
    return [_text(name, each).strip() for each in pieces]


def _verbs(name: str, value: object) -> tuple[str, ...]:
    found: dict[str, None] = {}
    for verb in _texts(name, value):
        if verb not in VERBS:
            raise ValueError(f"unknown verb {verb!r}; known: {', '.join(VERBS)}")
        found.update(dict.fromkeys(VERBS[verb]))
    return tuple(found)


def _resources(name: str, value: object) -> tuple[str, ...]:
    return tuple(_resource(each) for each in _texts(name, value))


def _resource(text: str) -> str:
    """A resource as people name it ("deploy", "Deployment") by its plural; patterns as they are."""
    if text.startswith("/") or any(sign in text for sign in "*?["):
        return text
    whole, slash, below = text.partition("/")
    word, dot, group = whole.partition(".")
    for each in kinds.RESOURCES:
        names = (each.plural, each.singular, *each.short_names)
        if word.lower() in names and (not dot or group == each.group):
            return f"{each.plural}{dot}{group}{slash}{below}"
    raise ValueError(f"unknown resource {text!r}; such as deployments, pods/log, or a path like /*")


_READERS: Mapping[str, Callable[[str, object], Any]] = {
    "verbs": _verbs,
    "resources": _resources,
    **dict.fromkeys(("namespace", "name", "user", "agent", "message"), _text),
    "rate": _rate,
    "seed": _whole(None),
    "count": _whole(1),
    "lasting": _duration,
    "code": _code,
    "retry_after": _whole(0),
    "seconds": _seconds,
    "versions": _whole(1),
    "every_read": _flag,
    "after": _pause,
    "events": _whole(0),
}
