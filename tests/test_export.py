"""An executed notebook as one page that opens anywhere and fetches nothing."""

import copy
import json
import re
import subprocess
import sys
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import Any

import pytest
from playwright.sync_api import Browser, sync_playwright

from tests.samples_of_results import CLOSED, DIAGNOSIS, HISTORY, NOW, PLAN
from veza_nb import render
from veza_nb.export import notebook_to_html
from veza_nb.redact import Redactor
from veza_nb.render import Rendered

VIEW = "application/vnd.jupyter.widget-view+json"
STATE = "application/vnd.jupyter.widget-state+json"
PARAMETERS = 'service: str = "veza-backend-api"  # name in the catalogue'

NETWORK = re.compile(
    r"(?:src|srcset|href|poster|action|data)\s*=\s*[\"']?\s*(?:[a-z]+:)?//|@import|url\((?!data:)",
    re.IGNORECASE,
)


def markdown(source: str) -> dict[str, Any]:
    return {"cell_type": "markdown", "metadata": {}, "source": source}


def code(source: str, *outputs: dict[str, Any]) -> dict[str, Any]:
    return {
        "cell_type": "code",
        "metadata": {},
        "source": source,
        "execution_count": 1,
        "outputs": list(outputs),
    }


def shown(data: dict[str, Any]) -> dict[str, Any]:
    return {"output_type": "display_data", "metadata": {}, "data": data}


def result(rendered: Rendered) -> dict[str, Any]:
    return shown(rendered._repr_mimebundle_())


def notebook(*cells: dict[str, Any], **metadata: Any) -> dict[str, Any]:
    """A notebook as papermill leaves it."""
    papermill = {
        "parameters": {"service": "veza-backend-api", "incident_id": PLAN.incident},
        "start_time": "2026-11-24T08:39:12.123456+00:00",
        "duration": 64.2,
    }
    named = [{"id": f"cell-{number}", **cell} for number, cell in enumerate(cells)]
    return {
        "nbformat": 4,
        "nbformat_minor": 5,
        "metadata": {
            "kernelspec": {"name": "python3", "display_name": "Python 3"},
            "papermill": papermill,
            **metadata,
        },
        "cells": named,
    }


def whole_run() -> dict[str, Any]:
    return notebook(
        markdown("# Roll back a bad release\n\nOne service, `one step` back."),
        code(PARAMETERS),
        code("incident.detect()", result(render.diagnosis(DIAGNOSIS, now=NOW))),
        code("incident.history()", result(render.history(HISTORY, now=NOW))),
        code("plan = incident.plan()", result(render.plan(PLAN))),
        code("incident.close()", result(render.closing(CLOSED, "records/x"))),
        code(
            "raise",
            {"output_type": "stream", "name": "stdout", "text": "plain \x1b[32mgreen\x1b[0m\n"},
            {
                "output_type": "error",
                "ename": "NotRecoveredError",
                "evalue": "no",
                "traceback": ["\x1b[0;31mNotRecoveredError\x1b[0m: the service is not back"],
            },
        ),
    )


@pytest.fixture(scope="module")
def page() -> str:
    return notebook_to_html(whole_run())


# --- what is on it ---------------------------------------------------------------------------


def test_the_page_shows_parameters_prose_results_and_errors(page: str) -> None:
    words = re.sub(r"<[^>]+>", "", page)

    for part in (
        "Roll back a bad release",
        "name in the catalogue",
        "Only pods of the new template suffer",
        "Recommended: go back to revision 3",
        "Plan: go back from revision 4 to revision 3",
        "plain green",
        "NotRecoveredError: the service is not back",
    ):
        assert part in words


def test_the_page_is_called_like_its_incident(page: str) -> None:
    assert f"<title>{PLAN.incident}</title>" in page
    assert "veza-backend-api, executed 2026-11-24 08:39:12 UTC, took 1 min 4 s" in page


