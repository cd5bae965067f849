"""A cluster saved and brought back: the same objects, later."""

from __future__ import annotations

import base64
import dataclasses
import functools
import json
import subprocess
from collections.abc import Iterator
from datetime import UTC, datetime, timedelta
from pathlib import Path
from typing import Any

import httpx
import pytest
import yaml

from veza_nb.sandbox import detached
from veza_nb.sandbox.apiserver.client import Client, PatchType
from veza_nb.sandbox.clock import Clock, parse_timestamp
from veza_nb.sandbox.lifecycle import ClusterError, TrainingCluster
from veza_nb.sandbox.plane import ControlPlane
from veza_nb.sandbox.saving import snapshots
from veza_nb.sandbox.saving.snapshots import VERSION_GAP, Snapshot
from veza_nb.sandbox.steering import control

Json = dict[str, Any]
SPACE, BACKEND = "veza-production", "veza-backend-api"
IMAGE = f"registry.veza.example/{BACKEND}"
KINDS = ("deployments", "replicasets", "pods", "services", "events", "nodes", "configmaps")
# What tells of life and of load all the time.
_LIFE = {"leases", "nodes", "horizontalpodautoscalers"}


@pytest.fixture(scope="module")
def healthy() -> Iterator[TrainingCluster]:
    """A cluster that stands still, with a healthy application in it."""
    with TrainingCluster.start(stepped=True) as cluster:
        cluster.step(30)
        yield cluster


@pytest.fixture(scope="module")
def saved(healthy: TrainingCluster) -> Snapshot:
    return healthy.snapshot()


@pytest.fixture
def file(saved: Snapshot, tmp_path: Path) -> Path:
    path = tmp_path / "cluster.snapshot"
    saved.save(path)
    return path


def listed(cluster: TrainingCluster) -> dict[str, list[Json]]:
    return cluster.call(lambda client: {kind: client.list(kind) for kind in KINDS})


def pods_of(client: Client, service: str = BACKEND) -> list[Json]:
    return client.list("pods", SPACE, label_selector=f"app={service}")


def roll(cluster: TrainingCluster, tag: str) -> None:
    containers = [{"name": "backend-api", "image": f"{IMAGE}:{tag}"}]
    patch = {"spec": {"template": {"spec": {"containers": containers}}}}
    cluster.call(
        lambda client: client.patch("deployments", SPACE, BACKEND, patch, kind=PatchType.STRATEGIC)
    )


def written(cluster: TrainingCluster) -> list[str]:
    """What was changed in a cluster since it answers, by whom; signs of life do not count."""
    return [
        f"{entry.user} {entry.verb} {entry.resource} {entry.name}"
        for entry in cluster.audit()
        if entry.verb not in ("get", "list", "watch") and entry.code < 300
        if entry.resource not in _LIFE
    ]


def http(cluster: TrainingCluster, user: str = "admin") -> httpx.Client:
    config = yaml.safe_load(cluster.kubeconfig.read_text())
    token = next(u["user"]["token"] for u in config["users"] if u["name"].endswith(f"-{user}"))
    headers = {"Authorization": f"Bearer {token}"}
    return httpx.Client(base_url=cluster.url, verify=False, headers=headers)


# -- what comes back -----------------------------------------------------------------------------


def test_a_file_brings_the_same_cluster_back(
    healthy: TrainingCluster, saved: Snapshot, file: Path
) -> None:
    before = listed(healthy)
    with TrainingCluster.start(snapshot=file, stepped=True) as cluster:
        after = listed(cluster)

    assert saved.size == Snapshot.load(file).size
    for kind in KINDS:
        for old, new in zip(before[kind], after[kind], strict=True):
            assert old["metadata"]["uid"] == new["metadata"]["uid"]
            assert old["metadata"]["resourceVersion"] == new["metadata"]["resourceVersion"]
            assert old.get("spec") == new.get("spec")
            managers = [entry["manager"] for entry in old["metadata"]["managedFields"]]
            assert managers == [e["manager"] for e in new["metadata"]["managedFields"]]


