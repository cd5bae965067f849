"""What the cells of the notebook for several services show."""

from collections.abc import Callable, Sequence

from veza_nb import display, render
from veza_nb.errors import (
    InconclusiveError,
    NotRecoveredError,
    PartialError,
    RefusedError,
    VezaError,
)
from veza_nb.groupacting import PUT_BACK, not_begun
from veza_nb.groupopening import OpenedGroup
from veza_nb.parts import Board, Part
from veza_nb.render.grouping import Line, group_page
from veza_nb.render.marks import NONE, Mark, mark_of
from veza_nb.render.page import Showable
from veza_nb.scheduling import Fate, Turn
from veza_nb.together import Together
from veza_nb.vocabulary import Decision, Level, Outcome
from veza_nb.words import count, listing

_FAILED = Mark("✖", "failed", "bad")
_WAITING = Mark("▷", "waiting", "calm")
_GOOD, _BAD = Mark("✔", "", "good"), Mark("✖", "", "bad")


def show_opening(opened: OpenedGroup) -> None:
    """Where we are, which services, in which order."""
    lines = [
        Line(one.name, Mark("•", "", "calm"), _waits(opened, one.name), one.shown("open"))
        for one in opened.parts.values()
    ]
    record = opened.logbook.record
    about = {
        "Incident": record.incident_id,
        "Cluster": f"{record.cluster.context} {record.cluster.server}".strip(),
        "Operator": opened.operator,
        "Rule": opened.pace.words,
    }
    lead = (
        "Nothing was changed yet. All plans come first, then one approval, then the first change."
    )
    title = f"Ready: {count(len(lines), 'service')}"
    display.show(group_page(_GOOD, title, lines, lead=lead, about=about))


def _waits(opened: OpenedGroup, name: str) -> str:
    first = sorted(opened.after[name])
    return (
        f"after {listing(first, limit=9)}" if first else "goes first: it needs none of the others"
    )


def show_detections(opened: OpenedGroup) -> None:
    """What each service needs."""
    lines = [_detection(one) for one in opened.parts.values()]
    sick = sum(one.mark.word == mark_of(Decision.ROLL_BACK).word for one in lines)
    blind = sum(one.error is not None for one in opened.parts.values())
    title = f"{count(sick, 'service')} of {len(lines)} should be rolled back"
    lead = f"{count(blind, 'service')} could not be looked at." if blind else ""
    mark = _BAD if sick else Mark("?", "", "warn") if blind else _GOOD
    display.show(group_page(mark, title, lines, lead=lead))


def _detection(part: Part) -> Line:
    seen = part.incident.detection
    if part.error is not None or seen is None:
        return Line(part.name, _FAILED, part.error.what if part.error else "", ())
    worst = seen.diagnosis.findings[0].summary if seen.diagnosis.findings else "nothing found"
    pods = f"{seen.rollout.available}/{seen.rollout.desired} pods available; "
    return Line(part.name, mark_of(seen.diagnosis.decision), pods + worst, part.shown("detect"))


def show_together(opened: OpenedGroup, found: Together) -> None:
    """What ran when, and the set to go back to."""
    histories = {one.name: one.incident.seen.history for one in opened.parts.values()}
    now = next(iter(opened.parts.values())).incident.cluster.now()
    display.show(render.together(histories, found, now=now))


def show_plans(opened: OpenedGroup) -> None:
    """Every plan in full: what is approved must have been seen."""
    lines = [_plan(one) for one in opened.parts.values()]
    bad = sum(one.mark.tone == "bad" for one in lines)
    title = (
        f"{count(bad, 'plan')} of {len(lines)} cannot go ahead"
        if bad
        else f"{count(len(lines), 'plan')}: nothing stands in the way"
    )
    lead = opened.pace.words
    display.show(group_page(_BAD if bad else _GOOD, title, lines, lead=lead, in_full=True))


def _plan(part: Part) -> Line:
    pages, plan = part.shown("plan"), part.plan
    if plan is None:
        return Line(part.name, Mark("✖", "no plan", "bad"), _why(part), pages)
    if plan.noop:
        words = f"stays at revision {plan.to_revision}"
        return Line(part.name, Mark("✔", "nothing to do", "good"), words, pages)
    words = f"revision {plan.from_revision} → {plan.to_revision}"
    if plan.blockers:
        words = f"{words}; {plan.blockers[0].summary}"
        return Line(part.name, Mark("✖", "blocked", "bad"), words, pages)
    warned = sum(guard.level is Level.WARN for guard in plan.guards)
    words += f"; {count(warned, 'warning')}" if warned else ""
    return Line(part.name, Mark("↩", "plan", "info"), words, pages)


def _why(part: Part) -> str:
    return part.error.what if part.error else ""


