"""Findings read off what containers take, against what they may take.

A container at its memory limit is about to be killed, one at its CPU limit is slowed down. What
is not measured is not known: it is named, and never taken for little.
"""

from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from datetime import timedelta
from decimal import Decimal

from veza_nb.evidence import Evidence, Finding
from veza_nb.neighbourhood import Usage
from veza_nb.objects import Pod
from veza_nb.quotas import amount, spelled
from veza_nb.replicasets import live_replicaset, pods_of
from veza_nb.scene import Scene
from veza_nb.vocabulary import Severity
from veza_nb.words import count, listing, utc

CLOSE = Decimal("0.85")
"""So much of a limit is close to it."""
STALE = timedelta(minutes=5)
"""Older measurements tell nothing about now; they are taken every 15 s or every minute."""
_SHOWN = 5
_KINDS = (
    ("memory", "MemoryNearLimit", "close to the memory limit: beyond it a container is killed"),
    ("cpu", "CPUAtLimit", "close to the CPU limit: there a container is slowed down"),
)


@dataclass(frozen=True, slots=True)
class _Load:
    """A container's use of one resource that it has a limit for."""

    usage: Usage
    used: Decimal
    limit: Decimal
    new: bool

    @property
    def close(self) -> bool:
        return self.used >= CLOSE * self.limit


def usage_findings(scene: Scene) -> Iterator[Finding]:
    """Containers close to their limits: one finding for memory, one for CPU."""
    for resource, reason, meaning in _KINDS:
        loads = tuple(_loads(scene, resource))
        close = sorted((one for one in loads if one.close), key=_share, reverse=True)
        if close:
            yield _finding(scene, (resource, reason, meaning), close, loads)


def _finding(
    scene: Scene, kind: tuple[str, str, str], close: Sequence[_Load], loads: Sequence[_Load]
) -> Finding:
    resource, reason, meaning = kind
    pods = list(dict.fromkeys(one.usage.pod for one in close))
    return Finding(
        reason=reason,
        severity=Severity.WARNING,
        summary=f"{count(len(pods), 'pod')} ({listing(pods)}) {meaning}; "
        f"{_told(resource, close[0])}.",
        evidence=tuple(_evidence(scene, resource, one) for one in close[:_SHOWN]),
        from_release=_blame(close, loads),
    )


def _blame(close: Sequence[_Load], loads: Sequence[_Load]) -> bool | None:
    """Older pods that were measured are the comparison; without one nobody is blamed."""
    if not all(one.new for one in close):
        return False
    return True if any(not one.new for one in loads) else None


def _loads(scene: Scene, resource: str) -> Iterator[_Load]:
    live = live_replicaset(scene.workload)
    mine = {pod.metadata.uid for pod in pods_of(live, scene.workload.pods)} if live else set()
    pods = {pod.metadata.name: pod for pod in scene.workload.pods}
    for one in scene.beside.usage:
        pod = pods.get(one.pod)
        used = one.memory if resource == "memory" else one.cpu
        limit = _limit(pod, one.container, resource) if pod else None
        if pod is None or used is None or not limit or _stale(scene, one):
            continue
        yield _Load(one, used, limit, pod.metadata.uid in mine)


def _limit(pod: Pod, container: str, resource: str) -> Decimal | None:
    """What the container may take; None where it has no limit, or one that is no number."""
    for one in pod.spec.containers:
        limit = amount(one.resources.limits.get(resource, "")) if one.name == container else None
        if limit is not None and limit.is_finite() and limit > 0:
            return limit
    return None


def _stale(scene: Scene, usage: Usage) -> bool:
    return usage.at is not None and scene.now - utc(usage.at) > STALE


def _share(load: _Load) -> Decimal:
    return load.used / load.limit


def _told(resource: str, load: _Load) -> str:
    """`api takes 496Mi of 512Mi (97 %)`."""
    exact = load.used.to_integral_value() if resource == "memory" else load.used
    whole = _rounded(exact) if resource == "memory" else spelled(exact)
    share = f"{_share(load) * 100:.0f} %"
    return f"{load.usage.container} takes {whole} of {spelled(load.limit)} ({share})"


def _rounded(size: Decimal) -> str:
    """Bytes as people compare them with a limit: whole Mi."""
    mebi = Decimal(2**20)
    return f"{size / mebi:.0f}Mi" if size >= mebi else spelled(size)


def _evidence(scene: Scene, resource: str, load: _Load) -> Evidence:
    labels = scene.workload.deployment.spec.selector.match_labels.items()
    chosen = ",".join(f"{key}={value}" for key, value in sorted(labels))
    words = ["top", "pods", *(["-l", chosen] if chosen else [load.usage.pod]), "--containers"]
    return Evidence(
        kind="PodMetrics",
        name=load.usage.pod,
        detail=f"{resource}: {_told(resource, load)}",
        at=load.usage.at,
        command=scene.kubectl(*words),
    )
