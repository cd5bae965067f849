"""Rolling back further: the revision before the bad one is bad too."""

from collections.abc import Callable, Iterator
from functools import partial
from pathlib import Path
from typing import Any

import pytest

from tests.e2e.scenes import NAMESPACE, SERVICE, Scene, delete_replicaset, image_of, scene_of
from veza_nb import Incident
from veza_nb.errors import InterruptedRunError, NotRecoveredError, UsageError
from veza_nb.vocabulary import JournalEvent, Step

pytestmark = pytest.mark.powers
IMAGE = f"registry.veza.example/{SERVICE}"
GOOD, BEFORE, BAD = f"{IMAGE}:v2.7.2", f"{IMAGE}:v2.8.0", f"{IMAGE}:v2.8.1"


@pytest.fixture
def scene(tmp_path: Path) -> Iterator[Scene]:
    yield from scene_of("previous-bad", tmp_path)


def first_step(scene: Scene, **opening: Any) -> Incident:
    """The undo to the revision before, which is bad too, verified."""
    incident = scene.incident(**opening)
    incident.detect()
    plan = incident.plan(to_revision=scene.revision_of(BEFORE))
    incident.approve(plan, confirm=SERVICE)
    incident.undo(plan)
    incident.verify()
    return incident


def test_with_two_steps_it_ends_on_the_good_revision(scene: Scene) -> None:
    before = str(scene.revision_of(BEFORE))

    done = scene.rollback("--to-revision", before, "--max-steps", "2", "--confirm", SERVICE)

    assert done.code == 0, done.stderr + done.stdout[-3000:]
    assert (scene.image, scene.undos) == (GOOD, 2)
    record = scene.record()
    assert record["outcome"] == "recovered"
    (step,) = record["steps"]
    assert (step["images_after"], step["verdict"]) == ({"backend-api": BEFORE}, "fail")
    assert record["plan"]["images_after"] == {"backend-api": GOOD}
    marks = {
        image_of(one): one["metadata"]["annotations"].get("veza.dev/rollback-verdict", "")[:4]
        for one in scene.objects("replicasets")
    }
    assert (marks[BAD], marks[BEFORE], marks[GOOD]) == ("bad ", "bad ", "good")


def test_without_leave_it_goes_no_further_and_says_how(
    scene: Scene, capsys: pytest.CaptureFixture[str]
) -> None:
    incident = first_step(scene)

    incident.further(confirm=SERVICE)
    with pytest.raises(NotRecoveredError):
        incident.close()

    assert "--max-steps" in capsys.readouterr().out
    assert (scene.image, scene.undos) == (BEFORE, 1)


def test_the_catalogue_may_allow_it(scene: Scene) -> None:
    scene.configure(max_steps=2)
    incident = first_step(scene)

    incident.further(confirm=SERVICE)
    incident.close()

    assert (scene.image, scene.undos) == (GOOD, 2)


def test_a_plan_id_approves_that_plan_only_and_the_next_one_is_named(scene: Scene) -> None:
    incident = scene.incident()
    incident.detect()
    plan = incident.plan(to_revision=scene.revision_of(BEFORE))
    confirm = f"{plan.id}:ann"
    incident.approve(plan, confirm=confirm)
    incident.undo(plan)
    incident.verify()
    incident.further(max_steps=2, confirm=confirm)
    with pytest.raises(NotRecoveredError) as caught:
        incident.close()

    assert caught.value.exit_code == 4
    assert (scene.image, scene.undos) == (BEFORE, 1)
    words = caught.value.next_step.split()
    approval = words[words.index("--confirm") + 1].replace("NAME.", "ann")
    assert approval.startswith("p-")

    again = scene.incident()
    again.detect()
    same = again.plan()
    again.approve(same)
    again.undo(same)
    again.verify()
    again.further(max_steps=2, confirm=approval)
    again.close()

    assert (scene.image, scene.undos) == (GOOD, 2)
    assert scene.record()["outcome"] == "recovered"


def interrupted(incident: Incident) -> None:
    """Somebody presses Ctrl-C right before the second undo is journaled."""
    journal: Any = incident.logbook.journal
    append: Callable[..., Any] = journal.append

    def stopped(step: Step, event: JournalEvent, data: Any = None) -> Any:
        if (step, event) == (Step.UNDO, JournalEvent.INTENT):
            raise KeyboardInterrupt
        return append(step, event, data)

    journal.append = stopped
    with pytest.raises(InterruptedRunError, match="Stopped during undo"):
        incident.further(max_steps=2, confirm=SERVICE)
    journal.append = append


def test_interrupted_between_two_steps_the_cell_goes_on_when_it_is_run_again(scene: Scene) -> None:
    incident = first_step(scene)
    interrupted(incident)

    incident.further(max_steps=2, confirm=SERVICE)
    incident.close()

    assert (scene.image, scene.undos) == (GOOD, 2)
    assert scene.record()["outcome"] == "recovered"


