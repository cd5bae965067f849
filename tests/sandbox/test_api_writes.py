"""create, update, patch and delete: what is kept, what is refused, what counts."""

from __future__ import annotations

import copy
from typing import Any

import pytest

from tests.sandbox.conftest import NAMESPACE, ApiInProcess, deployment, pod
from veza_nb.sandbox.apimachinery.status import ApiError
from veza_nb.sandbox.apiserver.client import Client, PatchType

Json = dict[str, Any]
DEPLOYMENTS = f"/apis/apps/v1/namespaces/{NAMESPACE}/deployments"
PODS = f"/api/v1/namespaces/{NAMESPACE}/pods"


def test_a_generated_name_has_five_letters_after_its_prefix(cluster: ApiInProcess) -> None:
    body = pod("")
    body["metadata"] = {"generateName": "web-"}

    names = {cluster.admin.create("pods", NAMESPACE, body)["metadata"]["name"] for _ in range(20)}

    assert len(names) == 20
    assert all(len(name) == len("web-") + 5 and name.startswith("web-") for name in names)


def test_a_generated_name_never_passes_what_a_host_name_may_have(cluster: ApiInProcess) -> None:
    body = pod("")
    body["metadata"] = {"generateName": "a" * 70}

    assert len(cluster.admin.create("pods", NAMESPACE, body)["metadata"]["name"]) == 63


def test_the_generation_counts_changes_of_the_spec_only(cluster: ApiInProcess) -> None:
    admin = cluster.admin
    admin.create("deployments", NAMESPACE, deployment())

    def after(patch: Json, subresource: str = "") -> int:
        done = admin.patch("deployments", NAMESPACE, "web", patch, subresource=subresource)
        return int(done["metadata"]["generation"])

    assert after({"metadata": {"labels": {"tier": "a"}}}) == 1
    assert after({"spec": {"replicas": 2}}) == 2
    assert after({"status": {"replicas": 2}}, "status") == 2
    assert after({"spec": {"replicas": 2}}) == 2
    # A Deployment's annotations are copied to its ReplicaSet, so they count, too ...
    assert after({"metadata": {"annotations": {"a": "b"}}}) == 3
    # ... but not where its controller writes them along with the status.
    assert after({"metadata": {"annotations": {"a": "c"}}}, "status") == 3


def test_an_update_of_the_object_keeps_the_status_and_the_other_way_round(
    cluster: ApiInProcess,
) -> None:
    admin = cluster.admin
    first = copy.deepcopy(admin.create("deployments", NAMESPACE, deployment()))
    first["status"] = {"replicas": 7}
    first["spec"]["replicas"] = 3

    whole = admin.update("deployments", NAMESPACE, "web", first)
    assert (whole["spec"]["replicas"], whole["status"]) == (3, {})

    second = copy.deepcopy(whole)
    second["status"] = {"replicas": 7}
    second["spec"]["replicas"] = 9
    half = admin.update("deployments", NAMESPACE, "web", second, subresource="status")
    assert (half["spec"]["replicas"], half["status"]) == (3, {"replicas": 7})


def test_an_update_that_changes_nothing_makes_no_new_version(cluster: ApiInProcess) -> None:
    made = cluster.admin.create("deployments", NAMESPACE, deployment())

    again = cluster.admin.patch("deployments", NAMESPACE, "web", {"spec": {"replicas": 1}})

    assert made["metadata"] == again["metadata"]


def test_an_update_from_an_old_version_conflicts(cluster: ApiInProcess) -> None:
    made = cluster.admin.create("deployments", NAMESPACE, deployment())
    cluster.admin.patch("deployments", NAMESPACE, "web", {"spec": {"replicas": 2}})

    with pytest.raises(ApiError) as refused:
        cluster.admin.update("deployments", NAMESPACE, "web", made)

    assert (refused.value.code, refused.value.reason) == (409, "Conflict")


def test_a_lease_can_not_be_updated_without_a_version(cluster: ApiInProcess) -> None:
    body = {"metadata": {"name": "lock"}, "spec": {"holderIdentity": "a"}}
    cluster.admin.create("leases", NAMESPACE, body)

    with pytest.raises(ApiError) as refused:
        cluster.admin.update("leases", NAMESPACE, "lock", body)

    assert refused.value.code == 422
    assert "must be specified for an update" in refused.value.message


