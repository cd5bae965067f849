"""The real kubectl on a training cluster; what it says, and what it said when it was recorded."""

from __future__ import annotations

import re
import shlex
import subprocess
from dataclasses import dataclass, replace
from pathlib import Path

from tests.sandbox.recordings import normal
from tests.sandbox.recordings.index import HOME as RECORDINGS

__all__ = [
    "ENDED",
    "RECORDED_SPACE",
    "RECORDINGS",
    "SPACE",
    "Kubectl",
    "Said",
    "normalised",
    "read",
]

RECORDED_SPACE, SPACE = "veza-production", "veza-replay"
_SECONDS = 60
# The code of a command that had to be ended.
ENDED = -9


@dataclass(frozen=True)
class Said:
    """What a command said: exit code and both outputs."""

    code: int
    out: str
    err: str

    def last_line(self) -> Said:
        """The same with nothing but the last line of the output."""
        return replace(self, out="".join(self.out.splitlines(keepends=True)[-1:]))


class Kubectl:
    """The real kubectl on a cluster."""

    def __init__(self, kubeconfig: Path, space: str = SPACE) -> None:
        self._kubeconfig = kubeconfig
        self._space = space

    def __call__(self, command: str, *, context: str = "veza-training") -> Said:
        """Run it in this object's namespace."""
        given = [*self._base(context), *shlex.split(command)]
        done = subprocess.run(given, capture_output=True, text=True, check=False, timeout=_SECONDS)
        return Said(done.returncode, done.stdout, done.stderr)

    def ok(self, command: str) -> str:
        """Run it; it must succeed; return its output."""
        said = self(command)
        assert said.code == 0, f"kubectl {command}: {said.err}"
        return said.out

    def start(self, command: str) -> subprocess.Popen[str]:
        """Start it and leave it running; its output is a pipe."""
        return subprocess.Popen(
            [*self._base("veza-training"), *shlex.split(command)],
            stdout=subprocess.PIPE,
            stderr=subprocess.PIPE,
            text=True,
        )

    def _base(self, context: str) -> list[str]:
        named = ["--kubeconfig", str(self._kubeconfig), "--context", context]
        return ["kubectl", *named, "--namespace", self._space]


def parse(text: str) -> tuple[str, Said]:
    """A recorded command, without the word kubectl, and what it said."""
    head, _, rest = text.partition("--- stdout\n")
    out, _, err = rest.rpartition("--- stderr\n")
    command, code = head.splitlines()[:2]
    number = re.match(r"# exit (\w+)", code)
    assert number is not None
    ended = ENDED if number[1] == "timeout" else int(number[1])
    return command.removeprefix("$ kubectl "), Said(ended, out, err)


def read(recording: str) -> tuple[str, Said]:
    """A recorded command and what it said, as if it had been in the namespace `SPACE`."""
    text = (RECORDINGS / "kubectl" / f"{recording}.txt").read_text("utf-8")
    return parse(text.replace(RECORDED_SPACE, SPACE))


def normalised(said: Said) -> Said:
    """Names, dates, addresses and identities replaced by what they are."""
    return Said(said.code, normal.text(said.out), normal.text(said.err))
