"""What an incident has paused and not resumed, folded from its journal.

The journal outlives the process: whoever comes later finds there what was paused, and what is to
stand there again.
"""

from collections.abc import Iterable, Mapping
from dataclasses import dataclass
from typing import Any

from veza_nb.gitops import Pause, resume_command
from veza_nb.journal import Line
from veza_nb.managers import Handle
from veza_nb.vocabulary import JournalEvent, Step

PAUSE, RESUME = "pause", "resume"


@dataclass(frozen=True, slots=True)
class Paused:
    """One object that is paused, or may be.

    Attributes:
        tool: "Argo CD" or "Flux".
        handle: which.
        before: what is to stand there again.
        sure: False where nobody knows what became of the pause.
    """

    tool: str
    handle: Handle
    before: object
    sure: bool

    def __str__(self) -> str:
        return f"{self.tool}'s {self.handle}"


def intent_of(pause: Pause, action: str) -> dict[str, object]:
    """What a journal line keeps of it: enough to end it without the plan."""
    handle = pause.handle
    return {
        "action": action,
        "tool": pause.tool,
        "kind": handle.kind,
        "group_version": handle.group_version,
        "resource": handle.resource,
        "namespace": handle.namespace,
        "name": handle.name,
        "before": pause.before,
        "command": pause.command if action == PAUSE else pause.by_hand,
    }


def open_pauses(lines: Iterable[Line]) -> tuple[Paused, ...]:
    """What is paused by now, oldest first."""
    found: dict[Handle, Paused] = {}
    begun: dict[int, Paused] = {}
    for line in lines:
        if line.step != Step.GITOPS:
            continue
        if line.event == JournalEvent.INTENT:
            begun[line.seq] = _read(line.data)
            if line.data.get("action") == PAUSE:
                found[begun[line.seq].handle] = begun[line.seq]
        elif (one := begun.get(line.data.get("intent", 0))) is not None:
            _settle(found, one, line.data)
    return tuple(found.values())


def left_paused(lines: Iterable[Line], incident: str) -> tuple[str, ...]:
    """What people still have to do about it, one line each."""
    return tuple(
        f"{one} is paused{'' if one.sure else ', or may be'}: it deploys nothing. Correct Git, as "
        "resuming brings back whatever it holds; then run "
        f"`{resume_command(incident)}`."
        for one in open_pauses(lines)
    )


def _settle(found: dict[Handle, Paused], one: Paused, data: Mapping[str, Any]) -> None:
    """What a result line says about its intent."""
    done, pausing = data.get("effect") == "done", data.get("action") == PAUSE
    if pausing and done:
        found[one.handle] = Paused(one.tool, one.handle, one.before, sure=True)
    elif (pausing and data.get("effect") == "none") or (not pausing and done):
        found.pop(one.handle, None)


def _read(data: Mapping[str, Any]) -> Paused:
    names = ("kind", "group_version", "resource", "namespace", "name")
    handle = Handle(*(str(data.get(name, "")) for name in names))
    return Paused(str(data.get("tool", "")), handle, data.get("before"), sure=False)