def test_a_page_without_an_incident_is_called_like_its_folder(tmp_path: Path) -> None:
    folder = tmp_path / "incident-7"
    folder.mkdir()
    path = folder / "rollback.ipynb"
    path.write_text(json.dumps(notebook(code("1"), papermill={})))

    assert "<title>incident-7</title>" in notebook_to_html(path)
    assert "<title>Given</title>" in notebook_to_html(path, title="Given")


def test_the_page_is_small(page: str) -> None:
    assert len(page.encode()) <= 600_000


def test_the_page_has_a_dark_face_and_a_printed_one(page: str) -> None:
    assert "prefers-color-scheme: dark" in page
    assert "@media print" in page


def test_a_second_redaction_leaves_the_page_as_it_is(page: str) -> None:
    assert page == Redactor().text(page)


def test_the_notebook_itself_is_left_as_it_was() -> None:
    source = whole_run()
    before = copy.deepcopy(source)

    notebook_to_html(source)

    assert before == source


def test_what_is_no_notebook_is_refused(tmp_path: Path) -> None:
    (tmp_path / "x.ipynb").write_text("no JSON")

    with pytest.raises(ValueError, match="JSON"):
        notebook_to_html(tmp_path / "x.ipynb")
    with pytest.raises(FileNotFoundError):
        notebook_to_html(tmp_path / "missing.ipynb")


# --- what is not on it -----------------------------------------------------------------------


def test_the_page_refers_to_nothing_on_a_network(page: str) -> None:
    assert not NETWORK.findall(page)
    assert "<script" not in page


@pytest.mark.parametrize(
    "fragment",
    [
        '<script src="https://cdn.example/x.js"></script>',
        "<script>fetch('/x')</script>",
        '<img src="https://cdn.example/x.png">',
        '<img srcset="//cdn.example/x.png 2x">',
        '<link rel="stylesheet" href="https://cdn.example/x.css">',
        "<style>@import 'https://cdn.example/x.css'; b { color: red }</style>",
        "<style>b { background: url(https://cdn.example/x.png) }</style>",
        "<b style=\"background: url('https://cdn.example/x.png')\">x</b>",
        '<iframe src="https://cdn.example"></iframe>',
        '<svg><use xlink:href="https://cdn.example/x.svg#a"/></svg>',
        '<form action="https://cdn.example"><input></form>',
        '<a href="https://cdn.example/page">label</a>',
        '<b onclick="fetch(1)">x</b><img src="//cdn.example/x.png">',
        '<base href="https://cdn.example/">',
    ],
)
def test_what_an_output_would_fetch_or_run_is_taken_out(fragment: str) -> None:
    page = notebook_to_html(notebook(code("x", shown({"text/html": f"{fragment}<i>kept</i>"}))))

    assert not NETWORK.findall(page)
    assert "<script" not in page
    assert "onclick" not in page
    assert "<i>kept</i>" in page


def test_a_link_elsewhere_becomes_text_with_its_address() -> None:
    page = notebook_to_html(notebook(markdown("See [the manual](https://docs.example/undo).")))

    assert "the manual" in page
    assert "(https://docs.example/undo)" in page
    assert not NETWORK.findall(page)


def test_pictures_inside_the_notebook_stay() -> None:
    dot = "iVBORw0KGgoAAAANSUhEUgAAAAEAAAABCAYAAAAfFcSJAAAADUlEQVR42mNkYPhfDwACh"

    page = notebook_to_html(notebook(code("x", shown({"image/png": dot}))))

    assert f"data:image/png;base64,{dot}" in page


# --- widgets ---------------------------------------------------------------------------------


def widget_page(models: dict[str, Any]) -> str:
    view = {"version_major": 2, "version_minor": 0, "model_id": "top"}
    cell = code("x", shown({VIEW: view, "text/plain": "VBox(children=…)"}))
    state = {STATE: {"version_major": 2, "version_minor": 0, "state": models}}
    return notebook_to_html(notebook(cell, widgets=state))


