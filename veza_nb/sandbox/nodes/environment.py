"""The environment of a container: literals, ConfigMaps, Secrets, fields of the pod.

What a container refers to must exist before it is created; what is missing is said in the words
in which a kubelet says it.
"""

from __future__ import annotations

import base64
import re
from collections.abc import Callable, Iterator, Mapping
from decimal import ROUND_CEILING, Decimal

from veza_nb.sandbox.apimachinery import quantity
from veza_nb.sandbox.apimachinery.status import Json

Read = Callable[[str, str, str], Json | None]
"""Resource, namespace and name in; the object out, or None when there is none."""
_REFERENCE = re.compile(r"\$\$|\$\(([A-Za-z_.-][A-Za-z0-9_.-]*)\)")
_ADDRESSES = ("status.podIP", "status.podIPs")
_SUBSCRIPT = re.compile(r"metadata\.(labels|annotations)\['([^']+)'\]")


class ConfigError(Exception):
    """A container refers to something that is not there; the message is the kubelet's."""


def of(pod: Json, container: Json, read: Read, address: str = "") -> dict[str, str]:
    """The environment of a container of a pod.

    Args:
        pod: the API object.
        container: the part of its spec.
        read: finds ConfigMaps and Secrets.
        address: of the pod, which its status may not show yet.

    Raises:
        ConfigError: a ConfigMap, a Secret or a key is missing and not optional.
    """
    found: dict[str, str] = {}
    for source in container.get("envFrom") or ():
        found |= _all_of(pod, source, read)
    for entry in container.get("env") or ():
        source = entry.get("valueFrom")
        if source is None:
            found[entry["name"]] = expand(entry.get("value", ""), found)
            continue
        value = _value(pod, container, source, read)
        if "fieldRef" in source and source["fieldRef"].get("fieldPath") in _ADDRESSES:
            value = address
        if value is not None:
            found[entry["name"]] = value
    return found


def expand(text: str, known: Mapping[str, str]) -> str:
    """A text with `$(NAME)` filled in; unknown names stay, `$$` is one dollar."""
    if "$" not in text:
        return text

    def fill(match: re.Match[str]) -> str:
        return "$" if match[0] == "$$" else known.get(match[1], match[0])

    return _REFERENCE.sub(fill, text)


def missing_volume(pod: Json, read: Read) -> tuple[str, str] | None:
    """The first volume that cannot be mounted, and why; None: all can."""
    for volume in pod["spec"].get("volumes") or ():
        for plural, kind, name, optional in _sources(volume):
            if not optional and read(plural, pod["metadata"]["namespace"], name) is None:
                return volume["name"], f'{kind} "{name}" not found'
    return None


def _sources(volume: Json) -> Iterator[tuple[str, str, str, bool]]:
    """The objects of which a volume is made: resource, kind in words, name, whether optional."""
    if secret := volume.get("secret"):
        yield "secrets", "secret", secret.get("secretName", ""), bool(secret.get("optional"))
    if config := volume.get("configMap"):
        yield "configmaps", "configmap", config.get("name", ""), bool(config.get("optional"))


def _all_of(pod: Json, source: Json, read: Read) -> dict[str, str]:
    prefix = source.get("prefix", "")
    data: dict[str, str] = {}
    if reference := source.get("configMapRef"):
        data = _data(pod, reference, "configmaps", read)[0] or {}
    elif reference := source.get("secretRef"):
        data = _data(pod, reference, "secrets", read)[0] or {}
    return {prefix + name: value for name, value in data.items()}


def _value(pod: Json, container: Json, source: Json, read: Read) -> str | None:
    if reference := source.get("configMapKeyRef"):
        return _key(pod, reference, "configmaps", read)
    if reference := source.get("secretKeyRef"):
        return _key(pod, reference, "secrets", read)
    if reference := source.get("fieldRef"):
        return _field(pod, reference.get("fieldPath", ""))
    if reference := source.get("resourceFieldRef"):
        return _resource(container, reference)
    return None


def _data(pod: Json, reference: Json, plural: str, read: Read) -> tuple[dict[str, str] | None, str]:
    """The texts in a ConfigMap or Secret, None when it is missing and may be; and its kind."""
    kind = "secret" if plural == "secrets" else "configmap"
    name = reference.get("name", "")
    item = read(plural, pod["metadata"]["namespace"], name)
    if item is None:
        if reference.get("optional"):
            return None, kind
        raise ConfigError(f'{kind} "{name}" not found')
    data = item.get("data") or {}
    if kind == "secret":
        data = {
            key: base64.b64decode(value).decode("utf-8", "replace") for key, value in data.items()
        }
    return data, kind


def _key(pod: Json, reference: Json, plural: str, read: Read) -> str | None:
    data, kind = _data(pod, reference, plural, read)
    key = reference.get("key", "")
    if data is not None and key in data:
        return data[key]
    if data is None or reference.get("optional"):
        return None
    word = "Secret" if kind == "secret" else "ConfigMap"
    where = f"{pod['metadata']['namespace']}/{reference.get('name', '')}"
    raise ConfigError(f"couldn't find key {key} in {word} {where}")


def _field(pod: Json, path: str) -> str:
    subscript = _SUBSCRIPT.fullmatch(path)
    if subscript is not None:
        texts: dict[str, str] = pod["metadata"].get(subscript[1]) or {}
        return texts.get(subscript[2], "")
    value: object = pod
    for part in path.split("."):
        value = value.get(part, "") if isinstance(value, dict) else ""
    return value if isinstance(value, str) else ""


def _resource(container: Json, reference: Json) -> str:
    """A limit or request in whole units of the divisor, rounded up."""
    group, _, name = reference.get("resource", "").partition(".")
    given = ((container.get("resources") or {}).get(group) or {}).get(name, "0")
    divisor = quantity.parse(str(reference.get("divisor") or "1")) or Decimal(1)
    units = quantity.parse(str(given)) / divisor
    return str(units.to_integral_value(rounding=ROUND_CEILING))
