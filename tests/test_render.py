"""Results as people see them: the verdict in words, all facts, safe in HTML, narrow as text."""

import re
from dataclasses import replace
from html.parser import HTMLParser
from itertools import pairwise

import pytest

from tests.builders import template
from tests.samples_of_results import (
    BACK,
    BLOCK,
    CLOSED,
    COURSE,
    CRASHING,
    DIAGNOSIS,
    FORBIDDEN,
    GLANCES,
    HEALTHY,
    HISTORY,
    LONG_HISTORY,
    MIDWAY,
    NO_CHOICE,
    NOT_BACK,
    NOW,
    PLAN,
    PREFLIGHT,
    PROBES,
    RECORD,
    STUCK,
    UNCLEAR,
    ago,
)
from veza_nb import render
from veza_nb.checklist import conclude
from veza_nb.plans import Refusal
from veza_nb.render import Rendered
from veza_nb.render.lines import columns, wrapped
from veza_nb.render.marks import mark_of
from veza_nb.render.page import Html, html, prose, tag
from veza_nb.revisions import Standing
from veza_nb.undo import UndoKind
from veza_nb.vocabulary import (
    Decision,
    Level,
    Outcome,
    RolloutPhase,
    Severity,
    Verdict,
)
from veza_nb.yamldiff import YamlDiff, yaml_diff

DIFFERENCE = render.template_difference(
    PLAN.changes,
    yaml_diff(template(image="app:2"), template(image="app:1")),
    before="revision 4",
    after="revision 3",
)
REFUSAL = Refusal("There is no revision 9.", "Choose one of 4, 3, 2.", (BLOCK,))

SHOWN: dict[str, Rendered] = {
    "opening": render.opening(RECORD, PREFLIGHT, resumed=False),
    "opening, forbidden": render.opening(RECORD, FORBIDDEN, resumed=True),
    "overview": render.overview("prod", "https://10.0.0.1:6443", "ada", GLANCES),
    "diagnosis": render.diagnosis(DIAGNOSIS, now=NOW),
    "diagnosis, healthy": render.diagnosis(HEALTHY, now=NOW),
    "diagnosis, unclear": render.diagnosis(UNCLEAR, now=NOW),
    "history": render.history(HISTORY, now=NOW),
    "history, long": render.history(LONG_HISTORY, now=NOW),
    "history, all of it": render.history(LONG_HISTORY, now=NOW, everything=True),
    "history, no choice": render.history(NO_CHOICE, now=NOW),
    "plan": render.plan(PLAN),
    "plan, blocked": render.plan(replace(PLAN, guards=(BLOCK, *PLAN.guards))),
    "plan, nothing to do": render.plan(replace(PLAN, noop=True, changes=(), guards=())),
    "difference": DIFFERENCE,
    "difference, none": render.template_difference((), YamlDiff(()), before="a", after="b"),
    "course": render.course(COURSE),
    "refusal": render.refusal(REFUSAL),
    "message": render.message("Approved by ada (service name)."),
    "progress": render.progress(MIDWAY, 6.2, UndoKind.DONE),
    "progress, stuck": render.progress(STUCK, 31.0, UndoKind.FOUND_DONE),
    "soak": render.soak(12.4, PROBES),
    "verification": render.verification(BACK),
    "verification, failed": render.verification(NOT_BACK),
    "verification, nothing checked": render.verification(conclude(())),
    "closing": render.closing(CLOSED, "records/20261124"),
    "closing, open": render.closing(RECORD, "records/20261124"),
}

everything = pytest.mark.parametrize("result", SHOWN.values(), ids=SHOWN.keys())

VOID = {"br", "img", "meta", "rect"}


