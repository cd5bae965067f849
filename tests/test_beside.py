"""Whatever the metrics API and the neighbours answer, a look beside ends in facts or in a gap."""

import json
from pathlib import Path
from typing import Any

import pytest

from tests.builders import NAMESPACE, Json, deployment, pod, replicaset, template, workload
from tests.test_transport import Answer, kubeconfig, server
from veza_nb.catalog import Nearby
from veza_nb.clock import ManualClock
from veza_nb.cluster import Cluster
from veza_nb.cluster.beside import look_beside
from veza_nb.neighbourhood import Neighbourhood
from veza_nb.objects import Workload

METRICS = "/apis/metrics.k8s.io/v1beta1"
TIME = "2026-11-24T11:59:30Z"


def seen(**container: Any) -> Workload:
    """One pod that is not ready, on a node."""
    live = replicaset(2, template("app:v2", **container), pods=1, available=0)
    waiting = pod("new", live, ready=False)
    waiting["spec"] = {"nodeName": "n1"}
    selector = {"matchLabels": {"app": "api"}}
    of = deployment(pod_template=template("app:v2", **container), selector=selector)
    return workload(of, [live], [waiting])


def beside(
    folder: Path, answers: dict[str, Answer], *nearby: Nearby, of: Workload | None = None
) -> tuple[Neighbourhood, list[str]]:
    """What is seen where these paths are answered like that, and all others with a 404."""
    missing: Answer = (404, {}, b'{"kind":"Status","message":"no such thing"}')

    def answer(request: str, _: int) -> Answer:
        path = request.partition(" ")[2].partition("?")[0]
        return next((one for part, one in answers.items() if part in path), missing)

    with server(answer) as (url, asked):
        cluster = Cluster.connect(
            kubeconfig=kubeconfig(folder, url), namespace=NAMESPACE, clock=ManualClock()
        )
        return look_beside(cluster, of or seen(), nearby), asked


def ok(body: Json) -> Answer:
    return 200, {"Content-Type": "application/json"}, json.dumps(body).encode()


def measured(**usage: Any) -> Answer:
    containers = [{"name": "api", "usage": usage}]
    return ok(
        {"items": [{"metadata": {"name": "new"}, "timestamp": TIME, "containers": containers}]}
    )


@pytest.mark.parametrize(
    ("answer", "why"),
    [
        ((404, {"Content-Type": "text/plain"}, b"404 page not found\n"), "not there"),
        ((403, {}, b'{"kind":"Status","message":"no"}'), "not allowed"),
        ((503, {}, b"unavailable"), "503"),
        ((200, {}, b"<html>login</html>"), "not what a Kubernetes API server answers"),
        ((200, {}, b'{"items": [{"metadata": {"name": 7}}]}'), "not what"),
        ((200, {}, b""), "not what"),
    ],
)
def test_a_metrics_api_without_an_answer_is_named_with_the_reason(
    tmp_path: Path, answer: Answer, why: str
) -> None:
    found, asked = beside(tmp_path, {METRICS: answer})

    assert found.usage == ()
    [said] = [one for one in found.unseen if one.startswith("CPU and memory (")]
    assert why in said
    assert len([one for one in asked if METRICS in one]) == 1


@pytest.mark.parametrize(
    ("answer", "numbers"),
    [
        (measured(cpu="250m", memory="1Ki"), [("0.250", "1024")]),
        (measured(cpu="NaN", memory=""), [(None, None)]),
        (measured(cpu=1, memory=2.5), [("1", "2.5")]),
        (measured(), [(None, None)]),
        (ok({"items": []}), []),
        (ok({"items": [{"metadata": {"name": "new"}}]}), []),
        (ok({}), []),
    ],
)
def test_numbers_that_are_none_are_not_known(
    tmp_path: Path, answer: Answer, numbers: list[tuple[str | None, str | None]]
) -> None:
    found, _ = beside(tmp_path, {METRICS: answer})

    read = [(one.cpu, one.memory) for one in found.usage]
    assert [tuple(None if n is None else str(n) for n in each) for each in read] == numbers
    assert not any("CPU" in one for one in found.unseen)


