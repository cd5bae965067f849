"""The history as people read it: bounded, newest first, with the evidence for each revision."""

from dataclasses import replace
from datetime import timedelta

import pytest

from tests.samples_of_results import GOOD, HISTORY, LONG_HISTORY, NOW, ago
from tests.test_render import Outline, rows_of
from veza_nb import render
from veza_nb.render.lines import fit_to
from veza_nb.render.marks import NONE
from veza_nb.revisions import History


def text(of: History, *, everything: bool = False) -> str:
    return render.history(of, now=NOW, everything=everything).text


def row_numbers(page: str) -> list[str]:
    rows = [line for line in page.splitlines() if " ? unknown " in line]
    return [row.split()[0] for row in rows]


def test_fifty_revisions_are_cut_to_the_newest_and_the_recommended_one() -> None:
    shown = text(LONG_HISTORY)

    assert [str(n) for n in range(49, 40, -1)] == row_numbers(shown)
    assert "↩ 7  ✔ good" in shown
    assert "and 39 older revisions (40 to 1): `veza-nb history SERVICE --all` shows them." in shown


def test_all_of_them_can_be_shown() -> None:
    shown = text(LONG_HISTORY, everything=True)

    assert len(row_numbers(shown)) == 48
    assert "older revisions (" not in shown


def test_on_a_page_the_older_ones_are_folded_away_and_counted() -> None:
    page = render.history(LONG_HISTORY, now=NOW).html
    first, _, rest = page.partition("<details>")

    assert len(rows_of(first)) == 12
    assert "39 older revisions (40 to 1)" in rest
    assert len(rows_of(rest)) == 40


def test_a_revision_tells_who_brought_it_how_large_it_was_and_how_it_did() -> None:
    shown = " ".join(text(HISTORY).split())

    for fact in (
        "by kubectl-set",
        "of 3 replicas",
        "reached full availability (11-15 08:39 UTC)",
        "1 restart, last 2 h ago",
        "in service 2026-11-15 08:39 → 2026-11-18 12:39 (3 d 4 h), of 3 replicas",
    ):
        assert fact in shown


def test_time_in_service_adds_up_over_reuse_and_says_that_it_may_be_more() -> None:
    twice = (*GOOD.served, (ago(hours=20), ago(hours=10)))
    shown = text(replace(HISTORY, revisions=(replace(GOOD, served=twice),)))

    assert "≥ 3 d 14 h" in shown
    assert "→ 2026-11-23 22:39 (10 h)" in " ".join(shown.split())


def test_what_is_not_known_is_a_dash_and_no_number() -> None:
    bare = replace(HISTORY.revisions[2], created=None)
    page = Outline(render.history(replace(HISTORY, revisions=(bare,)), now=NOW).html).text

    assert f"v1.2.5 {NONE} 0/0 {NONE} " in page


@pytest.mark.parametrize("columns", [60, 80, 100])
def test_it_fits_the_terminal(columns: int) -> None:
    fit_to(columns)
    try:
        lines = text(HISTORY).splitlines() + text(LONG_HISTORY).splitlines()
    finally:
        fit_to(100)

    assert max(map(len, lines)) <= columns


def test_a_live_revision_is_in_service_until_now() -> None:
    live = replace(HISTORY.revisions[0], served=((NOW - timedelta(minutes=6), None),))

    assert "→ now (6 min)" in " ".join(text(replace(HISTORY, revisions=(live,))).split())