class Outline(HTMLParser):
    """What an HTML fragment holds: its words, its elements, and whether they are nested well."""

    def __init__(self, page: str) -> None:
        super().__init__()
        self.words: list[str] = []
        self.elements: list[tuple[str, dict[str, str | None]]] = []
        self.open: list[str] = []
        self.faults: list[str] = []
        self.feed(page)
        self.close()

    def handle_starttag(self, tag: str, attrs: list[tuple[str, str | None]]) -> None:
        self.elements.append((tag, dict(attrs)))
        if tag not in {"br", "img", "meta"}:
            self.open.append(tag)

    def handle_endtag(self, tag: str) -> None:
        if not self.open or self.open.pop() != tag:
            self.faults.append(f"</{tag}>")

    def handle_data(self, data: str) -> None:
        if "style" not in self.open:
            self.words.append(data)

    @property
    def text(self) -> str:
        return " ".join(" ".join(self.words).split())


def rows_of(page: str) -> list[str]:
    """The words of every table row, one string each."""
    return [Outline(row).text for row in re.findall(r"<tr.*?</tr>", page, re.DOTALL)]


# --- all of them -----------------------------------------------------------------------------


@everything
def test_text_fits_a_terminal(result: Rendered) -> None:
    # A command is never broken: it is there to be copied.
    lines = [line for line in result.text.splitlines() if not line.lstrip().startswith("$ ")]

    assert result.text.strip()
    assert not [line for line in lines if len(line) > 100]
    assert not [line for line in lines if line != line.rstrip()]


@everything
def test_html_is_sound_and_self_contained(result: Rendered) -> None:
    outline = Outline(result.html)

    assert not outline.faults
    assert not outline.open
    names = {name for name, _ in outline.elements}
    assert not names & {"script", "link", "img", "iframe"}
    assert not re.findall(r"@import|url\(|\son\w+=|src=|href=", result.html)


@everything
def test_tables_name_their_columns_and_rows(result: Rendered) -> None:
    scopes = [attrs.get("scope") for name, attrs in Outline(result.html).elements if name == "th"]

    assert not [scope for scope in scopes if scope not in {"col", "row"}]


@everything
def test_a_reader_gets_both_faces(result: Rendered) -> None:
    assert result._repr_mimebundle_() == {"text/plain": result.text, "text/html": result.html}
    assert result._repr_html_() == result.html
    assert str(result) == result.text


@everything
def test_a_state_is_said_in_words_not_only_in_colour(result: Rendered) -> None:
    badges = re.findall(r'<span class="v-badge[^>]*>.*?</span>.*?</span>', result.html)

    assert not [badge for badge in badges if not re.search(r"[a-z]{3}", Outline(badge).text)]


@pytest.mark.parametrize(
    "kind", [Decision, Verdict, Severity, Level, Standing, RolloutPhase, Outcome]
)
def test_every_state_has_a_mark_of_its_own(kind: type[Decision]) -> None:
    marks = [mark_of(state) for state in kind]

    assert len({mark.word for mark in marks}) == len(marks)
    assert {len(mark.symbol) for mark in marks} == {1}


def test_states_that_are_the_same_string_keep_their_own_words() -> None:
    assert mark_of(Verdict.INCONCLUSIVE).word == "inconclusive"
    assert mark_of(Outcome.INCONCLUSIVE).word == "Acted, inconclusive"
    assert mark_of(Severity.INFO).word == "info"
    assert mark_of(Level.INFO).word == "note"


# --- diagnosis -------------------------------------------------------------------------------


def test_a_diagnosis_says_the_decision_first_then_the_argument_and_the_evidence() -> None:
    result = SHOWN["diagnosis"]
    words = Outline(result.html).text

    assert result.text.startswith("↩ ROLL BACK: 2 critical, 1 warning, 1 info\n")
    assert words.index("Roll back") < words.index("CrashLoopBackOff")
    for part in (*DIAGNOSIS.argument[:-1], CRASHING.evidence[0].command, "50 s ago"):
        assert part in words
    assert "exit code 1: <panic> missing DATABASE_URL (2 min ago)" in " ".join(result.text.split())


