"""The official Python client gets along with the server."""

from __future__ import annotations

from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest
from kubernetes import client, config, watch
from kubernetes.client.rest import ApiException
from kubernetes.dynamic import DynamicClient

from tests.sandbox.conftest import NAMESPACE, ApiServer


@pytest.fixture
def official(veza: ApiServer) -> Iterator[client.ApiClient]:
    with config.new_client_from_config(str(veza.kubeconfig)) as made:
        yield made


def test_typed_models_can_read_and_change_a_deployment(official: client.ApiClient) -> None:
    apps = client.AppsV1Api(official)

    found = apps.list_namespaced_deployment(NAMESPACE, label_selector="app=veza-frontend")
    assert [each.metadata.name for each in found.items] == ["veza-frontend"]
    patch: Any = {"spec": {"template": {"metadata": {"annotations": {"a": "b"}}}}}
    changed = apps.patch_namespaced_deployment("veza-frontend", NAMESPACE, patch)
    assert changed.metadata.generation == 2
    scale = apps.read_namespaced_deployment_scale("veza-frontend", NAMESPACE)
    assert scale.spec.replicas == 2


def test_a_json_patch_is_recognised_by_its_shape(official: client.ApiClient) -> None:
    apps = client.AppsV1Api(official)
    held: Any = [
        {"op": "test", "path": "/metadata/generation", "value": 1},
        {"op": "replace", "path": "/spec/replicas", "value": 7},
    ]

    assert apps.patch_namespaced_deployment("veza-frontend", NAMESPACE, held).spec.replicas == 7
    with pytest.raises(ApiException) as refused:
        apps.patch_namespaced_deployment("veza-frontend", NAMESPACE, held)
    assert refused.value.status == 422


def test_a_refusal_carries_the_status(official: client.ApiClient) -> None:
    with pytest.raises(ApiException) as refused:
        client.AppsV1Api(official).read_namespaced_deployment("nobody", NAMESPACE)

    assert refused.value.status == 404
    assert 'deployments.apps \\"nobody\\" not found' in str(refused.value.body)


def test_its_watch_helper_ends_by_its_timeout(official: client.ApiClient) -> None:
    apps = client.AppsV1Api(official)

    events = watch.Watch().stream(apps.list_namespaced_deployment, NAMESPACE, timeout_seconds=1)
    told = [(event["type"], event["object"].metadata.name) for event in events]

    names = ["veza-backend-api", "veza-frontend", "veza-stream-server"]
    assert told == [("ADDED", name) for name in names]


def test_a_lease_can_be_taken_and_is_then_held(official: client.ApiClient) -> None:
    leases = client.CoordinationV1Api(official)
    body: Any = {
        "metadata": {"name": "lock"},
        "spec": {"holderIdentity": "a", "renewTime": "2026-01-02T03:04:05.000006Z"},
    }

    made = leases.create_namespaced_lease(NAMESPACE, body)
    assert made.spec.renew_time.microsecond == 6
    with pytest.raises(ApiException) as refused:
        leases.create_namespaced_lease(NAMESPACE, body)
    assert refused.value.status == 409


def test_an_access_review_is_answered(official: client.ApiClient) -> None:
    attributes = {"namespace": NAMESPACE, "resource": "pods", "verb": "list"}
    body: Any = {"spec": {"resourceAttributes": attributes}}

    done = client.AuthorizationV1Api(official).create_self_subject_access_review(body)

    assert done.status.allowed is True


def test_the_dynamic_client_finds_its_way_by_discovery(
    official: client.ApiClient, tmp_path: Path
) -> None:
    dynamic = DynamicClient(official, cache_file=str(tmp_path / "discovery.json"))
    deployments = dynamic.resources.get(api_version="apps/v1", kind="Deployment")

    found = deployments.get(name="veza-frontend", namespace=NAMESPACE)
    assert found.spec.replicas == 2
    patch = {"spec": {"replicas": 3}}
    kind = "application/merge-patch+json"
    changed = deployments.patch(patch, name="veza-frontend", namespace=NAMESPACE, content_type=kind)
    assert (changed.spec.replicas, changed.metadata.generation) == (3, 2)
    scale = deployments.scale.get(name="veza-frontend", namespace=NAMESPACE)
    assert scale.spec.replicas == 3


def test_a_list_in_pages_is_whole(official: client.ApiClient) -> None:
    apps = client.AppsV1Api(official)

    names, token = [], None
    while token != "":
        page = apps.list_namespaced_deployment(NAMESPACE, limit=1, _continue=token)
        names += [each.metadata.name for each in page.items]
        token = page.metadata._continue or ""

    assert names == ["veza-backend-api", "veza-frontend", "veza-stream-server"]
