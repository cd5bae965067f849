"""Breaks a real run at one exact place of its journal, from outside of its code.

Python loads this file by itself where its folder is on PYTHONPATH. Around every line of a journal
the operating system's lock is taken and given back, and Python announces both to audit hooks:
that is where this one looks at the journal and strikes. Nothing of the kit is replaced or changed.

VEZA_BREAK holds JSON, see `tests.e2e.moments`.
"""

import fcntl
import json
import os
import resource
import shutil
import signal
import sys
from pathlib import Path
from typing import Any


def last_line(path: Path) -> tuple[dict[str, Any], int, int]:
    """The journal's last line, how many of its step and event there are, and its length."""
    lines = path.read_bytes().splitlines(keepends=True)
    if not lines or not lines[-1].endswith(b"\n"):
        return {}, 0, 0
    read = [json.loads(line) for line in lines]
    kinds = [(one["step"], one["event"]) for one in read]
    return read[-1], kinds.count(kinds[-1]), len(lines[-1])


def strike(order: dict[str, Any], path: Path, length: int) -> None:
    """Do what is to be done at that moment."""
    size = path.stat().st_size
    if order["half"]:
        os.truncate(path, size - length // 2)
    match order["what"]:
        case "kill":
            os.kill(os.getpid(), signal.SIGKILL)
        case "kill parent":
            os.kill(os.getppid(), signal.SIGKILL)
            if order["half"]:  # nobody lives on after half a line
                os.kill(os.getpid(), signal.SIGKILL)
        case "stop":
            os.kill(os.getpid(), signal.SIGSTOP)
        case "fill disk":
            resource.setrlimit(resource.RLIMIT_FSIZE, (size, size))
        case "remove records":
            shutil.rmtree(path.parent)


def watch(order: dict[str, Any]) -> None:
    """Strike once, when the line that is meant is the last one."""
    done = False

    def hook(event: str, arguments: tuple[Any, ...]) -> None:
        nonlocal done
        if done or event != "fcntl.flock":
            return
        descriptor, operation = arguments
        path = Path(f"/proc/self/fd/{descriptor}").readlink()
        if path.name != "journal.jsonl" or (operation == fcntl.LOCK_EX) != order["before_next"]:
            return
        line, number, length = last_line(path)
        wanted = (order["step"], order["event"], order["number"])
        if line and (line["step"], line["event"], number) == wanted:
            done = True
            strike(order, path, length)

    sys.addaudithook(hook)


if "VEZA_BREAK" in os.environ:
    watch(json.loads(os.environ["VEZA_BREAK"]))
