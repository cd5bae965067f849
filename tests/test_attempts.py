"""What an incident did to the cluster is read off its journal, attempt by attempt."""

from pathlib import Path

import pytest

from veza_nb.attempts import Effect, changed, newest, read_attempts, unsettled
from veza_nb.clock import ManualClock
from veza_nb.journal import Journal
from veza_nb.vocabulary import JournalEvent, Step

INTENT = {"plan": "p-1", "uid": "u", "generation": 3, "digest": "d"}


@pytest.fixture
def journal(tmp_path: Path) -> Journal:
    return Journal.open(tmp_path / "journal.jsonl", actor="kim", clock=ManualClock())


def intend(journal: Journal) -> int:
    return journal.append(Step.UNDO, JournalEvent.INTENT, INTENT).seq


def settle(journal: Journal, intent: int, effect: Effect) -> None:
    event = JournalEvent.DONE if effect is Effect.DONE else JournalEvent.FAILED
    journal.append(Step.UNDO, event, {"intent": intent, "effect": effect})


def test_nothing_sent_is_nothing_changed(journal: Journal) -> None:
    journal.append(Step.UNDO, JournalEvent.NOTE, {"kind": "no-op"})
    journal.append(Step.UNDO, JournalEvent.FAILED, {"error": "not approved"})

    assert read_attempts(journal.lines) == ()
    assert changed(()) is False


def test_intent_without_a_result_is_unknown(journal: Journal) -> None:
    intend(journal)
    attempts = read_attempts(journal.lines)

    assert [one.effect for one in attempts] == [Effect.UNKNOWN]
    assert changed(attempts) is None
    assert unsettled(attempts) == newest(attempts) == attempts[0]


@pytest.mark.parametrize(
    ("effect", "said"), [(Effect.NONE, False), (Effect.DONE, True), (Effect.UNKNOWN, None)]
)
def test_result_settles_its_own_intent(
    journal: Journal, effect: Effect, *, said: bool | None
) -> None:
    settle(journal, intend(journal), effect)

    assert changed(read_attempts(journal.lines)) is said


def test_refusal_of_a_second_attempt_does_not_settle_the_first(journal: Journal) -> None:
    first = intend(journal)
    settle(journal, intend(journal), Effect.NONE)
    attempts = read_attempts(journal.lines)

    assert changed(attempts) is None
    open_ = unsettled(attempts)
    assert open_ is not None
    assert open_.intent == first


def test_late_result_settles_the_first_and_leaves_the_second(journal: Journal) -> None:
    first, second = intend(journal), intend(journal)
    settle(journal, second, Effect.NONE)
    settle(journal, first, Effect.DONE)
    attempts = read_attempts(journal.lines)

    assert [one.effect for one in attempts] == [Effect.DONE, Effect.NONE]
    assert changed(attempts) is True
    assert unsettled(attempts) is None
