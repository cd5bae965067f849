"""Every command of the runbook with every kubectl of this machine."""

from __future__ import annotations

import os
import pty
import re
import shlex
import signal
import subprocess
import threading
import time
from collections.abc import Callable
from concurrent.futures import ThreadPoolExecutor
from dataclasses import dataclass
from pathlib import Path

import pytest

from tests.sandbox import matrix
from tests.sandbox.matrix import Matrix, Section, Step
from tests.sandbox.postgres import Postgres, postgres
from tests.sandbox.transcripts import RECORDED_SPACE, RECORDINGS, Said
from veza_nb.sandbox.lifecycle import TrainingCluster

__all__ = ["postgres"]

pytestmark = pytest.mark.kubectl
_AT_ONCE = 8
_SECONDS = 60
_EDIT = "s/progressDeadlineSeconds: .*/progressDeadlineSeconds: 500/"
_SHELL = re.compile(r"\$\((.*)\)")
_BROKEN = """
apiVersion: apps/v1
kind: Deployment
metadata: {name: veza-broken}
spec:
  replicaz: 1
  selector: {matchLabels: {app: broken}}
  template:
    metadata: {labels: {app: broken}}
    spec: {containers: [{name: main, image: registry.veza.example/broken}]}
"""


@dataclass(frozen=True)
class Operator:
    """Somebody with one minor of kubectl, in one namespace, with a home of their own."""

    minor: int
    program: Path
    cluster: TrainingCluster
    home: Path
    database: str

    @property
    def space(self) -> str:
        return f"minor-{self.minor}"

    @property
    def file(self) -> Path:
        return self.home / "veza.yaml"

    def prepare(self) -> None:
        """Write the manifests and an editor."""
        self.home.mkdir()
        text = (RECORDINGS / "manifests" / "veza.yaml").read_text("utf-8")
        self.file.write_text(text.replace(RECORDED_SPACE, self.space), "utf-8")
        (self.home / "broken.yaml").write_text(_BROKEN, "utf-8")
        editor = self.home / "editor"
        editor.write_text(f'#!/bin/sh\nsed -i "{_EDIT}" "$1"\n', "utf-8")
        editor.chmod(0o700)

    def filled(self, text: str) -> str:
        """A text of the matrix with its places filled in."""
        words = {
            "{space}": self.space,
            "{url}": self.cluster.url,
            "{database}": self.database,
            "{file}": str(self.file),
            "{broken}": str(self.home / "broken.yaml"),
        }
        for place, word in words.items():
            text = text.replace(place, word)
        return text

    def play(self, section: Section) -> list[str]:
        """Run the steps of a section; return what was not said as expected."""
        return [wrong for step in section.steps if (wrong := self._wrong(step))]

    def _wrong(self, step: Step) -> str:
        for command in step.waits:
            self._run(Step(command))
        last = time.monotonic() + (_SECONDS if step.eventually else 0)
        while not self._agrees(step, said := self._run(step)):
            if time.monotonic() > last:
                return f"kubectl 1.{self.minor} {step.run}: exit {said.code}\n{said.out}{said.err}"
        return ""

    def _agrees(self, step: Step, said: Said) -> bool:
        expected = step.expected(self.minor)
        return (
            expected.code == said.code
            and matrix.agrees(self.filled(expected.out), said.out)
            and matrix.agrees(self.filled(expected.err), said.err)
        )

    def _run(self, step: Step) -> Said:
        words = shlex.split(self._substituted(self.filled(step.run)))
        context = ["--context", f"veza-training-{step.context}"] if step.context else []
        # After the words, because plugins would be looked for before.
        given = [str(self.program), *words[:1], *self._flags(), *context, *words[1:]]
        if step.until:
            return self._interrupted(given, step.until)
        if step.tty:
            return self._at_terminal(given)
        done = subprocess.run(
            given,
            capture_output=True,
            text=True,
            env=self._environment(),
            stdin=subprocess.DEVNULL,
            timeout=_SECONDS,
            check=False,
        )
        return Said(done.returncode, done.stdout, done.stderr)

    def _flags(self) -> list[str]:
        return [f"--kubeconfig={self.cluster.kubeconfig}", f"--namespace={self.space}"]

    def _environment(self) -> dict[str, str]:
        return {
            "HOME": str(self.home),
            "PATH": os.environ["PATH"],
            "EDITOR": str(self.home / "editor"),
            "TERM": "dumb",
        }

    def _substituted(self, command: str) -> str:
        """A command with the first line of another in place of `$(…)`."""
        found = _SHELL.search(command)
        if found is None:
            return command
        lines = self._run(Step(found[1])).out.splitlines()
        return command.replace(found[0], lines[0] if lines else "nothing")

    def _interrupted(self, given: list[str], text: str) -> Said:
        with subprocess.Popen(
            given,
            stdout=subprocess.PIPE,
            stderr=subprocess.PIPE,
            text=True,
            env=self._environment(),
        ) as process:
            last = threading.Timer(_SECONDS, process.kill)
            last.start()
            assert process.stdout is not None
            out = ""
            for line in process.stdout:
                out += line
                if text in line:
                    break
            process.send_signal(signal.SIGINT)
            rest, err = process.communicate()
            last.cancel()
        # How it ends when interrupted is kubectl's own affair, and a matter of luck.
        return Said(0, out + rest, err)

    def _at_terminal(self, given: list[str]) -> Said:
        ours, theirs = pty.openpty()
        with subprocess.Popen(
            given, stdin=theirs, stdout=theirs, stderr=theirs, env=self._environment()
        ) as process:
            os.close(theirs)
            out = b"".join(iter(lambda: _read(ours), b""))
            process.wait(_SECONDS)
        os.close(ours)
        return Said(process.returncode, out.decode(), "")


