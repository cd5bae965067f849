"""Pods that a rollout does not replace by itself, and what a person has to do about them.

A Deployment replaces every pod. A StatefulSet brings its pods in order and waits for one that
is not ready, also where that one is the broken release's: going back to a good template does
not go past it. A partition keeps the pods below it as they are, and with OnDelete nothing
happens to any pod until somebody deletes it.
"""

import re
from collections.abc import Iterator, Sequence
from dataclasses import dataclass

from veza_nb.evidence import kubectl
from veza_nb.objects import Deployment, Pod, Workload
from veza_nb.troubles import has_ended, is_ready, is_terminating
from veza_nb.vocabulary import WorkloadKind
from veza_nb.words import count, listing

ON_DELETE = "OnDelete"
CAUSES = ("on-delete", "partition", "stuck-pod")
_ORDINAL = re.compile(r"-([0-9]{1,9})$")


@dataclass(frozen=True, slots=True)
class Left:
    """Pods that stay as they are until somebody does something.

    Attributes:
        cause: one of `CAUSES`.
        pods: their names, the first one to care for first.
        why: one sentence.
        command: what to run.
    """

    cause: str
    pods: tuple[str, ...]
    why: str
    command: str

    @property
    def said(self) -> str:
        """Both, as one line."""
        return f"{self.why} Do: `{self.command}`"


def left_alone(workload: Workload, outdated: Sequence[Pod]) -> tuple[Left, ...]:
    """What keeps these pods from being replaced; empty where the rollout does it by itself.

    Args:
        workload: whose pods.
        outdated: those that are to go, since their template is not the wanted one.
    """
    going = [pod for pod in outdated if not is_terminating(pod) and not has_ended(pod)]
    return tuple(_reasons(workload.deployment, sorted(going, key=_ordinal)))


def _reasons(owner: Deployment, pods: Sequence[Pod]) -> Iterator[Left]:
    if owner.kind is WorkloadKind.DEPLOYMENT or not pods:
        return
    if owner.spec.strategy.type == ON_DELETE:
        yield _on_delete(owner, pods)
        return
    if owner.kind is not WorkloadKind.STATEFUL_SET:
        return
    bound = owner.spec.ordinals.start + _partition(owner)
    kept = [pod for pod in pods if _ordinal(pod) < bound]
    if kept:
        yield _kept(owner, kept)
    unready = [pod for pod in pods if pod not in kept and not is_ready(pod)]
    if unready and owner.spec.pod_management_policy != "Parallel":
        yield _stuck(owner, unready)


def _on_delete(owner: Deployment, pods: Sequence[Pod]) -> Left:
    broken = [pod for pod in pods if not is_ready(pod)]
    return Left(
        "on-delete",
        _names(sorted(pods, key=is_ready)),
        f"The update strategy of this {owner.kind} is OnDelete: {count(len(pods), 'pod')} of "
        "another template stay until somebody deletes them, one after another.",
        # Those that serve only one by one: all at once would be an outage.
        _delete(owner, broken or pods[:1]),
    )


def _kept(owner: Deployment, pods: Sequence[Pod]) -> Left:
    partition = '{"spec":{"updateStrategy":{"rollingUpdate":{"partition":0}}}}'
    return Left(
        "partition",
        _names(pods),
        f"The partition {_partition(owner)} of this {owner.kind} keeps {listing(_names(pods))} "
        "at another template.",
        kubectl(owner.metadata.namespace, "patch", owner.ref, "--type=merge", "-p", partition),
    )


def _stuck(owner: Deployment, pods: Sequence[Pod]) -> Left:
    which, them = ("is", "it") if len(pods) == 1 else ("are", "them")
    return Left(
        "stuck-pod",
        _names(pods),
        f"{listing(_names(pods), limit=9)} {which} not ready: this {owner.kind} waits for {them} "
        f"instead of replacing {them}.",
        _delete(owner, pods),
    )


def _delete(owner: Deployment, pods: Sequence[Pod]) -> str:
    return kubectl(owner.metadata.namespace, "delete", "pod", *_names(pods))


def _partition(owner: Deployment) -> int:
    rolling = owner.spec.strategy.rolling_update
    return rolling.partition if rolling else 0


def _names(pods: Sequence[Pod]) -> tuple[str, ...]:
    return tuple(pod.metadata.name for pod in pods)


def _ordinal(pod: Pod) -> int:
    """A StatefulSet's pods are numbered at the end of their names; 0 for any other."""
    found = _ORDINAL.search(pod.metadata.name)
    return int(found[1]) if found else 0