class TurnsBoard(Board):
    """All rollouts in one view, and how it ended for each."""

    def __init__(self, opened: OpenedGroup) -> None:
        self._opened = opened
        self._turns: dict[str, Turn] = {}
        self._left: tuple[str, ...] = ()
        super().__init__(self._page)

    def end(self, turns: dict[str, Turn], left: tuple[str, ...]) -> None:
        """Show how it ended.

        Args:
            turns: service to what became of its turn.
            left: services that were to be put back and were not.
        """
        self._turns, self._left = turns, left
        self.finish()

    def _page(self) -> Showable:
        lines = [self._line(one) for one in self._opened.parts.values()]
        done = sum(one.settled for one in self._opened.parts.values())
        title = f"{done} of {count(len(lines), 'service')} rolled out"
        lead = not_begun(self._turns)
        if self._left:
            lead += f" NOT put back, look at them now: {listing(self._left, limit=20)}."
        good = not self._turns or all(one.fate is Fate.DONE for one in self._turns.values())
        mark = Mark("▶", "", "info") if not self._turns else _GOOD if good else _BAD
        return group_page(mark, title, lines, lead=lead.strip())

    def _line(self, part: Part) -> Line:
        pages = (*part.shown("undo"), *part.shown(PUT_BACK))
        turn = self._turns.get(part.name)
        if part.put_back:
            return Line(part.name, Mark("↺", "put back", "warn"), "runs what it ran before", pages)
        if part.error is not None:
            return Line(part.name, _FAILED, part.error.what, pages)
        if part.settled:
            return Line(part.name, Mark("✔", "rolled out", "good"), _first_line(pages), pages)
        if turn is not None and turn.fate is Fate.NOT_BEGUN:
            return Line(part.name, Mark("■", "not begun", "warn"), turn.why, pages)
        if turn is not None:
            return Line(part.name, _FAILED, _first_line(pages), pages)
        state = Mark("▶", "at work", "info") if pages else _WAITING
        return Line(part.name, state, _first_line(pages), pages)


def _first_line(pages: Sequence[Showable]) -> str:
    """What the newest page says first, without its sign."""
    return pages[-1].text.splitlines()[0].partition(" ")[2] if pages else ""


def show_verifications(opened: OpenedGroup, checked: Sequence[Part]) -> None:
    """Which services are back."""
    lines = [_verified(one, one in checked) for one in opened.parts.values()]
    back = sum(one.mark.tone == "good" for one in lines)
    title = f"{back} of {count(len(lines), 'service')} back"
    display.show(
        group_page(_GOOD if back == len(lines) else _BAD, title, lines, in_full=back < len(lines))
    )


def _verified(part: Part, checked: bool) -> Line:
    if not checked:
        words = "put back" if part.put_back else "its rollout did not come to a good end"
        return Line(part.name, Mark(NONE, "not checked", "warn"), words)
    pages = part.shown("verify")
    if part.error is not None:
        return Line(part.name, _FAILED, part.error.what, pages)
    verdict = part.incident.verdict
    mark = mark_of(verdict) if verdict else _FAILED
    return Line(part.name, mark, _first_line(pages), pages)


_COMPLAINTS: dict[Outcome, tuple[Callable[..., VezaError], str]] = {
    Outcome.PARTIAL: (PartialError, "Some services are back, some are not"),
    Outcome.NOT_RECOVERED: (NotRecoveredError, "The services have not recovered"),
    Outcome.INCONCLUSIVE: (InconclusiveError, "It cannot be told whether they have recovered"),
    Outcome.REFUSED: (RefusedError, "Nothing was rolled back, and not all is known to be well"),
}


def show_closing(opened: OpenedGroup, outcome: Outcome) -> VezaError | None:
    """Write down and show how it ended; return what the cell raises, None where all is well."""
    logbook = opened.logbook
    todo = _left_to_do(opened)
    opened.write(
        outcome=outcome,
        exit_code=int(outcome.exit_code),
        closed_at=logbook.journal.clock.now(),
        left_to_do=todo,
    )
    logbook.folder.seal()
    lines = [
        Line(one.name, mark_of(one.outcome), f"record {one.incident.id}", one.shown("close"))
        for one in opened.parts.values()
    ]
    mark = mark_of(outcome)
    about = {"Incident": logbook.record.incident_id, "Record": str(logbook.folder.path)}
    title = f"{mark.word}: {opened.name}"
    display.show(group_page(mark, title, lines, about=about, todo=todo))
    if outcome not in _COMPLAINTS:
        return None
    kind, what = _COMPLAINTS[outcome]
    ends = ", ".join(f"{one.name} {one.outcome}" for one in opened.parts.values())
    return kind(
        f"{what}: {ends}.",
        state=logbook.state,
        next_step=f"Continue incident {logbook.record.incident_id}: what is done is not repeated.",
    )


def _left_to_do(opened: OpenedGroup) -> tuple[str, ...]:
    """What each service leaves to do, the same only once."""
    said: dict[str, list[str]] = {}
    for part in opened.parts.values():
        for one in part.incident.logbook.record.left_to_do:
            said.setdefault(one, []).append(part.name)
    return tuple(f"{', '.join(names)}: {what}" for what, names in said.items())
