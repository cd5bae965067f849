"""Quantities such as "500m" or "1.5Gi": exact value and canonical spelling."""

from __future__ import annotations

import functools
import re
from decimal import ROUND_CEILING, Decimal

_PATTERN = re.compile(
    r"([+-]?(?:\d+(?:\.\d*)?|\.\d+))(Ki|Mi|Gi|Ti|Pi|Ei|n|u|m|k|M|G|T|P|E|[eE][+-]?\d+)?"
)
_BINARY: dict[str, int] = {
    name: 1024 ** (step + 1) for step, name in enumerate(("Ki", "Mi", "Gi", "Ti", "Pi", "Ei"))
}
_DECIMAL = {"n": -9, "u": -6, "m": -3, "": 0, "k": 3, "M": 6, "G": 9, "T": 12, "P": 15, "E": 18}
# Beyond these a text is no quantity but an attempt to keep the server busy.
_LONGEST, _LARGEST_EXPONENT = 64, 30
_SUFFIX = {exponent: name for name, exponent in _DECIMAL.items()}


class BadQuantityError(ValueError):
    """The text is no quantity; the message is the API's."""

    def __init__(self) -> None:
        super().__init__(
            "quantities must match the regular expression "
            "'^([+-]?[0-9.]+)([eEinumkKMGTP]*[-+]?[0-9]*)$'"
        )


def parse(text: str) -> Decimal:
    """Return the exact value of a quantity.

    Raises:
        BadQuantityError: The text is none.
    """
    found = _PATTERN.fullmatch(text) if len(text) <= _LONGEST else None
    if found is None:
        raise BadQuantityError
    number, suffix = Decimal(found[1]), found[2] or ""
    if suffix in _BINARY:
        return number * _BINARY[suffix]
    exponent = _DECIMAL[suffix] if suffix in _DECIMAL else int(suffix[1:])
    if abs(exponent) > _LARGEST_EXPONENT:
        raise BadQuantityError
    scaled: Decimal = number * Decimal(10) ** exponent
    return scaled


@functools.lru_cache(maxsize=4096)
def canonical(text: str) -> str:
    """Return the spelling that the server would store: "1024Mi" becomes "1Gi".

    Raises:
        BadQuantityError: The text is none.
    """
    value = parse(text)
    found = _PATTERN.fullmatch(text)
    suffix = (found[2] or "") if found else ""
    if suffix in _BINARY and abs(value) >= 1 and value == value.to_integral_value():
        return _binary(int(value))
    exponential = suffix[:1] in ("e", "E") and len(suffix) > 1
    return _decimal(value, exponential=exponential)


def _binary(value: int) -> str:
    for name, factor in reversed(_BINARY.items()):
        if value % factor == 0 and value:
            return f"{value // factor}{name}"
    return str(value)


def _decimal(value: Decimal, *, exponential: bool) -> str:
    if not value:
        return "0"
    # Nothing below a billionth is kept; the server rounds such parts up.
    nanos = int(value.scaleb(9).to_integral_value(rounding=ROUND_CEILING))
    exponent = -9
    while nanos % 1000 == 0 and exponent < max(_SUFFIX):
        nanos //= 1000
        exponent += 3
    if exponential:
        return f"{nanos}e{exponent}" if exponent else str(nanos)
    return f"{nanos}{_SUFFIX[exponent]}"
