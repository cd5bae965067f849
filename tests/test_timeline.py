"""What was seen of an incident over time: kept, read again, put together, and drawn."""

import re
import xml.etree.ElementTree as ET
from collections.abc import Sequence
from dataclasses import replace
from datetime import UTC, datetime, timedelta
from itertools import pairwise
from pathlib import Path

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from tests.builders import failed_release
from tests.samples_of_results import COURSE, PROBES
from veza_nb import render
from veza_nb.clock import ManualClock
from veza_nb.journal import Line
from veza_nb.recorder import BEAT, SERIES, Recorder, read_series
from veza_nb.redact import Redactor
from veza_nb.render.strokes import round_up
from veza_nb.rollout import PodCount, read_rollout
from veza_nb.samples import Probe, Sample
from veza_nb.series import (
    MOST_LINES,
    MeasurePoint,
    PodsPoint,
    Point,
    ProbePoint,
    pods_points,
    read_points,
    write_points,
)
from veza_nb.timeline import Timeline, read_timeline

T = datetime(2026, 11, 24, 2, 10, tzinfo=UTC)


def at(seconds: float) -> datetime:
    return T + timedelta(seconds=seconds)


def pods(seconds: float, *counts: tuple[str, int, int], desired: int = 3) -> PodsPoint:
    """Counts are (hash, number, pods)."""
    return PodsPoint(at(seconds), desired, tuple(PodCount(h, n, p, p) for h, n, p in counts))


def asked(seconds: float, *, good: bool = True, took: float | None = 0.02) -> ProbePoint:
    return ProbePoint(at(seconds), "health", good, took)


def line(seconds: float, step: str, event: str) -> Line:
    return Line(
        seq=1, at=at(seconds).isoformat(), step=step, event=event, actor="", data={}, prev=""
    )


def told(points: Sequence[Point], *lines: Line, **more: object) -> Timeline:
    found = read_timeline(points, lines, **more)  # type: ignore[arg-type]
    assert found is not None
    return found


# Kept and read again.


def test_points_come_back_as_they_were() -> None:
    points: tuple[Point, ...] = (
        pods(0, ("a", 4, 1), ("b", 3, 3)),
        asked(1),
        asked(2, good=False, took=None),
        MeasurePoint(at(3), "error rate", 0.25),
        MeasurePoint(at(4), "error rate", None),
    )

    assert points == read_points(write_points(points))


def test_a_torn_or_strange_line_costs_only_itself() -> None:
    text = write_points([asked(1)]) + '{"kind":"probe","at"\n[1]\n\x00\n' + write_points([asked(2)])

    assert [asked(1), asked(2)] == list(read_points(text + '{"kind":"po'))


def test_no_number_is_kept_as_none_and_the_last_answer_counts() -> None:
    first, nan = MeasurePoint(at(1), "rate", 0.5), MeasurePoint(at(1), "rate", float("nan"))

    assert (MeasurePoint(at(1), "rate", None),) == read_points(write_points([first, nan]))


def test_a_secret_in_the_name_of_an_endpoint_is_masked() -> None:
    point = ProbePoint(T, "/api?api_key=s3cr3tvalue99", True, 0.1)

    assert "s3cr3tvalue99" not in write_points([point])


def test_a_second_process_goes_on_with_the_series(tmp_path: Path) -> None:
    state = read_rollout(failed_release())
    for start in (0, 100):
        clock = ManualClock(at(start))
        Recorder(tmp_path, clock).rollout(state)

    seen = read_series(tmp_path)
    assert [at(0), at(100)] == [point.at for point in seen]
    assert (tmp_path / SERIES).stat().st_mode & 0o777 == 0o600


def test_pods_are_kept_where_they_change_and_now_and_then(tmp_path: Path) -> None:
    clock = ManualClock(T)
    recorder, state = Recorder(tmp_path, clock), read_rollout(failed_release())
    for _ in range(20):
        recorder.rollout(state)
        clock.sleep(BEAT / 5)
    recorder.rollout(replace(state, by_template=state.by_template[:1]))

    kept = [len(point.counts) for point in pods_points(read_series(tmp_path))]

    assert [2, 2, 2, 2, 1] == kept


