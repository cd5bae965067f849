"""The pods of a StatefulSet: their names and numbers, their health, and what the status counts.

Pure: StatefulSets, pods and ControllerRevisions as plain dicts in, new dicts out.
"""

from __future__ import annotations

import re
from collections.abc import Sequence
from datetime import datetime

from veza_nb.sandbox.apimachinery.status import Json
from veza_nb.sandbox.controllers.podcontrol import pod_from_template
from veza_nb.sandbox.controllers.podstates import is_terminating
from veza_nb.sandbox.controllers.replicaset import is_available
from veza_nb.sandbox.controllers.rollout import replicas_of

POD_NAME = "statefulset.kubernetes.io/pod-name"
POD_INDEX = "apps.kubernetes.io/pod-index"
REVISION_LABEL = "controller-revision-hash"
_NAME = re.compile(r"(.*)-(\d+)")


def ordinal_of(stateful_set: Json, pod: Json) -> int | None:
    """The number in a pod's name; None for a pod whose name is not one of the StatefulSet's."""
    found = _NAME.fullmatch(pod["metadata"]["name"])
    if found is None or found[1] != stateful_set["metadata"]["name"]:
        return None
    return int(found[2])


def first_ordinal(stateful_set: Json) -> int:
    """The lowest number that a pod has."""
    start: int = (stateful_set["spec"].get("ordinals") or {}).get("start", 0)
    return start


def ordinals(stateful_set: Json) -> range:
    """The numbers of the pods that should be there."""
    start = first_ordinal(stateful_set)
    return range(start, start + replicas_of(stateful_set))


def partition_of(stateful_set: Json) -> int:
    """Pods with lower numbers keep the current revision."""
    rolling = stateful_set["spec"].get("updateStrategy", {}).get("rollingUpdate") or {}
    partition: int = rolling.get("partition") or 0
    return partition


def is_rolling(stateful_set: Json) -> bool:
    """Whether the update strategy is RollingUpdate (the default)."""
    kind = stateful_set["spec"].get("updateStrategy", {}).get("type", "RollingUpdate")
    return bool(kind == "RollingUpdate")


def is_parallel(stateful_set: Json) -> bool:
    """Whether pods come and go all at once."""
    return bool(stateful_set["spec"].get("podManagementPolicy") == "Parallel")


def revision_of(pod: Json) -> str:
    """Name of the ControllerRevision that a pod was made from."""
    name: str = pod["metadata"].get("labels", {}).get(REVISION_LABEL, "")
    return name


def serves(stateful_set: Json, pod: Json, now: datetime, rate: float = 1.0) -> bool:
    """Whether a pod is running, ready for long enough, and stays."""
    minimum = stateful_set["spec"].get("minReadySeconds", 0)
    return not is_terminating(pod) and is_up(pod, minimum, now, rate)


def is_up(pod: Json, minimum: int, now: datetime, rate: float = 1.0) -> bool:
    """Whether a pod runs and has been ready for `minimum` seconds; `rate` is the clock's."""
    running = pod.get("status", {}).get("phase") == "Running"
    return running and is_available(pod, minimum, now, rate)


def build_pod(stateful_set: Json, template: Json, ordinal: int, revision: str) -> Json:
    """The pod with that number."""
    body = pod_from_template(stateful_set, template, "apps/v1", "StatefulSet")
    name = f"{stateful_set['metadata']['name']}-{ordinal}"
    metadata, spec = body["metadata"], body["spec"]
    del metadata["generateName"]
    metadata["name"] = name
    metadata["labels"] |= {POD_NAME: name, POD_INDEX: str(ordinal), REVISION_LABEL: revision}
    spec["hostname"] = name
    if stateful_set["spec"].get("serviceName"):
        spec["subdomain"] = stateful_set["spec"]["serviceName"]
    claimed = {
        claim["metadata"]["name"]: f"{claim['metadata']['name']}-{name}"
        for claim in stateful_set["spec"].get("volumeClaimTemplates") or ()
    }
    kept = [each for each in spec.get("volumes") or () if each["name"] not in claimed]
    volumes = [
        {"name": volume, "persistentVolumeClaim": {"claimName": claim}}
        for volume, claim in claimed.items()
    ]
    if kept or volumes:
        spec["volumes"] = [*volumes, *kept]
    return body


def build_claims(stateful_set: Json, ordinal: int) -> list[Json]:
    """The PersistentVolumeClaims of the pod with that number."""
    metadata, found = stateful_set["metadata"], []
    labels = stateful_set["spec"]["selector"].get("matchLabels", {})
    for template in stateful_set["spec"].get("volumeClaimTemplates") or ():
        named = {
            "name": f"{template['metadata']['name']}-{metadata['name']}-{ordinal}",
            "namespace": metadata["namespace"],
            "labels": {**template["metadata"].get("labels", {}), **labels},
        }
        kind = {"apiVersion": "v1", "kind": "PersistentVolumeClaim"}
        found.append({**kind, "metadata": named, "spec": template["spec"]})
    return found


def calculate_status(
    stateful_set: Json,
    pods: Sequence[Json],
    names: tuple[str, str],
    now: datetime,
    rate: float = 1.0,
) -> Json:
    """The counts of these pods; `names` are those of the current and the update revision."""
    current, update = names
    minimum = stateful_set["spec"].get("minReadySeconds", 0)
    staying = [pod for pod in pods if not is_terminating(pod)]
    optional = {
        "readyReplicas": sum(is_up(pod, 0, now) for pod in pods),
        "currentReplicas": sum(revision_of(pod) == current for pod in staying),
        "updatedReplicas": sum(revision_of(pod) == update for pod in staying),
    }
    status = {
        "observedGeneration": stateful_set["metadata"].get("generation", 0),
        "replicas": len(pods),
        **{name: count for name, count in optional.items() if count},
        "currentRevision": current,
        "updateRevision": update,
        "availableReplicas": sum(is_up(pod, minimum, now, rate) for pod in pods),
    }
    _complete_rollout(stateful_set, status)
    return status


def _complete_rollout(stateful_set: Json, status: Json) -> None:
    """Once all pods are new and ready, the update revision becomes the current one."""
    total = replicas_of(stateful_set)
    done = total == status.get("updatedReplicas", 0) == status.get("readyReplicas", 0)
    if not is_rolling(stateful_set) or not done or status["replicas"] != total:
        return
    status["currentRevision"] = status["updateRevision"]
    if total:
        status["currentReplicas"] = total
