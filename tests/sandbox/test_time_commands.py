"""`sandbox up --stepped|--speed|--snapshot`, `clock` and `snapshot`, as a person types them."""

from __future__ import annotations

import os
import subprocess
import sys
from collections.abc import Callable, Iterator
from datetime import datetime, timedelta
from pathlib import Path

import pytest

from veza_nb.sandbox import detached
from veza_nb.sandbox.detached import Running
from veza_nb.sandbox.steering import control

Run = Callable[..., str]


@pytest.fixture
def veza_nb(tmp_path: Path) -> Iterator[Run]:
    """Runs a command, with a state directory of its own; returns what it printed."""
    environment = {**os.environ, "XDG_STATE_HOME": str(tmp_path / "state")}

    def run(*words: str, code: int = 0) -> str:
        command = [sys.executable, "-m", "veza_nb", "sandbox", *words]
        done = subprocess.run(
            command, capture_output=True, text=True, check=False, env=environment, timeout=120
        )
        assert code == done.returncode, done.stdout + done.stderr
        return done.stdout + done.stderr

    yield run
    detached.down(tmp_path / "state" / "veza-nb" / "sandbox")


def date(line: str) -> datetime:
    return datetime.fromisoformat(line.partition(",")[0])


def test_a_cluster_is_stepped_saved_and_brought_back(veza_nb: Run, tmp_path: Path) -> None:
    file = tmp_path / "an hour later.snapshot"
    veza_nb("up", "--stepped")
    before = veza_nb("clock", "show")
    after = veza_nb("clock", "step", "3600.5")
    told = veza_nb("snapshot", "save", str(file))
    occupied = veza_nb("up", "--snapshot", str(file), code=2)
    veza_nb("down")
    veza_nb("up", "--snapshot", str(file))
    back = veza_nb("clock", "show")

    assert before.endswith(", stands still until stepped\n")
    assert date(after) - date(before) == timedelta(seconds=3600.5)
    assert f"objects in {file} ({file.stat().st_size} bytes)\n" in told
    assert "a snapshot is brought back into a new one; end it first with" in occupied
    assert back.endswith(", speed 1\n")
    assert date(back) < date(after)


def test_what_cannot_be_is_refused_in_one_line(veza_nb: Run, tmp_path: Path) -> None:
    broken = tmp_path / "broken"
    broken.write_text("no snapshot")
    refusals = [
        (("up", "--speed", "nan"), "a clock's speed must be from 0.01 to 1000, not nan"),
        (("up", "--speed", "0"), "a clock's speed must be from 0.01 to 1000, not 0"),
        (("up", "--speed", "1e9"), "a clock's speed must be from 0.01 to 1000, not 1e+09"),
        (("up", "--stepped", "--speed", "2"), "a clock that is stepped has no speed"),
        (("up", "--snapshot", str(broken)), "is no snapshot of a training cluster"),
        (("up", "--snapshot", str(tmp_path / "none")), "does not exist"),
        (("clock", "show"), "No training cluster is running."),
        (("snapshot", "save", "file"), "No training cluster is running."),
    ]
    for words, message in refusals:
        assert message in veza_nb(*words, code=2)


@pytest.fixture
def fast(tmp_path: Path) -> Iterator[Running]:
    directory = tmp_path / "fast"
    yield detached.up(directory=directory, speed=10)
    detached.down(directory)


def test_a_clock_that_runs_is_not_stepped(fast: Running) -> None:
    shown = control.ask(fast, "clock.show")

    assert (10, False, True) == (shown["speed"], shown["stepped"], shown["now"].endswith("Z"))
    with pytest.raises(control.ControlError, match="this cluster's clock runs by itself"):
        control.ask(fast, "clock.step", {"seconds": 1})
    with pytest.raises(control.ControlError, match="say how many seconds"):
        control.ask(fast, "clock.step", {"seconds": "many"})
    with pytest.raises(control.ControlError, match="say how many seconds"):
        control.ask(fast, "clock.step", {})


def test_another_way_for_time_to_pass_needs_another_cluster(fast: Running) -> None:
    directory = Path(fast.kubeconfig).parent

    assert fast == detached.up(directory=directory)
    assert fast == detached.up(directory=directory, speed=10)
    for asked in ({"speed": 5.0}, {"stepped": True}):
        with pytest.raises(detached.ClusterError, match="its time passes in another way"):
            detached.up(directory=directory, **asked)
