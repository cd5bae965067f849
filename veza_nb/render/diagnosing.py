"""What is wrong, and what there is to go back to."""

from collections.abc import Mapping, Sequence
from datetime import datetime

from veza_nb.evidence import Evidence, Finding
from veza_nb.findings import Diagnosis
from veza_nb.render.ages import age, moment
from veza_nb.render.lines import bullets, columns, wrapped
from veza_nb.render.marks import NONE, Mark, mark_of
from veza_nb.render.page import (
    Column,
    Html,
    Rendered,
    badge,
    card,
    details,
    html,
    marked,
    points,
    prose,
    table,
    tag,
)
from veza_nb.revisions import History, Revision, Standing
from veza_nb.vocabulary import Severity
from veza_nb.words import count, span

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
    ]
    first, rest = result.findings[:_FIRST], result.findings[_FIRST:]
    body = (
        _findings(first),
        details(f"{count(len(rest), 'more finding')}", _findings(rest)) if rest else "",
        details("Why: the argument step by step", points(argument, ordered=True)),
        details("Evidence, and how to see it by hand", _evidence(result.findings, now)),
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


# --- history ---------------------------------------------------------------------------------


def history(result: History, *, now: datetime) -> Rendered:
    """All revisions; which one is live, which one is recommended and why."""
    mark, title = _recommendation(result)
    lead = " ".join(result.reasons)
    lines = [f"{mark.symbol} {title}", *wrapped(lead, "  "), "", *_revision_lines(result, now)]
    rows = [_revision_row(one, result, now) for one in result.revisions]
    classes = [_row_class(one, result) for one in result.revisions]
    heads = [
        Column("Revision", number=True),
        Column("Standing"),
        Column("Image"),
        Column("Appeared"),
        Column("In service", number=True),
        Column("Pods ready", number=True),
        Column("Change cause"),
    ]
    why = [f"{one.number}: {'; '.join(one.reasons)}" for one in result.revisions if one.reasons]
    kept = f"Kubernetes keeps {count(result.revision_history_limit, 'old revision')}."
    body = (
        table(heads, rows, classes),
        details("Evidence of health, revision by revision", points(why), tag("div", kept)),
    )
    return Rendered.of([*lines, f"  {kept}"], card(mark, title, *body, lead=lead))


def _recommendation(result: History) -> tuple[Mark, str]:
    if result.recommended is None:
        return Mark("?", "", "warn"), "No revision is recommended"
    return Mark("↩", "", "good"), f"Recommended: go back to revision {result.recommended.number}"


def _is_chosen(one: Revision, result: History) -> bool:
    return result.recommended is not None and one.replicaset == result.recommended.replicaset


def _row_class(one: Revision, result: History) -> str:
    if _is_chosen(one, result):
        return "v-chosen"
    return "v-faded" if one.standing is Standing.BAD else ""


def _renumbered(one: Revision) -> str:
    return f"was {', '.join(map(str, one.earlier_numbers))}" if one.earlier_numbers else ""


def _revision_row(one: Revision, result: History, now: datetime) -> Sequence[str]:
    before = tag("div", _renumbered(one), class_="v-aside") if one.earlier_numbers else ""
    chosen = tag("div", badge(Mark("↩", "recommended", "good"))) if _is_chosen(one, result) else ""
    created = (
        tag("span", age(one.created, now), title=moment(one.created, now)) if one.created else NONE
    )
    return (
        html(str(one.number), before),
        html(badge(mark_of(one.standing)), chosen),
        image_list(_shown_images(one, result), one.images),
        created,
        span(one.in_service) if one.in_service is not None else NONE,
        f"{one.ready}/{one.replicas}",
        one.change_cause or NONE,
    )


def image_list(shown: Mapping[str, str], whole: Mapping[str, str]) -> Html:
    """Images one a line, the whole name behind each; the container's only where it needs one."""
    several = len(shown) > 1
    return html(
        *(
            tag("div", f"{name}: " if several else "", tag("code", image, title=whole[name]))
            for name, image in shown.items()
        )
    )


def _shown_images(one: Revision, result: History) -> dict[str, str]:
    """Without the registry where it is the same for all; where it differs it may be the cause."""
    registries = {
        image.rpartition("/")[0] for other in result.revisions for image in other.images.values()
    }
    if len(registries) > 1:
        return dict(one.images)
    return {name: image.rpartition("/")[2] for name, image in one.images.items()}


def _revision_lines(result: History, now: datetime) -> list[str]:
    rows: list[Sequence[str]] = [
        ("REVISION", "STANDING", "APPEARED", "IN SERVICE", "READY", "IMAGES")
    ]
    for one in result.revisions:
        mark = mark_of(one.standing)
        rows.append(
            (
                f"{'↩ ' if _is_chosen(one, result) else ''}{one.number}",
                f"{mark.symbol} {mark.word}",
                age(one.created, now) if one.created else "-",
                span(one.in_service) if one.in_service is not None else "-",
                f"{one.ready}/{one.replicas}",
                ", ".join(_shown_images(one, result).values()),
            )
        )
    lines = columns(rows, numbers=(0, 3, 4))
    for one in result.revisions:
        said = [_renumbered(one), one.change_cause, *one.reasons]
        lines += wrapped("; ".join(part for part in said if part), "      ", f"  {one.number}: ")
    return lines
