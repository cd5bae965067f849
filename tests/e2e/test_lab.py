"""A person in JupyterLab, in a real browser: cell by cell, approved by typing."""

import json
import os
import re
import shutil
import subprocess
import time
from collections.abc import Iterator
from dataclasses import dataclass
from pathlib import Path

import httpx
import pytest
from playwright.sync_api import Browser, ConsoleMessage, Locator, Page, expect, sync_playwright

from tests.e2e.conftest import VEZA_NB
from veza_nb.sandbox.lifecycle import TrainingCluster

pytestmark = [
    pytest.mark.browser,
    pytest.mark.powers,
    pytest.mark.usefixtures("powers"),
    pytest.mark.timeout(180),
]

NOTEBOOKS = Path(__file__).parent.parent.parent / "notebooks"
SERVICE = "veza-backend-api"
START_SECONDS = 60
CELL_SECONDS = 30_000
LAB_ARGUMENTS = ("--allow-root", "--no-browser", "--port=0")
CHROMIUM_FLAGS = (
    "--no-sandbox", "--disable-gpu", "--disable-quic", "--no-first-run",
    "--disable-background-networking", "--disable-component-update", "--disable-sync",
)  # fmt: skip


@dataclass(frozen=True, slots=True)
class Lab:
    """A running JupyterLab and where its records go."""

    url: str
    token: str
    records: Path

    def page_of(self, notebook: str) -> str:
        return f"{self.url}/lab/tree/{notebook}?token={self.token}&reset"


@pytest.fixture(scope="module")
def browser() -> Iterator[Browser]:
    chromium = shutil.which("chromium")
    if chromium is None:
        pytest.skip("no Chromium on this machine")
    with sync_playwright() as playwright:
        running = playwright.chromium.launch(executable_path=chromium, args=list(CHROMIUM_FLAGS))
        yield running
        running.close()


@pytest.fixture
def lab(crash_loop: TrainingCluster, tmp_path: Path) -> Iterator[Lab]:
    """JupyterLab on a copy of the notebooks, pointed at a training cluster by environment."""
    root = tmp_path / "notebooks"
    shutil.copytree(NOTEBOOKS, root)
    information = tmp_path / "runtime"
    environment = {
        **os.environ,
        "KUBECONFIG": str(crash_loop.kubeconfig),
        "VEZA_CATALOG": str(crash_loop.catalog),
        "VEZA_RECORDS": str(tmp_path / "records"),
        "JUPYTER_RUNTIME_DIR": str(information),
        "JUPYTER_CONFIG_DIR": str(tmp_path / "config"),
        "JUPYTERLAB_WORKSPACES_DIR": str(tmp_path / "workspaces"),
        "JUPYTERLAB_SETTINGS_DIR": str(tmp_path / "settings"),
        "IPYTHONDIR": str(tmp_path / "ipython"),
    }
    with (tmp_path / "lab.log").open("w") as log:
        server = subprocess.Popen(
            [
                VEZA_NB,
                "lab",
                "--allow-root",
                "--no-browser",
                "--port=0",
                f"--ServerApp.root_dir={root}",
            ],
            env=environment,
            stdout=log,
            stderr=log,
        )
        try:
            yield _ready(information, tmp_path / "records", server)
        finally:
            server.terminate()
            server.wait(timeout=20)


def _ready(information: Path, records: Path, server: subprocess.Popen[bytes]) -> Lab:
    """Wait until it answers; its own file says where."""
    end = time.monotonic() + START_SECONDS
    while time.monotonic() < end and server.poll() is None:
        for file in information.glob("jpserver-*.json"):
            said = json.loads(file.read_text())
            url = said["url"].rstrip("/")
            try:
                httpx.get(f"{url}/api/status", params={"token": said["token"]}).raise_for_status()
            except httpx.HTTPError:
                break
            return Lab(url, said["token"], records)
        time.sleep(0.1)
    pytest.fail(f"JupyterLab did not start within {START_SECONDS} s")


def open_notebook(browser: Browser, lab: Lab, name: str) -> tuple[Page, list[str]]:
    page = browser.new_page(viewport={"width": 1300, "height": 1000})
    problems: list[str] = []

    def note(message: ConsoleMessage) -> None:
        if message.type == "error":
            problems.append(message.text)

    page.on("console", note)
    page.goto(lab.page_of(name))
    expect(page.locator(".jp-NotebookPanel .jp-Notebook")).to_be_visible(timeout=CELL_SECONDS)
    # A key pressed before the kernel is there runs nothing: a person sees that too.
    expect(page.get_by_text("Python 3 (ipykernel) | Idle")).to_be_visible(timeout=CELL_SECONDS)
    return page, problems


def run_cell(page: Page, code: str) -> Locator:
    """Click into the cell, Shift+Enter, wait until it has run; the whole cell."""
    cell = page.locator(".jp-CodeCell", has_text=code).first
    cell.locator(".cm-content").click()
    page.keyboard.press("Shift+Enter")
    ran = re.compile(r"^\[\d+\]:$")
    expect(cell.locator(".jp-InputPrompt")).to_have_text(ran, timeout=CELL_SECONDS)
    return cell


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
    expect(run_cell(page, "incident.verify()")).to_contain_text("The service is back")
    expect(run_cell(page, "incident.close()")).to_contain_text("Recovered: veza-backend-api")

    assert undos(crash_loop) == 1
    (folder,) = lab.records.iterdir()
    assert json.loads((folder / "record.json").read_text())["outcome"] == "recovered"
    assert problems == []
    page.close()


def undos(cluster: TrainingCluster) -> int:
    return sum(
        (entry.verb, entry.resource, entry.dry_run) == ("patch", "deployments", False)
        and entry.agent.startswith("veza-nb")
        for entry in cluster.audit()
    )
