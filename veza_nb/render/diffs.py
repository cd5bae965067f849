"""What differs between two pod templates: as people read it, and as YAML line by line."""

from collections.abc import Sequence

from veza_nb.podtemplates import Change
from veza_nb.redact import Redactor
from veza_nb.render.lines import wrapped
from veza_nb.render.marks import Mark
from veza_nb.render.page import Html, Rendered, card, details, heading, html, tag
from veza_nb.words import count
from veza_nb.yamldiff import DiffLine, Sign, YamlDiff

_CLASSES = {Sign.SAME: "v-same", Sign.MINUS: "v-minus", Sign.PLUS: "v-plus", Sign.GAP: "v-where"}
_SPOKEN = {Sign.MINUS: "goes: ", Sign.PLUS: "comes: "}


def template_difference(
    changes: Sequence[Change], whole: YamlDiff, *, before: str, after: str
) -> Rendered:
    """Two templates side by side: what differs in words first, the YAML behind it.

    Args:
        changes: as people read them.
        whole: line by line.
        before: what the first is called, such as "revision 4".
        after: what the second is called.
    """
    mark = Mark("≠", "", "info") if whole.lines else Mark("=", "", "calm")
    title = f"From {before} to {after}"
    lead = f"{count(len(changes), 'change')}: {whole.counted}." if whole.lines else "No difference."
    shown = [masked(change) for change in changes]
    lines = [
        f"{mark.symbol} {title}",
        f"  {lead}",
        *change_lines(shown),
        *yaml_lines(whole, before=before, after=after),
    ]
    folded = yaml_details(whole) if whole.lines else html()
    return Rendered.of(lines, card(mark, title, change_list(shown), folded, lead=lead))


def yaml_difference(whole: YamlDiff, *, before: str, after: str) -> Rendered:
    """The YAML alone, line by line."""
    lines = yaml_lines(whole, before=before, after=after)
    body = html(heading(f"From {before} to {after}"), yaml_list(whole))
    return Rendered.of(lines, card(Mark("≠", "", "info"), "The templates as YAML", body))


def masked(change: Change) -> Change:
    """The change without the value of a variable whose name says that it is secret."""
    plain = {"where": change.where, "before": change.before, "after": change.after}
    return Change(**Redactor().data(plain))


def change_list(changes: Sequence[Change]) -> Html:
    """Where, what goes, what comes."""
    rows = []
    for change in changes:
        rows.append(tag("div", change.where, class_="v-where"))
        if change.before:
            rows.append(tag("div", f"- {change.before}", class_="v-minus"))
        if change.after:
            rows.append(tag("div", f"+ {change.after}", class_="v-plus"))
    return _frame(rows, "Differences of the template") if rows else html()


def change_lines(changes: Sequence[Change]) -> list[str]:
    """The same for a terminal."""
    lines: list[str] = []
    for change in changes:
        lines += wrapped(change.where, "  ")
        lines += wrapped(change.before, "      ", "    - ") if change.before else []
        lines += wrapped(change.after, "      ", "    + ") if change.after else []
    return lines


def yaml_details(whole: YamlDiff) -> Html:
    """The YAML, folded away."""
    return details(f"The templates as YAML: {whole.counted}", yaml_list(whole))


def yaml_list(whole: YamlDiff) -> Html:
    """Line by line; a screen reader hears what goes and what comes."""
    return _frame([_line(one) for one in whole.lines], "Differences of the templates as YAML")


def yaml_lines(whole: YamlDiff, *, before: str, after: str) -> list[str]:
    """The same for a terminal, as `diff -u` writes it; lines of YAML are never broken."""
    if not whole.lines:
        return []
    gap = "\N{HORIZONTAL ELLIPSIS}"
    body = [
        f"{gap} {one.text}" if one.sign is Sign.GAP else f"{one.sign}{one.text}"
        for one in whole.lines
    ]
    return ["", f"--- {before}", f"+++ {after}", *body]


def _line(one: DiffLine) -> Html:
    spoken = tag("span", _SPOKEN[one.sign], class_="v-spoken") if one.sign in _SPOKEN else html()
    sign = "\N{HORIZONTAL ELLIPSIS}" if one.sign is Sign.GAP else str(one.sign)
    shown = tag("span", f"{sign} ", aria_hidden="true")
    return tag("div", spoken, shown, one.text, class_=_CLASSES[one.sign])


def _frame(rows: Sequence[Html], label: str) -> Html:
    return tag("div", *rows, class_="v-diff", role="group", aria_label=label)
