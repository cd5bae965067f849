"""Events by reason, newest last, whatever their writers left out."""

import re
from typing import Any

from tests.builders import NOW, Json, ago, complete_release, deployment, event, workload
from tests.samples_of_results import DIAGNOSIS
from veza_nb import render
from veza_nb.eventgroups import MOST, EventGroup, event_groups
from veza_nb.findings import Diagnosis

POD: Json = {"metadata": {"name": "api-x", "uid": "u"}}
OTHER: Json = {"metadata": {"name": "api-y", "uid": "w"}}


def groups(*events: Json) -> tuple[EventGroup, ...]:
    return event_groups(workload(deployment(), events=events))


def shown(*events: Json) -> Any:
    diagnosis = Diagnosis(
        DIAGNOSIS.findings, DIAGNOSIS.decision, DIAGNOSIS.argument, groups(*events)
    )
    return render.diagnosis(diagnosis, now=NOW)


def test_the_same_reason_is_one_line_with_counts_and_times() -> None:
    [only] = groups(
        event(POD, "BackOff", "second", count=7, firstTimestamp=ago(minutes=9),
              lastTimestamp=ago(minutes=1)),
        event(OTHER, "BackOff", "first", count=2, lastTimestamp=ago(minutes=5)),
    )  # fmt: skip

    assert (only.reason, only.type, only.kind, only.count) == ("BackOff", "Warning", "Pod", 9)
    assert only.names == ("api-y", "api-x")
    assert only.message == "second"
    assert (only.first, only.last) == (
        NOW.replace(hour=11, minute=51),
        NOW.replace(hour=11, minute=59),
    )


def test_the_newest_comes_last_and_a_tie_is_settled_by_what_was_stored_first() -> None:
    def one(reason: str, version: str, **when: str) -> Json:
        made = event(POD, reason, reason, **when)
        made["metadata"]["resourceVersion"] = version
        return made

    found = groups(
        one("Started", "12", lastTimestamp=ago(seconds=9)),
        one("Scheduled", "9", eventTime=ago(seconds=9).replace("Z", ".392543Z")),
        one("Killing", "11", lastTimestamp=ago(seconds=2)),
        one("Old", "99", lastTimestamp=ago(hours=2)),
        one("Untold", "1"),
    )

    assert [one.reason for one in found] == ["Old", "Scheduled", "Started", "Killing", "Untold"]


def test_events_without_times_or_words_are_kept() -> None:
    [only] = groups({"metadata": {"name": "e"}, "involvedObject": {}})

    assert (only.reason, only.count, only.first, only.last) == ("", 1, None, None)
    assert "unknown" in shown({"metadata": {"name": "e"}, "involvedObject": {}}).text


def test_a_flood_is_cut_to_the_newest() -> None:
    many = [event(POD, f"R{n:03}", "", lastTimestamp=ago(minutes=200 - n)) for n in range(200)]
    found = groups(*many)

    assert len(found) == MOST
    assert found[-1].reason == "R199"


def test_they_are_shown_in_terminal_and_page() -> None:
    result = shown(
        event(POD, "Unhealthy", "Readiness probe failed: HTTP 503", count=12,
              lastTimestamp=ago(seconds=40)),
        {**event(POD, "Pulled", "Already present", lastTimestamp=ago(minutes=3)), "type": "Normal"},
    )  # fmt: skip
    lines = result.text.splitlines()
    [start] = [n for n, line in enumerate(lines) if line.startswith("Events: ")]

    assert lines[start] == "Events: 12 warnings, 1 normal, newest last"
    assert [re.split(r"  +", line.strip())[2] for line in lines[start + 2 : start + 4]] == [
        "Pulled",
        "Unhealthy",
    ]
    assert "Unhealthy: Readiness probe failed: HTTP 503" in result.text
    assert "Readiness probe failed: HTTP 503" in result.html
    assert result.html.index("Pulled") < result.html.rindex("<b>Unhealthy</b>")


def test_without_events_nothing_is_shown() -> None:
    assert event_groups(complete_release()) == ()
    assert "Events:" not in shown().text
