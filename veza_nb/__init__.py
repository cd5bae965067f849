"""veza-nb: the rollback runbook for Kubernetes.

A notebook needs two names, `Incident` and `overview`. They are loaded on first use, so that
importing this package costs nothing.
"""

from importlib import import_module
from typing import TYPE_CHECKING, Any

if TYPE_CHECKING:
    from veza_nb.glances import overview
    from veza_nb.incident import Incident

__version__ = "0.1.0"
__all__ = ["Incident", "__version__", "overview"]

_HOMES = {"Incident": "veza_nb.incident", "overview": "veza_nb.glances"}


def __getattr__(name: str) -> Any:
    if name not in _HOMES:
        raise AttributeError(f"module {__name__!r} has no attribute {name!r}")
    return getattr(import_module(_HOMES[name]), name)
