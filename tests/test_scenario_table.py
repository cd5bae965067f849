"""The scenarios' files are held to each other and to the kit's words; what they say is not run."""

import ast
import re
from collections.abc import Iterator
from pathlib import Path

import pytest

from tests import scenario_table
from veza_nb.sandbox import scenarios
from veza_nb.vocabulary import Decision, Level, Outcome

KIT = Path(__file__).parents[1] / "veza_nb"
# Guards that no scenario of one Deployment in one run can show, and where they are shown.
SHOWN_ELSEWHERE = {
    "autoscaler-sleeps": "with a database, tests/e2e/test_database.py",
    "dry-run": "of every plan",
    "gitops-pause": "tests/e2e/test_gitops_pause.py",
    "heals-while-drained": "with a database, tests/test_databaseguards.py",
    "no-node": "of DaemonSets, tests/e2e/test_other_kinds.py",
    "optional-reference-missing": "tests/test_surroundings.py",
    "rollout-since-detection": "a race between two steps, tests/test_gitops.py",
    "scaled-by-keda": "with a database, tests/test_databaseguards.py",
    "schema-unknown": "tests/test_schemagates.py",
}


@pytest.mark.parametrize("name", scenarios.names())
def test_a_scenario_speaks_the_kits_language(name: str) -> None:
    scenario = scenarios.load(name)
    kit = scenario.kit

    assert kit.decision in list(Decision)
    assert kit.ends in list(Outcome)
    assert set(kit.guards.values()) <= set(Level)
    assert kit.reasons or name in ("healthy", "already-at-target")


def test_no_scenario_says_roll_back_where_that_does_not_help() -> None:
    every = [scenarios.load(name) for name in scenarios.names()]
    innocent = [one for one in every if one.good_image is None]

    assert len(innocent) > 10
    assert [one.name for one in innocent if one.kit.decision == Decision.ROLL_BACK] == []


def test_a_scenario_says_why_where_the_kit_does_not_do_what_would_be_right() -> None:
    every = [scenarios.load(name) for name in scenarios.names()]
    helped = [one for one in every if one.good_image is not None]
    right = (Decision.ROLL_BACK, Outcome.RECOVERED)

    assert [
        one.name for one in helped if (one.kit.decision, one.kit.ends) != right and not one.kit.why
    ] == []


def guards_of_the_kit() -> Iterator[str]:
    """The names of all guards, as patterns: what is put in at run time may be anything."""
    files = [*KIT.glob("*.py"), *KIT.joinpath("guards").glob("*.py")]
    calls = (node for file in files for node in ast.walk(ast.parse(file.read_text("utf-8"))))
    for call in calls:
        if isinstance(call, ast.Call) and ast.unparse(call.func) == "Guard" and call.args:
            match call.args[0]:
                case ast.Constant(value=str(name)):
                    yield name
                case ast.JoinedStr(values=[ast.Constant(value=str(begin)), *_]):
                    yield begin + ".*"


def test_every_guard_is_shown_by_a_scenario() -> None:
    shown = {guard for name in scenarios.names() for guard in scenarios.load(name).kit.guards}

    known = set(guards_of_the_kit())
    missing = {one for one in known if not any(re.fullmatch(one, name) for name in shown)}
    assert len(known) > 20
    assert missing - set(SHOWN_ELSEWHERE) == set()
    assert not shown & set(SHOWN_ELSEWHERE)


def test_the_example_of_the_page_is_a_scenario() -> None:
    example = scenario_table.document().partition("```yaml\n")[2].partition("```")[0]

    scenario = scenarios.parse(example, "mine.yaml")
    assert (scenario.name, [deed.verb for deed in scenario.deeds]) == ("mine", ["delete"] * 2)


def test_the_page_about_the_scenarios_is_current() -> None:
    assert scenario_table.document() == scenario_table.DOCUMENT.read_text("utf-8")
