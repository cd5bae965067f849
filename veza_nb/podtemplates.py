"""Pod templates as raw JSON: equal or not, their digest, their images, and what differs."""

import json
from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass
from hashlib import sha256
from typing import Any

from veza_nb.objects import PodTemplate
from veza_nb.vocabulary import POD_TEMPLATE_HASH, Annotation

_MISSING = object()
_LIMIT = 120
_CONTAINERS = ("containers", "initContainers")
_NAMED = (*_CONTAINERS, "env", "volumes", "ephemeralContainers")
_ORDER = (
    ("image", ("image",)),
    ("env", ("env", "envFrom")),
    ("resources", ("resources",)),
    ("probes", ("livenessProbe", "readinessProbe", "startupProbe")),
    ("volumes", ("volumes", "volumeMounts")),
)

Path = tuple[str, ...]


@dataclass(frozen=True, slots=True)
class Change:
    """One place where two pod templates differ.

    Attributes:
        where: path a person can find, e.g. "containers[backend-api].image".
        before: short text of the live value, "" where there is none.
        after: short text of the target's value, "" where there is none.
    """

    where: str
    before: str
    after: str


def without_hash(template: PodTemplate) -> PodTemplate:
    """A copy of the template without the `pod-template-hash` label; the rest stays as it was."""
    metadata = template.get("metadata")
    labels = metadata.get("labels") if isinstance(metadata, dict) else None
    if not isinstance(metadata, dict) or not isinstance(labels, dict):
        return dict(template)
    kept = {key: value for key, value in labels.items() if key != POD_TEMPLATE_HASH}
    return {**template, "metadata": {**metadata, "labels": kept}}


def same_template(a: PodTemplate, b: PodTemplate) -> bool:
    """True where Kubernetes would take both for one revision: equal but for the hash label."""
    return _canonical(comparable(a)) == _canonical(comparable(b))


def only_restarted(a: PodTemplate, b: PodTemplate) -> bool:
    """True where the templates differ, but only by the mark that `rollout restart` sets."""
    return not same_template(a, b) and same_template(_without_restart(a), _without_restart(b))


def template_digest(template: PodTemplate) -> str:
    """SHA-256 (hex) of the template as canonical JSON, without the hash label."""
    return sha256(_canonical(comparable(template)).encode()).hexdigest()


def images(template: PodTemplate) -> dict[str, str]:
    """Container name to image, init containers last."""
    return {
        str(container.get("name", "")): str(container.get("image", ""))
        for key in _CONTAINERS
        for container in _dicts(_mapping(template.get("spec")).get(key))
    }


def template_changes(live: PodTemplate, target: PodTemplate) -> tuple[Change, ...]:
    """What differs; images first, then env, resources, probes, volumes, and the rest.

    Empty exactly where `same_template` is true.
    """
    found = list(_differences((), comparable(live), comparable(target)))
    found.sort(key=lambda item: _rank(item[0]))
    return tuple(Change(_where(path), *_texts(a, b)) for path, a, b in found)


def comparable(template: PodTemplate) -> PodTemplate:
    """The template without what says nothing: the hash label, a null time, empty metadata."""
    bare = without_hash(template)
    metadata = bare.get("metadata")
    if not isinstance(metadata, dict):
        return bare
    empty_time = metadata.get("creationTimestamp", "") is None
    kept = {
        key: value
        for key, value in metadata.items()
        if not (key == "creationTimestamp" and empty_time)
        and not (key in ("labels", "annotations") and value in ({}, None))
    }
    rest = {key: value for key, value in bare.items() if key != "metadata"}
    return {**rest, "metadata": kept} if kept else rest


def _without_restart(template: PodTemplate) -> PodTemplate:
    metadata = _mapping(template.get("metadata"))
    annotations = _mapping(metadata.get("annotations"))
    kept = {key: value for key, value in annotations.items() if key != Annotation.RESTARTED_AT}
    return {**template, "metadata": {**metadata, "annotations": kept}}


def _canonical(value: object) -> str:
    return json.dumps(value, sort_keys=True, separators=(",", ":"))


