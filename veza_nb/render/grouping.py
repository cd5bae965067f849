"""Several services on one page: a line each, and behind it what its own notebook would show."""

from collections.abc import Mapping, Sequence
from dataclasses import dataclass

from veza_nb.render.lines import bullets, columns, fact_lines, wrapped
from veza_nb.render.marks import Mark
from veza_nb.render.page import (
    Column,
    Html,
    Rendered,
    Showable,
    badge,
    card,
    details,
    facts,
    html,
    points,
    prose,
    table,
)


@dataclass(frozen=True, slots=True)
class Line:
    """One service on the page.

    Attributes:
        service: its name.
        mark: how it stands.
        words: what is to be said about it, one sentence.
        pages: what its own step showed.
    """

    service: str
    mark: Mark
    words: str
    pages: Sequence[Showable] = ()


def group_page(
    mark: Mark,
    title: str,
    lines: Sequence[Line],
    *,
    lead: str = "",
    about: Mapping[str, str] | None = None,
    todo: Sequence[str] = (),
    in_full: bool = False,
) -> Rendered:
    """Several services at one step.

    Args:
        mark: of the whole.
        title: the whole in words.
        lines: a line a service.
        lead: what matters most, one or two sentences.
        about: names and what they are.
        todo: what is to be done, in order.
        in_full: what each service showed is shown too; a notebook folds it away otherwise, a
            terminal leaves it out.
    """
    rows = [(one.service, f"{one.mark.symbol} {one.mark.word}", one.words) for one in lines]
    text = [
        f"{mark.symbol} {title}",
        *wrapped(lead, "  "),
        *fact_lines(about or {}),
        *columns(rows),
        *bullets(todo, ordered=True),
        *(_in_full(lines) if in_full else ()),
    ]
    heads = [Column("Service"), Column("State"), Column("What stands out")]
    cells = [(one.service, badge(one.mark), prose(one.words)) for one in lines]
    body = (
        facts(about) if about else Html(""),
        table(heads, cells),
        points([prose(one) for one in todo], ordered=True),
        *(details(one.service, *_pages(one.pages), open_=in_full) for one in lines),
    )
    return Rendered.of(text, card(mark, title, *body, lead=lead))


def _pages(pages: Sequence[Showable]) -> tuple[Html, ...]:
    return (html(*(Html(page.html) for page in pages)),) if pages else ()


def _in_full(lines: Sequence[Line]) -> list[str]:
    return [
        line
        for one in lines
        for page in one.pages
        for line in ("", f"── {one.service} ──", *page.text.splitlines())
    ]
