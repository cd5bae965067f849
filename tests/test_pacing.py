"""How many at a time, and when to stop, is chosen before the run and refused where it is vague."""

import pytest

from veza_nb.errors import UsageError
from veza_nb.pacing import read_pace
from veza_nb.vocabulary import OnFailure


@pytest.mark.parametrize(
    ("text", "expected"), [("", 12), ("1", 1), ("3", 3), ("25%", 3), ("26%", 4), ("100%", 12)]
)
def test_a_number_or_a_share_of_the_services_is_begun_at_once(text: str, expected: int) -> None:
    pace = read_pace(at_once=text, failures=1, on_failure="stop", services=12)

    assert pace.at_once == expected


@pytest.mark.parametrize("text", ["0", "-1", "0%", "101%", "many", "2.5"])
def test_what_is_no_number_of_services_is_refused(text: str) -> None:
    with pytest.raises(UsageError, match="no number of services"):
        read_pace(at_once=text, failures=1, on_failure="stop", services=3)


def test_an_unknown_rule_is_refused_with_those_there_are() -> None:
    with pytest.raises(UsageError) as caught:
        read_pace(at_once="", failures=1, on_failure="panic", services=3)

    assert caught.value.next_step == "There are: 'stop', 'continue', 'put back'."


def test_no_failure_at_all_is_no_limit() -> None:
    with pytest.raises(UsageError, match="0 failures is no limit"):
        read_pace(at_once="", failures=0, on_failure="stop", services=3)


def test_the_rule_is_said_in_words() -> None:
    pace = read_pace(at_once="2", failures=1, on_failure="put back", services=3)

    assert pace.on_failure is OnFailure.PUT_BACK
    assert pace.words == (
        "At most 2 at a time. After the first failure those already rolled back are put back to "
        "what they ran before."
    )
