"""How far a database's way back is, folded from the journal, and what is said of it."""

from typing import Any

import pytest

from veza_nb.attempts import Effect
from veza_nb.journal import Line
from veza_nb.sagas import JOB, SCALE_DOWN, SCALE_UP, read_saga, saga_effect, saga_left, saga_words
from veza_nb.vocabulary import JournalEvent, Step

BACK = "kubectl -n n scale deployment/api --replicas=3"
INCIDENT = "20260102-031500-api-7f3a"


class Story:
    """A journal that is written as a run would."""

    def __init__(self) -> None:
        self.lines: list[Line] = []

    def line(self, step: Step, event: JournalEvent, data: dict[str, Any]) -> int:
        seq = len(self.lines) + 1
        self.lines.append(Line(seq, "2026-01-02T03:15:00Z", step, event, "kim", data, "0" * 64))
        return seq

    def scaled(self, deed: str, effect: Effect | None = Effect.DONE, generation: int = 6) -> int:
        step = Step.DRAIN if deed == SCALE_DOWN else Step.RESTORE
        said = {"deed": deed, "replicas": 3, "back": BACK}
        intent = self.line(step, JournalEvent.INTENT, said)
        self.end(step, intent, effect, generation=generation)
        return intent

    def job(
        self,
        purpose: str,
        effect: Effect | None = Effect.DONE,
        step: Step = Step.MIGRATE,
        name: str = "",
        **more: Any,
    ) -> int:
        said = {"deed": JOB, "purpose": purpose, "job": name or f"{purpose}-{len(self.lines)}"}
        intent = self.line(step, JournalEvent.INTENT, said)
        self.end(step, intent, effect, **more)
        return intent

    def read(self, number: int | None, step: Step = Step.DRAIN, **more: Any) -> int:
        return self.job("version", step=step, number=number, dirty=False, **more)

    def end(self, step: Step, intent: int, effect: Effect | None, **more: Any) -> None:
        if effect is None:
            return
        event = JournalEvent.DONE if effect is Effect.DONE else JournalEvent.FAILED
        self.line(step, event, {"intent": intent, "effect": effect, **more})


def drained() -> Story:
    story = Story()
    story.read(6)
    story.scaled(SCALE_DOWN)
    return story


def migrated() -> Story:
    story = drained()
    story.job("down", made=True, to_version=4)
    return story


def test_nothing_was_done() -> None:
    saga = read_saga([])

    assert not saga.begun
    assert (saga.drained, saga.migrated, saga.moved, saga.before) == (None, None, None, None)
    assert saga_effect(saga) is False
    assert saga_left(saga, INCIDENT) == ()


def test_a_way_back_as_it_should_go() -> None:
    story = migrated()
    half_way = read_saga(story.lines)
    story.read(4, Step.MIGRATE)
    story.scaled(SCALE_UP, generation=8)
    saga = read_saga(story.lines)

    assert (half_way.replicas, half_way.generation, half_way.before) == (3, 6, 6)
    assert half_way.drained_surely
    assert half_way.migrated is not None
    assert (saga.drained, saga.before) == (None, 6)
    assert saga_left(saga, INCIDENT, undone=True) == ()


def test_an_intent_without_an_end_may_have_taken_effect() -> None:
    story = Story()
    story.read(6)
    story.scaled(SCALE_DOWN, effect=None)
    saga = read_saga(story.lines)

    assert saga.drained is not None
    assert not saga.drained_surely
    assert saga.generation is None
    assert saga_effect(saga) is None
    assert "may be at 0 (3 before)" in saga_words(saga)


@pytest.mark.parametrize("effect", [None, Effect.UNKNOWN, Effect.NONE])
def test_replicas_count_as_back_only_when_they_are(effect: Effect | None) -> None:
    story = migrated()
    story.scaled(SCALE_UP, effect)
    saga = read_saga(story.lines)

    assert saga.drained is not None
    assert BACK in saga_left(saga, INCIDENT, undone=True)[0]


def test_an_intent_that_a_later_run_has_settled_is_known() -> None:
    story = Story()
    intent = story.scaled(SCALE_DOWN, effect=None)
    story.end(Step.DRAIN, intent, Effect.DONE, generation=9)
    saga = read_saga(story.lines)

    assert saga.drained_surely
    assert saga.generation == 9


