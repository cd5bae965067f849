"""The history of a Deployment and which revision is recommended."""

from dataclasses import replace
from datetime import timedelta

import pytest

from tests.builders import (
    NOW,
    RECORDED_AT,
    ago,
    complete_release,
    crashing,
    deployment,
    failed_release,
    merged,
    pod,
    recorded,
    recorded_json,
    replicaset,
    template,
    workload,
)
from veza_nb.objects import Workload
from veza_nb.revisions import History, Standing, find_revision, read_history
from veza_nb.vitals import NOTHING_KNOWN

RESTARTED = template("app:v2")
RESTARTED["metadata"]["annotations"] = {"kubectl.kubernetes.io/restartedAt": ago(minutes=3)}


def history(seen: Workload) -> History:
    return read_history(seen, now=NOW)


def numbers(of: History) -> list[int]:
    return [revision.number for revision in of.revisions]


def at(name: str) -> History:
    return read_history(recorded(name), now=RECORDED_AT)


def three(*, middle_served: dict, first: dict | None = None, **last: object) -> Workload:
    """Three revisions, the last one live; the middle one served that long."""
    start = timedelta(**middle_served) + timedelta(minutes=5)
    one = replicaset(1, template("app:v1"), created=ago(days=9), **(first or {}))
    two = replicaset(2, template("app:v2"), created=ago(seconds=start.total_seconds()))
    three = replicaset(3, template("app:v3"), created=ago(minutes=5), pods=3, **last)
    return workload(deployment(pod_template=template("app:v3"), revision=3), [one, two, three])


# Recorded: what kubectl rollout history shows, and more.


@pytest.mark.parametrize(
    ("moment", "shown"),
    [
        ("04-rolled-out", [2, 1]),
        ("06-after-undo", [3, 2]),
        ("06b-after-second-undo", [4, 3]),
        ("10-after-undo-of-failed", [7, 6, 4]),
        ("14-restarted", [13, 12, 11, 10, 8, 6, 4]),
        ("14-undo-after-restart", [14, 13, 11, 10, 8, 6, 4]),
        ("27-long-history", [81, 80, 78, 76, 74, 72, 70, 20, 19, 16, 15]),
    ],
)
def test_numbers_are_those_that_kubectl_shows(moment: str, shown: list[int]) -> None:
    assert shown == numbers(at(moment))


def test_an_undo_renumbers_and_the_old_number_is_kept() -> None:
    after = at("06-after-undo")

    assert find_revision(after, 1) is None
    assert after.current is not None
    assert (after.current.number, after.current.earlier_numbers) == (3, (1,))


def test_numbers_of_a_long_life_are_all_kept() -> None:
    current = at("27-long-history").current

    assert current is not None
    assert tuple(range(21, 80, 2)) == current.earlier_numbers


@pytest.mark.parametrize("moment", ["07-failing", "08-failed-deadline"])
def test_the_revision_that_still_serves_is_recommended(moment: str) -> None:
    seen = at(moment)

    assert seen.recommended is not None
    assert seen.recommended.number == 5
    assert Standing.GOOD is seen.recommended.standing
    assert seen.recommended.available == 3
    assert seen.reasons == ("Revision 5: 3 pods of it still available now.",)


def test_the_bad_revision_is_not_recommended_after_it_was_left() -> None:
    seen = at("10-after-undo-of-failed")
    bad = find_revision(seen, 6)

    assert bad is not None
    assert bad.abandoned
    assert Standing.UNKNOWN is bad.standing
    assert seen.recommended is None
    assert any("Revision 6: somebody went back from it" in reason for reason in seen.reasons)


def test_a_restart_is_no_cure_and_says_so() -> None:
    twin = find_revision(at("14-restarted"), 12)

    assert twin is not None
    assert twin.restart_only
    assert "differs from the live template only by a restart: same images, no cure" in twin.reasons


def test_without_history_nothing_is_recommended() -> None:
    """Recorded: revisionHistoryLimit 0 leaves the live ReplicaSet alone."""
    [only] = recorded_json("17-nohistory", "replicasets")["items"]
    of = deployment(pod_template=only["spec"]["template"], revisionHistoryLimit=0)
    of["metadata"]["uid"] = only["metadata"]["ownerReferences"][0]["uid"]
    seen = read_history(workload(of, [only]), now=RECORDED_AT)

    assert numbers(seen) == [2]
    assert seen.recommended is None
    assert seen.revision_history_limit == 0
    assert seen.reasons == ("There is no earlier revision to go back to.",)


def test_a_paused_change_has_no_revision_and_the_running_one_is_recommended() -> None:
    seen = at("13-paused-with-change")

    assert seen.current is None
    assert seen.recommended is not None
    assert seen.recommended.number == 11


