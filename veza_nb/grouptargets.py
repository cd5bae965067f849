"""Where each service of a group goes: as the operator named it, or the set that fitted last."""

import re
from collections.abc import Callable, Mapping
from dataclasses import dataclass
from datetime import datetime

from veza_nb.attempts import newest
from veza_nb.choices import Choice, find_chosen, read_moment, why_none
from veza_nb.errors import RefusedError, UsageError
from veza_nb.groupopening import OpenedGroup
from veza_nb.parts import Part
from veza_nb.plans import Plan
from veza_nb.podtemplates import template_digest
from veza_nb.revisions import Revision
from veza_nb.together import Together
from veza_nb.vocabulary import JournalEvent, Step

_PAIR = re.compile(r"\s*([^=\s]+)\s*=\s*(\d{1,9})\s*")


@dataclass(frozen=True, slots=True)
class Target:
    """Where one service goes.

    Attributes:
        number: of the revision today; 0 leaves it to what the incident sent before.
        refused: why there is none, one sentence; "" where there is one.
        next_step: what to do about that.
    """

    number: int = 0
    refused: str = ""
    next_step: str = ""


def chosen_targets(
    opened: OpenedGroup, as_of: str, to_revisions: str, last_good: Callable[[], Together]
) -> dict[str, Target]:
    """A target for every service.

    A service that this incident changed already keeps its target: that is what a run is resumed
    for. The others keep what was approved with it, unless something else is named now: what fits
    together was chosen for all of them at once.

    Args:
        opened: the group, every service of it detected.
        as_of: what every service ran then; "" names no time.
        to_revisions: "service=number, …"; services left out keep what they run.
        last_good: the newest set that worked together, asked where nothing is named.

    Raises:
        UsageError: it cannot be read, or both are named.
        RefusedError: nothing is named, and no set is known to fit.
    """
    if as_of.strip() and to_revisions.strip():
        raise UsageError("Both a time and revisions are named.", next_step="Name one of them.")
    fixed = {name: Target() for name, part in opened.parts.items() if _sent(part)}
    if len(fixed) == len(opened.parts):
        return fixed
    approved = _approved_targets(opened, [as_of.strip(), to_revisions.strip()]) if fixed else None
    if approved is not None:
        return {**{name: _again(part, approved) for name, part in opened.parts.items()}, **fixed}
    if to_revisions.strip():
        found = _by_number(opened, to_revisions)
    elif as_of.strip():
        found = _by_time(opened, as_of)
    else:
        found = _by_set(opened, last_good())
    return {**found, **fixed}


def _sent(part: Part) -> bool:
    return newest(part.incident.logbook.attempts) is not None


def digests_of(plans: Mapping[str, Plan]) -> dict[str, str]:
    """Where each service is to go, by its template; those that stay are left out."""
    return {name: template_digest(one.template) for name, one in plans.items() if not one.noop}


def _approved_targets(opened: OpenedGroup, asked: list[str]) -> Mapping[str, str] | None:
    """What was approved last, where nothing else is named now than then; None otherwise."""
    journal = opened.logbook.journal
    approval = journal.last(Step.APPROVE, JournalEvent.APPROVAL)
    plan = approval.data.get("plan") if approval else None
    for line in reversed(journal.lines):
        planned = (line.step, line.event) == (Step.PLAN, JournalEvent.DONE)
        if planned and line.data.get("plan") == plan and "targets" in line.data:
            same = asked in (["", ""], line.data.get("asked"))
            return line.data["targets"] if same else None
    return None


def _again(part: Part, approved: Mapping[str, str]) -> Target:
    """Where a service was to go that was not changed yet."""
    if part.name not in approved:
        return _stays(part)
    for one in part.incident.seen.history.revisions:
        if one.number and template_digest(one.template) == approved[part.name]:
            return Target(number=one.number)
    return Target(
        refused=f"What {part.name} was to go back to is not in its history any more.",
        next_step="Name all revisions with to_revisions, or begin a new incident without it.",
    )


def _by_number(opened: OpenedGroup, text: str) -> dict[str, Target]:
    named: dict[str, int] = {}
    for pair in filter(str.strip, text.split(",")):
        found = _PAIR.fullmatch(pair)
        if found is None or found[1] not in opened.parts:
            raise UsageError(
                f"{pair.strip()!r} names no revision of a service of this incident.",
                next_step=f"Write SERVICE=NUMBER with one of: {', '.join(opened.parts)}.",
            )
        named[found[1]] = int(found[2])
    live = {name: _stays(part) for name, part in opened.parts.items() if name not in named}
    return {**live, **{name: Target(number=number) for name, number in named.items()}}


def _stays(part: Part) -> Target:
    """What it runs: going there changes nothing, and is verified like the others."""
    current = part.incident.seen.history.current
    if current is not None and current.number:
        return Target(number=current.number)
    return Target(
        refused=f"What {part.name} runs has no number in its history.",
        next_step="Name a revision for it with to_revisions, or leave that service out.",
    )


def _by_time(opened: OpenedGroup, as_of: str) -> dict[str, Target]:
    now = next(iter(opened.parts.values())).incident.cluster.now()
    moment = read_moment(as_of, now)
    if moment is None:
        raise UsageError(
            f"{as_of!r} is no time.",
            next_step="Write it like 2026-11-24T09:30 (UTC), or like 2h for two hours ago.",
        )
    return {name: _at(part, moment) for name, part in opened.parts.items()}


def _at(part: Part, moment: datetime) -> Target:
    history, choice = part.incident.seen.history, Choice(as_of=moment)
    found = find_chosen(history, choice)
    if found is None:
        return Target(
            refused=why_none(history, choice),
            next_step="Name the revisions one by one, or leave that service out.",
        )
    return Target(number=found.number)


def _by_set(opened: OpenedGroup, found: Together) -> dict[str, Target]:
    if found.chosen is None:
        raise RefusedError(
            found.reasons[0],
            next_step="Name a time with as_of, or the revisions with to_revisions, if you know "
            "better.",
        )
    revisions: Mapping[str, Revision] = found.chosen.revisions
    return {name: Target(number=revisions[name].number) for name in opened.parts}
