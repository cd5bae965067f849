"""Recorded kubectl transcripts: read, run again, and compared but for what differs by nature."""

from __future__ import annotations

import re
import shlex
import subprocess
from dataclasses import dataclass, replace
from pathlib import Path

RECORDINGS = Path(__file__).parents[1] / "data" / "recordings"
RECORDED_SPACE, SPACE = "veza-production", "veza-replay"
_SECONDS = 60


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
        given = [*self._base(context), "--namespace", self._space, *shlex.split(command)]
        done = subprocess.run(given, capture_output=True, text=True, check=False, timeout=_SECONDS)
        return Said(done.returncode, done.stdout, done.stderr)

    def ok(self, command: str) -> str:
        """Run it; it must succeed; return its output."""
        said = self(command)
        assert said.code == 0, f"kubectl {command}: {said.err}"
        return said.out

    def start(self, command: str) -> subprocess.Popen[str]:
        """Start it and leave it running; its output is a pipe."""
        base = [*self._base("veza-training"), "--namespace", self._space]
        return subprocess.Popen(
            [*base, *shlex.split(command)],
            stdout=subprocess.PIPE,
            stderr=subprocess.PIPE,
            text=True,
        )

    def again(self, recording: str, manifest: Path) -> tuple[Said, Said]:
        """Run a recorded command again; return what was said then and now, normalised."""
        command, then = read(recording)
        command = command.replace("manifests/veza.yaml", str(manifest))
        base = self._base("veza-training")
        words = shlex.split(command)
        if "-n" not in words and "-f" not in words:
            base += ["--namespace", self._space]
        done = subprocess.run(
            [*base, *words], capture_output=True, text=True, check=False, timeout=_SECONDS
        )
        now = Said(done.returncode, done.stdout, done.stderr)
        return normalised(then), normalised(now)

    def _base(self, context: str) -> list[str]:
        return ["kubectl", "--kubeconfig", str(self._kubeconfig), "--context", context]


def read(recording: str) -> tuple[str, Said]:
    """A recorded command (without the word kubectl) and what it said."""
    text = (RECORDINGS / "kubectl" / f"{recording}.txt").read_text()
    text = text.replace(RECORDED_SPACE, SPACE)
    head, _, rest = text.partition("--- stdout\n")
    out, _, err = rest.rpartition("--- stderr\n")
    command, code = head.splitlines()[:2]
    number = re.match(r"# exit (\d+)", code)
    assert number is not None
    return command.removeprefix("$ kubectl "), Said(int(number[1]), out, err)


_DIFFERENT = [
    (r"(veza-[a-z-]+?)-[bcdfghjklmnpqrstvwxz2456789]{8,10}-[a-z0-9]{5}\b", r"\1-HASH-POD"),
    (r"(veza-[a-z-]+?)-[bcdfghjklmnpqrstvwxz2456789]{8,10}\b", r"\1-HASH"),
    (r"pod-template-hash=\w+", "pod-template-hash=HASH"),
    (r"kube-api-access-\w{5}", "kube-api-access-XXXXX"),
    (r"\w{3}, \d\d \w{3} \d{4} [\d:]{8} \+0000", "DATE"),
    (r"sha256:\w{64}", "sha256:DIGEST"),
    (r"containerd://\w{64}", "containerd://ID"),
    (r"veza-node-\d/[\d.]+", "NODE/IP"),
    (r"veza-node-\d", "NODE"),
    (r"10\.2\d\d\.\d+\.\d+", "POD-IP"),
    (r"[0-9a-f]{8}(-[0-9a-f]{4}){3}-[0-9a-f]{12}", "UID"),
    (r"RESTARTS? ?\(.*?\)", "RESTARTS"),
]


def normalised(said: Said) -> Said:
    """Names, dates, addresses and identities replaced by what they are."""
    out, err = said.out, said.err
    for pattern, word in _DIFFERENT:
        out, err = re.sub(pattern, word, out), re.sub(pattern, word, err)
    return Said(said.code, out, err)
