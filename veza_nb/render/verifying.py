"""The checklist: is the service back?"""

from veza_nb.checklist import Entry, Verification
from veza_nb.checks import Check
from veza_nb.render.lines import columns, wrapped
from veza_nb.render.marks import mark_of
from veza_nb.render.page import (
    Column,
    Html,
    Rendered,
    badge,
    card,
    details,
    html,
    prose,
    table,
    tag,
)
from veza_nb.vocabulary import Verdict

_TITLES = {
    Verdict.PASS: "The service is back",
    Verdict.FAIL: "The service is not back",
    Verdict.INCONCLUSIVE: "It cannot be told whether the service is back",
}
_ORDER = (Verdict.FAIL, Verdict.INCONCLUSIVE, Verdict.PASS)


def verification(result: Verification) -> Rendered:
    """The verdict in words, the runbook's nine lines, and beneath each the checks it rests on."""
    mark, title = mark_of(result.verdict), _TITLES[result.verdict]
    lead = _counted(result)
    lines = [f"{mark.symbol} {title}: {lead}"]
    for entry in result.entries:
        lines += _entry_lines(entry, _beneath(result, entry))
    rows = [_entry_row(entry, _beneath(result, entry)) for entry in result.entries]
    heads = [Column("Checklist"), Column("Verdict"), Column("Evidence")]
    return Rendered.of(lines, card(mark, title, table(heads, rows), lead=lead))


def _counted(result: Verification) -> str:
    if not result.checks:
        return "nothing was checked"
    numbers = [(v, sum(check.verdict is v for check in result.checks)) for v in _ORDER]
    said = ", ".join(f"{number} {verdict}" for verdict, number in numbers if number)
    return f"{len(result.checks)} checks: {said}"


def _beneath(result: Verification, entry: Entry) -> tuple[Check, ...]:
    """The entry's checks, what failed first."""
    found = [check for check in result.checks if check.name in entry.checks]
    return tuple(sorted(found, key=lambda check: _ORDER.index(check.verdict)))


def _entry_lines(entry: Entry, checks: tuple[Check, ...]) -> list[str]:
    mark = mark_of(entry.verdict)
    lines = [f"  {mark.symbol} {entry.number}. {entry.title}: {mark.word}"]
    lines += columns([_check_row(check) for check in checks], indent="       ")
    return lines + (wrapped(entry.by_hand, "       ") if entry.by_hand else [])


def _check_row(check: Check) -> tuple[str, str, str]:
    return mark_of(check.verdict).symbol, check.title, "; ".join(check.evidence)


def _entry_row(entry: Entry, checks: tuple[Check, ...]) -> tuple[str, str, str]:
    """What is wrong or open stands there; what passed is folded away."""
    title = tag("span", f"{entry.number}. {entry.title}")
    notable = [check for check in checks if check.verdict is not Verdict.PASS]
    passed = [check for check in checks if check.verdict is Verdict.PASS]
    said = [_told(check) for check in notable]
    if entry.by_hand:
        said.append(tag("div", prose(entry.by_hand)))
    if passed:
        word = "check passes" if len(passed) == 1 else "checks pass"
        said.append(details(f"{len(passed)} {word}", *(_told(check) for check in passed)))
    return title, badge(mark_of(entry.verdict)), html(*said)


def _told(check: Check) -> Html:
    head = tag("div", badge(mark_of(check.verdict), check.title))
    return tag("div", head, *(tag("div", prose(line)) for line in check.evidence))
