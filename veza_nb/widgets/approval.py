"""Approval by typing: no default answer, no answer by timeout."""

from collections.abc import Callable

import ipywidgets
from IPython.display import display


def show_approval(wanted: str, submit: Callable[[str], str]) -> None:
    """Show the box below the cell that runs."""
    display(approval_widget(wanted, submit))  # type: ignore[no-untyped-call]


def approval_widget(wanted: str, submit: Callable[[str], str]) -> ipywidgets.Widget:
    """A box that asks for the service's name.

    Args:
        wanted: what has to be typed; shown as the instruction.
        submit: takes what was typed; answers with one sentence to show.
    """
    field = ipywidgets.Text(
        placeholder=wanted,
        description="Type it:",
        tooltip=f"Type {wanted} to approve this plan",
        continuous_update=False,
    )
    button = ipywidgets.Button(
        description="Approve", icon="check", tooltip="Approve the plan shown above"
    )
    answer = ipywidgets.Label("Nothing is sent before you approve and run the next cell.")

    def approve(_: object) -> None:
        answer.value = submit(field.value)

    button.on_click(approve)
    question = ipywidgets.Label(f"To approve this plan, type the service's name: {wanted}")
    return ipywidgets.VBox([question, ipywidgets.HBox([field, button]), answer])
