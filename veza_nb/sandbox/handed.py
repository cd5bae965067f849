"""Runs a script with arguments that were handed over in a file, not on the command line.

Run as a script: `python -I handed.py DESCRIPTOR SCRIPT`. The file is open at that descriptor and
holds a JSON list. What a container's arguments hold, a password for one, is nobody's business who
lists this machine's processes; inside, the script sees them as always.
"""

import json
import os
import runpy
import sys


def main(descriptor: int, script: str) -> None:
    """Read the arguments, then become the script."""
    with os.fdopen(descriptor, encoding="utf-8") as file:
        sys.argv = [script, *json.load(file)]
    runpy.run_path(script, run_name="__main__")


if __name__ == "__main__":
    main(int(sys.argv[1]), sys.argv[2])
