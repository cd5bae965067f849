"""Changes done right: what lists merge by, what may not change, preconditions, dry runs, owners."""

from __future__ import annotations

import copy
import json
from typing import Any

import pytest

from tests.sandbox.conftest import NAMESPACE, ApiInProcess, deployment, pod
from veza_nb.sandbox.apimachinery.schema import ListOf, Node, Struct, struct
from veza_nb.sandbox.apiserver.client import Client, PatchType

Json = dict[str, Any]
APPS = f"/apis/apps/v1/namespaces/{NAMESPACE}"
CORE = f"/api/v1/namespaces/{NAMESPACE}"
WEB = f"{APPS}/deployments/web"
OTHER_UID = "00000000-0000-4000-8000-000000000000"


def _list(schema: str, path: str) -> ListOf:
    """The type of a list, by its path from a type."""
    node: Node | None = struct(schema)
    for part in path.split("."):
        owner = node.item if isinstance(node, ListOf) else node
        assert isinstance(owner, Struct)
        node = owner.index[part].node
    assert isinstance(node, ListOf)
    return node


@pytest.mark.parametrize(
    ("schema", "path", "key"),
    [
        ("core.v1.PodSpec", "containers", "name"),
        ("core.v1.PodSpec", "initContainers", "name"),
        ("core.v1.PodSpec", "volumes", "name"),
        ("core.v1.PodSpec", "imagePullSecrets", "name"),
        ("core.v1.PodSpec", "hostAliases", "ip"),
        ("core.v1.PodSpec", "topologySpreadConstraints", "topologyKey"),
        ("core.v1.PodSpec", "containers.env", "name"),
        ("core.v1.PodSpec", "containers.ports", "containerPort"),
        ("core.v1.PodSpec", "containers.volumeMounts", "mountPath"),
        ("core.v1.PodSpec", "containers.volumeDevices", "devicePath"),
        ("core.v1.Pod", "status.conditions", "type"),
        ("core.v1.Pod", "metadata.ownerReferences", "uid"),
        ("core.v1.Service", "spec.ports", "port"),
        ("core.v1.ServiceAccount", "secrets", "name"),
        ("core.v1.Node", "status.addresses", "type"),
        ("core.v1.Node", "status.conditions", "type"),
        ("apps.v1.Deployment", "status.conditions", "type"),
        ("batch.v1.Job", "status.conditions", "type"),
    ],
)
def test_a_list_merges_by_the_key_that_kubernetes_gives_it(
    schema: str, path: str, key: str
) -> None:
    found = _list(schema, path)

    assert (found.merge, found.merge_key) == (True, key)


@pytest.mark.parametrize(
    ("schema", "path"),
    [
        ("core.v1.PodSpec", "tolerations"),
        ("core.v1.PodSpec", "containers.command"),
        ("core.v1.PodSpec", "containers.args"),
        ("core.v1.PodSpec", "containers.envFrom"),
        ("core.v1.Endpoints", "subsets"),
        ("rbac.v1.Role", "rules"),
    ],
)
def test_these_lists_are_replaced_as_a_whole(schema: str, path: str) -> None:
    assert not _list(schema, path).merge


def test_finalizers_are_added_to_and_taken_from_by_name(cluster: ApiInProcess) -> None:
    cluster.admin.create("configmaps", NAMESPACE, {"metadata": {"name": "m"}})

    def patched(metadata: Json) -> list[str]:
        kind = PatchType.STRATEGIC
        done = cluster.admin.patch("configmaps", NAMESPACE, "m", {"metadata": metadata}, kind=kind)
        found: list[str] = done["metadata"].get("finalizers", [])
        return found

    assert patched({"finalizers": ["a.example/x"]}) == ["a.example/x"]
    # What a patch names stands before what only the server knew.
    assert patched({"finalizers": ["b.example/y"]}) == ["b.example/y", "a.example/x"]
    assert patched({"$deleteFromPrimitiveList/finalizers": ["a.example/x"]}) == ["b.example/y"]