def test_a_diagnosis_folds_all_but_the_three_worst_findings() -> None:
    page = SHOWN["diagnosis"].html

    assert page.index("12 warning events") < page.index("<details>")
    assert page.index("<details>") < page.index("still serve.</div>")
    assert "1 more finding" in page


def test_a_healthy_service_is_told_in_one_sentence() -> None:
    words = Outline(SHOWN["diagnosis, healthy"].html).text

    assert "Do not roll back" in words
    assert "Nothing was found that a rollback would cure." in words
    assert "Evidence, and how" not in words


# --- history ---------------------------------------------------------------------------------


def test_a_history_marks_live_recommended_and_bad() -> None:
    _, live, good, bad = rows_of(SHOWN["history"].html)

    assert "4 ● live" in live
    assert "3 was 1 ✔ good ↩ recommended" in good
    assert "\u2265 3 d 4 h 9 d ago 2/2 of 3 replicas 1 restart, last 2 h ago" in good
    assert "release v1.2.4 by kubectl-set" in good
    assert "2 ✖ bad" in bad
    assert "recommended" not in live + bad


def test_a_history_says_which_one_and_why_before_the_table() -> None:
    for part in (SHOWN["history"].text, Outline(SHOWN["history"].html).text):
        assert part.index("Recommended: go back to revision 3") < part.index("3 d 4 h, and 2 of")
        assert "marked bad: memory leak" in part


def test_numbers_are_aligned_to_the_right() -> None:
    lines = SHOWN["history"].text.splitlines()
    ends = [re.match(r"\s*(?:↩ )?\d(?= )", line) for line in lines[4:7]]
    classes = [
        attrs.get("class")
        for name, attrs in Outline(SHOWN["history"].html).elements
        if name == "th"
    ]

    assert len({match.end() for match in ends if match}) == 1
    assert classes[0] == "v-number"


def test_a_history_without_a_choice_says_so() -> None:
    assert SHOWN["history, no choice"].text.startswith("? No revision is recommended\n")


def test_a_time_carries_its_moment_in_utc() -> None:
    titles = [attrs.get("title") for _, attrs in Outline(SHOWN["history"].html).elements]

    assert "2026-11-15 08:39:12 UTC, 9 d ago" in titles


def test_a_clock_ahead_of_ours_gives_no_negative_age() -> None:
    later = replace(HISTORY.revisions[0], created=ago(seconds=-90))

    shown = render.history(replace(HISTORY, revisions=(later,)), now=NOW)

    assert "in 1 min 30 s" in shown.text


# --- plan ------------------------------------------------------------------------------------


def test_a_plan_shows_target_differences_guards_limits_command_and_id() -> None:
    result = SHOWN["plan"]

    for part in (Outline(result.html).text, " ".join(result.text.split())):
        assert "go back from revision 4 to revision 3" in part
        assert "v1.3.0 → registry" in part
        assert "- 256Mi + 512Mi" in part
        assert "The file that was applied last names v1.3.0." in part
        assert "The database: its schema stays" in part
        assert PLAN.command in part
        assert PLAN.id in part


def test_a_plan_masks_secret_variables_and_keeps_the_others() -> None:
    result = SHOWN["plan"]

    assert "hunter2" not in result.text + result.html
    assert "- [redacted] + [redacted]" in Outline(result.html).text
    assert "containers[backend-api].env[DB_PASSWORD]" in result.text


def test_a_value_that_was_added_or_taken_away_has_one_row() -> None:
    lines = SHOWN["plan"].text.splitlines()
    at = lines.index("  containers[backend-api].env[FEATURE_WAVEFORM]")

    assert lines[at + 1] == "    - on"
    assert lines[at + 2].startswith("  containers")


