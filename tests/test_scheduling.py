"""Several services get their turns in order, side by side where they may."""

import threading
from collections.abc import Callable, Mapping

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from veza_nb.dependencies import among, find_cycle
from veza_nb.pacing import Pace
from veza_nb.scheduling import Fate, carry_out
from veza_nb.vocabulary import OnFailure

VEZA = {"api": (), "web": ("api",), "stream": ("api",)}
ALL = Pace(at_once=3, failures=1, on_failure=OnFailure.STOP)


def outcomes(
    failing: set[str], pace: Pace = ALL, needs: Mapping[str, tuple[str, ...]] = VEZA
) -> tuple[dict[str, Fate], list[str], dict[str, str]]:
    """Fates, who was begun in which order, and why others were not."""
    begun: list[str] = []

    def step(name: str) -> Callable[[], bool]:
        def run() -> bool:
            begun.append(name)
            return name not in failing

        return run

    turns = carry_out({n: step(n) for n in needs}, among(needs, needs), pace, threading.Event())
    return (
        {name: turn.fate for name, turn in turns.items()},
        begun,
        {name: turn.why for name, turn in turns.items() if turn.why},
    )


def test_each_waits_for_those_that_it_needs() -> None:
    fates, begun, _ = outcomes(set())

    assert set(fates.values()) == {Fate.DONE}
    assert begun[0] == "api"


def test_those_without_an_order_between_them_run_side_by_side() -> None:
    both = threading.Barrier(2)

    def meet() -> bool:
        both.wait(timeout=30)
        return True

    turns = carry_out({"a": meet, "b": meet}, {"a": (), "b": ()}, ALL, threading.Event())

    assert {turn.fate for turn in turns.values()} == {Fate.DONE}


def test_no_more_than_the_pace_allows_are_under_way() -> None:
    lock, now, most = threading.Lock(), [0], [0]

    def step() -> bool:
        with lock:
            now[0] += 1
            most[0] = max(most[0], now[0])
        with lock:
            now[0] -= 1
        return True

    names = [f"s{number}" for number in range(20)]
    pace = Pace(at_once=2, failures=1, on_failure=OnFailure.STOP)
    carry_out(dict.fromkeys(names, step), dict.fromkeys(names, ()), pace, threading.Event())

    assert 1 <= most[0] <= 2


def test_who_needs_a_service_that_failed_is_never_begun() -> None:
    fates, begun, why = outcomes(
        {"api"}, Pace(at_once=3, failures=9, on_failure=OnFailure.CONTINUE)
    )

    assert begun == ["api"]
    assert fates == {"api": Fate.FAILED, "web": Fate.NOT_BEGUN, "stream": Fate.NOT_BEGUN}
    assert why["web"] == "it needs api, which did not come back"


def test_after_the_first_failure_nothing_more_is_begun() -> None:
    needs: dict[str, tuple[str, ...]] = {"a": (), "b": (), "c": ()}
    fates, begun, why = outcomes({"a"}, Pace(1, 1, OnFailure.STOP), needs)

    assert begun == ["a"]
    assert fates["c"] is Fate.NOT_BEGUN
    assert why["c"] == "a did not come back"


def test_others_go_on_where_the_rule_says_so() -> None:
    needs: dict[str, tuple[str, ...]] = {"a": (), "b": (), "c": ()}
    fates, begun, _ = outcomes({"a"}, Pace(1, 1, OnFailure.CONTINUE), needs)

    assert begun == ["a", "b", "c"]
    assert fates["c"] is Fate.DONE


def test_as_many_failures_as_the_rule_allows_are_borne() -> None:
    needs: dict[str, tuple[str, ...]] = {"a": (), "b": (), "c": (), "d": ()}
    fates, begun, _ = outcomes({"a", "b"}, Pace(1, 2, OnFailure.STOP), needs)

    assert begun == ["a", "b"]
    assert fates["c"] is Fate.NOT_BEGUN


def test_a_stop_begins_nothing_more() -> None:
    stop = threading.Event()

    def step() -> bool:
        stop.set()
        return True

    pace = Pace(1, 1, OnFailure.STOP)
    turns = carry_out({"a": step, "b": step}, {"a": (), "b": ()}, pace, stop)

    assert [turn.fate for turn in turns.values()] == [Fate.DONE, Fate.NOT_BEGUN]
    assert turns["b"].why == "the run was stopped"


def test_an_interrupt_waits_for_those_at_work_and_goes_on() -> None:
    stop = threading.Event()
    ended: list[str] = []

    def interrupted() -> bool:
        raise KeyboardInterrupt

    def patient() -> bool:
        assert stop.wait(timeout=30)
        ended.append("patient")
        return False

    with pytest.raises(KeyboardInterrupt):
        carry_out({"a": interrupted, "b": patient}, {"a": (), "b": ()}, ALL, stop)

    assert ended == ["patient"]


@settings(max_examples=60, deadline=None)
@given(
    needs=st.dictionaries(st.sampled_from("abcdef"), st.sets(st.sampled_from("abcdef"))),
    failing=st.sets(st.sampled_from("abcdef")),
    at_once=st.integers(1, 4),
    rule=st.sampled_from(list(OnFailure)),
)
def test_everyone_has_a_fate_and_order_holds_whatever_fails(
    needs: dict[str, set[str]], failing: set[str], at_once: int, rule: OnFailure
) -> None:
    known = {name: tuple(sorted(others & needs.keys())) for name, others in needs.items()}
    if find_cycle(known):
        return
    fates, begun, _ = outcomes(failing, Pace(at_once, 1, rule), known)

    assert fates.keys() == known.keys()
    assert len(begun) == len(set(begun))
    for name, fate in fates.items():
        assert (name in begun) == (fate is not Fate.NOT_BEGUN)
        if name in begun:
            assert all(fates[other] is Fate.DONE for other in known[name])
