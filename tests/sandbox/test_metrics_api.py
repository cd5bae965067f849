"""`metrics.k8s.io` as `kubectl top` and others read it, and the way to pods through the server."""

from __future__ import annotations

import json
import shlex
import subprocess
from collections import Counter
from collections.abc import Iterator
from typing import Any
from urllib.parse import parse_qsl, urlsplit

import httpx
import pytest

from tests.sandbox.conftest import ApiInProcess, ApiServer
from tests.sandbox.planes import SPACE, Stage, play
from tests.sandbox.test_metrics import parsed, service, total
from tests.sandbox.transcripts import RECORDED_SPACE, Kubectl, read
from veza_nb.sandbox.apiserver.access import system_user
from veza_nb.sandbox.apiserver.messages import Request, Response
from veza_nb.sandbox.lifecycle import TrainingCluster
from veza_nb.sandbox.metrics.api import FIRST_SECONDS, ROUND_SECONDS

Json = dict[str, Any]
GROUP = "/apis/metrics.k8s.io/v1beta1"
PODS = f"{GROUP}/namespaces/{SPACE}/pods"
TABLE = "application/json;as=Table;v=v1;g=meta.k8s.io"


def ask(stage: Stage, path: str, *, method: str = "GET", accept: str = "") -> Response:
    parts = urlsplit(path)
    user, query = system_user("system:tests"), dict(parse_qsl(parts.query))
    return stage.plane.api.handle(Request(method, parts.path, query, {"accept": accept}, user=user))


def document(response: Response) -> Json:
    assert isinstance(response.document, dict)
    return response.document


def cores(usage: Json) -> float:
    return int(usage["cpu"].removesuffix("n")) / 1e9


def mebibytes(usage: Json) -> float:
    return int(usage["memory"].removesuffix("Ki")) / 1024


def test_a_pod_is_measured_from_its_first_round_on() -> None:
    async def story(stage: Stage) -> None:
        stage.deploy(replicas=1)
        await stage.pass_time(FIRST_SECONDS - 2)
        name = stage.pods()[0]["metadata"]["name"]
        young, early = ask(stage, PODS), ask(stage, f"{PODS}/{name}")
        await stage.pass_time(FIRST_SECONDS + ROUND_SECONDS)
        listed = document(ask(stage, PODS))["items"]

        assert document(young)["items"] == []
        assert early.status == 404
        assert document(early)["message"] == (
            f'podmetrics.metrics.k8s.io "{SPACE}/{name}" not found'
        )
        assert [item["metadata"]["name"] for item in listed] == [name]
        assert [one["name"] for one in listed[0]["containers"]] == ["c"]

    play(story)


def test_a_pod_whose_container_does_not_run_is_not_measured() -> None:
    async def story(stage: Stage) -> None:
        stage.deploy(tag="v1-missing", replicas=1)
        await stage.pass_time(60)

        assert document(ask(stage, PODS))["items"] == []

    play(story)


def test_usage_follows_release_and_traffic() -> None:
    async def story(stage: Stage) -> None:
        for name, tag in (("web", "v1"), ("slow", "v1-latency"), ("idle", "v1")):
            stage.deploy(name, tag, replicas=1)
            if name != "idle":
                service(stage, name)
        await stage.pass_time(60)
        items = document(ask(stage, PODS))["items"]

        used = {
            item["metadata"]["labels"]["app"]: cores(item["containers"][0]["usage"])
            for item in items
        }
        assert used["idle"] < used["web"] < used["slow"]

    play(story)


def test_a_node_carries_its_pods() -> None:
    async def story(stage: Stage) -> None:
        service(stage)
        await stage.pass_time(1)
        empty = {each["metadata"]["name"]: each for each in nodes(stage)}
        stage.deploy(replicas=6)
        await stage.pass_time(60)
        full = {each["metadata"]["name"]: each for each in nodes(stage)}

        assert list(full) == sorted(empty) == ["veza-node-1", "veza-node-2", "veza-node-3"]
        carried = Counter(pod["spec"]["nodeName"] for pod in stage.pods())
        for name, count in carried.items():
            more = mebibytes(full[name]["usage"]) - mebibytes(empty[name]["usage"])
            assert 40 * count < more < 60 * count

    def nodes(stage: Stage) -> list[Json]:
        found: list[Json] = document(ask(stage, f"{GROUP}/nodes"))["items"]
        return found

    play(story)


def test_selectors_names_and_tables() -> None:
    async def story(stage: Stage) -> None:
        stage.deploy(replicas=1)
        stage.deploy("other", replicas=2)
        await stage.pass_time(60)
        name = stage.pods()[0]["metadata"]["name"]
        by_label = document(ask(stage, f"{PODS}?labelSelector=app%3Dother"))["items"]
        by_field = document(ask(stage, f"{PODS}?fieldSelector=metadata.name%3D{name}"))["items"]
        everywhere = document(ask(stage, f"{GROUP}/pods"))
        one = document(ask(stage, f"{PODS}/{name}"))
        table = document(ask(stage, PODS, accept=TABLE))

        assert {item["metadata"]["labels"]["app"] for item in by_label} == {"other"}
        assert [item["metadata"]["name"] for item in by_field] == [name]
        assert (everywhere["kind"], len(everywhere["items"])) == ("PodMetricsList", 3)
        assert (one["kind"], one["apiVersion"]) == ("PodMetrics", "metrics.k8s.io/v1beta1")
        assert [column["name"] for column in table["columnDefinitions"]] == [
            *("Name", "cpu", "memory", "window")
        ]
        assert len(table["rows"]) == 3
        assert ask(stage, f"{PODS}?labelSelector=a+b").status == 400

    play(story)


