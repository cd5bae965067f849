"""What an incident found out about a pod template is kept where the next operator looks."""

from datetime import timedelta

import msgspec
import pytest

from tests.builders import NOW, Json, ago, deployment, replicaset, template, workload
from veza_nb.accounts import Record
from veza_nb.objects import ReplicaSet
from veza_nb.remember import remarks
from veza_nb.reputation import BAD, GOOD, Mark, read_mark, write_mark
from veza_nb.revisions import History, Standing, read_history

VERDICT = "veza.dev/rollback-verdict"


def marked(number: int, value: str, **more: object) -> Json:
    values: Json = {"created": ago(days=9 - number), **more, VERDICT: value}
    return replicaset(number, template(f"app:v{number}"), **values)


def mark_of(value: str) -> Mark | None:
    return read_mark(msgspec.convert(marked(7, value), ReplicaSet))


def history(*replicasets: Json) -> History:
    return read_history(workload(deployment(revision=9), list(replicasets)), now=NOW)


def test_a_mark_that_is_written_is_read_back() -> None:
    text = write_mark(BAD, "hash7", incident="i-1", operator="alice", at=NOW, reason="5xx\nagain")

    assert text == ("bad template=hash7; incident i-1 by alice; 2026-11-24T12:00:00Z; 5xx again")
    assert Mark(bad=True, text=text) == mark_of(text)


@pytest.mark.parametrize(
    ("value", "bad"),
    [
        ("bad", True),
        ("Bad: it leaks", True),
        ("good template=hash7; incident i", False),
        ("bad template=hash7, by hand", True),
    ],
)
def test_a_mark_may_be_written_by_hand(value: str, *, bad: bool) -> None:
    mark = mark_of(value)

    assert mark is not None
    assert bad is mark.bad


@pytest.mark.parametrize("value", ["", "unknown", "bad template=hash6; incident i", "so-so"])
def test_another_template_s_mark_and_other_words_say_nothing(value: str) -> None:
    assert mark_of(value) is None


def test_a_good_word_proves_a_revision_that_served_too_briefly() -> None:
    brief: Json = {"created": ago(minutes=9)}
    live = replicaset(9, template("app:v2"), created=ago(minutes=2), pods=3)
    without = history(replicaset(8, template("app:v8"), **brief), live)
    with_it = history(marked(8, "good template=hash8; incident i-1", **brief), live)

    assert [Standing.CURRENT, Standing.UNKNOWN] == [one.standing for one in without.revisions]
    assert [Standing.CURRENT, Standing.GOOD] == [one.standing for one in with_it.revisions]


def test_a_good_word_does_not_stand_against_pods_that_fail_today() -> None:
    live = replicaset(9, template("app:v2"), created=ago(minutes=2), pods=3)
    seen = history(marked(8, "good template=hash8; incident i-1", pods=3, available=1), live)

    assert Standing.UNKNOWN is seen.revisions[1].standing


def record(**plan: str) -> Record:
    whole = {
        "from_replicaset": "api-new",
        "from_hash": "new",
        "to_replicaset": "api-old",
        "template_hash": "old",
        **plan,
    }
    diagnosis = {"findings": [{"reason": "CrashLoopBackOff"}]}
    return Record(
        incident_id="i-1", service="api", operator="alice", plan=whole, diagnosis=diagnosis
    )


def test_what_was_left_is_bad_and_what_cured_it_is_good() -> None:
    left, taken = remarks(record(), NOW + timedelta(seconds=1))

    assert ("api-new", "api-old") == (left.replicaset, taken.replicaset)
    assert left.value == (
        "bad template=new; incident i-1 by alice; 2026-11-24T12:00:01Z; CrashLoopBackOff"
    )
    assert taken.value.startswith(f"{GOOD} template=old; ")


def test_a_side_without_a_replicaset_gets_no_mark() -> None:
    [only] = remarks(record(from_replicaset="", from_hash=""), NOW)

    assert only.replicaset == "api-old"
    assert remarks(record(to_replicaset="api-new"), NOW) == ()
    assert remarks(Record(incident_id="i-1", service="api"), NOW) == ()