def test_a_request_is_kept_once(tmp_path: Path) -> None:
    recorder = Recorder(tmp_path, ManualClock(T))
    first = PROBES[0]
    more = replace(first, samples=(*first.samples, Sample(at(9), 0.1, 503)))
    recorder.probes([first])
    recorder.probes([more])

    seen = read_series(tmp_path)
    lines = (tmp_path / SERIES).read_text().splitlines()
    assert len(seen) == len(lines) == first.total + 1
    assert [point.good for point in seen if isinstance(point, ProbePoint)].count(False) == 1


def test_a_series_has_an_end(tmp_path: Path) -> None:
    many = tuple(Sample(at(n / 10), 0.01, 200) for n in range(MOST_LINES + 50))
    Recorder(tmp_path, ManualClock(T)).probes([Probe("health", "", 200, 1.0, many)])
    Recorder(tmp_path, ManualClock(T)).rollout(read_rollout(failed_release()))

    assert len(read_series(tmp_path)) == MOST_LINES


def test_a_folder_that_takes_nothing_stops_nothing(tmp_path: Path) -> None:
    Recorder(tmp_path / "gone", ManualClock(T)).rollout(read_rollout(failed_release()))

    assert read_series(tmp_path / "gone") == ()


# Put together.


def test_pods_are_told_by_template_as_an_undo_renumbers() -> None:
    seen = told(
        [
            pods(0, ("bad", 4, 1), ("good", 3, 3)),
            pods(5, ("good", 5, 3), ("bad", 4, 1)),
            pods(8, ("good", 5, 3)),
        ],
        target="good",
        left="bad",
    )

    assert [(band.name, band.role) for band in seen.bands] == [
        ("revision 5, was 3", "target"),
        ("revision 4", "left"),
    ]
    assert [value for _, value in seen.bands[1].pods] == [1.0, 1.0, 0.0]


def test_where_nobody_looked_there_is_a_gap() -> None:
    [band] = told([pods(0, ("a", 1, 3)), pods(60, ("a", 1, 3))]).bands

    assert [value for _, value in band.pods] == [3.0, None, 3.0]


def test_numbers_without_data_are_gaps_and_never_zero() -> None:
    values = [0.5, None, None, 0.1]
    points = [MeasurePoint(at(5 * n), "rate", value) for n, value in enumerate(values)]
    [panel] = told(points, limits={"rate": 0.2}).panels

    assert [value for _, value in panel.curves[0].values] == values
    assert panel.limit == 0.2


def test_a_panel_without_any_value_is_left_out() -> None:
    unanswered = [asked(n, good=False, took=None) for n in range(5)]

    assert [panel.title for panel in told(unanswered).panels] == ["Failed requests"]
    assert told([MeasurePoint(T, "rate", None), pods(0, ("a", 1, 1))]).panels == ()


def test_requests_are_put_together_as_shares_and_percentiles() -> None:
    points = [asked(0.1 * n, good=n % 2 == 0, took=0.01 * n) for n in range(10)]
    failed, slow = told(points, line(600, "verify", "done")).panels

    assert [value for _, value in failed.curves[0].values] == [50.0]
    assert [value for _, value in slow.curves[0].values] == [pytest.approx(90.0)]


def test_steps_are_marked_and_a_release_long_ago_is_not() -> None:
    steps = [
        line(1, "detect", "note"),
        line(2, "detect", "done"),
        line(9, "approve", "approval"),
        line(10, "undo", "intent"),
        line(11, "undo", "done"),
        line(40, "verify", "done"),
        line(41, "close", "done"),
    ]
    seen = told([pods(2, ("a", 1, 3))], *steps, released=at(-9000))

    assert [mark.name for mark in seen.marks] == ["detected", "approved", "undo", "verified"]
    assert (at(2), at(40)) == (seen.begin, seen.end)
    near = told([pods(2, ("a", 1, 3))], released=at(-30))
    assert [mark.name for mark in near.marks] == ["release"]
    assert near.begin == at(-30)


