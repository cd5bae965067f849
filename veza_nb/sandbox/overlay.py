"""The overlay of the kit's catalogue: where this cluster's services and monitoring answer."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

import yaml

Json = dict[str, Any]

_WINDOW = "10s"
"""Real services look back over minutes; an exercise cannot wait for that."""


def catalog(endpoints: Mapping[str, str], prometheus: str = "", alertmanager: str = "") -> str:
    """The overlay, as YAML.

    Args:
        endpoints: Service to its HTTP address.
        prometheus: its URL, "" where none runs.
        alertmanager: its URL, "" where none runs.
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
    return yaml.safe_dump(overlay, sort_keys=False, width=1000)


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
