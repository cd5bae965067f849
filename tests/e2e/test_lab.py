"""A person in JupyterLab, in a real browser: cell by cell, approved by typing."""

import json
from collections.abc import Iterator
from pathlib import Path

import pytest
from playwright.sync_api import Browser, expect

from tests.laboratory import CHROMIUM, Lab, open_notebook, run_cell, running_browser, running_lab
from veza_nb.sandbox.lifecycle import TrainingCluster

pytestmark = [
    pytest.mark.browser,
    pytest.mark.powers,
    pytest.mark.usefixtures("powers"),
    pytest.mark.timeout(180),
]

SERVICE = "veza-backend-api"


@pytest.fixture(scope="module")
def browser() -> Iterator[Browser]:
    if CHROMIUM is None:
        pytest.skip("no Chromium on this machine")
    with running_browser() as running:
        yield running


@pytest.fixture
def lab(crash_loop: TrainingCluster, tmp_path: Path) -> Iterator[Lab]:
    with running_lab(crash_loop, tmp_path) as running:
        yield running


def test_start_page_shows_the_cluster_and_every_service(browser: Browser, lab: Lab) -> None:
    page, problems = open_notebook(browser, lab, "00-start.ipynb")

    run_cell(page, "kubeconfig: str")
    output = run_cell(page, "import overview").locator(".jp-OutputArea-output")

    expect(output).to_contain_text("veza-training")
    for service in (SERVICE, "veza-frontend", "veza-stream-server"):
        expect(output).to_contain_text(service)
    assert problems == []
    page.close()


def test_person_rolls_back_cell_by_cell_and_approves_by_typing(
    browser: Browser, lab: Lab, crash_loop: TrainingCluster
) -> None:
    page, problems = open_notebook(browser, lab, "10-rollback.ipynb")

    for code in ("service: str", "Incident.open(", "incident.detect()", "incident.history()"):
        run_cell(page, code)
    run_cell(page, "plan = incident.plan(")
    approve = run_cell(page, "incident.approve(")
    expect(approve).to_contain_text("Waiting for your approval")

    box = approve.locator("input[type=text]")
    box.fill("veza-frontend")
    approve.get_by_role("button", name="Approve").click()
    expect(approve).to_contain_text("is not the name of the service")
    box.fill(SERVICE)
    approve.get_by_role("button", name="Approve").click()
    expect(approve).to_contain_text("Approved by")
    assert undos(crash_loop) == 0

    undo = run_cell(page, "incident.undo(plan)")
    expect(undo).to_contain_text("Undo sent: rollout complete")
    run_cell(page, "incident.undo(plan)")
    assert undos(crash_loop) == 1
    verify = run_cell(page, "incident.verify(")
    expect(verify).to_contain_text("The service is back")
    verify.get_by_role("button", name="yes").click()
    expect(verify).to_contain_text("says yes. The verdict is: pass.")
    expect(run_cell(page, "incident.further(")).to_contain_text("No need to go further")
    expect(run_cell(page, "incident.close()")).to_contain_text("Recovered: veza-backend-api")

    assert undos(crash_loop) == 1
    (folder,) = lab.records.iterdir()
    record = json.loads((folder / "record.json").read_text())
    assert (record["outcome"], record["parameters"]["users_ok"]) == ("recovered", "yes")
    assert problems == []
    page.close()


def undos(cluster: TrainingCluster) -> int:
    return sum(
        (entry.verb, entry.resource, entry.dry_run) == ("patch", "deployments", False)
        and entry.agent.startswith("veza-nb")
        for entry in cluster.audit()
    )
