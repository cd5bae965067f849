"""Specs of Pods that were read before: thousands of Pods are made from one template.

Reading is a matter of the bytes alone, so that the same bytes need to be read only once. The Pods
then share those parts that are the same in all of them, which keeps thousands of them small.
"""

from __future__ import annotations

from typing import Any

import msgspec

from veza_nb.sandbox.apimachinery.decoding import Report, decode
from veza_nb.sandbox.apimachinery.schema import struct
from veza_nb.sandbox.apiserver import defaults
from veza_nb.sandbox.apiserver.fieldsets import Recent

Json = dict[str, Any]
_specs = Recent(64)


def read_pod(body: Json, report: Report) -> Json:
    """Return a Pod as a canonical object with its defaults.

    Args:
        body: As the client sent it.
        report: Collects unknown fields.

    Raises:
        DecodeError: A value has the wrong type.
    """
    shape, spec = struct("core.v1.Pod"), body.get("spec")
    key = _key(spec)
    known: Json | None = _specs.get(key) if key else None
    if known is not None:
        document = decode(
            shape, {name: each for name, each in body.items() if name != "spec"}, report
        )
        document["spec"] = _copy(known)
        return document
    document = decode(shape, body, report)
    defaults.apply("Pod", document)
    if key and not report.unknown:
        canonical = decode(struct("core.v1.PodSpec"), document["spec"])
        _specs.put(key, canonical)
        document["spec"] = _copy(canonical)
    return document


def _key(spec: object) -> bytes:
    """Return the bytes of a spec; none where it is no JSON."""
    try:
        return msgspec.json.encode(spec) if isinstance(spec, dict) else b""
    except (TypeError, ValueError, OverflowError, RecursionError):
        return b""


def _copy(spec: Json) -> Json:
    """Return a spec that may be changed on the levels where admission adds something."""
    copy = dict(spec)
    for part in ("initContainers", "containers"):
        if copy.get(part):
            copy[part] = [dict(each) for each in copy[part]]
    return copy
