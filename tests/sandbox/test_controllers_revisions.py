"""Revisions: numbers, history, annotations, clean-up; judged by recordings of a real cluster."""

from __future__ import annotations

import copy
import json
from pathlib import Path
from typing import Any

import pytest

from veza_nb.sandbox.controllers import revisions
from veza_nb.sandbox.controllers.revisions import HISTORY, REVISION

Json = dict[str, Any]
RECORDINGS = Path(__file__).parents[1] / "data" / "recordings" / "objects"


def recorded(name: str) -> tuple[Json, list[Json]]:
    deployment = json.loads((RECORDINGS / f"{name}.deployment.json").read_text())
    replica_sets = json.loads((RECORDINGS / f"{name}.replicasets.json").read_text())["items"]
    return deployment, replica_sets


SETTLED = [
    "02-created-complete",
    "04-rolled-out",
    "06-after-undo",
    "08-failed-deadline",
    "10-after-undo-of-failed",
    "14-undo-after-restart",
    "27-long-history",
]


@pytest.mark.parametrize("name", SETTLED)
def test_a_settled_deployment_gets_no_new_numbers_and_no_new_annotations(name: str) -> None:
    deployment, replica_sets = recorded(name)

    new = revisions.find_new(deployment, replica_sets)
    old = revisions.others(new, replica_sets)

    assert new is not None
    annotations = new["metadata"]["annotations"]
    wanted = revisions.new_annotations(deployment, annotations, revisions.next_revision(old))
    assert annotations == wanted
    assert deployment["metadata"]["annotations"][REVISION] == annotations[REVISION]


def test_a_template_that_comes_back_gets_the_highest_number_and_remembers_its_old_one() -> None:
    """Undo 04 -> 06: revision 1 disappears and comes back as 3."""
    deployment, replica_sets = recorded("04-rolled-out")
    _, after = recorded("06-after-undo")
    undone = copy.deepcopy(deployment)
    target = replica_sets[0]["spec"]["template"]
    undone["spec"]["template"] = revisions._without_hash(target)
    undone["metadata"]["annotations"]["kubernetes.io/change-cause"] = "release v1.0.0"

    new = revisions.find_new(undone, replica_sets)
    assert new is not None
    revision = revisions.next_revision(revisions.others(new, replica_sets))
    wanted = revisions.new_annotations(undone, new["metadata"]["annotations"], revision)

    assert after[0]["metadata"]["annotations"] == wanted
    assert (wanted[REVISION], wanted[HISTORY]) == ("3", "1")


def test_a_paused_template_without_replica_set_is_nobodys() -> None:
    deployment, replica_sets = recorded("13-paused-with-change")

    assert revisions.find_new(deployment, replica_sets) is None
    assert revisions.next_revision(replica_sets) == 12


def test_a_new_replica_set_is_built_as_recorded() -> None:
    deployment, replica_sets = recorded("02-created-complete")
    real = replica_sets[0]

    built = revisions.build_replica_set(deployment, 1)

    real_hash = real["metadata"]["labels"]["pod-template-hash"]
    our_hash = built["metadata"]["labels"]["pod-template-hash"]
    renamed = json.loads(json.dumps(built).replace(our_hash, real_hash))
    renamed["spec"]["replicas"] = real["spec"]["replicas"]
    assert real["spec"] == renamed["spec"]
    for part in ("name", "namespace", "labels", "annotations", "ownerReferences"):
        assert real["metadata"][part] == renamed["metadata"][part]


def test_the_hash_is_stable_short_and_set_apart_by_collisions() -> None:
    template = {"metadata": {"labels": {"app": "x"}}, "spec": {"containers": []}}
    shuffled = {"spec": {"containers": []}, "metadata": {"labels": {"app": "x"}}}

    first = revisions.template_hash(template)

    assert first == revisions.template_hash(shuffled)
    assert first != revisions.template_hash(template, 1)
    assert set(first) <= set("bcdfghjklmnpqrstvwxz2456789")
    assert len(first) <= 10


def test_a_higher_number_is_kept() -> None:
    deployment = {"metadata": {"annotations": {"note": "x", REVISION: "3"}}, "spec": {}}

    wanted = revisions.new_annotations(deployment, {REVISION: "9"}, 4)

    assert wanted == {"note": "x", REVISION: "9"}


def test_the_history_forgets_its_oldest_numbers_when_it_grows_too_long() -> None:
    history = ",".join(str(number) for number in range(1000, 1400))
    deployment = {"metadata": {}, "spec": {}}

    wanted = revisions.new_annotations(deployment, {REVISION: "1400", HISTORY: history}, 1401)

    assert len(wanted[HISTORY]) <= 2000
    assert wanted[HISTORY].endswith(",1399,1400")
    assert not wanted[HISTORY].startswith("1000,")


def test_clean_up_takes_the_lowest_numbers_beyond_the_limit_and_only_idle_ones() -> None:
    """Recording 27: never more than revisionHistoryLimit old ReplicaSets are left."""
    deployment, replica_sets = recorded("27-long-history")
    new = revisions.find_new(deployment, replica_sets)
    old = revisions.others(new, replica_sets)

    assert revisions.to_clean_up(deployment, old) == []
    deployment["spec"]["revisionHistoryLimit"] = 8
    doomed = revisions.to_clean_up(deployment, old)
    assert [revisions.revision_of(item) for item in doomed] == [15, 16]
    doomed[0]["spec"]["replicas"] = 1
    assert [revisions.revision_of(item) for item in revisions.to_clean_up(deployment, old)] == [16]