def test_nobody_touches_a_healthy_cluster_that_is_brought_back(saved: Snapshot) -> None:
    with TrainingCluster.start(snapshot=saved, stepped=True) as cluster:
        cluster.step(900)

        assert written(cluster) == []


def test_nor_do_the_controllers_of_other_kinds() -> None:
    with TrainingCluster.start(stepped=True) as cluster:
        for resource, body in OTHERS.items():
            cluster.call(functools.partial(create, resource, body))
        cluster.step(240)
        saved = cluster.snapshot()
    with TrainingCluster.start(snapshot=saved, stepped=True) as cluster:
        cluster.step(600)
        present = cluster.call(lambda client: {r: client.list(r, SPACE) for r in OTHERS})

        assert written(cluster) == []
    assert present["statefulsets"][0]["status"]["readyReplicas"] == 2
    assert present["daemonsets"][0]["status"]["numberReady"] == 3
    assert present["jobs"][0]["status"]["succeeded"] == 1


def create(resource: str, body: Json, client: Client) -> Json:
    return client.create(resource, SPACE, body)


LABELS = {"app": "other"}
TEMPLATE: Json = {
    "metadata": {"labels": LABELS},
    "spec": {"containers": [{"name": "c", "image": "registry.example/other:v1"}]},
}
TASK = {"spec": {**TEMPLATE["spec"], "restartPolicy": "Never"}}
SELECTED = {"selector": {"matchLabels": LABELS}, "template": TEMPLATE}
OTHERS: dict[str, Json] = {
    "statefulsets": {
        "metadata": {"name": "other"},
        "spec": {"replicas": 2, "serviceName": "other", **SELECTED},
    },
    "daemonsets": {"metadata": {"name": "other"}, "spec": SELECTED},
    "jobs": {"metadata": {"name": "other"}, "spec": {"template": TASK}},
    "services": {
        "metadata": {"name": "other"},
        "spec": {"selector": LABELS, "ports": [{"port": 80}]},
    },
    "poddisruptionbudgets": {
        "metadata": {"name": "other"},
        "spec": {"minAvailable": 1, "selector": {"matchLabels": LABELS}},
    },
    "horizontalpodautoscalers": {
        "metadata": {"name": "other"},
        "spec": {
            "scaleTargetRef": {"apiVersion": "apps/v1", "kind": "Deployment", "name": BACKEND},
            "minReplicas": 3,
            "maxReplicas": 5,
        },
    },
    "resourcequotas": {"metadata": {"name": "other"}, "spec": {"hard": {"pods": "50"}}},
}


def test_a_restored_cluster_can_be_saved_and_restored_again(saved: Snapshot) -> None:
    with TrainingCluster.start(snapshot=saved, stepped=True) as cluster:
        again = cluster.snapshot()
    with TrainingCluster.start(snapshot=again, stepped=True) as cluster:
        cluster.step(60)
        uids = [pod["metadata"]["uid"] for pod in cluster.call(pods_of)]
        assert written(cluster) == []

    assert [pod["metadata"]["uid"] for pod in saved.objects["pods"][:3]] == uids
    assert saved.version + VERSION_GAP == again.version


def test_the_services_answer_from_the_same_pods(saved: Snapshot) -> None:
    with TrainingCluster.start(snapshot=saved) as cluster:
        served = {
            httpx.get(cluster.endpoints[BACKEND] + "/health").headers["X-Served-By"]
            for _ in range(9)
        }
        names = {pod["metadata"]["name"] for pod in cluster.call(pods_of)}

    assert names == served


