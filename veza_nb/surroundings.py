"""What stands around a Deployment and decides whether going back to a template can work."""

from dataclasses import dataclass
from datetime import datetime

from veza_nb.quotas import Shortage
from veza_nb.references import Reference


@dataclass(frozen=True, slots=True)
class Autoscaler:
    """What sets the Deployment's replicas.

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
class Surroundings:
    """What was seen; everything is empty where nobody looked.

    Attributes:
        autoscalers: that scale this Deployment.
        shortages: quotas that leave too little room.
        referred: what the target's template points at.
        locked: who else holds the lock, as a sentence; "" where nobody does.
        unlock: what to do about that.
        unseen: what could not be read, and why, one line each.
    """

    autoscalers: tuple[Autoscaler, ...] = ()
    shortages: tuple[Shortage, ...] = ()
    referred: tuple[Referred, ...] = ()
    locked: str = ""
    unlock: str = ""
    unseen: tuple[str, ...] = ()


NOTHING_SEEN = Surroundings()
"""Where nobody looked."""
