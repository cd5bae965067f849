"""Reading is safe in any number of threads: the interpreter once died of two that began at once."""

import re
import subprocess
import sys
from pathlib import Path

import pytest

import veza_nb

THREADS = """
import sys, threading
from veza_nb import objects
from veza_nb.typed import convert, decode_json

sys.setswitchinterval(1e-6)
kinds = (objects.Pod, objects.Deployment, objects.ReplicaSet, objects.Event, objects.Workload)
meta = b'{"metadata": {"name": "a", "ownerReferences": [{"kind": "x"}], "managedFields": [{}]}}'
begin = threading.Barrier(8)
seen = []

def read(number):
    kind = kinds[number % len(kinds)]
    begin.wait()
    if kind is objects.Workload:
        seen.append(convert({"deployment": {"metadata": {"name": "a"}}}, kind).deployment)
    else:
        seen.append(decode_json(meta, kind))

threads = [threading.Thread(target=read, args=(number,)) for number in range(8)]
for thread in threads: thread.start()
for thread in threads: thread.join()
print(sum(one.metadata.name == "a" for one in seen))
"""


@pytest.mark.parametrize("attempt", range(8))
def test_many_threads_that_meet_new_types_at_once_all_read_them(attempt: int) -> None:
    done = subprocess.run(
        [sys.executable, "-c", THREADS], capture_output=True, text=True, check=False
    )

    assert (done.returncode, done.stdout) == (0, "8\n"), f"{attempt}: {done.stderr}"


def test_the_kit_reads_in_no_other_way() -> None:
    package = Path(veza_nb.__file__).parent
    others = [
        str(path.relative_to(package))
        for path in package.rglob("*.py")
        if "sandbox" not in path.parts and path.name != "typed.py"
        if re.search(r"msgspec\.(json\.)?(decode|convert|Decoder)\b", path.read_text())
    ]

    assert others == []
