"""Two pod templates as YAML, line by line: the whole of it, for whoever wants to see all.

Secrets are masked first, by the rules of everything else that is shown. A secret that differs
shows as two masked lines: that it changed is no secret.
"""

import re
from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass
from difflib import SequenceMatcher
from enum import StrEnum
from typing import Any

import yaml

from veza_nb.objects import PodTemplate
from veza_nb.podtemplates import comparable
from veza_nb.redact import Redactor
from veza_nb.words import count

CONTEXT = 3
"""Lines that stay and are shown around each that changes."""
_FIRST = ("apiVersion", "kind", "metadata", "spec", "name", "image", "command", "args", "key")
_LONGEST_LINE = 400
# Private-use characters around a number: they tell two masked values apart and are never shown.
_OPEN, _CLOSE = "\ue000", "\ue001"
_NUMBERED = re.compile(f"{_OPEN}\\d+{_CLOSE}")


class Sign(StrEnum):
    """What becomes of a line: stays, goes, comes, or is left out here."""

    SAME = " "
    MINUS = "-"
    PLUS = "+"
    GAP = "@"


@dataclass(frozen=True, slots=True)
class DiffLine:
    """One line.

    Attributes:
        sign: what becomes of it.
        text: the line of YAML, secrets masked; of a gap, how many lines were left out.
    """

    sign: Sign
    text: str


@dataclass(frozen=True, slots=True)
class YamlDiff:
    """The difference of two templates.

    Attributes:
        lines: in order; empty where they are the same.
    """

    lines: tuple[DiffLine, ...]

    @property
    def removed(self) -> int:
        """Lines that go."""
        return sum(line.sign is Sign.MINUS for line in self.lines)

    @property
    def added(self) -> int:
        """Lines that come."""
        return sum(line.sign is Sign.PLUS for line in self.lines)

    @property
    def counted(self) -> str:
        """`3 lines go, 1 line comes`."""
        goes, comes = (
            ("goes" if self.removed == 1 else "go"),
            ("comes" if self.added == 1 else "come"),
        )
        return f"{count(self.removed, 'line')} {goes}, {self.added} {comes}"


def yaml_diff(live: PodTemplate, target: PodTemplate, *, context: int = CONTEXT) -> YamlDiff:
    """What differs, as lines of YAML with some that stay around each.

    Args:
        live: as it is.
        target: as it would be.
        context: lines that stay around each change.
    """
    values: dict[str, int] = {}
    before, after = (_lines(comparable(one), values) for one in (live, target))
    if before == after:
        return YamlDiff(())
    matcher = SequenceMatcher(None, before, after, autojunk=False)
    return YamlDiff(tuple(_read(matcher, before, after, context)))


def to_yaml(template: PodTemplate) -> str:
    """The template as people read it: name and image first, the rest by name, secrets masked."""
    return "\n".join(_shown(line) for line in _lines(comparable(template), {}))


def _read(
    matcher: "SequenceMatcher[str]", before: Sequence[str], after: Sequence[str], context: int
) -> Iterator[DiffLine]:
    seen = 0
    for group in matcher.get_grouped_opcodes(context):
        start = group[0][1]
        if start > seen:
            yield _gap(start - seen)
        for kind, i, j, k, m in group:
            if kind == "equal":
                yield from (DiffLine(Sign.SAME, _shown(line)) for line in before[i:j])
                continue
            yield from (DiffLine(Sign.MINUS, _shown(line)) for line in before[i:j])
            yield from (DiffLine(Sign.PLUS, _shown(line)) for line in after[k:m])
        seen = group[-1][2]
    if seen < len(before):
        yield _gap(len(before) - seen)


def _gap(lines: int) -> DiffLine:
    return DiffLine(Sign.GAP, f"{count(lines, 'line')} the same")


def _lines(template: PodTemplate, values: dict[str, int]) -> list[str]:
    masked = _told_apart(template, Redactor().data(template), values)
    text = yaml.dump(
        _ordered(masked), Dumper=_Dumper, sort_keys=False, allow_unicode=True, width=_LONGEST_LINE
    )
    return str(text).splitlines()


def _told_apart(raw: Any, masked: Any, values: dict[str, int]) -> Any:
    """The masked data, every masked text numbered by what it hides."""
    if isinstance(raw, Mapping) and isinstance(masked, Mapping):
        return {str(key): _told_apart(inner, masked.get(key), values) for key, inner in raw.items()}
    if isinstance(raw, list) and isinstance(masked, list):
        return [_told_apart(a, b, values) for a, b in zip(raw, masked, strict=True)]
    if isinstance(raw, str) and isinstance(masked, str) and raw != masked:
        return f"{masked}{_OPEN}{values.setdefault(raw, len(values))}{_CLOSE}"
    return masked


def _shown(line: str) -> str:
    return _NUMBERED.sub("", line)


def _ordered(value: Any) -> Any:
    """Keys in an order that does not depend on who wrote them: what people look for first."""
    if isinstance(value, Mapping):
        return {key: _ordered(value[key]) for key in sorted(value, key=_place)}
    return [_ordered(inner) for inner in value] if isinstance(value, list) else value


def _place(key: str) -> tuple[int, str]:
    return (_FIRST.index(key) if key in _FIRST else len(_FIRST), key)


class _Dumper(yaml.SafeDumper):
    """Texts of several lines as blocks; no anchors, which no person wants to follow."""

    def ignore_aliases(self, data: Any) -> bool:  # noqa: ARG002 - the vendor's signature
        """Write everything out."""
        return True


def _text(dumper: yaml.SafeDumper, text: str) -> yaml.ScalarNode:
    style = "|" if "\n" in text else None
    return dumper.represent_scalar("tag:yaml.org,2002:str", text, style=style)


_Dumper.add_representer(str, _text)
