"""One operator at a time: a Lease per workload, held while a run may change it.

kubectl's undo knows no lock, and two undos at once both succeed. The Lease names holder,
incident and reason, so that whoever is refused knows whom to call.
"""

import threading
from collections.abc import Callable, Mapping
from contextlib import suppress
from dataclasses import dataclass, field
from datetime import timedelta

from veza_nb.cluster import Cluster
from veza_nb.cluster.leases import Lease, LeaseSpec, create_lease, read_lease, replace_lease
from veza_nb.errors import ConflictError, RefusedError, VezaError

DURATION = 60
"""Seconds without a sign of life after which a lock may be taken over."""
INCIDENT = "veza.dev/incident"
REASON = "veza.dev/reason"


@dataclass(slots=True)
class Lock:
    """The right to change one workload.

    Args:
        cluster: where.
        workload: the Deployment's name.
        holder: operator and host.
        incident: a run of the same incident gets the lock back at once.
        reason: shown to whoever is refused.
    """

    cluster: Cluster
    workload: str
    holder: str
    incident: str
    reason: str
    _lease: Lease | None = None
    _stop: threading.Event = field(default_factory=threading.Event)
    _renewer: threading.Thread | None = None

    @property
    def name(self) -> str:
        """The Lease's name."""
        return f"veza-nb-{self.workload}"

    @property
    def held(self) -> bool:
        """True between `acquire` and `release`."""
        return self._lease is not None

    def acquire(self) -> None:
        """Take the lock and keep it renewed.

        Raises:
            RefusedError: somebody else holds it; names who, since when, and why.
        """
        if self.held:
            return
        present = read_lease(self.cluster, self.name)
        if present is not None and self._taken(present):
            raise self._refusal(present)
        try:
            self._lease = self._write(present)
        except ConflictError as error:
            raise self._refusal(read_lease(self.cluster, self.name)) from error
        self._renewer = threading.Thread(target=self._renew, name="lock-renewer", daemon=True)
        self._renewer.start()

    def release(self) -> None:
        """Give the lock back; a failure is left to the Lease's expiry."""
        self._stop.set()
        if self._renewer is not None:
            self._renewer.join(timeout=2.0)
        lease, self._lease = self._lease, None
        if lease is not None:
            with suppress(VezaError):
                replace_lease(self.cluster, lease, LeaseSpec(lease_duration_seconds=1), {})

    def _taken(self, lease: Lease) -> bool:
        spec = lease.spec
        if not spec.holder_identity or self._mine(lease):
            return False
        seen = spec.renew_time or spec.acquire_time
        if seen is None:
            return False
        return seen + timedelta(seconds=spec.lease_duration_seconds) > self.cluster.clock.now()

    def _mine(self, lease: Lease) -> bool:
        return lease.metadata.annotations.get(INCIDENT) == self.incident

    def _write(self, present: Lease | None) -> Lease:
        now = self.cluster.clock.now()
        spec = LeaseSpec(
            holder_identity=self.holder,
            lease_duration_seconds=DURATION,
            acquire_time=now,
            renew_time=now,
            lease_transitions=0 if present is None else present.spec.lease_transitions + 1,
        )
        if present is None:
            return create_lease(self.cluster, self.name, spec, self._annotations())
        return replace_lease(self.cluster, present, spec, self._annotations())

    def _annotations(self) -> Mapping[str, str]:
        return {INCIDENT: self.incident, REASON: self.reason}

    def _renew(self) -> None:
        while not self._stop.wait(DURATION / 3):
            lease = self._lease
            if lease is None:
                return
            with suppress(VezaError):  # tried again at the next turn, three per duration
                self._lease = _renewed(self.cluster, lease, self._annotations)

    def _refusal(self, lease: Lease | None) -> RefusedError:
        if lease is None:
            return RefusedError(
                f"The lock on {self.workload} changed hands.", next_step="Try again."
            )
        spec, notes = lease.spec, lease.metadata.annotations
        since = f"{spec.acquire_time:%H:%M:%S} UTC" if spec.acquire_time else "an unknown time"
        why = notes.get(REASON) or "no reason given"
        return RefusedError(
            f"{spec.holder_identity} has been working on {self.workload} since {since} "
            f"(incident {notes.get(INCIDENT, 'unknown')}: {why}).",
            next_step=f"Talk to them; without a sign of life it opens after {DURATION} s.",
            data={"holder": spec.holder_identity, "incident": notes.get(INCIDENT, "")},
        )


def _renewed(cluster: Cluster, lease: Lease, annotations: Callable[[], Mapping[str, str]]) -> Lease:
    spec = LeaseSpec(
        holder_identity=lease.spec.holder_identity,
        lease_duration_seconds=lease.spec.lease_duration_seconds,
        acquire_time=lease.spec.acquire_time,
        renew_time=cluster.clock.now(),
        lease_transitions=lease.spec.lease_transitions,
    )
    return replace_lease(cluster, lease, spec, annotations())
