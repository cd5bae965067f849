"""What a container's command asks for: the program that its image carries, or something else."""

from __future__ import annotations

import shlex
from collections.abc import Mapping, Sequence
from pathlib import PurePosixPath

from veza_nb.sandbox.apimachinery.status import Json
from veza_nb.sandbox.nodes import environment
from veza_nb.sandbox.nodes.releases import Carried

SCHEMA = "MIGRATIONS_NEWEST"
"""Environment variable that tells a program which migrations its image has."""
_SHELLS = ("sh", "bash", "ash", "dash")


class NotCarriedError(LookupError):
    """A command is none of the programs in the image; the message is a container runtime's."""

    def __init__(self, word: str) -> None:
        super().__init__(start_error(f'exec: "{word}": executable file not found in $PATH'))


def start_error(why: str) -> str:
    """What a container runtime says when a container's process cannot be started."""
    return (
        "failed to create containerd task: failed to create shim task: OCI runtime create failed: "
        f"runc create failed: unable to start container process: {why}: unknown"
    )


def program_of(carried: Carried, spec: Json, env: dict[str, str]) -> list[str] | None:
    """The program that a container runs, with its arguments; None: the release acts.

    Args:
        carried: what the image carries.
        spec: of the container.
        env: its environment; what the program must know of the image is added.

    Raises:
        NotCarriedError: the image has nothing but its program, and that is not asked for.
    """
    command, args = (
        [environment.expand(word, env) for word in spec.get(part) or ()]
        for part in ("command", "args")
    )
    rest = arguments(carried, command, args, env)
    if rest is None:
        return None
    env.pop(SCHEMA, None)
    if carried.schema is not None:
        env[SCHEMA] = str(carried.schema)
    return [carried.program, *rest]


def arguments(
    carried: Carried, command: Sequence[str], args: Sequence[str], env: Mapping[str, str]
) -> list[str] | None:
    """What the program in an image is given; None: the container is to run something else.

    Args:
        carried: what the image carries.
        command: of the container, expanded.
        args: of the container, expanded.
        env: of the container, for `sh -c 'migrate … "$NAME"'`.

    Raises:
        NotCarriedError: the image has nothing but its program, and that is not asked for.
    """
    words = [*command, *args]
    if len(words) == 3 and PurePosixPath(words[0]).name in _SHELLS and words[1] == "-c":
        words = _simple_command(words[2], env)
    elif carried.entrypoint and not command and words[:1] != [carried.program]:
        return words
    if words and PurePosixPath(words[0]).name == carried.program:
        return words[1:]
    if carried.entrypoint:
        raise NotCarriedError(words[0] if words else "")
    return None


def _simple_command(text: str, env: Mapping[str, str]) -> list[str]:
    """One command of a shell: words, quotes and `$NAME`; nothing else of a shell's language."""
    try:
        words = shlex.split(text)
    except ValueError:
        return []
    while words and words[0] in ("exec", "set", "-e"):
        words = words[1:]
    return [_filled(word, env) for word in words]


def _filled(word: str, env: Mapping[str, str]) -> str:
    """A word with `$NAME` and `${NAME}` filled in, longest names first."""
    for name in sorted(env, key=len, reverse=True) if "$" in word else ():
        word = word.replace(f"${{{name}}}", env[name]).replace(f"${name}", env[name])
    return word
