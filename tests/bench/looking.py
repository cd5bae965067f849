"""Detect, history and plan of one service: what they cost, and whether a crowd beside it matters.

The kit works in a process of its own (`python -m tests.bench.looking KUBECONFIG CATALOG`), so that
its memory is its own; the cluster runs in another.
"""

import json
import os
import resource
import subprocess
import sys
import tempfile
import time
from contextlib import redirect_stdout
from dataclasses import asdict, dataclass
from pathlib import Path
from statistics import median

from tests.bench.bars import Bar
from tests.bench.training import Json, Training
from veza_nb.clock import Clock
from veza_nb.cluster import Cluster
from veza_nb.cluster.kubeconfig import Access
from veza_nb.cluster.transport import Transport
from veza_nb.detect import detect
from veza_nb.incident import Incident

SERVICE, SPACE = "veza-backend-api", "veza-production"
DEPLOYMENTS, PODS, EVENTS = 200, 5_000, 20_000
AWAY_SECONDS = 0.2
_TURNS, _ROUNDS = 3, 5
_APPS = f"/apis/apps/v1/namespaces/{SPACE}/deployments"


@dataclass(frozen=True, slots=True)
class Cost:
    """Of one look at a service, from detection to plan; a median where it is done repeatedly.

    Attributes:
        seconds: for the cells of all three, with what they write and show.
        detect: for the first look alone.
        requests: sent to the API server.
        received: bytes of the answers.
        megabytes: that the process held at most, with all that Python and the kit need.
        slowest: seconds of the slowest request of that first look.
    """

    seconds: float
    detect: float
    requests: int
    received: int
    megabytes: float
    slowest: float


def looking_bars() -> list[Bar]:
    """One service alone, the same among many, and the same far away."""
    with (
        tempfile.TemporaryDirectory() as place,
        Training(Path(place) / "quiet", scenario="crash-loop") as quiet,
        Training(Path(place) / "busy", scenario="crash-loop") as busy,
    ):
        _crowd(busy)
        alone, crowded = _in_turn(quiet, busy)
        quiet.control("faults.add", {"kind": "latency", "seconds": AWAY_SECONDS})
        far = _cost(quiet)
    beside = f"{PODS} pods, {EVENTS} events, {DEPLOYMENTS} Deployments beside it, against none"
    return [
        _ratio("requests", beside, crowded.requests, alone.requests, ""),
        _ratio("bytes", beside, crowded.received / 1024, alone.received / 1024, " KB"),
        _ratio("time", beside, crowded.seconds * 1000, alone.seconds * 1000, " ms"),
        Bar("its process's memory at most", crowded.megabytes, "MB", 200, "the bar itself"),
        Bar(
            f"detect(), each answer {AWAY_SECONDS * 1000:.0f} ms away",
            far.detect / far.slowest,
            "x",
            1.5,
            f"its slowest request: {far.slowest * 1000:.0f} ms "
            f"(with nothing away, detect() takes {alone.detect * 1000:.0f} ms)",
        ),
    ]


def _ratio(what: str, beside: str, many: float, few: float, unit: str) -> Bar:
    compared = f"{beside}: {many:.0f}{unit} against {few:.0f}{unit}"
    return Bar(f"detect, history, plan in a crowd: {what}", many / few, "x", 1.3, compared)


def _in_turn(one: Training, other: Training) -> tuple[Cost, Cost]:
    """The quicker of several of each, so that what else the machine does spoils neither."""
    costs = [(_cost(one), _cost(other)) for _ in range(_TURNS)]
    few, many = (min(column, key=lambda cost: cost.seconds) for column in zip(*costs, strict=True))
    return few, many


def _cost(cluster: Training) -> Cost:
    command = [sys.executable, "-m", __name__, cluster.kubeconfig, cluster.catalog]
    told = subprocess.run(command, check=True, stdout=subprocess.PIPE, text=True).stdout
    return Cost(**json.loads(told))


# --- the crowd -------------------------------------------------------------------------------


