"""What an incident did to the cluster is read off its journal, attempt by attempt."""

from pathlib import Path

import pytest

from veza_nb.attempts import Effect, changed, going_on, newest, read_attempts, unsettled
from veza_nb.choices import RECOMMENDED, Choice, read_choice
from veza_nb.clock import ManualClock
from veza_nb.journal import Journal
from veza_nb.vocabulary import JournalEvent, Step

INTENT = {"plan": "p-1", "uid": "u", "generation": 3, "digest": "d"}


@pytest.fixture
def journal(tmp_path: Path) -> Journal:
    return Journal.open(tmp_path / "journal.jsonl", actor="kim", clock=ManualClock())


def intend(journal: Journal, **more: object) -> int:
    return journal.append(Step.UNDO, JournalEvent.INTENT, {**INTENT, **more}).seq


def named(to_revision: int = 0, as_of: str = "") -> Choice:
    now = ManualClock().now()
    return read_choice(to_revision=to_revision, as_of=as_of, image="", now=now)


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


def test_of_several_patches_for_one_generation_the_others_did_not_take_effect(
    journal: Journal,
) -> None:
    intend(journal)
    other = intend(journal, generation=4)
    settle(journal, intend(journal), Effect.DONE)
    attempts = read_attempts(journal.lines)

    assert [one.effect for one in attempts] == [Effect.NONE, Effect.UNKNOWN, Effect.DONE]
    open_ = unsettled(attempts)
    assert open_ is not None
    assert open_.intent == other


@pytest.mark.parametrize("choice", [named(to_revision=41), named(as_of="2h")])
def test_same_words_again_mean_what_was_sent(journal: Journal, choice: Choice) -> None:
    settle(journal, intend(journal, asked=choice.said), Effect.DONE)
    attempts = read_attempts(journal.lines)

    assert going_on(choice, attempts) == (RECOMMENDED, attempts[0])
    assert going_on(RECOMMENDED, attempts) == (RECOMMENDED, attempts[0])


def test_other_words_are_a_choice_of_their_own(journal: Journal) -> None:
    settle(journal, intend(journal, asked="41"), Effect.DONE)

    assert going_on(named(to_revision=40), read_attempts(journal.lines)) == (named(40), None)


def test_words_count_where_nothing_took_effect(journal: Journal) -> None:
    settle(journal, intend(journal, asked="41"), Effect.NONE)

    assert going_on(named(to_revision=41), read_attempts(journal.lines)) == (named(41), None)
