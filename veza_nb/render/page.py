"""What every picture of a result is built from: one style sheet, safe HTML, and `Rendered`.

A result is looked at by a tired person, in a light or a dark JupyterLab, in a saved page, on
paper, or read out by a screen reader. So: colours come from JupyterLab's variables where they
exist, are told apart by people who see red and green alike, and are never the only sign.
"""

import re
from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass
from enum import StrEnum
from functools import cache
from html import escape
from importlib import resources
from typing import Protocol, Self

from veza_nb.redact import Redactor
from veza_nb.render.marks import Mark, mark_of


class Showable(Protocol):
    """Anything with a text and an HTML face."""

    @property
    def text(self) -> str:
        """For terminals."""

    @property
    def html(self) -> str:
        """For notebooks and reports."""


@dataclass(frozen=True, slots=True)
class Rendered:
    """A result in its two faces.

    Attributes:
        text: plain, for a terminal of 100 columns.
        html: self-contained, for a notebook or a report.
    """

    text: str
    html: str

    def __str__(self) -> str:
        """The plain face."""
        return self.text

    def _repr_html_(self) -> str:
        return self.html

    def _repr_mimebundle_(self, include: object = None, exclude: object = None) -> dict[str, str]:
        """Both faces; whoever shows it takes the richest it can."""
        del include, exclude
        return {"text/plain": self.text, "text/html": self.html}

    @classmethod
    def of(cls, lines: Iterable[str], *parts: "str | Html") -> Self:
        """A result from its lines of text and its parts of HTML, both redacted."""
        text = "\n".join(line.rstrip() for line in lines)
        return cls(Redactor().text(text), _sheet() + html(*parts))


class Html(str):
    """Text that is HTML already; any other string is escaped where it becomes part of HTML."""

    __slots__ = ()


def html(*children: str) -> Html:
    """The children one after the other: plain strings redacted and escaped."""
    return Html("".join(_part(child) for child in children))


def _part(child: str) -> str:
    return child if isinstance(child, Html) else escape(Redactor().text(child))


def tag(name: str, *children: str, **attributes: str) -> Html:
    """One element; `class_` is the class, and `_` in an attribute's name stands for `-`."""
    words = ((key.rstrip("_").replace("_", "-"), value) for key, value in attributes.items())
    head = "".join(f' {key}="{escape(value)}"' for key, value in words if value)
    return Html(f"<{name}{head}>{html(*children)}</{name}>")


def badge(mark: Mark, word: str = "") -> Html:
    """A state as symbol, word and colour."""
    symbol = tag("span", mark.symbol, aria_hidden="true")
    return tag("span", symbol, " ", word or mark.word, class_=f"v-badge v-{mark.tone}")


def marked(state: StrEnum, *words: str) -> Html:
    """A state beside what is said about it."""
    return tag("div", tag("div", badge(mark_of(state))), tag("div", *words), class_="v-marked")


def note(words: str) -> Html:
    """One sentence in passing: no verdict, no frame to speak of."""
    return tag("section", prose(words), class_="veza v-note v-edge-calm")


def card(mark: Mark, title: str, *body: str, lead: str = "") -> Html:
    """The frame of every result: the verdict large and in words, then what matters."""
    symbol = tag("span", mark.symbol, class_=f"v-sign v-{mark.tone}", aria_hidden="true")
    words = tag("div", title, class_="v-title", role="heading", aria_level="3")
    under = tag("div", lead, class_="v-lead") if lead else Html("")
    head = tag("div", symbol, tag("div", words, under), class_="v-head")
    return tag("section", head, *body, class_=f"veza v-edge-{mark.tone}", aria_label=title)


def details(summary: str, *body: str, open_: bool = False) -> Html:
    """Something for those who want to know more; nothing where there is nothing inside."""
    inside = html(*body)
    if not inside:
        return inside
    head = "<details open>" if open_ else "<details>"
    return Html(f"{head}{tag('summary', summary)}{inside}</details>")


def points(items: Sequence[str], *, ordered: bool = False) -> Html:
    """A list; nothing where it is empty."""
    if not items:
        return Html("")
    return tag("ol" if ordered else "ul", *(tag("li", item) for item in items))


def prose(words: str) -> Html:
    """A sentence in which `commands` between backquotes are set as code."""
    parts = words.split("`")
    if len(parts) % 2 == 0:
        return html(words)
    return html(*(tag("code", part) if index % 2 else part for index, part in enumerate(parts)))


def facts(about: Mapping[str, str]) -> Html:
    """Names and what they are, one a line."""
    pairs = (html(tag("dt", name), tag("dd", what)) for name, what in about.items())
    return tag("dl", *pairs, class_="v-facts")


def heading(words: str) -> Html:
    """A small heading inside a card."""
    return tag("div", words, class_="v-heading", role="heading", aria_level="4")


def command(words: str) -> Html:
    """A command that does the same by hand."""
    return tag("pre", tag("code", words), class_="v-command")


@dataclass(frozen=True, slots=True)
class Column:
    """A column of a table: its heading, and whether it holds numbers."""

    title: str
    number: bool = False


def table(
    columns: Sequence[Column], rows: Sequence[Sequence[str]], classes: Sequence[str] = ()
) -> Html:
    """A table whose first column names its rows; `classes` holds one class a row."""
    if not rows:
        return Html("")
    head = tag("tr", *(_cell("th", column, column.title, scope="col") for column in columns))
    body = []
    for index, row in enumerate(rows):
        first, *rest = zip(columns, row, strict=True)
        cells = [_cell("th", *first, scope="row"), *(_cell("td", *cell) for cell in rest)]
        body.append(tag("tr", *cells, class_=classes[index] if classes else ""))
    whole = tag("table", tag("thead", head), tag("tbody", *body))
    return tag(
        "div", whole, class_="v-scroll", tabindex="0", role="region", aria_label=columns[0].title
    )


def _cell(name: str, column: Column, content: str, scope: str = "") -> Html:
    return tag(name, content, class_="v-number" if column.number else "", scope=scope)


@cache
def _sheet() -> Html:
    """The style sheet; every output carries it, as each may be saved without the others."""
    text = resources.files("veza_nb").joinpath("templates", "results.css").read_text("utf-8")
    rules = re.sub(r"/\*.*?\*/", "", text, flags=re.DOTALL)
    return Html(f"<style>{' '.join(rules.split())}</style>")
