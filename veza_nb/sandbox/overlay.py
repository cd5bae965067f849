"""The overlay of the kit's catalogue: where this cluster's services and monitoring answer."""

from __future__ import annotations

from collections.abc import Mapping
from types import MappingProxyType
from typing import Any

import yaml

Json = dict[str, Any]

_WINDOW = "10s"
"""Real services look back over minutes; an exercise cannot wait for that."""


def catalog(
    endpoints: Mapping[str, str],
    prometheus: str = "",
    alertmanager: str = "",
    more: Mapping[str, Any] = MappingProxyType({}),
) -> str:
    """The overlay, as YAML.

    Args:
        endpoints: Service to its HTTP address.
        prometheus: its URL, "" where none runs.
        alertmanager: its URL, "" where none runs.
        more: what else the catalogue is to say; laid over the rest, mapping by mapping.
    """
    watched = bool(prometheus)
    overlay: Json = {
        "extends": "veza",
        "services": {
            name: {"url": address, **(_watched(name) if watched else {})}
            for name, address in endpoints.items()
        },
        "verify": {"soak_seconds": 2, "interval_seconds": 0.25},
    }
    if watched:
        overlay["monitoring"] = {"prometheus": prometheus, "alertmanager": alertmanager}
    return yaml.safe_dump(_merged(overlay, more), sort_keys=False, width=1000)


def _merged(base: Json, over: Mapping[str, Any]) -> Json:
    """`over` laid on `base`; lists and single values replace."""
    merged = dict(base)
    for key, value in over.items():
        below = merged.get(key)
        if isinstance(below, dict) and isinstance(value, Mapping):
            merged[key] = _merged(below, value)
        else:
            merged[key] = value
    return merged


def _watched(service: str) -> Json:
    """The numbers and alerts of a service."""
    requests = f'http_requests_total{{service="{service}"}}'
    errors = f'http_requests_total{{service="{service}",code=~"5.."}}'
    times = f'http_request_duration_seconds_bucket{{service="{service}"}}'
    return {
        "metrics": {
            "error rate": {
                "query": f"(sum(rate({errors}[{_WINDOW}])) or vector(0))"
                f" / sum(rate({requests}[{_WINDOW}]))",
                "max": 0.02,
            },
            "latency p95": {
                "query": f"histogram_quantile(0.95, sum by (le) (rate({times}[{_WINDOW}])))",
                "max": 0.5,
            },
        },
        "alerts": {"service": service},
    }
