"""Columns and cells as kubectl users know them."""

from __future__ import annotations

from collections.abc import Iterator
from datetime import UTC, datetime
from typing import Any

import pytest

from tests.sandbox.conftest import RECORDINGS, recording, recording_lines
from veza_nb.sandbox.apiserver.printing import others, pods, text, workloads

Json = dict[str, Any]
NOW = datetime(2026, 1, 2, 12, 0, 0, tzinfo=UTC)


@pytest.mark.parametrize(
    ("seconds", "shown"),
    [
        (-5, "<invalid>"),
        (-1, "0s"),
        (0, "0s"),
        (119, "119s"),
        (120, "2m"),
        (125, "2m5s"),
        (599, "9m59s"),
        (600, "10m"),
        (10_799, "179m"),
        (10_800, "3h"),
        (12_000, "3h20m"),
        (28_800, "8h"),
        (172_799, "47h"),
        (172_800, "2d"),
        (180_000, "2d2h"),
        (691_200, "8d"),
        (31_536_000, "365d"),
        (63_072_000, "2y"),
        (70_000_000, "2y80d"),
        (300_000_000, "9y"),
    ],
)
def test_a_duration_has_at_most_two_units(seconds: int, shown: str) -> None:
    assert text.duration(seconds) == shown


def _pod(*states: Json, phase: str = "Running", **metadata: Any) -> Json:
    containers = [{"name": f"c{number}"} for number in range(len(states))]
    named = [{"name": f"c{number}", **state} for number, state in enumerate(states)]
    return {
        "metadata": {"name": "web", "creationTimestamp": "2026-01-02T11:59:00Z", **metadata},
        "spec": {"containers": containers},
        "status": {"phase": phase, "containerStatuses": named},
    }


RUNNING: Json = {"ready": True, "state": {"running": {}}, "restartCount": 0}
CRASHING: Json = {
    "ready": False,
    "state": {"waiting": {"reason": "CrashLoopBackOff"}},
    "lastState": {"terminated": {"finishedAt": "2026-01-02T11:57:00Z"}},
    "restartCount": 5,
}


def _ended(code: int, reason: str = "") -> Json:
    terminated = {"exitCode": code, **({"reason": reason} if reason else {})}
    return {"ready": False, "state": {"terminated": terminated}, "restartCount": 0}


@pytest.mark.parametrize(
    ("pod", "cells"),
    [
        (_pod(RUNNING), ["1/1", "Running", "0"]),
        (_pod(RUNNING, CRASHING), ["1/2", "CrashLoopBackOff", "5 (3m ago)"]),
        (_pod(phase="Pending"), ["0/0", "Pending", "0"]),
        (_pod(_ended(0, "Completed"), phase="Succeeded"), ["0/1", "Completed", "0"]),
        (_pod(_ended(1, "Error"), phase="Failed"), ["0/1", "Error", "0"]),
        (_pod(_ended(137, "OOMKilled")), ["0/1", "OOMKilled", "0"]),
        (_pod(_ended(3)), ["0/1", "ExitCode:3", "0"]),
        (_pod(RUNNING, deletionTimestamp="2026-01-02T12:00:00Z"), ["1/1", "Terminating", "0"]),
        (
            _pod(_ended(0, "Completed"), phase="Succeeded", deletionTimestamp="x"),
            ["0/1", "Completed", "0"],
        ),
    ],
)
def test_the_status_of_a_pod_is_that_of_its_worst_container(pod: Json, cells: list[str]) -> None:
    assert pods.pod(pod, NOW)[1:4] == cells
    assert pods.pod(pod, NOW)[4] == "60s"


def test_a_pod_waits_for_its_init_containers() -> None:
    pod = _pod(RUNNING, phase="Pending")
    pod["spec"]["initContainers"] = [{"name": "one"}, {"name": "two"}]
    states = [{"name": "one", **_ended(0)}, {"name": "two", "state": {"running": {}}}]
    pod["status"]["initContainerStatuses"] = states

    assert pods.pod_reason(pod) == "Init:1/2"
    states[1]["state"] = {"waiting": {"reason": "CrashLoopBackOff"}}
    assert pods.pod_reason(pod) == "Init:CrashLoopBackOff"
    states[1]["state"] = {"terminated": {"exitCode": 2}}
    assert pods.pod_reason(pod) == "Init:ExitCode:2"


