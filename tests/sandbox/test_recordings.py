"""The stories that were recorded on a real control plane, played again with the real kubectl."""

from __future__ import annotations

import difflib
import json
from pathlib import Path
from typing import Any

import pytest

from tests.sandbox.recordings import comparing, index, player, stories, table
from tests.sandbox.recordings.player import Difference, Player
from tests.sandbox.recordings.stage import Stage
from tests.sandbox.transcripts import Said

_LINES = 60


@pytest.mark.kubectl
@pytest.mark.timeout(300)
@pytest.mark.parametrize("name", stories.STORIES)
def test_a_story_comes_out_as_it_was_recorded(name: str, tmp_path: Path) -> None:
    with Stage(tmp_path) as stage:
        differences = Player(stage).play(stories.STORIES[name])

    assert differences == [], "\n".join(map(_shown, differences))


def _shown(difference: Difference) -> str:
    then, now = (_lines(each) for each in (difference.then, difference.now))
    told = difflib.unified_diff(then, now, "then", "now", lineterm="", n=2)
    return "\n".join([difference.name, *list(told)[:_LINES]])


def _lines(value: Any) -> list[str]:
    if isinstance(value, Said):
        return f"{value.out}\n{value.err}\nexit {value.code}".splitlines()
    return json.dumps(value, indent=1).splitlines()


def test_every_recording_is_listed_and_every_listed_one_is_there() -> None:
    assert index.files() == {each.path for each in index.every().values()}


def test_every_recording_is_compared_or_different_for_a_reason() -> None:
    assert table.missing() == []
    assert set(table.DIFFERENT) <= set(index.every())
    assert set(table.claims()) <= set(index.every())


def test_what_is_different_is_not_claimed_to_be_the_same() -> None:
    assert not table.DIFFERENT.keys() & table.claims().keys()


def test_a_story_names_its_ways_of_comparing() -> None:
    steps = [step for story in stories.STORIES.values() for step in player.steps(story)]
    hows = {step.how for step in steps if step.verb in ("kubectl", "http", "object", "seen")}

    assert hows <= comparing.HOW.keys()
    assert comparing.HOW.keys() <= hows


def test_the_table_in_the_documentation_is_up_to_date() -> None:
    assert table.DOCUMENT.read_text("utf-8") == table.document()
