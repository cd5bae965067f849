"""What a pod's state means to those who keep pods. Pure."""

from __future__ import annotations

from veza_nb.sandbox.apimachinery.status import Json

FINISHED = ("Succeeded", "Failed")
"""Phases that a pod never leaves."""


def phase_of(pod: Json) -> str:
    """The pod's phase, "Pending" before anybody has written one."""
    phase: str = pod.get("status", {}).get("phase", "Pending")
    return phase


def is_finished(pod: Json) -> bool:
    """Whether a pod has ended for good."""
    return phase_of(pod) in FINISHED


def is_terminating(pod: Json) -> bool:
    """Whether a pod is being deleted."""
    return "deletionTimestamp" in pod["metadata"]
