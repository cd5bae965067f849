"""The choke point through which everything passes that is written down or shown.

Only values are masked, never whole lines or outputs; what was masked is counted by rule.
Applying it twice changes nothing more.
"""

import base64
import json
import re
from collections import Counter
from collections.abc import Iterable, Mapping
from typing import Any
from urllib.parse import quote

from veza_nb.secretshapes import MASK, RULES, Rule, is_harmless, is_secret_name

__all__ = ["MASK", "Redactor", "is_secret_name", "redact_notebook"]

# Shorter strings would be found everywhere.
_SHORTEST_KNOWN = 5

_ENV_NAME = re.compile(r"[\s+-]*name:\s*[\"']?([\w.-]+)[\"']?\s*$")
_ENV_VALUE = re.compile(r"[\s+-]*value:\s+(?P<quote>[\"']?)(?P<secret>.+?)(?P=quote)\s*$")

_PEM_BEGIN = re.compile(r"-----BEGIN (?:[A-Z0-9]+ ){0,3}PRIVATE KEY-----")
_PEM_INLINE = re.compile(
    r"(?P<begin>-----BEGIN (?:[A-Z0-9]+ ){0,3}PRIVATE KEY-----)"
    r"(?P<body>(?:\\+[nr]|[ \t]?(?=[A-Za-z0-9+/=]{16})[A-Za-z0-9+/]+={0,2}"
    r"|[A-Za-z0-9+/]{1,15}={0,2}(?=\\+[nr]|-----END))+)"
)
# A line of a key: its base64 at the end, whatever a log writer put before it.
_PEM_LINE = re.compile(r"[A-Za-z0-9+/]{16,}={0,2}[\"',\\rn]*\s*$")
_PEM_LAST = re.compile(
    r"[\s\"'+|>-]*(?P<body>(?:[A-Za-z0-9+/]{4})*[A-Za-z0-9+/=]{4})[\"',\\rn]*\s*$"
)
_PEM_HEADER = re.compile(r"[\s\"'+|>-]*(?:Proc-Type|DEK-Info):|\s*$")

_SECRET_KIND = re.compile(
    r"^[ \t-]*kind:[ \t]*Secret[ \t]*$|[\"']kind\\?[\"']:\s*\\?[\"']Secret\\?[\"']", re.M
)
_SECRET_YAML = re.compile(
    r"^(?P<indent>[ \t]*)(?:data|stringData):[ \t]*\r?\n(?P<body>(?:(?P=indent)[ \t]+.*(?:\n|$))+)",
    re.M,
)
_SECRET_JSON = re.compile(r"\\?\"(?:data|stringData)\\?\":\s*\{(?P<body>[^{}]*)\}")
_YAML_ENTRY = re.compile(
    r"^(?P<key>[ \t]*[\w.-]+:[ \t]+)(?P<quote>[\"']?)(?P<secret>[^\s\"'|>].*?)(?P=quote)[ \t\r]*$",
    re.M,
)
_JSON_ENTRY = re.compile(r"(?P<key>\\?\"[\w.-]+\\?\":\s*\\?\")(?P<secret>[^\"\\]+)")

# An option that stands alone: its value is the next element of the list, or the next line.
_FLAG = re.compile(r"--?(?P<name>[A-Za-z][\w.-]*)")
_ITEM = re.compile(
    r"(?P<mark>[\s+-]*?(?:- |(?=[\"'])))(?P<quote>[\"']?)(?P<secret>\S.*?)(?P=quote),?\s*"
)

# In these objects one field names what another holds: env entries, changes of a template.
_NAMING = ("name", "key", "where")
_HOLDING = frozenset({"value", "before", "after", "old", "new", "default"})


