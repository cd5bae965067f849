"""The postmortem's first draft: all that the kit knows, and marked room for what it cannot know.

Blameless: it says what happened to the service and what was done about it. Names stand only
where somebody has to be asked.
"""

from collections.abc import Iterable, Sequence
from datetime import datetime, timedelta
from typing import Any

from veza_nb.accounts import Record
from veza_nb.journal import Line
from veza_nb.plain import to_plain
from veza_nb.redact import Redactor
from veza_nb.typed import convert
from veza_nb.vocabulary import JournalEvent, Outcome
from veza_nb.words import clock_time, count, listing, span

_ENDINGS = {
    Outcome.RECOVERED: "The service recovered.",
    Outcome.NOT_RECOVERED: "The service did not recover in this run.",
    Outcome.INCONCLUSIVE: "It could not be told whether the service recovered.",
    Outcome.REFUSED: "The rollback was refused; nothing was changed.",
    Outcome.PARTIAL: "Some services were rolled back, some were not.",
    Outcome.INTERRUPTED: "The run was interrupted.",
    Outcome.OPEN: "The run has not been closed.",
    Outcome.ERROR: "The run ended in an error.",
    Outcome.USAGE: "The run ended in wrong usage or configuration.",
}
_FOR_PEOPLE = {
    "Impact": "Who noticed what, from when to when: users, requests, money. Use numbers.",
    "Contributing factors": "What made this possible? Look for conditions, not for people.",
    "What went well": "What helped to notice it early, or to mend it fast?",
    "What went badly": "What cost time? What was missing, hidden or confusing?",
    "Where we were lucky": "What would have been worse on another day?",
}
# Fields that only machines compare.
_NOT_TOLD = frozenset(
    {"digest", "left_digest", "uid", "generation", "begin", "kit", "state", "bytes"}
    | {"from_replicaset", "from_hash", "to_replicaset", "to_hash", "rule", "targets"}
)


def postmortem(record: Record, lines: Sequence[Line], *, picture: str = "", told: str = "") -> str:
    """Return the draft in Markdown.

    Args:
        record: as far as it is known; every part of it may be missing.
        lines: the journal's, in order.
        picture: file of the picture of how it went; "" where there is none.
        told: the same in words.
    """
    # Inside a table a secret no longer stands beside its name: mask it before.
    record = convert(Redactor().data(to_plain(record)), Record)
    sections = (
        _section("Summary", _summary(record)),
        _section("Facts", _facts(record)),
        _for_people("Impact"),
        _section("How it went", f"![How it went]({picture})\n\n{_inline(told)}" if picture else ""),
        _section("Timeline", _timeline(lines)),
        _section("What was found", _found(record)),
        _section("What changed", _changes(record)),
        _section("Tried on the way", _bullets(map(_tried, record.steps))),
        _section("Why this revision", _bullets((record.plan or {}).get("reasons", ()))),
        _section("Checks", _checks(record)),
        _section("Errors on the way", _errors(record)),
        *(_for_people(title) for title in _FOR_PEOPLE if title != "Impact"),
        _section("Left to do", _todo(record)),
        _section("Evidence", _evidence(record)),
    )
    name = record.title or f"Rollback of {record.service}"
    head = f"# Postmortem: {_inline(name)}\n\nStatus: draft, written by the kit. Blameless."
    return "\n\n".join((head, *(section for section in sections if section))) + "\n"


def _section(title: str, body: str) -> str:
    return f"## {title}\n\n{body}" if body else ""


def _for_people(title: str) -> str:
    return f"## {title}\n\n> **To be written by people.** {_FOR_PEOPLE[title]}"


def _summary(record: Record) -> str:
    said = [_ENDINGS[record.outcome]]
    plan = record.plan
    if plan and record.changed:
        start = (*record.steps, plan)[0].get("from_revision")
        since = f"from revision {start} " if start else ""
        if record.steps:
            since = f"in {len(record.steps) + 1} steps {since}"
        said.insert(0, f"`{record.service}` was rolled back {since}to {_target(plan)}.")
    elif record.changed is None:
        said.append("It is not known whether the cluster was changed.")
    elif not record.changed:
        said.append("Nothing was changed in the cluster.")
    if record.durations.recover is not None:
        said.append(f"From detection to recovery: {_seconds(record.durations.recover)}.")
    if record.reason:
        said.append(f"Reason given: {_inline(record.reason)}.")
    return " ".join(said)


def _target(plan: dict[str, Any]) -> str:
    images = ", ".join(f"`{image}`" for image in (plan.get("images_after") or {}).values())
    return f"revision {plan.get('to_revision')}" + (f" ({images})" if images else "")


def _tried(step: dict[str, Any]) -> str:
    """An undo that was not the cure."""
    failed = listing(map(str, step.get("failed") or ()), limit=9)
    return (
        f"From revision {step.get('from_revision')} to {_target(step)}: "
        f"verification said {step.get('verdict')}{f' ({failed})' if failed else ''}"
    )