def test_a_strategy_can_change_its_type_because_old_keys_are_dropped(
    cluster: ApiInProcess,
) -> None:
    cluster.admin.create("deployments", NAMESPACE, deployment())
    strategy = {"type": "Recreate", "$retainKeys": ["type"]}
    change = {"spec": {"strategy": strategy}}

    done = cluster.admin.patch("deployments", NAMESPACE, "web", change, kind=PatchType.STRATEGIC)

    assert done["spec"]["strategy"] == {"type": "Recreate"}


# -- what may not change ---------------------------------------------------------------------

POD_RULE = "Forbidden: pod updates may not change fields other than"


@pytest.mark.parametrize(
    ("change", "message"),
    [
        ({"nodeName": None}, f"spec: {POD_RULE}"),
        ({"nodeName": "elsewhere"}, f"spec: {POD_RULE}"),
        ({"restartPolicy": "Never"}, f"spec: {POD_RULE}"),
        ({"terminationGracePeriodSeconds": 5}, f"spec: {POD_RULE}"),
        ({"tolerations": []}, "spec.tolerations: Forbidden: existing toleration can not be"),
        ({"activeDeadlineSeconds": 90}, "spec.activeDeadlineSeconds: Invalid value: 90: must be"),
        ({"activeDeadlineSeconds": None}, "spec.activeDeadlineSeconds: Invalid value: null: must"),
    ],
)
def test_little_of_a_pod_may_change(cluster: ApiInProcess, change: Json, message: str) -> None:
    body = pod("p")
    body["spec"] |= {"nodeName": "here", "activeDeadlineSeconds": 60}
    cluster.admin.create("pods", NAMESPACE, body)

    code, told = cluster.refusal(
        "PATCH", f"{CORE}/pods/p", {"spec": change}, content_type=PatchType.MERGE
    )

    assert code == 422
    assert told.startswith(f'Pod "p" is invalid: {message}')


def test_some_of_a_pod_may_change(cluster: ApiInProcess) -> None:
    cluster.admin.create("pods", NAMESPACE, pod("p"))
    tolerations = cluster.admin.get("pods", NAMESPACE, "p")["spec"]["tolerations"]
    more = [{**each, "tolerationSeconds": 5} for each in tolerations]
    more.append({"key": "new", "operator": "Exists"})
    change = {
        "containers": [{"name": "main", "image": "registry.example/web:v2"}],
        "tolerations": more,
        "activeDeadlineSeconds": 30,
    }

    done = cluster.admin.patch("pods", NAMESPACE, "p", {"spec": change}, kind=PatchType.STRATEGIC)[
        "spec"
    ]

    assert done["containers"][0]["image"] == "registry.example/web:v2"
    assert (done["tolerations"], done["activeDeadlineSeconds"]) == (more, 30)


_TEMPLATE = {
    "metadata": {"labels": {"app": "x"}},
    "spec": {"containers": [{"name": "c", "image": "a:b"}]},
}
_FIXED = {"metadata": {"name": "x"}, "data": {"a": "b"}, "immutable": True}
_IMMUTABLE = "Forbidden: field is immutable when `immutable` is set"


@pytest.mark.parametrize(
    ("plural", "body", "change", "message"),
    [
        ("configmaps", _FIXED, {"data": {"a": "c"}}, f"data: {_IMMUTABLE}"),
        ("configmaps", _FIXED, {"immutable": False}, f"immutable: {_IMMUTABLE}"),
        (
            "secrets",
            {"metadata": {"name": "x"}},
            {"type": "a/b"},
            'type: Invalid value: "a/b": field is immutable',
        ),
        (
            "services",
            {"metadata": {"name": "x"}, "spec": {"ports": [{"port": 80}]}},
            {"spec": {"clusterIP": "10.96.0.99"}},
            'spec.clusterIPs[0]: Invalid value: []string{"10.96.0.99"}: may not change once set',
        ),
        (
            "statefulsets",
            {
                "metadata": {"name": "x"},
                "spec": {
                    "serviceName": "x",
                    "selector": {"matchLabels": {"app": "x"}},
                    "template": _TEMPLATE,
                },
            },
            {"spec": {"serviceName": "y"}},
            "spec: Forbidden: updates to statefulset spec for fields other than 'replicas', ",
        ),
    ],
)
def test_what_is_immutable_stays(
    cluster: ApiInProcess, plural: str, body: Json, change: Json, message: str
) -> None:
    cluster.admin.create(plural, NAMESPACE, body)
    before = cluster.admin.get(plural, NAMESPACE, "x")
    home = APPS if plural == "statefulsets" else CORE

    code, told = cluster.refusal(
        "PATCH", f"{home}/{plural}/x", change, content_type=PatchType.MERGE
    )

    assert code == 422
    assert f" is invalid: {message}" in told
    assert cluster.admin.get(plural, NAMESPACE, "x") == before