def test_a_dry_run_answers_as_if_done_and_keeps_nothing(cluster: ApiInProcess) -> None:
    before = cluster.api.core.store.version

    made = cluster.ask("POST", f"{DEPLOYMENTS}?dryRun=All", deployment())
    assert made.status == 201
    assert "uid" in made.document["metadata"]  # type: ignore[index]
    assert before == cluster.api.core.store.version
    assert cluster.ask("GET", f"{DEPLOYMENTS}/web").status == 404

    cluster.ask("POST", DEPLOYMENTS, deployment())
    before = cluster.api.core.store.version
    gone = cluster.ask("DELETE", f"{DEPLOYMENTS}/web?dryRun=All")
    assert gone.status == 200
    assert before == cluster.api.core.store.version


@pytest.mark.parametrize(
    ("operations", "code"),
    [
        ([{"op": "test", "path": "/metadata/generation", "value": 1}], 200),
        ([{"op": "test", "path": "/metadata/generation", "value": 2}], 422),
        ([{"op": "test", "path": "/metadata/uid", "value": "another"}], 422),
        ([{"op": "test", "path": "/spec/paused", "value": True}], 422),
        ([{"op": "remove", "path": "/spec/paused"}], 422),
        ([{"op": "add", "path": "/spec/paused", "value": True}], 200),
        ([{"op": "dance", "path": "/spec"}], 422),
        ([{"path": "/spec"}], 422),
        ("text", 400),
    ],
)
def test_a_json_patch_holds_or_is_refused_as_a_whole(
    cluster: ApiInProcess, operations: object, code: int
) -> None:
    cluster.ask("POST", DEPLOYMENTS, deployment())
    patch: object = operations
    if isinstance(operations, list):
        patch = [{"op": "replace", "path": "/spec/replicas", "value": 5}, *operations]

    answer = cluster.ask("PATCH", f"{DEPLOYMENTS}/web", patch, content_type=PatchType.JSON)

    assert code == answer.status
    kept = cluster.admin.get("deployments", NAMESPACE, "web")["spec"]["replicas"]
    assert (5 if code == 200 else 1) == kept


def test_uid_and_generation_can_be_tested_in_one_patch(cluster: ApiInProcess) -> None:
    made = cluster.admin.create("deployments", NAMESPACE, deployment())
    template = {**made["spec"]["template"], "metadata": {"labels": {"app": "web", "v": "2"}}}
    patch = [
        {"op": "test", "path": "/metadata/uid", "value": made["metadata"]["uid"]},
        {"op": "test", "path": "/metadata/generation", "value": 1},
        {"op": "replace", "path": "/spec/template", "value": template},
    ]

    done = cluster.admin.patch("deployments", NAMESPACE, "web", patch, kind=PatchType.JSON)
    assert done["metadata"]["generation"] == 2

    with pytest.raises(ApiError) as refused:
        cluster.admin.patch("deployments", NAMESPACE, "web", patch, kind=PatchType.JSON)
    assert (refused.value.code, refused.value.details) == (422, {})


def test_a_strategic_patch_of_one_image_leaves_the_sidecar_alone(cluster: ApiInProcess) -> None:
    body = deployment()
    body["spec"]["template"]["spec"]["containers"] = [
        {"name": "main", "image": "a:1", "env": [{"name": "A", "value": "1"}]},
        {"name": "sidecar", "image": "b:1"},
    ]
    cluster.admin.create("deployments", NAMESPACE, body)
    containers = [{"name": "main", "image": "a:2"}]
    order = [{"name": "main"}, {"name": "sidecar"}]
    patch = {
        "spec": {
            "template": {"spec": {"$setElementOrder/containers": order, "containers": containers}}
        }
    }

    done = cluster.admin.patch("deployments", NAMESPACE, "web", patch, kind=PatchType.STRATEGIC)

    found = done["spec"]["template"]["spec"]["containers"]
    assert [(each["name"], each["image"]) for each in found] == [
        ("main", "a:2"),
        ("sidecar", "b:1"),
    ]
    assert found[0]["env"] == [{"name": "A", "value": "1"}]


def test_a_second_delete_of_a_pod_on_a_node_can_only_shorten_its_grace(
    cluster: ApiInProcess,
) -> None:
    admin = cluster.admin
    admin.create("pods", NAMESPACE, pod("a"))
    node = {"target": {"kind": "Node", "name": "node-1"}}
    admin.create("pods", NAMESPACE, node, name="a", subresource="binding")

    first = admin.delete("pods", NAMESPACE, "a")
    assert first["metadata"]["deletionGracePeriodSeconds"] == 30
    longer = admin.delete("pods", NAMESPACE, "a", grace=60)
    assert first["metadata"]["resourceVersion"] == longer["metadata"]["resourceVersion"]
    shorter = admin.delete("pods", NAMESPACE, "a", grace=5)
    assert shorter["metadata"]["deletionGracePeriodSeconds"] == 5
    admin.delete("pods", NAMESPACE, "a", grace=0)

    assert admin.list("pods", NAMESPACE) == []


