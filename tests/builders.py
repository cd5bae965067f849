"""Small objects as the API server sends them, and recorded ones, decoded as the kit does."""

import json
from collections.abc import Iterator, Sequence
from datetime import UTC, datetime, timedelta
from pathlib import Path
from typing import Any

import msgspec

from veza_nb.objects import Workload
from veza_nb.samples import Probe, Sample

RECORDINGS = Path(__file__).parent / "data" / "recordings"
RECORDED_AT = datetime(2026, 11, 23, 9, 45, tzinfo=UTC)
NOW = datetime(2026, 11, 24, 12, 0, tzinfo=UTC)
NAMESPACE = "veza-production"
UID = "uid-of-the-deployment"

Json = dict[str, Any]


def ago(**length: float) -> str:
    """A Kubernetes timestamp that long before NOW."""
    return (NOW - timedelta(**length)).strftime("%Y-%m-%dT%H:%M:%SZ")


def template(image: str = "app:v1", **container: Any) -> Json:
    """A pod template with one container."""
    return {
        "metadata": {"creationTimestamp": None, "labels": {"app": "api"}},
        "spec": {"containers": [{"name": "api", "image": image, **container}]},
    }


def deployment(
    *,
    pod_template: Json | None = None,
    replicas: int = 3,
    generation: int = 2,
    observed: int | None = None,
    revision: int | str = 2,
    status: Json | None = None,
    annotations: dict[str, str] | None = None,
    labels: dict[str, str] | None = None,
    conditions: Sequence[Json] = (),
    managers: Sequence[str] = (),
    **spec: Any,
) -> Json:
    """A Deployment whose status says that all is rolled out, unless told otherwise."""
    done = dict.fromkeys(
        ("replicas", "updatedReplicas", "readyReplicas", "availableReplicas"), replicas
    )
    return {
        "metadata": {
            "name": "api",
            "namespace": NAMESPACE,
            "uid": UID,
            "generation": generation,
            "labels": labels or {},
            "annotations": {"deployment.kubernetes.io/revision": str(revision)}
            if annotations is None
            else annotations,
            "managedFields": [{"manager": name, "operation": "Update"} for name in managers],
        },
        "spec": {"replicas": replicas, "template": pod_template or template("app:v2"), **spec},
        "status": {
            "observedGeneration": generation if observed is None else observed,
            "conditions": list(conditions),
            **(done if status is None else status),
        },
    }


def replicaset(
    number: int | str,
    pod_template: Json,
    *,
    created: str | None = None,
    pods: int = 0,
    available: int | None = None,
    earlier: str = "",
    owner: str = UID,
    conditions: Sequence[Json] = (),
    **annotations: str,
) -> Json:
    """A ReplicaSet; its name, hash and uid follow from its first number."""
    first = earlier.split(",", maxsplit=1)[0] or str(number)
    notes = {"deployment.kubernetes.io/revision": str(number)}
    if earlier:
        notes["deployment.kubernetes.io/revision-history"] = earlier
    labels = {**pod_template["metadata"]["labels"], "pod-template-hash": f"hash{first}"}
    ready = pods if available is None else available
    return {
        "metadata": {
            "name": f"api-hash{first}",
            "uid": f"rs-{first}",
            "labels": labels,
            "annotations": {**notes, **annotations},
            "creationTimestamp": created,
            "ownerReferences": [
                {"kind": "Deployment", "name": "api", "uid": owner, "controller": True}
            ],
        },
        "spec": {
            "replicas": pods,
            "template": {
                **pod_template,
                "metadata": {**pod_template["metadata"], "labels": labels},
            },
        },
        "status": {
            "replicas": pods,
            "readyReplicas": ready,
            "availableReplicas": ready,
            "conditions": list(conditions),
        },
    }


def pod(
    name: str,
    of: Json,
    *,
    ready: bool = True,
    terminating: bool = False,
    restarts: int = 0,
    state: Json | None = None,
    last: Json | None = None,
    phase: str = "Running",
    ready_since: str | None = None,
    conditions: Sequence[Json] = (),
    reason: str = "",
) -> Json:
    """A pod of that ReplicaSet."""
    ready_condition = {
        "type": "Ready",
        "status": "True" if ready else "False",
        "reason": "" if ready else "ContainersNotReady",
        "message": "" if ready else "containers with unready status: [api]",
        "lastTransitionTime": ready_since,
    }
    return {
        "metadata": {
            "name": name,
            "namespace": NAMESPACE,
            "uid": f"uid-{name}",
            "labels": dict(of["metadata"]["labels"]),
            "deletionTimestamp": ago(seconds=5) if terminating else None,
            "ownerReferences": [
                {
                    "kind": "ReplicaSet",
                    "name": of["metadata"]["name"],
                    "uid": of["metadata"]["uid"],
                    "controller": True,
                }
            ],
        },
        "status": {
            "phase": phase,
            "reason": reason,
            "conditions": [ready_condition, *conditions],
            "containerStatuses": [
                {
                    "name": "api",
                    "ready": ready,
                    "restartCount": restarts,
                    "state": state or {"running": {"startedAt": ago(minutes=2)}},
                    "lastState": last or {},
                }
            ],
        },
    }


