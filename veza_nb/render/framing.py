"""The first and the last page of a run, and the page before all runs."""

from collections.abc import Sequence
from datetime import timedelta
from typing import Protocol

from veza_nb.accounts import Record
from veza_nb.detect import Detection
from veza_nb.preflight import Preflight
from veza_nb.render.lines import bullets, columns, fact_lines, wrapped
from veza_nb.render.marks import Mark, mark_of
from veza_nb.render.page import (
    Column,
    Rendered,
    badge,
    card,
    facts,
    heading,
    html,
    note,
    points,
    prose,
    table,
)
from veza_nb.vocabulary import Decision
from veza_nb.words import count, span

_SHORT = 10


class Glance(Protocol):
    """One service on the overview."""

    @property
    def service(self) -> str:
        """Its name in the catalogue."""

    @property
    def detection(self) -> Detection | None:
        """What a look at it saw."""

    @property
    def problem(self) -> str:
        """Why it could not be seen, or ""."""


def message(words: str) -> Rendered:
    """One sentence in passing."""
    return Rendered.of(wrapped(words, "  ", "· "), note(words))


def opening(record: Record, seen: Preflight, *, resumed: bool) -> Rendered:
    """Where we are, who we are, and whether we may do what we came for."""
    denied = [str(right) for right in seen.denied]
    mark = Mark("✖", "", "bad") if denied else Mark("✔", "", "good")
    what = "Continuing" if resumed else "Ready"
    title = f"{what}: {record.service} in {record.cluster.context or record.cluster.server}"
    lead = (
        f"You lack {count(len(denied), 'permission')} that a rollback needs; reading goes on."
        if denied
        else "All permissions that a rollback needs are there. Nothing was changed yet."
    )
    about = {
        "Incident": record.incident_id,
        record.kind: f"{record.workload} in {record.namespace}",
        "Cluster": f"{record.cluster.server} ({seen.version})",
        "You are": f"{seen.user} (operator {record.operator})",
        **({"Reason": record.reason} if record.reason else {}),
    }
    missing = [f"You may not {right}." for right in denied]
    missing += [
        f"You may not {right}: the service alone can go back, its database cannot."
        for right in seen.not_migrating
    ]
    lines = [f"{mark.symbol} {title}", f"  {lead}", *fact_lines(about), *bullets(missing)]
    body = (facts(about), points(missing))
    return Rendered.of(lines, card(mark, title, *body, lead=lead))


def closing(record: Record, folder: str) -> Rendered:
    """How it ended, what is left to do, and where the evidence is."""
    mark = mark_of(record.outcome)
    title = f"{mark.word}: {record.service}"
    lead = _changed(record.changed)
    lasted = record.durations
    about = {
        "Incident": record.incident_id,
        "Record": folder,
        **_lasted("Detection to recovery", lasted.recover),
        **_lasted("Whole run", lasted.total),
    }
    lines = [
        f"{mark.symbol} {title}",
        f"  {lead}",
        *fact_lines(about),
        *(["", "Left to do:"] if record.left_to_do else []),
        *bullets(record.left_to_do, ordered=True),
    ]
    todo = [prose(item) for item in record.left_to_do]
    left = html(heading("Left to do"), points(todo, ordered=True)) if todo else html()
    return Rendered.of(lines, card(mark, title, facts(about), left, lead=lead))


def _changed(changed: bool | None) -> str:
    if changed is None:
        return "It is not known whether this run changed the cluster."
    return (
        "This run changed the cluster." if changed else "This run changed nothing in the cluster."
    )


def _lasted(name: str, seconds: float | None) -> dict[str, str]:
    return {name: seconds_text(seconds)} if seconds is not None else {}


def seconds_text(seconds: float) -> str:
    """`4.2 s` below ten seconds, then `3 min 20 s`."""
    return f"{seconds:.1f} s" if seconds < _SHORT else span(timedelta(seconds=seconds))


def overview(context: str, server: str, user: str, glances: Sequence[Glance]) -> Rendered:
    """Every service of the catalogue at a glance, those in trouble first."""
    ordered = sorted(glances, key=lambda one: _URGENCY.index(_decision(one)))
    sick = sum(_decision(one) is Decision.ROLL_BACK for one in glances)
    vague = sum(_decision(one) in (Decision.UNCLEAR, None) for one in glances)
    mark, title = _overall(sick, vague, len(glances))
    lead = f"Cluster {context} ({server}), you are {user}. Nothing was changed."
    rows = [_glance_row(one) for one in ordered]
    lines = [f"{mark.symbol} {title}", *wrapped(lead, "  "), "", *columns([r[:4] for r in rows])]
    heads = [Column("Service"), Column("Advice"), Column("Pods"), Column("What stands out")]
    pictures = [_glance_cells(one) for one in ordered]
    return Rendered.of(lines, card(mark, title, table(heads, pictures), lead=lead))


_URGENCY = (Decision.ROLL_BACK, None, Decision.UNCLEAR, Decision.DO_NOT)


def _decision(one: Glance) -> Decision | None:
    return one.detection.diagnosis.decision if one.detection else None


def _overall(sick: int, vague: int, whole: int) -> tuple[Mark, str]:
    if sick:
        return Mark("✖", "", "bad"), f"{count(sick, 'service')} of {whole} should be rolled back"
    if vague:
        return Mark("?", "", "warn"), f"{count(vague, 'service')} of {whole} cannot be judged"
    return Mark("✔", "", "good"), f"{count(whole, 'service')}: no rollback is needed"


def _glance_row(one: Glance) -> tuple[str, str, str, str]:
    seen = one.detection
    if seen is None:
        return one.service, "? not seen", "-", one.problem
    mark = mark_of(seen.diagnosis.decision)
    pods = f"{seen.rollout.available}/{seen.rollout.desired} available"
    worst = seen.diagnosis.findings[0].summary if seen.diagnosis.findings else "nothing"
    return one.service, f"{mark.symbol} {mark.word}", pods, worst


def _glance_cells(one: Glance) -> Sequence[str]:
    service, _, pods, worst = _glance_row(one)
    seen = one.detection
    mark = mark_of(seen.diagnosis.decision) if seen else Mark("?", "not seen", "warn")
    return service, badge(mark), pods, prose(worst)