def test_a_saved_widget_is_shown_as_it_stood() -> None:
    page = widget_page(
        {
            "top": {
                "model_name": "VBoxModel",
                "state": {"children": ["IPY_MODEL_a", "IPY_MODEL_b"]},
            },
            "a": {
                "model_name": "TextModel",
                "state": {"description": "Type it:", "value": "<veza>"},
            },
            "b": {"model_name": "HBoxModel", "state": {"children": ["IPY_MODEL_c", "IPY_MODEL_d"]}},
            "c": {"model_name": "ButtonModel", "state": {"description": "Approve"}},
            "d": {
                "model_name": "DropdownModel",
                "state": {"description": "To:", "_options_labels": ["3", "2"], "index": 1},
            },
        }
    )

    widget = re.search(r'<div class="rb-widget">(.*?)</div></div></div>', page)
    assert widget is not None
    words = re.sub(r"(?:<[^>]+>)+", "|", widget[1]).strip("|")
    assert words == "Type it: &lt;veza&gt;|[Approve]|To: 2"
    assert VIEW not in page
    assert STATE not in page


def test_a_widget_without_saved_state_leaves_a_word_instead_of_nothing() -> None:
    assert "A control was shown here" in widget_page({})


def test_widgets_that_hold_each_other_come_to_an_end() -> None:
    page = widget_page(
        {"top": {"model_name": "VBoxModel", "state": {"children": ["IPY_MODEL_top"]}}}
    )

    assert "rb-widget" in page


# --- in a browser ----------------------------------------------------------------------------


@contextmanager
def chromium() -> Iterator[Browser]:
    with sync_playwright() as playwright:
        browser = playwright.chromium.launch(
            executable_path="/usr/bin/chromium", args=["--no-sandbox", "--disable-gpu"]
        )
        yield browser
        browser.close()


@pytest.mark.browser
def test_a_browser_opens_the_page_offline_without_a_complaint(page: str, tmp_path: Path) -> None:
    path = tmp_path / "rollback.html"
    path.write_text(page)
    complaints: list[str] = []
    requests: list[str] = []

    with chromium() as browser:
        backgrounds = []
        for scheme in ("light", "dark"):
            tab = browser.new_page(color_scheme=scheme)
            tab.on("console", lambda message: complaints.append(message.text))
            tab.on("pageerror", lambda error: complaints.append(str(error)))
            tab.on("request", lambda request: requests.append(request.url))
            tab.goto(path.as_uri())
            assert tab.get_by_text("Recommended: go back to revision 3").is_visible()
            assert not tab.get_by_text("exit code 1").last.is_visible()
            tab.get_by_text("Evidence, and how to see it by hand").click()
            assert tab.get_by_text("exit code 1").last.is_visible()
            backgrounds.append(tab.evaluate("getComputedStyle(document.body).backgroundColor"))

    assert not complaints
    assert set(requests) == {path.as_uri()}
    assert backgrounds == ["rgb(255, 255, 255)", "rgb(15, 19, 23)"]


@pytest.mark.browser
def test_paper_shows_what_is_folded_away(page: str, tmp_path: Path) -> None:
    path = tmp_path / "rollback.html"
    path.write_text(page)

    with chromium() as browser:
        tab = browser.new_page()
        tab.goto(path.as_uri())
        folded = tab.evaluate("document.querySelector('details').getBoundingClientRect().height")
        tab.emulate_media(media="print")
        printed = tab.evaluate("document.querySelector('details').getBoundingClientRect().height")

    assert printed > folded


def test_importing_export_loads_no_converter() -> None:
    script = (
        "import sys, veza_nb.export; print({'nbconvert', 'nbformat', 'bs4'} & set(sys.modules))"
    )

    done = subprocess.run(
        [sys.executable, "-c", script], capture_output=True, text=True, check=True
    )

    assert done.stdout.strip() == "set()"
