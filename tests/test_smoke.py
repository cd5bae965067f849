"""Smoke tests: real commands, ended in time with all that they started."""

import os
import sys
from pathlib import Path

import pytest

from veza_nb.catalog import Smoke
from veza_nb.clock import Deadline, SystemClock
from veza_nb.smoke import KEPT, run_smoke
from veza_nb.smokechecks import SmokeResult, smoke_check, smoke_not_run
from veza_nb.vocabulary import Item, Verdict

PASS, FAIL, INCONCLUSIVE = Verdict.PASS, Verdict.FAIL, Verdict.INCONCLUSIVE


def run(folder: Path, *command: str, seconds: float = 30, env: tuple[str, ...] = ()) -> SmokeResult:
    test = Smoke(name="try", command=command, timeout_seconds=seconds, env=env)
    variables = {"VEZA_SERVICE": "api", "VEZA_URL": ""}
    return run_smoke(test, variables, folder=folder, clock=SystemClock())


def script(folder: Path, text: str, seconds: float = 30) -> SmokeResult:
    return run(folder, sys.executable, "-c", text, seconds=seconds)


def ended(result: SmokeResult) -> tuple[int | None, str]:
    return result.exit_code, result.problem


def test_the_exit_code_decides(tmp_path: Path) -> None:
    good, bad = run(tmp_path, "true"), run(tmp_path, "sh", "-c", "echo no tracks >&2; exit 7")

    assert (ended(good), ended(bad)) == ((0, ""), (7, ""))
    passed, failed = (smoke_check(one, kept="evidence/x.json") for one in (good, bad))
    assert (passed.verdict, failed.verdict) == (PASS, FAIL)
    assert (passed.name, passed.item) == ("smoke-try", Item.ENDPOINTS)
    assert passed.evidence[-1] == "output: evidence/x.json"
    assert failed.evidence[0].startswith("`sh -c echo no tracks >&2; exit 7`: exit code 7, ")
    assert "no tracks" in failed.evidence


@pytest.mark.parametrize("command", ["no-such-command", "./here-neither", "/"])
def test_what_cannot_be_started_is_missing_data(tmp_path: Path, command: str) -> None:
    result = run(tmp_path, command)
    check = smoke_check(result, kept="x")

    assert check.verdict is INCONCLUSIVE
    assert "not found" in check.evidence[0] or "could not be started" in check.evidence[0]


def test_a_relative_command_is_looked_for_in_the_catalogues_folder(tmp_path: Path) -> None:
    program = tmp_path / "try.sh"
    program.write_text("#!/bin/sh\npwd\n")
    program.chmod(0o755)

    assert run(tmp_path, "./try.sh").output.strip() == str(tmp_path)


def test_its_environment_is_small_and_known(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setenv("SECRET_OF_THE_OPERATOR", "1")
    monkeypatch.setenv("SMOKE_TOKEN", "t")
    seen = run(tmp_path, "env", env=("SMOKE_TOKEN", "NOT_SET")).output
    names = {line.partition("=")[0] for line in seen.splitlines()}

    usual = {"PATH", "HOME", "LANG"} & os.environ.keys()
    assert names == {"VEZA_SERVICE", "VEZA_URL", "SMOKE_TOKEN"} | usual


def test_it_has_nothing_to_read(tmp_path: Path) -> None:
    assert ended(run(tmp_path, "cat")) == (0, "")


def alive(pid: int) -> bool:
    """Whether a process runs; one that ended and waits for its parent does not."""
    try:
        return Path(f"/proc/{pid}/stat").read_text().rpartition(")")[2].split()[0] != "Z"
    except FileNotFoundError:
        return False


CHILD = """
import subprocess, sys, time
child = subprocess.Popen([sys.executable, "-c", "import time; time.sleep(600)"])
print(child.pid, flush=True)
"""


@pytest.mark.parametrize(
    ("end", "expected"),
    [("time.sleep(600)", (None, "not ended after 1 s, so it was killed")), ("", (0, ""))],
)
def test_it_is_killed_whole_at_its_limit_and_leaves_nothing_behind(
    tmp_path: Path, end: str, expected: tuple[int | None, str]
) -> None:
    limit = 1 if end else 30
    result = script(tmp_path, CHILD + end, seconds=limit)

    assert ended(result) == expected
    clock = SystemClock()
    deadline = Deadline.after(clock, 10)
    while alive(int(result.output)) and not deadline.passed:
        clock.sleep(0.02)
    assert not alive(int(result.output))


def test_a_signal_is_named(tmp_path: Path) -> None:
    result = script(tmp_path, "import os; os.kill(os.getpid(), 11)")

    assert ended(result) == (None, "killed by SIGSEGV")
    assert smoke_check(result, kept="x").verdict is FAIL


def test_an_endless_output_is_kept_at_both_ends_only(tmp_path: Path) -> None:
    text = "import sys; sys.stdout.write('begin' + 'x' * 5_000_000 + 'end')"
    result = script(tmp_path, text)

    assert result.exit_code == 0
    assert result.output.startswith("begin")
    assert result.output.endswith("end")
    assert "bytes left out" in result.output
    assert len(result.output) < KEPT + 100


def test_bytes_that_are_no_text_are_no_trouble(tmp_path: Path) -> None:
    assert "�" in script(tmp_path, "import os; os.write(1, b'\\xff\\xfe')").output


def test_of_a_rollout_that_is_not_through_it_says_nothing() -> None:
    assert smoke_not_run("try").verdict is INCONCLUSIVE
