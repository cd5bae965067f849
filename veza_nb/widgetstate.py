"""Saved widgets as plain HTML: what a reader without a kernel can still be shown."""

from collections.abc import Mapping
from html import escape
from typing import Any

VIEW = "application/vnd.jupyter.widget-view+json"
STATE = "application/vnd.jupyter.widget-state+json"

_LOST = "A control was shown here; its last state was not saved."


def static_html(view: Mapping[str, Any], models: Mapping[str, Any]) -> str:
    """The widget of one output as it stood when the notebook was saved.

    Args:
        view: the output's data of type `VIEW`.
        models: `state` of the notebook's metadata of type `STATE`: model id to model.
    """
    inside = _model(str(view.get("model_id", "")), models, frozenset())
    return f'<div class="rb-widget">{inside or escape(_LOST)}</div>'


def _model(reference: str, models: Mapping[str, Any], above: frozenset[str]) -> str:
    name = reference.removeprefix("IPY_MODEL_")
    model = models.get(name)
    if model is None or name in above:
        return ""
    state: Mapping[str, Any] = model.get("state", {})
    children = state.get("children")
    if isinstance(children, list):
        return "".join(f"<div>{_model(str(c), models, above | {name})}</div>" for c in children)
    return _leaf(str(model.get("model_name", "")), state)


def _leaf(kind: str, state: Mapping[str, Any]) -> str:
    said = escape(str(state.get("description") or ""))
    value = state.get("value")
    if kind == "HTMLModel":
        return f"{said} {value or ''}".strip()
    if kind == "ButtonModel":
        return f"[{said}]"
    if value is None and isinstance(state.get("index"), int):
        labels = state.get("_options_labels") or []
        value = labels[state["index"]] if state["index"] < len(labels) else None
    return f"{said} {escape(str(value)) if value is not None else ''}".strip()
