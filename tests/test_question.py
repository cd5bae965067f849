"""The question that only a person can answer: buttons propose a value, and nothing else."""

import ipywidgets

from veza_nb.widgets.question import question_widget


def parts(box: ipywidgets.Widget) -> tuple[str, dict[str, ipywidgets.Button], ipywidgets.Label]:
    question, row, said = box.children
    return question.value, {one.description: one for one in row.children}, said


def test_nothing_is_said_before_a_button_is_pressed_and_then_exactly_that() -> None:
    heard: list[str] = []

    def submit(answer: str) -> str:
        heard.append(answer)
        return f"Written down: {answer}."

    question, buttons, said = parts(question_widget("Well?", ["yes", "no"], submit))
    assert (question, list(buttons), heard) == ("Well?", ["yes", "no"], [])
    assert said.value == "Nothing is said yet."

    buttons["no"].click()

    assert (heard, said.value) == (["no"], "Written down: no.")
