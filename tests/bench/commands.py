"""How long whole commands take."""

import subprocess
import sys
import tempfile
import time
from pathlib import Path
from statistics import median

from tests.bench.bars import Bar

VEZA_NB = str(Path(sys.executable).with_name("veza-nb"))


def seconds(*command: str) -> float:
    begun = time.perf_counter()
    subprocess.run(command, check=True, stdout=subprocess.DEVNULL)
    return time.perf_counter() - begun


def help_bar() -> Bar:
    pairs = [(seconds(VEZA_NB, "--help"), seconds(sys.executable, "-c", "")) for _ in range(9)]
    ours, bare = (median(column) for column in zip(*pairs, strict=True))
    return Bar("veza-nb --help", ours, "s", 0.3, f"python that does nothing: {bare:.2f} s")


def drill_bar() -> Bar:
    with tempfile.TemporaryDirectory() as records:
        taken = seconds(VEZA_NB, "drill", "crash-loop", "--records", records)
    return Bar("veza-nb drill crash-loop", taken, "s", 20, "the bar itself")
