"""What a finding means for somebody who sees it for the first time: one table, open to anybody."""

from collections.abc import Mapping, Sequence
from dataclasses import replace
from functools import cache
from importlib import resources

import yaml

from veza_nb.catalog import Hint
from veza_nb.evidence import Finding
from veza_nb.typed import convert

_CURES = {
    "yes": "Going back to a revision that ran usually cures it.",
    "no": "Going back does not cure it.",
    "maybe": "",
    "": "",
}


@cache
def built_in() -> Mapping[str, Hint]:
    """Reason to hint, as it ships."""
    text = resources.files("veza_nb").joinpath("data/hints.yaml").read_text("utf-8")
    return convert(yaml.safe_load(text), dict[str, Hint])


def with_hints(findings: Sequence[Finding], own: Mapping[str, Hint]) -> tuple[Finding, ...]:
    """The same findings, each with what it means where anybody wrote that down.

    Args:
        findings: as found.
        own: of the catalogue; they win.
    """
    known = {**built_in(), **own}
    return tuple(
        replace(one, hint=_sentence(known[one.reason])) if one.reason in known else one
        for one in findings
    )


def _sentence(hint: Hint) -> str:
    said = [f"It means: {hint.means}.", _CURES[hint.cure]]
    if hint.look:
        said.append(f"{hint.look[0].upper()}{hint.look[1:]}.")
    return " ".join(part for part in said if part)
