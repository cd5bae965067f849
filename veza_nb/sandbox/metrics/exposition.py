"""Prometheus' text format: families of samples in, lines out.

Written here and not through a client library, because the families of a large cluster are rendered
piece by piece, so that nobody else waits while they are.
"""

from __future__ import annotations

from collections.abc import Iterable, Iterator, Mapping
from dataclasses import dataclass
from typing import NamedTuple

CONTENT_TYPE = "text/plain; version=0.0.4; charset=utf-8"
_ESCAPES = str.maketrans({"\\": "\\\\", '"': '\\"', "\n": "\\n"})


class Sample(NamedTuple):
    """One value: its labels, and what the name of its family is followed by, such as "_bucket"."""

    value: float
    labels: Mapping[str, str]
    suffix: str = ""


@dataclass(frozen=True, slots=True)
class Family:
    """All samples of one name.

    Attributes:
        name: such as "http_requests_total".
        kind: "counter", "gauge" or "histogram".
        help: one line for people.
        samples: read once, when the family is rendered.
    """

    name: str
    kind: str
    help: str
    samples: Iterable[Sample]


def lines(families: Iterable[Family]) -> Iterator[str]:
    """Yield the text line by line, each with its line break."""
    for family in families:
        yield f"# HELP {family.name} {family.help}\n# TYPE {family.name} {family.kind}\n"
        for sample in family.samples:
            name = family.name + sample.suffix
            yield f"{name}{_labels(sample.labels)} {number(sample.value)}\n"


def text(families: Iterable[Family]) -> str:
    """The whole text at once."""
    return "".join(lines(families))


def number(value: float) -> str:
    """A value as the format spells it: whole numbers without a fraction."""
    return str(int(value)) if value == int(value) else repr(float(value))


def _labels(labels: Mapping[str, str]) -> str:
    if not labels:
        return ""
    pairs = [f'{name}="{_escaped(value)}"' for name, value in labels.items()]
    return f"{{{','.join(pairs)}}}"


def _escaped(value: str) -> str:
    # Hardly any value needs it, and there are many.
    if '"' in value or "\\" in value or "\n" in value:
        return value.translate(_ESCAPES)
    return value
