"""The matrix of kubectl's commands and minors: what each must say, and the table in the docs.

`tests/data/kubectl-matrix.yaml` is the one source: the tests run it, `python -m
tests.sandbox.matrix` writes its table into the docs, and a test holds the two together.
"""

from __future__ import annotations

import itertools
import os
import re
import shutil
import subprocess
from collections.abc import Iterator, Mapping
from dataclasses import dataclass, field, replace
from pathlib import Path
from typing import Any

import yaml

from tests.sandbox.transcripts import Said, normalised

DATA = Path(__file__).parents[1] / "data" / "kubectl-matrix.yaml"
DOCS = Path(__file__).parents[2] / "docs" / "training-cluster.md"
BEGIN, END = "<!-- kubectl matrix: begin -->\n", "<!-- kubectl matrix: end -->\n"
ANY = "…"
"""In an expectation: any text within a line; alone in a line: any lines, or none."""
_SECONDS = 60


@dataclass(frozen=True)
class Difference:
    """How some minors answer otherwise: up to one, from one on, or both; and why."""

    said: Mapping[str, Any]
    why: str
    up_to: int = 99
    since: int = 0


@dataclass(frozen=True)
class Step:
    """One command and what it must say.

    Attributes:
        run: as typed after `kubectl`; `$(…)` is replaced by the first line of that command.
        code, out, err: what is expected.
        until: kubectl is interrupted as soon as its output has this text.
        tty: give it a terminal; both outputs are then one.
        context: whose; the administrator's when left out.
        waits: other commands that are run before, their output is not looked at.
        eventually: repeat it until it says what is expected, for a minute.
        differs: minors that answer otherwise.
    """

    run: str
    code: int = 0
    out: str = ""
    err: str = ""
    until: str = ""
    tty: bool = False
    context: str = ""
    waits: tuple[str, ...] = ()
    eventually: bool = False
    differs: tuple[Difference, ...] = ()

    def difference(self, minor: int) -> Difference | None:
        """How that minor differs from the others, if it does."""
        return next((each for each in self.differs if each.since <= minor <= each.up_to), None)

    def expected(self, minor: int) -> Said:
        """What that minor must say."""
        found = self.difference(minor)
        step = self if found is None else replace(self, **found.said)
        return Said(step.code, step.out, step.err)


@dataclass(frozen=True)
class Section:
    """Steps that belong together, one after the other."""

    title: str
    steps: tuple[Step, ...]
    exclusive: bool = False


@dataclass(frozen=True)
class Matrix:
    """The whole: which minors it was written for, and what they are asked."""

    minors: tuple[int, ...]
    sections: tuple[Section, ...] = field(default_factory=tuple)


def load() -> Matrix:
    """Read the data."""
    data = yaml.safe_load(DATA.read_text("utf-8"))
    sections = (
        Section(each["title"], tuple(map(_step, each["steps"])), each.get("exclusive", False))
        for each in data["sections"]
    )
    return Matrix(tuple(data["minors"]), tuple(sections))


def _step(given: dict[str, Any]) -> Step:
    differs = tuple(_difference(each) for each in given.pop("differs", ()))
    return Step(**{**given, "waits": tuple(given.pop("waits", ())), "differs": differs})


def _difference(given: dict[str, Any]) -> Difference:
    bounds = {name: given.pop(name) for name in ("up_to", "since", "why") if name in given}
    return Difference(said=given, **bounds)


def found_minors(wanted: tuple[int, ...]) -> dict[int, Path]:
    """The kubectl programs of this machine by their minor, of those that are wanted.

    Besides `kubectl` on the PATH, programs such as `kubectl.1.30` there or beside it.
    """
    home = shutil.which("kubectl")
    places = [Path(each) for each in os.environ.get("PATH", "").split(os.pathsep) if each]
    places += [Path(home).resolve().parent] if home else []
    found = {}
    for minor, place in itertools.product(wanted, places):
        program = place / f"kubectl.1.{minor}"
        if minor not in found and program.is_file():
            found[minor] = program
    if home and not found:
        found[_client_minor(home)] = Path(home)
    return {minor: program for minor, program in found.items() if minor in wanted}


def _client_minor(program: str) -> int:
    asked = [program, "version", "--client", "--output=yaml"]
    told = subprocess.run(asked, capture_output=True, text=True, check=True, timeout=_SECONDS)
    return int(re.sub(r"\D", "", yaml.safe_load(told.stdout)["clientVersion"]["minor"]))


# -- comparing -------------------------------------------------------------------------------------

_WITH_THE_MOMENT = [
    (r"\x1b\[[\d;]*m", ""),
    (r"\r\n", "\n"),
    (r"kubectl\.1\.\d\d", "kubectl"),
    (r"\b(?:\d+[dhms])+\b", "AGE"),
    (r"[ \t]+", " "),
    (r" ?\n", "\n"),
]


def plain(text: str) -> str:
    """A text without what depends on the moment, on widths, and on the name of the program."""
    text = normalised(Said(0, text, "")).out
    for pattern, word in _WITH_THE_MOMENT:
        text = re.sub(pattern, word, text)
    return text.strip()


def agrees(expected: str, said: str) -> bool:
    """Whether a text is what was expected."""
    pieces = []
    for line in plain(expected).split("\n"):
        if line == ANY:
            pieces.append(r"(?:.*\n)*?")
        else:
            pieces.append(".*".join(map(re.escape, line.split(ANY))) + r"\n")
    return re.fullmatch("".join(pieces), plain(said) + "\n") is not None


# -- the table -------------------------------------------------------------------------------------


def table(matrix: Matrix) -> str:
    """The table for the docs, in Markdown, with its notes."""
    notes: list[str] = []
    lines = ["| `kubectl …` | " + " | ".join(f"1.{minor}" for minor in matrix.minors) + " |"]
    lines.append("|---" * (len(matrix.minors) + 1) + "|")
    for section in matrix.sections:
        lines.append(f"| **{section.title}** |" + " |" * len(matrix.minors))
        lines.extend(_row(step, matrix.minors, notes) for step in section.steps)
    numbered = (f"{number}. {note}" for number, note in enumerate(notes, start=1))
    return "\n".join([*lines, "", *numbered]) + "\n"


def _row(step: Step, minors: tuple[int, ...], notes: list[str]) -> str:
    cells = []
    for minor in minors:
        found = step.difference(minor)
        if found is None:
            cells.append("✓")
            continue
        if found.why not in notes:
            notes.append(found.why)
        cells.append(f"({notes.index(found.why) + 1})")
    command = step.run.replace("|", "\\|")
    who = f" (as {step.context})" if step.context else ""
    return f"| `{command}`{who} | " + " | ".join(cells) + " |"


def documented() -> str:
    """The table as the docs have it."""
    text = DOCS.read_text("utf-8")
    return text.partition(BEGIN)[2].partition(END)[0]


def write() -> None:
    """Put the table into the docs."""
    text = DOCS.read_text("utf-8")
    head, _, rest = text.partition(BEGIN)
    DOCS.write_text(head + BEGIN + table(load()) + END + rest.partition(END)[2], "utf-8")


def every_step(matrix: Matrix) -> Iterator[Step]:
    """All steps, in order."""
    return (step for section in matrix.sections for step in section.steps)


if __name__ == "__main__":
    write()
