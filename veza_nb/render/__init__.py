"""Results as people see them: text for a terminal, HTML for a notebook; pure functions.

The verdict comes first, in words; then what matters; the rest is folded away.
"""

from veza_nb.render.charts import described, document
from veza_nb.render.course import course
from veza_nb.render.diagnosing import diagnosis
from veza_nb.render.diffs import template_difference, yaml_difference
from veza_nb.render.framing import closing, message, opening, overview
from veza_nb.render.migrating import draining, job
from veza_nb.render.page import Rendered
from veza_nb.render.planning import plan, refusal, whole_difference
from veza_nb.render.revisions import history
from veza_nb.render.together import together
from veza_nb.render.verifying import verification
from veza_nb.render.watching import progress, soak

__all__ = [
    "Rendered",
    "closing",
    "course",
    "described",
    "diagnosis",
    "document",
    "draining",
    "history",
    "job",
    "message",
    "opening",
    "overview",
    "plan",
    "progress",
    "refusal",
    "soak",
    "template_difference",
    "together",
    "verification",
    "whole_difference",
    "yaml_difference",
]