@pytest.mark.parametrize(
    ("method", "path", "code"),
    [
        ("POST", PODS, 405),
        ("DELETE", PODS, 405),
        ("GET", f"{PODS}?watch=true", 405),
        ("GET", f"{GROUP}/deployments", 404),
        ("GET", f"{GROUP}/namespaces/{SPACE}/nodes", 404),
        ("GET", f"{GROUP}/nodes/nope", 404),
        ("GET", f"{PODS}/x/status", 404),
        ("GET", "/apis/metrics.k8s.io/v1/pods", 404),
        ("POST", GROUP, 405),
    ],
)
def test_what_the_group_does_not_have(method: str, path: str, code: int) -> None:
    async def story(stage: Stage) -> None:
        assert ask(stage, path, method=method).status == code

    play(story)


def test_without_a_metrics_server_the_group_is_unknown(cluster: ApiInProcess) -> None:
    assert cluster.ask("GET", PODS).status == 404
    groups = cluster.ask("GET", "/apis").document
    assert isinstance(groups, dict)
    assert "metrics.k8s.io" not in {group["name"] for group in groups["groups"]}


@pytest.mark.kubectl
@pytest.mark.parametrize("name", ["23-top-pods", "23-top-nodes"])
def test_top_without_a_metrics_server_is_as_recorded(veza: ApiServer, name: str) -> None:
    command, then = read(name)

    now = Kubectl(veza.kubeconfig, RECORDED_SPACE)(command)

    assert (now.code, now.out, now.err) == (then.code, then.out, then.err)


@pytest.fixture(scope="module")
def running() -> Iterator[TrainingCluster]:
    with TrainingCluster.start() as found:
        yield found


@pytest.fixture(scope="module")
def kubectl(running: TrainingCluster) -> Kubectl:
    return Kubectl(running.kubeconfig, RECORDED_SPACE)


def rows(said: str) -> list[list[str]]:
    return [line.split() for line in said.splitlines()]


@pytest.mark.kubectl
@pytest.mark.parametrize("minor", range(27, 34))
def test_top_with_the_kubectl_of_each_minor(minor: int) -> None:
    with TrainingCluster.start(version=f"v1.{minor}.0") as cluster:
        kubectl = Kubectl(cluster.kubeconfig, RECORDED_SPACE)
        pods = rows(kubectl.ok("top pods"))
        nodes = rows(kubectl.ok("top nodes"))
        containers = rows(kubectl.ok("top pods -l app=veza-frontend --containers"))
        name = pods[1][0]
        one = rows(kubectl.ok(f"top pod {name}"))

    assert pods[0] == ["NAME", "CPU(cores)", "MEMORY(bytes)"]
    assert len(pods) == 1 + 7
    assert all(row[1].endswith("m") and row[2].endswith("Mi") for row in pods[1:])
    assert [row[0] for row in nodes[1:]] == ["veza-node-1", "veza-node-2", "veza-node-3"]
    assert {row[1] for row in containers[1:]} == {"frontend"}
    assert [row[0] for row in one[1:]] == [name]


@pytest.mark.kubectl
def test_top_sorts_sums_and_selects(kubectl: Kubectl) -> None:
    by_cpu = rows(kubectl.ok("top pods --sort-by=cpu --no-headers"))
    used = [int(row[1].removesuffix("m")) for row in by_cpu]
    summed = rows(kubectl.ok("top pods --sum"))

    assert used == sorted(used, reverse=True)
    assert len(summed) == 1 + 7 + 2
    assert kubectl("top pods -l app=nobody").err == (
        f"No resources found in {RECORDED_SPACE} namespace.\n"
    )


@pytest.mark.kubectl
@pytest.mark.parametrize(
    ("command", "context", "expected"),
    [
        (
            "top pod nope",
            "veza-training",
            'podmetrics.metrics.k8s.io "veza-production/nope" not found',
        ),
        (
            "top pods",
            "veza-training-nobody",
            'pods.metrics.k8s.io is forbidden: User "nobody-user" cannot list resource "pods" '
            'in API group "metrics.k8s.io" in the namespace "veza-production"',
        ),
        (
            "top nodes",
            "veza-training-nobody",
            'nodes.metrics.k8s.io is forbidden: User "nobody-user" cannot list resource "nodes" '
            'in API group "metrics.k8s.io" at the cluster scope',
        ),
    ],
)
def test_top_is_refused(kubectl: Kubectl, command: str, context: str, expected: str) -> None:
    said = kubectl(command, context=context)

    assert said.code == 1
    assert expected in said.err


