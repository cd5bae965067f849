"""Is it the new template's doing? Pods of older templates, and their template, are the comparison.

What the older template needs just as much, it would lack just as much: an object that is not
there, room on a node, room in a quota. Going back to it cures nothing then.
"""

import re
from collections.abc import Sequence
from typing import Any

from veza_nb.objects import PodTemplate
from veza_nb.placement import asks_more
from veza_nb.podtemplates import only_restarted
from veza_nb.references import Reference, references
from veza_nb.replicasets import live_replicaset, owned_replicasets, pods_of
from veza_nb.scene import Scene
from veza_nb.troubles import (
    IMAGE_REASONS,
    NODE_REASONS,
    PLACEMENT_REASONS,
    READINESS_REASONS,
    VOLUME_REASONS,
    Trouble,
    is_ready,
    is_terminating,
)

_FAMILIES = (
    ("image", IMAGE_REASONS),
    ("placement", PLACEMENT_REASONS),
    ("readiness", READINESS_REASONS),
)
_NEEDS_OBJECT = VOLUME_REASONS | {"CreateContainerConfigError"}
_GONE = re.compile(r'(?i)\b(configmap|secret|persistentvolumeclaim) "([^"]+)" not found')
_KEY_GONE = re.compile(r"(?i)couldn't find key (\S+) in (configmap|secret) (?:[^/\s]+/)?([^\s/,]+)")
_QUOTA = "exceeded quota"


def blame(scene: Scene, group: Sequence[Trouble], all_of_them: Sequence[Trouble]) -> bool | None:
    """Whose doing are these troubles?

    Args:
        scene: of this look.
        group: what is asked about.
        all_of_them: every trouble there is, to compare with.

    Returns:
        True where only pods of the new template suffer this kind of trouble, False where
        older ones do too or would, None where there is nothing to compare with and the
        template is not new, or where the cluster rather than the program is short of something.
    """
    if not group:
        return None
    families = {family(trouble.reason) for trouble in group}
    alike = [one for one in all_of_them if family(one.reason) in families]
    if not all(trouble.new for trouble in alike):
        return None if "placement" in families and len(families) > 1 else False
    if "placement" in families:
        return _placed(scene, group) if len(families) == 1 else None
    needed = _needed(scene, group)
    return _compared(scene, alike) if needed is None else needed


def _compared(scene: Scene, alike: Sequence[Trouble]) -> bool | None:
    """Only new pods suffer; do older ones of another program serve, or did it begin with it?"""
    if _same_program_serves(scene):
        return False
    if scene.rollout.old_ready:
        return True
    most = 2 * len({trouble.pod for trouble in alike}) >= max(scene.rollout.updated, 1)
    return True if most and scene.began_with_rollout else None


def remark(scene: Scene, group: Sequence[Trouble]) -> str:
    """What the older template says about it, as the end of a sentence; "" where it says nothing."""
    if not all(trouble.new for trouble in group) or scene.older is None:
        return ""
    reasons = {trouble.reason for trouble in group}
    if reasons <= _NEEDS_OBJECT and (needed := _needed(scene, group)) is not None:
        return "older revisions do without it" if needed else "older revisions need it as well"
    if reasons <= PLACEMENT_REASONS and (placed := _placed(scene, group)) is not None:
        return "older revisions ask for less" if placed else "older revisions ask for as much"
    return ""


def family(reason: str) -> str:
    """The kind of trouble; whatever is not known otherwise is the program's own failing."""
    return next((name for name, reasons in _FAMILIES if reason in reasons), "crash")


def _placed(scene: Scene, group: Sequence[Trouble]) -> bool | None:
    """Whether the new template is harder to place than the older one."""
    older = scene.older
    comparable = all(
        trouble.reason not in NODE_REASONS
        and (trouble.reason != "FailedCreate" or _QUOTA in trouble.detail)
        for trouble in group
    )
    return None if older is None or not comparable else asks_more(scene.template, older)


def _needed(scene: Scene, group: Sequence[Trouble]) -> bool | None:
    """Whether only the new template needs what is not there; None where that is not the matter."""
    older = scene.older
    if older is None or not all(trouble.reason in _NEEDS_OBJECT for trouble in group):
        return None
    answers = {_only_new_needs(older, trouble.detail) for trouble in group}
    return answers.pop() if len(answers) == 1 else None


def _only_new_needs(older: PodTemplate, detail: str) -> bool | None:
    """Whether the older template does without the object, or the key in it, that is missing."""
    key = _KEY_GONE.search(detail)
    if key:
        return not _reads(older.get("spec"), f"{key[2].lower()}KeyRef", (key[3], key[1]))
    gone = _GONE.search(detail)
    if not gone:
        return None
    missing = Reference(gone[1].lower(), gone[2])
    return str(missing) not in {str(one) for one in references(older)}


def _reads(value: Any, field: str, wanted: tuple[str, str]) -> bool:
    """Whether a `configMapKeyRef` or `secretKeyRef` of this name and key is in there."""
    if isinstance(value, list):
        return any(_reads(inner, field, wanted) for inner in value)
    if not isinstance(value, dict):
        return False
    for name, inner in value.items():
        is_it = name.lower() == field.lower() and isinstance(inner, dict)
        if is_it and (inner.get("name"), inner.get("key")) == wanted:
            return True
        if _reads(inner, field, wanted):
            return True
    return False


def _same_program_serves(scene: Scene) -> bool:
    """Whether older pods serve whose template differs by `rollout restart` alone."""
    workload = scene.workload
    live = live_replicaset(workload)
    return any(
        is_ready(pod) and not is_terminating(pod)
        for other in owned_replicasets(workload)
        if other is not live and only_restarted(other.spec.template, scene.template)
        for pod in pods_of(other, workload.pods)
    )