def test_nothing_seen_is_no_picture() -> None:
    assert read_timeline((), ()) is None
    assert read_timeline([MeasurePoint(T, "rate", None)], ()) is None


def test_a_time_of_which_monitoring_knew_nothing_makes_the_picture_no_longer() -> None:
    values = [None, None, 0.1, None, 0.2, None]
    seen = told([MeasurePoint(at(10 * n), "rate", value) for n, value in enumerate(values)])

    assert (at(20), at(40)) == (seen.begin, seen.end)


# Drawn.


def test_the_picture_says_in_words_what_it_shows() -> None:
    words = render.described(COURSE)

    assert "Pods of revision 4 (left): 2 pods at first, 2 pods at most, 0 pods at last." in words
    assert "Failed requests, health: 100 % at first" in words
    assert "undo at" in words


def test_the_picture_is_a_file_of_its_own_that_fetches_nothing() -> None:
    text = render.document(COURSE)
    root = ET.fromstring(text)

    assert root.tag == "{http://www.w3.org/2000/svg}svg"
    assert root.get("role") == "img"
    assert not re.search(r"url\(|href|<script|@import", text)
    assert Redactor().text(text) == text


def test_where_nobody_looked_the_picture_says_so() -> None:
    assert render.document(COURSE).count("not watched") >= 1


def test_lines_differ_by_their_dashes_not_only_by_colour() -> None:
    drawn = ET.fromstring(render.document(COURSE)).iter("{http://www.w3.org/2000/svg}line")
    keys = {(e.get("stroke"), e.get("stroke-dasharray")) for e in drawn if e.get("stroke-width")}

    assert len({dash for _, dash in keys}) == len(keys) > 1


def test_names_of_steps_do_not_cover_each_other() -> None:
    texts = [
        (float(e.get("y", 0)), float(e.get("x", 0)), e.text or "")
        for e in ET.fromstring(render.document(COURSE)).iter("{http://www.w3.org/2000/svg}text")
        if re.match(r"(detected|approved|undo|verified) ", e.text or "")
    ]
    texts.sort()

    assert len(texts) == 4
    for (y, x, words), (below, right, _) in pairwise(texts):
        assert y != below or x + 6 * len(words) < right


@pytest.mark.parametrize(
    ("value", "scale"), [(0, 1), (0.03, 0.05), (1, 1), (1.2, 2), (340, 500), (501, 1000)]
)
def test_a_scale_ends_where_people_can_read_it(value: float, scale: float) -> None:
    assert pytest.approx(scale) == round_up(value)


MOMENTS = st.integers(0, 400).map(at)
POINTS = st.lists(
    st.builds(
        PodsPoint,
        MOMENTS,
        st.integers(0, 9),
        st.lists(
            st.builds(
                PodCount, st.sampled_from(["", "a", "b"]), st.integers(0, 9), st.integers(0, 9),
                st.integers(0, 9),
            ),
            max_size=3,
        ).map(tuple),
    )
    | st.builds(
        ProbePoint, MOMENTS, st.sampled_from(["health", "<&>"]), st.booleans(),
        st.none() | st.floats(0, 1e6),
    )
    | st.builds(
        MeasurePoint, MOMENTS, st.sampled_from(["rate", "x"]), st.none() | st.floats(-1e9, 1e9)
    ),
    min_size=1,
    max_size=12,
)  # fmt: skip


@settings(max_examples=40)
@given(POINTS)
def test_whatever_was_seen_can_be_drawn(points: list[Point]) -> None:
    seen = read_timeline(read_points(write_points(points)), ())
    if seen is not None:
        ET.fromstring(render.document(seen))

        assert render.course(seen).text
