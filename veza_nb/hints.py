"""What a finding means for somebody who sees it for the first time: one table, open to anybody."""

from collections.abc import Mapping, Sequence
from dataclasses import replace
from functools import cache
from importlib import resources

import yaml

from veza_nb.catalog import Hint
from veza_nb.errors import UsageError
from veza_nb.evidence import Finding
from veza_nb.notebooks import notebook_path
from veza_nb.troubles import INIT
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


def hint_for(reason: str, known: Mapping[str, Hint]) -> Hint | None:
    """The hint for a reason; what an init container suffers has its container's hint."""
    return known.get(reason) or known.get(reason.removeprefix(INIT))


def with_hints(findings: Sequence[Finding], own: Mapping[str, Hint]) -> tuple[Finding, ...]:
    """The same findings, each with what it means where anybody wrote that down.

    Args:
        findings: as found.
        own: of the catalogue; they win.
    """
    known = {**built_in(), **own}
    hints = [(one, hint_for(one.reason, known)) for one in findings]
    return tuple(replace(one, hint=_sentence(hint)) if hint else one for one, hint in hints)


def _sentence(hint: Hint) -> str:
    said = [f"It means: {hint.means}.", _CURES[hint.cure]]
    if hint.look:
        said.append(f"{hint.look[0].upper()}{hint.look[1:]}.")
    if hint.see and _ships(hint.see.partition(",")[0]):
        said.append(f"See {hint.see}.")
    return " ".join(part for part in said if part)


@cache
def _ships(notebook: str) -> bool:
    """Whether there is such a notebook: nobody is to look for one at 3 a.m. that is not there."""
    try:
        notebook_path(notebook)
    except UsageError:
        return False
    return True
