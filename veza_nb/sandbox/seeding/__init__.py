"""Plays a scenario: days of history through the real controllers, then the fault.

A history costs what happens in it, not how long it is: time jumps from one thing that is due to the
next. So nothing that repeats for ever may run during it; such work begins when the history is over.
"""

from veza_nb.sandbox.seeding.application import (
    CAUSE,
    NAMESPACE,
    create_application,
    create_deployment,
    release,
    undo,
)
from veza_nb.sandbox.seeding.machines import ADMIN, create_cluster, create_policy, node
from veza_nb.sandbox.seeding.playing import FaultNotSeenError, inject, play_history
from veza_nb.sandbox.seeding.showing import fault_shows

__all__ = [
    "ADMIN",
    "CAUSE",
    "NAMESPACE",
    "FaultNotSeenError",
    "create_application",
    "create_cluster",
    "create_deployment",
    "create_policy",
    "fault_shows",
    "inject",
    "node",
    "play_history",
    "release",
    "undo",
]