def test_an_undo_half_way_never_recommends_the_revision_it_leaves() -> None:
    """Recorded: v1 -> v2, undone when two pods of v2 were there."""
    sets: dict[str, dict] = {}
    recommended = []
    for event in merged("32-undo-mid-rollout.replicasets"):
        sets[event["object"]["metadata"]["name"]] = event["object"]
        live = max(
            sets.values(),
            key=lambda rs: int(rs["metadata"]["annotations"]["deployment.kubernetes.io/revision"]),
        )
        owner = live["metadata"]["ownerReferences"][0]["uid"]
        of = deployment(pod_template=live["spec"]["template"], replicas=4)
        of["metadata"]["uid"] = owner
        seen = read_history(workload(of, list(sets.values())), now=RECORDED_AT)
        assert seen.current is not None
        recommended.append((seen.current.number, seen.recommended and seen.recommended.number))

    assert list(dict.fromkeys(recommended)) == [(2, None), (2, 1), (3, None)]


# Literal: the rule of recommendation.


def test_long_service_is_evidence() -> None:
    seen = history(three(middle_served={"hours": 2, "minutes": 5}))

    assert seen.recommended is not None
    assert seen.recommended.number == 2
    assert seen.reasons == ("Revision 2: was in service for 2 h 5 min before it was replaced.",)
    assert timedelta(hours=2, minutes=5) == seen.recommended.in_service


@pytest.mark.parametrize(("minutes", "recommended"), [(14, 1), (15, 2)])
def test_a_revision_replaced_within_minutes_is_passed_over(minutes: int, recommended: int) -> None:
    seen = history(three(middle_served={"minutes": minutes}))

    assert seen.recommended is not None
    assert recommended == seen.recommended.number


def test_it_says_which_newer_one_was_passed_over() -> None:
    seen = history(three(middle_served={"minutes": 3}))

    assert (
        "Passed over: Revision 2: replaced after 3 min: too short to prove that it works."
        in seen.reasons
    )


def test_pods_that_serve_now_are_better_evidence_than_long_service() -> None:
    """A rollout that hung for an hour was in service too, in name."""
    seen = history(three(middle_served={"hours": 1}, first={"pods": 3}, available=0))

    assert seen.recommended is not None
    assert seen.recommended.number == 1


def test_pods_of_which_some_fail_are_no_evidence() -> None:
    seen = history(three(middle_served={"hours": 1}, first={"pods": 3, "available": 2}))
    first = find_revision(seen, 1)

    assert first is not None
    assert Standing.UNKNOWN is first.standing
    assert first.reasons == ("only 2 of its 3 pods available",)


def test_a_revision_marked_bad_is_never_recommended() -> None:
    marked = {"veza.dev/rollback-verdict": "bad: crash loop in incident 17"}
    one = replicaset(1, template("app:v1"), created=ago(days=3), pods=3, **marked)
    two = replicaset(2, template("app:v2"), created=ago(minutes=5), pods=1, available=0)
    seen = history(workload(deployment(), [one, two]))

    assert seen.recommended is None
    assert Standing.BAD is seen.revisions[1].standing
    assert any("bad: crash loop in incident 17" in reason for reason in seen.reasons)


def test_the_only_one_is_recommended_with_thin_evidence() -> None:
    one = replicaset(1, template("app:v1"), created=ago(minutes=7))
    two = replicaset(2, template("app:v2"), created=ago(minutes=5), pods=3)
    seen = history(workload(deployment(), [one, two]))

    assert seen.recommended is not None
    assert seen.recommended.number == 1
    assert any("the evidence for it is thin" in reason for reason in seen.reasons)


def test_of_several_without_evidence_none_is_recommended() -> None:
    short = [replicaset(n, template(f"app:v{n}"), created=ago(minutes=20 - n)) for n in range(1, 5)]
    live = deployment(pod_template=template("app:v4"), revision=4)
    seen = history(workload(live, short))

    assert seen.recommended is None
    assert "to_revision" in seen.reasons[0]
    assert len(seen.reasons) == 4


def test_reasons_stay_readable_with_fifty_revisions() -> None:
    many = [replicaset(n, template(f"app:v{n}"), created=ago(minutes=60 - n)) for n in range(1, 51)]
    live = deployment(pod_template=template("app:v50"), revision=50)
    seen = history(workload(live, many))

    assert list(range(50, 0, -1)) == numbers(seen)
    assert len(seen.reasons) == 7
    assert seen.reasons[-1] == "44 older revisions more, no better."


def test_one_revision_alone_is_told_so() -> None:
    seen = history(workload(deployment(pod_template=template()), [replicaset(1, template())]))

    assert seen.reasons == ("There is no earlier revision to go back to.",)
    assert seen.recommended is None


def test_a_restart_that_fails_goes_back_to_the_pods_that_still_run() -> None:
    before = replicaset(1, template("app:v2"), created=ago(days=3), pods=3)
    after = replicaset(2, RESTARTED, created=ago(minutes=3), pods=1, available=0)
    seen = history(workload(deployment(pod_template=RESTARTED), [before, after]))

    assert seen.recommended is not None
    assert seen.recommended.number == 1
    assert "same images, no cure" in seen.reasons[0]