def _read(terminal: int) -> bytes:
    """What a terminal shows next; nothing when nobody is at its other end any more."""
    try:
        return os.read(terminal, 4096)
    except OSError:
        return b""


def operators(
    wanted: Matrix, cluster: TrainingCluster, directory: Path, postgres: Postgres
) -> list[Operator]:
    """One for each kubectl of this machine."""
    found = matrix.found_minors(wanted.minors)
    made = [
        Operator(minor, program, cluster, directory / str(minor), postgres.database())
        for minor, program in sorted(found.items())
    ]
    for operator in made:
        operator.prepare()
    return made


@pytest.mark.timeout(300)
def test_every_command_says_what_it_says_to_a_real_cluster_in_every_minor(
    tmp_path: Path, postgres: Postgres, record_property: Callable[[str, object], None]
) -> None:
    wanted = matrix.load()
    wrong: list[str] = []
    with TrainingCluster.start(speed=3) as cluster:
        everybody = operators(wanted, cluster, tmp_path, postgres)
        record_property("minors", ", ".join(f"1.{each.minor}" for each in everybody))

        def alone(operator: Operator) -> None:
            for section in wanted.sections:
                if not section.exclusive:
                    wrong.extend(operator.play(section))

        with ThreadPoolExecutor(_AT_ONCE) as pool:
            list(pool.map(alone, everybody))
        for operator in everybody:
            for section in wanted.sections:
                if section.exclusive:
                    wrong.extend(operator.play(section))

    assert everybody, f"no kubectl of the minors {wanted.minors} is on this machine"
    assert not wrong, "\n".join([f"{len(wrong)} answers differ:", *wrong])


def test_the_table_in_the_docs_is_that_of_the_tests() -> None:
    assert matrix.documented() == matrix.table(matrix.load())


def test_no_expectation_accepts_everything() -> None:
    """A step that expects only "any lines" would prove nothing but its exit code."""
    empty = [
        step.run
        for step in matrix.every_step(matrix.load())
        if step.out.strip() == matrix.ANY and not step.err
    ]

    assert empty == []
