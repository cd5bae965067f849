"""The training cluster at scale: start, memory, thousands of pods, a hundred watches."""

import tempfile
import time
from pathlib import Path
from statistics import median

import msgspec

from tests.bench import watching
from tests.bench.bars import Bar
from tests.bench.training import Json, Training

PODS = 5000
_SPACE = "crowd"
_DEPLOYMENT = f"/apis/apps/v1/namespaces/{_SPACE}/deployments/web"
_KWOK = "KWOK's published 20 objects/s"


def cluster_bars() -> list[Bar]:
    """All of them, on two clusters: one that stays small, one that grows."""
    with tempfile.TemporaryDirectory() as place:
        starts = []
        for number in range(3):
            with Training(Path(place) / str(number)) as cluster:
                starts.append(cluster.seconds)
                time.sleep(1.0)
                idle = cluster.megabytes()
        with Training(Path(place) / "watched") as cluster:
            watched = watching.measure(cluster)
        with Training(Path(place) / "crowded") as cluster:
            crowded = _crowd(cluster)
    return [
        Bar("sandbox up to the first answer", median(starts), "s", 1, "the bar itself"),
        Bar("memory, idle with three services", idle, "MB", 150, "the bar itself"),
        *crowded,
        *watched,
    ]


def _crowd(cluster: Training) -> list[Bar]:
    space = {"metadata": {"name": _SPACE}}
    cluster.ask("POST", "/api/v1/namespaces", space)
    few = _listing(cluster, "veza-production")
    cluster.ask("POST", _DEPLOYMENT.removesuffix("/web"), _deployment())
    taken = cluster.wait(lambda: _running(cluster) >= PODS)
    held = cluster.megabytes()
    many = _listing(cluster, _SPACE)
    listed, encoded = _selected(cluster)
    return [
        Bar(f"{PODS} pods brought to Running", PODS / taken, "pods/s", 300, _KWOK, at_least=True),
        Bar(f"memory at {PODS} pods", held, "MB", 600, "the bar itself"),
        Bar(f"kubectl get pods of {PODS}", many, "s", 2, f"kubectl get pods of a few: {few:.2f} s"),
        Bar(
            f"list of 3 among {PODS} by label",
            listed,
            "ms",
            20,
            f"those 3 encoded as JSON: {encoded:.3f} ms",
        ),
    ]


def _running(cluster: Training) -> int:
    ready: int = cluster.ask("GET", _DEPLOYMENT).get("status", {}).get("readyReplicas", 0)
    return ready


def _listing(cluster: Training, namespace: str) -> float:
    taken = []
    for _ in range(3):
        begun = time.perf_counter()
        cluster.kubectl("-n", namespace, "get", "pods")
        taken.append(time.perf_counter() - begun)
    return median(taken)


def _selected(cluster: Training) -> tuple[float, float]:
    """Milliseconds for a list of three by label, and for the encoding alone."""
    pods = f"/api/v1/namespaces/{_SPACE}/pods"
    for item in cluster.ask("GET", f"{pods}?limit=3")["items"]:
        name = item["metadata"]["name"]
        patch = {"metadata": {"labels": {"picked": "yes"}}}
        headers = {"Content-Type": "application/merge-patch+json"}
        cluster.http.patch(f"{pods}/{name}", json=patch, headers=headers).raise_for_status()
    taken, encoded = [], []
    for _ in range(50):
        begun = time.perf_counter()
        found = cluster.ask("GET", f"{pods}?labelSelector=picked%3Dyes")
        read = time.perf_counter()
        msgspec.json.encode(found)
        taken.append(read - begun)
        encoded.append(time.perf_counter() - read)
        assert len(found["items"]) == 3
    return median(taken) * 1000, median(encoded) * 1000


def _deployment() -> Json:
    labels = {"app": "web"}
    container = {
        "name": "web",
        "image": "registry.example/web:v1",
        "ports": [{"name": "http", "containerPort": 8080}],
        "resources": {"requests": {"cpu": "5m", "memory": "8Mi"}},
        "readinessProbe": {"httpGet": {"path": "/health", "port": "http"}},
    }
    template = {"metadata": {"labels": labels}, "spec": {"containers": [container]}}
    return {
        "metadata": {"name": "web", "labels": labels},
        "spec": {"replicas": PODS, "selector": {"matchLabels": labels}, "template": template},
    }
