"""Every reason why the kit cannot continue, as one tree.

    VezaError                    exit 1   what happened, the cluster's state, what to do next
    ├── UsageError               exit 2   wrong parameter, option or order of cells
    │   ├── CatalogError                  the services file is broken (file, line)
    │   ├── KubeconfigError               no kubeconfig, broken, or no such context
    │   ├── NotFoundError                 service, namespace or workload is not there
    │   └── RecordFolderError             the records folder cannot be used
    ├── RefusedError             exit 3   a guard, a lock or a missing approval; nothing changed
    │   ├── ApprovalPendingError          a person is being asked; nothing goes on before
    │   ├── ForbiddenError                the cluster denies a verb on a resource
    │   ├── UnauthorizedError             token expired or unknown
    │   ├── ConflictError                 the object changed since the plan
    │   ├── IncidentInUseError            another process works on this incident
    │   └── InvalidError                  the API server finds the request invalid (422)
    ├── UnreachableError         exit 1   no connection, TLS failure, or no answer in time
    ├── ServerError              exit 1   the API server answered 5xx, 429 or nonsense
    ├── RecordError              exit 1   the record cannot be written or read any more
    ├── NotRecoveredError        exit 4   acted; the service is not back
    ├── InconclusiveError        exit 5   acted; not enough data to say that it is back
    ├── PartialError             exit 6   several services: some are back, some are not
    └── InterruptedRunError      exit 130 stopped by a person; the journal says where

Outcomes are values; these are for "cannot continue". `NotRecoveredError` and
`InconclusiveError` exist so that the last cell can make papermill fail after the record
has been written. Vendor exceptions end in `cluster`, `probes` and `runner`.
"""

from collections.abc import Mapping
from types import MappingProxyType
from typing import ClassVar

from veza_nb.vocabulary import Outcome

NOTHING_CHANGED = "Nothing was changed in the cluster."


class VezaError(Exception):
    """Base of the tree.

    Attributes:
        what: what happened, one sentence.
        state: what state the cluster is in, one sentence.
        next_step: what the operator does next, one sentence.
        data: facts for the record (JSON values).
    """

    outcome: ClassVar[Outcome] = Outcome.ERROR

    def __init__(
        self,
        what: str,
        *,
        next_step: str = "",
        state: str = NOTHING_CHANGED,
        data: Mapping[str, object] = MappingProxyType({}),
    ) -> None:
        super().__init__(what)
        self.what = what
        self.state = state
        self.next_step = next_step
        self.data = dict(data)

    def __str__(self) -> str:
        return " ".join(part for part in (self.what, self.state, self.next_step) if part)

    def _render_traceback_(self) -> list[str]:
        """What a notebook shows instead of a traceback: IPython asks for this."""
        parts = [f"{type(self).__name__}: {self.what}", self.state, self.next_step]
        return [part for part in parts if part]

    @property
    def exit_code(self) -> int:
        """The exit code of a command ended by this error."""
        return int(self.outcome.exit_code)


class UsageError(VezaError):
    """Wrong parameter, option or order of cells."""

    outcome = Outcome.USAGE


class CatalogError(UsageError):
    """The services file is broken; `what` carries file and line."""


class KubeconfigError(UsageError):
    """No kubeconfig, a broken one, or no such context in it."""


class NotFoundError(UsageError):
    """A service, namespace or workload that is not there."""


class RecordFolderError(UsageError):
    """The records folder cannot be used: not writable, not a folder, no room."""


class RefusedError(VezaError):
    """A guard, a lock or a missing approval stopped the run before any change."""

    outcome = Outcome.REFUSED


class ApprovalPendingError(RefusedError):
    """A person is being asked for approval: not a failure, but nothing goes on before it."""


class ForbiddenError(RefusedError):
    """The cluster denies a verb on a resource; `data` has `verb`, `resource`, `namespace`."""


class UnauthorizedError(RefusedError):
    """The API server does not know this token or certificate (any more)."""


class ConflictError(RefusedError):
    """The object changed since the plan was made: its precondition does not hold."""


class IncidentInUseError(RefusedError):
    """Another process works on this incident; `data` has `pid`, `host`, `operator`, `since`."""


class InvalidError(RefusedError):
    """The API server finds the request invalid, or a JSON patch's test does not hold (422)."""


class UnreachableError(VezaError):
    """No connection, TLS failure, or no answer before the deadline.

    Attributes:
        sent: whether the request may have reached the server.
    """

    sent = True


class ServerError(VezaError):
    """The API server answered 5xx, 429 or something that is not Kubernetes.

    Attributes:
        code: HTTP status code.
        retry_after: seconds the server asked to wait, or None.
    """

    def __init__(
        self,
        what: str,
        *,
        code: int,
        retry_after: float | None = None,
        next_step: str = "",
        state: str = NOTHING_CHANGED,
    ) -> None:
        super().__init__(what, next_step=next_step, state=state)
        self.code = code
        self.retry_after = retry_after


class RecordError(VezaError):
    """The record cannot be written or read."""


class NotRecoveredError(VezaError):
    """Acted, and the service is not back."""

    outcome = Outcome.NOT_RECOVERED


class InconclusiveError(VezaError):
    """Acted, and there is not enough data to say that the service is back."""

    outcome = Outcome.INCONCLUSIVE


class PartialError(VezaError):
    """Of several services some are back, some are not."""

    outcome = Outcome.PARTIAL


class InterruptedRunError(VezaError):
    """A person stopped the run (Ctrl-C, stop button); the journal says where."""

    outcome = Outcome.INTERRUPTED
