"""The configuration with which a Prometheus reads a training cluster."""

from __future__ import annotations

import json
from typing import Any

SCRAPE_SECONDS = 1
"""Between two scrapes: short, because an exercise is."""


def configuration(
    address: str, *, rules: str | None = None, alertmanager: str | None = None
) -> str:
    """A configuration file.

    Args:
        address: host and port of the cluster's metrics.
        rules: path of a file with alert rules.
        alertmanager: host and port where alerts go.

    Returns:
        JSON, which is YAML that needs no other library to be right.
    """
    interval = f"{SCRAPE_SECONDS}s"
    discovery = {"url": f"http://{address}/targets", "refresh_interval": interval}
    document: dict[str, Any] = {
        "global": {
            "scrape_interval": interval,
            "scrape_timeout": interval,
            "evaluation_interval": interval,
            "external_labels": {"cluster": "veza-training"},
        },
        "scrape_configs": [
            {"job_name": "pods", "http_sd_configs": [discovery]},
            _whole_cluster("kube-state", address),
            _whole_cluster("containers", address),
        ],
    }
    if rules is not None:
        document["rule_files"] = [rules]
    if alertmanager is not None:
        receivers = [{"static_configs": [{"targets": [alertmanager]}]}]
        document["alerting"] = {"alertmanagers": receivers}
    return json.dumps(document, indent=2) + "\n"


def _whole_cluster(name: str, address: str) -> dict[str, Any]:
    """A page about everything: that of a large cluster takes its time."""
    interval = f"{2 * SCRAPE_SECONDS}s"
    return {
        "job_name": name,
        "scrape_interval": interval,
        "scrape_timeout": interval,
        "metrics_path": f"/{name}/metrics",
        "honor_labels": True,
        "static_configs": [{"targets": [address]}],
    }