def test_a_new_pod_gets_an_address_that_no_other_has(saved: Snapshot) -> None:
    with TrainingCluster.start(snapshot=saved, stepped=True) as cluster:
        cluster.call(
            lambda client: client.patch("deployments", SPACE, BACKEND, {"spec": {"replicas": 12}})
        )
        cluster.step(30)
        addresses = cluster.call(
            lambda client: [pod["status"]["podIP"] for pod in client.list("pods", SPACE)]
        )

    assert len(addresses) == 16
    assert len(set(addresses)) == 16


def test_versions_go_on_above_and_old_ones_are_gone(saved: Snapshot) -> None:
    path = f"/api/v1/namespaces/{SPACE}/pods"
    with TrainingCluster.start(snapshot=saved) as cluster, http(cluster) as client:
        listed_at = int(client.get(path).json()["metadata"]["resourceVersion"])
        old = client.get(path, params={"watch": "1", "resourceVersion": str(saved.version)})
        roll(cluster, "v2.3.0")
        made = cluster.call(lambda client: client.get("deployments", SPACE, BACKEND))

    assert listed_at > saved.version
    assert int(made["metadata"]["resourceVersion"]) > listed_at
    assert json.loads(old.text)["type"] == "ERROR"
    assert json.loads(old.text)["object"]["code"] == 410
    assert json.loads(old.text)["object"]["reason"] == "Expired"


def test_old_tokens_and_certificates_are_worth_nothing(
    healthy: TrainingCluster, saved: Snapshot
) -> None:
    with http(healthy) as old:
        authorization = old.headers["Authorization"]
    with TrainingCluster.start(snapshot=saved) as cluster, http(cluster) as new:
        answer = new.get("/api/v1/nodes", headers={"Authorization": authorization})
        bundle = cluster.call(lambda client: client.get("configmaps", SPACE, "kube-root-ca.crt"))
        config = yaml.safe_load(cluster.kubeconfig.read_text())

    assert answer.status_code == 401
    authority = config["clusters"][0]["cluster"]["certificate-authority-data"]
    assert bundle["data"]["ca.crt"].encode() == base64.b64decode(authority)


def test_the_moment_of_saving_is_the_moment_of_restoring(saved: Snapshot) -> None:
    ago = timedelta(days=5)
    objects = {
        kind: [snapshots.moved(entry, -ago) for entry in entries]
        for kind, entries in saved.objects.items()
    }
    older = dataclasses.replace(saved, saved_at=saved.saved_at - ago, objects=objects)
    with TrainingCluster.start(snapshot=older) as cluster:
        present = listed(cluster)
    by_name = {pod["metadata"]["name"]: pod for pod in older.objects["pods"]}

    assert len(by_name) == len(present["pods"]) == 7
    for pod in present["pods"]:
        was = by_name[pod["metadata"]["name"]]
        running, ran = (
            each["status"]["containerStatuses"][0]["state"]["running"] for each in (pod, was)
        )
        moved = {
            _difference(pod["metadata"], was["metadata"], "creationTimestamp"),
            _difference(pod["status"], was["status"], "startTime"),
            _difference(running, ran, "startedAt"),
        }
        assert len(moved) == 1
        assert abs(moved.pop() - ago) < timedelta(seconds=60)
        assert parse_timestamp(pod["metadata"]["creationTimestamp"]) < datetime.now(UTC)


def _difference(new: Json, old: Json, field: str) -> timedelta:
    return parse_timestamp(new[field]) - parse_timestamp(old[field])


def test_a_cluster_that_has_begun_cannot_become_another_one(saved: Snapshot) -> None:
    plane = ControlPlane(clock=Clock(stepped=True))
    plane.client("admin", "tests").create("namespaces", None, {"metadata": {"name": "mine"}})

    with pytest.raises(ValueError, match="can only be loaded into an empty store"):
        snapshots.restore(plane, saved)