def _facts(record: Record) -> str:
    approval = record.approval or {}
    approver = approval.get("approver", "")
    cluster = record.cluster
    rows = [
        ("Incident", record.incident_id),
        ("Workload", f"{record.kind} {record.workload} in {record.namespace}"),
        ("Cluster", f"{cluster.context} {cluster.server} {cluster.version}".strip()),
        ("Started", _moment(record.started_at)),
        ("Detected", _moment(record.detected_at)),
        ("Approved", f"{_moment(record.approved_at)}{f', by {approver}' if approver else ''}"),
        ("Undo taken by the cluster", _moment(record.mutated_at)),
        ("Recovered", _moment(record.recovered_at)),
        ("Closed", _moment(record.closed_at)),
        ("Values masked", str(sum(record.redactions.values()))),
    ]
    return _table(("", ""), rows)


def _timeline(lines: Sequence[Line]) -> str:
    rows = [(_clock(line.at), line.step, _event(line), line.actor) for line in lines]
    return _table(("Time (UTC)", "Step", "What", "Who"), rows)


def _event(line: Line) -> str:
    told = {k: v for k, v in line.data.items() if k not in _NOT_TOLD and _is_plain(v)}
    details = ", ".join(f"{name}: {value}" for name, value in told.items())
    begun = line.event == JournalEvent.NOTE and "begin" in line.data
    word = "begun" if begun else line.event
    return f"{word}: {details}" if details else word


def _is_plain(value: object) -> bool:
    return isinstance(value, str | int | float) and value != ""


def _found(record: Record) -> str:
    diagnosis = record.diagnosis
    if not diagnosis:
        return ""
    argument = [f"{n}. {_inline(one)}" for n, one in enumerate(diagnosis.get("argument", ()), 1)]
    findings = [
        (one.get("severity", ""), one.get("reason", ""), one.get("summary", ""))
        for one in diagnosis.get("findings", ())
    ]
    table = _table(("Severity", "Reason", "What"), findings)
    return "\n\n".join(part for part in ("\n".join(argument), table) if part)


def _changes(record: Record) -> str:
    plan = record.plan
    if not plan:
        return ""
    rows = [
        (one.get("where", ""), one.get("before", ""), one.get("after", ""))
        for one in plan.get("changes", ())
    ]
    tense = "" if record.changed else "Planned, not done:\n\n"
    by_hand = f"The same by hand: `{plan['command']}`" if plan.get("command") else ""
    kept = _bullets(plan.get("not_restored", ()))
    parts = (
        tense + _table(("Where", "Before", "After"), rows) if rows else "",
        by_hand,
        f"Not brought back by the undo:\n\n{kept}" if kept else "",
    )
    return "\n\n".join(part for part in parts if part)


def _checks(record: Record) -> str:
    verification = record.verification
    if not verification:
        return "The service was not verified."
    rows = [
        (one.get("verdict", ""), one.get("title", ""), "; ".join(one.get("evidence", ())))
        for one in verification.get("checks", ())
    ]
    verdict = f"Verdict: **{verification.get('verdict')}**."
    nine = [
        (one.get("verdict", ""), f"{one.get('number')}. {one.get('title')}", one.get("by_hand", ""))
        for one in verification.get("entries", ())
    ]
    tables = (
        _table(("", "Checklist", "To look at by hand"), nine),
        _table(("", "Check", "Evidence"), rows),
    )
    return "\n\n".join(part for part in (verdict, *tables) if part)


def _errors(record: Record) -> str:
    return _bullets(f"{one.get('step', '')}: {one.get('what', '')}" for one in record.errors)


def _todo(record: Record) -> str:
    items = [f"- [ ] {_inline(one)}" for one in record.left_to_do]
    owner = "- [ ] Give every item here an owner and a date."
    return "\n".join([*items, owner])


def _evidence(record: Record) -> str:
    done = [one for one in record.actions if one.seconds is not None]
    took = [f"{one.step}: {one.status} in {_seconds(one.seconds or 0)}" for one in done]
    files = (
        "`record.json`: everything in this page and more, with its schema's version",
        "`journal.jsonl`: what was done, line by line, hash-chained",
        "`rollback.html`: the notebook as it was run",
        "`SHA256SUMS`: check with `sha256sum --check SHA256SUMS`",
    )
    actions = (
        f"{count(len(done), 'change')} to the cluster:\n\n{_bullets(took)}\n\n" if took else ""
    )
    return actions + "\n".join(f"- {file}" for file in files)


# --- Markdown --------------------------------------------------------------------------------


def _table(head: Sequence[str], rows: Sequence[Sequence[str]]) -> str:
    if not rows:
        return ""
    lines = [_row(head), _row(["---"] * len(head)), *(_row(map(_inline, row)) for row in rows)]
    return "\n".join(lines)


def _row(cells: Iterable[str]) -> str:
    return f"| {' | '.join(cells)} |"


def _bullets(items: Iterable[str]) -> str:
    return "\n".join(f"- {_inline(item)}" for item in items)


def _inline(text: object) -> str:
    """The text on one line, harmless inside a table and as HTML."""
    flat = " ".join(str(text).split())
    for sign in "\\|<[*_":
        flat = flat.replace(sign, f"\\{sign}")
    return flat


def _moment(at: datetime | None) -> str:
    return clock_time(at) if at else "not recorded"


def _clock(at: str) -> str:
    """`08:39:12` of an RFC 3339 time; the date stands among the facts."""
    return at[11:19]


def _seconds(seconds: float) -> str:
    return span(timedelta(seconds=seconds)) if seconds >= 10 else f"{seconds:.1f} s"
