"""Objects of Argo CD and Flux that bring a workload back to what Git says, and how to pause them.

A paused one is as it was but for one field. What was there is kept in the plan, in the journal
and on the object itself, so that it can be put back exactly, also by somebody who has only the
cluster. Nothing here resumes by itself: as long as Git holds the bad release, that would bring it
back.
"""

import json
import re
from collections.abc import Mapping
from dataclasses import dataclass
from typing import Any

from veza_nb.evidence import kubectl
from veza_nb.managers import ARGO_CD, Handle
from veza_nb.vocabulary import Annotation

SELF_HEAL_SECONDS = 10.0
"""Argo CD corrects within 5 s unless told otherwise; twice that is surely over."""
_ARGO = "Application"
_LENGTH = re.compile(r"(\d+(?:\.\d+)?)(h|ms|m|s)")
_UNITS = {"h": 3600.0, "m": 60.0, "s": 1.0, "ms": 0.001}

Operation = Mapping[str, object]
"""One operation of a JSON patch."""


@dataclass(frozen=True, slots=True)
class Reconciler:
    """One such object, as it was seen.

    Attributes:
        tool: "Argo CD" or "Flux".
        handle: where it is.
        exists: False where the workload names it and it is not there.
        unseen: why it could not be read; "" where it could.
        heals: takes back by itself what differs from Git, as it is set now.
        paused: does nothing by itself, as it is set now.
        interval: seconds after which it has surely come by; None where that is not known.
        paused_by: the incident that paused it; "" where none did.
        before: what stands in the field that a pause changes.
        uid: of the object.
        generation: of the object.
        annotated: whether it has annotations at all.
        parent: what manages this object in turn; "" where nothing does.
        in_step: whether it says that Git has what runs; None where it does not say.
        may_pause: whether this kit may pause it; None where the catalogue does not allow it.
    """

    tool: str
    handle: Handle
    exists: bool = True
    unseen: str = ""
    heals: bool = False
    paused: bool = False
    interval: float | None = None
    paused_by: str = ""
    before: object = None
    uid: str = ""
    generation: int = 0
    annotated: bool = False
    parent: str = ""
    in_step: bool | None = None
    may_pause: bool | None = None

    @property
    def will_pause(self) -> bool:
        """Whether an undo pauses it first."""
        return self.heals and not self.paused and self.may_pause is True


@dataclass(frozen=True, slots=True)
class Pause:
    """A pause to be made, or made.

    Attributes:
        tool: "Argo CD" or "Flux".
        handle: of what.
        before: what stands in the field that is changed, to be put back.
        patch: the JSON patch with its preconditions.
        command: kubectl command that does the same by hand.
        resume: the command that ends it.
        by_hand: kubectl command that ends it without this kit.
    """

    tool: str
    handle: Handle
    before: object
    patch: tuple[Operation, ...]
    command: str
    resume: str
    by_hand: str


def read_reconciler(
    tool: str, handle: Handle, found: Mapping[str, Any], *, about: tuple[str, str]
) -> Reconciler:
    """Read the raw object; what is not as expected counts as not there.

    Args:
        tool: whose it is.
        handle: where it is.
        found: the object.
        about: namespace and name of the workload that it is asked about.
    """
    metadata, spec = _mapping(found.get("metadata")), _mapping(found.get("spec"))
    generation = metadata.get("generation")
    facts = _argo(spec) if handle.kind == _ARGO else _flux(spec, handle.kind)
    return Reconciler(
        tool=tool,
        handle=handle,
        uid=str(metadata.get("uid", "")),
        generation=generation if isinstance(generation, int) else 0,
        annotated=bool(_mapping(metadata.get("annotations"))),
        paused_by=str(_mark(metadata).get("incident", "")),
        parent=_parent(metadata) if handle.kind == _ARGO else "",
        in_step=_in_step(_mapping(found.get("status")), about),
        **facts,
    )


def pause_of(reconciler: Reconciler, *, incident: str, operator: str) -> Pause:
    """How to pause it.

    Args:
        reconciler: as it was seen; the patch fails where it is another by then.
        incident: id, kept on the object.
        operator: kept on the object.
    """
    handle, before = reconciler.handle, reconciler.before
    mark = {"incident": incident, "operator": operator, "before": before}
    return Pause(
        tool=reconciler.tool,
        handle=handle,
        before=before,
        patch=(
            {"op": "test", "path": "/metadata/uid", "value": reconciler.uid},
            *_field_patch(reconciler),
            _annotated(json.dumps(mark, sort_keys=True), there=reconciler.annotated),
        ),
        command=_merge(handle, _value(handle, None if handle.kind == _ARGO else True)),
        resume=resume_command(incident),
        by_hand=_merge(handle, _value(handle, before)),
    )


def resume_command(incident: str) -> str:
    """The command that ends what an incident paused; a plan without one has no id yet."""
    return f"veza-nb gitops resume {incident if ' ' not in incident else 'INCIDENT'}"


def is_paused_by(found: Mapping[str, Any], incident: str) -> bool:
    """Whether the raw object carries the mark of that incident."""
    return bool(_mark(_mapping(found.get("metadata"))).get("incident") == incident)


