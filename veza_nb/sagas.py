"""How far an incident has brought a database and its service back, folded from its journal.

Each deed is one intent line and one result line that names it. An intent without a result is
unknown: the process may have died between the two. Whoever goes on asks the cluster first.
"""

from collections.abc import Iterable
from dataclasses import dataclass
from typing import Any

from veza_nb.attempts import Effect
from veza_nb.journal import Line
from veza_nb.vocabulary import JournalEvent, Step

SCALE_DOWN = "scale to 0"
SCALE_UP = "scale back"
JOB = "job"
_STEPS = frozenset({Step.DRAIN, Step.MIGRATE, Step.RESTORE})
"""Never the undo's: its intents are attempts of their own, see `attempts`."""


@dataclass(frozen=True, slots=True)
class Deed:
    """One change, as far as it is known.

    Attributes:
        intent: sequence number of its intent line.
        step: the cell.
        what: `SCALE_DOWN`, `SCALE_UP` or `JOB`.
        data: of the intent, with that of the result laid on it.
        effect: what became of it.
    """

    intent: int
    step: str
    what: str
    data: dict[str, Any]
    effect: Effect


@dataclass(frozen=True, slots=True)
class Saga:
    """What is known of the way back.

    Attributes:
        deeds: in order.
    """

    deeds: tuple[Deed, ...]

    @property
    def begun(self) -> bool:
        """Whether anything was done, or may have been."""
        return any(deed.effect is not Effect.NONE for deed in self.deeds)

    @property
    def drained(self) -> Deed | None:
        """The scaling to 0 that is in effect, or may be; None where replicas are back."""
        down = self._last(SCALE_DOWN)
        back = [d for d in self.deeds if d.what == SCALE_UP and d.effect is Effect.DONE]
        return None if down is None or (back and back[-1].intent > down.intent) else down

    @property
    def drained_surely(self) -> bool:
        """Whether it is known to be at 0: nobody knows that while an answer is missing."""
        last = self._last(SCALE_DOWN, SCALE_UP)
        return last is not None and last.effect is Effect.DONE and last.what == SCALE_DOWN

    @property
    def generation(self) -> int | None:
        """Of the Deployment after the newest scaling to 0; None where there was none."""
        down = self._last(SCALE_DOWN)
        found = down.data.get("generation") if down and down.effect is Effect.DONE else None
        return int(found) if found is not None else None

    @property
    def replicas(self) -> int:
        """How many there were before; 0 where nothing was scaled."""
        down = self._last(SCALE_DOWN)
        return int(down.data.get("replicas", 0)) if down else 0

    @property
    def moved(self) -> Deed | None:
        """The way down of the database that took effect, or may have, and was not taken back."""
        found = [d for d in self.jobs("down", "up") if d.effect is not Effect.NONE]
        # A way back that nobody knows the end of took nothing back for sure.
        found = [d for d in found if d.data["purpose"] == "down" or d.effect is Effect.DONE]
        return found[-1] if found and found[-1].data["purpose"] == "down" else None

    @property
    def migrated(self) -> Deed | None:
        """The way down of the database, where it was seen to have led to another version."""
        moved = self.moved
        done = moved is not None and moved.effect is Effect.DONE and "to_version" in moved.data
        return moved if done else None

    @property
    def before(self) -> int | None:
        """The schema's version before the newest way down; None where nobody read it."""
        read = [
            deed.data["number"]
            for deed in self.jobs("version")
            # Read later, it is where a way down led; of a Job that failed it is no version at all.
            if deed.step == Step.DRAIN and deed.effect is Effect.DONE and "number" in deed.data
        ]
        return int(read[-1]) if read and read[-1] is not None else None

    def turns(self, purpose: str) -> int:
        """How many Jobs of that purpose are over: the next one has that number.

        One of which nobody knows the end is taken up again; one that only reads is not: what it
        says may be of yesterday.
        """
        found = self.jobs(purpose)
        if purpose == "version":
            return len(found)
        return len({d.data.get("job") for d in found if d.effect is not Effect.UNKNOWN})

    def jobs(self, *purposes: str) -> list[Deed]:
        """The Jobs of these purposes, in order."""
        return [d for d in self.deeds if d.what == JOB and d.data.get("purpose") in purposes]

    def _last(self, *what: str) -> Deed | None:
        found = [d for d in self.deeds if d.what in what and d.effect is not Effect.NONE]
        return found[-1] if found else None


