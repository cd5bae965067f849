"""One operator at a time: a Lease per workload, held while a run may change it.

kubectl's undo knows no lock, and two undos at once both succeed. The Lease names holder,
incident and reason, so that whoever is refused knows whom to call.

All times in it are the API server's, as far as it tells them: an operator's machine whose
clock is wrong neither takes a lock that is alive nor leaves one that looks dead.
"""

import os
import re
import socket
import threading
from collections.abc import Callable, Mapping
from contextlib import suppress
from dataclasses import dataclass, field
from datetime import datetime, timedelta
from pathlib import Path

import msgspec

from veza_nb.clock import Deadline
from veza_nb.cluster import Cluster
from veza_nb.cluster.leases import Lease, LeaseSpec, create_lease, read_lease, replace_lease
from veza_nb.errors import (
    ConflictError,
    NotFoundError,
    RefusedError,
    ServerError,
    UnreachableError,
    VezaError,
)
from veza_nb.vocabulary import WorkloadKind

DURATION = 60
"""Seconds without a sign of life after which a lock may be taken over."""
LOOK_EVERY = 5.0
"""Seconds between two looks for a sign of life, where the server does not tell the time."""
DOUBT = timedelta(seconds=2)
"""How far two machines may be apart about the server's time: its answers tell whole seconds."""
INCIDENT = "veza.dev/incident"
REASON = "veza.dev/reason"
_PROCESS = re.compile(r"@(?P<host>[^@]+) \(pid (?P<pid>[0-9]{1,9})\)$")


LONGEST = 3600
"""Seconds after which a lock is not renewed any more, and so opens."""


def lease_name(workload: str, kind: WorkloadKind = WorkloadKind.DEPLOYMENT) -> str:
    """The name of a workload's Lease: one of each kind may have the same name."""
    # No Deployment's name makes a Lease that begins with the dot.
    other = kind is not WorkloadKind.DEPLOYMENT
    return f"veza-nb.{kind.word}.{workload}" if other else f"veza-nb-{workload}"


@dataclass(slots=True, eq=False)
class _Hold:
    """A lock while it is held: its Lease as last seen, and what keeps that alive."""

    lease: Lease
    lost: bool = False
    writing: threading.Lock = field(default_factory=threading.Lock)
    stop: threading.Event = field(default_factory=threading.Event)
    renewer: threading.Thread | None = None


