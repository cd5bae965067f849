"""What stands beside a service and may suffer, or make it suffer: plain facts of one look.

A rollback cures what the release broke. It cures no database, no node and no ConfigMap; so
detection looks at them before it says "roll back".
"""

from dataclasses import dataclass
from datetime import datetime
from decimal import Decimal
from enum import StrEnum

from veza_nb.surroundings import Referred


class Role(StrEnum):
    """What a neighbour is to the service."""

    NEEDED = "needed"
    DEPENDENT = "dependent"
    OTHER = "other"


@dataclass(frozen=True, slots=True)
class Neighbour:
    """A workload or Service that is not the one in question.

    Attributes:
        role: what it is to the service: one that it needs, one that needs it, or neither.
        kind: "deployment", "statefulset" or "service", as kubectl spells it.
        name: its name.
        namespace: where it is.
        wanted: pods that should serve; of a Service, its endpoints.
        ready: those that do.
        since: since when it has been so, at the earliest that its status still tells; None
            where it does not.
        changed_at: when its rollout last moved; None where that is not known.
    """

    role: Role
    kind: str
    name: str
    namespace: str
    wanted: int
    ready: int
    since: datetime | None = None
    changed_at: datetime | None = None

    @property
    def down(self) -> bool:
        """Nothing of it serves, and something should."""
        return self.wanted > 0 and self.ready <= 0

    @property
    def ailing(self) -> bool:
        """Less of it serves than should."""
        return self.ready < self.wanted

    def __str__(self) -> str:
        return f"{self.kind}/{self.name}"


@dataclass(frozen=True, slots=True)
class NodeState:
    """A node that carries pods of the service.

    Attributes:
        name: of the node.
        troubles: what is wrong with it in Kubernetes' words: "NotReady", "MemoryPressure", …;
            empty where nothing is.
        cordoned: new pods are kept off it on purpose.
        since: when the first of its troubles began; None where it has none, or does not tell.
        message: what the kubelet says about it, one line.
    """

    name: str
    troubles: tuple[str, ...]
    cordoned: bool
    since: datetime | None
    message: str


@dataclass(frozen=True, slots=True)
class Usage:
    """What one container takes.

    Attributes:
        pod: its pod.
        container: its name.
        cpu: cores; None where that was not measured.
        memory: bytes; None where that was not measured.
        at: when it was measured.
    """

    pod: str
    container: str
    cpu: Decimal | None
    memory: Decimal | None
    at: datetime | None


@dataclass(frozen=True, slots=True)
class Neighbourhood:
    """All of it; everything is empty where nobody looked.

    Attributes:
        usage: what the service's containers take.
        neighbours: other workloads of the application.
        nodes: that carry pods of the service which are not ready.
        contents: ConfigMaps and Secrets that the live template points at.
        unseen: what could not be read, and why, one line each.
    """

    usage: tuple[Usage, ...] = ()
    neighbours: tuple[Neighbour, ...] = ()
    nodes: tuple[NodeState, ...] = ()
    contents: tuple[Referred, ...] = ()
    unseen: tuple[str, ...] = ()


NOBODY_LOOKED = Neighbourhood()
"""Where nobody looked."""
