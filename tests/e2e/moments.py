"""The moments at which runs are cut off: the boundaries of the journal of a run that goes well."""

import json
import os
from dataclasses import asdict, dataclass
from pathlib import Path

BREAKING = Path(__file__).with_name("breaking")
"""On PYTHONPATH, it makes Python break the run that VEZA_BREAK describes."""


@dataclass(frozen=True, slots=True)
class Moment:
    """One place in a journal.

    Attributes:
        says: what it is for people; the row's name in the table.
        step: of the line.
        event: of the line.
        number: the how manieth line of that step and event.
        half: only half of the line is on the disk.
        before_next: everything up to the next line was done, and that is not begun yet.
    """

    says: str
    step: str
    event: str
    number: int = 1
    half: bool = False
    before_next: bool = False

    @property
    def approved(self) -> bool:
        """Whether the approval is on the disk by then."""
        return MOMENTS.index(self) > MOMENTS.index(_HALF_APPROVED)

    @property
    def intended(self) -> bool:
        """Whether the undo's intent is on the disk by then."""
        return MOMENTS.index(self) > MOMENTS.index(_HALF_INTENDED)

    def breaking(self, what: str) -> dict[str, str]:
        """The environment in which that is done to a run at this moment."""
        order = {**asdict(self), "what": what}
        path = filter(None, (str(BREAKING), os.environ.get("PYTHONPATH")))
        return {"PYTHONPATH": os.pathsep.join(path), "VEZA_BREAK": json.dumps(order)}


_HALF_APPROVED = Moment("half of the approval is written", "approve", "approval", half=True)
_HALF_INTENDED = Moment("half of the undo's intent is written", "undo", "intent", half=True)
INTENDED = Moment("the undo's intent is written, nothing sent", "undo", "intent")
SENT = Moment("the undo is sent, its result not written", "undo", "intent", before_next=True)
UNDONE = Moment("the undo's result is written", "undo", "done")
MOMENTS = (
    Moment("opened", "open", "done"),
    Moment("detected", "detect", "done"),
    Moment("history read", "history", "done"),
    Moment("planned", "plan", "done"),
    _HALF_APPROVED,
    Moment("approved", "approve", "approval"),
    Moment("the lock is taken, no intent written", "approve", "approval", before_next=True),
    _HALF_INTENDED,
    INTENDED,
    SENT,
    Moment("half of the undo's result is written", "undo", "done", half=True),
    UNDONE,
    Moment("the rollout is through, no verdict written", "undo", "done", before_next=True),
    Moment("verified", "verify", "done"),
    Moment("half of the outcome is written", "close", "done", half=True),
    Moment("the outcome is written", "close", "done"),
    Moment("a mark's intent is written", "close", "intent"),
    Moment("the mark is left, its result not written", "close", "intent", before_next=True),
    Moment("both marks are left", "close", "done", number=3),
)
