"""A Deployment's status, replayed from the watches of a real control plane."""

from __future__ import annotations

import itertools
import json
from datetime import timedelta
from pathlib import Path
from typing import Any

import pytest

from veza_nb.sandbox.clock import parse_timestamp
from veza_nb.sandbox.controllers import deployment_status as progress
from veza_nb.sandbox.controllers import revisions
from veza_nb.sandbox.controllers.conditions import get_condition
from veza_nb.sandbox.controllers.deployment_status import Reason, View

Json = dict[str, Any]
RECORDINGS = Path(__file__).parents[1] / "data" / "recordings"


def recorded(name: str) -> View:
    deployment = json.loads((RECORDINGS / f"objects/{name}.deployment.json").read_text())
    text = (RECORDINGS / f"objects/{name}.replicasets.json").read_text()
    replica_sets = json.loads(text)["items"]
    new = revisions.find_new(deployment, replica_sets)
    latest = max(c["lastUpdateTime"] for c in deployment["status"]["conditions"])
    now = parse_timestamp(latest)
    return View(deployment, revisions.others(new, replica_sets), new, now)


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
def test_a_settled_status_stays_as_the_real_controller_left_it(name: str) -> None:
    view = recorded(name)

    assert view.deployment["status"] == progress.rollout_status(view)


def test_counts_of_a_paused_change_are_as_recorded() -> None:
    view = recorded("13-paused-with-change")

    assert view.deployment["status"] == progress.calculate(view)


def replay(name: str) -> list[tuple[Json, list[list[Json]]]]:
    """Each state of a Deployment, with all states of its ReplicaSets up to then, newest first.

    A real controller looks at a cache that lags behind, so any of the latest may be the one that
    it saw.
    """
    deployments = (RECORDINGS / f"watch/{name}.deployment.jsonl").read_text().splitlines()
    sets = (RECORDINGS / f"watch/{name}.replicasets.jsonl").read_text().splitlines()
    events = [json.loads(line)["object"] for line in [*deployments, *sets]]
    events.sort(key=lambda item: int(item["metadata"]["resourceVersion"]))
    known: dict[str, Json] = {}
    snapshots: list[list[Json]] = []
    states = []
    for item in events:
        if item["kind"] == "Deployment":
            states.append((item, snapshots[::-1]))
        else:
            known[item["metadata"]["uid"]] = item
            snapshots.append(list(known.values()))
    return states


def statuses(before: Json, after: Json, snapshots: list[list[Json]]) -> list[Json]:
    """What our rules make of each snapshot, at the time of the recorded status."""
    latest = max(c["lastUpdateTime"] for c in after["status"]["conditions"])
    found = []
    for sets in snapshots:
        new = revisions.find_new(after, sets)
        view = View(
            {**after, "status": before["status"]},
            revisions.others(new, sets),
            new,
            parse_timestamp(latest),
        )
        found.append(progress.rollout_status(view))
    return found


def test_every_status_of_a_recorded_rollout_follows_from_the_one_before() -> None:
    states = replay("03-rollout")
    checked = 0
    for (before, _), (after, snapshots) in itertools.pairwise(states):
        complete = [sets for sets in snapshots if len(sets) == 2][:5]
        if after["status"] != before["status"] and complete:
            assert after["status"] in statuses(before, after, complete)
            checked += 1
    assert checked >= 8


def test_the_deadline_passes_one_second_after_it_is_due_and_not_before() -> None:
    view = recorded("08-failed-deadline")
    deployment = json.loads(json.dumps(view.deployment))
    condition = get_condition(deployment["status"], progress.PROGRESSING)
    assert condition is not None
    condition |= {"status": "True", "reason": Reason.UPDATED.value}
    since = parse_timestamp(condition["lastUpdateTime"])

    def reason(seconds: float) -> str:
        moment = since + timedelta(seconds=seconds)
        status = progress.rollout_status(View(deployment, view.old, view.new, moment))
        found = get_condition(status, progress.PROGRESSING)
        assert found is not None
        return str(found["reason"])

    assert [reason(9), reason(10), reason(10.5)] == [
        "ReplicaSetUpdated",
        "ReplicaSetUpdated",
        "ProgressDeadlineExceeded",
    ]
    early = View(deployment, view.old, view.new, since + timedelta(seconds=4))
    assert progress.seconds_to_deadline(early, deployment["status"]) == 7.0


def test_a_completed_rollout_never_times_out_until_a_mixed_state_is_seen() -> None:
    """Recording 30: all pods are new at every look, so the completed condition stays."""
    text = (RECORDINGS / "objects/30-deadline-never-fires-recreate.deployment.json").read_text()
    deployment = json.loads(text)
    template = deployment["spec"]["template"]
    new = {
        "metadata": {"name": "n", "uid": "n", "creationTimestamp": "2026-01-01T00:00:00Z"},
        "spec": {"replicas": 3, "template": template},
        "status": {"replicas": 3},
    }
    much_later = parse_timestamp("2026-12-01T00:00:00Z")

    status = progress.rollout_status(View(deployment, [], new, much_later))

    assert deployment["status"] == status
    assert not progress.has_timed_out(deployment, status, much_later)


def test_a_quota_failure_shows_as_recorded() -> None:
    text = (RECORDINGS / "objects/23-quota.deployment.json").read_text()
    deployment = json.loads(text)
    failure = get_condition(deployment["status"], progress.REPLICA_FAILURE)
    assert failure is not None
    told = {key: value for key, value in failure.items() if key != "lastUpdateTime"}
    new = {
        "metadata": {"name": "q-65ff95bf87", "uid": "n", "creationTimestamp": "x"},
        "spec": {"replicas": 2, "template": deployment["spec"]["template"]},
        "status": {"replicas": 1, "readyReplicas": 1, "availableReplicas": 1, "conditions": [told]},
    }
    now = parse_timestamp("2026-11-23T09:33:24Z")

    assert deployment["status"] == progress.rollout_status(View(deployment, [], new, now))


@pytest.mark.parametrize(
    ("paused", "reason", "expected"),
    [
        (True, Reason.COMPLETE, "DeploymentPaused"),
        (True, Reason.PAUSED, None),
        (False, Reason.PAUSED, "DeploymentResumed"),
        (False, Reason.COMPLETE, None),
        (True, Reason.TIMED_OUT, None),
    ],
)
def test_pause_and_resume_are_noted_once_and_never_over_a_missed_deadline(
    paused: bool, reason: Reason, expected: str | None
) -> None:
    condition = {"type": "Progressing", "status": "True", "reason": reason.value}
    deployment = {
        "spec": {"paused": paused, "progressDeadlineSeconds": 600},
        "status": {"conditions": [condition]},
    }

    noted = progress.paused_condition(deployment, "2026-01-01T00:00:00Z")

    assert expected == (noted and noted["reason"])
    assert noted is None or noted["status"] == "Unknown"


def test_without_a_deadline_there_is_no_progressing_condition() -> None:
    view = recorded("02-created-complete")
    deployment = json.loads(json.dumps(view.deployment))
    deployment["spec"]["progressDeadlineSeconds"] = progress.NO_DEADLINE

    status = progress.rollout_status(View(deployment, view.old, view.new, view.now))

    assert [condition["type"] for condition in status["conditions"]] == ["Available"]
