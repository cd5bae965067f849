"""One symbol, one word and one colour for every state the kit knows."""

from dataclasses import dataclass
from enum import StrEnum

from veza_nb.revisions import Standing
from veza_nb.vocabulary import Decision, Level, Outcome, RolloutPhase, Severity, Verdict


@dataclass(frozen=True, slots=True)
class Mark:
    """How a state looks.

    Attributes:
        symbol: one character wide on a terminal.
        word: what it is called where it stands alone.
        tone: "good", "bad", "warn", "info" or "calm": names its colour in the style sheet.
    """

    symbol: str
    word: str
    tone: str


NONE = "\N{EN DASH}"
"""Stands where there is nothing to say."""
_MARKS: tuple[tuple[StrEnum, Mark], ...] = (
    (Decision.ROLL_BACK, Mark("↩", "Roll back", "bad")),
    (Decision.DO_NOT, Mark("■", "Do not roll back", "info")),
    (Decision.UNCLEAR, Mark("?", "Unclear", "warn")),
    (Verdict.PASS, Mark("✔", "pass", "good")),
    (Verdict.FAIL, Mark("✖", "fail", "bad")),
    (Verdict.INCONCLUSIVE, Mark("?", "inconclusive", "warn")),
    (Severity.CRITICAL, Mark("✖", "critical", "bad")),
    (Severity.WARNING, Mark("!", "warning", "warn")),
    (Severity.INFO, Mark("i", "info", "info")),
    (Level.BLOCK, Mark("✖", "blocks", "bad")),
    (Level.WARN, Mark("!", "warning", "warn")),
    (Level.INFO, Mark("i", "note", "info")),
    (Standing.CURRENT, Mark("●", "live", "info")),
    (Standing.GOOD, Mark("✔", "good", "good")),
    (Standing.UNKNOWN, Mark("?", "unknown", "calm")),
    (Standing.BAD, Mark("✖", "bad", "bad")),
    (RolloutPhase.COMPLETE, Mark("✔", "complete", "good")),
    (RolloutPhase.PROGRESSING, Mark("▶", "progressing", "info")),
    (RolloutPhase.STUCK, Mark("✖", "stuck", "bad")),
    (RolloutPhase.PAUSED, Mark("‖", "paused", "warn")),
    (Outcome.RECOVERED, Mark("✔", "Recovered", "good")),
    (Outcome.ERROR, Mark("✖", "Ended in an error", "bad")),
    (Outcome.USAGE, Mark("✖", "Wrong usage or configuration", "bad")),
    (Outcome.REFUSED, Mark("■", "Refused, nothing changed", "info")),
    (Outcome.NOT_RECOVERED, Mark("✖", "Acted, not recovered", "bad")),
    (Outcome.INCONCLUSIVE, Mark("?", "Acted, inconclusive", "warn")),
    (Outcome.PARTIAL, Mark("!", "Partly done", "warn")),
    (Outcome.INTERRUPTED, Mark("!", "Interrupted", "warn")),
    (Outcome.OPEN, Mark("▶", "Still open", "info")),
)
# States of two kinds may be the same string: an inconclusive check, an inconclusive run.
_BY_KIND = {(type(state), state.value): mark for state, mark in _MARKS}


def mark_of(state: StrEnum) -> Mark:
    """The mark of a state."""
    return _BY_KIND[type(state), state.value]