def _differences(path: Path, a: Any, b: Any) -> Iterator[tuple[Path, Any, Any]]:
    """Every smallest part that differs, as (path, live, target)."""
    if _MISSING not in (a, b) and _canonical(a) == _canonical(b):
        return
    if isinstance(a, dict) and isinstance(b, dict) and not _is_env_entry(path):
        for key in [*a, *(key for key in b if key not in a)]:
            yield from _differences((*path, key), a.get(key, _MISSING), b.get(key, _MISSING))
    elif isinstance(a, list) and isinstance(b, list) and _by_name(path, a) and _by_name(path, b):
        yield from _named_differences(path, a, b)
    else:
        yield path, a, b


def _named_differences(
    path: Path, a: Sequence[dict[str, Any]], b: Sequence[dict[str, Any]]
) -> Iterator[tuple[Path, Any, Any]]:
    """Differences of lists whose entries are told apart by name, their order included."""
    before, after = ({str(entry["name"]): entry for entry in entries} for entries in (a, b))
    for name in [*before, *(name for name in after if name not in before)]:
        inner = (*path, f"[{name}]")
        yield from _differences(inner, before.get(name, _MISSING), after.get(name, _MISSING))
    common = [name for name in before if name in after]
    if common != [name for name in after if name in before]:
        yield (*path, " (order)"), ", ".join(before), ", ".join(after)


def _by_name(path: Path, entries: Sequence[Any]) -> bool:
    names = [entry.get("name") for entry in _dicts(entries)]
    return (
        path[-1:] != ()
        and path[-1] in _NAMED
        and len(names) == len(entries)
        and all(isinstance(name, str) for name in names)
        and len(set(names)) == len(names)
    )


def _is_env_entry(path: Path) -> bool:
    return len(path) > 1 and path[-2] == "env"


def _rank(path: Path) -> int:
    # A whole container that comes or goes is shown by its image.
    if len(path) == 3 and path[1] in _CONTAINERS:
        return 0
    for place, (_, keys) in enumerate(_ORDER):
        if any(key in path for key in keys):
            return place
    return len(_ORDER)


def _where(path: Path) -> str:
    """`containers[x].env[FOO]`; "spec." goes without saying."""
    text = ""
    for part in path[1:] if path[:1] == ("spec",) and len(path) > 1 else path:
        if part.startswith(("[", " (")):
            text += part
        else:
            text += f".{part}" if part.replace("_", "").isalnum() else f"[{part}]"
    return text.removeprefix(".") or "template"


def _texts(a: Any, b: Any) -> tuple[str, str]:
    """Both values as short texts that differ where the values differ."""
    before, after = _text(a), _text(b)
    if before == after:
        before, after = (
            json.dumps(v, ensure_ascii=False) if v is not _MISSING else "" for v in (a, b)
        )
    start = 0
    if max(len(before), len(after)) > _LIMIT:
        same = next(
            (i for i, (x, y) in enumerate(zip(before, after, strict=False)) if x != y),
            min(len(before), len(after)),
        )
        start = max(0, same - 20)
    return _cut(before, start), _cut(after, start)


def _cut(text: str, start: int) -> str:
    head = "…" if start and text else ""
    tail = text[start:]
    return head + (tail if len(tail) <= _LIMIT else tail[: _LIMIT - 1] + "…")


def _text(value: Any) -> str:
    if value is _MISSING:
        return ""
    if isinstance(value, dict) and isinstance(value.get("name"), str):
        return _named_text(value)
    return value if isinstance(value, str) and value else json.dumps(value, ensure_ascii=False)


def _named_text(entry: dict[str, Any]) -> str:
    """An env variable by its value, a container by its image, anything else as JSON."""
    rest = {key: value for key, value in entry.items() if key != "name"}
    for key in ("value", "image"):
        if set(rest) == {key} or (key == "image" and key in rest):
            return str(rest[key]) or '""'
    return json.dumps(rest, ensure_ascii=False) if rest else '""'


def _mapping(value: object) -> Mapping[str, Any]:
    return value if isinstance(value, dict) else {}


def _dicts(value: object) -> list[dict[str, Any]]:
    return [entry for entry in value if isinstance(entry, dict)] if isinstance(value, list) else []