# -- preconditions ---------------------------------------------------------------------------


def test_an_update_written_for_another_object_of_that_name_conflicts(
    cluster: ApiInProcess,
) -> None:
    made = cluster.admin.create("deployments", NAMESPACE, deployment())
    body = copy.deepcopy(made)
    body["metadata"]["uid"] = OTHER_UID
    del body["metadata"]["resourceVersion"]

    code, told = cluster.refusal("PUT", WEB, body)

    uid = made["metadata"]["uid"]
    words = f"UID in precondition: {OTHER_UID}, UID in object meta: {uid}"
    assert code == 409
    assert told.endswith(f"Precondition failed: {words}")
    assert f"Key: /registry/deployments/{NAMESPACE}/web, " in told


@pytest.mark.parametrize(
    ("kind", "change"),
    [
        (PatchType.MERGE, {"metadata": {"resourceVersion": "1"}, "spec": {"replicas": 9}}),
        (PatchType.STRATEGIC, {"metadata": {"resourceVersion": "1"}, "spec": {"replicas": 9}}),
        (
            PatchType.JSON,
            [
                {"op": "replace", "path": "/metadata/resourceVersion", "value": "1"},
                {"op": "replace", "path": "/spec/replicas", "value": 9},
            ],
        ),
        (
            PatchType.APPLY,
            {
                "apiVersion": "apps/v1",
                "kind": "Deployment",
                "metadata": {"name": "web", "resourceVersion": "1"},
                "spec": {"paused": True},
            },
        ),
    ],
)
def test_every_kind_of_patch_can_carry_the_version_it_was_written_for(
    cluster: ApiInProcess, kind: PatchType, change: object
) -> None:
    cluster.admin.create("deployments", NAMESPACE, deployment())

    code, told = cluster.refusal("PATCH", f"{WEB}?fieldManager=x", change, content_type=kind)

    assert code == 409
    assert "the object has been modified" in told
    assert cluster.admin.get("deployments", NAMESPACE, "web")["spec"]["replicas"] == 1


def test_an_apply_written_for_one_that_is_gone_makes_no_new_one(cluster: ApiInProcess) -> None:
    body = deployment()
    body["metadata"]["uid"] = OTHER_UID

    code, told = cluster.refusal(
        "PATCH", f"{WEB}?fieldManager=x", body, content_type=PatchType.APPLY
    )

    assert code == 409
    assert f"uid mismatch: the provided object specified uid {OTHER_UID}, and no exist" in told


# -- updates that create ---------------------------------------------------------------------

LEASE = f"/apis/coordination.k8s.io/v1/namespaces/{NAMESPACE}/leases/lock"
_LEASE = {"apiVersion": "coordination.k8s.io/v1", "kind": "Lease", "metadata": {"name": "lock"}}


def test_an_update_of_a_lease_that_is_not_there_creates_it(cluster: ApiInProcess) -> None:
    answer = cluster.ask("PUT", LEASE, _LEASE)

    assert answer.status == 201
    assert cluster.admin.get("leases", NAMESPACE, "lock")["metadata"]["uid"]


