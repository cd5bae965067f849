"""Findings read off the logs: what only the release's pods complain about.

Logs explain, pods and probes decide: a service may complain for years and serve well.
"""

from collections.abc import Iterator, Sequence
from datetime import datetime

from veza_nb.evidence import Evidence, Finding
from veza_nb.loglines import ErrorGroup, PodLog, begins_at, error_groups
from veza_nb.revisions import PROVEN_AFTER
from veza_nb.scene import Scene
from veza_nb.vocabulary import Severity
from veza_nb.words import count

_SHOWN = 5
_OFTEN = 3


def log_findings(scene: Scene, logs: Sequence[PodLog]) -> Iterator[Finding]:
    """One finding for what only new pods print, one for what others print too."""
    groups = error_groups(logs)
    compared = any(not log.new for log in logs)
    fresh = [one for one in groups if one.new and not one.old]
    known = [one for one in groups if one.old]
    if fresh:
        whose = " that only pods of the new template print" if compared else ""
        blame = True if compared else None
        yield _finding(scene, fresh, ("LogErrors", Severity.WARNING, whose, blame))
    if known:
        whose = " that pods of older revisions print too"
        yield _finding(scene, known, ("LogErrorsBefore", Severity.INFO, whose, False))


def log_signs(logs: Sequence[PodLog]) -> Iterator[datetime]:
    """When a program that had served in silence for a while began to complain again and again.

    Complaints from the start tell nothing: many programs have some at every start.
    """
    for one in error_groups(logs):
        begin = begins_at(one.log.text)
        often = one.new and one.count >= _OFTEN
        if often and one.first and begin and one.first - begin >= PROVEN_AFTER:
            yield one.first


def _finding(
    scene: Scene,
    groups: Sequence[ErrorGroup],
    meaning: tuple[str, Severity, str, bool | None],
) -> Finding:
    """What these kinds of lines amount to: reason, severity, who prints them, whose doing."""
    reason, severity, whose, from_release = meaning
    total = sum(one.count for one in groups)
    kinds = f" of {len(groups)} kinds" if len(groups) > 1 else ""
    return Finding(
        reason=reason,
        severity=severity,
        summary=f"{count(total, 'error line')}{kinds}{whose}: {groups[0].example}",
        evidence=tuple(_evidence(scene, one) for one in groups[:_SHOWN]),
        from_release=from_release,
    )


def _evidence(scene: Scene, group: ErrorGroup) -> Evidence:
    log = group.log
    often = f"{group.count} times, " if group.count > 1 else ""
    words = ["logs", log.pod, "-c", log.container, *(["--previous"] if log.previous else [])]
    return Evidence(
        kind="Log",
        name=log.pod,
        detail=f"{often}in {count(len(group.pods), 'pod')}: {group.example}",
        at=group.last,
        command=scene.kubectl(*words),
    )
