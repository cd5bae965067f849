"""Small commands that need no program: how long they take, what they print, how they end.

Jobs and throw-away pods are often a `sleep`, an `echo` or a shell with such words. They are
imitated from their words; nothing of the machine runs.
"""

from __future__ import annotations

import shlex
from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import PurePosixPath

_SHELLS = ("sh", "bash", "ash", "dash")
_UNITS = {"": 1.0, "s": 1.0, "m": 60.0, "h": 3600.0, "d": 86400.0}
_LONGEST = 9
_CONTROL = ("|", "&", "<", ">", "(", ")", "`", "$", "*", "{")


@dataclass(frozen=True, slots=True)
class Imitation:
    """What a command does.

    Attributes:
        seconds: how long it takes; None: for ever.
        lines: what it prints.
        code: its exit code.
    """

    seconds: float | None = 0.0
    lines: tuple[str, ...] = ()
    code: int = 0


def imitate(words: Sequence[str]) -> Imitation | None:
    """What a container's words do; None: they are not known."""
    if len(words) == 3 and PurePosixPath(words[0]).name in _SHELLS and words[1] == "-c":
        return _script(words[2])
    return _command(list(words))


def _script(text: str) -> Imitation | None:
    """A list of commands; it ends with the first that exits, and `&&` goes on after success."""
    seconds, code = 0.0, 0
    lines: list[str] = []
    for part in text.replace("\n", ";").replace("&&", ";&&").split(";"):
        command = part.strip()
        if not command.removeprefix("&&").strip() or (command.startswith("&&") and code):
            continue
        words = _words(command.removeprefix("&&"))
        done = _command(words)
        if done is None:
            return None
        lines += done.lines
        if done.seconds is None:
            return Imitation(None, tuple(lines))
        seconds, code = seconds + done.seconds, done.code
        if words[0] == "exit":
            break
    return Imitation(seconds, tuple(lines), code)


def _words(command: str) -> list[str]:
    """The words of a command of a shell; none when it has more of a shell's language."""
    if any(sign in command for sign in _CONTROL):
        return []
    try:
        return shlex.split(command)
    except ValueError:
        return []


def _command(words: list[str]) -> Imitation | None:
    name, rest = PurePosixPath(words[0]).name if words else "", words[1:]
    if name in ("true", ":", "false"):
        return Imitation(code=int(name == "false"))
    if name == "echo":
        return Imitation(lines=(" ".join(rest),))
    if name == "exit" and len(rest) <= 1:
        code = rest[0] if rest else "0"
        return Imitation(code=int(code) % 256) if code.isdecimal() else None
    if name == "sleep" and len(rest) == 1:
        return Imitation(None) if rest[0] == "infinity" else _sleep(rest[0])
    return None


def _sleep(text: str) -> Imitation | None:
    unit = text[-1:] if text[-1:] in _UNITS else ""
    number = text.removesuffix(unit)
    if not number.replace(".", "", 1).isdecimal() or len(number) > _LONGEST:
        return None
    return Imitation(float(number) * _UNITS[unit])
