"""What stands around a workload and decides whether going back to a template can work."""

from dataclasses import dataclass
from datetime import datetime

from veza_nb.gitops import Reconciler
from veza_nb.managers import ARGO_NAMESPACE
from veza_nb.quotas import Shortage
from veza_nb.references import Reference
from veza_nb.schemagates import Gate


@dataclass(frozen=True, slots=True)
class Autoscaler:
    """What sets the workload's replicas.

    Attributes:
        name: of the HorizontalPodAutoscaler.
        owner: "KEDA" where a ScaledObject made it, else "".
        minimum: replicas it keeps at least.
        maximum: replicas it allows at most.
    """

    name: str
    owner: str
    minimum: int
    maximum: int


@dataclass(frozen=True, slots=True)
class Referred:
    """An object that the target's template points at.

    Attributes:
        reference: which.
        exists: whether it is there.
        changed_at: when it was written last; None where that is not known.
    """

    reference: Reference
    exists: bool
    changed_at: datetime | None = None


@dataclass(frozen=True, slots=True)
class OnNodes:
    """What the nodes have of the target's images.

    Attributes:
        nodes: how many were looked at.
        missing: images that none of them names.
    """

    nodes: int
    missing: tuple[str, ...]


@dataclass(frozen=True, slots=True)
class Surroundings:
    """What was seen; everything is empty where nobody looked.

    Attributes:
        autoscalers: that scale this workload.
        shortages: quotas that leave too little room.
        referred: what the target's template points at.
        locked: who else holds the lock, as a sentence; "" where nobody does.
        unlock: what to do about that.
        reconcilers: objects of Argo CD or Flux that look after it.
        schema: whether the target can work with the database as it is; None where the
            catalogue does not say how to know.
        argocd_namespace: where Applications are, as far as the workload does not tell.
        on_nodes: what the nodes have of its images; None where nobody looked.
        unseen: what could not be read, and why, one line each.
    """

    autoscalers: tuple[Autoscaler, ...] = ()
    shortages: tuple[Shortage, ...] = ()
    referred: tuple[Referred, ...] = ()
    locked: str = ""
    unlock: str = ""
    reconcilers: tuple[Reconciler, ...] = ()
    schema: Gate | None = None
    argocd_namespace: str = ARGO_NAMESPACE
    on_nodes: OnNodes | None = None
    unseen: tuple[str, ...] = ()


NOTHING_SEEN = Surroundings()
"""Where nobody looked."""