def resume_patch(found: Mapping[str, Any], handle: Handle, before: object) -> tuple[Operation, ...]:
    """The JSON patch that puts back what was there, and takes the mark away.

    Args:
        found: the raw object as it is now: the patch fails where it is another by then.
        handle: of it.
        before: what is to stand there again; None takes the field away.
    """
    metadata, spec = _mapping(found.get("metadata")), _mapping(found.get("spec"))
    marked = f"/metadata/annotations/{_pointer(Annotation.PAUSED)}"
    notes = _mapping(metadata.get("annotations"))
    head: list[Operation] = [
        {"op": "test", "path": "/metadata/uid", "value": metadata.get("uid")},
        {"op": "test", "path": marked, "value": notes.get(Annotation.PAUSED)},
    ]
    tail: Operation = {"op": "remove", "path": marked}
    if handle.kind != _ARGO:
        path = "/spec/suspend"
        back: Operation = {"op": "replace", "path": path, "value": before}
        gone: Operation = {"op": "remove", "path": path}
        test: Operation = {"op": "test", "path": path, "value": True}
        return (*head, test, gone if before is None else back, tail)
    if "syncPolicy" not in spec:
        head.append({"op": "add", "path": "/spec/syncPolicy", "value": {}})
    return (*head, {"op": "add", "path": "/spec/syncPolicy/automated", "value": before}, tail)


def seconds_of(text: object) -> float | None:
    """The length of Go's "1h30m" or "10m0s"; None where it is none."""
    spelled = str(text)
    parts = _LENGTH.findall(spelled)
    if not parts or "".join(number + unit for number, unit in parts) != spelled:
        return None
    return sum(float(number) * _UNITS[unit] for number, unit in parts)


def _argo(spec: Mapping[str, Any]) -> dict[str, Any]:
    automated = _mapping(spec.get("syncPolicy")).get("automated")
    given = _mapping(automated)
    on = isinstance(automated, dict) and given.get("enabled") is not False
    return {
        "heals": on and given.get("selfHeal") is True,
        "paused": not on,
        "interval": SELF_HEAL_SECONDS,
        "before": automated,
    }


def _flux(spec: Mapping[str, Any], kind: str) -> dict[str, Any]:
    # Helm's releases are upgraded when something is new; correcting is switched on apart.
    corrects = _mapping(spec.get("driftDetection")).get("mode") == "enabled"
    return {
        "heals": kind == "Kustomization" or corrects,
        "paused": spec.get("suspend") is True,
        "interval": seconds_of(spec.get("interval", "")),
        "before": spec.get("suspend"),
    }


def _field_patch(seen: Reconciler) -> tuple[Operation, ...]:
    if seen.handle.kind == _ARGO:
        path = "/spec/syncPolicy/automated"
        return (
            {"op": "test", "path": path, "value": seen.before},
            {"op": "remove", "path": path},
        )
    # No test can say that a field is not there; the generation counts changes of the spec.
    return (
        {"op": "test", "path": "/metadata/generation", "value": seen.generation},
        {"op": "add", "path": "/spec/suspend", "value": True},
    )


def _annotated(value: str, *, there: bool) -> Operation:
    if there:
        path = f"/metadata/annotations/{_pointer(Annotation.PAUSED)}"
        return {"op": "add", "path": path, "value": value}
    return {"op": "add", "path": "/metadata/annotations", "value": {str(Annotation.PAUSED): value}}


def _value(handle: Handle, value: object) -> dict[str, object]:
    if handle.kind == _ARGO:
        return {"spec": {"syncPolicy": {"automated": value}}}
    return {"spec": {"suspend": value}}


def _merge(handle: Handle, body: object) -> str:
    text = json.dumps(body, separators=(",", ":"))
    return kubectl(handle.namespace, "patch", handle.kubectl_name, "--type=merge", "-p", text)


def _mark(metadata: Mapping[str, Any]) -> Mapping[str, Any]:
    text = _mapping(metadata.get("annotations")).get(Annotation.PAUSED, "")
    try:
        return _mapping(json.loads(text))
    except (TypeError, ValueError, RecursionError):
        return {}


def _parent(metadata: Mapping[str, Any]) -> str:
    """An Application of Applications, or an ApplicationSet, that sets this one again."""
    owners = metadata.get("ownerReferences")
    for owner in owners if isinstance(owners, list) else []:
        if _mapping(owner).get("kind") == "ApplicationSet":
            return f"the ApplicationSet {_mapping(owner).get('name', '')}"
    notes, labels = _mapping(metadata.get("annotations")), _mapping(metadata.get("labels"))
    tracked = str(notes.get("argocd.argoproj.io/tracking-id", "")).partition(":")[0]
    name = tracked or labels.get("argocd.argoproj.io/instance", "")
    return f"the Application {name}" if name and name != metadata.get("name") else ""


def _in_step(status: Mapping[str, Any], about: tuple[str, str]) -> bool | None:
    """What Argo CD says of the very workload; of all it deploys only where that is well."""
    resources = status.get("resources")
    for one in resources if isinstance(resources, list) else []:
        known = _mapping(one)
        if (known.get("namespace"), known.get("name")) == about and known.get("group") == "apps":
            return bool(known.get("status") == "Synced") if "status" in known else None
    return True if _mapping(status.get("sync")).get("status") == "Synced" else None


def _pointer(key: str) -> str:
    """A key as one part of a JSON pointer (RFC 6901)."""
    return key.replace("~", "~0").replace("/", "~1")


def _mapping(value: object) -> Mapping[str, Any]:
    return value if isinstance(value, dict) else {}


__all__ = [
    "ARGO_CD",
    "Pause",
    "Reconciler",
    "is_paused_by",
    "pause_of",
    "read_reconciler",
    "resume_command",
    "resume_patch",
    "seconds_of",
]