def test_a_pod_on_no_node_goes_at_once(cluster: ApiInProcess) -> None:
    cluster.admin.create("pods", NAMESPACE, pod("a"))
    cluster.admin.delete("pods", NAMESPACE, "a")

    assert cluster.admin.list("pods", NAMESPACE) == []


def test_a_finalizer_holds_an_object_until_it_is_removed(cluster: ApiInProcess) -> None:
    admin = cluster.admin
    body = {"metadata": {"name": "held", "finalizers": ["example.com/hold"]}}
    admin.create("configmaps", NAMESPACE, body)

    marked = admin.delete("configmaps", NAMESPACE, "held")
    assert "deletionTimestamp" in marked["metadata"]
    admin.patch("configmaps", NAMESPACE, "held", {"metadata": {"finalizers": None}})

    assert admin.list("configmaps", NAMESPACE) == []


@pytest.mark.parametrize(
    ("policy", "finalizers"),
    [("Foreground", ["foregroundDeletion"]), ("Orphan", ["orphan"])],
)
def test_a_deletion_policy_leaves_a_finalizer_for_the_garbage_collector(
    cluster: ApiInProcess, policy: str, finalizers: list[str]
) -> None:
    cluster.admin.create("deployments", NAMESPACE, deployment())

    marked = cluster.admin.delete("deployments", NAMESPACE, "web", propagation=policy)

    assert finalizers == marked["metadata"]["finalizers"]
    assert marked["metadata"]["generation"] == 2


def test_a_collection_is_deleted_by_selector(cluster: ApiInProcess) -> None:
    for name in ("a", "b", "c"):
        cluster.admin.create("pods", NAMESPACE, pod(name, app="x" if name != "c" else "y"))

    answer = cluster.ask("DELETE", f"{PODS}?labelSelector=app%3Dx")

    assert answer.status == 200
    assert [each["metadata"]["name"] for each in cluster.admin.list("pods", NAMESPACE)] == ["c"]


def test_a_namespace_takes_nothing_new_while_it_ends(cluster: ApiInProcess) -> None:
    admin = cluster.admin
    ending = admin.delete("namespaces", None, NAMESPACE)
    assert ending["status"]["phase"] == "Terminating"

    with pytest.raises(ApiError) as refused:
        admin.create("pods", NAMESPACE, pod("a"))
    assert refused.value.code == 403

    empty = {**ending, "spec": {"finalizers": []}}
    admin.update("namespaces", None, NAMESPACE, empty, subresource="finalize")
    assert admin.list("namespaces") == []


def test_names_in_the_body_must_be_those_of_the_path(cluster: ApiInProcess) -> None:
    made = cluster.admin.create("deployments", NAMESPACE, deployment())
    other = {**made, "metadata": {**made["metadata"], "name": "other"}}

    assert cluster.refusal("PUT", f"{DEPLOYMENTS}/web", other) == (
        400,
        "the name of the object (other) does not match the name on the URL (web)",
    )
    elsewhere = deployment()
    elsewhere["metadata"]["namespace"] = "default"
    code, message = cluster.refusal("POST", DEPLOYMENTS, elsewhere)
    assert (code, "does not match the namespace" in message) == (400, True)


@pytest.mark.parametrize(
    ("change", "field"),
    [
        ({"replicas": -1}, "spec.replicas"),
        ({"minReadySeconds": -1}, "spec.minReadySeconds"),
        ({"progressDeadlineSeconds": 0}, "spec.progressDeadlineSeconds"),
        ({"selector": {}}, "spec.selector"),
        ({"strategy": {"type": "Sideways"}}, "spec.strategy.type"),
        (
            {"strategy": {"rollingUpdate": {"maxSurge": 0, "maxUnavailable": 0}}},
            "spec.strategy.rollingUpdate.maxUnavailable",
        ),
        (
            {"strategy": {"rollingUpdate": {"maxSurge": "some"}}},
            "spec.strategy.rollingUpdate.maxSurge",
        ),
        ({"strategy": {"type": "Recreate", "rollingUpdate": {}}}, "spec.strategy.rollingUpdate"),
    ],
)
def test_a_deployment_that_makes_no_sense_is_refused_by_field(
    cluster: ApiInProcess, change: Json, field: str
) -> None:
    with pytest.raises(ApiError) as refused:
        cluster.admin.create("deployments", NAMESPACE, deployment(**change))

    assert refused.value.code == 422
    assert field in {cause["field"] for cause in (refused.value.details or {})["causes"]}