def test_renewing_a_lease_that_was_deleted_conflicts(cluster: ApiInProcess) -> None:
    """Who sends back what it read sends the uid, too: a lock that was lost is not made again."""
    read = cluster.admin.create("leases", NAMESPACE, _LEASE)
    cluster.admin.delete("leases", NAMESPACE, "lock")

    code, told = cluster.refusal("PUT", LEASE, read)

    assert code == 409
    assert told.endswith("UID in object meta: ")


@pytest.mark.parametrize("plural", ["configmaps", "secrets", "serviceaccounts", "pods"])
def test_an_update_of_most_kinds_creates_nothing(cluster: ApiInProcess, plural: str) -> None:
    kind = {"configmaps": "ConfigMap", "secrets": "Secret", "pods": "Pod"}.get(plural)
    body = {
        **pod("x"),
        "apiVersion": "v1",
        "kind": kind or "ServiceAccount",
        "metadata": {"name": "x"},
    }
    if plural != "pods":
        del body["spec"]

    code, told = cluster.refusal("PUT", f"{CORE}/{plural}/x", body)

    assert (code, told) == (404, f'{plural} "x" not found')


def test_an_update_that_creates_needs_the_right_to_create(cluster: ApiInProcess) -> None:
    rules = [{"apiGroups": ["coordination.k8s.io"], "resources": ["leases"], "verbs": ["update"]}]
    role = {"apiGroup": "rbac.authorization.k8s.io", "kind": "Role", "name": "r"}
    subject = {"kind": "User", "name": "u", "apiGroup": "rbac.authorization.k8s.io"}
    cluster.admin.create("roles", NAMESPACE, {"metadata": {"name": "r"}, "rules": rules})
    binding = {"metadata": {"name": "r"}, "roleRef": role, "subjects": [subject]}
    cluster.admin.create("rolebindings", NAMESPACE, binding)

    answer = cluster.ask("PUT", LEASE, _LEASE, user="u")

    assert answer.status == 403
    assert isinstance(answer.document, dict)
    assert 'cannot create resource "leases"' in answer.document["message"]


# -- fieldValidation -------------------------------------------------------------------------

_TWICE = b'{"spec":{"replicas":1,"replicas":2}}'
_UNKNOWN = b'{"spec":{"replicaz":1}}'
_UNKNOWN_STEP = b'[{"op":"add","path":"/spec/replicaz","value":1}]'


@pytest.mark.parametrize(
    ("kind", "body", "problem"),
    [
        (PatchType.MERGE, _UNKNOWN, 'unknown field "spec.replicaz"'),
        (PatchType.STRATEGIC, _UNKNOWN, 'unknown field "spec.replicaz"'),
        (PatchType.JSON, _UNKNOWN_STEP, 'unknown field "spec.replicaz"'),
        (PatchType.MERGE, _TWICE, 'duplicate field "spec.replicas"'),
        (PatchType.STRATEGIC, _TWICE, 'duplicate field "spec.replicas"'),
    ],
)
def test_a_patch_with_a_problem_is_refused_warned_of_or_taken(
    cluster: ApiInProcess, kind: PatchType, body: bytes, problem: str
) -> None:
    cluster.admin.create("deployments", NAMESPACE, deployment())

    def ask(validation: str) -> tuple[int, str | None, str]:
        path = f"{WEB}?fieldValidation={validation}&dryRun=All"
        answer = cluster.ask("PATCH", path, body, content_type=kind)
        assert isinstance(answer.document, dict)
        return answer.status, answer.headers.get("Warning"), answer.document.get("message", "")

    strict, warned, ignored, unsaid = map(ask, ("Strict", "Warn", "Ignore", ""))

    assert strict[0] == 422
    assert strict[2].endswith(f"strict decoding error: {problem}")
    quoted = problem.replace('"', '\\"')
    assert warned == unsaid == (200, f'299 - "{quoted}"', "")
    assert ignored == (200, None, "")


