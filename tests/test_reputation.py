"""What an incident found out about a pod template is kept where the next operator looks."""

from datetime import timedelta

import msgspec
import pytest

from tests.builders import NOW, Json, ago, deployment, replicaset, template, workload
from veza_nb.accounts import Record
from veza_nb.journal import Line
from veza_nb.objects import ReplicaSet
from veza_nb.remember import remarks
from veza_nb.reputation import BAD, GOOD, Mark, read_mark, write_mark
from veza_nb.revisions import History, Standing, read_history
from veza_nb.vocabulary import JournalEvent, Step

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


RECORD = Record(
    incident_id="i-1",
    service="api",
    operator="alice",
    diagnosis={"findings": [{"reason": "CrashLoopBackOff"}]},
    plan={"from_replicaset": "api-shown", "from_hash": "s", "to_replicaset": "api-not-sent"},
)


class Told:
    """A journal of undos and verifications."""

    def __init__(self) -> None:
        self.lines: list[Line] = []

    def _append(self, step: Step, event: JournalEvent, **data: object) -> int:
        seq = len(self.lines) + 1
        self.lines.append(Line(seq, "", step, event, "alice", dict(data), ""))
        return seq

    def undo(self, left: str, to: str, effect: str = "done", **more: str) -> "Told":
        said = {"plan": f"p-{to}", "uid": "u", "generation": len(self.lines)}
        said |= {"left_digest": left, "from_replicaset": f"api-{left}", "from_hash": left}
        said |= {"digest": to, "to_replicaset": f"api-{to}", "to_hash": to, **more}
        intent = self._append(Step.UNDO, JournalEvent.INTENT, **said)
        self._append(Step.UNDO, JournalEvent.DONE, intent=intent, effect=effect)
        return self

    def verify(self, digest: str, verdict: str) -> "Told":
        self._append(Step.VERIFY, JournalEvent.DONE, digest=digest, verdict=verdict)
        return self

    def marks(self, live: str) -> dict[str, str]:
        found = remarks(RECORD, self.lines, live, NOW)
        return {one.replicaset: one.value.split()[0] for one in found}


def test_what_was_left_is_bad_and_what_cured_it_is_good() -> None:
    lines = Told().undo("new", "old").verify("old", "pass").lines

    left, taken = remarks(RECORD, lines, "old", NOW + timedelta(seconds=1))

    assert ("api-new", "api-old") == (left.replicaset, taken.replicaset)
    assert left.value == (
        "bad template=new; incident i-1 by alice; 2026-11-24T12:00:01Z; CrashLoopBackOff"
    )
    assert taken.value.startswith(f"{GOOD} template=old; ")


def test_a_side_without_a_replicaset_gets_no_mark() -> None:
    assert Told().undo("new", "old", from_replicaset="").marks("old") == {"api-old": GOOD}
    assert Told().undo("new", "old", to_replicaset="api-new", to_hash="new").marks("old") == {}
    assert Told().marks("old") == {}


def test_only_what_was_sent_is_marked_whatever_was_planned_last() -> None:
    told = Told().undo("new", "old").undo("old", "older", "none").undo("old", "oldest", "unknown")

    assert told.marks("old") == {"api-new": BAD, "api-old": GOOD}


def test_what_failed_on_the_way_is_bad_and_what_was_only_left_is_not() -> None:
    failed = Told().undo("new", "old").verify("old", "fail").undo("old", "older")
    left = Told().undo("new", "old").undo("old", "older")

    assert failed.marks("older") == {"api-new": BAD, "api-old": BAD, "api-older": GOOD}
    assert left.marks("older") == {"api-new": BAD, "api-older": GOOD}


def test_what_failed_first_and_passed_later_is_good() -> None:
    told = Told().undo("new", "old").verify("old", "fail").verify("old", "pass")

    assert told.marks("old") == {"api-new": BAD, "api-old": GOOD}


def test_what_somebody_else_brought_is_not_this_incident_s_to_praise() -> None:
    told = Told().undo("new", "old").verify("old", "fail").verify("fixed", "pass")

    assert told.marks("fixed") == {"api-new": BAD, "api-old": BAD}


def test_what_was_put_back_gets_no_mark() -> None:
    assert Told().undo("new", "old").undo("old", "new").marks("new") == {}
