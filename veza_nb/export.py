"""An executed notebook as one HTML file that opens anywhere, also without a network.

nbconvert does the work with a template of ours. What the page must never need is taken out:
scripts, styles and pictures from elsewhere; and the page's own policy forbids fetching any.
"""

import re
from collections.abc import Mapping
from datetime import datetime, timedelta
from pathlib import Path
from typing import Any

from veza_nb.fastimport import quicken
from veza_nb.widgetstate import STATE, VIEW, static_html
from veza_nb.words import clock_time, span

_TEMPLATES = Path(__file__).parent / "templates"
_ELSEWHERE = re.compile(r"\s*(?:[a-z][a-z0-9+.-]*:)?//", re.IGNORECASE)
# Cheap signs that a page may hold something to take out; only then is it parsed.
_SUSPECT = re.compile(
    r"<(?:script|iframe|object|embed|base|link|form)\b|@import|url\(\s*[\"']?(?!data:)"
    r"|(?:src|srcset|href|poster|data|action|xlink:href)\s*=\s*[\"']?\s*(?:[a-z][a-z0-9+.-]*:)?//",
    re.IGNORECASE,
)
_FETCHING = ("script", "iframe", "object", "embed", "base", "link", "form")
_POINTING = ("src", "srcset", "href", "poster", "data", "action", "xlink:href", "background")
_STYLE = re.compile(r"@import[^;]*;?|url\(\s*[\"']?(?!data:)[^)]*\)", re.IGNORECASE)


def notebook_to_html(notebook: Path | str | Mapping[str, Any], *, title: str = "") -> str:
    """Return the notebook as one HTML page.

    Args:
        notebook: a path, or the notebook as JSON data.
        title: of the page; "" takes the incident's id as the notebook's parameters tell it,
            then the name of the folder it lies in.

    Raises:
        ValueError: this is no notebook.
        OSError: it cannot be read.
    """
    quicken()
    import nbformat  # noqa: PLC0415 - costs 0.2 s
    from nbconvert.exporters import HTMLExporter  # noqa: PLC0415 - costs 0.3 s

    if isinstance(notebook, Mapping):
        node = nbformat.from_dict(dict(notebook))  # type: ignore[no-untyped-call]
    else:
        path = Path(notebook)
        text = path.read_text("utf-8")
        node = nbformat.reads(text, as_version=4)  # type: ignore[no-untyped-call]
        title = title or _incident_of(node) or path.resolve().parent.name
    node.metadata["title"] = title or _incident_of(node) or "notebook"
    node.metadata["subtitle"] = _subtitle(node)
    _freeze_widgets(node)
    exporter = HTMLExporter(  # type: ignore[no-untyped-call]
        template_name="runbook",
        extra_template_basedirs=[str(_TEMPLATES)],
        exclude_anchor_links=True,
    )
    page, _ = exporter.from_notebook_node(node)
    return _self_contained(str(page))


def _papermill(node: Any) -> Mapping[str, Any]:
    found = node.metadata.get("papermill", {})
    return found if isinstance(found, Mapping) else {}


def _incident_of(node: Any) -> str:
    parameters = _papermill(node).get("parameters") or {}
    return str(parameters.get("incident_id") or "")


def _subtitle(node: Any) -> str:
    """What was run, when, and how long it took, as far as the notebook says."""
    run = _papermill(node)
    service = (run.get("parameters") or {}).get("service")
    start, seconds = run.get("start_time"), run.get("duration")
    said = [str(service)] if service else []
    if isinstance(start, str):
        said.append(f"executed {clock_time(datetime.fromisoformat(start))}")
    if isinstance(seconds, int | float):
        said.append(f"took {span(timedelta(seconds=seconds))}")
    return ", ".join(said)


def _freeze_widgets(node: Any) -> None:
    """Put static HTML where a widget was shown, and drop the saved state."""
    models = node.metadata.pop("widgets", {}).get(STATE, {}).get("state", {})
    for cell in node.cells:
        for output in cell.get("outputs", []):
            view = output.get("data", {}).get(VIEW)
            if view is not None:
                output["data"] = {"text/html": static_html(view, models)}


def _self_contained(page: str) -> str:
    """Take out what would be fetched or run; a link elsewhere becomes text with its address."""
    if not _SUSPECT.search(page):
        return page
    from bs4 import BeautifulSoup  # noqa: PLC0415 - nbconvert has loaded it already

    soup = BeautifulSoup(page, "html.parser")
    for element in soup.find_all(_FETCHING):
        element.decompose()
    for link in soup.find_all("a", href=_ELSEWHERE):
        target = str(link["href"])
        address = soup.new_tag("span", attrs={"class": "rb-url"})
        address.string = "" if target in link.get_text() else f" ({target})"
        link.insert_after(address)
        link.unwrap()
    for element in soup.find_all(True):
        _disarm(element)
    return str(soup)


def _disarm(element: Any) -> None:
    for name in [n for n in element.attrs if n.lower().startswith("on")]:
        del element[name]
    for name in _POINTING:
        value = str(element.get(name, ""))
        if _ELSEWHERE.match(value) or value.lower().lstrip().startswith("javascript:"):
            del element[name]
    if _STYLE.search(str(element.get("style", ""))):
        element["style"] = _STYLE.sub("none", element["style"])
    if element.name == "style" and element.string and _STYLE.search(element.string):
        element.string = _STYLE.sub("none", element.string)
