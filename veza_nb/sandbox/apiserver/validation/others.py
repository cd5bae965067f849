"""Services, leases, events and bindings."""

from __future__ import annotations

from collections.abc import Iterator
from typing import Any

from veza_nb.sandbox.apimachinery.status import Cause
from veza_nb.sandbox.apiserver.validation.causes import bad, required, unsupported

Json = dict[str, Any]


def service(document: Json) -> Iterator[Cause]:
    """Yield what is wrong with a Service."""
    spec = document["spec"]
    headless = spec.get("clusterIP") == "None"
    if not spec.get("ports") and not headless and spec.get("type") != "ExternalName":
        yield required("spec.ports")
    ports = spec.get("ports") or []
    for number, port in enumerate(ports):
        where = f"spec.ports[{number}]"
        if len(ports) > 1 and not port.get("name"):
            yield required(f"{where}.name")
        if not 0 < port.get("port", 0) < 65536:
            yield bad(
                f"{where}.port", port.get("port", 0), "must be between 1 and 65535, inclusive"
            )
    offered = ("ClusterIP", "ExternalName", "LoadBalancer", "NodePort")
    if spec.get("type") not in offered:
        yield unsupported("spec.type", spec.get("type"), offered)


def lease(document: Json) -> Iterator[Cause]:
    """Yield what is wrong with a Lease."""
    seconds = document["spec"].get("leaseDurationSeconds")
    if seconds is not None and seconds <= 0:
        yield bad("spec.leaseDurationSeconds", seconds, "must be greater than 0")


def event(document: Json) -> Iterator[Cause]:
    """Yield what is wrong with a Event."""
    about = document.get("involvedObject") or document.get("regarding") or {}
    namespace = document["metadata"].get("namespace", "")
    if about.get("namespace", "") != namespace and not (
        namespace == "default" and not about.get("namespace")
    ):
        yield bad(
            "involvedObject.namespace", about.get("namespace", ""), "does not match event.namespace"
        )


def role_binding(document: Json) -> Iterator[Cause]:
    """Yield what is wrong with a RoleBinding or a ClusterRoleBinding."""
    reference = document["roleRef"]
    offered = ("Role", "ClusterRole") if document["kind"] == "RoleBinding" else ("ClusterRole",)
    if reference.get("kind") not in offered:
        yield unsupported("roleRef.kind", reference.get("kind", ""), offered)
    if not reference.get("name"):
        yield required("roleRef.name")
    for number, subject in enumerate(document.get("subjects") or ()):
        if not subject.get("name"):
            yield required(f"subjects[{number}].name")


def controller_revision(document: Json) -> Iterator[Cause]:
    """Yield what is wrong with a ControllerRevision."""
    if document.get("data") is None:
        yield required("data", "data is mandatory")
    number = document.get("revision", 0)
    if number < 0:
        yield bad("revision", number, "must be greater than or equal to 0")
