"""Several services go back to what is known to have worked together."""

from datetime import timedelta

from tests.builders import NOW, ago, deployment, replicaset, template, workload
from veza_nb.revisions import History, read_history
from veza_nb.together import last_good_together, sets_of


def history(*ages: float, bad_now: bool = True) -> History:
    """A service with a release at each of these ages in hours; the last one is live."""
    made = [
        replicaset(number, template(f"app:v{number}"), created=ago(hours=age))
        for number, age in enumerate(ages[:-1], start=1)
    ]
    number = len(ages)
    live = replicaset(number, template(f"app:v{number}"), created=ago(hours=ages[-1]), pods=3)
    owner = deployment(pod_template=template(f"app:v{number}"), revision=number)
    return read_history(workload(owner, [*made, live]), now=NOW)


def numbers(histories: dict[str, History], bad: set[str]) -> dict[str, int]:
    found = last_good_together(histories, bad, now=NOW).chosen
    return {name: one.number for name, one in found.revisions.items()} if found else {}


def test_services_released_together_go_back_together() -> None:
    histories = {"api": history(48, 1), "web": history(47, 0.9)}

    assert numbers(histories, {"api", "web"}) == {"api": 1, "web": 1}


def test_a_service_that_is_well_keeps_what_it_ran_then_and_runs_now() -> None:
    histories = {"api": history(48, 1), "stream": history(90, 40)}

    assert numbers(histories, {"api"}) == {"api": 1, "stream": 2}


def test_a_service_that_is_well_still_goes_back_where_it_was_released_with_the_bad_one() -> None:
    histories = {"api": history(48, 2), "web": history(48, 1)}

    assert numbers(histories, {"api"}) == {"api": 1, "web": 1}


def test_a_set_that_ran_only_for_minutes_is_passed_over_with_its_reason() -> None:
    histories = {"api": history(48, 24, 1), "web": history(48, 24.1, 1)}

    found = last_good_together(histories, {"api", "web"}, now=NOW)

    assert numbers(histories, {"api", "web"}) == {"api": 2, "web": 2}
    assert found.reasons[0].startswith("api 2, web 2 worked together for 23 h")

    short = {"api": history(48, 1.05, 1), "web": history(48, 1.1, 1)}
    found = last_good_together(short, {"api", "web"}, now=NOW)
    assert numbers(short, {"api", "web"}) == {"api": 1, "web": 1}
    assert any(one.startswith("Passed over: api 2, web 2: revision 2") for one in found.reasons)


def test_no_common_moment_is_an_answer() -> None:
    histories = {"api": history(48, 1), "web": history(0.5)}

    found = last_good_together(histories, {"api", "web"}, now=NOW)

    assert found.chosen is None
    assert found.reasons[0].startswith("There is no moment at which all of these services")


def test_where_nothing_is_bad_nothing_goes_back() -> None:
    found = last_good_together({"api": history(48, 1)}, set(), now=NOW)

    assert found.chosen is None
    assert found.reasons == ("Of none of these services is the live release to blame.",)


def test_a_set_lasts_from_the_last_change_of_any_service_to_the_next() -> None:
    sets = sets_of({"api": history(48, 1), "web": history(47, 2)}, now=NOW)

    assert [one.length for one in sets] == [
        timedelta(hours=1),
        timedelta(hours=1),
        timedelta(hours=45),
    ]
