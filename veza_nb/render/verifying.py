"""The checklist: is the service back?"""

from veza_nb.checks import Check, Verification
from veza_nb.render.lines import columns
from veza_nb.render.marks import mark_of
from veza_nb.render.page import Column, Html, Rendered, badge, card, html, prose, table, tag
from veza_nb.vocabulary import Verdict

_TITLES = {
    Verdict.PASS: "The service is back",
    Verdict.FAIL: "The service is not back",
    Verdict.INCONCLUSIVE: "It cannot be told whether the service is back",
}


def verification(result: Verification) -> Rendered:
    """The verdict in words, then every check with its evidence, what failed first."""
    mark, title = mark_of(result.verdict), _TITLES[result.verdict]
    worst_first = sorted(result.checks, key=lambda check: _ORDER.index(check.verdict))
    lead = _counted(result)
    lines = [f"{mark.symbol} {title}: {lead}"]
    lines += columns([_check_row(check) for check in worst_first])
    rows = [(check.title, badge(mark_of(check.verdict)), _evidence(check)) for check in worst_first]
    heads = [Column("Check"), Column("Verdict"), Column("Evidence")]
    return Rendered.of(lines, card(mark, title, table(heads, rows), lead=lead))


_ORDER = (Verdict.FAIL, Verdict.INCONCLUSIVE, Verdict.PASS)


def _counted(result: Verification) -> str:
    if not result.checks:
        return "nothing was checked"
    numbers = [(v, sum(check.verdict is v for check in result.checks)) for v in _ORDER]
    said = ", ".join(f"{number} {verdict}" for verdict, number in numbers if number)
    return f"{len(result.checks)} checks: {said}"


def _check_row(check: Check) -> tuple[str, str, str]:
    mark = mark_of(check.verdict)
    return f"{mark.symbol} {mark.word}", check.title, "; ".join(check.evidence)


def _evidence(check: Check) -> Html:
    return html(*(tag("div", prose(line)) for line in check.evidence))
