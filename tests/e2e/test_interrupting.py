"""Ctrl-C in the middle: a known state, written down, and the ways from there."""

import signal
import subprocess
from collections.abc import Iterator
from pathlib import Path

import pytest

from tests.e2e.conftest import VEZA_NB
from tests.e2e.scenes import SERVICE, Scene, scene_of

pytestmark = pytest.mark.powers
NEVER_READY = f"registry.veza.example/{SERVICE}:v8-slow"


@pytest.fixture
def scene(tmp_path: Path) -> Iterator[Scene]:
    yield from scene_of("healthy", tmp_path)


def stopped(scene: Scene, at: str, *arguments: str) -> subprocess.CompletedProcess[str]:
    """Run a rollback and press Ctrl-C once that line is on the terminal."""
    command = [
        VEZA_NB, "rollback", SERVICE, "--kubeconfig", str(scene.cluster.kubeconfig),
        "--catalog", str(scene.catalog), "--records", str(scene.records), "--confirm", SERVICE,
        *arguments,
    ]  # fmt: skip
    with subprocess.Popen(
        command, stdout=subprocess.PIPE, stderr=subprocess.PIPE, text=True, start_new_session=True
    ) as running:
        assert running.stdout is not None
        seen = [next(line for line in running.stdout if at in line)]
        running.send_signal(signal.SIGINT)
        out, err = running.communicate(timeout=60)
    return subprocess.CompletedProcess(command, running.returncode, "".join(seen) + out, err)


def test_in_the_middle_of_a_rollout_it_says_what_goes_on_and_all_three_ways(scene: Scene) -> None:
    good = scene.image
    scene.release(NEVER_READY)
    scene.release(f"registry.veza.example/{SERVICE}:v9-bad")
    live = scene.revision_of(scene.image)

    done = stopped(
        scene, "Undo sent", "--to-revision", str(scene.revision_of(NEVER_READY)),
        "--incident", "stopped",
    )  # fmt: skip

    assert done.returncode == 130
    said = " ".join(done.stderr.split())
    assert "Stopped during undo. The undo was sent and took effect" in said
    assert "The rollout is " in said
    assert "It goes on by itself." in said
    assert "continue incident stopped" in said
    assert f"rollout pause deployment/{SERVICE}`" in said
    assert f"To undo the undo: `veza-nb rollback {SERVICE} --to-revision {live}`" in said
    assert (scene.image, scene.undos) == (NEVER_READY, 1)
    record = scene.record()
    assert (record["outcome"], record["changed"]) == ("interrupted", True)
    assert "It goes on by itself." in record["errors"][-1]["state"]
    assert '"interrupted":true' in (scene.records / "stopped" / "journal.jsonl").read_text()

    back = scene.rollback("--to-revision", str(live), "--confirm", SERVICE, "--incident", "back")
    assert back.code == 4, back.stderr  # what was live before was bad, too: but it went there
    assert scene.image not in (NEVER_READY, good)


def test_before_anything_was_sent_it_says_only_how_to_go_on(scene: Scene) -> None:
    scene.release(f"registry.veza.example/{SERVICE}:v9-bad")
    scene.cluster.call(lambda admin: admin.list("pods", "veza-production"))
    scene.configure(look_seconds=60)

    done = stopped(scene, "Ready: ", "--incident", "early")

    said = " ".join(done.stderr.split())
    assert done.returncode == 130
    assert "Nothing was changed in the cluster." in said
    assert "rollout pause" not in said
    assert scene.undos == 0
