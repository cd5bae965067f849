"""The pictures of the documentation, made anew: `python -m tests.pictures [FOLDER]`.

A crash loop on a training cluster, looked at in JupyterLab (light, dark, and in a narrow
window) and on a terminal of 80 columns, then rolled back and looked at again. They are real:
whoever changes how results look makes them again and looks at every one.
"""

import os
import pty
import subprocess
import sys
import tempfile
from collections.abc import Iterator
from contextlib import suppress
from io import StringIO
from pathlib import Path

from playwright.sync_api import Browser, Locator, Page
from rich.console import Console
from rich.terminal_theme import MONOKAI
from rich.text import Text

from tests.laboratory import VEZA_NB, open_notebook, run_cell, running_browser, running_lab
from veza_nb.catalog import Monitoring
from veza_nb.clock import Deadline, SystemClock
from veza_nb.monitoring import alerts
from veza_nb.sandbox.lifecycle import TrainingCluster

SERVICE = "veza-backend-api"
COLUMNS, ROWS = 80, 60
CELLS = {
    "detect": "incident.detect()",
    "history": "incident.history()",
    "plan": "plan = incident.plan(",
}
RUN = ("service: str", "Incident.open(", *CELLS.values())
HISTORY, PLAN = "↩ Recommended", "↩ Plan"
"""How these parts begin on a terminal."""
SHOWN = (
    *("detect", "history", "plan", "history-dark", "course"),
    *("terminal-detect", "terminal-history", "terminal-plan"),
)
"""Those that the documentation shows; the others are there to be looked at."""
DOCUMENTATION = Path("docs/pictures")
_MARGIN = 6


def main(folder: Path) -> None:
    """Make all of them."""
    folder.mkdir(parents=True, exist_ok=True)
    with (
        tempfile.TemporaryDirectory() as scratch,
        TrainingCluster.start(scenario="crash-loop", directory=Path(scratch) / "c") as cluster,
        running_browser() as browser,
    ):
        for name, dark, width in (("", False, 1300), ("-dark", True, 1300), ("-narrow", True, 700)):
            place = Path(scratch) / f"lab{name}"
            place.mkdir()
            with running_lab(cluster, place, dark=dark) as lab:
                page, _ = open_notebook(browser, lab, "10-rollback.ipynb", width=width)
                for kind, output in _outputs(page):
                    _shoot(page, output, folder / f"{kind}{name}.png")
                page.close()
        _terminal(browser, cluster, folder)
        _course(browser, Path(scratch), folder)


def _outputs(page: Page) -> Iterator[tuple[str, Locator]]:
    """What detection, history and plan show, one after the other."""
    page.keyboard.press("Control+b")  # the side bar is in the way
    page.set_viewport_size({"width": page.viewport_size["width"], "height": 2400})  # type: ignore[index]
    for code in RUN:
        cell = run_cell(page, code)
        kind = next((kind for kind, its in CELLS.items() if its == code), "")
        if kind:
            yield kind, cell.locator("section.veza").last


def _shoot(page: Page, shown: Locator, path: Path) -> None:
    shown.scroll_into_view_if_needed()
    box = shown.bounding_box()
    assert box is not None
    clip = {
        "x": max(box["x"] - _MARGIN, 0),
        "y": max(box["y"] - _MARGIN, 0),
        "width": box["width"] + 2 * _MARGIN,
        "height": box["height"] + 2 * _MARGIN,
    }
    page.screenshot(path=path, clip=clip)  # type: ignore[arg-type]


def _terminal(browser: Browser, cluster: TrainingCluster, folder: Path) -> None:
    """`veza-nb plan --diff` as a terminal of 80 columns shows it, in its three parts."""
    where = ("--kubeconfig", str(cluster.kubeconfig), "--catalog", str(cluster.catalog))
    written = on_terminal([VEZA_NB, "plan", SERVICE, "--diff", *where])
    found, rest = written.split(f"\n{HISTORY}", 1)
    history, plan = rest.split(f"\n{PLAN}", 1)
    parts = {
        "detect": f"$ veza-nb plan {SERVICE} --diff\n{found}",
        "history": f"{HISTORY}{history}",
        "plan": f"{PLAN}{plan}",
    }
    for kind, text in parts.items():
        _print(browser, text.strip("\n"), folder / f"terminal-{kind}.png")


def on_terminal(command: list[str]) -> str:
    """What the command writes where it believes to be on a terminal of 80 columns."""
    ours, theirs = pty.openpty()
    os.environ |= {"COLUMNS": str(COLUMNS), "LINES": str(ROWS)}
    running = subprocess.Popen(command, stdout=theirs, stderr=theirs, stdin=theirs)
    os.close(theirs)
    parts = []
    with suppress(OSError):
        while part := os.read(ours, 65536):
            parts.append(part)
    os.close(ours)
    running.wait(timeout=60)
    return b"".join(parts).decode().replace("\r\n", "\n")


def _print(browser: Browser, written: str, path: Path) -> None:
    """The text with its colours as a picture."""
    console = Console(record=True, width=COLUMNS, file=StringIO(), force_terminal=True)
    console.print(Text.from_ansi(written), soft_wrap=True)
    look = "background:#16191d;color:#d8dde3;padding:14px 18px;margin:0;display:inline-block"
    inner = console.export_html(theme=MONOKAI, inline_styles=True, code_format="{code}")
    page = browser.new_page(viewport={"width": 900, "height": 600})
    page.set_content(f'<pre style="{look};font:13px/1.4 DejaVu Sans Mono,monospace">{inner}</pre>')
    page.locator("pre").screenshot(path=path)
    page.close()


def _course(browser: Browser, scratch: Path, folder: Path) -> None:
    """A release that fails requests, with a real Prometheus beside it: the end of the record."""
    place, records = scratch / "monitored", scratch / "records"
    with TrainingCluster.start(scenario="errors-5xx", directory=place, prometheus=True) as cluster:
        _wait_until_it_rings(cluster)
        subprocess.run(
            [VEZA_NB, "rollback", SERVICE, "--confirm", SERVICE, "--incident", "picture",
             "--kubeconfig", str(cluster.kubeconfig), "--catalog", str(cluster.catalog),
             "--records", str(records)],
            check=True, capture_output=True,
        )  # fmt: skip
    page = browser.new_page(viewport={"width": 900, "height": 2400})
    page.goto(f"file://{records}/picture/rollback.html")
    shown = page.locator("section.veza", has=page.locator("svg.v-chart"))
    _shoot(page, shown, folder / "course.png")
    page.close()


def _wait_until_it_rings(cluster: TrainingCluster) -> None:
    clock, monitoring = SystemClock(), Monitoring(alertmanager=cluster.alertmanager)
    deadline = Deadline.after(clock, 60)
    while not alerts(monitoring, {"alertname": "VezaHighErrorRate"})[0] and not deadline.passed:
        clock.sleep(0.2)


if __name__ == "__main__":
    if len(sys.argv) > 1:
        main(Path(sys.argv[1]))
    else:
        main(DOCUMENTATION)
        for path in DOCUMENTATION.glob("*.png"):
            if path.stem not in SHOWN:
                path.unlink()