def _printed(transcript: str) -> dict[str, list[str]]:
    text = (RECORDINGS / "kubectl" / f"{transcript}.txt").read_text("utf-8")
    rows = [line.split() for line in text.splitlines() if line.startswith("veza-backend-api")]
    return {cells[0]: cells for cells in rows}


def _pods(objects: str) -> Iterator[Json]:
    """Yield every recorded state of pods, from a list or a watch."""
    if objects.endswith(".json"):
        yield from recording(f"objects/{objects}")["items"]
    else:
        yield from (event["object"] for event in recording_lines(f"watch/{objects}"))


@pytest.mark.parametrize(
    ("transcript", "objects", "least"),
    [
        ("03-get-pods-mid", "02-created-complete.pods.json", 3),
        ("08-get-pods", "07-failed-rollout-and-undo.pods.jsonl", 1),
        ("11-get-pods-imagepull", "11-imagepull.pods.json", 4),
        ("12-get-pods", "12-never-ready.pods.json", 4),
    ],
)
def test_recorded_pods_print_as_recorded(transcript: str, objects: str, least: int) -> None:
    printed = _printed(transcript)
    states: dict[str, list[list[str]]] = {}
    for pod in _pods(objects):
        name, ready, reason, *_ = pods.pod(pod, NOW)
        states.setdefault(name, []).append([ready, reason])

    compared = [name for name in printed if name in states]

    assert len(compared) >= least
    for name in compared:
        assert printed[name][1:3] in states[name]


def test_a_service_shows_its_ports_and_addresses() -> None:
    service = {
        "metadata": {"name": "web", "creationTimestamp": "2026-01-02T11:00:00Z"},
        "spec": {
            "type": "NodePort",
            "clusterIP": "10.0.0.9",
            "ports": [
                {"port": 80, "nodePort": 30080, "protocol": "TCP"},
                {"port": 53, "protocol": "UDP"},
            ],
            "selector": {"b": "2", "a": "1"},
        },
    }

    cells = ["web", "NodePort", "10.0.0.9", "<none>", "80:30080/TCP,53/UDP", "60m", "a=1,b=2"]
    assert others.service(service, NOW) == cells


def test_endpoints_show_the_first_three() -> None:
    addresses = [{"ip": f"10.1.0.{number}"} for number in range(5)]
    document = {
        "metadata": {"name": "web", "creationTimestamp": "2026-01-02T12:00:00Z"},
        "subsets": [{"addresses": addresses, "ports": [{"port": 80}]}],
    }

    shown = "10.1.0.0:80,10.1.0.1:80,10.1.0.2:80 + 2 more..."
    assert others.endpoints(document, NOW) == ["web", shown, "0s"]
    assert others.endpoints({**document, "subsets": None}, NOW)[1] == "<none>"


@pytest.mark.parametrize(
    ("conditions", "status"),
    [
        ([], "Running"),
        ([("Complete", "True")], "Complete"),
        ([("FailureTarget", "True"), ("Failed", "True")], "Failed"),
        ([("Suspended", "True")], "Suspended"),
        ([("Complete", "False")], "Running"),
    ],
)
def test_a_job_shows_how_it_stands(conditions: list[tuple[str, str]], status: str) -> None:
    document = {
        "metadata": {"name": "migrate", "creationTimestamp": "2026-01-02T11:58:00Z"},
        "spec": {"completions": 2, "template": {"spec": {"containers": []}}},
        "status": {
            "startTime": "2026-01-02T11:58:00Z",
            "completionTime": "2026-01-02T11:59:00Z",
            "succeeded": 1,
            "conditions": [{"type": kind, "status": value} for kind, value in conditions],
        },
    }

    assert workloads.job(document, NOW)[:5] == ["migrate", status, "1/2", "60s", "2m"]