def test_a_blocked_plan_says_so_first() -> None:
    result = SHOWN["plan, blocked"]

    assert result.text.startswith("✖ Blocked: go back")
    assert result.text.index("✖ blocks: The Deployment is paused") < result.text.index("! warning")
    assert "<code>kubectl rollout resume deployment/veza-backend-api</code>" in result.html


def test_a_plan_that_has_nothing_to_do_says_so() -> None:
    text = SHOWN["plan, nothing to do"].text

    assert text.startswith("✔ Nothing to do: revision 3 is live already\n")
    assert "What changes" not in text


def test_a_refusal_says_what_to_do_next() -> None:
    for part in (SHOWN["refusal"].text, Outline(SHOWN["refusal"].html).text):
        assert "There is no revision 9." in part
        assert "Next: Choose one of 4, 3, 2." in part
        assert "The Deployment is paused" in part


# --- progress, soak, verification ------------------------------------------------------------


def test_progress_has_a_first_line_that_changes_only_with_the_rollout() -> None:
    early, late = (render.progress(MIDWAY, s, UndoKind.DONE).text for s in (1.0, 25.0))

    head, bar, *_ = early.splitlines()
    assert head == "▶ Undo sent: rollout progressing: 2 of 3 updated, 1 available, 1 old"
    assert bar == "  [##########++++++++++----------] 1 s"
    assert head == late.splitlines()[0]
    assert early != late


def test_progress_names_the_pods_in_trouble() -> None:
    result = SHOWN["progress, stuck"]

    for part in (result.text, Outline(result.html).text):
        assert "veza-backend-api-7d9c6b5f4-x2x8l" in part
        assert "CrashLoopBackOff" in part
    assert "Undo already in effect" in result.text


def test_progress_is_drawn_in_proportion_and_said_in_words() -> None:
    elements = Outline(SHOWN["progress"].html).elements
    svg = next(attrs for name, attrs in elements if name == "svg")
    widths = [float(attrs["width"] or 0) for name, attrs in elements if name == "rect"]

    assert svg["aria-label"] == "Pods: 1 available, 1 starting, 1 old"
    assert len(widths) == 3
    assert all(abs(one - other) < 0.2 for one, other in pairwise(widths))


def test_progress_to_zero_replicas_draws_nothing_impossible() -> None:
    empty = replace(MIDWAY, desired=0, updated=0, old=0, ready=0, available=0)

    result = render.progress(empty, 0.0, UndoKind.NOOP)

    assert "Pods: no pods" in result.html
    assert not Outline(result.html).faults


def test_many_troubles_are_cut_and_counted() -> None:
    many = replace(STUCK, troubles=STUCK.troubles * 6)

    assert "and 4 more" in render.progress(many, 1.0, UndoKind.DONE).text


def test_a_soak_shows_what_is_left_and_what_the_endpoints_answer() -> None:
    head, left, health, tracks = SHOWN["soak"].text.splitlines()

    assert head == "▶ Verifying: does it hold?"
    assert left.startswith("  12 s left")
    assert health.split() == ["health", "5", "of", "5", "14", "ms", "16", "ms"]
    assert "1 of 3" in tracks


def test_a_verification_is_the_runbooks_checklist_with_the_checks_beneath() -> None:
    result = SHOWN["verification, failed"]
    lines = result.text.splitlines()
    entries = [line.split()[0] for line in lines if re.match(r"  \S \d\. ", line)]
    rows = rows_of(result.html)[1:]

    assert lines[0].startswith("✖ The service is not back: 4 checks: 1 fail, 1 inconclusive, 2")
    assert "".join(entries) == "?✔✖??????"
    beneath = lines.index("  ✖ 3. pods running and ready: fail")
    assert lines[beneath + 1].split()[:3] == ["✖", "It", "held"]
    assert lines[beneath + 2].split()[0] == "✔"
    assert rows[2].startswith("3. pods running and ready ✖ fail ✖ It held for 10 s")
    assert "1 check passes" in rows[2]
    assert "it was not asked" in rows[5]


