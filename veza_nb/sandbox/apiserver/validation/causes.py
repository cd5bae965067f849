"""What is wrong with a field, in the words of the server."""

from __future__ import annotations

import json
from collections.abc import Iterator

from veza_nb.sandbox.apimachinery.status import Cause


def bad(field: str, value: object, why: str) -> Cause:
    """Return the cause "Invalid value" of a field; the value is spelled as Go spells it."""
    return Cause("FieldValueInvalid", f"Invalid value: {go_value(value)}: {why}", field)


def required(field: str, why: str = "") -> Cause:
    """Return the cause "Required value" of a field."""
    return Cause("FieldValueRequired", "Required value" + (f": {why}" if why else ""), field)


def unsupported(field: str, value: object, offered: tuple[str, ...]) -> Cause:
    """Return the cause "Unsupported value" of a field."""
    shown = ", ".join(f'"{each}"' for each in offered)
    message = f"Unsupported value: {go_value(value)}: supported values: {shown}"
    return Cause("FieldValueNotSupported", message, field)


def go_value(value: object) -> str:
    """Return a value as the server prints it in messages."""
    if isinstance(value, bool):
        return str(value).lower()
    if isinstance(value, str):
        return json.dumps(value, ensure_ascii=False)
    if isinstance(value, dict):
        inner = ", ".join(f"{go_value(key)}:{go_value(value[key])}" for key in sorted(value))
        return f"map[string]string{{{inner}}}"
    return "null" if value is None else str(value)


class Raw:
    """A value whose Go spelling is known."""

    def __init__(self, text: str) -> None:
        self._text = text

    def __str__(self) -> str:
        return self._text


def not_negative(field: str, value: int | None) -> Iterator[Cause]:
    """Yield what is wrong with a number that may not be below 0."""
    if value is not None and value < 0:
        yield bad(field, value, "must be greater than or equal to 0")
