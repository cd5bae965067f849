"""Going further back, never in circles: what was tried is no target again."""

from collections.abc import Iterable
from typing import Any

from hypothesis import given
from hypothesis import strategies as st

from tests.builders import NOW, ago, deployment, pod, replicaset, template, workload
from veza_nb.attempts import read_attempts, steps, tried
from veza_nb.journal import Line
from veza_nb.podtemplates import template_digest
from veza_nb.revisions import History, Standing, left_behind, read_history
from veza_nb.vocabulary import JournalEvent, Step

WHY = "tried"


def history_of(versions: int) -> History:
    """So many releases of an hour each, the newest one live."""
    sets = [
        replicaset(n, template(f"app:v{n}"), created=ago(hours=versions - n + 1))
        for n in range(1, versions)
    ]
    live = replicaset(versions, template(f"app:v{versions}"), created=ago(minutes=9), pods=3)
    of = deployment(pod_template=template(f"app:v{versions}"), revision=versions)
    pods = [pod(f"p-{n}", live) for n in range(3)]
    return read_history(workload(of, [*sets, live], pods), now=NOW)


def digests(history: History, numbers: Iterable[int]) -> set[str]:
    return {template_digest(one.template) for one in history.revisions if one.number in numbers}


def test_the_next_good_one_is_recommended_and_the_tried_one_says_why() -> None:
    history = history_of(4)
    assert history.recommended is not None
    assert history.recommended.number == 3

    further = left_behind(history, digests(history, {3, 4}), WHY)

    assert further.recommended is not None
    assert further.recommended.number == 2
    (left,) = [one for one in further.revisions if one.number == 3]
    assert (left.standing, left.reasons[0]) == (Standing.BAD, WHY)
    assert any("revision 3" in reason.lower() and WHY in reason for reason in further.reasons)


@given(st.integers(1, 8), st.data())
def test_what_was_tried_is_never_recommended_and_every_walk_ends(
    versions: int, data: st.DataObject
) -> None:
    history = history_of(versions)
    gone = set(data.draw(st.sets(st.integers(1, versions))))
    seen: list[int] = []
    while True:
        further = left_behind(history, digests(history, gone | set(seen)), WHY)
        if further.recommended is None:
            break
        assert further.recommended.number not in gone | set(seen)
        seen.append(further.recommended.number)

    assert len(seen) <= versions


def lines(*told: tuple[JournalEvent, dict[str, Any]]) -> list[Line]:
    return [
        Line(seq=n, at="", step=Step.UNDO, event=event, actor="kim", data=data, prev="")
        for n, (event, data) in enumerate(told, start=1)
    ]


def undo(
    digest: str, left: str, effect: str, seq: int
) -> list[tuple[JournalEvent, dict[str, Any]]]:
    intent = {"digest": digest, "left_digest": left, "plan": digest, "generation": seq}
    event = JournalEvent.DONE if effect == "done" else JournalEvent.FAILED
    return [(JournalEvent.INTENT, intent), (event, {"intent": seq, "effect": effect})]


def test_what_was_sent_or_may_have_been_counts_with_where_it_came_from() -> None:
    told = lines(
        *undo("b", "a", "done", 1), *undo("c", "b", "none", 3), *undo("d", "b", "unknown", 5)
    )
    attempts = read_attempts(told)

    assert tried(attempts) == {"a", "b", "d"}
    assert steps(attempts) == 2
    assert (tried(()), steps(())) == (frozenset(), 0)