def test_a_line_that_nothing_was_checked_for_says_what_a_person_looks_at() -> None:
    assert "look at the dashboards" in SHOWN["verification"].text
    assert "look at the dashboards" in rows_of(SHOWN["verification"].html)[7]


def test_a_verification_without_checks_is_no_success() -> None:
    lines = SHOWN["verification, nothing checked"].text.splitlines()

    assert lines[0] == "? It cannot be told whether the service is back: nothing was checked"


# --- the first and the last page -------------------------------------------------------------


def test_the_opening_says_where_and_who_and_what_is_missing() -> None:
    for part in ("prod", "https://10.0.0.1:6443", "ada@veza.example", RECORD.incident_id):
        assert part in SHOWN["opening"].text
    assert "You may not patch deployments.apps." in SHOWN["opening, forbidden"].text
    assert SHOWN["opening, forbidden"].text.startswith("✖ Continuing")


def test_the_closing_says_how_it_ended_how_long_it_took_and_what_is_left() -> None:
    for part in (SHOWN["closing"].text, Outline(SHOWN["closing"].html).text):
        assert "Recovered: veza-backend-api" in part
        assert "1 min 1 s" in part
        assert "records/20261124" in part
        assert "Revert the commit" in part
    assert "not known whether this run changed" in SHOWN["closing, open"].text


def test_the_overview_begins_with_the_service_in_trouble() -> None:
    text = SHOWN["overview"].text
    services = re.findall(r"^  (veza-\S+)", text, re.MULTILINE)

    assert text.startswith("✖ 1 service of 3 should be rolled back\n")
    assert services == ["veza-backend-api", "veza-stream-server", "veza-frontend"]


# --- the parts -------------------------------------------------------------------------------


def test_what_comes_from_the_cluster_cannot_become_markup() -> None:
    nasty = '<img src=x onerror="alert(1)">&'
    finding = replace(CRASHING, summary=nasty, reason=nasty)
    diagnosis = replace(DIAGNOSIS, findings=(finding,), argument=(nasty,))

    result = render.diagnosis(diagnosis, now=NOW)

    assert "<img" not in result.html
    assert nasty in Outline(result.html).text
    assert nasty in result.text


def test_secrets_in_what_comes_from_the_cluster_are_masked() -> None:
    finding = replace(CRASHING, summary="dial postgres://veza:Tr0ub4dor@db:5432/veza failed")

    result = render.diagnosis(replace(DIAGNOSIS, findings=(finding,)), now=NOW)

    assert "Tr0ub4dor" not in result.html + result.text
    assert "postgres://veza:[redacted]@db:5432/veza" in result.text


def test_html_escapes_all_but_html() -> None:
    assert html("<b>", Html("<i>")) == "&lt;b&gt;<i>"
    assert tag("b", "x", class_="a", aria_label='"') == '<b class="a" aria-label="&quot;">x</b>'


def test_prose_sets_commands_between_backquotes_and_leaves_a_lone_one() -> None:
    assert prose("run `a < b` now") == "run <code>a &lt; b</code> now"
    assert prose("it`s") == "it`s"


def test_columns_align_and_wrap_the_last_one() -> None:
    rows = [("a", "1", "word " * 30), ("long name", "12", "short")]

    lines = columns(rows, numbers=(1,))

    assert lines[0].startswith("  a           1  word word")
    assert lines[1].startswith(" " * 17 + "word")
    assert lines[-1] == "  long name  12  short"
    assert max(map(len, lines)) <= 100


def test_columns_too_wide_for_the_last_one_give_it_a_line_of_its_own() -> None:
    lines = columns([("x" * 90, "word " * 30)])

    assert lines[0] == "  " + "x" * 90
    assert lines[1].startswith("      word")
    assert not columns([])


def test_a_word_longer_than_the_terminal_is_broken() -> None:
    assert {len(line) for line in wrapped("x" * 250)} == {100, 50}
