"""An operator may name a revision by number, time or image; what is unknown is not guessed."""

from datetime import UTC, datetime, timedelta

import pytest

from tests.builders import NOW, Json, ago, deployment, replicaset, template, workload
from veza_nb.choices import (
    Choice,
    find_chosen,
    fixed_moment,
    read_choice,
    read_moment,
    why_none,
)
from veza_nb.errors import UsageError
from veza_nb.revisions import History, read_history


def three() -> History:
    """v1 for two days, v2 for a day, v3 for an hour, live."""
    one = replicaset(1, template("registry/app:v1"), created=ago(days=3, hours=1))
    two = replicaset(2, template("registry/app:v2"), created=ago(days=1, hours=1))
    three = replicaset(3, template("registry/app:v3"), created=ago(hours=1), pods=3)
    live = deployment(pod_template=template("registry/app:v3"), revision=3)
    return read_history(workload(live, [one, two, three]), now=NOW)


def number(history: History, choice: Choice) -> int:
    found = find_chosen(history, choice)
    return found.number if found else 0


@pytest.mark.parametrize(
    ("hours", "expected"), [(0.5, 3), (1, 3), (2, 2), (24.5, 2), (26, 1), (72, 1), (74, 0)]
)
def test_as_of_takes_what_was_in_service_then(hours: float, expected: int) -> None:
    assert expected == number(three(), Choice(as_of=NOW - timedelta(hours=hours)))


def test_ago_means_the_same_moment_however_late_it_is_read_again() -> None:
    said = fixed_moment("2h", NOW)

    assert NOW - timedelta(hours=2) == read_moment(said, NOW + timedelta(hours=9))
    assert said == fixed_moment(said, NOW + timedelta(hours=9))
    assert ["", "soon"] == [fixed_moment(text, NOW) for text in ("", "soon")]


def test_as_of_the_future_takes_what_is_live() -> None:
    assert 3 == number(three(), Choice(as_of=NOW + timedelta(hours=1)))


def test_a_time_that_nobody_wrote_down_is_refused_with_what_is_known() -> None:
    choice = Choice(as_of=NOW - timedelta(days=30))

    said = why_none(three(), choice)

    assert find_chosen(three(), choice) is None
    assert said.startswith("Which revision was in service at 2026-10-25 12:00:00 UTC is not known.")
    assert "revision 3 from 2026-11-24 11:00:00 UTC to now" in said


def test_a_reused_template_was_in_service_only_when_both_ends_are_known() -> None:
    reused = replicaset(3, template("app:v1"), created=ago(days=3), earlier="1", pods=3)
    two = replicaset(2, template("app:v2"), created=ago(days=1))
    live = deployment(pod_template=template("app:v1"), revision=3)
    seen = read_history(workload(live, [reused, two]), now=NOW)

    assert 0 == number(seen, Choice(as_of=NOW - timedelta(hours=2)))


@pytest.mark.parametrize("wanted", ["v2", "registry/app:v2"])
def test_an_image_is_found_by_tag_or_in_full(wanted: str) -> None:
    assert 2 == number(three(), Choice(image=wanted))


def test_an_image_that_no_revision_runs_is_refused_with_those_there_are() -> None:
    assert why_none(three(), Choice(image="v9")) == (
        "No revision runs the image 'v9'. There are: "
        "registry/app:v3, registry/app:v2, registry/app:v1."
    )


def test_of_several_with_the_image_the_live_one_comes_last() -> None:
    one = replicaset(1, template("app:v1"), created=ago(days=3))
    restarted = template("app:v1", env=[{"name": "A", "value": "1"}])
    two = replicaset(2, restarted, created=ago(hours=1), pods=3)
    seen = read_history(
        workload(deployment(pod_template=restarted, revision=2), [one, two]), now=NOW
    )

    assert 1 == number(seen, Choice(image="v1"))


@pytest.mark.parametrize(
    ("text", "expected"),
    [
        ("2h", NOW - timedelta(hours=2)),
        ("90 min ago", NOW - timedelta(minutes=90)),
        ("3d", NOW - timedelta(days=3)),
        ("2026-11-24T09:30", datetime(2026, 11, 24, 9, 30, tzinfo=UTC)),
        ("2026-11-24T10:30+01:00", datetime(2026, 11, 24, 9, 30, tzinfo=UTC)),
        ("2026-11-24", datetime(2026, 11, 24, tzinfo=UTC)),
        ("yesterday", None),
        ("h", None),
        ("-2h", None),
        ("99999999999d", None),
        ("999999d", None),
    ],
)
def test_moments_are_read_as_people_write_them(text: str, expected: datetime | None) -> None:
    assert expected == read_moment(text, NOW)


@pytest.mark.parametrize(
    ("asked", "said"),
    [
        ({"to_revision": -1}, "no revision -1"),
        ({"as_of": "soon"}, "'soon' is no time"),
        ({"to_revision": 3, "image": "v1"}, "More than one"),
    ],
)
def test_what_cannot_be_read_is_wrong_usage(asked: Json, said: str) -> None:
    given: Json = {"to_revision": 0, "as_of": "", "image": "", **asked}

    with pytest.raises(UsageError, match=said):
        read_choice(**given, now=NOW)
