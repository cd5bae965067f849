"""veza-nb: the rollback runbook for Kubernetes.

A notebook needs one of `Incident`, `GroupIncident`, `DatabaseIncident` and `overview`. They are
loaded on first use, so that importing this package costs nothing.
"""

from importlib import import_module
from typing import TYPE_CHECKING, Any

if TYPE_CHECKING:
    from veza_nb.database import DatabaseIncident
    from veza_nb.glances import overview
    from veza_nb.group import GroupIncident
    from veza_nb.incident import Incident

__version__ = "0.1.0"
__all__ = ["DatabaseIncident", "GroupIncident", "Incident", "__version__", "overview"]

_HOMES = {
    "DatabaseIncident": "veza_nb.database",
    "GroupIncident": "veza_nb.group",
    "Incident": "veza_nb.incident",
    "overview": "veza_nb.glances",
}


def __getattr__(name: str) -> Any:
    if name not in _HOMES:
        raise AttributeError(f"module {__name__!r} has no attribute {name!r}")
    return getattr(import_module(_HOMES[name]), name)