def test_the_version_before_is_the_one_that_was_read_before_the_drain() -> None:
    story = drained()
    story.job("down", Effect.NONE, made=True)
    story.read(5, Step.MIGRATE)
    story.job("up", made=True)
    story.scaled(SCALE_UP)
    tried = read_saga(story.lines)
    story.read(7)  # somebody has migrated since
    saga = read_saga(story.lines)

    assert tried.before == 6
    assert saga.before == 7


def test_the_number_of_a_job_that_failed_is_no_version() -> None:
    story = Story()
    story.job("version", Effect.NONE, Step.DRAIN, number=5432, dirty=False)
    failed = read_saga(story.lines)
    story.read(6)

    assert failed.before is None
    assert read_saga(story.lines).before == 6


@pytest.mark.parametrize(
    ("effect", "more", "moved", "sure"),
    [
        (Effect.DONE, {"to_version": 4}, True, True),
        (Effect.DONE, {"to_version": None}, True, True),
        (Effect.DONE, {}, True, False),
        (None, {}, True, False),
        (Effect.UNKNOWN, {}, True, False),
        (Effect.NONE, {}, False, False),
    ],
)
def test_a_way_down_counts_only_where_it_was_seen_to_lead(
    effect: Effect | None, more: dict[str, Any], moved: bool, sure: bool
) -> None:
    story = drained()
    story.job("down", effect, made=True, **more)
    saga = read_saga(story.lines)

    assert (saga.moved is not None, saga.migrated is not None) == (moved, sure)


@pytest.mark.parametrize(
    ("effect", "back"), [(Effect.DONE, True), (Effect.NONE, False), (None, False)]
)
def test_it_is_taken_back_only_by_a_way_back_that_succeeded(
    effect: Effect | None, back: bool
) -> None:
    story = migrated()
    story.job("up", effect, made=True)

    assert (read_saga(story.lines).moved is None) is back


def test_a_job_is_taken_up_again_and_one_that_reads_is_not() -> None:
    story = Story()
    story.job("down", effect=None, name="down-0")
    story.job("version", effect=None)
    cut_off = read_saga(story.lines)
    story.job("down", Effect.DONE, name="down-0")

    assert (cut_off.turns("down"), cut_off.turns("version")) == (0, 1)
    assert read_saga(story.lines).turns("down") == 1


@pytest.mark.parametrize(
    ("purpose", "effect", "more", "changed"),
    [
        ("version", Effect.DONE, {"made": True}, False),
        ("backup", Effect.DONE, {"made": True}, False),
        ("down", Effect.DONE, {"made": True}, True),
        ("down", Effect.NONE, {"made": True}, True),
        ("down", Effect.NONE, {}, False),
        ("down", None, {}, None),
    ],
)
def test_what_counts_as_a_change(
    purpose: str, effect: Effect | None, more: dict[str, Any], changed: bool | None
) -> None:
    story = Story()
    story.job(purpose, effect, **more)

    assert saga_effect(read_saga(story.lines)) is changed


def test_intents_of_other_steps_are_none_of_it() -> None:
    story = drained()
    story.line(Step.UNDO, JournalEvent.INTENT, {"plan": "p-1"})
    story.line(Step.GITOPS, JournalEvent.INTENT, {"action": "pause"})

    assert len(read_saga(story.lines).deeds) == 2


def test_a_service_at_0_over_an_older_schema_is_not_to_be_scaled_up_just_so() -> None:
    saga = read_saga(migrated().lines)

    words = saga_words(saga, undone=False)
    assert "Do not just scale it up" in words
    assert "taken down to version 4 (version 6 before)" in words
    assert "Do not just" in saga_words(saga, undone=None)
    assert f"Bring them back with `{BACK}`" in saga_words(saga, undone=True)


@pytest.mark.parametrize("undone", [False, None, True])
def test_what_is_left_to_do_has_the_command_and_the_incident(undone: bool | None) -> None:
    for story in (drained(), migrated()):
        (todo,) = saga_left(read_saga(story.lines), INCIDENT, undone=undone)

        assert BACK in todo
        assert f"--resume {INCIDENT}" in todo


def test_a_database_nobody_knows_of_is_said_to_be_one() -> None:
    story = drained()
    story.job("down", effect=None)

    assert "Where the database is now is not known (version 6 before)" in saga_words(
        read_saga(story.lines)
    )
