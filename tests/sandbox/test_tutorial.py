"""The tutorial still says what the training cluster says."""

from __future__ import annotations

import re
from pathlib import Path

import pytest

from tests import tutorial
from tests.sandbox import matrix

# Before this minor kubectl words and checks several commands otherwise; see the matrix.
_WORDED_LIKE_TODAY = 30
# Which of several events of one second comes last is chance.
_EVENTS = "get events"


def _first(output: str) -> str:
    """What an output begins with, apart from numbers and hashes."""
    lines = matrix.plain(output).splitlines()
    return re.sub(r"\d+", "N", lines[0]) if lines else ""


@pytest.mark.kubectl
@pytest.mark.timeout(240)
def test_every_command_of_the_tutorial_says_what_is_shown(tmp_path: Path) -> None:
    found = matrix.found_minors(matrix.load().minors)
    newest = max(found)
    shown = [each for each in tutorial.shown(tutorial.DOCS.read_text("utf-8")) if each.output]

    text, _ = tutorial.play(found[newest])

    now = [each for each in tutorial.shown(text) if each.command in {one.command for one in shown}]
    assert [each.command for each in now] == [each.command for each in shown]
    different = [
        (then.command, _first(then.output), _first(said.output))
        for then, said in zip(shown, now, strict=True)
        if _first(then.output) != _first(said.output) and _EVENTS not in then.command
    ]
    events = next(each.output for each in now if _EVENTS in each.command)
    assert newest < _WORDED_LIKE_TODAY or different == []
    assert "BackOff" in events
    assert len(shown) > 30