def test_a_new_object_that_says_something_twice_is_refused_under_strict(
    cluster: ApiInProcess,
) -> None:
    text = json.dumps(deployment())
    labels = '"labels": {"app": "web"}'
    body = text.replace('"replicas": 1', '"replicas": 1, "replicas": 2')
    body = body.replace(labels, '"labels": {"app": "web", "app": "web"}')
    path = f"{APPS}/deployments?fieldValidation="

    code, told = cluster.refusal("POST", f"{path}Strict", body.encode())
    warned = cluster.ask("POST", f"{path}Warn", body.encode())

    named = ("metadata.labels.app", "spec.replicas", "spec.template.metadata.labels.app")
    assert code == 400
    problems = ", ".join(f'duplicate field "{name}"' for name in named)
    assert told.endswith(f"strict decoding error: {problems}")
    assert warned.status == 201
    assert warned.headers["Warning"].count("299 - ") == 3


# -- dry runs --------------------------------------------------------------------------------


@pytest.mark.parametrize(
    "asked",
    [
        ("POST", f"{APPS}/deployments", deployment("new"), "application/json", 201),
        ("PUT", WEB, deployment(replicas=7), "application/json", 200),
        ("PATCH", WEB, {"spec": {"replicas": 7}}, PatchType.MERGE, 200),
        ("PATCH", WEB, {"spec": {"replicas": 7}}, PatchType.STRATEGIC, 200),
        ("PATCH", f"{WEB}/scale", {"spec": {"replicas": 7}}, PatchType.MERGE, 200),
        ("PATCH", f"{WEB}/status", {"status": {"replicas": 7}}, PatchType.MERGE, 200),
        ("DELETE", WEB, None, "", 200),
        ("DELETE", f"{APPS}/deployments", None, "", 200),
        ("DELETE", f"{CORE}/pods/p", None, "", 200),
        ("POST", f"{CORE}/pods/p/eviction", {"metadata": {"name": "p"}}, "application/json", 201),
        ("PUT", LEASE, _LEASE, "application/json", 201),
        (
            "PATCH",
            WEB,
            {"apiVersion": "apps/v1", "kind": "Deployment", "spec": {"paused": True}},
            PatchType.APPLY,
            200,
        ),
    ],
)
def test_a_dry_run_changes_nothing_at_all(
    cluster: ApiInProcess, asked: tuple[str, str, object, str, int]
) -> None:
    method, path, body, kind, code = asked
    cluster.admin.create("deployments", NAMESPACE, deployment())
    cluster.admin.create("pods", NAMESPACE, pod("p"))
    store = cluster.api.core.store
    before, version = json.dumps(store.dump()), store.version

    answer = cluster.ask(method, f"{path}?dryRun=All&fieldManager=x", body, content_type=kind)

    assert answer.status == code
    assert (json.dumps(store.dump()), store.version) == (before, version)


def test_a_dry_run_shows_the_generation_and_version_as_they_would_be(
    cluster: ApiInProcess,
) -> None:
    made = cluster.admin.create("deployments", NAMESPACE, deployment())["metadata"]

    answer = cluster.ask(
        "PATCH", f"{WEB}?dryRun=All", {"spec": {"replicas": 7}}, content_type=PatchType.MERGE
    )

    assert isinstance(answer.document, dict)
    told = answer.document["metadata"]
    assert (told["generation"], told["resourceVersion"]) == (2, made["resourceVersion"])


# -- owners ----------------------------------------------------------------------------------


def _scale(cluster: ApiInProcess, replicas: int, agent: str) -> list[Json]:
    client = Client(cluster.api, "admin", agent)
    change = {"spec": {"replicas": replicas}}
    client.patch("deployments", NAMESPACE, "web", change, subresource="scale")
    fields: list[Json] = client.get("deployments", NAMESPACE, "web")["metadata"]["managedFields"]
    return [each for each in fields if each.get("subresource") == "scale"]


def test_scaling_takes_the_replicas_in_an_entry_without_a_time(cluster: ApiInProcess) -> None:
    """As recorded: objects/17-undo-keeps-replicas.deployment."""
    cluster.admin.create("deployments", NAMESPACE, deployment())

    [entry] = _scale(cluster, 4, "kubectl")

    assert "time" not in entry
    assert entry["manager"] == "kubectl"
    assert entry["fieldsV1"] == {"f:spec": {"f:replicas": {}}}


