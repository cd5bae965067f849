"""Kinds that are served in two forms: which one the store keeps, and how the other is made.

Events have two faces, core/v1 and events.k8s.io/v1, of which the store keeps the first.
HorizontalPodAutoscalers have two versions, of which it keeps the newer.
"""

from __future__ import annotations

from typing import Any

from veza_nb.sandbox.apimachinery import autoscalers
from veza_nb.sandbox.apimachinery.kinds import Resource

Json = dict[str, Any]

# Name in events.k8s.io/v1, and in core/v1, in the first one's wire order.
_EVENT_FIELDS = (
    ("metadata", "metadata"),
    ("eventTime", "eventTime"),
    ("series", "series"),
    ("reportingController", "reportingComponent"),
    ("reportingInstance", "reportingInstance"),
    ("action", "action"),
    ("reason", "reason"),
    ("regarding", "involvedObject"),
    ("related", "related"),
    ("note", "message"),
    ("type", "type"),
    ("deprecatedSource", "source"),
    ("deprecatedFirstTimestamp", "firstTimestamp"),
    ("deprecatedLastTimestamp", "lastTimestamp"),
    ("deprecatedCount", "count"),
)
_CORE_ORDER = [
    "metadata",
    "involvedObject",
    "reason",
    "message",
    "source",
    "firstTimestamp",
    "lastTimestamp",
    "count",
    "type",
    "eventTime",
    "series",
    "action",
    "related",
    "reportingComponent",
    "reportingInstance",
]


def converts(resource: Resource) -> bool:
    """Return whether a resource is stored under another version than it is served in."""
    return resource.group == "events.k8s.io"


def from_storage(resource: Resource, document: Json) -> Json:
    """Return a stored object as a resource serves it."""
    if resource.api_version == "autoscaling/v1":
        return autoscalers.to_v1(document)
    if not converts(resource):
        return document
    head = {"kind": "Event", "apiVersion": resource.api_version}
    # Only core/v1 tells of an empty reporter.
    return head | {new: document[old] for new, old in _EVENT_FIELDS if document.get(old, "") != ""}


def to_storage(resource: Resource, document: Json) -> Json:
    """Return an object of a resource as it is stored."""
    if resource.api_version == "autoscaling/v1":
        return autoscalers.to_v2(document)
    if not converts(resource):
        return document
    core = {old: document[new] for new, old in _EVENT_FIELDS if new in document}
    core.setdefault("reportingComponent", "")
    core.setdefault("reportingInstance", "")
    head = {"kind": "Event", "apiVersion": "v1"}
    return head | {name: core[name] for name in _CORE_ORDER if name in core}
