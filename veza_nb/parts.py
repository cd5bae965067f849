"""The services of a group at work: one incident each, side by side, and what each one shows."""

from collections.abc import Callable, Sequence
from dataclasses import dataclass, field
from functools import partial
from threading import Event

from veza_nb import display
from veza_nb.display import LiveView
from veza_nb.errors import InterruptedRunError, VezaError
from veza_nb.incident import Incident
from veza_nb.pacing import Pace
from veza_nb.plans import Plan
from veza_nb.render.page import Showable
from veza_nb.scheduling import Fate, carry_out
from veza_nb.vocabulary import OnFailure, Outcome

MOST_AT_ONCE = 16
"""Services that are looked at side by side: one machine, one API server."""


@dataclass(slots=True, eq=False)
class Part:
    """One service of a group.

    Attributes:
        name: in the catalogue.
        incident: its own, with a record of its own.
        plan: the newest one.
        error: what ended its last step, None where that went well.
        settled: its rollout came to a good end.
        tried_back: it was to be put back to what it ran before.
        put_back: it was.
        pages: step to what it showed, in order.
    """

    name: str
    incident: Incident
    plan: Plan | None = None
    error: VezaError | None = None
    settled: bool = False
    tried_back: bool = False
    put_back: bool = False
    pages: dict[str, dict[LiveView, Showable]] = field(default_factory=dict)

    def do(
        self,
        step: str,
        action: Callable[["Part"], object],
        *,
        stop: Event,
        seen: Callable[[], None] = lambda: None,
    ) -> bool:
        """One step of this service; what it shows is kept, what ends it becomes `error`.

        Args:
            step: what to call it.
            action: the step.
            stop: once it is set the step ends at the next thing it shows.
            seen: called after everything that it shows.
        """
        pages = self.pages[step] = {}

        def take(view: LiveView, result: Showable) -> None:
            pages[view] = result
            seen()
            if stop.is_set():
                raise KeyboardInterrupt

        self.error = None
        try:
            with display.taken_by(take):
                action(self)
        except VezaError as error:
            self.error = error
        except Exception as error:  # whatever ends one service must not end the others half-way
            self.error = VezaError(
                f"{type(error).__name__}: {error}", state=self.incident.logbook.state
            )
        return self.error is None

    @property
    def changed(self) -> bool | None:
        """Whether its incident changed the cluster; None where that is not known."""
        return self.incident.logbook.changed

    @property
    def begun(self) -> bool:
        """Whether there is something to verify: it was changed, or was at its target already."""
        return self.settled or self.changed is not False

    @property
    def outcome(self) -> Outcome:
        """As its record has it."""
        return self.incident.logbook.record.outcome

    @property
    def stopped(self) -> bool:
        """Whether a person stopped its last step."""
        return isinstance(self.error, InterruptedRunError)

    def shown(self, step: str) -> tuple[Showable, ...]:
        """What it showed in that step, the last state of each."""
        return tuple(self.pages.get(step, {}).values())


class Board:
    """One live view of what all parts show, drawn by the thread that the cell runs in.

    Args:
        draw: what to show now.
    """

    def __init__(self, draw: Callable[[], Showable]) -> None:
        self._draw = draw
        self._view = LiveView()
        self._stale = Event()

    def changed(self) -> None:
        """There is something new to show."""
        self._stale.set()

    def tick(self) -> None:
        """Draw it, where there is something new."""
        if self._stale.is_set():
            self._stale.clear()
            self._view.show(self._draw())

    def finish(self) -> None:
        """Draw the last state, which is what is saved."""
        self._view.show(self._draw())


def all_do(
    parts: Sequence[Part],
    step: str,
    action: Callable[[Part], object],
    *,
    stop: Event,
    board: Board | None = None,
) -> bool:
    """One step of all these services side by side; True where all went well.

    A failure of one is none of the others' business here: they only look, or ask.
    """
    seen = board.changed if board else _nothing
    steps = {part.name: partial(part.do, step, action, stop=stop, seen=seen) for part in parts}
    pace = Pace(MOST_AT_ONCE, len(parts) + 1, OnFailure.CONTINUE)
    free = dict.fromkeys(steps, ())
    turns = carry_out(steps, free, pace, stop, board.tick if board else _nothing)
    return all(turn.fate is Fate.DONE for turn in turns.values())


def _nothing() -> None:
    pass
