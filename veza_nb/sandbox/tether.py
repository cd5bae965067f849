"""Turns into another program that the kernel ends together with the one that started this.

Run as a script: `python -I -S tether.py PID PROGRAM ARGUMENT...`. Nobody is asked to clean up: not
even SIGKILL of the parent leaves an orphan behind.
"""

import ctypes
import os
import signal
import sys

_PR_SET_PDEATHSIG = 1


def main(arguments: list[str]) -> None:
    """Become the program, unless the parent of that pid is gone already."""
    parent, *command = arguments
    if sys.platform == "linux":
        ctypes.CDLL(None).prctl(_PR_SET_PDEATHSIG, signal.SIGKILL, 0, 0, 0)
    if os.getppid() == int(parent):
        os.execv(command[0], command)


if __name__ == "__main__":
    main(sys.argv[1:])