@pytest.mark.kubectl
def test_top_says_of_a_young_pod_that_it_is_not_measured_yet(kubectl: Kubectl) -> None:
    kubectl.ok("run young --image=registry.example/web:v1")

    said = kubectl("top pods -l run=young")
    kubectl.ok("delete pod young --wait=false")

    assert (said.code, said.err) == (1, "error: metrics not available yet\n")


@pytest.mark.kubectl
def test_a_role_lets_somebody_read_metrics(kubectl: Kubectl) -> None:
    kubectl.ok("create role reads-metrics --verb=get,list --resource=pods.metrics.k8s.io")
    kubectl.ok("create rolebinding reads-metrics --role=reads-metrics --user=nobody-user")

    said = kubectl("auth can-i list pods.metrics.k8s.io", context="veza-training-nobody")
    assert said.out == "yes\n"
    assert len(rows(kubectl(f"get --raw {GROUP}", context="veza-training-nobody").out)) == 1
    assert kubectl("get podmetrics", context="veza-training-nobody").code == 0


@pytest.mark.kubectl
def test_kubectl_knows_the_group(kubectl: Kubectl) -> None:
    listed = rows(kubectl.ok("api-resources --api-group=metrics.k8s.io --no-headers"))

    assert listed == [
        ["nodes", "metrics.k8s.io/v1beta1", "false", "NodeMetrics"],
        ["pods", "metrics.k8s.io/v1beta1", "true", "PodMetrics"],
    ]
    assert "metrics.k8s.io/v1beta1" in kubectl.ok("api-versions").splitlines()


@pytest.mark.kubectl
def test_pods_and_services_are_asked_through_the_server(kubectl: Kubectl) -> None:
    base = f"/api/v1/namespaces/{RECORDED_SPACE}"
    name = rows(kubectl.ok("get pods -l app=veza-backend-api --no-headers"))[0][0]
    page = kubectl.ok(f"get --raw {base}/pods/{name}:8080/proxy/metrics")
    tracks = kubectl.ok(f"get --raw {base}/services/veza-backend-api:http/proxy/api/v1/tracks")
    refused = kubectl(f"get --raw {base}/pods/{name}:9999/proxy/metrics")
    nobody = kubectl(f"get --raw {base}/pods/{name}/proxy/x", context="veza-training-nobody")

    assert total(parsed(page), "veza_build_info") == 1
    assert len(json.loads(tracks)["tracks"]) == 3
    assert "error trying to reach service: dial tcp 10." in refused.err
    assert ":9999: connect: connection refused" in refused.err
    assert (
        f'cannot get resource "pods/proxy" in API group "" in the namespace "{RECORDED_SPACE}"'
        in (nobody.err)
    )


@pytest.mark.parametrize(
    ("path", "code", "message"),
    [
        ("pods/nope/proxy/metrics", 404, 'pods "nope" not found'),
        ("services/nope/proxy/", 404, 'services "nope" not found'),
        (
            "services/web:grpc/proxy/",
            503,
            'no service port "grpc" found for service "web"',
        ),
        ("services/web/proxy/", 503, 'no endpoints available for service "web"'),
    ],
)
def test_what_cannot_be_asked_through_the_server(path: str, code: int, message: str) -> None:
    async def story(stage: Stage) -> None:
        service(stage)
        await stage.pass_time(1)
        said = ask(stage, f"/api/v1/namespaces/{SPACE}/{path}")

        assert (said.status, document(said)["message"]) == (code, message)

    play(story)


def test_the_port_serves_every_page(running: TrainingCluster) -> None:
    targets = httpx.get(f"{running.metrics}/targets").json()
    for target in targets:
        page = httpx.get(f"http://{target['targets'][0]}{target['labels']['__metrics_path__']}")
        assert page.headers["content-type"].startswith("text/plain; version=0.0.4")
        assert total(parsed(page.text), "http_requests_total") > 0
    state = parsed(httpx.get(f"{running.metrics}/kube-state/metrics").text)
    assert len(targets) == 7
    assert total(state, "kube_deployment_spec_replicas", deployment="veza-backend-api") == 3


@pytest.mark.parametrize(
    ("path", "code"),
    [("/", 200), ("/prometheus.yml", 200), ("/nope", 404), ("/pods/a/b/metrics", 404)],
)
def test_other_paths_of_the_port(running: TrainingCluster, path: str, code: int) -> None:
    assert httpx.get(running.metrics + path).status_code == code
    assert httpx.post(running.metrics + path).status_code == 405


def test_the_configuration_it_offers_is_one(running: TrainingCluster, tmp_path: Any) -> None:
    file = tmp_path / "prometheus.yml"
    file.write_text(httpx.get(f"{running.metrics}/prometheus.yml").text)

    checked = subprocess.run(
        shlex.split(f"promtool check config {file}"), capture_output=True, text=True, check=False
    )
    assert checked.returncode == 0, checked.stderr