@dataclass(slots=True)
class Lock:
    """The right to change one workload.

    Args:
        cluster: where.
        workload: its name; the cluster knows its kind.
        holder: operator and host, as "kim@host"; the process is added.
        incident: a run of the same incident gets the lock back at once when the process that
            held it on this host has ended.
        reason: shown to whoever is refused.
        duration: seconds without a sign of life after which it may be taken over.
    """

    cluster: Cluster
    workload: str
    holder: str
    incident: str
    reason: str
    duration: int = DURATION
    _hold: _Hold | None = field(default=None, init=False)

    @property
    def name(self) -> str:
        """The Lease's name."""
        return lease_name(self.workload, self.cluster.kind)

    @property
    def held(self) -> bool:
        """True between `acquire` and `release`, unless it was seen to be lost."""
        return self._hold is not None and not self._hold.lost

    def acquire(self, *, force: str = "") -> str:
        """Take the lock and keep it renewed; where it is held, `confirm` it.

        Args:
            force: why it is to be taken from whoever holds it; "" takes it from nobody.

        Returns:
            From whom it was taken by force, as a sentence; "" where nobody held it.

        Raises:
            RefusedError: somebody else holds it; names who, since when, and why.
        """
        if self.held:
            self.confirm()
            self._renew(self._hold)
            return ""
        present = self._read()
        taken = ""
        if present is not None and not (force and self._held_by_other(present)):
            if not self._free(present):
                raise self._refusal(present)
        elif present is not None:
            taken = self._refusal(present).what
        try:
            lease = self._take(present)
        except ConflictError as error:
            raise self._refusal(self._read()) from error
        except (UnreachableError, ServerError) as error:
            lease = self._after_all(error)
        self._hold = _Hold(lease)
        self._renew(self._hold)
        return taken

    def _renew(self, hold: _Hold | None) -> None:
        """See to it that it is renewed: whoever acts again after an hour begins a new one."""
        if hold is None or (hold.renewer is not None and hold.renewer.is_alive()):
            return
        hold.renewer = threading.Thread(
            target=self._keep, args=(hold,), name="lock-renewer", daemon=True
        )
        hold.renewer.start()

    def _after_all(self, error: VezaError) -> Lease:
        """Look whether it is ours though there was no good answer; else the error goes on."""
        with suppress(VezaError):
            present = self._read()
            if present is not None and self._ours(present):
                return present
        raise error

    def confirm(self) -> None:
        """Make sure that the lock is still ours and stays so for at least half its duration.

        Raises:
            RefusedError: it is not; names who has it now, since when, and why.
        """
        hold = self._hold
        present = self._read()
        if hold is None or present is None or not self._ours(present):
            self._mark_lost(hold)
            raise self._refusal(present)
        left = self._left(present)
        if left is None or left < timedelta(seconds=self.duration / 2):
            self._rewrite(hold, self._renewed)
            if hold.lost:
                raise self._refusal(self._read())

    def other(self) -> RefusedError | None:
        """Who else holds it now, as the refusal that `acquire` would meet; None where it is free.

        A lock that has expired counts as free here; `acquire` looks more closely.
        """
        present = self._read()
        if present is None or not self._held_by_other(present):
            return None
        return self._refusal(present)

    def _held_by_other(self, lease: Lease) -> bool:
        """Whether somebody else is alive in it, as far as one look tells."""
        if not lease.spec.holder_identity or self._ours(lease):
            return False
        left = self._left(lease)
        silent = left is not None and left < -DOUBT
        return not (silent or self._left_behind(lease))

    def release(self) -> None:
        """Give the lock back; a failure is left to the Lease's expiry."""
        hold, self._hold = self._hold, None
        if hold is None:
            return
        hold.stop.set()
        if hold.renewer is not None:
            hold.renewer.join(timeout=2.0)
        if not hold.lost:
            with suppress(VezaError):
                self._rewrite(hold, _given_back)

    @property
    def _identity(self) -> str:
        return f"{self.holder} (pid {os.getpid()})"

    def _now(self) -> datetime:
        return self.cluster.transport.server_now() or self.cluster.clock.now()

    def _read(self) -> Lease | None:
        return read_lease(self.cluster, self.name)

    def _ours(self, lease: Lease) -> bool:
        return lease.spec.holder_identity == self._identity and self._same_incident(lease)

    def _same_incident(self, lease: Lease) -> bool:
        return lease.metadata.annotations.get(INCIDENT) == self.incident

    def _free(self, lease: Lease) -> bool:
        return not lease.spec.holder_identity or self._left_behind(lease) or self._silent(lease)

    def _left_behind(self, lease: Lease) -> bool:
        """True where a run of this incident on this host ended without giving it back."""
        found = _PROCESS.search(lease.spec.holder_identity)
        if found is None or not self._same_incident(lease):
            return False
        return found["host"] == socket.gethostname() and _ended(int(found["pid"]))

    def _silent(self, lease: Lease) -> bool:
        """True where it has expired, by a clock that can be trusted."""
        left = self._left(lease)
        if left is not None and left > -DOUBT:
            return False
        return self.cluster.transport.server_now() is not None or self._stays(lease)

    def _left(self, lease: Lease) -> timedelta | None:
        return None if lease.expiry is None else lease.expiry - self._now()

    def _stays(self, lease: Lease) -> bool:
        """Watch it for its whole duration: whoever is alive renews it meanwhile."""
        seconds = lease.spec.lease_duration_seconds or self.duration
        deadline = Deadline.after(self.cluster.clock, seconds)
        while not deadline.passed:
            self.cluster.clock.sleep(min(LOOK_EVERY, deadline.left))
            present = self._read()
            if present is None or _version(present) != _version(lease):
                return False
        return True

    def _take(self, present: Lease | None) -> Lease:
        now = self._now()
        spec = LeaseSpec(
            holder_identity=self._identity,
            lease_duration_seconds=self.duration,
            acquire_time=now,
            renew_time=now,
            lease_transitions=0 if present is None else present.spec.lease_transitions + 1,
        )
        if present is None:
            return create_lease(self.cluster, self.name, spec, self._notes)
        return replace_lease(self.cluster, present, spec, self._notes)

    @property
    def _notes(self) -> Mapping[str, str]:
        return {INCIDENT: self.incident, REASON: self.reason}

    def _keep(self, hold: _Hold) -> None:
        # A notebook that was left open must not lock everybody out for ever.
        for _ in range(LONGEST * 3 // self.duration):
            if hold.stop.wait(self.duration / 3):
                return
            with suppress(VezaError):  # tried again at the next turn, three per duration
                self._rewrite(hold, self._renewed)

    def _renewed(self, spec: LeaseSpec) -> LeaseSpec:
        return msgspec.structs.replace(spec, renew_time=self._now())

    def _rewrite(self, hold: _Hold, change: Callable[[LeaseSpec], LeaseSpec]) -> None:
        """Replace our Lease; where it is not as last seen, find out whether it is ours still.

        A renewal whose answer was lost leaves us with an old version of our own Lease.
        """
        with hold.writing:
            try:
                hold.lease = self._replaced(hold.lease, change)
            except (ConflictError, NotFoundError):
                present = self._read()
                if present is None or not self._ours(present):
                    self._mark_lost(hold)
                else:
                    hold.lease = self._replaced(present, change)

    def _replaced(self, lease: Lease, change: Callable[[LeaseSpec], LeaseSpec]) -> Lease:
        spec = change(lease.spec)
        return replace_lease(self.cluster, lease, spec, self._notes if spec.holder_identity else {})

    def _mark_lost(self, hold: _Hold | None) -> None:
        if hold is not None:
            hold.lost = True
            hold.stop.set()

    def _refusal(self, lease: Lease | None) -> RefusedError:
        if lease is None or not lease.spec.holder_identity:
            return RefusedError(
                f"The lock on {self.workload} is not ours (any more), and nobody else's.",
                next_step="Run the step again.",
            )
        spec, notes = lease.spec, lease.metadata.annotations
        since = f"{spec.acquire_time:%H:%M:%S} UTC" if spec.acquire_time else "an unknown time"
        why = notes.get(REASON) or "no reason given"
        return RefusedError(
            f"{spec.holder_identity} has been working on {self.workload} since {since} "
            f"(incident {notes.get(INCIDENT, 'unknown')}: {why}).",
            next_step=(
                f"Talk to them; without a sign of life it opens after {self.duration} s. Only if "
                "you are sure that nobody works on it: "
                f"kubectl -n {self.cluster.namespace} delete lease {self.name}"
            ),
            data={"holder": spec.holder_identity, "incident": notes.get(INCIDENT, "")},
        )


def _given_back(spec: LeaseSpec) -> LeaseSpec:
    return LeaseSpec(lease_duration_seconds=1, lease_transitions=spec.lease_transitions)


def _version(lease: Lease) -> tuple[str, str]:
    return lease.metadata.uid, lease.metadata.resource_version


def _ended(pid: int) -> bool:
    """True where no such process runs on this host, or it is this one."""
    if pid == os.getpid():
        return True
    try:
        os.kill(pid, 0)
    except ProcessLookupError:
        return True
    except OSError:
        return False  # it is somebody else's
    return _is_zombie(pid)


def _is_zombie(pid: int) -> bool:
    """Whether it has died, and only nobody has asked how yet: where /proc tells."""
    try:
        told = Path(f"/proc/{pid}/stat").read_text("ascii", "replace")
    except OSError:
        return False
    return told.rpartition(")")[2].split()[:1] in (["Z"], ["X"])
