"""What is read around a workload: images on nodes, and what the database's side says."""

import json
import threading
from collections.abc import Iterator
from http.server import BaseHTTPRequestHandler, HTTPServer
from typing import Any

import pytest

from tests.e2e.conftest import SERVICE, Application
from tests.e2e.test_plan_looks_around import create, do, guards
from veza_nb.catalog import GitOps, Schema, SchemaHas, SchemaNeeds, Service
from veza_nb.cluster import Cluster, look_around
from veza_nb.cluster.nodeimages import on_nodes
from veza_nb.permissions import NEEDED
from veza_nb.sandbox.lifecycle import TrainingCluster
from veza_nb.schemareading import read_schema

pytestmark = [pytest.mark.powers, pytest.mark.usefixtures("powers")]
NEEDS = SchemaNeeds(annotation="veza.dev/schema-version")


def service(**has: Any) -> Service:
    url = has.pop("service_url", "")
    return Service(url=url, schema=Schema(needs=NEEDS, has=SchemaHas(**has)))


def config_map(seen: Application, **data: str) -> None:
    body = {"apiVersion": "v1", "kind": "ConfigMap", "metadata": {"name": "schema"}, "data": data}
    create(seen, "configmaps", body)


def test_nodes_name_the_images_they_have_and_not_those_they_never_had(
    application: Application,
) -> None:
    found = on_nodes(application.cluster(), [application.images.good, "registry.example/no:v1"])

    assert found is not None
    assert found.nodes == 3
    assert found.missing == ("registry.example/no:v1",)


def test_an_image_that_a_pod_runs_is_not_looked_for_on_nodes(application: Application) -> None:
    cluster = application.cluster()
    workload = cluster.workload(SERVICE)
    template = dict(workload.deployment.spec.template)
    around = look_around(cluster, workload, template, GitOps())

    assert around.on_nodes is None
    assert around.reconcilers == ()
    assert not [one for one in around.unseen if "nodes" in one]


def test_the_databases_version_is_read_off_a_config_map(application: Application) -> None:
    config_map(application, version="14\n", other="x")
    cluster = application.cluster()

    told = read_schema(cluster, service(configmap="schema"))
    empty = read_schema(cluster, service(configmap="schema", key="none"))
    missing = read_schema(cluster, service(configmap="nothing"))
    unasked = read_schema(cluster, Service())

    assert told is not None and empty is not None and missing is not None
    assert (told.has, told.unseen) == ("14", "")
    assert empty.unseen == "configmap/schema, key none is empty or not there"
    assert "cannot be read" in missing.unseen
    assert unasked is None


ANSWERS = {
    "/version": (200, {"db": {"schema": 14}, "odd": [True], "flag": True}),
    "/down": (503, {}),
    "/text": (200, "v14"),
}


class _Answering(BaseHTTPRequestHandler):
    def do_GET(self) -> None:
        status, body = ANSWERS[self.path]
        data = body.encode() if isinstance(body, str) else json.dumps(body).encode()
        self.send_response(status)
        self.send_header("Content-Length", str(len(data)))
        self.end_headers()
        self.wfile.write(data)

    def log_message(self, format: str, *args: Any) -> None:
        """Quietly."""


@pytest.fixture
def answering() -> Iterator[str]:
    server = HTTPServer(("127.0.0.1", 0), _Answering)
    thread = threading.Thread(target=server.serve_forever, kwargs={"poll_interval": 0.01})
    thread.start()
    try:
        yield f"http://127.0.0.1:{server.server_port}"
    finally:
        server.shutdown()
        server.server_close()
        thread.join()


@pytest.mark.parametrize(
    ("path", "field", "said"),
    [
        ("/version", "db.schema", ("14", "")),
        ("/version", "odd", ("", "has no odd")),
        ("/version", "flag", ("", "has no flag")),
        ("/version", "db.schema.deeper", ("", "has no db.schema.deeper")),
        ("/text", "version", ("", "has no version")),
        ("/down", "version", ("", "does not tell (HTTP 503)")),
    ],
)
def test_the_databases_version_is_read_off_an_answer(
    powers: TrainingCluster, answering: str, path: str, field: str, said: tuple[str, str]
) -> None:
    cluster = Cluster.connect(kubeconfig=str(powers.kubeconfig))
    told = read_schema(cluster, service(url=f"{answering}{path}", field=field))
    below = read_schema(cluster, service(service_url=f"{answering}/", url=path, field=field))

    assert told is not None
    assert told == below
    assert told.has == said[0]
    assert said[1] in told.unseen


def test_nobody_there_is_no_version(powers: TrainingCluster) -> None:
    cluster = Cluster.connect(kubeconfig=str(powers.kubeconfig))
    told = read_schema(cluster, service(url="http://127.0.0.1:9/version"))

    assert told is not None
    assert "does not tell (refused)" in told.unseen


def test_a_target_from_before_a_migration_is_refused_with_the_reason(broken: Application) -> None:
    key = "veza.dev/schema-version"
    config_map(broken, version="13")
    schema = f"    schema: {{needs: {{annotation: {key}}}, has: {{configmap: schema}}}}\n"
    text = broken.catalog.read_text()
    broken.catalog.write_text(text.replace(f"  {SERVICE}:\n", f"  {SERVICE}:\n{schema}"))

    unknown = guards(broken)
    for name in _revisions(broken):
        annotate(broken, name, key, "12")
    done = broken.veza_nb("rollback", "--confirm", SERVICE)

    assert unknown["schema-unknown"]["level"] == "info"
    assert done.code == 3
    assert "works with schema 12, the database has 13" in " ".join(done.stderr.split())
    assert broken.undos() == []


def annotate(seen: Application, name: str, key: str, value: str) -> None:
    """Let a revision's template say something."""
    patch = {"spec": {"template": {"metadata": {"annotations": {key: value}}}}}
    do(seen, lambda admin: admin.patch("replicasets", seen.namespace, name, patch))


def _revisions(seen: Application) -> list[str]:
    assert seen.training is not None
    listed = seen.training.call(lambda admin: admin.list("replicasets", seen.namespace))
    return [one["metadata"]["name"] for one in listed]


def test_without_the_right_to_read_nodes_the_plan_says_that_it_cannot_tell(
    broken: Application,
) -> None:
    broken.allow("rollback-bot", NEEDED)
    cluster = broken.cluster()
    workload = cluster.workload(SERVICE)
    template = dict(workload.deployment.spec.template)
    template["spec"] = {"containers": [{"name": "app", "image": "registry.example/no:v1"}]}
    seen = look_around(cluster, workload, template, GitOps())

    assert seen.on_nodes is not None
    assert seen.on_nodes.missing == ("registry.example/no:v1",)

    bot = Cluster.connect(
        kubeconfig=str(broken.kubeconfig), context="veza-training-bot", namespace=broken.namespace
    )
    unseen = look_around(bot, workload, template, GitOps()).unseen

    assert [one for one in unseen if one.startswith("images on nodes (Not allowed")]
