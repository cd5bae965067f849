"""Coming back to an incident: what was done is not repeated, what changed is not overrun."""

import json
import signal
import subprocess
import sys
import textwrap
from pathlib import Path
from typing import Any

import pytest
from kubernetes import client, config

from tests.e2e.conftest import SERVICE, Application
from veza_nb import Incident
from veza_nb.errors import RefusedError, UsageError
from veza_nb.vocabulary import RolloutPhase

CONFIRMED = ("--confirm", SERVICE)


def opened(application: Application, incident_id: str = "again", **more: Any) -> Incident:
    return Incident.open(SERVICE, **application.opening(incident_id=incident_id, **more))


def finish(incident: Incident, *, to_revision: int = 0, confirm: str = "") -> None:
    """All cells, from detection to the end."""
    incident.detect()
    incident.history()
    plan = incident.plan(to_revision=to_revision)
    incident.approve(plan, confirm=confirm)
    incident.undo(plan)
    incident.verify()
    incident.close()


def test_later_fix_by_a_colleague_is_never_rolled_back_by_the_old_incident(
    broken: Application,
) -> None:
    finish(opened(broken), confirm=SERVICE)
    broken.release(broken.images.other)
    broken.wait_for(RolloutPhase.COMPLETE)
    generation = broken.generation

    with pytest.raises(RefusedError, match="changed again since"):
        finish(opened(broken), confirm=SERVICE)

    assert (broken.generation, broken.image) == (generation, broken.images.other)


def test_approval_does_not_cover_a_diff_that_nobody_saw(broken: Application) -> None:
    first = opened(broken)
    first.detect()
    first.approve(first.plan(), confirm=SERVICE)
    body = {"spec": {"template": {"metadata": {"annotations": {"hotfix": "1"}}}}}
    broken.apps.patch_namespaced_deployment(SERVICE, broken.namespace, body, _preload_content=False)
    broken.wait_for(RolloutPhase.STUCK)
    generation = broken.generation

    with pytest.raises(RefusedError, match="not approved"):
        finish(opened(broken))

    assert broken.generation == generation


def test_incident_belongs_to_one_namespace(broken: Application) -> None:
    opened(broken)
    api = config.new_client_from_config(str(broken.kubeconfig), broken.context)
    other = f"{broken.namespace}-other"
    client.CoreV1Api(api).create_namespace({"metadata": {"name": other}}, _preload_content=False)
    try:
        with pytest.raises(UsageError, match="is about namespace"):
            opened(broken, namespace=other)
    finally:
        client.CoreV1Api(api).delete_namespace(other, _preload_content=False)
        api.close()


def test_named_revision_counts_in_a_continued_incident_and_needs_its_own_approval(
    broken: Application,
) -> None:
    finish(opened(broken), confirm=SERVICE)
    with pytest.raises(RefusedError, match="not approved"):
        finish(opened(broken), to_revision=1)

    finish(opened(broken), to_revision=1, confirm=SERVICE)

    assert broken.image == broken.images.other


def test_record_keeps_the_plan_that_was_sent(broken: Application) -> None:
    finish(opened(broken), confirm=SERVICE)
    first = broken.record()

    finish(opened(broken))

    second = broken.record()
    for fact in ("plan", "history", "diagnosis", "baseline", "recovered_at", "mutated_at"):
        assert second[fact] == first[fact], fact


def test_verdict_of_a_release_that_is_gone_by_now_does_not_count(broken: Application) -> None:
    incident = opened(broken)
    incident.detect()
    plan = incident.plan()
    incident.approve(plan, confirm=SERVICE)
    incident.undo(plan)
    incident.verify()
    broken.release(broken.images.other)

    with pytest.raises(Exception, match="cannot be told"):
        incident.close()

    assert broken.record()["outcome"] == "inconclusive"


def test_blocked_plan_is_not_sent_even_if_it_was_approved_before(broken: Application) -> None:
    incident = opened(broken)
    incident.detect()
    plan = incident.plan()
    incident.approve(plan, confirm=SERVICE)
    broken.apps.patch_namespaced_deployment(
        SERVICE, broken.namespace, {"spec": {"paused": True}}, _preload_content=False
    )
    paused = incident.plan()
    generation = broken.generation

    with pytest.raises(RefusedError, match="paused"):
        incident.undo(paused)
    with pytest.raises(UsageError, match="not the newest plan"):
        incident.undo(plan)

    assert broken.generation == generation


def test_record_says_open_again_once_a_refused_run_goes_on(broken: Application) -> None:
    incident = opened(broken)
    incident.detect()
    plan = incident.plan()
    with pytest.raises(RefusedError):
        incident.approve(plan, confirm="no")
    assert broken.record()["outcome"] == "refused"

    incident.approve(plan, confirm=SERVICE)
    incident.undo(plan)

    record = broken.record()
    assert (record["outcome"], record["exit_code"], record["changed"]) == ("open", None, True)


KILLED = """
import os, signal, sys
from veza_nb import Incident
from veza_nb.cluster import Cluster
from veza_nb.vocabulary import JournalEvent, Step

boundary, arguments = sys.argv[1], eval(sys.argv[2])
incident = Incident.open({service!r}, **arguments)
incident.detect()
plan = incident.plan()
incident.approve(plan, confirm={service!r})
journal = incident.logbook.journal
append = journal.append

def die(*_):
    os.kill(os.getpid(), signal.SIGKILL)

def dying(step, event, data=None):
    if step is Step.UNDO and event is JournalEvent.INTENT and boundary == "before intent":
        die()
    if step is Step.UNDO and event is JournalEvent.DONE and boundary == "before done":
        die()
    line = append(step, event, data)
    if step is Step.UNDO and event is JournalEvent.INTENT and boundary == "after intent":
        die()
    if step is Step.UNDO and event is JournalEvent.DONE and boundary == "after done":
        die()
    return line

journal.append = dying
incident.undo(plan)
"""


@pytest.mark.powers
@pytest.mark.usefixtures("powers")
@pytest.mark.parametrize("boundary", ["before intent", "after intent", "before done", "after done"])
def test_killed_at_any_boundary_one_undo_reaches_the_server(
    broken: Application, boundary: str
) -> None:
    before = len(broken.undos())
    script = textwrap.dedent(KILLED).format(service=SERVICE)
    arguments = repr(broken.opening(incident_id="killed"))
    died = subprocess.run([sys.executable, "-c", script, boundary, arguments], check=False)
    assert died.returncode == -signal.SIGKILL

    finish(opened(broken, "killed"))

    assert len(broken.undos()) == before + 1
    assert broken.image == broken.images.good
    record = broken.record()
    assert (record["outcome"], record["changed"]) == ("recovered", True)


@pytest.mark.powers
@pytest.mark.usefixtures("powers")
def test_second_run_of_a_living_incident_sends_no_second_undo(
    broken: Application, tmp_path: Path
) -> None:
    before = len(broken.undos())
    first = opened(broken, "shared")
    first.detect()
    plan = first.plan()
    first.approve(plan, confirm=SERVICE)
    first.undo(plan)
    done = broken.veza_nb("rollback", *CONFIRMED, "--incident", "shared")
    first.verify()
    first.close()

    assert done.code in {0, 3}, done.stderr + done.stdout
    assert len(broken.undos()) == before + 1
    assert json.loads((broken.records / "shared" / "record.json").read_text())["changed"] is True
    assert [one.name for one in broken.records.iterdir()] == ["shared"]
