"""Whether a pod template is harder to place than another: whose doing is it that a pod waits?

Where the older template asks for just as much and is as choosy, going back to it makes no room.
"""

from typing import Any

from veza_nb.objects import PodTemplate
from veza_nb.quotas import per_pod

_CHOOSY = (
    "nodeSelector",
    "nodeName",
    "affinity",
    "tolerations",
    "topologySpreadConstraints",
    "priorityClassName",
    "runtimeClassName",
    "schedulerName",
    "schedulingGates",
    "hostNetwork",
)
"""Fields of a pod's spec that keep it from nodes."""


def asks_more(template: PodTemplate, than: PodTemplate) -> bool:
    """Whether this template asks for more, or chooses its nodes otherwise, than that one."""
    wanted, before = per_pod(template), per_pod(than)
    more = any(value > before.get(resource, 0) for resource, value in wanted.items())
    return more or _choice(template) != _choice(than)


def _choice(template: PodTemplate) -> dict[str, Any]:
    """What decides on which nodes a pod may run, besides how much it asks for."""
    spec = template.get("spec")
    if not isinstance(spec, dict):
        return {}
    chosen: dict[str, Any] = {name: spec.get(name) for name in _CHOOSY if spec.get(name)}
    chosen["claims"] = [
        volume["persistentVolumeClaim"]
        for volume in _dicts(spec.get("volumes"))
        if volume.get("persistentVolumeClaim")
    ]
    chosen["hostPorts"] = sorted(
        str(port["hostPort"])
        for container in _dicts(spec.get("containers"))
        for port in _dicts(container.get("ports"))
        if port.get("hostPort")
    )
    return chosen


def _dicts(value: object) -> list[dict[str, Any]]:
    return [one for one in value if isinstance(one, dict)] if isinstance(value, list) else []