def read_saga(lines: Iterable[Line]) -> Saga:
    """The deeds of a journal, in order."""
    found: dict[int, Deed] = {}
    for line in lines:
        if line.step not in _STEPS:
            continue
        if line.event == JournalEvent.INTENT:
            what, data = str(line.data.get("deed", "")), dict(line.data)
            found[line.seq] = Deed(line.seq, line.step, what, data, Effect.UNKNOWN)
            continue
        intent = found.get(line.data.get("intent", 0))
        if intent is not None and "effect" in line.data:
            data, effect = {**intent.data, **line.data}, Effect(line.data["effect"])
            found[intent.intent] = Deed(intent.intent, intent.step, intent.what, data, effect)
    return Saga(tuple(found.values()))


def saga_effect(saga: Saga) -> bool | None:
    """Whether it changed the cluster or the database; None where that is not known."""
    # A Job that reads the version, or takes a backup, changes neither.
    counted = [
        deed
        for deed in saga.deeds
        if deed.what != JOB or deed.data.get("purpose") not in {"version", "backup"}
    ]
    effects = {deed.effect for deed in counted}
    # One that failed may have come half-way.
    worked = any(deed.what == JOB and deed.data.get("made") for deed in counted)
    if Effect.DONE in effects or worked:
        return True
    return None if Effect.UNKNOWN in effects else False


def saga_words(saga: Saga, *, undone: bool | None = False) -> str:
    """What state service and database are in, as far as the journal tells.

    Args:
        saga: what was done.
        undone: whether the undo is in effect; None where that is not known.
    """
    words = [*_service_words(saga, undone=undone), *_schema_words(saga)]
    return " ".join(words) or "Replicas are as they were; the database was not changed."


def saga_left(saga: Saga, incident: str, *, undone: bool | None = False) -> tuple[str, ...]:
    """What people still have to do: a service at 0 is never left without a word.

    Args:
        saga: what was done.
        incident: its id.
        undone: whether the undo is in effect; None where that is not known.
    """
    words = _service_words(saga, undone=undone)
    resume = f"Or go on with `veza-nb rollback --resume {incident}`."
    return (" ".join([*words, resume]),) if words else ()


def _service_words(saga: Saga, *, undone: bool | None) -> list[str]:
    """Where the replicas are, and how they come back without doing harm."""
    drained = saga.drained
    if drained is None:
        return []
    back = f"`{drained.data.get('back', '')}`"
    is_at = "The service is at 0 replicas" if saga.drained_surely else "The service may be at 0"
    words = [f"{is_at} ({saga.replicas} before)."]
    if saga.moved is not None and undone is not True:
        words.append(
            "Do not just scale it up: the newer release is live, and its schema is gone or in "
            f"doubt. First the schema and the release have to fit each other, then {back}."
        )
    elif saga.jobs("down") and undone is not True:
        words.append(f"See first that the schema is whole; then bring them back with {back}.")
    else:
        words.append(f"Bring them back with {back}.")
    return words


def _schema_words(saga: Saga) -> list[str]:
    """Where the database is."""
    before, down = _version(saga.before), saga.migrated
    if down is not None:
        to = _version(down.data.get("to_version"))
        return [f"The database was taken down to {to} ({before} before)."]
    if saga.moved is not None:
        return [f"Where the database is now is not known ({before} before)."]
    if saga.jobs("down"):
        return ["A migration of the database was tried; see what the last cell says of it."]
    return []


def _version(number: object) -> str:
    return "no version" if number is None else f"version {number}"
