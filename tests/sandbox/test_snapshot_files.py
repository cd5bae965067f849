"""The file of a snapshot: written whole or not at all, and believed only when it is."""

from __future__ import annotations

import gzip
import hashlib
import json
import os
import signal
import stat
import subprocess
import sys
import threading
import time
from collections.abc import Callable
from pathlib import Path

import pytest

from veza_nb.sandbox.lifecycle import TrainingCluster
from veza_nb.sandbox.saving.snapshots import Snapshot, SnapshotError


@pytest.fixture(scope="module")
def saved() -> Snapshot:
    with TrainingCluster.start(stepped=True) as cluster:
        return cluster.snapshot()


@pytest.fixture
def file(saved: Snapshot, tmp_path: Path) -> Path:
    path = tmp_path / "cluster.snapshot"
    saved.save(path)
    return path


def test_only_the_owner_can_read_the_file(file: Path) -> None:
    assert stat.S_IMODE(file.stat().st_mode) == 0o600


def test_the_first_line_says_what_the_file_is(file: Path) -> None:
    header, _, body = gzip.decompress(file.read_bytes()).partition(b"\n")

    assert json.loads(header) == {
        "format": "veza-nb sandbox snapshot",
        "version": 1,
        "bytes": len(body),
        "sha256": hashlib.sha256(body).hexdigest(),
    }


def with_header(file: Path, **changes: object) -> None:
    header, _, body = gzip.decompress(file.read_bytes()).partition(b"\n")
    changed = {**json.loads(header), **changes}
    file.write_bytes(gzip.compress(json.dumps(changed).encode() + b"\n" + body))


def with_body(file: Path, body: bytes) -> None:
    with_header(file, bytes=len(body), sha256=hashlib.sha256(body).hexdigest())
    header = gzip.decompress(file.read_bytes()).partition(b"\n")[0]
    file.write_bytes(gzip.compress(header + b"\n" + body))


def changed_body(file: Path, **changes: object) -> None:
    body = json.loads(gzip.decompress(file.read_bytes()).partition(b"\n")[2])
    with_body(file, json.dumps({**body, **changes}).encode())


def _as_directory(file: Path) -> None:
    file.unlink()
    file.mkdir()


def _flipped(content: bytes) -> bytes:
    middle = len(content) // 2
    return content[:middle] + bytes([content[middle] ^ 1]) + content[middle + 1 :]


BROKEN: dict[str, tuple[Callable[[Path], object], str]] = {
    "missing": (lambda file: file.unlink(), "cannot read the snapshot .*: No such file"),
    "a directory": (
        _as_directory,
        "cannot read the snapshot .*: Is a directory",
    ),
    "empty": (lambda file: file.write_bytes(b""), "is no snapshot of a training cluster"),
    "text": (lambda file: file.write_text("kind: Pod\n"), "is no snapshot of a training cluster"),
    "another gzip": (
        lambda file: file.write_bytes(gzip.compress(b'{"format": "other"}\n{}')),
        "is no snapshot of a training cluster",
    ),
    "a gzip of noise": (
        lambda file: file.write_bytes(gzip.compress(os.urandom(5000))),
        "is no snapshot of a training cluster",
    ),
    "cut short": (
        lambda file: file.write_bytes(file.read_bytes()[:-2000]),
        "is broken or cut short",
    ),
    "cut after a few bytes": (
        lambda file: file.write_bytes(file.read_bytes()[:40]),
        "is no snapshot of a training cluster",
    ),
    "a bit flipped": (
        lambda file: file.write_bytes(_flipped(file.read_bytes())),
        "is broken",
    ),
    "longer than it says": (lambda file: with_header(file, bytes=100), "its checksum does not"),
    "shorter than it says": (lambda file: with_header(file, bytes=10**9), "its checksum does not"),
    "a length that is none": (lambda file: with_header(file, bytes="7"), "7 is not its length"),
    "another checksum": (lambda file: with_header(file, sha256="00"), "its checksum does not"),
    "newer": (
        lambda file: with_header(file, version=2),
        "has version 2 of the format, and this veza-nb reads up to 1; restore it with",
    ),
    "a version that is none": (lambda file: with_header(file, version="x"), "has version x"),
    "no JSON": (lambda file: with_body(file, b"{"), "does not make sense"),
    "a field missing": (lambda file: with_body(file, b"{}"), "does not make sense: .*saved_at"),
    "a wrong type": (
        lambda file: changed_body(file, objects={"pods": "none"}),
        "does not make sense: Expected `array`",
    ),
    "an object without a name": (
        lambda file: changed_body(
            file, objects={"pods": [{"kind": "Pod", "metadata": {"resourceVersion": "1"}}]}
        ),
        "does not make sense: an object of kind Pod has no name or uid",
    ),
    "an object from the future": (
        lambda file: changed_body(file, version=1),
        "does not make sense: .* is newer than the cluster it is from",
    ),
}