class Redactor:
    """Masks secrets in text and in JSON, and counts them.

    Attributes:
        counts: how many values were masked so far, by rule.
    """

    def __init__(self, known_values: Iterable[str] = ()) -> None:
        """Take values known to be secret: they are masked wherever they stand.

        Their base64, URL-quoted and JSON-escaped spellings are masked too. Values shorter
        than five characters are left out: they would be found inside ordinary words.
        """
        self.counts: Counter[str] = Counter()
        self._known = tuple(known_values)
        self._spellings = _spellings(self._known)

    def fresh(self) -> "Redactor":
        """The same rules and known values with counts of its own."""
        return Redactor(self._known)

    def text(self, text: str) -> str:
        """Return the text with every secret value replaced by `[redacted]`."""
        for value in self._spellings:
            if value in text:
                self.counts["known"] += text.count(value)
                text = text.replace(value, MASK)
        if "Secret" in text and _SECRET_KIND.search(text):
            text = self._secret_objects(text)
        if "PRIVATE KEY" in text:
            text = self._private_keys(text)
        return self._lines(text)

    def data(self, value: Any) -> Any:
        """Return JSON data with secret values masked: by key name, by known value, by shape."""
        if isinstance(value, str):
            return self.text(value)
        if isinstance(value, Mapping):
            return self._mapping(value)
        if isinstance(value, list | tuple):
            return self._list(value)
        return value

    def _list(self, value: Iterable[Any]) -> list[Any]:
        """Elements one by one, but what follows `--db-password` is its value."""
        result, after_flag = [], False
        for inner in value:
            whole = after_flag and isinstance(inner, str) and not _FLAG.fullmatch(inner)
            result.append(self._masked(inner, "option") if whole else self.data(inner))
            after_flag = isinstance(inner, str) and _is_secret_flag(inner)
        return result

    def _mapping(self, value: Mapping[str, Any]) -> dict[str, Any]:
        named = any(is_secret_name(str(value[n])) for n in _NAMING if isinstance(value.get(n), str))
        secret = value.get("kind") == "Secret"
        result = {}
        for key, inner in value.items():
            whole = secret and key in ("data", "stringData")
            if whole or is_secret_name(key) or (named and key in _HOLDING):
                result[key] = self._masked(inner, "secret-object" if whole else "key-name")
            else:
                result[key] = self.data(inner)
        return result

    def _masked(self, value: Any, rule: str) -> Any:
        """Mask strings, also in a list; objects under a secret's name are only looked into."""
        if isinstance(value, str):
            return value if is_harmless(value) else self._count(rule)
        if isinstance(value, list | tuple):
            return [self._masked(inner, rule) for inner in value]
        if isinstance(value, Mapping) and rule == "secret-object":
            return {key: self._masked(inner, rule) for key, inner in value.items()}
        return self.data(value)

    def _count(self, rule: str) -> str:
        self.counts[rule] += 1
        return MASK

    def _lines(self, text: str) -> str:
        low_text = text.lower()
        hinted = [(rule, tuple(h for h in rule.hints if h in low_text)) for rule in RULES]
        active = [(rule, hints) for rule, hints in hinted if hints]
        if not active:
            return text
        lines = text.split("\n")
        for index, low in enumerate(low_text.split("\n")):
            for rule, hints in active:
                if rule.may_apply(low, hints):
                    lines[index] = self._apply(rule, lines[index])
            if "name:" in low and index + 1 < len(lines):
                env = _ENV_NAME.match(lines[index])
                if env and is_secret_name(env[1]):
                    lines[index + 1] = self._env_value(lines[index + 1])
            if "-" in low and index + 1 < len(lines):
                lines[index + 1] = self._next_item(lines[index], lines[index + 1])
        return "\n".join(lines)

    def _next_item(self, line: str, following: str) -> str:
        """Mask what follows `- --db-password` in a list of YAML or JSON with an item a line."""
        flag, value = _ITEM.fullmatch(line), _ITEM.fullmatch(following)
        if flag is None or value is None or not _is_secret_flag(flag["secret"]):
            return following
        if value["mark"] != flag["mark"] or _FLAG.fullmatch(value["secret"]):
            return following
        start, end = value.span("secret")
        return f"{following[:start]}{self._masked(value['secret'], 'option')}{following[end:]}"

    def _apply(self, rule: Rule, line: str) -> str:
        parts, done, position = [], 0, 0
        while match := rule.pattern.search(line, position):
            span = rule.secret(match)
            # Look again right behind a name that held nothing: its value may hold the next one.
            position = max(span[1] if span else match.start() + 1, match.start() + 1)
            if span:
                parts += [line[done : span[0]], self._count(rule.name)]
                done = span[1]
        return "".join((*parts, line[done:])) if parts else line

    def _env_value(self, line: str) -> str:
        match = _ENV_VALUE.match(line)
        if match is None or is_harmless(match["secret"]):
            return line
        return (
            line[: match.start("secret")] + self._count("environment") + line[match.end("secret") :]
        )

    def _secret_objects(self, text: str) -> str:
        """Mask the data of Secret objects in YAML or JSON text."""
        documents = re.split(r"(?m)^(---.*\n)", text)
        for index, document in enumerate(documents):
            if _SECRET_KIND.search(document):
                changed = _SECRET_YAML.sub(lambda m: self._entries(_YAML_ENTRY, m), document)
                documents[index] = _SECRET_JSON.sub(
                    lambda m: self._entries(_JSON_ENTRY, m), changed
                )
        return "".join(documents)

    def _entries(self, entry: re.Pattern[str], block: re.Match[str]) -> str:
        def mask(match: re.Match[str]) -> str:
            if is_harmless(match["secret"]):
                return match.group()
            before = match.start("secret") - match.start()
            return (
                match.group()[:before]
                + self._count("secret-object")
                + match.group()[before + len(match["secret"]) :]
            )

        start = block.start("body") - block.start()
        return (
            block.group()[:start]
            + entry.sub(mask, block["body"])
            + block.group()[start + len(block["body"]) :]
        )

    def _private_keys(self, text: str) -> str:
        """Mask the bodies of private keys; an unclosed one ends where its base64 ends."""
        text = _PEM_INLINE.sub(lambda m: m["begin"] + self._count("private-key"), text)
        result: list[str] = []
        inside = masked = False
        for line in text.split("\n"):
            if inside and (kept := self._key_line(line, first=not masked)) is not None:
                masked = masked or MASK in kept
                result.extend([kept] if kept or not line.strip() else [])
                continue
            begin = _PEM_BEGIN.search(line)
            inside, masked = (
                bool(begin) and "-----END" not in line[begin.end() if begin else 0 :],
                False,
            )
            result.append(line)
        return "\n".join(result)

    def _key_line(self, line: str, *, first: bool) -> str | None:
        """What is left of a line inside a key: "" nothing; None where the key has ended."""
        if (body := _PEM_LINE.search(line)) or (body := _PEM_LAST.fullmatch(line)):
            start = body.start("body") if "body" in body.re.groupindex else body.start()
            return line[:start] + self._count("private-key") if first else ""
        return line if first and _PEM_HEADER.match(line) else None


