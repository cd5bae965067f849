"""Revisions of a Deployment: which ReplicaSet carries which template, under which number.

Pure: decisions are new dicts, nothing is written here. A ReplicaSet that comes back (an undo) gets
a new, highest number; its old ones are remembered in an annotation.
"""

from __future__ import annotations

import copy
import hashlib
import json
from collections.abc import Iterable, Sequence

from veza_nb.sandbox.apimachinery.status import Json
from veza_nb.sandbox.controllers.rollout import DESIRED, MAX, created, max_surge, replicas_of

REVISION = "deployment.kubernetes.io/revision"
HISTORY = "deployment.kubernetes.io/revision-history"
LAST_APPLIED = "kubectl.kubernetes.io/last-applied-configuration"
ROLLBACK_TO = "deprecated.deployment.rollback.to"
HASH_LABEL = "pod-template-hash"
NOT_COPIED = frozenset({LAST_APPLIED, REVISION, HISTORY, DESIRED, MAX, ROLLBACK_TO})
"""Annotations that a ReplicaSet does not take over from its Deployment, nor an undo back."""
_ALPHABET = "bcdfghjklmnpqrstvwxz2456789"
"""Letters of generated names: no vowels and no look-alikes, so that no words come out."""
_HISTORY_BYTES = 2000


def safe_encode(text: str) -> str:
    """Each character of a text as one of the alphabet of generated names."""
    return "".join(_ALPHABET[ord(letter) % len(_ALPHABET)] for letter in text)


def template_hash(template: Json, collisions: int | None = None) -> str:
    """A short stable name for a pod template; `collisions` sets apart templates that clash."""
    text = json.dumps(template, sort_keys=True, separators=(",", ":"))
    digest = hashlib.blake2s(f"{text}#{collisions or ''}".encode(), digest_size=4).digest()
    return safe_encode(str(int.from_bytes(digest, "big")))


def same_template(one: Json, other: Json) -> bool:
    """Whether two pod templates are equal when the hash label is left out."""
    return _without_hash(one) == _without_hash(other)


def _without_hash(template: Json) -> Json:
    labels = template.get("metadata", {}).get("labels", {})
    if HASH_LABEL not in labels:
        return template
    left = {key: value for key, value in labels.items() if key != HASH_LABEL}
    return {**template, "metadata": {**template["metadata"], "labels": left}}


def find_new(deployment: Json, replica_sets: Iterable[Json]) -> Json | None:
    """The ReplicaSet with the Deployment's template, the oldest where several have it."""
    template = deployment["spec"]["template"]
    same = [item for item in replica_sets if same_template(item["spec"]["template"], template)]
    return min(same, key=created, default=None)


def others(new: Json | None, replica_sets: Iterable[Json]) -> list[Json]:
    """All ReplicaSets but the newest."""
    uid = new["metadata"]["uid"] if new is not None else None
    return [item for item in replica_sets if item["metadata"]["uid"] != uid]


def revision_of(item: Json) -> int:
    """The revision annotation as a number, 0 where there is none or it is no number."""
    noted = item["metadata"].get("annotations", {}).get(REVISION, "")
    return int(noted) if noted.isdigit() else 0


def next_revision(old: Iterable[Json]) -> int:
    """The number for the newest template: one above the highest of the old ones."""
    return max((revision_of(item) for item in old), default=0) + 1


def new_annotations(deployment: Json, current: dict[str, str], revision: int) -> dict[str, str]:
    """The annotations of the ReplicaSet that carries the Deployment's template.

    The Deployment's own are copied over (never taken away). The number rises to `revision`, the
    one it had moves into the history; a higher number stays.
    """
    kept = deployment["metadata"].get("annotations", {}).items()
    result = {**current, **{key: value for key, value in kept if key not in NOT_COPIED}}
    had = current.get(REVISION)
    if had is not None and not had.isdigit():
        return result
    if int(had or 0) < revision:
        result[REVISION] = str(revision)
        if had is not None:
            result[HISTORY] = _longer_history(current.get(HISTORY, ""), had)
    return result


def _longer_history(history: str, number: str) -> str:
    """The history with one more number, the oldest dropped when it grows past its limit."""
    numbers = [*history.split(","), number] if history else [number]
    while len(",".join(numbers)) > _HISTORY_BYTES and len(numbers) > 1:
        numbers.pop(0)
    return ",".join(numbers)


def size_annotations(deployment: Json) -> dict[str, str]:
    """The two annotations that tell a ReplicaSet how large its Deployment was."""
    total = replicas_of(deployment)
    return {DESIRED: str(total), MAX: str(total + max_surge(deployment))}


def build_replica_set(deployment: Json, revision: int) -> Json:
    """A new ReplicaSet for the Deployment's template, with 0 replicas yet."""
    metadata, spec = deployment["metadata"], deployment["spec"]
    suffix = template_hash(spec["template"], deployment.get("status", {}).get("collisionCount"))
    template = copy.deepcopy(spec["template"])
    template.setdefault("metadata", {}).setdefault("labels", {})[HASH_LABEL] = suffix
    selector = copy.deepcopy(spec["selector"])
    selector.setdefault("matchLabels", {})[HASH_LABEL] = suffix
    body: Json = {
        "apiVersion": "apps/v1",
        "kind": "ReplicaSet",
        "metadata": {
            "name": f"{metadata['name']}-{suffix}",
            "namespace": metadata["namespace"],
            "labels": dict(template["metadata"]["labels"]),
            "annotations": {
                **new_annotations(deployment, {}, revision),
                **size_annotations(deployment),
            },
            "ownerReferences": [owner_reference(deployment, "apps/v1", "Deployment")],
        },
        "spec": {"replicas": 0, "selector": selector, "template": template},
    }
    if spec.get("minReadySeconds"):
        body["spec"]["minReadySeconds"] = spec["minReadySeconds"]
    return body


def owner_reference(owner: Json, api_version: str, kind: str) -> Json:
    """The reference by which a controller owns an object."""
    return {
        "apiVersion": api_version,
        "kind": kind,
        "name": owner["metadata"]["name"],
        "uid": owner["metadata"]["uid"],
        "controller": True,
        "blockOwnerDeletion": True,
    }


def to_clean_up(deployment: Json, old: Sequence[Json]) -> list[Json]:
    """Old ReplicaSets past `revisionHistoryLimit`: the lowest numbers, only if they are idle."""
    limit = deployment["spec"].get("revisionHistoryLimit")
    if limit is None:
        return []
    alive = [item for item in old if "deletionTimestamp" not in item["metadata"]]
    surplus = len(alive) - limit
    if surplus <= 0:
        return []
    return [item for item in sorted(alive, key=revision_of)[:surplus] if _idle(item)]


def _idle(item: Json) -> bool:
    status = item.get("status", {})
    seen = status.get("observedGeneration", 0) >= item["metadata"].get("generation", 0)
    return replicas_of(item) == 0 and status.get("replicas", 0) == 0 and seen