@pytest.mark.parametrize(
    ("container", "field"),
    [
        ({"name": "", "image": "a"}, "spec.containers[0].name"),
        ({"name": "Upper", "image": "a"}, "spec.containers[0].name"),
        ({"name": "a", "image": ""}, "spec.containers[0].image"),
        ({"name": "a", "image": " a"}, "spec.containers[0].image"),
        ({"name": "a", "image": "a", "ports": [{}]}, "spec.containers[0].ports[0].containerPort"),
        (
            {"name": "a", "image": "a", "volumeMounts": [{"name": "no", "mountPath": "/x"}]},
            "spec.containers[0].volumeMounts[0].name",
        ),
        (
            {
                "name": "a",
                "image": "a",
                "resources": {"requests": {"cpu": "2"}, "limits": {"cpu": "1"}},
            },
            "spec.containers[0].resources.requests",
        ),
    ],
)
def test_a_container_that_makes_no_sense_is_refused_by_field(
    cluster: ApiInProcess, container: Json, field: str
) -> None:
    with pytest.raises(ApiError) as refused:
        cluster.admin.create(
            "pods", NAMESPACE, {"metadata": {"name": "a"}, "spec": {"containers": [container]}}
        )

    assert [field] == [cause["field"] for cause in (refused.value.details or {})["causes"]]


def test_a_pod_of_a_terminated_quota_is_refused_until_there_is_room(cluster: ApiInProcess) -> None:
    admin = cluster.admin
    quota = {"metadata": {"name": "q"}, "spec": {"hard": {"requests.cpu": "1"}}}
    admin.create("resourcequotas", NAMESPACE, quota)
    body = pod("a")
    body["spec"]["containers"][0]["resources"] = {"requests": {"cpu": "600m"}}
    admin.create("pods", NAMESPACE, body)
    body["metadata"]["name"] = "b"

    with pytest.raises(ApiError) as refused:
        admin.create("pods", NAMESPACE, body)
    used = "requested: requests.cpu=600m, used: requests.cpu=600m, limited: requests.cpu=1"
    assert refused.value.message == f'pods "b" is forbidden: exceeded quota: q, {used}'

    admin.delete("pods", NAMESPACE, "a")
    admin.create("pods", NAMESPACE, body)


def test_a_service_gets_an_address_of_its_own(cluster: ApiInProcess) -> None:
    def make(name: str) -> str:
        body = {"metadata": {"name": name}, "spec": {"ports": [{"port": 80}]}}
        return str(cluster.admin.create("services", NAMESPACE, body)["spec"]["clusterIP"])

    assert len({make(f"s{number}") for number in range(50)}) == 50


def test_managers_are_told_apart_by_name_and_subresource(cluster: ApiInProcess) -> None:
    cluster.admin.create("deployments", NAMESPACE, deployment())
    controller = Client(cluster.api, "system:controller", "kube-controller-manager")
    controller.patch(
        "deployments", NAMESPACE, "web", {"status": {"replicas": 1}}, subresource="status"
    )
    done = controller.patch("deployments", NAMESPACE, "web", {"spec": {"replicas": 4}})

    entries = {
        (each["manager"], each.get("subresource", "")): each["fieldsV1"]
        for each in done["metadata"]["managedFields"]
    }
    assert entries["kube-controller-manager", "status"] == {"f:status": {"f:replicas": {}}}
    assert entries["kube-controller-manager", ""] == {"f:spec": {"f:replicas": {}}}
    assert "f:replicas" not in entries["tests", ""]["f:spec"]


def test_a_secret_s_texts_are_kept_encoded_among_its_data(cluster: ApiInProcess) -> None:
    body = {
        "apiVersion": "v1",
        "kind": "Secret",
        "metadata": {"name": "db"},
        "data": {"user": "YQ==", "password": "YQ=="},
        "stringData": {"password": "b"},
    }

    made = cluster.admin.create("secrets", NAMESPACE, body)
    patch = {"stringData": {"user": "c"}}
    changed = cluster.admin.patch("secrets", NAMESPACE, "db", patch)

    assert made["data"] == {"user": "YQ==", "password": "Yg=="}
    assert changed["data"] == {"user": "Yw==", "password": "Yg=="}
    assert "stringData" not in changed