def _is_secret_flag(text: str) -> bool:
    flag = _FLAG.fullmatch(text)
    return flag is not None and is_secret_name(flag["name"])


def _spellings(known: Iterable[str]) -> tuple[str, ...]:
    """Every way a known value may be written, longest first."""
    found: set[str] = set()
    for value in known:
        raw = value.encode("utf-8", "surrogatepass")
        coded = base64.b64encode(raw).decode("ascii")
        found |= {value, coded, quote(value, safe=""), json.dumps(value)[1:-1]}
    usable = {v for v in found if len(v) >= _SHORTEST_KNOWN and v not in MASK}
    return tuple(sorted(usable, key=lambda v: (-len(v), v)))


def redact_notebook(notebook: Any, redactor: Redactor) -> Any:
    """Return a notebook (as JSON data) with sources, outputs, tracebacks and metadata redacted.

    Lists of lines are looked at as one text, as a secret may span lines.
    """
    if isinstance(notebook, Mapping):
        return {key: _notebook_field(key, value, redactor) for key, value in notebook.items()}
    if isinstance(notebook, list):
        return [redact_notebook(inner, redactor) for inner in notebook]
    return redactor.data(notebook)


def _notebook_field(key: str, value: Any, redactor: Redactor) -> Any:
    lines = isinstance(value, list) and bool(value) and all(isinstance(v, str) for v in value)
    if lines and key == "traceback":
        return redactor.text("\n".join(value)).split("\n")
    if lines:
        return redactor.text("".join(value)).splitlines(keepends=True)
    if isinstance(value, str) and is_secret_name(key):
        return redactor.data({key: value})[key]
    return redact_notebook(value, redactor)
