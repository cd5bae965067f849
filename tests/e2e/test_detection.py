"""Detection without a right, an API or a true clock: it decides alike, and says what it missed."""

from collections.abc import Callable, Iterator, Sequence
from pathlib import Path
from typing import Any

import pytest
from msgspec import structs

from veza_nb.catalog import Backing, Service, load_catalog
from veza_nb.cluster import Cluster
from veza_nb.cluster.beside import look_beside
from veza_nb.detect import Detection, detect
from veza_nb.evidence import Finding
from veza_nb.neighbourhood import Neighbour
from veza_nb.permissions import CLUSTER_WIDE, HELPFUL, NEEDED, Permission, role, role_binding
from veza_nb.sandbox.lifecycle import TrainingCluster
from veza_nb.vocabulary import Decision

pytestmark = [pytest.mark.powers, pytest.mark.usefixtures("powers")]
NAMESPACE, SERVICE = "veza-production", "veza-backend-api"
BOT = ("User", "rollback-bot")
SILENT = {"watch", "patch"}
"""Verbs without which detection sees as much."""
PLAN_ONLY = frozenset(
    {"horizontalpodautoscalers", "resourcequotas", "persistentvolumeclaims", "serviceaccounts"}
)
"""Read for the plan, and not before."""
NODE = "node/veza-node-1 (not allowed)"
"""What no Role can give, and so is not seen here in any case."""

Json = dict[str, Any]


@pytest.fixture(scope="module")
def stuck(tmp_path_factory: pytest.TempPathFactory) -> Iterator[TrainingCluster]:
    """A crash loop past its deadline, beside three pods that serve."""
    directory = tmp_path_factory.mktemp("cluster")
    with TrainingCluster.start(scenario="exit-code", directory=directory / "c") as cluster:
        cluster.call(lambda admin: admin.create("roles", NAMESPACE, role("bot", NAMESPACE, ())))
        bound = role_binding("bot", NAMESPACE, BOT)
        cluster.call(lambda admin: admin.create("rolebindings", NAMESPACE, bound))
        yield cluster


def allow(cluster: TrainingCluster, permissions: Sequence[Permission]) -> None:
    """Let the bot do exactly that."""
    rules = {"rules": role("bot", NAMESPACE, permissions)["rules"]}
    cluster.call(lambda admin: admin.patch("roles", NAMESPACE, "bot", rules))


def look(
    cluster: TrainingCluster, *, as_bot: bool = False, timeout: float = 10.0, **service: Any
) -> Detection:
    context = "veza-training-bot" if as_bot else cluster.context
    there = Cluster.connect(
        kubeconfig=str(cluster.kubeconfig), context=context, namespace=NAMESPACE, timeout=timeout
    )
    book = load_catalog(cluster.catalog)
    return detect(there, structs.replace(of(cluster), **service), settings=book.verify)


def of(cluster: TrainingCluster) -> Service:
    return load_catalog(cluster.catalog).service(SERVICE)


def finding(seen: Detection, reason: str) -> Finding:
    [only] = [one for one in seen.diagnosis.findings if one.reason == reason]
    return only


def reasons(seen: Detection) -> list[str]:
    return [one.reason for one in seen.diagnosis.findings]


# Rights.


def test_without_any_one_of_the_helpful_rights_it_decides_and_says_what_it_did_not_see(
    stuck: TrainingCluster,
) -> None:
    quiet: list[str] = []
    for missing in HELPFUL:
        allow(stuck, [one for one in (*NEEDED, *HELPFUL) if one is not missing])
        seen = look(stuck, as_bot=True)
        assert seen.diagnosis.decision is Decision.ROLL_BACK, missing
        if missing.verb not in SILENT and missing.resource not in PLAN_ONLY:
            said = finding(seen, "NotSeen").summary.replace(NODE, "")
            quiet += [] if "(not allowed)" in said else [str(missing)]

    assert quiet == []


def test_with_the_needed_rights_alone_it_decides_the_same(stuck: TrainingCluster) -> None:
    allow(stuck, NEEDED)
    seen, whole = look(stuck, as_bot=True), look(stuck)

    assert seen.diagnosis.decision is whole.diagnosis.decision is Decision.ROLL_BACK
    assert finding(seen, "NotSeen").summary == (
        "Not looked at: events (not allowed), logs (not allowed), CPU and memory (not allowed), "
        "node/veza-node-1 (not allowed), configmap/veza-backend-config (not allowed), "
        "secret/veza-backend-secrets (not allowed)."
    )
    assert "NotSeen" not in reasons(whole)
    assert set(reasons(seen)) - {"NotSeen"} <= set(reasons(whole))


