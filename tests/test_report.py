"""The postmortem's draft: all facts, no blame, room for people, sound Markdown."""

import re
from pathlib import Path

import pytest

from tests.samples_of_results import CLOSED, NOW, RECORD
from veza_nb.accounts import Action
from veza_nb.clock import ManualClock
from veza_nb.journal import Journal, Line
from veza_nb.report import postmortem
from veza_nb.vocabulary import JournalEvent, Outcome, Step


@pytest.fixture
def lines(tmp_path: Path) -> tuple[Line, ...]:
    clock = ManualClock(at=NOW)
    journal = Journal.open(tmp_path / "journal.jsonl", actor="ada", clock=clock)
    journal.append(Step.DETECT, JournalEvent.NOTE, {"begin": True})
    clock.sleep(1)
    journal.append(Step.UNDO, JournalEvent.INTENT, {"plan": "p-1", "digest": "0" * 64})
    clock.sleep(2)
    journal.append(Step.UNDO, JournalEvent.DONE, {"kind": "done", "answer": {"code": 200}})
    journal.close()
    return journal.lines


def sections(text: str) -> dict[str, str]:
    """Heading to body."""
    parts = re.split(r"^## (.+)$", text, flags=re.MULTILINE)
    return {title: body.strip() for title, body in zip(parts[1::2], parts[2::2], strict=True)}


def test_the_summary_tells_the_story_in_three_sentences(lines: tuple[Line, ...]) -> None:
    summary = sections(postmortem(CLOSED, lines))["Summary"]

    assert summary == (
        "`veza-backend-api` was rolled back from revision 4 to revision 3 "
        "(`registry.veza.example/veza-backend-api:v1.2.4`). The service recovered. "
        "From detection to recovery: 1 min 1 s. Reason given: 500s after the release."
    )


def test_the_checklist_stands_before_the_checks(lines: tuple[Line, ...]) -> None:
    checks = sections(postmortem(CLOSED, lines))["Checks"]

    assert "| pass | 2. rollback executed |  |" in checks
    assert "| inconclusive | 7. metrics normalised | No metrics are known" in checks
    assert checks.index("2. rollback") < checks.index("All pods are of the planned template")


def test_undos_that_were_not_the_cure_are_told(lines: tuple[Line, ...]) -> None:
    step = {"from_revision": 5, "to_revision": 4, "images_after": {"api": "app:v4"}}
    tried = CLOSED.but(steps=({**step, "verdict": "fail", "failed": ["health answers"]},))

    assert sections(postmortem(tried, lines))["Tried on the way"] == (
        "- From revision 5 to revision 4 (`app:v4`): verification said fail (health answers)"
    )
    assert "was rolled back in 2 steps from revision 5 to revision 3" in postmortem(tried, lines)
    assert "Tried on the way" not in postmortem(CLOSED, lines)


def test_the_timeline_has_every_line_of_the_journal(lines: tuple[Line, ...]) -> None:
    timeline = sections(postmortem(CLOSED, lines))["Timeline"].splitlines()

    assert timeline[2:] == [
        "| 08:39:12 | detect | begun | ada |",
        "| 08:39:13 | undo | intent: plan: p-1 | ada |",
        "| 08:39:15 | undo | done: kind: done | ada |",
    ]


def test_what_changed_why_and_whether_it_helped_is_there(lines: tuple[Line, ...]) -> None:
    found = sections(postmortem(CLOSED, lines))

    assert (
        "| containers\\[backend-api].resources.limits.memory | 256Mi | 512Mi |"
        in (found["What changed"])
    )
    assert "--to-revision=3`" in found["What changed"]
    assert "The database: its schema stays" in found["What changed"]
    assert "3 d 4 h" in found["Why this revision"]
    assert "| critical | CrashLoopBackOff |" in found["What was found"]
    assert "| pass | No old pod is left | 0 old pods |" in found["Checks"]
    assert "- [ ] Revert the commit" in found["Left to do"]


def test_sections_for_people_are_empty_and_marked(lines: tuple[Line, ...]) -> None:
    found = sections(postmortem(CLOSED, lines))
    marked = [title for title, body in found.items() if "To be written by people" in body]

    assert marked == [
        "Impact",
        "Contributing factors",
        "What went well",
        "What went badly",
        "Where we were lucky",
    ]


def test_a_record_that_has_only_begun_gives_a_whole_draft() -> None:
    text = postmortem(RECORD, ())

    found = sections(text)
    assert "It is not known whether the cluster was changed." in found["Summary"]
    assert "| Recovered | not recorded |" in found["Facts"]
    assert found["Checks"] == "The service was not verified."
    assert "Timeline" not in found
    assert "None" not in text


@pytest.mark.parametrize("outcome", list(Outcome))
def test_every_outcome_is_said_in_a_sentence(outcome: Outcome) -> None:
    text = postmortem(CLOSED.but(outcome=outcome, changed=False), ())

    summary = sections(text)["Summary"]
    assert re.match(r"[A-Z][a-z ,;]+\.", summary)
    assert "Nothing was changed in the cluster." in summary
    assert "Planned, not done:" in text


def test_secrets_of_an_unredacted_record_do_not_reach_the_draft() -> None:
    text = postmortem(CLOSED, ())

    assert "hunter2" not in text
    assert "DB\\_PASSWORD] | \\[redacted] | \\[redacted] |" in text


def test_what_comes_from_the_cluster_breaks_no_table_and_becomes_no_markup() -> None:
    nasty = "a | b\n<script>x</script> `c` *d*"
    record = CLOSED.but(errors=({"step": "undo", "what": nasty},), reason=nasty)

    text = postmortem(record, (Line(1, "2026-11-24T08:39:12Z", "undo", "note", nasty, {}, ""),))

    assert "<script" not in text.replace("\\<", "")
    row = next(line for line in text.splitlines() if line.startswith("| 08:39:12"))
    assert len(re.findall(r"(?<!\\)\|", row)) == 5


def test_changes_to_the_cluster_are_counted_with_their_time() -> None:
    action = Action(step="undo", status="done", started_at="x", ended_at="y", seconds=0.24)

    evidence = sections(postmortem(CLOSED.but(actions=(action,)), ()))["Evidence"]

    assert evidence.startswith("1 change to the cluster:\n\n- undo: done in 0.2 s")
