"""Error lines in the logs of pods, grouped by what they say, told apart by who says it.

A line is kept for what it says, not for its numbers: ids, addresses and times are taken out, and
lines that are the same then are one kind. What only pods of the new template say counts.
"""

import re
from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from datetime import datetime

from veza_nb.words import one_line

LONGEST = 400
"""Characters of a line that are looked at: a log may be one endless line."""

_ERROR = re.compile(
    r"""(?ix)
    \b(?:level|lvl|severity|loglevel)["']?\s*[=:]\s*["']?(?:err|error|fatal|panic|crit|critical|alert|emerg)
    | ^\s*(?:panic|fatal\ error|fatal|unhandled\ exception|uncaught\ exception)\b
    | ^\s*(?:traceback\ \(most\ recent\ call\ last\)|exception\ in\ thread)
    | ^[EF]\d{4}\s
    """
)
_SHOUTED = re.compile(r"\b(?:ERROR|FATAL|CRITICAL|PANIC)\b")
_TIME = re.compile(r"\d{4}-\d\d-\d\d[T ]\d\d:\d\d:\d\d(?:[.,]\d+)?(?:Z|[+-]\d\d:?\d\d)?")
_PARTS = (
    (_TIME, "<time>"),
    (re.compile(r"\b[0-9a-f]{8}(?:-[0-9a-f]{4}){3}-[0-9a-f]{12}\b", re.I), "<id>"),
    (re.compile(r"\b\d{1,3}(?:\.\d{1,3}){3}(?::\d+)?\b"), "<address>"),
    (re.compile(r"\b0x[0-9a-f]+\b", re.I), "<hex>"),
    (re.compile(r"\b(?=[0-9a-f]*\d)[0-9a-f]{8,}\b", re.I), "<id>"),
    (re.compile(r"\d+"), "#"),
)


@dataclass(frozen=True, slots=True)
class PodLog:
    """The end of one container's log.

    Attributes:
        pod: whose.
        container: of that pod.
        new: whether the pod is of the live template.
        previous: the run before the last restart, rather than the one that goes on.
        text: lines that begin with the time at which the kubelet read them.
    """

    pod: str
    container: str
    new: bool
    previous: bool
    text: str


@dataclass(frozen=True, slots=True)
class ErrorGroup:
    """Error lines that say the same.

    Attributes:
        kind: what they have in common.
        example: one of them, the newest.
        count: how many there are.
        first: when the first was printed, as far as the logs were read; None if no line says.
        last: when the last was.
        log: where the newest stands.
        pods: who printed it, each once.
        new: printed by pods of the live template.
        old: printed by pods of older ones.
    """

    kind: str
    example: str
    count: int
    first: datetime | None
    last: datetime | None
    log: PodLog
    pods: tuple[str, ...]
    new: bool
    old: bool


def error_groups(logs: Sequence[PodLog]) -> tuple[ErrorGroup, ...]:
    """All kinds of error lines: those that only new pods print first, then by number."""
    lines: dict[str, list[tuple[datetime | None, str, PodLog]]] = {}
    for log in logs:
        for at, line in _error_lines(log.text):
            lines.setdefault(kind_of(line), []).append((at, line, log))
    groups = [_group(kind, found) for kind, found in lines.items()]
    return tuple(sorted(groups, key=lambda one: (one.old, not one.new, -one.count)))


def release_errors(logs: Sequence[PodLog]) -> tuple[str, ...]:
    """Kinds of error lines that only new pods print; none where there is nothing to compare."""
    if not any(not log.new for log in logs):
        return ()
    return tuple(one.kind for one in error_groups(logs) if one.new and not one.old)


def kind_of(line: str) -> str:
    """What a line says, without what is different each time."""
    for pattern, name in _PARTS:
        line = pattern.sub(name, line)
    return one_line(line)


def is_error(line: str) -> bool:
    """Whether a line speaks of an error, by its level or by its form."""
    return bool(_ERROR.search(line) or _SHOUTED.search(line))


def last_word(text: str) -> tuple[datetime | None, str]:
    """The last line that speaks of an error, or else the last one, with its time; "" if empty."""
    errors = list(_error_lines(text))
    if errors:
        return errors[-1]
    said = [found for whole in text.splitlines() if (found := _told(whole))[1].strip()]
    return said[-1] if said else (None, "")


def begins_at(text: str) -> datetime | None:
    """When the first line that tells its time was printed."""
    return next((at for whole in text.splitlines() if (at := _told(whole)[0])), None)


def _told(whole: str) -> tuple[datetime | None, str]:
    """A line without its time, and that time."""
    stamp, _, line = whole[:LONGEST].partition(" ")
    at = _moment(stamp)
    return at, (line if at else whole[:LONGEST]).replace("\0", "")


def _error_lines(text: str) -> Iterator[tuple[datetime | None, str]]:
    for whole in text.splitlines():
        at, said = _told(whole)
        if is_error(said):
            yield at, said


def _moment(stamp: str) -> datetime | None:
    if not _TIME.fullmatch(stamp):
        return None
    try:
        return datetime.fromisoformat(stamp)
    except ValueError:
        return None


def _group(kind: str, found: Sequence[tuple[datetime | None, str, PodLog]]) -> ErrorGroup:
    times = [at for at, _, _ in found if at is not None]
    last = max(times, default=None)
    _, example, log = next((one for one in found if one[0] == last), found[-1])
    whose = {log.new for _, _, log in found}
    return ErrorGroup(
        kind=kind,
        example=one_line(example),
        count=len(found),
        first=min(times, default=None),
        last=last,
        log=log,
        pods=tuple(dict.fromkeys(log.pod for _, _, log in found)),
        new=True in whose,
        old=False in whose,
    )
