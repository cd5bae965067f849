"""Runs the commands that the tutorial of the training cluster shows, and shows what they say.

`python -m tests.tutorial` puts the output of this run in place of the last one, in every block
marked as `console` in docs/training-cluster.md. Commands are the lines that begin with "$ "; they
run one after the other, at a terminal, in an empty home and with a database of their own. Nothing
is changed in what they say but the path of that home.
"""

from __future__ import annotations

import os
import pty
import re
import select
import subprocess
import sys
import tempfile
import time
from collections.abc import Iterator, Mapping
from dataclasses import dataclass, field
from pathlib import Path

from tests.sandbox.matrix import found_minors, load
from tests.sandbox.postgres import Postgres

DOCS = Path(__file__).parents[1] / "docs" / "training-cluster.md"
_BLOCK = re.compile(r"```console\n(.*?)```", re.DOTALL)
_CTRL_C = " # Ctrl-C"
_SECONDS_UNTIL_CTRL_C = 3.0
_SECONDS = 90.0
_ASSIGNED = re.compile(r"(?:export )?([A-Z_]+)=(.*)")


@dataclass(frozen=True)
class Shown:
    """A command and what it says."""

    command: str
    output: str
    code: int = 0


@dataclass
class Terminal:
    """A shell at a terminal; variables that are set stay set.

    Attributes:
        env: of every command.
        home: shown as "~".
    """

    env: dict[str, str]
    home: Path
    seen: list[Shown] = field(default_factory=list)

    def type(self, command: str) -> Shown:
        """Run a command and return what is shown."""
        assigned = _ASSIGNED.fullmatch(command)
        if assigned is not None:
            name, value = assigned.groups()
            found = self._run(f"printf %s {value}", until=None)
            self.env[name] = found.output.strip()
            return Shown(command, "")
        interrupted = command.endswith(_CTRL_C)
        shown = self._run(
            command.removesuffix(_CTRL_C), until=_SECONDS_UNTIL_CTRL_C if interrupted else None
        )
        said = Shown(command, shown.output.replace(str(self.home), "~"), shown.code)
        self.seen.append(said)
        return said

    def _run(self, command: str, until: float | None) -> Shown:
        ours, theirs = pty.openpty()
        started = time.monotonic()
        with subprocess.Popen(
            ["bash", "-c", command],
            stdin=theirs,
            stdout=theirs,
            stderr=theirs,
            env=self.env,
            cwd=self.home,
            start_new_session=True,
        ) as process:
            os.close(theirs)
            out, left = b"", until
            while time.monotonic() < started + _SECONDS:
                if left is not None and time.monotonic() > started + left:
                    os.killpg(process.pid, 2)
                    left = None
                if not select.select([ours], [], [], 0.1)[0]:
                    continue
                piece = _read(ours)
                if not piece:
                    break
                out += piece
            else:
                os.killpg(process.pid, 9)
        os.close(ours)
        text = out.decode("utf-8", "replace").replace("\r\n", "\n")
        return Shown(command, text, process.returncode)


def _read(terminal: int) -> bytes:
    try:
        return os.read(terminal, 65536)
    except OSError:
        return b""


def commands(text: str) -> Iterator[str]:
    """The commands of the tutorial, in order."""
    for block in _BLOCK.findall(text):
        for line in block.splitlines():
            if line.startswith("$ "):
                yield line[2:]


def shown(text: str) -> list[Shown]:
    """The commands of the tutorial and what it shows of their output."""
    found = []
    for block in _BLOCK.findall(text):
        for piece in re.split(r"(?m)^\$ ", block)[1:]:
            command, _, output = piece.partition("\n")
            found.append(Shown(command, output.rstrip("\n")))
    return found


def played(text: str, terminal: Terminal) -> str:
    """The tutorial with what its commands say now."""

    def again(block: re.Match[str]) -> str:
        lines = []
        for line in block[1].splitlines():
            if not line.startswith("$ "):
                continue
            said = terminal.type(line[2:])
            lines.append(line)
            lines.extend(each.rstrip() for each in said.output.rstrip("\n").splitlines())
        return "```console\n" + "\n".join(lines) + "\n```"

    return _BLOCK.sub(again, text)


def environment(home: Path, tools: Path, database: str) -> Mapping[str, str]:
    """What the commands find around them."""
    here = Path(sys.executable).parent
    return {
        "PATH": f"{tools}:{here}:{os.environ['PATH']}",
        "HOME": str(home),
        "DATABASE_URL": database,
        "TERM": "dumb",
        "COLUMNS": "120",
        "LC_ALL": "C.UTF-8",
    }


def play(kubectl: Path) -> tuple[str, list[Shown]]:
    """Run the whole tutorial with a kubectl; return its new text and what was shown."""
    text = DOCS.read_text("utf-8")
    with tempfile.TemporaryDirectory(prefix="tutorial-") as name:
        place = Path(name)
        place.chmod(0o755)
        home = place / "home"
        home.mkdir()
        data, tools = place / "database", place / "tools"
        data.mkdir()
        tools.mkdir()
        (tools / "kubectl").symlink_to(kubectl)
        programs = sorted(Path("/usr/lib/postgresql").glob("*/bin"))[-1]
        postgres = Postgres(programs, data)
        postgres.start()
        terminal = Terminal(dict(environment(home, tools, postgres.database())), home)
        try:
            text = played(text, terminal)
        finally:
            terminal.type("veza-nb sandbox down")
            postgres.stop()
    return text, terminal.seen


if __name__ == "__main__":
    found = found_minors(load().minors)
    DOCS.write_text(play(found[max(found)])[0], "utf-8")
