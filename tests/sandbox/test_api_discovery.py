"""What the server says about itself."""

from __future__ import annotations

from typing import Any

import pytest

from tests.sandbox.conftest import ApiInProcess, recording

Json = dict[str, Any]


def _get(cluster: ApiInProcess, path: str, **headers: str) -> Any:
    response = cluster.ask("GET", path, **headers)
    assert response.status == 200
    return response.document


def test_the_resources_of_a_group_are_listed_as_recorded(cluster: ApiInProcess) -> None:
    assert _get(cluster, "/apis/apps/v1") == recording("objects/00-apis-apps-v1.json")


@pytest.mark.parametrize("version", ["v2", "v2beta1"])
def test_both_forms_of_discovery_tell_the_same(cluster: ApiInProcess, version: str) -> None:
    form = f"application/json;g=apidiscovery.k8s.io;v={version};as=APIGroupDiscoveryList"
    found: dict[tuple[str, str], list[str]] = {}
    for root in ("/api", "/apis"):
        response = cluster.ask("GET", root, accept=f"{form},application/json")
        assert response.headers["Content-Type"] == form
        document: Any = response.document
        for group in document["items"]:
            for served in group["versions"]:
                name = group["metadata"].get("name", "")
                found[name, served["version"]] = _names(served["resources"])

    plain: dict[tuple[str, str], list[str]] = {}
    core = _get(cluster, "/api/v1")["resources"]
    plain["", "v1"] = [each["name"] for each in core]
    for group in _get(cluster, "/apis")["groups"]:
        for served in group["versions"]:
            listing = _get(cluster, f"/apis/{served['groupVersion']}")["resources"]
            plain[group["name"], served["version"]] = [each["name"] for each in listing]
    assert found == plain


def _names(resources: list[Json]) -> list[str]:
    names = []
    for each in resources:
        names.append(each["resource"])
        names += [
            f"{each['resource']}/{below['subresource']}" for below in each.get("subresources", ())
        ]
    return names


def test_every_resource_that_is_listed_can_be_listed(cluster: ApiInProcess) -> None:
    for path in ("/api/v1", *(f"/apis/{name}" for name in _group_versions(cluster))):
        for resource in _get(cluster, path)["resources"]:
            if "list" in resource["verbs"]:
                listing = _get(cluster, f"{path}/{resource['name']}")
                assert listing["kind"] == f"{resource['kind']}List"


def _group_versions(cluster: ApiInProcess) -> list[str]:
    groups = _get(cluster, "/apis")["groups"]
    return [each["groupVersion"] for group in groups for each in group["versions"]]


def test_the_openapi_index_leads_to_documents_that_kubectl_can_check_against(
    cluster: ApiInProcess,
) -> None:
    index = _get(cluster, "/openapi/v3")["paths"]
    assert "?hash=" in index["apis/apps/v1"]["serverRelativeURL"]

    document = _get(cluster, index["apis/apps/v1"]["serverRelativeURL"])
    path = "/apis/apps/v1/namespaces/{namespace}/deployments/{name}"
    patch = document["paths"][path]["patch"]
    wanted = {"group": "apps", "version": "v1", "kind": "Deployment"}
    assert patch["x-kubernetes-group-version-kind"] == wanted
    assert {"dryRun", "fieldValidation"} <= {each["name"] for each in patch["parameters"]}


@pytest.mark.parametrize("path", ["/healthz", "/livez", "/readyz"])
def test_health_is_told_to_anybody(cluster: ApiInProcess, path: str) -> None:
    assert cluster.ask("GET", path, user="nobody").text == "ok"
    assert cluster.ask("GET", f"{path}/ping").text == "ok"
    verbose = cluster.ask("GET", f"{path}?verbose=true")
    assert isinstance(verbose.text, str)
    assert verbose.text.startswith("[+]ping ok\n")
    assert verbose.text.endswith(" check passed\n")


@pytest.mark.parametrize(
    "path", ["/nowhere", "/api/v2", "/apis/apps/v9", "/apis/metrics.k8s.io", "/healthz/no"]
)
def test_a_page_that_there_is_not_is_a_plain_404(cluster: ApiInProcess, path: str) -> None:
    response = cluster.ask("GET", path)

    assert (response.status, response.text) == (404, "404 page not found\n")