def test_a_restart_that_completed_is_not_undone() -> None:
    before = replicaset(1, template("app:v2"), created=ago(days=3))
    after = replicaset(2, RESTARTED, created=ago(minutes=3), pods=3)
    seen = history(workload(deployment(pod_template=RESTARTED), [before, after]))

    assert seen.recommended is None


# Literal: what is read, and what cannot be known.


def test_replicasets_of_others_do_not_count() -> None:
    mine = replicaset(1, template("app:v2"))
    strangers = replicaset(7, template("app:v1"), owner="somebody-else", pods=3)
    seen = history(workload(deployment(), [mine, strangers]))

    assert numbers(seen) == [1]


def test_a_reused_revision_is_live_since_its_condition_changed() -> None:
    condition = {
        "type": "Progressing",
        "status": "True",
        "reason": "NewReplicaSetAvailable",
        "message": 'ReplicaSet "api-hash1" has successfully progressed.',
        "lastUpdateTime": ago(minutes=12),
    }
    one = replicaset(3, template("app:v1"), created=ago(days=3), earlier="1", pods=3)
    two = replicaset(2, template("app:v2"), created=ago(hours=1))
    live = deployment(pod_template=template("app:v1"), revision=3, conditions=[condition])
    current = history(workload(live, [one, two])).current

    assert current is not None
    assert timedelta(minutes=12) == current.in_service
    assert current.reasons == ("live for at least 12 min",)


def test_how_long_is_not_guessed_where_the_condition_speaks_of_another() -> None:
    condition = {
        "type": "Progressing",
        "reason": "ProgressDeadlineExceeded",
        "message": 'ReplicaSet "api-hash2" has timed out progressing.',
        "lastUpdateTime": ago(minutes=12),
    }
    one = replicaset(3, template("app:v1"), created=ago(days=3), earlier="1", pods=3)
    live = deployment(pod_template=template("app:v1"), revision=3, conditions=[condition])
    current = history(workload(live, [one])).current

    assert current is not None
    assert current.in_service is None


def test_how_long_is_not_guessed_where_the_next_revision_is_pruned() -> None:
    one = replicaset(1, template("app:v1"), created=ago(days=3))
    three = replicaset(3, template("app:v3"), created=ago(minutes=3), pods=3)
    live = deployment(pod_template=template("app:v3"), revision=3)
    first = find_revision(history(workload(live, [one, three])), 1)

    assert first is not None
    assert first.in_service is None
    assert Standing.UNKNOWN is first.standing


@pytest.mark.parametrize("odd", ["", "three", "-1", "\uff11", "9" * 400, "0x1"])
def test_a_revision_without_a_number_is_listed_and_never_recommended(odd: str) -> None:
    one = replicaset(odd, template("app:v1"), created=ago(days=3), pods=3)
    two = replicaset(2, template("app:v2"), created=ago(minutes=3), pods=1, available=0)
    seen = history(workload(deployment(), [one, two]))

    assert 0 in numbers(seen)
    assert seen.recommended is None
    assert find_revision(seen, 0) is None


def test_a_revision_carries_its_template_without_the_hash() -> None:
    seen = history(complete_release())
    first = find_revision(seen, 1)

    assert first is not None
    assert template()["spec"] == first.template["spec"]
    assert first.template["metadata"]["labels"] == {"app": "api"}
    assert first.images == {"api": "app:v1"}
    assert first.template_hash == "hash1"
    assert timedelta(days=3) == first.in_service


def test_the_change_cause_is_that_of_the_replicaset() -> None:
    cause = {"kubernetes.io/change-cause": "release 41"}
    one = replicaset(1, template("app:v1"), **cause)
    seen = history(workload(deployment(), [one, replicaset(2, template("app:v2"))]))

    assert [revision.change_cause for revision in seen.revisions] == ["", "release 41"]


def test_the_usual_incident_recommends_what_still_serves() -> None:
    seen = history(failed_release())

    assert seen.recommended is not None
    assert seen.recommended.number == 1


def test_pods_show_only_how_often_their_containers_restarted() -> None:
    one = replicaset(1, template("app:v1"), created=ago(days=3), pods=3)
    two = replicaset(2, template("app:v2"), created=ago(minutes=3), pods=1, available=0)
    bare = workload(deployment(), [one, two])
    full = workload(deployment(), [one, two], [pod("a", one), crashing("b", two)])

    without = [replace(r, vitals=NOTHING_KNOWN) for r in history(full).revisions]
    assert [replace(r, vitals=NOTHING_KNOWN) for r in history(bare).revisions] == without
    assert [r.vitals.restarts for r in history(bare).revisions] == [None, None]
    assert [r.vitals.restarts for r in history(full).revisions] == [4, 0]
