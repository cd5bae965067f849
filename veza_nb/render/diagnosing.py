"""What is wrong, and whether going back is the cure."""

from collections.abc import Sequence
from datetime import datetime

from veza_nb.evidence import Evidence, Finding
from veza_nb.findings import Diagnosis
from veza_nb.render.ages import age, moment
from veza_nb.render.eventtable import event_lines, events
from veza_nb.render.lines import bullets, wrapped
from veza_nb.render.marks import NONE, mark_of
from veza_nb.render.page import (
    Column,
    Html,
    Rendered,
    card,
    details,
    html,
    marked,
    points,
    prose,
    table,
    tag,
)
from veza_nb.vocabulary import Severity
from veza_nb.words import count

_FIRST = 3


def diagnosis(result: Diagnosis, *, now: datetime) -> Rendered:
    """The decision, the three worst findings, and behind them all the evidence."""
    mark = mark_of(result.decision)
    # The last sentence only repeats the decision.
    argument = [one for one in result.argument if not one.startswith("So: ")]
    lead = " ".join(argument[-2:])
    counted = _counted(result.findings)
    lines = [
        f"{mark.symbol} {mark.word.upper()}: {counted}",
        *wrapped(lead, "  "),
        "",
        *_finding_lines(result.findings, now),
        "Why:",
        *bullets(argument, ordered=True),
        *event_lines(result.events, now),
    ]
    first, rest = result.findings[:_FIRST], result.findings[_FIRST:]
    body = (
        _findings(first),
        details(f"{count(len(rest), 'more finding')}", _findings(rest)) if rest else "",
        details("Why: the argument step by step", points(argument, ordered=True)),
        details("Evidence, and how to see it by hand", _evidence(result.findings, now)),
        events(result.events, now),
    )
    return Rendered.of(lines, card(mark, mark.word, *body, lead=f"{lead} ({counted})"))


def _counted(findings: Sequence[Finding]) -> str:
    numbers = [(level, sum(f.severity is level for f in findings)) for level in Severity]
    said = [f"{number} {level}" for level, number in numbers if number]
    return ", ".join(said) if said else "nothing found"


def _findings(findings: Sequence[Finding]) -> Html:
    return html(*(_finding(one) for one in findings))


def _finding(finding: Finding) -> Html:
    hint = tag("div", prose(finding.hint), class_="v-aside") if finding.hint else ""
    said = prose(_beside_reason(finding))
    return marked(finding.severity, tag("b", finding.reason), " ", said, hint)


def _beside_reason(finding: Finding) -> str:
    """The summary as it stands beside its reason: said once."""
    return finding.summary.removeprefix(f"{finding.reason} ")


def _finding_lines(findings: Sequence[Finding], now: datetime) -> list[str]:
    lines: list[str] = []
    for finding in findings:
        mark = mark_of(finding.severity)
        lines += wrapped(
            _beside_reason(finding), "    ", f"  {mark.symbol} {mark.word} {finding.reason}: "
        )
        lines += wrapped(finding.hint, "      ") if finding.hint else []
        for one in finding.evidence:
            seen = f" ({age(one.at, now)})" if one.at else ""
            lines += wrapped(f"{one.kind} {one.name}: {one.detail}{seen}", "        ", "      - ")
        shown = dict.fromkeys(one.command for one in finding.evidence if one.command)
        lines += [f"      $ {shell}" for shell in shown]
    return [*lines, ""] if lines else lines


def _evidence(findings: Sequence[Finding], now: datetime) -> Html:
    heads = [
        Column("Finding"),
        Column("Seen on"),
        Column("What"),
        Column("When"),
        Column("By hand"),
    ]
    seen = [(finding, one) for finding in findings for one in finding.evidence]
    return table(heads, [_evidence_row(finding, one, now) for finding, one in seen])


def _evidence_row(finding: Finding, one: Evidence, now: datetime) -> Sequence[str]:
    when = tag("span", age(one.at, now), title=moment(one.at, now)) if one.at else NONE
    by_hand = tag("code", one.command) if one.command else NONE
    return (finding.reason, f"{one.kind} {one.name}", one.detail, when, by_hand)