def test_dates_that_people_wrote_stay() -> None:
    stamp, later = "2026-01-01T00:00:00Z", timedelta(days=1)
    template = {"metadata": {"annotations": {"kubectl.kubernetes.io/restartedAt": stamp}}}
    entry = {
        "kind": "Deployment",
        "metadata": {
            "name": "web",
            "annotations": {"note": stamp},
            "creationTimestamp": stamp,
            "managedFields": [{"manager": "m", "time": stamp}],
        },
        "spec": {"template": template},
        "status": {"conditions": [{"type": "Available", "lastUpdateTime": stamp}]},
    }
    event = {
        "kind": "Event",
        "metadata": {"name": "e"},
        "eventTime": "2026-01-01T00:00:00.123456Z",
        "message": stamp,
    }
    moved, moved_event = snapshots.moved(entry, later), snapshots.moved(event, later)

    assert moved["metadata"]["annotations"] == {"note": stamp}
    assert moved["spec"] == entry["spec"]
    assert moved["metadata"]["creationTimestamp"] == "2026-01-02T00:00:00Z"
    assert moved["metadata"]["managedFields"][0]["time"] == "2026-01-02T00:00:00Z"
    assert moved["status"]["conditions"][0]["lastUpdateTime"] == "2026-01-02T00:00:00Z"
    assert moved_event["eventTime"] == "2026-01-02T00:00:00.123456Z"
    assert moved_event["message"] == stamp


def test_logs_come_back(saved: Snapshot, healthy: TrainingCluster) -> None:
    def read(cluster: TrainingCluster) -> list[str]:
        name = cluster.call(pods_of)[0]["metadata"]["name"]
        with http(cluster) as client:
            answer = client.get(f"/api/v1/namespaces/{SPACE}/pods/{name}/log")
        return answer.text.splitlines()

    before = read(healthy)
    with TrainingCluster.start(snapshot=saved, stepped=True) as cluster:
        after = read(cluster)

    assert before
    assert before == after


def test_a_crash_loop_goes_on_with_its_restarts() -> None:
    with TrainingCluster.start(scenario="crash-loop", stepped=True) as cluster:
        cluster.step(20)
        before = restarts(cluster)
        saved = cluster.snapshot()
    with TrainingCluster.start(snapshot=saved, stepped=True) as cluster:
        assert cluster.scenario.name == "crash-loop"
        assert before == restarts(cluster)
        cluster.step(10)
        soon = restarts(cluster)
        cluster.step(60)
        later = restarts(cluster)

    assert max(before.values()) >= 3
    assert sorted(before.values())[:-1] == [0, 0, 0]
    assert max(before.values()) <= max(soon.values()) <= max(before.values()) + 1
    # At the longest back-off of fifteen seconds, a minute is four or five more.
    assert max(before.values()) + 3 <= max(later.values()) <= max(before.values()) + 6


def restarts(cluster: TrainingCluster) -> dict[str, int]:
    return {
        pod["metadata"]["name"]: pod["status"]["containerStatuses"][0]["restartCount"]
        for pod in cluster.call(pods_of)
    }


def test_a_rollout_that_was_going_on_goes_on() -> None:
    with TrainingCluster.start(stepped=True) as cluster:
        roll(cluster, "v2.2.9")
        cluster.step(0.4)
        middle = cluster.snapshot()
    with TrainingCluster.start(snapshot=middle, stepped=True) as cluster:
        begun = cluster.call(lambda client: client.get("deployments", SPACE, BACKEND))
        cluster.step(60)
        done = cluster.call(lambda client: client.get("deployments", SPACE, BACKEND))
        present = images(cluster)

    assert begun["status"].get("updatedReplicas", 0) < 3
    assert done["status"]["updatedReplicas"] == done["status"]["availableReplicas"] == 3
    assert {f"{IMAGE}:v2.2.9"} == present


def images(cluster: TrainingCluster) -> set[str]:
    """Of the pods that are to stay."""
    return {
        pod["spec"]["containers"][0]["image"]
        for pod in cluster.call(pods_of)
        if "deletionTimestamp" not in pod["metadata"]
    }


