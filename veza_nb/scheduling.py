"""Doing one thing for several services: side by side where they may, in order where they must."""

from collections.abc import Callable, Iterable, Mapping
from concurrent.futures import FIRST_COMPLETED, Future, ThreadPoolExecutor, wait
from dataclasses import dataclass, field
from enum import StrEnum
from threading import Event

from veza_nb.dependencies import in_order
from veza_nb.pacing import Pace
from veza_nb.vocabulary import OnFailure
from veza_nb.words import listing

TICK = 0.2
"""Seconds between two looks at what there is to show."""


class Fate(StrEnum):
    """What became of one service's turn."""

    DONE = "done"
    FAILED = "failed"
    NOT_BEGUN = "not begun"


@dataclass(frozen=True, slots=True)
class Turn:
    """One service's turn.

    Attributes:
        fate: what became of it.
        why: why it was not begun; "" otherwise.
    """

    fate: Fate
    why: str = ""


def carry_out(
    steps: Mapping[str, Callable[[], bool]],
    after: Mapping[str, Iterable[str]],
    pace: Pace,
    stop: Event,
    tick: Callable[[], None] = lambda: None,
) -> dict[str, Turn]:
    """Give each its turn, as soon as those before it are done and there is room.

    Ctrl-C sets `stop` and begins nothing more; whoever is at work has to look at it. The
    interrupt goes on from here once they have all ended.

    Args:
        steps: service to what is done for it; True where it went well, and it raises nothing.
        after: service to those that must be done before.
        pace: how many at once, and what a failure means for the others.
        stop: no further one is begun once this is set.
        tick: called in this thread while it waits, several times a second.
    """
    return _Round(steps, after, pace, stop, tick).run()


@dataclass(slots=True)
class _Round:
    steps: Mapping[str, Callable[[], bool]]
    after: Mapping[str, Iterable[str]]
    pace: Pace
    stop: Event
    tick: Callable[[], None]
    turns: dict[str, Turn] = field(default_factory=dict)
    running: dict[Future[bool], str] = field(default_factory=dict)

    def run(self) -> dict[str, Turn]:
        with ThreadPoolExecutor(max_workers=self.pace.at_once) as pool:
            try:
                self._go_round(pool)
            except KeyboardInterrupt:
                self.stop.set()
                wait(self.running)
                raise
        return {name: self.turns[name] for name in self.steps}

    def _go_round(self, pool: ThreadPoolExecutor) -> None:
        waiting = list(in_order(self.after))
        while waiting or self.running:
            waiting = [name for name in waiting if not self._takes_turn(name, pool)]
            if self.running:
                done, _ = wait(self.running, TICK, return_when=FIRST_COMPLETED)
                self.tick()
                for future in done:
                    fate = Fate.DONE if future.result() else Fate.FAILED
                    self.turns[self.running.pop(future)] = Turn(fate)

    def _takes_turn(self, name: str, pool: ThreadPoolExecutor) -> bool:
        """Whether its turn has begun, or is over without having begun."""
        why = self._never(name)
        if why:
            self.turns[name] = Turn(Fate.NOT_BEGUN, why)
            return True
        ready = all(self._fate(one) is Fate.DONE for one in self.after[name])
        if not ready or len(self.running) >= self.pace.at_once:
            return False
        self.running[pool.submit(self.steps[name])] = name
        return True

    def _never(self, name: str) -> str:
        """Why its turn will never come; "" where it may."""
        missing = [o for o in self.after[name] if self._fate(o) in {Fate.FAILED, Fate.NOT_BEGUN}]
        if missing:
            return f"it needs {listing(sorted(missing))}, which did not come back"
        if self.stop.is_set():
            return "the run was stopped"
        failed = [one for one, turn in self.turns.items() if turn.fate is Fate.FAILED]
        if len(failed) >= self.pace.failures and self.pace.on_failure is not OnFailure.CONTINUE:
            return f"{listing(sorted(failed))} did not come back"
        return ""

    def _fate(self, name: str) -> Fate | None:
        turn = self.turns.get(name)
        return turn.fate if turn else None
