"""Every recorded request gets the recorded answer."""

from __future__ import annotations

import json
from collections.abc import Iterator
from datetime import UTC, datetime
from pathlib import Path
from typing import Any

import pytest

from tests.sandbox import recorded
from tests.sandbox.conftest import RECORDINGS, ApiServer, recording
from veza_nb.sandbox.apimachinery import kinds
from veza_nb.sandbox.apiserver import tables

Json = dict[str, Any]
_HEADERS = ("Content-Type", "Warning", "Retry-After", "X-Content-Type-Options")
# When the tables were recorded; ages count up to here.
_THEN = datetime(2026, 11, 23, 9, 33, 18, tzinfo=UTC)


class _Then:
    def now(self) -> datetime:
        return _THEN


@pytest.fixture
def then(tmp_path: Path) -> Iterator[ApiServer]:
    """A server whose clock stands at the time of the recordings."""
    server = ApiServer(tmp_path, clock=_Then())
    server.start()
    try:
        yield server
    finally:
        server.stop()


def _body(response: Any) -> Any:
    try:
        return response.json()
    except json.JSONDecodeError:
        return response.text


@pytest.mark.parametrize("name", recorded.names())
def test_a_recorded_request_gets_the_recorded_answer(then: ApiServer, name: str) -> None:
    wanted = recording(f"http/{name}")["response"]
    recorded.seed(then, name)

    response = recorded.send(then, recording(f"http/{name}")["request"])

    assert wanted["status"] == response.status_code
    if not name.startswith("22-table"):
        assert recorded.normalised(wanted["body"]) == recorded.normalised(_body(response))
    else:
        _same_table(wanted["body"], response.json())
    headers = {header: wanted["headers"].get(header) for header in _HEADERS}
    assert headers == {header: response.headers.get(header) for header in _HEADERS}


def _same_table(wanted: Json, table: Json) -> None:
    rows = {row["cells"][0]: recorded.normalised(row) for row in wanted.pop("rows")}
    answered = [recorded.normalised(row) for row in table.pop("rows")]

    assert recorded.normalised(wanted) == recorded.normalised(table)
    for row in answered:
        assert rows[row["cells"][0]]["cells"] == row["cells"]
        assert list(rows[row["cells"][0]]) == list(row)


def _recorded_objects() -> dict[tuple[str, str], Json]:
    """Return every recorded object by uid and version."""
    found: dict[tuple[str, str], Json] = {}
    for path in (RECORDINGS / "objects").glob("*.json"):
        document = json.loads(path.read_text("utf-8"))
        if isinstance(document, dict):
            for item in document.get("items", [document]):
                _note(found, item)
    for path in (RECORDINGS / "watch").glob("*.jsonl"):
        for line in path.read_text("utf-8").splitlines():
            _note(found, json.loads(line)["object"])
    return found


def _note(found: dict[tuple[str, str], Json], item: Json) -> None:
    metadata = item.get("metadata") or {}
    if "uid" in metadata:
        found[metadata["uid"], metadata["resourceVersion"]] = item


@pytest.mark.parametrize(
    ("name", "plural", "least"),
    [
        ("22-table-deployments.json", "deployments", 1),
        ("22-table-replicasets.json", "replicasets", 5),
        ("22-table-events.json", "events", 0),
        ("22-table-pods.json", "pods", 0),
    ],
)
def test_a_recorded_row_is_made_from_the_recorded_object(
    name: str, plural: str, least: int
) -> None:
    wanted, objects = recorded.body_of(name), _recorded_objects()
    objects |= {("late", ""): recorded.body_of("22-status-subresource.json")}
    late = objects["late", ""]
    objects[late["metadata"]["uid"], late["metadata"]["resourceVersion"]] = late
    resource, compared = kinds.by_plural(plural), 0

    for row in wanted["rows"]:
        metadata = row["object"]["metadata"]
        found = objects.get((metadata["uid"], metadata["resourceVersion"]))
        if found is not None:
            made = tables.table(resource, [found], "v1", "Metadata", now=_THEN)["rows"][0]
            assert row == made
            compared += 1
    assert compared >= least
    columns = tables.table(resource, [], "v1", "None", now=_THEN, metadata={})["columnDefinitions"]
    assert recorded.normalised(wanted["columnDefinitions"]) == recorded.normalised(columns)
