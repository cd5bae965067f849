"""What a ReplicaSet still shows of its life, and what it does not."""

from datetime import UTC, datetime, timedelta
from typing import Any

import pytest

from tests.builders import (
    NOW,
    RECORDED_AT,
    ago,
    crashing,
    deployment,
    pod,
    recorded,
    replicaset,
    template,
    workload,
)
from veza_nb.revisions import Revision, find_revision, read_history
from veza_nb.vitals import Vitals, said


def written(manager: str, at: str, **more: Any) -> dict[str, Any]:
    owned = {"f:spec": {"f:template": {"f:spec": {}}}}
    return {"manager": manager, "operation": "Update", "time": at, "fieldsV1": owned, **more}


def revision(number: int, *, fields: list[dict[str, Any]] | None = None, **live: Any) -> Revision:
    """One of three revisions; the third is live since five minutes."""
    one = replicaset(1, template("app:v1"), created=ago(days=2))
    two = replicaset(2, template("app:v2"), created=ago(days=1))
    three = replicaset(3, template("app:v3"), created=ago(minutes=5), pods=3, **live)
    seen = deployment(pod_template=template("app:v3"), revision=3)
    seen["metadata"]["managedFields"] = fields or []
    found = find_revision(read_history(workload(seen, [one, two, three]), now=NOW), number)
    assert found is not None
    return found


def at(moment: str, number: int) -> Revision:
    found = find_revision(read_history(recorded(moment), now=RECORDED_AT), number)
    assert found is not None
    return found


# Recorded on a real control plane.


def test_who_brought_a_release_is_read_off_the_field_managers() -> None:
    assert at("08-failed-deadline", 6).vitals.changed_by == ("kubectl-set",)
    assert at("14-restarted", 13).vitals.changed_by == ("kubectl-rollout",)
    assert at("14-restarted", 11).vitals.changed_by == ()


def test_who_undid_is_whoever_wrote_last_before_the_old_template_was_live_again() -> None:
    assert at("06-after-undo", 3).vitals.changed_by == ("kubectl",)
    assert at("14-undo-after-restart", 14).vitals.changed_by == ()


def test_a_rollout_that_passed_its_deadline_never_was_fully_available() -> None:
    failed = at("08-failed-deadline", 6).vitals

    assert failed.fully_available is False
    assert datetime(2026, 11, 23, 9, 31, 53, tzinfo=UTC) == failed.fully_available_at


def test_the_revision_that_still_serves_is_fully_available() -> None:
    assert at("08-failed-deadline", 5).vitals.fully_available is True
    assert at("08-failed-deadline", 4).vitals.fully_available is None


def test_a_left_revision_keeps_its_size_and_when_it_was_scaled_to_nothing() -> None:
    left = at("14-restarted", 11)

    assert left.vitals.size == 3
    assert datetime(2026, 11, 23, 9, 32, 33, tzinfo=UTC) == left.vitals.left_by
    assert at("14-restarted", 13).vitals.left_by is None


# Built.


def test_full_availability_outlives_pods_that_broke_later() -> None:
    broken = replicaset(2, template("app:v2"), created=ago(hours=1), pods=3, available=0)
    said = {
        "type": "Progressing",
        "reason": "NewReplicaSetAvailable",
        "message": 'ReplicaSet "api-hash2" has successfully progressed.',
        "lastUpdateTime": ago(minutes=50),
    }
    seen = workload(deployment(conditions=[said]), [broken])
    current = read_history(seen, now=NOW).current

    assert current is not None
    assert current.available == 0
    assert current.vitals.fully_available is True
    assert current.vitals.fully_available_at == NOW - timedelta(minutes=50)


def test_service_is_told_as_intervals_also_those_before_a_reuse() -> None:
    one = replicaset(3, template("app:v1"), created=ago(days=3), earlier="1", pods=3)
    two = replicaset(2, template("app:v2"), created=ago(hours=1))
    said = {
        "type": "Progressing",
        "reason": "NewReplicaSetAvailable",
        "message": 'ReplicaSet "api-hash1" has successfully progressed.',
        "lastUpdateTime": ago(minutes=12),
    }
    live = deployment(pod_template=template("app:v1"), revision=3, conditions=[said])
    current = read_history(workload(live, [one, two]), now=NOW).current

    assert current is not None
    assert current.served == (
        (NOW - timedelta(days=3), NOW - timedelta(hours=1)),
        (NOW - timedelta(minutes=12), None),
    )


@pytest.mark.parametrize(
    "field",
    [
        written("kubectl", ago(minutes=5), subresource="scale"),
        written("kubectl", ago(minutes=4)),
        written("kubectl", ago(minutes=6)),
        written("kubectl", ago(minutes=5), fieldsV1={"f:metadata": {"f:annotations": {}}}),
        {"manager": "kubectl", "operation": "Update"},
    ],
)
def test_who_wrote_at_another_time_or_another_part_did_not_bring_it(field: dict) -> None:
    assert revision(3, fields=[field]).vitals.changed_by == ()


def test_who_wrote_just_before_brought_it() -> None:
    fields = [written("helm", ago(minutes=5, seconds=1)), written("argocd", ago(days=2))]

    assert revision(3, fields=fields).vitals.changed_by == ("helm",)
    assert revision(1, fields=fields).vitals.changed_by == ("argocd",)
    assert revision(2, fields=fields).vitals.changed_by == ()


@pytest.mark.parametrize("odd", ["", "many", "-3", "9" * 40, "\uff13"])
def test_an_odd_size_is_no_size(odd: str) -> None:
    key = "deployment.kubernetes.io/desired-replicas"

    assert revision(3, **{key: odd}).vitals.size is None
    assert revision(3, **{key: "7"}).vitals.size == 7


def test_restarts_are_those_of_its_own_pods_and_the_last_one_has_a_time() -> None:
    one = replicaset(1, template("app:v1"), created=ago(days=3), pods=1)
    two = replicaset(2, template("app:v2"), created=ago(minutes=3), pods=1, available=0)
    seen = read_history(
        workload(deployment(), [one, two], [pod("a", one, restarts=1), crashing("b", two)]),
        now=NOW,
    )

    assert [r.vitals.restarts for r in seen.revisions] == [4, 1]
    assert [r.vitals.last_restart for r in seen.revisions] == [NOW - timedelta(seconds=20), None]


def test_evidence_is_told_in_words_and_what_is_not_known_is_left_out() -> None:
    known = Vitals(fully_available=True, fully_available_at=NOW)

    assert said(Vitals()) == ()
    assert said(known) == ("reached full availability (11-24 12:00 UTC)",)
    assert said(Vitals(fully_available=False)) == ("never reached full availability",)