def _crowd(cluster: Training) -> None:
    for number in range(DEPLOYMENTS):
        cluster.ask("POST", _APPS, _deployment(f"other-{number}", PODS // DEPLOYMENTS))
    cluster.wait(lambda: _serving(cluster) >= DEPLOYMENTS)
    events = _number(cluster, "events")
    for number in range(EVENTS - events):
        cluster.ask("POST", f"/api/v1/namespaces/{SPACE}/events", _event(number))
    assert _number(cluster, "pods") >= PODS


def _serving(cluster: Training) -> int:
    items = cluster.ask("GET", f"{_APPS}?labelSelector=crowd")["items"]
    return sum(
        item.get("status", {}).get("readyReplicas", 0) == item["spec"]["replicas"] for item in items
    )


def _number(cluster: Training, resource: str) -> int:
    page = cluster.ask("GET", f"/api/v1/namespaces/{SPACE}/{resource}?limit=1")
    left: int = page["metadata"].get("remainingItemCount", 0)
    return len(page["items"]) + left


def _deployment(name: str, replicas: int) -> Json:
    labels = {"app": name, "crowd": "yes"}
    container = {"name": "web", "image": "registry.example/web:v1"}
    return {
        "metadata": {"name": name, "labels": labels},
        "spec": {
            "replicas": replicas,
            "selector": {"matchLabels": labels},
            "template": {"metadata": {"labels": labels}, "spec": {"containers": [container]}},
        },
    }


def _event(number: int) -> Json:
    about = {"kind": "Pod", "namespace": SPACE, "name": f"other-{number}", "apiVersion": "v1"}
    return {
        "metadata": {"name": f"other-{number}.bench"},
        "involvedObject": about,
        "reason": "Noted",
        "message": "One of many.",
        "type": "Normal",
    }


# --- the kit's process -----------------------------------------------------------------------


class _Counting(Transport):
    """Counts what it sends and receives.

    Attributes:
        requests: sent so far.
        received: bytes of answers.
        slowest: seconds of the slowest.
    """

    def __init__(self, access: Access, *, clock: Clock, timeout: float) -> None:
        super().__init__(access, clock=clock, timeout=timeout)
        self.requests, self.received, self.slowest = 0, 0, 0.0

    def send(self, method: str, path: str, **given: object) -> bytes:
        begun = time.perf_counter()
        data = super().send(method, path, **given)  # type: ignore[arg-type]
        self.slowest = max(self.slowest, time.perf_counter() - begun)
        self.requests += 1
        self.received += len(data)
        return data


def _look(kubeconfig: str, catalog: str) -> Cost:
    """All three in turn, each as the first in a kernel that has opened the incident."""
    costs = [_once(kubeconfig, catalog) for _ in range(_ROUNDS)]
    peak = resource.getrusage(resource.RUSAGE_SELF).ru_maxrss / 1024
    typical = {
        name: median(getattr(cost, name) for cost in costs)
        for name in ("seconds", "detect", "requests", "received", "slowest")
    }
    return Cost(**typical, megabytes=peak)


def _once(kubeconfig: str, catalog: str) -> Cost:
    with tempfile.TemporaryDirectory() as records:
        incident = Incident.open(SERVICE, kubeconfig=kubeconfig, catalog=catalog, records=records)
        looking, opened = _count(incident.cluster), incident.opened
        begun = time.perf_counter()
        detect(
            opened.cluster,
            opened.service,
            settings=opened.settings,
            monitoring=opened.catalog.monitoring,
            hints=opened.catalog.hints,
        )
        detected = time.perf_counter() - begun
        counting = _count(incident.cluster)
        begun = time.perf_counter()
        incident.detect()
        incident.history()
        incident.plan()
        taken = time.perf_counter() - begun
    return Cost(taken, detected, counting.requests, counting.received, 0.0, looking.slowest)


def _count(cluster: Cluster) -> _Counting:
    """Count what this cluster is asked from now on, over connections that are warm."""
    counting = _Counting(cluster.access, clock=cluster.clock, timeout=10.0)
    counting._pool = cluster.transport._pool
    counting._server_time = cluster.transport._server_time
    cluster.transport = counting
    return counting


if __name__ == "__main__":
    with Path(os.devnull).open("w", encoding="utf-8") as nowhere, redirect_stdout(nowhere):
        found = _look(*sys.argv[1:])
    print(json.dumps(asdict(found)))
