"""JupyterLab on the notebooks, pointed at a training cluster, and a real browser before it."""

import json
import os
import re
import shutil
import subprocess
import sys
import time
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass
from pathlib import Path

import httpx
from playwright.sync_api import Browser, ConsoleMessage, Locator, Page, expect, sync_playwright

from veza_nb.sandbox.lifecycle import TrainingCluster

NOTEBOOKS = Path(__file__).parent.parent / "notebooks"
VEZA_NB = str(Path(sys.executable).with_name("veza-nb"))
START_SECONDS = 60
CELL_SECONDS = 30_000
CHROMIUM = shutil.which("chromium")
CHROMIUM_FLAGS = (
    "--no-sandbox", "--disable-gpu", "--disable-quic", "--no-first-run",
    "--disable-background-networking", "--disable-component-update", "--disable-sync",
)  # fmt: skip
DARK = {"@jupyterlab/apputils-extension/themes.jupyterlab-settings": {"theme": "JupyterLab Dark"}}


@dataclass(frozen=True, slots=True)
class Lab:
    """A running JupyterLab and where its records go."""

    url: str
    token: str
    records: Path

    def page_of(self, notebook: str) -> str:
        return f"{self.url}/lab/tree/{notebook}?token={self.token}&reset"


@contextmanager
def running_browser() -> Iterator[Browser]:
    """Debian's Chromium, without a window."""
    with sync_playwright() as playwright:
        running = playwright.chromium.launch(executable_path=CHROMIUM, args=list(CHROMIUM_FLAGS))
        yield running
        running.close()


@contextmanager
def running_lab(cluster: TrainingCluster, folder: Path, *, dark: bool = False) -> Iterator[Lab]:
    """JupyterLab on a copy of the notebooks, pointed at the cluster by its environment.

    Args:
        cluster: where the notebooks go.
        folder: for its files.
        dark: in its dark theme.
    """
    root, information, settings = (folder / name for name in ("notebooks", "runtime", "settings"))
    shutil.copytree(NOTEBOOKS, root)
    for name, content in (DARK if dark else {}).items():
        (settings / name).parent.mkdir(parents=True)
        (settings / name).write_text(json.dumps(content))
    environment = {
        **os.environ,
        "KUBECONFIG": str(cluster.kubeconfig),
        "VEZA_CATALOG": str(cluster.catalog),
        "VEZA_RECORDS": str(folder / "records"),
        "JUPYTER_RUNTIME_DIR": str(information),
        "JUPYTER_CONFIG_DIR": str(folder / "config"),
        "JUPYTERLAB_WORKSPACES_DIR": str(folder / "workspaces"),
        "JUPYTERLAB_SETTINGS_DIR": str(settings),
        "IPYTHONDIR": str(folder / "ipython"),
    }
    arguments = ("--allow-root", "--no-browser", "--port=0", f"--ServerApp.root_dir={root}")
    with (folder / "lab.log").open("w") as log:
        server = subprocess.Popen(
            [VEZA_NB, "lab", *arguments], env=environment, stdout=log, stderr=log
        )
        try:
            yield _ready(information, folder / "records", server)
        finally:
            server.terminate()
            server.wait(timeout=20)


def _ready(information: Path, records: Path, server: subprocess.Popen[bytes]) -> Lab:
    """Wait until it answers; its own file says where."""
    end = time.monotonic() + START_SECONDS
    while time.monotonic() < end and server.poll() is None:
        for file in information.glob("jpserver-*.json"):
            try:
                said = json.loads(file.read_text())
                url = said["url"].rstrip("/")
                httpx.get(f"{url}/api/status", params={"token": said["token"]}).raise_for_status()
            except (ValueError, httpx.HTTPError):
                break  # half written, or not listening yet
            return Lab(url, said["token"], records)
        time.sleep(0.1)
    raise AssertionError(f"JupyterLab did not start within {START_SECONDS} s")


def open_notebook(
    browser: Browser, lab: Lab, name: str, *, width: int = 1300, height: int = 1000
) -> tuple[Page, list[str]]:
    """The notebook with its kernel ready, and a list that fills with the page's errors."""
    page = browser.new_page(viewport={"width": width, "height": height})
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
