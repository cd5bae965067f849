"""The words this kit uses, each with one home.

Kubernetes' own terms keep Kubernetes' own spelling; the rest is as design rules name it.
Every enum is a string (or an int, for exit codes) so that it reads well in JSON.
"""

from enum import IntEnum, StrEnum


class PatchType(StrEnum):
    """How a PATCH body is to be read: the value *is* the content type."""

    JSON = "application/json-patch+json"
    MERGE = "application/merge-patch+json"
    STRATEGIC = "application/strategic-merge-patch+json"


class WorkloadKind(StrEnum):
    """The kinds of workload that have a history to go back in, all of apps/v1."""

    DEPLOYMENT = "Deployment"
    STATEFUL_SET = "StatefulSet"
    DAEMON_SET = "DaemonSet"

    @property
    def word(self) -> str:
        """As kubectl takes it: `statefulset`."""
        return self.lower()

    @property
    def resource(self) -> str:
        """As the API's paths and RBAC name it: `statefulsets`."""
        return f"{self.word}s"

    @property
    def revision_kind(self) -> str:
        """What keeps its revisions."""
        return "ReplicaSet" if self is WorkloadKind.DEPLOYMENT else "ControllerRevision"

    @property
    def revisions(self) -> str:
        """The resource that keeps its revisions."""
        return f"{self.revision_kind.lower()}s"


class Severity(StrEnum):
    """How much a finding hurts, worst first."""

    CRITICAL = "critical"
    WARNING = "warning"
    INFO = "info"


class Level(StrEnum):
    """What a guard does to a plan."""

    BLOCK = "block"
    WARN = "warn"
    INFO = "info"


class Decision(StrEnum):
    """The answer of detection. `UNCLEAR` is an answer, never a default to act on."""

    ROLL_BACK = "roll back"
    DO_NOT = "do not roll back"
    UNCLEAR = "unclear"


class Verdict(StrEnum):
    """The answer of one check. Missing data is `INCONCLUSIVE`, never `PASS`."""

    PASS = "pass"
    FAIL = "fail"
    INCONCLUSIVE = "inconclusive"


class OnFailure(StrEnum):
    """What happens to the other services of a group when one of them does not come back."""

    STOP = "stop"
    CONTINUE = "continue"
    PUT_BACK = "put back"


class Item(StrEnum):
    """The nine lines of the runbook's checklist, in its order."""

    TARGET = "previous version identified"
    UNDONE = "rollback executed"
    PODS = "pods running and ready"
    HEALTH = "health checks passing"
    LOGS = "application logs show no errors"
    ENDPOINTS = "critical endpoints responding"
    METRICS = "metrics normalised"
    USERS = "users can access the platform"
    ALERTS = "monitoring alerts cleared"


class RolloutPhase(StrEnum):
    """Where a rollout stands, judged by template and pods, not by conditions alone."""

    COMPLETE = "complete"
    PROGRESSING = "progressing"
    STUCK = "stuck"
    PAUSED = "paused"


class Step(StrEnum):
    """The cells of the main notebook, in order, and what is done besides."""

    OPEN = "open"
    DETECT = "detect"
    HISTORY = "history"
    PLAN = "plan"
    APPROVE = "approve"
    DRAIN = "drain"
    MIGRATE = "migrate"
    UNDO = "undo"
    RESTORE = "restore"
    VERIFY = "verify"
    FURTHER = "further"
    CLOSE = "close"
    GITOPS = "gitops"


class JournalEvent(StrEnum):
    """What a journal line says about its step."""

    INTENT = "intent"
    DONE = "done"
    FAILED = "failed"
    NOTE = "note"
    APPROVAL = "approval"


class Outcome(StrEnum):
    """How an incident's run ended; each has one exit code."""

    RECOVERED = "recovered"
    ERROR = "error"
    USAGE = "usage"
    REFUSED = "refused"
    NOT_RECOVERED = "not recovered"
    INCONCLUSIVE = "inconclusive"
    PARTIAL = "partial"
    INTERRUPTED = "interrupted"
    OPEN = "open"

    @property
    def exit_code(self) -> "ExitCode":
        """The exit code of a command that ended like this."""
        return _EXIT_CODES[self]


class ExitCode(IntEnum):
    """Exit codes of every command that acts."""

    RECOVERED = 0
    ERROR = 1
    USAGE = 2
    REFUSED = 3
    NOT_RECOVERED = 4
    INCONCLUSIVE = 5
    PARTIAL = 6
    INTERRUPTED = 130


_EXIT_CODES = {
    Outcome.RECOVERED: ExitCode.RECOVERED,
    Outcome.ERROR: ExitCode.ERROR,
    Outcome.USAGE: ExitCode.USAGE,
    Outcome.REFUSED: ExitCode.REFUSED,
    Outcome.NOT_RECOVERED: ExitCode.NOT_RECOVERED,
    Outcome.INCONCLUSIVE: ExitCode.INCONCLUSIVE,
    Outcome.PARTIAL: ExitCode.PARTIAL,
    Outcome.INTERRUPTED: ExitCode.INTERRUPTED,
    # A run that never said how it ended was cut off.
    Outcome.OPEN: ExitCode.INTERRUPTED,
}


class Annotation(StrEnum):
    """Annotations the kit reads or writes."""

    REVISION = "deployment.kubernetes.io/revision"
    REVISION_HISTORY = "deployment.kubernetes.io/revision-history"
    DESIRED_REPLICAS = "deployment.kubernetes.io/desired-replicas"
    MAX_REPLICAS = "deployment.kubernetes.io/max-replicas"
    CHANGE_CAUSE = "kubernetes.io/change-cause"
    LAST_APPLIED = "kubectl.kubernetes.io/last-applied-configuration"
    RESTARTED_AT = "kubectl.kubernetes.io/restartedAt"
    VERDICT = "veza.dev/rollback-verdict"
    REPLICAS_BEFORE = "veza.dev/replicas-before"
    DRAINED_BY = "veza.dev/drained-by"
    PAUSED = "veza.dev/paused"


POD_TEMPLATE_HASH = "pod-template-hash"
CONTROLLER_REVISION_HASH = "controller-revision-hash"
"""On pods of StatefulSets: a ControllerRevision's name; of DaemonSets, and on theirs: its hash."""
CONTROLLER_HASH = "controller.kubernetes.io/hash"
"""On ControllerRevisions of StatefulSets: the hash."""
