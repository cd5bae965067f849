"""One process at a time works on an incident: a lock of the operating system on its folder.

The lock ends with the process that holds it, also by kill -9, so nothing is ever left locked.
It keeps two runs of one incident from writing into one record; the Lease in the cluster keeps
two incidents from changing one workload.
"""

import fcntl
import json
import os
import socket
import threading
from contextlib import suppress
from pathlib import Path

from veza_nb.clock import Clock, Deadline, timestamp
from veza_nb.errors import IncidentInUseError, RecordFolderError

WRITER = ".writer"
"""Held by whoever writes the journal: a notebook's kernel."""
RUNNER = ".runner"
"""Held by a headless run, which writes placeholder, executed notebook and page."""
PATIENCE = 3.0
"""Seconds for which a lock is waited for: a kernel sees within one that its run was killed."""
PAUSE = 0.05

_held: dict[Path, tuple[int, int]] = {}
"""Path of a lock to its descriptor and to the process that took it."""
_mutex = threading.Lock()


def occupy(folder: Path, name: str, *, actor: str, clock: Clock) -> bool:
    """Take a lock, unless this process has it already.

    Args:
        folder: the incident's.
        name: `WRITER` or `RUNNER`.
        actor: told to whoever is refused.
        clock: for the patience.

    Returns:
        Whether it was taken now.

    Raises:
        IncidentInUseError: another process has it; names process, host and operator.
        RecordFolderError: the folder is gone or cannot be written.
    """
    path = folder.absolute() / name
    with _mutex:
        if _ours(path):
            return False
        _drop(path)
        _held[path] = (_taken(path, actor, clock), os.getpid())
        return True


def vacate(folder: Path, name: str) -> None:
    """Give a lock back; one that is not held is none to give."""
    with _mutex:
        _drop(folder.absolute() / name)


def _ours(path: Path) -> bool:
    """Whether this very process holds it, and the file is still the one that is there."""
    descriptor, process = _held.get(path, (-1, 0))
    if process != os.getpid():
        return False
    try:
        return os.path.samestat(os.fstat(descriptor), path.stat())
    except OSError:
        return False


def _drop(path: Path) -> None:
    """Close it, and take its file away where it is our own: a record holds no locks."""
    ours = _ours(path)
    descriptor, _ = _held.pop(path, (-1, 0))
    if ours:
        with suppress(OSError):
            path.unlink()
    if descriptor >= 0:
        # Closing a copy that a fork brought along leaves the parent its lock.
        os.close(descriptor)


def _taken(path: Path, actor: str, clock: Clock) -> int:
    """The descriptor of a lock that is ours, once it is."""
    deadline = Deadline.after(clock, PATIENCE)
    while True:
        descriptor = _opened(path)
        try:
            fcntl.flock(descriptor, fcntl.LOCK_EX | fcntl.LOCK_NB)
            # Whoever had it may have taken the file away in between: then it locks nothing.
            if os.path.samestat(os.fstat(descriptor), path.stat()):
                _sign(descriptor, actor, clock)
                return descriptor
        except FileNotFoundError:
            pass
        except BlockingIOError:
            if deadline.passed:
                refusal = _in_use(descriptor, path.parent)
                os.close(descriptor)
                raise refusal from None
            clock.sleep(PAUSE)
        os.close(descriptor)


def _opened(path: Path) -> int:
    try:
        return os.open(path, os.O_RDWR | os.O_CREAT | os.O_CLOEXEC, 0o600)
    except OSError as error:
        raise RecordFolderError(
            f"{path.parent}: the records folder cannot be used: {error.strerror or error}.",
            next_step="Bring the folder back, or begin a new incident.",
        ) from error


def _sign(descriptor: int, actor: str, clock: Clock) -> None:
    """Leave word for whoever comes; a disk without room is no reason to let nobody in."""
    said = {
        "pid": os.getpid(),
        "host": socket.gethostname(),
        "operator": actor,
        "since": timestamp(clock.now()),
    }
    with suppress(OSError):
        os.ftruncate(descriptor, 0)
        os.pwrite(descriptor, json.dumps(said).encode(), 0)


def _in_use(descriptor: int, folder: Path) -> IncidentInUseError:
    try:
        said = json.loads(os.pread(descriptor, 4096, 0))
        who = f"{said['operator']} (process {said['pid']} on {said['host']})"
        since = f" since {said['since'][11:19]} UTC"
    except (OSError, ValueError, KeyError, TypeError):
        said, who, since = {}, "another process", ""
    return IncidentInUseError(
        f"{who} has been working on incident {folder.name}{since}.",
        state="This run changed nothing and wrote nothing into the record.",
        next_step="Wait for it, or end it (in JupyterLab: shut its kernel down); "
        "then run this again.",
        data=said,
    )
