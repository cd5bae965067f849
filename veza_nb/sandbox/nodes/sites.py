"""The pages of Veza's services: what a pod answers by path, as long as it answers well.

An image that no site is known for is an application of unknown shape: every path has a page.
"""

from __future__ import annotations

import json
from collections.abc import Callable, Mapping

HEALTH = "/health"
LIVENESS_PATHS = frozenset({"/livez", "/live", "/alive", "/healthz/live", "/health/live"})
"""Where a release says whether it must be restarted."""
READINESS_PATHS = frozenset(
    {HEALTH, "/healthz", "/readyz", "/ready", "/health/ready", "/healthz/ready", "/status"}
)
"""Where a release says whether it can serve."""
JSON, HTML = "application/json", "text/html"

Page = Callable[[str], tuple[str, str]]
"""A version in, content type and body out."""


def _json_page(**content: object) -> Page:
    return lambda version: (JSON, json.dumps({**content, "version": version}))


def _html_page(version: str) -> tuple[str, str]:
    return HTML, (
        "<!doctype html>\n"
        '<html lang="en"><head><meta charset="utf-8"><title>Veza</title>'
        f'<meta name="version" content="{version}"></head>'
        '<body><main id="app"><h1>Veza</h1><p>Music for everyone.</p></main></body></html>\n'
    )


_TRACKS = [
    {"id": 1, "title": "Harbour Lights", "artist": "Nadia Orel", "seconds": 214},
    {"id": 2, "title": "Slow Tide", "artist": "The Quay", "seconds": 187},
    {"id": 3, "title": "Night Ferry", "artist": "Nadia Orel", "seconds": 241},
]

SITES: Mapping[str, Mapping[str, Page]] = {
    "veza-backend-api": {
        HEALTH: _json_page(status="ok", service="veza-backend-api"),
        "/api/v1/tracks": _json_page(tracks=_TRACKS),
        "/api/v1/status": _json_page(status="ok", database="ok"),
    },
    "veza-frontend": {
        HEALTH: _json_page(status="ok", service="veza-frontend"),
        "/": _html_page,
    },
    "veza-stream-server": {
        HEALTH: _json_page(status="ok", service="veza-stream-server"),
        "/stream/ping": _json_page(pong=True, streams=12),
    },
}
"""The pages of each service, by path; a service is named as the last part of its image."""

_ANY = _json_page(status="ok")


def page_of(service: str, path: str) -> Page | None:
    """The page that a service has at a path; None where it has none."""
    site = SITES.get(service)
    if site is None or path in LIVENESS_PATHS:
        return _ANY
    return site.get(path) or (site[HEALTH] if path in READINESS_PATHS else None)