@pytest.mark.parametrize("name", BROKEN)
def test_a_file_that_cannot_be_trusted_is_refused(file: Path, name: str) -> None:
    spoil, message = BROKEN[name]
    spoil(file)
    before = threading.active_count()

    with pytest.raises(SnapshotError, match=message):
        TrainingCluster.start(snapshot=file)
    assert before == threading.active_count()


def test_a_snapshot_brings_its_own_scenario(saved: Snapshot) -> None:
    with pytest.raises(ValueError, match="a snapshot brings its own scenario"):
        TrainingCluster.start(snapshot=saved, scenario="slow")


@pytest.mark.parametrize(
    ("place", "why"),
    [("nowhere/file", "No such file or directory"), (".", "."), ("sub", "Is a directory")],
)
def test_a_place_that_cannot_be_written_is_refused(
    saved: Snapshot, tmp_path: Path, place: str, why: str
) -> None:
    (tmp_path / "sub").mkdir()

    with pytest.raises(SnapshotError, match=f"cannot write the snapshot .*{why}"):
        saved.save(tmp_path / place)
    assert [path.name for path in tmp_path.rglob("*")] == ["sub"]


def test_a_full_disk_leaves_the_old_file(file: Path) -> None:
    """A limit on the length of files stands for the disk; it cuts in the middle of the write."""
    before = file.read_bytes()
    script = (
        "import resource, sys; from pathlib import Path\n"
        "from veza_nb.sandbox.saving.snapshots import Snapshot, SnapshotError\n"
        "saved = Snapshot.load(Path(sys.argv[1]))\n"
        f"resource.setrlimit(resource.RLIMIT_FSIZE, ({len(before) // 2}, resource.RLIM_INFINITY))\n"
        "try: saved.save(Path(sys.argv[1]))\n"
        "except SnapshotError as error: print(error)\n"
    )
    told = subprocess.run(
        [sys.executable, "-c", script, str(file)], capture_output=True, text=True, check=True
    )

    assert f"cannot write the snapshot {file}: File too large\n" == told.stdout
    assert before == file.read_bytes()
    assert [file] == list(file.parent.iterdir())


def test_a_kill_in_the_middle_of_saving_leaves_the_old_file(file: Path, saved: Snapshot) -> None:
    before = file.read_bytes()
    script = (
        "import sys; from pathlib import Path\n"
        "from veza_nb.sandbox.saving.snapshots import Snapshot\n"
        "saved = Snapshot.load(Path(sys.argv[1])); print(flush=True)\n"
        "while True: saved.save(Path(sys.argv[2]))\n"
    )
    target = file.with_name("other")
    for _ in range(5):
        command = [sys.executable, "-c", script, str(file), str(target)]
        with subprocess.Popen(command, stdout=subprocess.PIPE) as process:
            assert process.stdout is not None
            process.stdout.readline()
            wait_for(lambda: any(file.parent.glob(".other.*.draft")) or target.exists())
            process.send_signal(signal.SIGKILL)
        if target.exists():
            assert Snapshot.load(target).size == saved.size
            target.unlink()
    drafts = list(file.parent.glob(".other.*.draft"))
    for draft in drafts:
        os.utime(draft, (0, 0))
    Snapshot.load(file).save(target)

    assert before == file.read_bytes()
    assert {file, target} == set(file.parent.iterdir())


def wait_for(happened: Callable[[], bool]) -> None:
    deadline = time.monotonic() + 60
    while not happened():
        assert time.monotonic() < deadline
        time.sleep(0.0005)


def test_two_saves_at_once_both_leave_a_whole_file(saved: Snapshot, tmp_path: Path) -> None:
    path = tmp_path / "cluster.snapshot"
    threads = [threading.Thread(target=saved.save, args=(path,)) for _ in range(8)]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join()

    assert Snapshot.load(path).size == saved.size
    assert [path] == list(tmp_path.iterdir())


def test_drafts_of_the_living_are_left_alone(saved: Snapshot, tmp_path: Path) -> None:
    draft = tmp_path / ".cluster.snapshot.0badcafe.draft"
    draft.write_bytes(b"half")
    saved.save(tmp_path / "cluster.snapshot")

    assert draft.exists()