def test_a_scale_to_zero_leaves_the_replicas_to_nobody_for_good(cluster: ApiInProcess) -> None:
    """As recorded: objects/17-scaled-to-0.deployment and what came after it."""
    cluster.admin.create("deployments", NAMESPACE, deployment())

    assert _scale(cluster, 0, "kubectl") == []
    assert _scale(cluster, 3, "kubectl") == []
    made = cluster.admin.get("deployments", NAMESPACE, "web")
    assert made["metadata"]["generation"] == 3
    owned = [each["fieldsV1"]["f:spec"] for each in made["metadata"]["managedFields"]]
    assert not any("f:replicas" in fields for fields in owned)


def test_whose_managers_were_wiped_out_stays_without_until_somebody_applies(
    cluster: ApiInProcess,
) -> None:
    admin = cluster.admin
    admin.create("deployments", NAMESPACE, deployment())
    wiped = admin.patch("deployments", NAMESPACE, "web", {"metadata": {"managedFields": [{}]}})
    updated = admin.patch("deployments", NAMESPACE, "web", {"spec": {"replicas": 2}})

    assert "managedFields" not in wiped["metadata"]
    assert "managedFields" not in updated["metadata"]
    body = {"apiVersion": "apps/v1", "kind": "Deployment", "spec": {"paused": True}}
    cluster.ask("PATCH", f"{WEB}?fieldManager=x", body, content_type=PatchType.APPLY)
    managers = admin.get("deployments", NAMESPACE, "web")["metadata"]["managedFields"]
    assert [each["manager"] for each in managers if each["operation"] == "Apply"] == ["x"]


# -- selecting by fields ---------------------------------------------------------------------

EVENTS = "/apis/events.k8s.io/v1/events"


def test_events_of_the_newer_group_are_selected_by_its_own_names(cluster: ApiInProcess) -> None:
    about = {"kind": "Pod", "namespace": NAMESPACE, "name": "p", "uid": "u"}
    for name, reason in (("a", "Killing"), ("b", "Pulled")):
        event = {"metadata": {"name": name}, "involvedObject": about, "reason": reason}
        event |= {"type": "Normal", "reportingComponent": "kubelet"}
        cluster.admin.create("events", NAMESPACE, event)

    def names(selector: str) -> list[str]:
        answer = cluster.ask("GET", f"{EVENTS}?fieldSelector={selector}")
        assert isinstance(answer.document, dict)
        return [each["metadata"]["name"] for each in answer.document["items"]]

    assert names("regarding.name=p,regarding.kind=Pod,reportingController=kubelet") == ["a", "b"]
    assert names("regarding.uid=u,reason!=Killing,type=Normal") == ["b"]
    assert names("regarding.name=q") == []
    assert names(f"metadata.namespace={NAMESPACE},metadata.name=a") == ["a"]


@pytest.mark.parametrize("field", ["involvedObject.name", "reportingComponent", "source", "note"])
def test_events_of_the_newer_group_are_not_selected_by_older_names(
    cluster: ApiInProcess, field: str
) -> None:
    code, told = cluster.refusal("GET", f"{EVENTS}?fieldSelector={field}%3Dx")

    assert (code, told) == (400, f"field label not supported: {field}")


def test_core_events_are_not_selected_by_newer_names(cluster: ApiInProcess) -> None:
    code, told = cluster.refusal("GET", "/api/v1/events?fieldSelector=regarding.name%3Dx")

    assert (code, told) == (400, "field label not supported: regarding.name")


def test_any_kind_is_selected_by_namespace(cluster: ApiInProcess) -> None:
    cluster.admin.create("namespaces", None, {"metadata": {"name": "other"}})
    for space in (NAMESPACE, "other"):
        cluster.admin.create("configmaps", space, {"metadata": {"name": "m"}})

    found = cluster.admin.list("configmaps", field_selector="metadata.namespace!=other")

    assert {each["metadata"]["namespace"] for each in found} == {NAMESPACE}
