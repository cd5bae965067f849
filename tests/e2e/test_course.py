"""The picture of an incident, drawn from what two processes saw of it."""

import xml.etree.ElementTree as ET
from typing import Any

from tests.e2e.conftest import SERVICE, Application
from veza_nb import Incident
from veza_nb.recorder import read_series
from veza_nb.records import find_folder
from veza_nb.series import pods_points


def opened(application: Application, **more: Any) -> Incident:
    return Incident.open(SERVICE, **application.opening(incident_id="seen", **more))


def planned(incident: Incident) -> None:
    incident.detect()
    incident.history()
    plan = incident.plan()
    incident.approve(plan, confirm=SERVICE)
    incident.undo(plan)


def test_a_second_process_goes_on_with_the_picture_and_the_record_holds_it(
    broken: Application,
) -> None:
    planned(opened(broken))
    first = read_series(broken.records / "seen")
    second = opened(broken)
    planned(second)
    second.verify()
    second.close()

    folder, record = find_folder(broken.records, "seen")
    points = read_series(folder.path)
    assert points[: len(first)] == first
    assert len(points) > len(first) > 0
    plan = record.plan or {}
    last = {one.template_hash: one.pods for one in pods_points(points)[-1].counts}
    assert last == {plan["template_hash"]: 2}
    words = "".join(ET.parse(folder.path / "timeline.svg").getroot().itertext())
    assert "(gone back to)" in words
    assert "undo" in words
    draft = (folder.path / "postmortem.md").read_text()
    assert "![How it went](timeline.svg)" in draft
    assert folder.verify() == ()
