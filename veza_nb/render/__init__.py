"""Results as people see them: text for a terminal, HTML for a notebook; pure functions.

The verdict comes first, in words; then what matters; the rest is folded away.
"""

from veza_nb.render.diagnosing import diagnosis, history
from veza_nb.render.framing import closing, message, opening, overview
from veza_nb.render.page import Rendered
from veza_nb.render.planning import plan, refusal
from veza_nb.render.verifying import verification
from veza_nb.render.watching import progress, soak

__all__ = [
    "Rendered",
    "closing",
    "diagnosis",
    "history",
    "message",
    "opening",
    "overview",
    "plan",
    "progress",
    "refusal",
    "soak",
    "verification",
]
