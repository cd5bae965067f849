"""What speaks against a plan: blocks, warnings and notes, each with its remedy."""

from veza_nb.guards import (
    basics,
    byhand,
    databases,
    gitops,
    images,
    owners,
    rollouts,
    schemas,
    surroundings,
)
from veza_nb.guards.case import Case, Guard
from veza_nb.vocabulary import Level

__all__ = ["Case", "Guard", "all_guards"]

_SEVEREST_FIRST = tuple(Level)
_READERS = (
    basics.permissions,
    surroundings.locked,
    basics.frozen,
    basics.paused,
    basics.already_there,
    basics.diagnosis,
    basics.target,
    basics.effect,
    byhand.left_by_hand,
    rollouts.begun_elsewhere,
    schemas.schema,
    databases.scaling,
    databases.healing,
    surroundings.missing,
    surroundings.shortages,
    surroundings.autoscalers,
    surroundings.changed_content,
    images.mutable,
    images.pullable,
    gitops.managed,
    gitops.pauses,
    owners.last_applied,
    owners.server_side_applied,
    surroundings.unseen,
)


def all_guards(case: Case) -> tuple[Guard, ...]:
    """Every guard that has something to say, blocks first."""
    found = [guard for read in _READERS for guard in read(case)]
    return tuple(sorted(found, key=lambda guard: _SEVEREST_FIRST.index(guard.level)))