def test_a_pod_that_was_ending_ends() -> None:
    with TrainingCluster.start(stepped=True) as cluster:
        name = cluster.call(pods_of)[0]["metadata"]["name"]
        cluster.call(lambda client: client.delete("pods", SPACE, name))
        saved = cluster.snapshot()
    with TrainingCluster.start(snapshot=saved, stepped=True) as cluster:
        cluster.step(40)
        names = [pod["metadata"]["name"] for pod in cluster.call(pods_of)]

    assert len(names) == 3
    assert name not in names


def test_the_revisions_of_the_history_can_be_undone_to(saved: Snapshot) -> None:
    with TrainingCluster.start(snapshot=saved) as cluster:
        history = kubectl(cluster, "rollout", "history", f"deployment/{BACKEND}")
        undo = kubectl(cluster, "rollout", "undo", f"deployment/{BACKEND}", "--to-revision=1")
        told = kubectl(cluster, "rollout", "status", f"deployment/{BACKEND}", "--timeout=30s")
        again = kubectl(cluster, "rollout", "history", f"deployment/{BACKEND}")

    assert numbers(history) == ["1", "2", "3"]
    assert undo == f"deployment.apps/{BACKEND} rolled back\n"
    assert told.endswith(f'deployment "{BACKEND}" successfully rolled out\n')
    assert numbers(again) == ["2", "3", "4"]


def numbers(history: str) -> list[str]:
    return [line.split()[0] for line in history.strip().splitlines()[2:]]


def kubectl(cluster: TrainingCluster, *words: str) -> str:
    command = ["kubectl", "--kubeconfig", str(cluster.kubeconfig), *words]
    done = subprocess.run(command, capture_output=True, text=True, check=True, timeout=60)
    return done.stdout


def test_a_fault_that_was_not_in_comes_when_it_is_called_for() -> None:
    with TrainingCluster.start(scenario="slow", stepped=True, inject=False) as cluster:
        saved = cluster.snapshot()
    with TrainingCluster.start(snapshot=saved, stepped=True) as cluster:
        before = images(cluster)
        cluster.inject()
        after = images(cluster)
        assert cluster.snapshot().injected

    assert not saved.injected
    assert ({f"{IMAGE}:v2.6.2"}, {f"{IMAGE}:v2.7.0"}) == (before, after)


def test_a_running_cluster_is_saved_and_another_one_started_from_it(tmp_path: Path) -> None:
    place, file = tmp_path / "state", tmp_path / "cluster.snapshot"
    running = detached.up(scenario="image-missing", directory=place)
    try:
        with pytest.raises(control.ControlError, match="a snapshot needs the full path"):
            control.ask(running, "snapshot.save", {"path": "relative"})
        with pytest.raises(control.ControlError, match="cannot write the snapshot"):
            control.ask(running, "snapshot.save", {"path": str(tmp_path / "no" / "file")})
        told = control.ask(running, "snapshot.save", {"path": str(file)})
        with pytest.raises(ClusterError, match="is already running with the scenario image-miss"):
            detached.up(directory=place, snapshot=file)
        detached.down(place)
        again = detached.up(directory=place, snapshot=file)
        tracks = httpx.get(again.endpoints[BACKEND] + "/api/v1/tracks").status_code
    finally:
        detached.down(place)

    assert {"path": str(file), "bytes": file.stat().st_size, "objects": told["objects"]} == told
    assert ("image-missing", True, 200) == (again.scenario, again.ready, tracks)


def test_a_broken_file_is_one_clear_line(tmp_path: Path) -> None:
    file = tmp_path / "cluster.snapshot"
    file.write_text("no")

    with pytest.raises(ClusterError, match=r"cluster\.snapshot is no snapshot of a training"):
        detached.up(directory=tmp_path / "state", snapshot=file)
    with pytest.raises(ClusterError, match="a snapshot brings its own scenario"):
        detached.up(directory=tmp_path / "state", snapshot=file, scenario="slow")
