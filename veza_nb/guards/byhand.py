"""Guards about pods that going back will not replace by itself, so that nobody waits in vain."""

from collections.abc import Iterator

from veza_nb.byhand import Left, left_alone
from veza_nb.guards.case import Case, Guard
from veza_nb.replicasets import pods_of
from veza_nb.vocabulary import Level


def left_by_hand(case: Case) -> Iterator[Guard]:
    """Pods of other templates that only a person can bring to the target."""
    workload = case.workload
    target = (one for one in workload.replicasets if one.metadata.name == case.target.replicaset)
    right = {pod.metadata.uid for one in target for pod in pods_of(one, workload.pods)}
    outdated = [pod for pod in workload.pods if pod.metadata.uid not in right]
    for left in left_alone(workload, outdated):
        yield Guard(left.cause, _level(case, left), left.why, _remedy(case, left))


def _level(case: Case, left: Left) -> Level:
    """Pods below a partition would stay bad for good: that is no rollback."""
    allowed = case.named or case.noop or left.cause != "partition"
    return Level.WARN if allowed else Level.BLOCK


def _remedy(case: Case, left: Left) -> str:
    if left.cause == "partition":
        return f"Take the partition away first, then plan again: `{left.command}`."
    when = "Now" if case.noop else "Right after the undo, while it is followed"
    again = " Then the others, each once the one before it is ready." * (left.cause == "on-delete")
    return f"{when}: `{left.command}`. The pod comes back with the target's template.{again}"
