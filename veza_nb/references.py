"""What a pod template points at: objects with content of their own, which an undo leaves alone."""

from collections.abc import Iterator, Mapping
from dataclasses import dataclass
from typing import Any

from veza_nb.objects import PodTemplate


@dataclass(frozen=True, slots=True, order=True)
class Reference:
    """One object that a pod of this template needs.

    Attributes:
        kind: as kubectl spells it: "configmap", "secret", "serviceaccount", …
        name: of the object.
        optional: the pod starts without it too.
    """

    kind: str
    name: str
    optional: bool = False

    def __str__(self) -> str:
        return f"{self.kind}/{self.name}"


def references(template: PodTemplate) -> tuple[Reference, ...]:
    """Everything the template points at, each object once: needed if any place needs it."""
    found: dict[tuple[str, str], bool] = {}
    spec = template.get("spec")
    for one in (*_named(_mapping(spec)), *_walk(spec)):
        key = (one.kind, one.name)
        found[key] = one.optional and found.get(key, True)
    return tuple(sorted(Reference(*key, optional) for key, optional in found.items()))


def named_sources(template: PodTemplate) -> tuple[str, ...]:
    """ConfigMaps, Secrets and volume claims that hold content, as `configmap/name`."""
    return tuple(sorted({str(one) for one in _walk(template.get("spec"))}))


def pull_secrets(template: PodTemplate) -> frozenset[Reference]:
    """Secrets with which its images are pulled."""
    return frozenset(_pull_secrets(_mapping(template.get("spec"))))


def _named(spec: Mapping[str, Any]) -> Iterator[Reference]:
    """What the spec itself names."""
    for key, kind in (
        ("serviceAccountName", "serviceaccount"),
        ("priorityClassName", "priorityclass"),
    ):
        name = spec.get(key)
        if isinstance(name, str) and name:
            yield Reference(kind, name)
    yield from _pull_secrets(spec)


def _pull_secrets(spec: Mapping[str, Any]) -> Iterator[Reference]:
    """Secrets for the registry. The kubelet goes on without them: a public image needs none."""
    entries = spec.get("imagePullSecrets")
    for entry in entries if isinstance(entries, list) else []:
        name = _mapping(entry).get("name")
        if isinstance(name, str) and name:
            yield Reference("secret", name, optional=True)


def _walk(value: object) -> Iterator[Reference]:
    """Every reference below this value, wherever it stands."""
    if isinstance(value, list):
        for entry in value:
            yield from _walk(entry)
    if not isinstance(value, dict):
        return
    for key, kind, field in _FIELDS:
        source = _mapping(value.get(key))
        name = source.get(field)
        if isinstance(name, str) and name:
            yield Reference(kind, name, optional=source.get("optional") is True)
    for inner in value.values():
        yield from _walk(inner)


_FIELDS = (
    ("configMapKeyRef", "configmap", "name"),
    ("configMapRef", "configmap", "name"),
    ("configMap", "configmap", "name"),
    ("secretKeyRef", "secret", "name"),
    ("secretRef", "secret", "name"),
    ("secret", "secret", "secretName"),
    ("secret", "secret", "name"),
    ("persistentVolumeClaim", "persistentvolumeclaim", "claimName"),
)


def _mapping(value: object) -> Mapping[str, Any]:
    return value if isinstance(value, dict) else {}