def test_interrupted_between_two_steps_it_is_resumed_with_one_patch_each(scene: Scene) -> None:
    incident = first_step(scene)
    interrupted(incident)
    incident.logbook.let_go()  # as the end of its process does
    assert scene.undos == 1

    before = str(scene.revision_of(BEFORE))
    done = scene.rollback(
        "--incident", "incident", "--to-revision", before, "--max-steps", "2", "--confirm", SERVICE
    )

    assert done.code == 0, done.stderr + done.stdout[-3000:]
    assert (scene.image, scene.undos) == (GOOD, 2)
    record = scene.record()
    assert [one["images_after"]["backend-api"] for one in record["steps"]] == [BEFORE]
    assert record["plan"]["images_after"] == {"backend-api": GOOD}


def test_resumed_after_the_second_step_it_stays_there(scene: Scene) -> None:
    incident = first_step(scene)
    asked = scene.record()["parameters"]["to_revision"]
    incident.further(max_steps=2, confirm=SERVICE)
    incident.close()

    done = scene.rollback(
        "--incident", "incident", "--to-revision", str(asked), "--max-steps", "2",
        "--confirm", SERVICE,
    )  # fmt: skip

    assert done.code == 0, done.stderr + done.stdout[-3000:]
    assert (scene.image, scene.undos) == (GOOD, 2)


def test_where_nothing_untried_is_left_it_stops_and_never_goes_in_circles(scene: Scene) -> None:
    for one in scene.objects("replicasets"):
        if image_of(one) not in (BEFORE, BAD):
            delete = partial(delete_replicaset, name=one["metadata"]["name"])
            scene.cluster.call(delete)
    incident = first_step(scene)

    incident.further(max_steps=9, confirm=SERVICE)
    incident.further(max_steps=9, confirm=SERVICE)
    with pytest.raises(NotRecoveredError):
        incident.close()

    assert (scene.image, scene.undos) == (BEFORE, 1)


def test_a_plan_that_a_guard_blocks_is_shown_and_not_sent(
    scene: Scene, capsys: pytest.CaptureFixture[str]
) -> None:
    incident = first_step(scene)
    paused = {"spec": {"paused": True}}
    scene.cluster.call(lambda admin: admin.patch("deployments", NAMESPACE, SERVICE, paused))

    incident.further(max_steps=2, confirm=SERVICE)
    with pytest.raises(NotRecoveredError) as caught:
        incident.close()

    assert "this plan is blocked" in capsys.readouterr().out
    assert "--confirm" not in caught.value.next_step
    assert (scene.image, scene.undos) == (BEFORE, 1)


def verdict_marks(scene: Scene) -> dict[str, str]:
    """Image to the first word of the mark on its ReplicaSet."""
    mark = "veza.dev/rollback-verdict"
    told = {image_of(one): one["metadata"]["annotations"] for one in scene.objects("replicasets")}
    return {image: notes[mark].split()[0] for image, notes in told.items() if mark in notes}


def test_what_a_colleague_repaired_meanwhile_is_not_undone(
    scene: Scene, capsys: pytest.CaptureFixture[str]
) -> None:
    incident = first_step(scene)
    repaired = f"{IMAGE}:v2.7.9"
    scene.release(repaired)

    incident.further(max_steps=2, confirm=SERVICE)

    assert "Not gone further: what runs now is not revision" in capsys.readouterr().out
    assert (scene.image, scene.undos) == (repaired, 1)


def test_a_plan_that_was_only_looked_at_puts_no_mark_on_anything(scene: Scene) -> None:
    incident = scene.incident()
    incident.detect()
    plan = incident.plan(to_revision=scene.revision_of(GOOD))
    incident.approve(plan, confirm=SERVICE)
    incident.undo(plan)
    incident.plan(to_revision=scene.revision_of(BEFORE))
    incident.plan()
    incident.verify()
    incident.close()

    assert (scene.image, scene.undos) == (GOOD, 1)
    assert verdict_marks(scene) == {BAD: "bad", GOOD: "good"}


def test_further_comes_after_verify(scene: Scene) -> None:
    incident = scene.incident()
    incident.detect()
    incident.plan(to_revision=scene.revision_of(BEFORE))

    with pytest.raises(UsageError, match="'verify' has not been run"):
        incident.further(max_steps=2)
    with pytest.raises(UsageError, match="max_steps is -1"):
        first_step(scene, incident_id="another").further(max_steps=-1)


@pytest.fixture
def hurried(tmp_path: Path) -> Iterator[Scene]:
    """Ten seconds of the cluster pass in one of ours."""
    yield from scene_of(None, tmp_path, speed=10.0)


@pytest.mark.parametrize("how", ["unhealthy", "unready-later"])
def test_what_turns_bad_20_s_after_it_was_available_is_caught_and_left(
    hurried: Scene, how: str
) -> None:
    # Three of our seconds are the 30 s that a catalogue says by default.
    hurried.configure(soak_seconds=3, interval_seconds=0.1, rollout_seconds=20)
    later = f"{IMAGE}:v8-{how}"
    for image in (later, f"{IMAGE}:v9-bad"):
        hurried.release(image)
    incident = hurried.incident()
    incident.detect()
    plan = incident.plan(to_revision=hurried.revision_of(later))
    incident.approve(plan, confirm=SERVICE)
    incident.undo(plan)
    assert hurried.image == later

    incident.verify()
    assert hurried.record()["verification"]["verdict"] == "fail"
    incident.further(max_steps=2, confirm=SERVICE)
    incident.close()

    assert hurried.undos == 2
    assert hurried.image not in (later, f"{IMAGE}:v9-bad")