def nearby(kind: str, role: Any = "needed") -> Nearby:
    return Nearby(role=role, kind=kind, name="db", namespace="data")


def written(**status: Any) -> Json:
    field = {"manager": "kube-controller-manager", "subresource": "status", "time": TIME}
    return {"metadata": {"name": "db", "managedFields": [field]}, **status}


@pytest.mark.parametrize(
    ("kind", "path", "answer", "counts"),
    [
        ("statefulset", "/data/statefulsets/db",
         ok(written(spec={"replicas": 2}, status={"readyReplicas": 1})), (2, 1, True)),
        ("statefulset", "/data/statefulsets/db",
         ok(written(spec={"replicas": 1}, status={"readyReplicas": 1})), (1, 1, False)),
        ("daemonset", "/data/daemonsets/db",
         ok(written(status={"desiredNumberScheduled": 3, "numberReady": 0})), (3, 0, True)),
        ("deployment", "/data/deployments/db", ok(written()), (1, 0, False)),
        ("service", "/data/endpointslices",
         ok({"items": [{"metadata": {}, "endpoints": None}]}), (1, 0, False)),
        ("service", "/data/endpointslices",
         ok({"items": [{"metadata": {}, "endpoints": [
             {"conditions": {"ready": False}}, {"conditions": {}}, {}]}]}), (3, 2, False)),
    ],
)  # fmt: skip
def test_a_neighbour_is_counted_by_what_of_it_serves(
    tmp_path: Path, kind: str, path: str, answer: Answer, counts: tuple[int, int, bool]
) -> None:
    found, _ = beside(tmp_path, {path: answer}, nearby(kind))
    [one] = found.neighbours
    wanted, ready, _ = counts

    assert (one.wanted, one.ready, one.since is not None) == counts
    assert (one.down, one.ailing) == (wanted > 0 and ready == 0, ready < wanted)


@pytest.mark.parametrize("kind", ["deployment", "statefulset", "daemonset", "service"])
def test_a_neighbour_that_is_not_there_is_a_gap_and_no_outage(tmp_path: Path, kind: str) -> None:
    found, _ = beside(tmp_path, {"/endpointslices": ok({"items": []})}, nearby(kind))

    assert found.neighbours == ()
    assert f"{kind}/db (not there)" in found.unseen


def test_a_node_in_trouble_is_read_in_the_kubelet_s_words(tmp_path: Path) -> None:
    conditions = [
        {"type": "DiskPressure", "status": "True", "message": "disk full",
         "lastTransitionTime": TIME},
        {"type": "PIDPressure", "status": "False"},
        {"type": "Ready", "status": "Unknown", "message": "Kubelet stopped posting",
         "lastTransitionTime": "2026-11-24T11:40:00Z"},
        {"type": "SomebodysOwn", "status": "True"},
    ]  # fmt: skip
    node = {"metadata": {"name": "n1"}, "spec": {"unschedulable": True},
            "status": {"conditions": conditions}}  # fmt: skip
    found, _ = beside(tmp_path, {"/nodes/n1": ok(node)})
    [one] = found.nodes

    assert (one.troubles, one.cordoned) == (("DiskPressure", "NotReady"), True)
    assert one.message == "disk full; Kubelet stopped posting"
    assert one.since is not None
    assert one.since.minute == 40


def test_content_is_looked_up_by_metadata_alone_and_no_more_than_is_needed(tmp_path: Path) -> None:
    sources = [{"configMapRef": {"name": f"c{n}"}} for n in range(30)]
    changed = {"metadata": {"name": "x", "managedFields": [{"manager": "me", "time": TIME}]}}
    found, asked = beside(tmp_path, {"/configmaps/": ok(changed)}, of=seen(envFrom=sources))

    assert len(found.contents) == len([one for one in asked if "/configmaps/" in one]) == 12
    assert all(one.exists and one.changed_at is not None for one in found.contents)
    assert "18 more references" in found.unseen