def crashing(name: str, of: Json, *, restarts: int = 4, killed: bool = False) -> Json:
    """A pod in a crash loop, by an error of its own or because it took too much memory."""
    ended = {"exitCode": 137, "reason": "OOMKilled"} if killed else {"exitCode": 1}
    return pod(
        name,
        of,
        ready=False,
        restarts=restarts,
        state={
            "waiting": {
                "reason": "CrashLoopBackOff",
                "message": f"back-off 40s restarting failed container=api pod={name}",
            }
        },
        last={"terminated": {"reason": "Error", "finishedAt": ago(seconds=20), **ended}},
    )


def event(about: Json, reason: str, message: str, *, kind: str = "Pod", **fields: Any) -> Json:
    """A warning event about that object."""
    return {
        "metadata": {"name": f"{about['metadata']['name']}.{reason}"},
        "involvedObject": {
            "kind": kind,
            "name": about["metadata"]["name"],
            "uid": about["metadata"]["uid"],
        },
        "type": "Warning",
        "reason": reason,
        "message": message,
        **fields,
    }


def workload(
    of: Json,
    replicasets: Sequence[Json] = (),
    pods: Sequence[Json] = (),
    events: Sequence[Json] = (),
) -> Workload:
    """All of it, through the kit's own decoder."""
    parts = {"deployment": of, "replicasets": replicasets, "pods": pods, "events": events}
    return msgspec.json.decode(json.dumps(_without_none(parts)), type=Workload)


def _without_none(value: Any) -> Any:
    """Drop what was not given, as the server does; a template's null time stays out as well."""
    if isinstance(value, dict):
        return {key: _without_none(inner) for key, inner in value.items() if inner is not None}
    return [_without_none(inner) for inner in value] if isinstance(value, list | tuple) else value


def failed_release(*, old: str = "app:v1", new: str = "app:v2") -> Workload:
    """The usual incident: the new pod crashes, the three old ones serve."""
    first = replicaset(1, template(old), created=ago(days=3), pods=3)
    second = replicaset(2, template(new), created=ago(minutes=4), pods=1, available=0)
    return workload(
        deployment(
            pod_template=template(new),
            status={
                "replicas": 4,
                "updatedReplicas": 1,
                "readyReplicas": 3,
                "availableReplicas": 3,
            },
        ),
        [first, second],
        [*(pod(f"api-hash1-{n}", first) for n in "abc"), crashing("api-hash2-x", second)],
    )


def complete_release(*, served: float = 3, **spec: Any) -> Workload:
    """Version 2 rolled out ten minutes ago, all well; version 1 served `served` days before."""
    first = replicaset(1, template(), created=ago(days=served, minutes=10))
    second = replicaset(2, template("app:v2"), created=ago(minutes=10), pods=3)
    pods = [pod(f"api-hash2-{n}", second) for n in "abc"]
    return workload(deployment(**spec), [first, second], pods)


def probe(
    *statuses: int | None,
    name: str = "health",
    seconds: float = 0.05,
    max_seconds: float = 1.0,
    error: str = "timeout",
) -> Probe:
    """A probe with one sample for each status; None is a request without an answer."""
    return Probe(
        name=name,
        url="http://127.0.0.1:8080/" + name.lstrip("/"),
        expect_status=200,
        max_seconds=max_seconds,
        samples=tuple(
            Sample(NOW, seconds, status, "" if status is not None else error) for status in statuses
        ),
    )


HEALTHY = (probe(200, 200, 200, 200, 200),)


def recorded(name: str) -> Workload:
    """A recorded moment: Deployment, and ReplicaSets and pods where they were recorded."""
    return workload(
        recorded_json(name, "deployment"),
        recorded_json(name, "replicasets").get("items", []),
        recorded_json(name, "pods").get("items", []),
    )


def recorded_json(name: str, kind: str) -> Json:
    """One recorded body; empty where that kind was not recorded."""
    path = RECORDINGS / "objects" / f"{name}.{kind}.json"
    return json.loads(path.read_text()) if path.exists() else {}


def stream(name: str) -> list[Json]:
    """The events of a recorded watch."""
    path = RECORDINGS / "watch" / f"{name}.jsonl"
    return [json.loads(line) for line in path.read_text().splitlines() if line]


def merged(*names: str) -> list[Json]:
    """Several watches of one recording, in the order in which things happened."""
    events = [event for name in names for event in stream(name)]
    return sorted(events, key=lambda event: int(event["object"]["metadata"]["resourceVersion"]))


class Store:
    """What a client of several watches knows: objects by kind and name."""

    def __init__(self, *objects: Json) -> None:
        self._objects: dict[str, dict[str, Json]] = {}
        for each in objects:
            self.apply({"type": "ADDED", "object": each})

    def apply(self, event: Json) -> None:
        """Take in one watch event."""
        each = event["object"]
        # Items of a recorded list carry no kind of their own.
        kind = each.get("kind") or ("ReplicaSet" if "replicas" in each["spec"] else "Pod")
        known = self._objects.setdefault(kind, {})
        if event["type"] == "DELETED":
            known.pop(each["metadata"]["name"], None)
        else:
            known[each["metadata"]["name"]] = each

    def kind(self, kind: str) -> list[Json]:
        """All objects of a kind."""
        return list(self._objects.get(kind, {}).values())

    def looks(self, events: Sequence[Json]) -> Iterator[Workload]:
        """One look after each event."""
        for each in events:
            self.apply(each)
            [only] = self.kind("Deployment")
            yield workload(only, self.kind("ReplicaSet"), self.kind("Pod"))