def test_with_all_of_them_nothing_is_left_unseen_but_what_no_role_gives(
    stuck: TrainingCluster,
) -> None:
    allow(stuck, (*NEEDED, *HELPFUL))

    said = finding(look(stuck, as_bot=True), "NotSeen").summary

    assert said == f"Not looked at: {NODE}."
    assert "nodes" in {one.resource for one in CLUSTER_WIDE}


# APIs.


@pytest.mark.parametrize(
    ("kind", "how", "said"),
    [
        ("error", {"code": 503}, "503"),
        ("error", {"code": 429, "retry_after": 30}, "429"),
        ("hang", {}, "did not answer within 0.5 s"),
        ("reset", {}, "broke"),
    ],
)
def test_a_metrics_api_that_does_not_answer_is_named_and_not_waited_for_twice(
    stuck: TrainingCluster, kind: str, how: Json, said: str
) -> None:
    fault = stuck.faults.add(kind, resources="*.metrics.k8s.io", **how)
    try:
        seen = look(stuck, timeout=0.5)
        hits = stuck.faults.hits(fault)
    finally:
        stuck.faults.remove(fault)

    assert seen.diagnosis.decision is Decision.ROLL_BACK
    assert said in finding(seen, "NotSeen").summary
    assert hits == 1


# Neighbours.


def test_a_database_without_pods_and_a_queue_without_endpoints_are_seen(
    stuck: TrainingCluster,
) -> None:
    labels = {"app": "db"}
    pods = {
        "metadata": {"labels": labels},
        "spec": {"containers": [{"name": "db", "image": "registry.veza.example/db:missing"}]},
    }
    database = {
        "metadata": {"name": "db"},
        "apiVersion": "apps/v1",
        "kind": "StatefulSet",
        "spec": {
            "serviceName": "db",
            "replicas": 2,
            "selector": {"matchLabels": labels},
            "template": pods,
        },
    }
    queue = {"metadata": {"name": "queue"}, "apiVersion": "v1", "kind": "Service",
             "spec": {"selector": {"app": "queue"}, "ports": [{"port": 80}]}}  # fmt: skip
    stuck.call(lambda admin: admin.create("statefulsets", NAMESPACE, database))
    stuck.call(lambda admin: admin.create("services", NAMESPACE, queue))
    backing = (
        Backing(kind="statefulset", name="db"),
        Backing(kind="service", name="queue"),
        Backing(kind="service", name=SERVICE),
        Backing(kind="deployment", name="nobody"),
    )
    try:
        found = neighbours(stuck, backing)
    finally:
        stuck.call(lambda admin: admin.delete("statefulsets", NAMESPACE, "db"))
        stuck.call(lambda admin: admin.delete("services", NAMESPACE, "queue"))

    assert [(str(one), one.down, one.wanted) for one in found] == [
        ("statefulset/db", True, 2),
        ("service/queue", True, 1),
        (f"service/{SERVICE}", False, 4),
    ]
    assert all(one.since is not None for one in found)


def neighbours(cluster: TrainingCluster, backing: tuple[Backing, ...]) -> tuple[Neighbour, ...]:
    book = load_catalog(cluster.catalog)
    service = structs.replace(book.services[SERVICE], backing=backing, depends_on=())
    alone = structs.replace(book, services={SERVICE: service}).service(SERVICE)
    there = Cluster.connect(kubeconfig=str(cluster.kubeconfig), namespace=NAMESPACE)
    workload = there.workload(alone.workload, alone.selector)
    return look_beside(there, workload, alone.nearby).neighbours


# Clocks.


@pytest.mark.parametrize("ahead", [-7200, 7200])
def test_ages_are_counted_by_the_clock_that_dated_the_objects(tmp_path: Path, ahead: int) -> None:
    with TrainingCluster.start(directory=tmp_path / "c") as cluster:
        cluster.faults.add("clock-skew", seconds=ahead)
        release(cluster, "registry.veza.example/veza-backend-api:v9-missing")
        seen = until(lambda: look(cluster), lambda one: "ErrImagePull" in str(reasons(one))
                     or "ImagePullBackOff" in reasons(one))  # fmt: skip

    assert abs((seen.now - seen.at).total_seconds() - ahead) < 5
    assert seen.diagnosis.decision is Decision.ROLL_BACK
    assert not any("in 2 h" in one or "2 h" in one for one in seen.diagnosis.argument)


def release(cluster: TrainingCluster, image: str) -> None:
    containers = [{"name": "backend-api", "image": image}]
    patch = {"spec": {"template": {"spec": {"containers": containers}}}}
    cluster.call(lambda admin: admin.patch("deployments", NAMESPACE, SERVICE, patch))


def until(read: Callable[[], Detection], seen: Callable[[Detection], bool]) -> Detection:
    """The first look that shows it."""
    for _ in range(200):
        one = read()
        if seen(one):
            return one
    pytest.fail("never seen")
