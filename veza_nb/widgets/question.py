"""A question with a few answers: no answer is proposed, and none is taken by timeout."""

from collections.abc import Callable, Sequence

import ipywidgets
from IPython.display import display


def show_question(question: str, answers: Sequence[str], submit: Callable[[str], str]) -> None:
    """Show the question below the cell that runs."""
    display(question_widget(question, answers, submit))  # type: ignore[no-untyped-call]


def question_widget(
    question: str, answers: Sequence[str], submit: Callable[[str], str]
) -> ipywidgets.Widget:
    """A question, and one button an answer.

    Args:
        question: one sentence or two.
        answers: what can be said.
        submit: takes the answer; answers with one sentence to show.
    """
    said = ipywidgets.Label("Nothing is said yet.")
    buttons = [ipywidgets.Button(description=one, tooltip=f"Say: {one}") for one in answers]

    def answer(button: ipywidgets.Button) -> None:
        said.value = submit(button.description)

    for button in buttons:
        button.on_click(answer)
    return ipywidgets.VBox([ipywidgets.Label(question), ipywidgets.HBox(buttons), said])
