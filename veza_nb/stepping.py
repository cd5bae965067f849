"""Around every cell: whatever ends a step early is written down, then let through."""

from collections.abc import Iterator
from contextlib import contextmanager

from veza_nb.errors import ApprovalPendingError, UsageError, VezaError
from veza_nb.interrupting import interrupted
from veza_nb.opening import Opened
from veza_nb.vocabulary import Step


@contextmanager
def during(opened: Opened, step: Step) -> Iterator[None]:
    """Write down whatever ends a step, give the lock back, then let it through.

    Raises:
        InterruptedRunError: a person stopped it.
        IncidentInUseError: another process works on this incident by now.
    """
    opened.logbook.hold()
    try:
        yield
    except ApprovalPendingError:
        raise
    except VezaError as error:
        opened.lock.release()  # taken again by the next undo; nobody waits for it meanwhile
        opened.logbook.failed(step, error)
        raise
    except KeyboardInterrupt as error:
        stopped = interrupted(opened, step)
        opened.lock.release()
        opened.logbook.failed(step, stopped)
        raise stopped from error


def run_first(cell: str) -> UsageError:
    """That cell comes before this one."""
    return UsageError(
        f"The cell {cell!r} has not been run.", next_step=f"Run the cell {cell!r} first."
    )
