"""Who wrote a workload's pod template last, as field management tells it."""

from datetime import datetime

from veza_nb.objects import OwnedField, WorkloadMeta
from veza_nb.vocabulary import Annotation
from veza_nb.words import utc

KIT = "veza-nb"
"""The field manager under which this kit writes."""


def template_writer(metadata: WorkloadMeta) -> OwnedField | None:
    """The newest entry that owns a part of the template; None where nobody tells.

    An entry's time is that of its manager's last change; one that changed something else later
    counts as later than it was.
    """
    timed = template_writers(metadata)
    return max(timed, key=lambda pair: pair[0])[1] if timed else None


def template_writers(metadata: WorkloadMeta) -> list[tuple[datetime, OwnedField]]:
    """Every entry that owns a part of the template with its time, oldest first."""
    timed = [
        (utc(one.time), one)
        for one in metadata.managed_fields
        if one.time is not None and not one.subresource and _owns_template(one)
    ]
    return sorted(timed, key=lambda pair: pair[0])


def written_by_incident(metadata: WorkloadMeta, incident: str) -> bool:
    """Whether the template is what this incident sent: nobody wrote one after it."""
    writer = template_writer(metadata)
    cause = metadata.annotations.get(Annotation.CHANGE_CAUSE, "")
    return writer is not None and writer.manager == KIT and f"(incident {incident})" in cause


def _owns_template(entry: OwnedField) -> bool:
    spec = entry.fields_v1.get("f:spec")
    return isinstance(spec, dict) and "f:template" in spec
